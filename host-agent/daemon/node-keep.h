/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host's state variables of a policy, as it decides about guests that are bound to NUMA nodes: a copy for each
 * set of nodes, as long as guests are bound to it. */

#include "host-agent/decide/decision.h"
#include "policy/policy.h"

typedef struct NodeKeep {
    SnapshotNodeState *states;
    size_t n;
} NodeKeep;

void node_keep_done(NodeKeep *k);
/* Makes the copies of a policy that replaces old, as policy_keep_copy(). *ret is set on success only. 0 or -ENOMEM. */
int node_keep_copy(NodeKeep *ret, const NodeKeep *now, const Policy *policy, const Policy *old);
/* After a cycle. Without memory the copies stay as they were. */
void node_keep_update(NodeKeep *k, const Policy *policy, const Plan *p);
