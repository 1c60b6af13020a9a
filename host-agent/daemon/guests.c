/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All guests, each with its channel. */

#include "host-agent/daemon/guests.h"

#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/nearest.h"
#include "base/units.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-snapshot.h"

void guests_init(Guests *guests, const GuestHost *host, const Transport *transport)
{
    *guests = (Guests){.host = host, .transport = transport};
}

static void entry_done(GuestEntry *e)
{
    qemu_process_done(&e->qemu);
    guest_channel_free(e->channel);
    guest_free(e->guest);
}

void guests_done(Guests *guests)
{
    for (size_t i = 0; i < guests->n; i++)
        entry_done(&guests->entries[i]);
    free(guests->entries);
    *guests = (Guests){};
}

/* The place of the first guest whose UUID isn't below this one. */
static size_t place_of(const Guests *guests, const char *uuid)
{
    size_t low = 0, high = guests->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(guests->entries[middle].guest->info.uuid, uuid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

GuestEntry *guests_by_uuid(const Guests *guests, const char *uuid)
{
    size_t i = place_of(guests, uuid);

    return i < guests->n && strcmp(guests->entries[i].guest->info.uuid, uuid) == 0 ? &guests->entries[i]
                                                                                   : NULL;
}

static int insert(Guests *guests, const GuestEntry *e)
{
    size_t at = place_of(guests, e->guest->info.uuid);
    GuestEntry *a = reallocarray(guests->entries, guests->n + 1, sizeof(GuestEntry));

    if (!a)
        return -ENOMEM;
    guests->entries = a;
    memmove(a + at + 1, a + at, (guests->n - at) * sizeof(GuestEntry));
    a[at] = *e;
    guests->n++;
    guests->changed = true;
    return 0;
}

static int add(Guests *guests, const DomainInfo *info, const Entitlement *configured)
{
    _cleanup_(guest_channel_freep) GuestChannel *channel = NULL;
    _cleanup_(guest_freep) Guest *guest = NULL;
    int r;

    r = guest_new(guests->host, info, configured, now_usec(CLOCK_MONOTONIC), &guest);
    if (r >= 0)
        r = guest_channel_new(guest, guests->transport, &channel);
    if (r >= 0)
        r = insert(guests, &(GuestEntry){.guest = guest, .channel = channel});
    if (r < 0)
        return r;
    TAKE_PTR(channel);
    TAKE_PTR(guest);
    return 0;
}

static void tell(const Guest *g, NoticeKind kind)
{
    Notice n = guest_notice(g, kind);

    guest_tell(g, &n);
}

void guests_add(Guests *guests, const DomainInfo *info, const Entitlement *configured)
{
    char size[UNITS_FORMAT_MAX];
    const Guest *g;
    int r;

    if (guests->n >= SNAPSHOT_GUESTS_MAX) {
        if (!guests->refused)
            log_error("More than %u domains: not managing %s and further ones", SNAPSHOT_GUESTS_MAX,
                      info->name);
        guests->refused = true;
        return;
    }
    r = add(guests, info, configured);
    if (r < 0) {
        log_error_errno(-r, "%s: cannot manage this guest: %m", info->name);
        return;
    }
    g = guests_by_uuid(guests, info->uuid)->guest;
    log_info("%s: found, full size %s%s%s%s", g->info.name, format_size(size, g->full.bytes),
             g->info.unmovable ? "; balloon will not be moved: " : "",
             g->info.unmovable ? g->info.unmovable : "",
             g->info.has_channel ? "" : "; no agent channel, using libvirt's balloon stats");
    tell(g, NOTICE_GUEST_ADDED);
}

void guests_remove(Guests *guests, const char *uuid)
{
    GuestEntry *e = guests_by_uuid(guests, uuid), removed;
    size_t after;

    if (!e)
        return;
    removed = *e;
    after = guests->n - (size_t) (e - guests->entries) - 1;
    memmove(e, e + 1, after * sizeof(GuestEntry));
    guests->n--;
    guests->changed = true;
    tell(removed.guest, NOTICE_GUEST_REMOVED);
    entry_done(&removed);
}

int guests_find(const Guests *guests, const char *pattern, GuestEntry **ret)
{
    size_t length = strlen(pattern);
    GuestEntry *found = NULL;
    bool several = false;

    if (length == 0)
        return -ENOENT;
    for (size_t i = 0; i < guests->n; i++) {
        GuestEntry *e = &guests->entries[i];
        const DomainInfo *info = &e->guest->info;

        if (strcmp(info->name, pattern) == 0 || strcasecmp(info->uuid, pattern) == 0) {
            *ret = e;
            return 0;
        }
        if (strncmp(info->name, pattern, length) == 0 || strncasecmp(info->uuid, pattern, length) == 0) {
            several = several || found != NULL;
            found = e;
        }
    }
    if (several)
        return -ENOTUNIQ;
    if (!found)
        return -ENOENT;
    *ret = found;
    return 0;
}

int guests_snapshot(const Guests *guests, usec_t now_usec, SnapshotGuest **ret)
{
    SnapshotGuest *all = calloc(MAX(guests->n, (size_t) 1), sizeof(SnapshotGuest));

    if (!all)
        return -ENOMEM;
    for (size_t i = 0; i < guests->n; i++) {
        guest_settle(guests->entries[i].guest, now_usec);
        guest_snapshot(guests->entries[i].guest, now_usec, &all[i]);
    }
    *ret = all;
    return 0;
}

/* A pattern near to a guest's name is probably misspelt. Any other may be for guests that start later. */
static void tell_unmatched(const Guests *guests, const ConfigGuests *p, const char *path, Findings *f)
{
    Nearest near;

    nearest_init(&near, p->pattern, strlen(p->pattern));
    for (size_t i = 0; i < guests->n; i++)
        nearest_offer(&near, guests->entries[i].guest->info.name);
    if (near.best)
        findings_add(f, LOG_WARNING, path, p->line,
                     "[Guest %s] matches no running guest; did you mean the guest %s?", p->pattern,
                     near.best);
    else
        findings_add(f, LOG_NOTICE, path, p->line,
                     "[Guest %s] matches no running guest; it is for guests that start later", p->pattern);
}

void guests_tell_unmatched(const Guests *guests, const Config *c, Findings *f)
{
    for (size_t k = 0; k < c->n_guests; k++) {
        bool matches = false;

        for (size_t i = 0; i < guests->n && !matches; i++)
            matches = config_guests_match(&c->guests[k], guests->entries[i].guest->info.name);
        if (!matches)
            tell_unmatched(guests, &c->guests[k], c->path, f);
    }
}

void guests_seen(Guests *guests)
{
    guests->changed = false;
}
