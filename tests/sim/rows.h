/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Rows of make bench-overcommit on the simulated small host (small.h): what guests get done under each rule. */

#include "tests/sim/checks.h"
#include "tests/sim/small.h"

typedef enum SimRow {
    SIM_ROW_FREED,
    SIM_ROW_STALE,
    SIM_ROW_FRAGMENTS,
    SIM_ROW_REREAD,
    SIM_ROW_REST,
    SIM_ROW_MAX
} SimRow;

typedef enum SimRule {
    SIM_RULE_NOTHING,
    SIM_RULE_FPR,         /* from here on with free page reporting … */
    SIM_RULE_COMPACT,     /* … and each guest compacts each 5 s */
    SIM_RULE_RECLAIM,     /* … and each guest reclaims page cache until it misses some (rival.c) */
    SIM_RULE_SCHEDULE,    /* … and balloons, by a policy that knows what guests will do (rivals.py) */
    SIM_RULE_BALLAST,     /* … and policy/balloon.policy, which has the levers */
    SIM_RULE_BALLAST_OFF, /* the same without free page reporting: it has balloons */
    SIM_RULE_SCHEDULE_OFF,
    SIM_RULE_MAX,
} SimRule;

typedef struct SimRowFigures {
    double pages;      /* per second, of all guests */
    double worst;      /* of the guest with the fewest, per second of its own work */
    double cpu_sec;    /* of all guests while it was counted … */
    double swapped_in; /* … and by the host, bytes */
    double moved;      /* by balloons, bytes */
    Checks checks;     /* of Ballast */
} SimRowFigures;

const char *sim_row_to_string(SimRow r);
const char *sim_rule_to_string(SimRule r);
/* source: the folder of the sources, for the policy. 0 or -errno. */
int sim_row_run(SimRow row, SimRule rule, const SimCosts *costs, const char *source, SimRowFigures *ret);
/* Runs and prints all rows, with what real guests did. 0 or -errno: -EBADMSG if a check failed. */
int sim_rows_print(const SimCosts *costs, const char *source);
