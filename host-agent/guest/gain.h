/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a shrink of a guest brings the host, measured by the RSS of its QEMU.
 *
 * RSS includes QEMU's own memory (the overhead), and the kernel doesn't say how much that is. So it is learnt
 * from shrinks. A shrink is expected to bring what it takes, as far as the guest's free memory was resident
 * beyond the overhead. Page cache isn't expected to bring anything, because the guest may have read more of
 * it meanwhile. What the shrink brought is the fall of RSS plus what the guest itself began to use meanwhile.
 * If it brought less than expected, the difference is added to the overhead; if it brought more than was
 * thought to be resident, the overhead was too large and is lowered. If RSS doesn't fall at all, the balloon
 * is ineffective: it frees nothing.
 *
 * While the host swaps, RSS proves nothing: the caller measures no shrink then, and drops the one that it is
 * measuring (gain_reset()). A guest that lies about its free memory is found ineffective in the end, as is
 * one whose balloon doesn't move; both are shown. */

#include <stdbool.h>
#include <stdint.h>

#define GAIN_OVERHEAD_BYTES (UINT64_C(48) << 20) /* QEMU's own, until something was learnt */
#define GAIN_LOOK_BYTES     (UINT64_C(16) << 20) /* a smaller shrink says nothing */

/* A guest and its QEMU at one moment. */
typedef struct GainLook {
    uint64_t current_bytes; /* the balloon's size */
    uint64_t free_bytes;    /* free in the guest */
    uint64_t rss_bytes;     /* of its QEMU */
} GainLook;

/* How much of the guest's free memory is resident on the host: memory that the guest touched once and hasn't
 * given back. It is what QEMU holds beyond the memory that the guest uses and beyond its own overhead. */
uint64_t gain_resident_free(const GainLook *l, uint64_t overhead_bytes);

typedef struct Gain {
    uint64_t overhead_bytes; /* at most 1 GiB; 0: nothing learnt, then GAIN_OVERHEAD_BYTES */
    bool open;               /* a shrink is being measured; it began at before */
    GainLook before;
    unsigned ineffective; /* shrinks in a row that should have brought memory and brought almost none */
} Gain;

/* Drops the measurement (the guest rebooted, the host swaps). The QEMU is still the same, so the overhead is
 * kept. */
void gain_reset(Gain *g);
/* A shrink begins. Ignored while another one is being measured. */
void gain_begin(Gain *g, const GainLook *before);
/* The shrink is over, and stats that were collected after its end have come. */
void gain_end(Gain *g, const GainLook *after);
/* QEMU's own memory: as learnt, else GAIN_OVERHEAD_BYTES. */
uint64_t gain_overhead(const Gain *g);
/* Whether the balloon frees nothing: three such shrinks in a row. The next one that brings memory ends
 * that. */
bool gain_is_ineffective(const Gain *g);
