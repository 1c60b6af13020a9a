/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How fast memory is reclaimed, and when that ends: in small steps, with a look at what each did.
 *
 * The host can't know what a guest will miss. So the guest takes a step, waits a moment, and looks whether
 * what it took is read back (refaults) or tasks wait for memory (PSI). At the first sign it stops, after 4 MiB
 * or so too much. What a step did may also show only in the next look, as the refaults count from the step's
 * beginning.
 *
 * Pure: the caller carries the steps out and reads the reports. */

#include "proto/codec.h"

#define PACE_STEP_BYTES (UINT64_C(4) * 1024 * 1024)

/* From the end of a step to the look at it: a task that misses a page mostly does so at once. */
#define PACE_WAIT_USEC (50 * USEC_PER_MSEC)

typedef struct Pace {
    uint64_t wanted_bytes;
    bool anon; /* anonymous memory is taken, too, so its refaults count */

    /* What came of it so far. */
    uint64_t got_bytes, refaulted_bytes;
    usec_t stalled_usec, cpu_usec;

    Report before; /* this step */
    uint64_t step_bytes;
    unsigned poor_steps; /* in a row */
} Pace;

/* Begins; now: the guest before the first step. */
void pace_start(Pace *p, uint64_t wanted_bytes, bool anon, const Report *now);
/* How much to take in the next step. */
uint64_t pace_step(const Pace *p);
/* The step was taken. Call pace_look() PACE_WAIT_USEC later. */
void pace_stepped(Pace *p, uint64_t got_bytes, usec_t cpu_usec);
/* Returns 0: take the next step; or why it ends. */
int pace_look(Pace *p, const Report *now);
