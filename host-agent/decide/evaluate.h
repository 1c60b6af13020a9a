/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One cycle's decisions: snapshot → bounds → policy → guard → plan. Pure. */

#include "host-agent/decide/decision.h"

/* Works out the plan. policy may be NULL (then only the guard's own moves: distress, those who give to it,
 * hurting, reboot, floor, ceiling). 0 or -ENOMEM.
 *
 * A policy counts on what it takes from a guest. Where some guests are moved and others only observed, it
 * therefore runs twice: once with the observed ones held, for the guests that are moved, and once as if all
 * could be moved, for what would happen to the observed ones. */
int plan_make(const Snapshot *s, const Policy *policy, const GuardConfig *c, Plan *ret);
