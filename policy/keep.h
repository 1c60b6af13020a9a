/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Kept for a policy from one evaluation to the next, for the host or for one guest: the values of its state
 * variables, and the history of the stats that its windows need. */

#include "policy/policy.h"

typedef struct PolicyKeep {
    double *state; /* NULL: no state variables */
    SeriesSet history;
} PolicyKeep;

void policy_keep_done(PolicyKeep *k);
/* Makes the kept values of a policy that replaces old (NULL: none). State and history that both have go on.
 * *ret is set on success only. Returns 0 or -ENOMEM. */
int policy_keep_copy(PolicyKeep *ret, bool host, const PolicyKeep *now, const Policy *policy,
                     const Policy *old);
/* The guest booted: everything starts again. */
void policy_keep_reset(PolicyKeep *k, bool host, const Policy *policy);
/* state: the values after an evaluation; NULL: none. */
void policy_keep_state(PolicyKeep *k, bool host, const Policy *policy, const double *state);
