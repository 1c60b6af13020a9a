/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What must hold at every moment of a simulation, whatever guests do. The first thing that doesn't is put
 * into words; the rest is counted. */

#include "host-agent/decide/decision.h"
#include "tests/sim/world.h"

#define CHECKS_TEXT_MAX 512

/* How often one guest's target may turn round in a phase. */
#define CHECKS_TURNS_MAX           12U
/* At rest: the last part of a phase. Nobody's demand has changed for 640 s then. It goes on to be looked
 * whether page cache is missed, ever more rarely, and what guests were once found to need fades and is taken
 * bit by bit. So, in that time: how often one guest's target may turn round; and of the host's total, in a
 * minute: what may be moved to and fro, and what at all (where a policy doesn't take its time). */
#define CHECKS_REST_USEC           (300 * USEC_PER_SEC)
#define CHECKS_REST_TURNS          4U
#define CHECKS_PROBED_RATIO        0.002
#define CHECKS_PROBED_PACED_RATIO  0.015
#define CHECKS_MOVED_RATIO         0.005
/* How long a guest in distress may wait for a growth target while there is room, or another has memory to
 * spare and isn't giving yet … */
#define CHECKS_SERVED_USEC         (2 * USEC_PER_SEC)
#define CHECKS_SEEN_USEC           (4 * USEC_PER_SEC) /* until a lack of memory counts as distress */
#define CHECKS_SEEN_AGENTLESS_USEC (8 * USEC_PER_SEC)
/* … and how long in all, with what others need to release it. */
#define CHECKS_RELEASE_USEC        (10 * USEC_PER_SEC)
/* Demand is looked back at for this long when the host becomes critical. */
#define CHECKS_BLAME_SEC           60U

typedef struct CheckedGuest {
    usec_t boot_usec;
    int direction;             /* of its last move: 1, -1; 0: none yet */
    unsigned turns;            /* in this phase … */
    unsigned rest_turns;       /* … and at rest, */
    double rest_up, rest_down; /* where so much was moved */
    unsigned settled_turns;    /* since no one asks for anything else */
    usec_t starved_usec;       /* since when, in truth; 0: isn't */
    usec_t granted_usec;       /* when it was last given something on the account of others */
    unsigned grants;
    bool waits;
    usec_t waits_usec, idle_usec; /* since when it could get memory; and since when no one gives any */
} CheckedGuest;

typedef struct Checks {
    char text[CHECKS_TEXT_MAX]; /* of the first failure */
    unsigned failures;
    bool foreign_policy; /* not Ballast's own: it isn't judged whether it comes to rest */
    bool keeps_plenty;   /* the policy gives memory that is plenty only to those who ask for it */
    bool paced;          /* it takes its time, so that it may still be at it at the end of a phase */
    usec_t settled_usec; /* from when on demand doesn't change; 0: it does to the end */
    uint64_t phase;
    CheckedGuest guests[SIM_GUESTS_MAX];
    double demanded[CHECKS_BLAME_SEC]; /* the world's, in each of the last seconds */
    bool critical;

    /* The most that was seen of what has a bound, and how often it was there to be seen. */
    unsigned most_turns, most_rest_turns, most_claims, most_settled_turns;
    double settled_moved; /* bytes */
    double most_probed, most_moved;
    usec_t longest_idle_usec, longest_wait_usec;
    unsigned served, donations, gifts;
} Checks;

/* After each tick of the world. */
void checks_tick(Checks *c, const SimWorld *w);
/* Before a plan is carried out; index: of the snapshot's guests in the world. */
void checks_plan(Checks *c, const SimWorld *w, const GuardConfig *config, const Snapshot *s, const Plan *p,
                 const size_t *index);
/* After each target that was sent. */
void checks_sent(Checks *c, const SimWorld *w, size_t guest, double from, double to);
/* What guests were given and may still touch; and when all of a plan's targets were sent, with what it was
 * before. */
double checks_given(const SimWorld *w);
void checks_gifts(Checks *c, const SimWorld *w, double before);
