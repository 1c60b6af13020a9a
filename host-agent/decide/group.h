/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Divides a snapshot where guests are bound to NUMA nodes, so that each guest gets only memory that it can use, and
 * is judged by that. Memory of another node is of no use to a guest that is bound.
 *
 * Guests that are bound to the same nodes are a group. It is decided as a snapshot of its own, a part: its guests, and
 * as the host's memory that of its nodes. All other guests are the last part, with the whole host's memory.
 *
 * Nodes that have a larger part of their memory available than the host count as if they had the host's part: what
 * their guests give, a guest that isn't bound can use. Where every guest is bound, none can, and nodes count as what
 * they are.
 *
 * Groups with fewer nodes come first. Memory is promised only once: a part counts in what guests of others, which use
 * the same nodes, were given before (Snapshot.apart), and no part has more room than the whole host.
 *
 * Internal to decide/. Pure. */

#include "host-agent/decide/decision.h"

/* Guests with yet other sets of nodes are judged by the whole host. */
#define GROUPS_MAX 64U

typedef struct Groups {
    const Snapshot *whole;
    uint64_t nodes[GROUPS_MAX + 1]; /* of each group; the last, nodes[n], is 0: the whole host's */
    size_t n;
    bool unbound;          /* a guest can use all nodes */
    uint8_t *of;           /* each guest's group, n: the whole host's */
    SnapshotGuest *guests; /* all, as they will be when the decisions are carried out */
    SnapshotGuest *part;   /* those of the part at hand */
    size_t *index;         /* of each of them in the whole snapshot */
    SeriesSet history;     /* the host's, for a part */
} Groups;

/* Finds the groups. n is 0 if there are none: then nothing is to be freed. 0 or -ENOMEM. */
int groups_find(const Snapshot *s, Groups *ret);
void groups_done(Groups *g);
/* The i-th part, to be decided after those before it; n: the whole host's. It borrows from g until the next one. */
void groups_part(Groups *g, size_t i, const GuardConfig *c, Snapshot *ret);
/* Makes the plan that the parts' plans are added to; n_states: a policy's state variables of a guest. 0 or -ENOMEM. */
int groups_begin(const Groups *g, size_t n_states, Plan *ret);
/* Adds the plan of the part at hand, and frees it. Adding the last one completes the whole plan. */
void groups_add(Groups *g, size_t i, size_t n_states, Plan *part, Plan *plan);
