/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From those who can spare it to those in distress, in the same cycle. What guests in distress want and the
 * host has no room for, others release for them: first free memory that the host really gets, from who has
 * most of it; then page cache, from who has most of that, a part at a time. Each keeps keep_ratio of its size
 * available, and no rule of the guard is bent for it. What they released becomes room, which the next cycles
 * give to who is in distress: nothing is outstanding before it is there.
 *
 * Internal to decide/. Pure. */

#include "host-agent/decide/reason.h"

/* A guest that waits for memory for this part of its time gives no page cache: it may live off it. */
#define DONOR_STALL_RATIO 0.01

/* Lowers the targets of guests that give to those in distress, after all else was decided, and says in their
 * wishes what of. 0 or -ENOMEM. */
int donors_ask(const Snapshot *s, const GuardConfig *c, Wish *wishes, Decision *decisions, Requests *ret);
