/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How fast a balloon moves, each way, in bytes per second: smoothed over the moves that got there. */

#include <stdbool.h>
#include <stdint.h>

#include "base/time-util.h"

#define MOVE_RATE_MIN_BYTES (UINT64_C(8) << 20) /* a shorter way says nothing about the rate */

typedef struct MoveRate {
    double shrink, grow; /* 0: not measured */
    uint64_t from_bytes; /* the move on its way: where its first progress was seen … */
    usec_t from_usec;    /* … and when; 0: none was seen yet */
} MoveRate;

/* The balloon was reset: what was measured says nothing any more. */
void move_rate_reset(MoveRate *r);
/* A move begins; and shows progress, at that size. */
void move_rate_begin(MoveRate *r);
void move_rate_progress(MoveRate *r, uint64_t at_bytes, usec_t now_usec);
/* It got there, from where it was sent. The rate is that between the first progress seen and the arrival. A move
 * that was over when it was first looked at says only how fast it was at the least, so it counts where that is faster
 * than what was known. */
void move_rate_arrive(MoveRate *r, uint64_t sent_from_bytes, usec_t sent_usec, uint64_t at_bytes, bool grew,
                      usec_t now_usec);
