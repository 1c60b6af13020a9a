/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a guest needs, learnt from shrinks that hurt it: the size that it had before the shrink.
 *
 * Until the hold is over the guest is protected: it isn't shrunk at all. Then the need fades in a straight
 * line, over NEED_FADE times the hold. If the guest hurts again while the need fades, the hold doubles; so a
 * guest that really uses its memory is tried more and more rarely. If it hurts again during the hold, nothing
 * new was tried meanwhile: the same hold starts again. In both cases the larger size counts. */

#include <stdbool.h>
#include <stdint.h>

#include "base/time-util.h"

#define NEED_HOLD_MIN_USEC (30 * USEC_PER_SEC)
#define NEED_HOLD_MAX_USEC (3600 * USEC_PER_SEC)
#define NEED_FADE          4U
/* The need fades in this many steps. Each step may cause a move, and many small moves cost more than they
 * bring. */
#define NEED_STEPS         16U

typedef struct Need {
    uint64_t bytes;    /* when it was found; 0: nothing was found */
    usec_t found_usec; /* when it was last found */
    usec_t hold_usec;  /* how long the guest is protected from then on */
    unsigned times;    /* cumulative */
} Need;

/* The guest hurts after it was shrunk from this size (0: ignored). */
void need_found(Need *n, uint64_t bytes, usec_t now_usec);
/* The need that is left now; 0: none. */
uint64_t need_bytes(const Need *n, usec_t now_usec);
/* Whether the guest must not be shrunk at all. */
bool need_protects(const Need *n, usec_t now_usec);
