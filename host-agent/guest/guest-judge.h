/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a shrink does to a guest: whether it is in distress or hurts, what it was found to need, and what the
 * shrink brought the host. */

#include "host-agent/guest/guest.h"

/* A sample came, and is the newest in use: does the guest suffer? */
void guest_judge(Guest *g, usec_t now_usec);
/* Its agent says that it is in distress. */
void guest_told_distress(Guest *g, DistressCause cause, usec_t now_usec);
/* It is in distress. told: it said so itself, rather than that it is seen in what it reports. */
void guest_distressed(Guest *g, DistressCause cause, bool told, usec_t now_usec);
/* It booted again: what it suffered, and what it was found to need, are over. */
void guest_judge_reboot(Guest *g);

/* A shrink, or a growth, was sent: its effect is watched. */
void guest_watch(Guest *g, bool shrinks, usec_t now_usec);
/* Its balloon was seen to take memory. */
void guest_reclaims(Guest *g, usec_t now_usec);
/* Memory was given to it at the cost of others: by donors, or while the host is short of it, so that the
 * policy asks them for it. */
void guest_charge(Guest *g, const SnapshotGuest *s, uint64_t target_bytes, usec_t now_usec);
/* Looks whether it used what it was granted; called in each cycle. */
void guest_judge_grant(Guest *g, usec_t now_usec);
/* Stats came after a shrink was over: what did it bring the host? */
void guest_look_at_gain(Guest *g, usec_t now_usec);

bool guest_is_ineffective(const Guest *g, usec_t now_usec);
bool guest_is_hurting(const Guest *g, usec_t now_usec);
/* Why nothing is taken from others for it, a static text; NULL: it may be. */
const char *guest_grant_refused(const Guest *g, usec_t now_usec);
