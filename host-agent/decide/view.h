/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The stats that a policy reads of the guests and of the host: the snapshot's, and others calculated from
 * them. */

#include "host-agent/decide/guard.h"

/* What moving balloons will still bring the host, less what they will take, and less outstanding memory,
 * which guests got lately and will soon use. A late shrink does not count, since a guest can draw it out for
 * ever. Bytes; may be negative. */
double view_pending_bytes(const Snapshot *s);
/* The same of one guest. */
double view_pending_of(const SnapshotGuest *g);

void view_host_fields(const Snapshot *s, HostFields *ret);
void view_guest_fields(const SnapshotGuest *g, const GuestBounds *b, GuestFields *ret);

/* The stats that a snapshot's fields hold. The others are calculated here, or are
 * members of the snapshot. None of a guest's is a text. */
FieldSet view_snapshot_fields(bool host);
