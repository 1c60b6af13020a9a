/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One cycle's decisions: snapshot → bounds → policy → guard → plan. Pure. */

#include "host-agent/decide/decision.h"

/* Makes the plan. policy may be NULL: then the guard makes only its own moves (distress, donors, hurting,
 * reboot, floor, ceiling). Returns 0 or -ENOMEM.
 *
 * A policy counts on what it takes from a guest. So it runs twice if some guests are moved and others only
 * observed: once with the observed ones held, for the guests that are moved, and once as if all could be
 * moved, for what would happen to the observed ones.
 *
 * Guests that are bound to NUMA nodes may be judged by the memory of these (group.h). */
int plan_make(const Snapshot *s, const Policy *policy, const GuardConfig *c, Plan *ret);
