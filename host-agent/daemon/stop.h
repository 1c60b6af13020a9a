/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A clean stop: cycles end, KSM is restored, and with OnStop=release all guests get their memory back before
 * the daemon ends. A second signal ends it at once. */

#include <sys/signalfd.h>

#include "host-agent/daemon/cycle.h"

typedef struct Stop {
    Cycle *cycle;
    sd_event_source *timer;
    usec_t until_usec; /* the end of the wait for released guests */
    bool stopping;
} Stop;

/* From now on SIGTERM and SIGINT, which must be blocked, end the loop of the cycle. cycle must outlive it. 0
 * or -errno. */
int stop_init(Stop *s, Cycle *cycle);
/* Who sent a signal. */
Actor actor_of_signal(const struct signalfd_siginfo *si);
void stop_done(Stop *s);
