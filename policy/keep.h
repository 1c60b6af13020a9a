/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is kept for a policy from one evaluation to the next, of the host or of one guest: the values of its
 * state variables, and the history of the stats that it looks back at. */

#include "policy/policy.h"

typedef struct PolicyKeep {
    double *state; /* NULL: no state variables */
    SeriesSet history;
} PolicyKeep;

void policy_keep_done(PolicyKeep *k);
/* What is to be kept for a policy that takes the place of old (NULL: there was none): what both know goes on
 * from now. *ret is set on success only. 0 or -ENOMEM. */
int policy_keep_copy(PolicyKeep *ret, bool host, const PolicyKeep *now, const Policy *policy,
                     const Policy *old);
/* The guest booted: all begins anew. */
void policy_keep_reset(PolicyKeep *k, bool host, const Policy *policy);
/* state: the values after an evaluation; NULL: there are none. */
void policy_keep_state(PolicyKeep *k, bool host, const Policy *policy, const double *state);
