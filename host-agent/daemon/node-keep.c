/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps a policy's state for guests that are bound to NUMA nodes. */

#include "host-agent/daemon/node-keep.h"

#include <string.h>

void node_keep_done(NodeKeep *k)
{
    for (size_t i = 0; i < k->n; i++)
        free(k->states[i].state);
    free(k->states);
    *k = (NodeKeep){};
}

/* There is room in states. */
static double *add(NodeKeep *k, uint64_t nodes, size_t n_states)
{
    double *state = calloc(n_states, sizeof *state);

    if (state)
        k->states[k->n++] = (SnapshotNodeState){.nodes = nodes, .state = state};
    return state;
}

int node_keep_copy(NodeKeep *ret, const NodeKeep *now, const Policy *policy, const Policy *old)
{
    NodeKeep k = {};
    size_t n_states;

    (void) policy_states(policy, true, &n_states);
    if (n_states > 0 && now->n > 0) {
        k.states = calloc(now->n, sizeof *k.states);
        for (size_t i = 0; k.states && i < now->n; i++) {
            double *state = add(&k, now->states[i].nodes, n_states);

            if (state)
                policy_states_carry(policy, true, old, now->states[i].state, state);
        }
        if (k.n < now->n) {
            node_keep_done(&k);
            return -ENOMEM;
        }
    }
    *ret = k;
    return 0;
}

void node_keep_update(NodeKeep *k, const Policy *policy, const Plan *p)
{
    NodeKeep new = {};
    size_t n_states;

    (void) policy_states(policy, true, &n_states);
    if (n_states > 0 && p->n_groups > 0) {
        new.states = calloc(p->n_groups, sizeof *new.states);
        for (size_t i = 0; new.states &&i < p->n_groups; i++) {
            double *state = add(&new, p->groups[i].nodes, n_states);

            if (state)
                memcpy(state, p->groups[i].state, n_states * sizeof *state);
        }
        if (new.n < p->n_groups) {
            node_keep_done(&new);
            return;
        }
    }
    node_keep_done(k);
    *k = new;
}
