/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a policy reads of the guests and of the host: the snapshot's stats, and what is worked out of them. */

#include "host-agent/decide/guard.h"

/* What running balloons will still bring, less what they will take, and less what was given lately and isn't
 * used yet: the host still has that, and soon won't. A shrink that is late doesn't count, since it may never
 * come: a guest may draw it out for ever. Bytes, also below 0. */
double view_pending_bytes(const Snapshot *s);

void view_host_fields(const Snapshot *s, HostFields *ret);
void view_guest_fields(const SnapshotGuest *g, const GuestBounds *b, GuestFields *ret);

/* The stats (bits 1 << field) that a snapshot's fields hold. The others are worked out here, or members of the
 * snapshot hold them. Of a guest none is a text. */
uint64_t view_snapshot_fields(bool host);
