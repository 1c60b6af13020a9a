/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a shrink of a guest brings the host: how far what its QEMU holds (held.h) falls.
 *
 * A shrink is expected to bring what it takes, as far as that was idle: free in the guest, and held by the host.
 * Free memory that the guest never touched, or has handed back, isn't resident and brings nothing; the balloon takes
 * some of that, too, so half is enough where it is the share of idle memory in all that is free. Page cache isn't
 * expected to bring anything, because the guest may have read more of it meanwhile. What the shrink brought
 * is the fall of resident plus what the guest itself began to use meanwhile. If it brought less than expected,
 * less was idle than thought: QEMU's own memory is larger (held_prove()). If again and again it brings next to
 * nothing, the balloon is ineffective: it frees nothing.
 *
 * While the host swaps, and what it swapped out isn't known, resident proves nothing: the caller measures no
 * shrink then, and drops the one that it is measuring (gain_reset()). A guest that lies about its free memory is
 * found ineffective in the end, as is one whose balloon doesn't move; both are shown. */

#include <stdbool.h>
#include <stdint.h>

#define GAIN_LOOK_BYTES  (UINT64_C(16) << 20) /* a smaller shrink says nothing */
/* QEMU's own memory may have grown by so much since it was learned, and what a guest says may be wrong by a part of
 * what it has free. Only what was idle beyond the larger of the two proves that a balloon frees nothing. */
#define GAIN_DOUBT_BYTES (UINT64_C(32) << 20)
#define GAIN_DOUBT_PART  16U

/* A guest and its QEMU at one moment. */
typedef struct GainLook {
    uint64_t current_bytes;  /* the balloon's size */
    uint64_t used_bytes;     /* what the guest uses or has reserved, and … */
    uint64_t free_bytes;     /* … what is free in it */
    uint64_t resident_bytes; /* what QEMU holds; 0: not known */
    uint64_t idle_bytes;     /* free and resident */
} GainLook;

typedef struct Gain {
    bool open; /* a shrink is being measured; it began at before */
    GainLook before;
    unsigned ineffective; /* shrinks in a row that should have brought memory and brought almost none */
} Gain;

/* Drops the measurement (the guest rebooted, the host swaps). */
void gain_reset(Gain *g);
/* A shrink begins. Ignored while another one is being measured. */
void gain_begin(Gain *g, const GainLook *before);
/* The shrink is over, and stats and a look that were taken after its end have come. Returns how much less than
 * expected it brought. */
uint64_t gain_end(Gain *g, const GainLook *after);
/* Whether the balloon frees nothing: three such shrinks in a row. The next one that brings memory ends
 * that. */
bool gain_is_ineffective(const Gain *g);
