/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Log lines about a guest whose pace the guest itself sets. Of each kind only a few a minute are logged (log-limit.h);
 * the rest are logged at debug, and counted. */

#include "host-agent/guest/guest.h"

/* The level to log one more line with: the given one, or LOG_DEBUG where that were too many. */
int guest_log_level(Guest *g, GuestLine line, int level, usec_t now_usec);
/* To be called now and then: logs how many lines were left out in the last minute. */
void guest_log_tend(Guest *g, usec_t now_usec);
