/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Takes memory from guests that can spare it, for guests in distress, in the same cycle. What guests in
 * distress want beyond the host's room, others release for them: first free memory that the host really gets,
 * from the guest that has most of it; then page cache, from the guest that has most of that, a part at a
 * time. Each keeps keep_ratio of its size available, and no rule of the guard is relaxed. Released memory
 * becomes room, which the next cycles give to guests in distress: nothing is given before the host has it.
 *
 * Internal to decide/. Pure. */

#include "host-agent/decide/reason.h"

/* A guest that waits for memory for this part of its time gives no page cache, as it may need it. */
#define DONOR_STALL_RATIO 0.01

/* Lowers the targets of guests that give to those in distress, after everything else was decided, and records
 * in their wishes what they give. Returns 0 or -ENOMEM. */
int donors_ask(const Snapshot *s, const GuardConfig *c, Wish *wishes, Decision *decisions, Requests *ret);
