/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Decides about each guest: the wishes of the policy and the guard, clipped to the rules and to the host's
 * room. Pure. */

#include "host-agent/decide/decision.h"

/* Fits a policy's output, whatever it is, to the rules. bounds: as guard_bounds() sets them; NULL: not
 * known yet. output: NULL without a policy; not read if
 * policy_error shows that the policy failed. files: the policy's, by their numbers, without folders; NULL:
 * not known.
 *
 * Guests grow in this order, each by at most what is left of guard_room(): distress, hurting, reboot, below
 * the floor, guests that begin to use their memory (ahead), guests in distress whose grant is refused, then the policy's in the order of its assignments;
 * guests that are only observed come last. A guest whose grant is refused gets only memory above the pressure
 * threshold, as the policy would take memory below it from others. A guest in distress, or hurting, whose
 * shrink is still on its way keeps its current memory without using up room, as the host does not have that
 * yet. A part that is smaller than dead_band_bytes (for a guest
 * that begins to use its memory, than guard_step_min()) is not given. What guests in distress are still short of
 * is then asked from donors (donor.h).
 *
 * A guest above a full size that was set, or that it may grow above, comes down to it by itself: by its free
 * memory, while it keeps keep_ratio of its size available; or by more if the host is below its pressure
 * threshold. */
int plan_apply(const Snapshot *s, const GuardConfig *c, const GuestBounds *bounds, const char *const *files,
               const PolicyOutput *output, int policy_error, Plan *ret);
