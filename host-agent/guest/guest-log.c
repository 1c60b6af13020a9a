/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps a guest from filling the log. */

#include "host-agent/guest/guest-log.h"

#include "base/log.h"

int guest_log_level(Guest *g, GuestLine line, int level, usec_t now_usec)
{
    return log_limit_take(&g->lines[line], now_usec) ? level : LOG_DEBUG;
}

void guest_log_tend(Guest *g, usec_t now_usec)
{
    static const char *const about[GUEST_LINE_MAX] = {
        [GUEST_LINE_CHANNEL] = "its agent's channel",
        [GUEST_LINE_BALLOON] = "its balloon",
        [GUEST_LINE_STATE] = "its state",
        [GUEST_LINE_MOVE] = "its moves",
        [GUEST_LINE_POLICY] = "it in the policy",
    };

    for (GuestLine line = 0; line < GUEST_LINE_MAX; line++) {
        unsigned n = log_limit_left_out(&g->lines[line], now_usec);

        if (n > 0)
            log_notice("%s: %u more line%s about %s left out of the log in the last minute", g->info.name, n,
                       n == 1 ? "" : "s", about[line]);
    }
}
