/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs one trace under one way of moving balloons, and says how host and guests fared. */

#include "tests/sim/checks.h"

#define SIM_CYCLES 10000U /* of a second */
#define SIM_SEEDS  6U
#define SIM_SETTLED_USEC \
    (5000 * USEC_PER_SEC) /* where a trace settles, by then it has, and so have balloons */

typedef enum SimPolicy {
    SIM_POLICY_NONE, /* nothing is moved */
    SIM_POLICY_MOM,
    SIM_POLICY_BALLOON, /* from here on Ballast, with policy/balloon.policy … */
    SIM_POLICY_CONSERVATIVE,
    SIM_POLICY_DENSE,
    SIM_POLICY_SHARES,
    SIM_POLICY_MAX,
    SIM_POLICY_LAZY = SIM_POLICY_MAX, /* … or tests/sim/lazy.policy: for what the guard does by itself */
} SimPolicy;

typedef struct SimTrace {
    uint64_t seed;
    double load;  /* what is asked for at most, as a share of the host */
    bool settles; /* demand changes no more in the second half */
} SimTrace;

/* Seconds of guests are summed over all that tell the truth. */
typedef struct SimFigures {
    double moved;            /* bytes, as asked for */
    double pressed_sec;      /* host available below min(20 %, 32 GiB) … */
    double critical_sec;     /* … and below min(5 %, 8 GiB) */
    double starved_sec;      /* a guest lacks memory that it uses … */
    double worst_sec;        /* … and the one that did so for longest */
    double killed_sec;       /* of the former, a guest without swap */
    double guest_sec;        /* guests that were there */
    double reread;           /* bytes of page cache that guests missed */
    double throughput;       /* of the guests that live off their page cache, the worst: 1 is all */
    double host_swapped_out; /* bytes */
    double idle_taken;       /* of what idle guests have at full, in the second half of the time: a share */
    double total;            /* the host's memory, bytes */
    Checks checks;           /* of Ballast */
} SimFigures;

const char *sim_policy_to_string(SimPolicy p);
/* The traces that policies are compared on: from hosts with plenty to one that can't give everybody what it
 * asks for, and a fifth of its size to spare. */
SimTrace sim_trace(uint64_t seed);
/* source: the folder of the sources, for policies. 0 or -errno. */
int sim_run(const SimTrace *trace, SimPolicy policy, const char *source, SimFigures *ret);
void sim_print_head(void);
void sim_print(const SimTrace *trace, SimPolicy policy, const SimFigures *f);
