/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How much a guest suffers from want of memory, as rates over its last reports: whether that is distress, and
 * whether it begins to hurt after something was taken from it. */

#include <math.h>

#include <math.h>

#include "host-agent/guest/sample.h"

/* What counts as distress. Each threshold's reason is in config.def, where its default is. 0: not looked at,
 * neither for distress nor for what hurts. An OOM kill always counts. */
typedef struct StrainConfig {
    double stall_ratio;  /* of the time in which some task stood still for memory (PSI some) */
    double swap_in_rate; /* bytes per second */
    double refault_rate; /* bytes per second of page cache and anonymous memory read back soon after it was
                          * reclaimed */
    double alloc_stall_rate; /* direct reclaims per second */
    double hurt_ratio; /* of a threshold above: a guest that was shrunk lately, and reaches this and more
                        * than twice what it was before, begins to hurt; 0: none does */
} StrainConfig;

/* Rates over the window; NAN: not known. */
typedef struct Strain {
    double stall;   /* ratio */
    double swap_in; /* bytes per second */
    double refault; /* bytes per second; of a source without refaults, major faults × 4 KiB */
    double alloc_stalls;
    double oom_kills;
} Strain;

#define STRAIN_NONE        ((Strain){NAN, NAN, NAN, NAN, NAN})
#define STRAIN_WINDOW_USEC (2 * USEC_PER_SEC)

/* Over at most window_usec. Where reports come slower than that, over the last two. Values are finite and
 * held within what is possible (a ratio is at most 1), whatever the guest says.
 *
 * Stalls (PSI's, and of allocations) count over stall_window_usec only, where that is less. To take page
 * cache a balloon has the kernel reclaim it, and the kernel counts that as waiting for memory, like
 * anybody's; so what counts is how it was since the balloon rests. What is read back or swapped in tells at
 * any time. 0: stalls aren't known. */
void strain_read(const History *h, usec_t window_usec, usec_t stall_window_usec, Strain *ret);
/* The cause of distress, the worst first (OOM, PSI, stalls, swap-in, refaults); 0: none. Where PSI is known,
 * stalls, swap-in and refaults aren't distress unless stall, too, reaches hurt_ratio of its threshold. */
DistressCause strain_judge(const Strain *s, const StrainConfig *c);
/* Whether it hurts now, beside how it was before it was shrunk (what isn't known of that counts as nothing).
 * Returns what it is, as in strain_judge(); 0: not. */
DistressCause strain_hurts(const Strain *now, const Strain *before, const StrainConfig *c);
