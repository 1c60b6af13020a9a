/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs one trace under one way of moving balloons, and says how host and guests fared. */

#include "tests/sim/checks.h"

#define SIM_CYCLES 10000U /* of a second */
#define SIM_SEEDS  6U

typedef enum SimPolicy {
    SIM_POLICY_NONE, /* nothing is moved */
    SIM_POLICY_MOM,
    SIM_POLICY_BALLAST, /* policy/balloon.policy */
    SIM_POLICY_MAX,
    SIM_POLICY_LAZY =
        SIM_POLICY_MAX, /* Ballast with tests/sim/lazy.policy: for what the guard does by itself */
} SimPolicy;

/* Seconds of guests are summed over all that tell the truth. */
typedef struct SimFigures {
    double moved;            /* bytes, as asked for */
    double pressed_sec;      /* host available below min(20 %, 32 GiB) … */
    double critical_sec;     /* … and below min(5 %, 8 GiB) */
    double starved_sec;      /* a guest lacks memory that it uses … */
    double worst_sec;        /* … and the one that did so for longest */
    double killed_sec;       /* of the former, a guest without swap */
    double reread;           /* bytes of page cache that guests missed */
    double host_swapped_out; /* bytes */
    Checks checks;           /* of Ballast */
} SimFigures;

const char *sim_policy_to_string(SimPolicy p);
/* What is asked for at most on this trace, as a share of the host. */
double sim_load(uint64_t seed);
/* source: the folder of the sources, for policies. 0 or -errno. */
int sim_run(uint64_t seed, SimPolicy policy, const char *source, SimFigures *ret);
void sim_print_head(void);
void sim_print(uint64_t seed, SimPolicy policy, const SimFigures *f);
