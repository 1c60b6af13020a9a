/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's side of libvirt: hands each event to its guest or its channel. */

#include "host-agent/daemon/virt-link.h"

#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-log.h"

static void wake(const VirtLink *l)
{
    guest_host_wake(l->guest_host);
}

static void on_connected(VirtLink *l, const char *uri)
{
    char lasted[UNITS_FORMAT_MAX];
    bool again = outage_over(&l->away, now_usec(CLOCK_MONOTONIC), lasted);

    if (!uri)
        uri = l->uri;
    l->connected = true;
    free(l->lost_why);
    l->lost_why = NULL;
    if (again)
        log_notice("Connected to libvirt (%s) again, after %s", uri, lasted);
    else
        log_info("Connected to libvirt (%s)", uri);
    neighbours_connected(l->neighbours, uri);
}

static void on_disconnected(VirtLink *l, const char *why)
{
    Notice n = notice_of_host(NOTICE_LIBVIRT_LOST, l->guest_host->fields);

    if (!why)
        why = "unknown";
    l->connected = false;
    (void) outage_failed(&l->away, now_usec(CLOCK_MONOTONIC));
    free(l->lost_why);
    l->lost_why = strdup(why);
    log_warning("Cannot reach libvirt (%s): %s; trying again", l->uri, why);
    for (size_t i = 0; i < l->guests->n; i++) {
        GuestEntry *e = &l->guests->entries[i];

        guest_set_lost(e->guest, true);
        guest_set_done(e->guest, -ENOTCONN, now_usec(CLOCK_MONOTONIC));
        guest_channel_lost(e->channel);
    }
    notice_set_text(&n, why);
    audience_tell(l->guest_host->audience, &n);
}

void virt_link_tell_unmatched(const VirtLink *l, Findings *f)
{
    if (l->listed)
        guests_tell_unmatched(l->guests, l->config, f);
}

static void on_listed(VirtLink *l)
{
    _cleanup_(findings_done) Findings f = {};

    if (l->listed)
        return;
    l->listed = true;
    virt_link_tell_unmatched(l, &f);
    findings_log(&f);
}

static void update(GuestEntry *e, const DomainInfo *info)
{
    guest_update_info(e->guest, info);
    guest_channel_update(e->channel);
}

static void on_added(VirtLink *l, GuestEntry *e, const DomainInfo *info)
{
    if (!e) {
        Entitlement configured = config_entitlement(l->config, info->name);

        guests_add(l->guests, info, &configured);
    } else {
        guest_set_lost(e->guest, false);
        guest_busy(e->guest, NULL, now_usec(CLOCK_MONOTONIC));
        update(e, info);
    }
    wake(l);
}

static void on_removed(VirtLink *l, const Guest *g, const char *why)
{
    log_info("%s: no longer running%s%s", g->info.name, why ? ": " : "", why ? why : "");
    guests_remove(l->guests, g->info.uuid);
}

static void on_set_done(Guest *g, const VirtEvent *e)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);

    guest_set_done(g, e->error, now);
    if (e->error < 0)
        log_full(guest_log_level(g, GUEST_LINE_BALLOON, LOG_WARNING, now),
                 "%s: libvirt didn't move its balloon: %s", g->info.name,
                 e->text ? e->text : strerror(-e->error));
}

static void on_stats(Guest *g, const VirtEvent *e)
{
    if (e->error == 0)
        guest_stats(g, e->stats, now_usec(CLOCK_MONOTONIC));
    else
        log_debug_errno(-e->error, "%s: no stats from libvirt: %s", g->info.name, e->text ? e->text : "");
}

/* The definition is read again only a little later; until then the guest must already show the new values. */
static void on_entitled(const VirtLink *l, Guest *g, const VirtEvent *e)
{
    Notice n;

    if (e->error == 0) {
        guest_entitled(g);
        wake(l);
    }
    n = guest_notice(g, NOTICE_ENTITLED);
    n.error = e->error;
    notice_set_text(&n, e->text);
    guest_tell(g, &n);
}

