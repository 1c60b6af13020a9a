/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The service manager: notified by the protocol of sd_notify(3), if NOTIFY_SOCKET names its socket; and the socket that
 * it passes, by that of sd_listen_fds(3). */

#include "base/time-util.h"

/* state: lines "KEY=value", such as "READY=1\nSTATUS=…". Returns 1 if it was sent, 0 without NOTIFY_SOCKET,
 * or -errno. Never blocks. */
int notify_send(const char *state);
/* How often to send WATCHDOG=1 (half of what the service manager allows); USEC_INFINITY: never. */
usec_t notify_watchdog_usec(void);
/* The listening socket that the service manager passed to this process; -EBADF if it passed none, or several. */
int notify_listen_fd(void);
