/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "host-agent/daemon/manager.h"
#include "host-agent/show/bus.h"
#include "host-agent/show/entitle.h"
#include "host-agent/show/journal.h"

static int insert_guest(Manager *m, Guest *g)
{
    Guest **a;
    size_t at = m->n_guests;

    a = reallocarray(m->guests, m->n_guests + 1, sizeof(Guest *));
    if (!a)
        return -ENOMEM;
    m->guests = a;
    while (at > 0 && strcmp(a[at - 1]->info.uuid, g->info.uuid) > 0) {
        a[at] = a[at - 1];
        at--;
    }
    a[at] = g;
    m->n_guests++;
    m->guests_changed = true;
    return 0;
}

static void remove_guest(Manager *m, Guest *g)
{
    size_t at = 0;

    while (m->guests[at] != g)
        at++;
    memmove(m->guests + at, m->guests + at + 1, (m->n_guests - at - 1) * sizeof(Guest *));
    m->n_guests--;
    m->guests_changed = true;
    bus_guest_removed(m, g);
    guest_free(g);
}

static void on_disconnected(Manager *m, const char *why)
{
    m->connected = false;
    free(m->disconnected_why);
    m->disconnected_why = strdup(why ? why : "unknown");
    log_warning("libvirt (%s) is not there: %s; trying again", m->uri, why ? why : "unknown");
    for (size_t i = 0; i < m->n_guests; i++) {
        Guest *g = m->guests[i];

        g->lost = true;
        guest_set_done(g, -ENOTCONN, now_usec(CLOCK_MONOTONIC));
        entitle_done(g, -ENOTCONN, "libvirt is away");
        if (g->channel_open)
            link_closed(g->link);
        g->channel_open = g->channel_wanted = false;
        g->channel_backoff_usec = g->channel_retry_usec = 0;
    }
}

static void add_guest(Manager *m, const DomainInfo *info)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    char size[UNITS_FORMAT_MAX];
    Guest *g = NULL;
    int r;

    if (m->n_guests >= SNAPSHOT_GUESTS_MAX) {
        if (!m->refused_guests)
            log_error("More than %u domains: %s and further ones are left alone", SNAPSHOT_GUESTS_MAX,
                      info->name);
        m->refused_guests = true;
        return;
    }
    r = guest_new(m, info, now, &g);
    if (r >= 0)
        r = insert_guest(m, g);
    if (r < 0) {
        log_error_errno(-r, "%s: cannot take care of it: %m", info->name);
        guest_free(g);
        return;
    }
    log_info("%s: is there, full size %s%s%s%s", g->info.name, format_size(size, g->full.bytes),
             g->info.unmovable ? "; its balloon is left alone: " : "",
             g->info.unmovable ? g->info.unmovable : "",
             g->info.has_channel ? "" : "; no channel for an agent, so libvirt's stats serve");
    bus_guest_added(m, g);
}

static void on_busy(Guest *g, const char *why)
{
    char missing[UNITS_FORMAT_MAX];
    uint64_t held = LESS_BY(g->full.bytes, guest_current(g));
    bool leaves = why && (strcmp(why, "saving") == 0 || strcmp(why, "migrating") == 0);

    /* While it couldn't be moved its balloon wasn't stalling. */
    if (!why)
        g->balloon.progress_usec = now_usec(CLOCK_MONOTONIC);
    if (why && strcmp(g->busy, why) != 0) {
        if (leaves && held > 0)
            log_info("%s: %s: left alone; its balloon holds %s of its full size, and goes along",
                     g->info.name, why, format_size(missing, held));
        else
            log_info("%s: %s: left alone", g->info.name, why);
    }
    snprintf(g->busy, sizeof(g->busy), "%s", why ? why : "");
    manager_wake(g->manager);
}

static void on_added(Manager *m, Guest *g, const DomainInfo *info)
{
    if (!g)
        add_guest(m, info);
    else {
        g->lost = false;
        on_busy(g, NULL);
        guest_update_info(g, info);
    }
    manager_wake(m);
}

