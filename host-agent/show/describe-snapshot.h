/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The input of a decision as a dictionary: ballast-snapshot(5). It doesn't need the manager, so that tests
 * can write any snapshot. */

#include "host-agent/decide/guard.h"
#include "host-agent/show/dict.h"
#include "policy/policy.h"

/* The most values of history in one snapshot, for all guests together: each takes 24 bytes on the bus. */
#define SNAPSHOT_HISTORY_MAX (256U * 1024U)

/* Writes a stat; the key is its name with the unit behind it. */
void describe_field(Dict *d, const FieldInfo *info, double value);
/* Writes "nodes": the memory of each node; nothing for NULL. */
void describe_nodes(Dict *d, const SnapshotNode *nodes);
/* policy: the one whose state the snapshot holds; may be NULL. Writes at most guests_max guests, and history
 * only if all of it fits. */
void describe_snapshot(Dict *d, const Snapshot *s, const GuardConfig *guard, const Policy *policy,
                       size_t guests_max);
