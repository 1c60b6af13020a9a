/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a guest's balloon really brings the host. RSS counts QEMU's own memory, too, and how much that is
 * isn't known: so it is learnt. A shrink should bring what it takes, as far as the guest's free memory was
 * resident beyond QEMU's own; of page cache nothing is expected here, since the guest may have read more of
 * it meanwhile. RSS before less RSS after, and what the guest itself began to use meanwhile (it lets RSS
 * grow), is what it brought. Where that is less, the rest is taken for QEMU's own; where more came than was
 * thought to be there, less is. A guest whose RSS doesn't fall at all is recognised as one for which a
 * balloon frees nothing.
 *
 * While the host swaps, RSS says nothing: the caller looks at no shrink then, and gives up one that it is
 * looking at (gain_reset()). A guest that lies about its free memory ends as one that gives nothing, as does
 * one whose balloon doesn't move: either is shown. */

#include <stdbool.h>
#include <stdint.h>

#define GAIN_OVERHEAD_BYTES (UINT64_C(48) << 20) /* QEMU's own, until something was learnt */
#define GAIN_LOOK_BYTES     (UINT64_C(16) << 20) /* a smaller shrink says nothing */

/* A guest beside its QEMU, at one moment. */
typedef struct GainLook {
    uint64_t current_bytes; /* the balloon's size */
    uint64_t free_bytes;    /* free in the guest */
    uint64_t rss_bytes;     /* of its QEMU */
} GainLook;

/* Free memory is resident on the host where the guest once touched it and hasn't given it back: of what is
 * free, what QEMU holds beyond what the guest uses and beyond its own. */
uint64_t gain_resident_free(const GainLook *l, uint64_t overhead_bytes);

typedef struct Gain {
    uint64_t overhead_bytes; /* at most 1 GiB; 0: nothing learnt, then GAIN_OVERHEAD_BYTES */
    bool open;               /* a shrink is being looked at, which began at before */
    GainLook before;
    unsigned
        ineffective; /* shrinks in a row that should have brought something and brought next to nothing */
} Gain;

/* The look is given up (the guest rebooted, the host swaps). Its QEMU remains, so what was learnt is kept. */
void gain_reset(Gain *y);
/* A shrink begins. Ignored while one is being looked at. */
void gain_begin(Gain *y, const GainLook *before);
/* It is over, and stats that were collected after that have come. */
void gain_end(Gain *y, const GainLook *after);
uint64_t gain_overhead(const Gain *y);
/* A balloon frees nothing here: three such shrinks in a row. The next one that brings something ends that. */
bool gain_is_ineffective(const Gain *y);
