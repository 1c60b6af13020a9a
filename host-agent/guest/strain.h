/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How much a guest suffers from lack of memory, as rates over its last reports: whether that is distress, and
 * whether it hurts after memory was taken from it. */

#include <math.h>

#include "host-agent/guest/sample.h"

/* What counts as distress. config.def has each default and the reason for it. A threshold of 0 is never
 * reached, neither for distress nor for hurting. An OOM kill always counts. */
typedef struct StrainConfig {
    double stall_ratio;  /* of the time in which some task waits for memory (PSI some) */
    double swap_in_rate; /* bytes per second */
    double refault_rate; /* bytes per second of page cache and anonymous memory read back soon after it was
                          * reclaimed */
    double alloc_stall_rate; /* direct reclaims per second */
    double
        hurt_ratio; /* of a threshold above: a guest that was shrunk lately hurts if it reaches this, and more
                        * than twice its rate before the shrink; 0: no guest hurts */
} StrainConfig;

/* Rates over the window; NAN: not known. */
typedef struct Strain {
    double stall;   /* ratio */
    double swap_in; /* bytes per second */
    double refault; /* bytes per second; major faults × 4 KiB if the source has no refaults */
    double alloc_stalls;
    double oom_kills;
} Strain;

#define STRAIN_NONE        ((Strain){NAN, NAN, NAN, NAN, NAN})
#define STRAIN_WINDOW_USEC (2 * USEC_PER_SEC)

/* Works out the rates over at most window_usec; if reports come slower than that, over the last two. Values
 * are finite and possible (a ratio is at most 1), whatever the guest reports.
 *
 * Stalls (PSI's, and those of allocations) are counted over stall_window_usec, if that is less; 0 makes them
 * unknown. The caller leaves out the time in which the balloon took page cache: the balloon has the kernel
 * reclaim it, and the kernel counts that as waiting for memory, like anybody's. Memory that is read back or
 * swapped in counts at any time. */
void strain_read(const History *h, usec_t window_usec, usec_t stall_window_usec, Strain *ret);
/* The cause of distress, the worst first (OOM, PSI, stalls, swap-in, refaults); 0: none. If PSI is known,
 * stalls, swap-in and refaults are distress only if PSI's stall reaches hurt_ratio of its threshold, too. */
DistressCause strain_judge(const Strain *s, const StrainConfig *c);
/* Whether the guest hurts now, compared with before it was shrunk (a rate that wasn't known then counts as
 * 0). Returns the cause, as strain_judge() does; 0: it doesn't. */
DistressCause strain_hurts(const Strain *now, const Strain *before, const StrainConfig *c);
