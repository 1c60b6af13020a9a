/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How fast a balloon moves, each way, in bytes per second: smoothed over the moves that got there. */

#include <stdbool.h>
#include <stdint.h>

#include "base/time-util.h"

#define MOVE_RATE_MIN_BYTES (UINT64_C(8) << 20) /* a shorter move says nothing about the rate */

typedef struct MoveRate {
    double shrink, grow; /* 0: not measured */
    uint64_t from_bytes; /* of the move on its way: the size at its first progress … */
    usec_t from_usec;    /* … and when that was seen; 0: not yet */
} MoveRate;

/* The balloon was reset: earlier measurements are no longer valid. */
void move_rate_reset(MoveRate *r);
/* A move begins; and a move shows progress, at this size. */
void move_rate_begin(MoveRate *r);
void move_rate_progress(MoveRate *r, uint64_t at_bytes, usec_t now_usec);
/* A move arrived; it was sent from sent_from_bytes at sent_usec. The rate is measured between the first
 * progress seen and the arrival. A move that was over at the first look gives only a lower limit, which
 * counts if it is higher than the rate known so far. */
void move_rate_arrive(MoveRate *r, uint64_t sent_from_bytes, usec_t sent_usec, uint64_t at_bytes, bool grew,
                      usec_t now_usec);
