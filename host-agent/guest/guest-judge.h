/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a shrink does to a guest: whether it is in distress or hurts, how much it needs, and what the shrink
 * brought the host. */

#include "host-agent/guest/guest.h"

/* Judges the newest sample in use: is the guest in distress, and does the last shrink hurt it? */
void guest_judge(Guest *g, usec_t now_usec);
/* The agent says that the guest is in distress. That is ignored if the guest only waits for its own
 * balloon. */
void guest_judge_distress(Guest *g, DistressCause cause, usec_t now_usec);
/* The guest is in distress. reported: it said so itself; otherwise its samples show it. */
void guest_distressed(Guest *g, DistressCause cause, bool reported, usec_t now_usec);
/* The guest rebooted: forgets what it suffered and what it needs. */
void guest_judge_reboot(Guest *g);

/* A move was sent: watches the effect of a shrink, and ends the watch at a growth. */
void guest_watch(Guest *g, bool shrinks, usec_t now_usec);
/* It gets its full size back. */
void guest_given_back(Guest *g, usec_t now_usec);
/* The balloon was seen taking memory. */
void guest_reclaims(Guest *g, usec_t now_usec);
/* Memory was given to the guest at the cost of others: donors gave it, or the host is short of memory, so
 * that the policy takes it from them. */
void guest_charge(Guest *g, const SnapshotGuest *s, uint64_t target_bytes, usec_t now_usec);
/* Checks whether the guest used its grant; to be called in each cycle. */
void guest_judge_grant(Guest *g, usec_t now_usec);
/* Stats came: if a shrink is over, measures what it brought the host. */
void guest_look_at_gain(Guest *g, usec_t now_usec);

/* Whether its balloon frees nothing, and the guest isn't to be shrunk for that reason. */
bool guest_is_ineffective(const Guest *g, usec_t now_usec);
/* Whether a shrink hurts the guest, and it doesn't have its earlier size back yet. */
bool guest_is_hurting(const Guest *g, usec_t now_usec);
/* Why nothing may be taken from others for it, a static text; NULL: it may. */
const char *guest_grant_refused(const Guest *g, usec_t now_usec);
