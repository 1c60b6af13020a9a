/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A clean stop: cycles end, KSM is put back, and with OnStop=release all memory is given back before the daemon
 * ends. A second signal ends it at once. */

#include "host-agent/daemon/cycle.h"

typedef struct Stop {
    Cycle *cycle;
    sd_event_source *timer;
    usec_t until_usec; /* how long the release is waited for */
    bool stopping;
} Stop;

/* Ends the loop of the cycle's event on SIGTERM and SIGINT, which must be blocked. cycle must outlive it. 0 or
 * -errno. */
int stop_init(Stop *s, Cycle *cycle);
void stop_done(Stop *s);
