/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a guest was found to need: the size that it had before a shrink that hurt it. Until hold is over it
 * isn't shrunk again at all; then what was found to be needed fades, in a straight line, over NEED_FADE times
 * that. Found again while it fades, the hold doubles; so a guest that lives off its memory is tried ever more
 * rarely. Found again while it holds, nothing was tried meanwhile: it is the same finding, and its hold
 * begins anew. In either case the larger size counts. */

#include <stdbool.h>
#include <stdint.h>

#include "base/time-util.h"

#define NEED_HOLD_MIN_USEC (30 * USEC_PER_SEC)
#define NEED_HOLD_MAX_USEC (3600 * USEC_PER_SEC)
#define NEED_FADE          4U
/* It fades in so many steps: each may bring a move, and many small ones cost more than they bring. */
#define NEED_STEPS         16U

typedef struct Need {
    uint64_t bytes;    /* 0: nothing was found */
    usec_t found_usec; /* when it last was */
    usec_t hold_usec;  /* from then on */
    unsigned times;    /* cumulative */
} Need;

/* It hurt after it had been shrunk from bytes (0: nothing is found). */
void need_found(Need *n, uint64_t bytes, usec_t now_usec);
/* What of it counts now; 0: nothing. */
uint64_t need_bytes(const Need *n, usec_t now_usec);
/* Whether it isn't to be shrunk at all. */
bool need_protects(const Need *n, usec_t now_usec);
