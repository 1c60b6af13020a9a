/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's clocks as a test sets them, so that hours pass at once. Programs that include this are linked
 * with --wrap=now_usec. sd-event goes by the real clock. */

#include "base/time-util.h"

static usec_t clock_usec, clock_wall_usec; /* monotonic, and of the wall; 0: the real one */

usec_t __real_now_usec(clockid_t clock);
usec_t __wrap_now_usec(clockid_t clock);

usec_t __wrap_now_usec(clockid_t clock)
{
    usec_t set = clock == CLOCK_MONOTONIC ? clock_usec : clock == CLOCK_REALTIME ? clock_wall_usec : 0;

    return set > 0 ? set : __real_now_usec(clock);
}
