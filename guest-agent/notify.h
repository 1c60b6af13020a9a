/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells the service manager how we are, by the protocol of sd_notify(3), where NOTIFY_SOCKET names it. */

#include "base/time-util.h"

/* state: lines "KEY=value", as "READY=1\nSTATUS=…". Returns 1 where it was told, 0 where nobody asked, or
 * -errno. Never blocks. */
int notify_send(const char *state);
/* How often WATCHDOG=1 is to be said (half of what the service manager allows); USEC_INFINITY: not at all. */
usec_t notify_watchdog_usec(void);