static void on_set_done(Guest *g, const VirtEvent *e)
{
    guest_set_done(g, e->error, now_usec(CLOCK_MONOTONIC));
    if (e->error < 0)
        log_warning("%s: libvirt didn't set its memory: %s", g->info.name,
                    e->text ? e->text : strerror(-e->error));
}

static void on_channel_data(Manager *m, Guest *g, const VirtEvent *e)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    const char *why = NULL;

    if (!g->channel_open)
        return;
    g->channel_backoff_usec = 0;
    if (link_feed(g->link, e->data, e->length, now, &why) >= 0)
        return;
    journal_dropped(m, g, why, link_retry_usec(g->link));
    link_closed(g->link);
    virt_channel_close(m->virt, g->info.uuid);
    g->channel_open = false;
}

static void on_channel_closed(Guest *g, const VirtEvent *e)
{
    if (g->channel_open) {
        log_info("%s: the agent's channel was closed%s%s", g->info.name, e->text ? ": " : "",
                 e->text ? e->text : "");
        link_closed(g->link);
    } else if (g->channel_backoff_usec <= 2 * USEC_PER_SEC)
        log_info("%s: cannot open the agent's channel%s%s", g->info.name, e->text ? ": " : "",
                 e->text ? e->text : "");
    g->channel_open = g->channel_wanted = false;
}

static void on_guest_event(Manager *m, Guest *g, const VirtEvent *e)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);

    switch (e->type) {
    case VIRT_DOMAIN_CHANGED:
        guest_update_info(g, e->info);
        manager_wake(m);
        break;
    case VIRT_DOMAIN_GONE:
        log_info("%s: gone%s%s", g->info.name, e->text ? ": " : "", e->text ? e->text : "");
        remove_guest(m, g);
        break;
    case VIRT_DOMAIN_REBOOTED:
        guest_rebooted(g, now);
        break;
    case VIRT_DOMAIN_BUSY:
        on_busy(g, e->text);
        break;
    case VIRT_BALLOON:
        guest_balloon_seen(g, e->bytes, now);
        break;
    case VIRT_STATS:
        if (e->error == 0)
            guest_stats(g, e->stats, now);
        else
            log_debug_errno(-e->error, "%s: no stats from libvirt: %s", g->info.name, e->text ? e->text : "");
        break;
    case VIRT_SET_DONE:
        on_set_done(g, e);
        break;
    case VIRT_CHANNEL_OPENED:
        g->channel_wanted = false;
        g->channel_open = true;
        g->channel_opened_usec = now;
        g->channel_refused = link_stats(g->link)->refused;
        link_opened(g->link, now);
        break;
    case VIRT_CHANNEL_DATA:
        on_channel_data(m, g, e);
        break;
    case VIRT_CHANNEL_CLOSED:
        on_channel_closed(g, e);
        break;
    case VIRT_ENTITLE_DONE:
        entitle_done(g, e->error, e->text);
        break;
    case VIRT_CONNECTED:
    case VIRT_DISCONNECTED:
    case VIRT_DOMAIN_ADDED:
    case VIRT_EVENT_TYPE_MAX:
        break;
    }
}

void manager_on_virt(void *userdata, const VirtEvent *e)
{
    Manager *m = userdata;
    Guest *g = e->uuid ? manager_guest_by_uuid(m, e->uuid) : NULL;

    switch (e->type) {
    case VIRT_CONNECTED:
        m->connected = true;
        free(m->disconnected_why);
        m->disconnected_why = NULL;
        log_info("Connected to libvirt (%s)", e->text ? e->text : m->uri);
        neighbours_connected(m, e->text ? e->text : m->uri);
        break;
    case VIRT_DISCONNECTED:
        on_disconnected(m, e->text);
        break;
    case VIRT_DOMAIN_ADDED:
        on_added(m, g, e->info);
        break;
    default:
        /* An event about a domain that went meanwhile says nothing any more. */
        if (g)
            on_guest_event(m, g, e);
        break;
    }
}
