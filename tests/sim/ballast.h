/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ballast on the simulated host: its guests (host-agent/guest/guest.c and its parts), its default policy, its
 * guard and its plan are the daemon's. This file does what the daemon's loop does around them, on simulated
 * time: reports and stats come, cycles run, targets go out. */

#include "host-agent/config/config.h"
#include "host-agent/guest/guest.h"
#include "tests/sim/checks.h"
#include "tests/sim/world.h"

#define BALLAST_QUEUE 32U

/* A message of an agent on its way. cause: 0 for a report. */
typedef struct BallastMessage {
    usec_t due_usec;
    DistressCause cause;
    Report report;
} BallastMessage;

typedef struct BallastGuest {
    Guest *guest; /* NULL: isn't running */
    usec_t boot_usec;
    BallastMessage queue[BALLAST_QUEUE];
    unsigned first, last; /* of the queue, counted up */
    usec_t report_usec, fast_usec, stats_usec, look_usec, told_usec;
    double told_stall_usec;
} BallastGuest;

typedef struct Ballast {
    GuestHost host;
    Audience audience; /* no listener */
    HostFields fields;
    Config *config;
    Policy *policy;
    PolicyKeep keep;
    Plan plan;
    SimWorld *world;
    BallastGuest guests[SIM_GUESTS_MAX];
    usec_t next_usec; /* cycle */
    double moved;
    Checks checks;
} Ballast;

/* policy: a file. 0 or -errno. */
int ballast_init(Ballast *b, SimWorld *w, const char *policy);
void ballast_done(Ballast *b);
/* To be called after each tick of the world. */
void ballast_tick(Ballast *b);

/* ballast-levers.c: guests' own kernels, on a small host. The agent of a guest that has just appeared says what they
 * can do; and what they answer comes in, in each tick. */
void ballast_levers_hello(Ballast *b, size_t guest);
void ballast_levers_tick(Ballast *b, size_t guest);
/* In each cycle: asks for what the plan wants. index: of the snapshot's guests in the world. */
void ballast_levers_apply(Ballast *b, const Snapshot *s, const size_t *index);
