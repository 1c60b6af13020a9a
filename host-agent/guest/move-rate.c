/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How fast a balloon moves. */

#include "host-agent/guest/move-rate.h"

#define WEIGHT 0.3 /* of a new measurement */

void move_rate_reset(MoveRate *r)
{
    r->shrink = r->grow = 0;
}

void move_rate_begin(MoveRate *r)
{
    r->from_usec = 0;
}

void move_rate_progress(MoveRate *r, uint64_t at_bytes, usec_t now_usec)
{
    if (r->from_usec > 0)
        return;
    r->from_bytes = at_bytes;
    r->from_usec = now_usec;
}

void move_rate_arrive(MoveRate *r, uint64_t sent_from_bytes, usec_t sent_usec, uint64_t at_bytes, bool grew,
                      usec_t now_usec)
{
    double *rate = grew ? &r->grow : &r->shrink;
    bool whole = r->from_usec == 0;
    uint64_t from = whole ? sent_from_bytes : r->from_bytes,
             way = from > at_bytes ? from - at_bytes : at_bytes - from;
    usec_t took = usec_since(whole ? sent_usec : r->from_usec, now_usec);
    double measured;

    if (way < MOVE_RATE_MIN_BYTES || took == 0)
        return;
    measured = (double) way * (double) USEC_PER_SEC / (double) took;
    if (!whole || measured > *rate)
        *rate = *rate > 0 ? *rate + WEIGHT * (measured - *rate) : measured;
}
