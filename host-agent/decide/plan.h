/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What becomes of each guest: what the policy and the guard ask for, clipped to the rules and to the host's
 * room. Pure. */

#include "host-agent/decide/decision.h"

/* Fits what a policy asked for to the rules, whatever that is. output: NULL where there is no policy; not read
 * where policy_error says that the policy failed. files: the policy's, by their numbers, without folders;
 * NULL: not known.
 *
 * Growth is served in this order, each guest getting at most what is left of guard_room(): distress,
 * hurting, reboot, below the floor, those in distress whose grant is refused, then the policy's in the order
 * of its assignments; guests that are only observed after all others. A refused grant gets only what lies
 * above the pressure threshold: for what lies below it the policy would ask others. A guest in distress, or
 * hurting, whose shrink is still on its way keeps what it has now without using up room: the host hasn't got
 * that yet. A part of what is wanted that is smaller than dead_band_bytes isn't given. What those in distress
 * still lack then is asked of others (donor.h).
 *
 * A guest that is above its full size, which was said or which it may grow above, comes down to it by itself:
 * by what it has free, and keeping keep_ratio of its size available, unless the host is below its pressure
 * threshold. */
int plan_apply(const Snapshot *s, const GuardConfig *c, const char *const *files, const PolicyOutput *output,
               int policy_error, Plan *ret);
