/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's monotonic clock as a test sets it, so that hours pass at once. Programs that include this are linked
 * with --wrap=now_usec. sd-event goes by the real clock. */

#include "base/time-util.h"

static usec_t clock_usec; /* 0: the real one */

usec_t __real_now_usec(clockid_t clock);
usec_t __wrap_now_usec(clockid_t clock);

usec_t __wrap_now_usec(clockid_t clock)
{
    return clock == CLOCK_MONOTONIC && clock_usec > 0 ? clock_usec : __real_now_usec(clock);
}
