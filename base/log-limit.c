/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counts log lines within a minute. */

#include "base/log-limit.h"

static bool is_over(const LogLimit *l, usec_t now_usec)
{
    return l->since_usec == 0 || usec_since(l->since_usec, now_usec) >= LOG_LIMIT_USEC;
}

bool log_limit_take(LogLimit *l, usec_t now_usec)
{
    if (is_over(l, now_usec)) {
        l->since_usec = now_usec;
        l->logged = 0;
    }
    if (l->logged < LOG_LIMIT_LINES) {
        l->logged++;
        return true;
    }
    if (l->left_out < UINT32_MAX)
        l->left_out++;
    return false;
}

unsigned log_limit_left_out(LogLimit *l, usec_t now_usec)
{
    unsigned n = is_over(l, now_usec) ? l->left_out : 0;

    if (n > 0)
        l->left_out = 0;
    return n;
}

bool log_limit_is_idle(const LogLimit *l, usec_t now_usec)
{
    return l->left_out == 0 && is_over(l, now_usec);
}
