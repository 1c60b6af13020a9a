/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a decision is made from, as a dictionary: ballast-snapshot(5). Beside the manager, so that tests can
 * write any snapshot. */

#include "host-agent/decide/guard.h"
#include "host-agent/show/dict.h"
#include "policy/policy.h"

/* Values of history that one snapshot tells, of all guests together: each takes 24 bytes on the bus. */
#define SNAPSHOT_HISTORY_MAX (256U * 1024U)

/* A stat with its unit behind its name. */
void describe_field(Dict *d, const FieldInfo *info, double value);
/* policy: whose state the snapshot holds; may be NULL. Only the first guests_max guests are written, and history
 * only where all of it fits. */
void describe_snapshot(Dict *d, const Snapshot *s, const GuardConfig *guard, const Policy *policy,
                       size_t guests_max);
