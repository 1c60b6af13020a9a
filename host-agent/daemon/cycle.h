/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One cycle: read the host, take a snapshot of all guests, decide, act. A cycle runs each interval, and at
 * once when somebody asks for one. Between cycles a tick looks at balloons that are on their way. */

#include <systemd/sd-event.h>

#include "host-agent/act/host-ksm.h"
#include "host-agent/act/hypervisor.h"
#include "host-agent/daemon/critical.h"
#include "host-agent/daemon/looks.h"
#include "host-agent/daemon/policies.h"
#include "host-agent/sense/host-watch.h"
#include "host-agent/sense/neighbours.h"

/* The objects that a cycle works on. All of them must outlive it. */
typedef struct CycleParts {
    sd_event *event;
    const Config *config;
    HostWatch *watch;
    Guests *guests;
    Looks *looks;
    GuestHost *guest_host; /* updated when the host is read */
    RunningPolicy *policy;
    const Hypervisor *hypervisor;
    HostKsm *ksm;
    const Neighbours *neighbours;
    const bool *connected; /* to libvirt */
} CycleParts;

/* What was logged, so that it isn't logged again each cycle. */
typedef struct CycleLog {
    uint64_t notes;        /* those of the last cycle, as a key: see log_notes() */
    usec_t logs_usec;      /* when the present second began, in which … */
    size_t logs, left_out; /* … so many lines of the policy's log() were logged, and left out */
    LogLimit limit;        /* of notes that are about no single guest */
    uint64_t oom_kills;    /* of the host that were reported */
    usec_t oom_usec;       /* when; 0: never */
} CycleLog;

typedef struct Cycle {
    CycleParts parts;
    sd_event_source *timer; /* the next cycle: regular, or brought forward by cycle_wake(); NULL: stopped */
    sd_event_source *tick;  /* looks at balloons that are on their way; off while none is */
    Plan plan;              /* of the last cycle; each guest also keeps its own decision */
    usec_t began_usec;      /* when the last one began; 0: none has */
    usec_t took_usec;
    uint64_t count;
    CycleLog log;
    Criticals critical;
} Cycle;

/* The first cycle runs as soon as the loop does. 0 or -errno. */
int cycle_init(Cycle *c, const CycleParts *parts);
void cycle_done(Cycle *c);
/* Ends the regular cycles. */
void cycle_stop(Cycle *c);

/* Before the daemon ends: sends squeezed guests their sizes, as far as libvirt takes them now. Returns whether there are
 * any left. */
bool cycle_end_squeezes(const Cycle *c);

/* Runs a cycle now. */
void cycle_run(Cycle *c);
/* Asks for a cycle now, or at the given time after the last one began. Several requests in a row make one
 * cycle, and two cycles are never less than 50 ms apart, whatever guests and clients do. */
void cycle_wake(Cycle *c);
void cycle_wake_in(Cycle *c, usec_t wait_usec);
/* Starts the tick, for balloons that were moved outside of a cycle. */
void cycle_watch(Cycle *c);
/* How much all guests together may grow now, in bytes; 0 if the host can't be read. */
uint64_t cycle_room(Cycle *c);
/* To be called before the policy of the last plan is freed: forgets the texts that the plan borrows from
 * it. */
void cycle_forget_words(Cycle *c);
