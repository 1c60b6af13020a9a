/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stats that a policy sees of a snapshot, and those calculated from them. */
#include "host-agent/decide/view.h"

#include "host-agent/decide/entitlement.h"
#include "host-agent/decide/guard.h"
#include "host-agent/decide/spare.h"

double view_pending_of(const SnapshotGuest *g)
{
    if (g->sizes.current_bytes == 0 || g->sizes.standing_bytes == 0)
        return 0;
    /* Of a squeeze the host has no more than what it hasn't swapped out. */
    return (g->balloon.squeezed ? spare_in_ram(g) : 1) * (double) guard_leaving(g) -
           (double) guard_promised(g);
}

double view_pending_bytes(const Snapshot *s)
{
    double pending = s->apart.pending_bytes;

    for (size_t i = 0; i < s->n_guests; i++)
        pending += view_pending_of(s->guests + i);
    return pending;
}

void view_host_fields(const Snapshot *s, HostFields *ret)
{
    *ret = s->host;
    host_fields_set(ret, HOST_FIELD_PENDING, view_pending_bytes(s));
    host_fields_set(ret, HOST_FIELD_UPTIME, (double) s->now_usec);
}

void view_guest_fields(const SnapshotGuest *g, const GuestBounds *b, GuestFields *ret)
{
    *ret = g->fields;
    guest_fields_set_text(ret, GUEST_FIELD_NAME, g->name);
    guest_fields_set_text(ret, GUEST_FIELD_UUID, g->uuid);
    guest_fields_set_text(ret, GUEST_FIELD_MODE, guest_mode_to_string(g->mode));
    guest_fields_set_text(ret, GUEST_FIELD_SOURCE, guest_source_to_string(g->source));
    guest_fields_set(ret, GUEST_FIELD_TARGET, (double) g->sizes.standing_bytes);
    guest_fields_set(ret, GUEST_FIELD_RECLAIM, 0);
    guest_fields_set(ret, GUEST_FIELD_LEAST, (double) b->least_bytes);
    guest_fields_set(ret, GUEST_FIELD_MOST, (double) b->most_bytes);
    guest_fields_set(ret, GUEST_FIELD_RECLAIMABLE, (double) b->reclaim_bytes);
    guest_fields_set(ret, GUEST_FIELD_MAXIMUM, (double) g->sizes.maximum_bytes);
    guest_fields_set(ret, GUEST_FIELD_FULL, (double) guard_full(g));
    guest_fields_set(ret, GUEST_FIELD_FLOOR, (double) guard_floor_of(g));
    if (g->sizes.current_bytes > 0)
        guest_fields_set(ret, GUEST_FIELD_CURRENT, (double) guard_current(g));
    if (g->age_usec != USEC_INFINITY)
        guest_fields_set(ret, GUEST_FIELD_AGE, (double) g->age_usec);
    guest_fields_set(ret, GUEST_FIELD_UPTIME, (double) g->uptime_usec);
    guest_fields_set(ret, GUEST_FIELD_MOVING, g->balloon.moving);
    guest_fields_set(ret, GUEST_FIELD_STALLED, g->balloon.stalled);
    guest_fields_set(ret, GUEST_FIELD_BUSY, g->busy != NULL);
    guest_fields_set(ret, GUEST_FIELD_UNMOVABLE, g->unmovable || g->judgement.ineffective);
    guest_fields_set(ret, GUEST_FIELD_HURTING, g->judgement.hurting);
    guest_fields_set(ret, GUEST_FIELD_DISTRESS, g->judgement.distress);
    guest_fields_set(ret, GUEST_FIELD_NEEDED, (double) g->judgement.needed_bytes);
    guest_fields_set(ret, GUEST_FIELD_SHARES, g->shares > 0 ? g->shares : ENTITLEMENT_SHARES);
}

FieldSet view_snapshot_fields(bool host)
{
    FieldSet held = {};
    GuestFields g;
    HostFields h;

    /* Without the fields that are set even for a guest without stats. */
    view_host_fields(&(Snapshot){}, &h);
    view_guest_fields(&(SnapshotGuest){.sizes.current_bytes = 1}, &(GuestBounds){}, &g);
    for (HostField f = 0; host && f < HOST_FIELD_MAX; f++)
        if (!host_fields_has(&h, f))
            field_set_add(&held, (int) f);
    for (int f = GUEST_TEXTS_MAX; !host && f < (int) GUEST_FIELD_MAX; f++)
        if (!guest_fields_has(&g, (GuestField) f))
            field_set_add(&held, f);
    return held;
}
