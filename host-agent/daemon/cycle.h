/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One cycle: read the host, take a snapshot of all guests, decide, act. It runs each interval, and at once when it
 * is asked for; between cycles a tick looks at balloons that are on their way. */

#include <systemd/sd-event.h>

#include "host-agent/act/host-ksm.h"
#include "host-agent/act/hypervisor.h"
#include "host-agent/daemon/policies.h"
#include "host-agent/sense/host-watch.h"
#include "host-agent/sense/neighbours.h"

/* What a cycle works on. All of it must outlive the cycle. */
typedef struct CycleParts {
    sd_event *event;
    const Config *config;
    HostWatch *watch;
    Guests *guests;
    GuestHost *guest_host; /* which learns from each reading of the host */
    RunningPolicy *policy;
    const Hypervisor *hypervisor;
    HostKsm *ksm;
    const Neighbours *neighbours;
    const bool *connected; /* libvirt is there */
} CycleParts;

/* What was logged of the policy, so that it isn't logged again each cycle. */
typedef struct CycleLog {
    uint64_t notes;        /* which the last cycle had: see tell_notes() */
    usec_t logs_usec;      /* begin of the second in which … */
    size_t logs, left_out; /* … that many lines of the policy's log() were logged, and weren't */
} CycleLog;

typedef struct Cycle {
    CycleParts parts;
    sd_event_source *timer; /* the next cycle: regular, or brought forward by cycle_wake(); NULL: stopped */
    sd_event_source *tick;  /* looks at balloons that are on their way; off while none is */
    Plan plan;              /* of the last cycle; each guest has its own decision of it, too */
    usec_t began_usec;      /* when the last one began; 0: none has */
    usec_t took_usec;
    uint64_t count;
    CycleLog log;
} Cycle;

/* The first cycle runs as soon as the loop does. 0 or -errno. */
int cycle_init(Cycle *c, const CycleParts *parts);
void cycle_done(Cycle *c);
/* No cycle runs from now on. */
void cycle_stop(Cycle *c);

/* Runs one now. */
void cycle_run(Cycle *c);
/* Asks for one now, or that long after the last one began; several in a row are one, and two are never nearer to each
 * other than 50 ms, whatever guests and clients do. */
void cycle_wake(Cycle *c);
void cycle_wake_in(Cycle *c, usec_t wait_usec);
/* Has the tick look at balloons that were sent outside of a cycle. */
void cycle_watch(Cycle *c);
/* How much guests may grow just now, all together, in bytes; 0 where the host can't be read. */
uint64_t cycle_room(Cycle *c);
/* The policy that made the last plan goes: what the plan borrowed from it is forgotten. */
void cycle_forget_words(Cycle *c);
