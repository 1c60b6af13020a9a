/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads clocks in microseconds. */

#include "base/time-util.h"

#include <assert.h>

usec_t now_usec(clockid_t clock)
{
    struct timespec ts;
    int r;

    r = clock_gettime(clock, &ts);
    assert(r == 0);
    (void) r;

    return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / NSEC_PER_USEC;
}

usec_t usec_since(usec_t then_usec, usec_t now)
{
    if (then_usec == USEC_INFINITY)
        return USEC_INFINITY;

    return now > then_usec ? now - then_usec : 0;
}
