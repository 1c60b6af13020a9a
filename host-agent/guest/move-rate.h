/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How fast a balloon moves, each way, in bytes per second, without the time that passes before a move begins
 * and until its end is seen (the latency). On a small move that latency is most of the time.
 *
 * A move takes latency + bytes / rate. So two moves of different sizes show the rate: the difference in bytes
 * by the difference in time. So do two looks at one move on its way. The rate is the median of what each two
 * of the last moves show, and each move by itself: one odd move doesn't count. */

#include <stdbool.h>
#include <stdint.h>

#include "base/time-util.h"

#define MOVE_RATE_MIN_BYTES   (UINT64_C(8) << 20) /* a shorter move says nothing about the rate */
/* A difference below this says nothing, as looks are up to a quarter of a second late. A move below this
 * never lowers the rate. */
#define MOVE_RATE_SPAN_BYTES  (UINT64_C(32) << 20)
/* While only the limit of a single size is known, a rate below this is taken for latency: not measured. */
#define MOVE_RATE_LEAST_KNOWN (128.0 * 1024 * 1024)
#define MOVE_RATE_MOVES       8U

/* A move that arrived. */
typedef struct RateMove {
    uint64_t bytes;
    usec_t usec;
    double pace; /* seconds per byte on its way; 0: not seen */
} RateMove;

/* The last moves one way. */
typedef struct RateMoves {
    RateMove moves[MOVE_RATE_MOVES];
    unsigned next, count;
} RateMoves;

/* A size on the way, and when it was seen; usec is 0: none. */
typedef struct RateLook {
    uint64_t bytes;
    usec_t usec;
} RateLook;

typedef struct MoveRate {
    double shrink, grow;  /* 0: not measured */
    RateLook first, last; /* of the move on its way: the first and the last progress */
    RateMoves shrinks, growths;
} MoveRate;

/* The balloon was reset: earlier measurements are no longer valid. */
void move_rate_reset(MoveRate *r);
/* A move begins; and a move shows progress, at this size. */
void move_rate_begin(MoveRate *r);
void move_rate_progress(MoveRate *r, uint64_t at_bytes, usec_t now_usec);
/* A move arrived; it was sent from sent_from_bytes at sent_usec. Where all moves have one size, and none was
 * seen on its way, the rate is at least the fastest of them with its latency. */
void move_rate_arrive(MoveRate *r, uint64_t sent_from_bytes, usec_t sent_usec, uint64_t at_bytes, bool grew,
                      usec_t now_usec);
