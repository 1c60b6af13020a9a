/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Holds what a policy remembers and looks back at between two evaluations. */

#include "policy/keep.h"

#include <string.h>

void policy_keep_done(PolicyKeep *k)
{
    free(k->state);
    series_set_done(&k->history);
    *k = (PolicyKeep){};
}

int policy_keep_copy(PolicyKeep *ret, bool host, const PolicyKeep *now, const Policy *policy,
                     const Policy *old)
{
    PolicyKeep k = {};
    size_t n_states, n_needs;
    const SeriesNeed *needs = policy_needs(policy, &n_needs);
    int r = series_set_copy(&k.history, &now->history, needs, n_needs, host);

    (void) policy_states(policy, host, &n_states);
    if (r >= 0 && n_states > 0) {
        k.state = calloc(n_states, sizeof(*k.state));
        if (k.state)
            policy_states_carry(policy, host, old, now->state, k.state);
        else
            r = -ENOMEM;
    }
    if (r < 0) {
        policy_keep_done(&k);
        return r;
    }
    *ret = k;
    return 0;
}

void policy_keep_reset(PolicyKeep *k, bool host, const Policy *policy)
{
    if (k->state)
        policy_states_carry(policy, host, NULL, NULL, k->state);
    series_set_clear(&k->history);
}

void policy_keep_state(PolicyKeep *k, bool host, const Policy *policy, const double *state)
{
    size_t n;

    (void) policy_states(policy, host, &n);
    if (k->state && state)
        memcpy(k->state, state, n * sizeof(*state));
}