/* The answer to a request about domains that are shut off. */
static void on_shut_off(VirtLink *l)
{
    Notice n = notice_of_host(NOTICE_SHUT_OFF, l->guest_host->fields);

    l->shut_off = virt_take_shut_off(l->virt);
    if (!l->shut_off)
        return;
    if (l->shut_off->uuid[0]) {
        n.kind = NOTICE_ENTITLED;
        memcpy(n.uuid, l->shut_off->uuid, sizeof(n.uuid));
        n.error = l->shut_off->error;
        notice_set_text(&n, l->shut_off->text);
    }
    audience_tell(l->guest_host->audience, &n);
    l->shut_off = shut_off_free(l->shut_off);
}

static void on_guest_event(VirtLink *l, GuestEntry *entry, const VirtEvent *e)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    Guest *g = entry->guest;

    switch (e->type) {
    case VIRT_DOMAIN_CHANGED:
        update(entry, e->info);
        wake(l);
        break;
    case VIRT_DOMAIN_GONE:
        on_removed(l, g, e->text);
        break;
    case VIRT_DOMAIN_REBOOTED:
        guest_rebooted(g, now);
        break;
    case VIRT_DOMAIN_BUSY:
        guest_busy(g, e->text, now);
        break;
    case VIRT_BALLOON:
        guest_balloon_seen(g, e->bytes, now);
        break;
    case VIRT_STATS:
        on_stats(g, e);
        break;
    case VIRT_SET_DONE:
        on_set_done(g, e);
        break;
    case VIRT_CHANNEL_OPENED:
        guest_channel_opened(entry->channel, now);
        break;
    case VIRT_CHANNEL_DATA:
        guest_channel_data(entry->channel, e->data, e->length, now);
        break;
    case VIRT_CHANNEL_CLOSED:
        guest_channel_closed(entry->channel, e->text);
        break;
    case VIRT_ENTITLE_DONE:
        on_entitled(l, g, e);
        break;
    case VIRT_CONNECTED:
    case VIRT_DISCONNECTED:
    case VIRT_DOMAIN_ADDED:
    case VIRT_LISTED:
    case VIRT_SHUT_OFF:
    case VIRT_EVENT_TYPE_MAX:
        break;
    }
}

static void on_virt(void *userdata, const VirtEvent *e)
{
    VirtLink *l = userdata;
    GuestEntry *entry = e->uuid ? guests_by_uuid(l->guests, e->uuid) : NULL;

    switch (e->type) {
    case VIRT_CONNECTED:
        on_connected(l, e->text);
        break;
    case VIRT_DISCONNECTED:
        on_disconnected(l, e->text);
        break;
    case VIRT_DOMAIN_ADDED:
        on_added(l, entry, e->info);
        break;
    case VIRT_LISTED:
        on_listed(l);
        break;
    case VIRT_SHUT_OFF:
        on_shut_off(l);
        break;
    default:
        /* An event about a domain that has been removed meanwhile is of no use. */
        if (entry)
            on_guest_event(l, entry, e);
        break;
    }
}

int virt_link_init(VirtLink *l, const char *uri, Guests *guests, const GuestHost *guest_host,
                   const Config *config, Neighbours *neighbours)
{
    *l = (VirtLink){.uri = strdup(uri),
                    .lost_why = strdup("not connected yet"),
                    .guests = guests,
                    .guest_host = guest_host,
                    .config = config,
                    .neighbours = neighbours};
    return l->uri && l->lost_why ? 0 : -ENOMEM;
}

int virt_link_start(VirtLink *l, sd_event *event)
{
    return virt_new(event, l->uri, on_virt, l, &l->virt);
}

void virt_link_done(VirtLink *l)
{
    l->virt = virt_free(l->virt);
    free(l->uri);
    free(l->lost_why);
    l->uri = l->lost_why = NULL;
}

int virt_link_entitle(VirtLink *l, Guest *g, const EntitlementChange *change, const Entitlement *e)
{
    int r;

    if (g->info.id < 0)
        return virt_entitle_shut_off(l->virt, g->info.uuid, change);
    r = virt_entitle(l->virt, g->info.uuid, change);
    if (r >= 0)
        guest_entitling(g, e);
    return r;
}
