/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gives one guest or all guests their full size back, and says so. */

#include "host-agent/show/release.h"

#include <string.h>

#include "base/units.h"
#include "host-agent/show/api.h"
#include "host-agent/show/dict.h"

/* What became of one guest. */
typedef struct Released {
    const Guest *guest;
    uint64_t before_bytes, target_bytes;
    const char *why; /* it can't be released; NULL: it was */
} Released;

/* Reports a change that was asked for. r: its result; why: why it failed, or NULL. */
static void tell_change(const Manager *m, const Guest *g, Notice *n, int r, const char *why)
{
    if (g) {
        memcpy(n->uuid, g->info.uuid, sizeof(n->uuid));
        memcpy(n->name, g->info.name, sizeof(n->name));
    }
    n->error = MIN(r, 0);
    notice_set_text(n, r < 0 ? why : NULL);
    audience_tell(&m->audience, n);
}

/* Why a guest can't be released, for people. */
static const char *release_refusal(const Guest *g, int r)
{
    if (g->lost)
        return "libvirt is away";
    if (g->busy[0])
        return g->busy;
    if (r == -ENOSPC)
        return "the host has no room for it now (see ballastctl status); it isn't shrunk meanwhile";
    return r == -EBUSY ? "libvirt is still setting its balloon; try again" : strerror(-r);
}

/* *room: as for move_release(). Returns its result. */
static int release(Manager *m, Guest *g, uint64_t *room, Released *ret)
{
    uint64_t before_bytes = guest_current(g);
    int r = manager_release(m, g, room);

    *ret = (Released){.guest = g,
                      .before_bytes = before_bytes,
                      .target_bytes = r < 0 ? g->full.bytes : balloon_standing(&g->balloon),
                      .why = r < 0 ? release_refusal(g, r) : NULL};
    return r;
}

/* How much memory the guest gets back. */
static uint64_t returned_bytes(const Released *r)
{
    return r->why ? 0 : LESS_BY(r->target_bytes, r->before_bytes);
}

static void describe_list(Dict *d, const char *key, const Released *list, size_t n, bool released)
{
    dict_list_open(d, key, "aa{sv}");
    for (size_t i = 0; i < n; i++) {
        if (!list[i].why != released)
            continue;
        dict_begin(d);
        dict_text(d, "name", list[i].guest->info.name);
        dict_text(d, "uuid", list[i].guest->info.uuid);
        if (released) {
            dict_count(d, "before_bytes", list[i].before_bytes);
            dict_count(d, "target_bytes", list[i].target_bytes);
            dict_count(d, "full_bytes", list[i].guest->full.bytes);
        }
        dict_text(d, "why", list[i].why);
        dict_end(d);
    }
    dict_list_close(d);
}

static int reply(sd_bus_message *call, const Manager *m, const char *text, const Released *list, size_t n)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    Dict d = {};
    int r;

    r = sd_bus_message_new_method_return(call, &message);
    if (r < 0)
        return r;
    d.message = message;
    dict_begin(&d);
    dict_text(&d, "message", text);
    describe_list(&d, "released", list, n, true);
    describe_list(&d, "refused", list, n, false);
    dict_count(&d, "grace_usec", m->config->guard.grace_usec);
    dict_end(&d);
    return d.error < 0 ? d.error : sd_bus_send(NULL, message, NULL);
}

int release_one(sd_bus_message *call, Manager *m, Guest *g, const Actor *by, sd_bus_error *error)
{
    char name[DOMAIN_NAME_MAX + 1], before[UNITS_FORMAT_MAX], full[UNITS_FORMAT_MAX], back[UNITS_FORMAT_MAX],
        target[UNITS_FORMAT_MAX], grace[UNITS_FORMAT_MAX], text[DOMAIN_NAME_MAX + 256];
    uint64_t room = manager_room(m);
    Released done;
    Notice n;
    int r;

    text_make_utf8(name, sizeof(name), g->info.name);
    r = release(m, g, &room, &done);
    format_size(before, done.before_bytes);
    format_size(target, done.target_bytes);
    n = notice_of_change(by, "release", before, target);
    tell_change(m, g, &n, r, done.why);
    if (r < 0)
        return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "%s can't be released: %s", name, done.why);
    format_size(full, g->full.bytes);
    format_duration(grace, m->config->guard.grace_usec);
    if (returned_bytes(&done) == 0)
        snprintf(text, sizeof(text), "%s already has its full size, %s; it isn't shrunk for %s", name, full,
                 grace);
    else
        snprintf(text, sizeof(text), "%s: %s → %s, %s comes back%s; it isn't shrunk for %s", name, before,
                 target, format_size(back, returned_bytes(&done)),
                 done.target_bytes < g->full.bytes ? ", as far as the host has room" : "", grace);
    return reply(call, m, text, &done, 1);
}

/* The end of "guest" and "guests". */
static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* "2 guests, 1.20 GiB more" */
static void tell_release_all(const Manager *m, const Actor *by, size_t asked, uint64_t bytes, size_t refused,
                             const char *why)
{
    char size[UNITS_FORMAT_MAX], to[NOTICE_VALUE_MAX];
    Notice n;

    snprintf(to, sizeof(to), "%zu guest%s, %s more%s", asked, plural(asked), format_size(size, bytes),
             refused > 0 ? "; others can't be released" : "");
    n = notice_of_change(by, "release of all", NULL, to);
    tell_change(m, NULL, &n, asked == 0 && refused > 0 ? -EBUSY : 0, why);
}

int release_all(sd_bus_message *call, Manager *m, const Actor *by, sd_bus_error *error)
{
    char back[UNITS_FORMAT_MAX], grace[UNITS_FORMAT_MAX], name[DOMAIN_NAME_MAX + 1] = "",
                                                                                 text[DOMAIN_NAME_MAX + 512];
    _cleanup_free_ Released *list = calloc(MAX(m->guests.n, (size_t) 1), sizeof(Released));
    size_t asked = 0, refused = 0, fill;
    const char *why = NULL;
    uint64_t sum = 0, room = manager_room(m);

    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < m->guests.n; i++) {
        if (release(m, m->guests.entries[i].guest, &room, &list[i]) >= 0) {
            asked++;
            sum += returned_bytes(&list[i]);
        } else if (refused++ == 0) {
            text_make_utf8(name, sizeof(name), list[i].guest->info.name);
            why = list[i].why;
        }
    }
    tell_release_all(m, by, asked, sum, refused, why);
    if (refused == 1 && asked == 0)
        return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "%s can't be released: %s", name, why);
    if (refused > 0 && asked == 0)
        return sd_bus_error_setf(error, BUS_ERROR_REFUSED,
                                 "None of %zu guests can be released; the first, %s: %s", refused, name, why);
    format_duration(grace, m->config->guard.grace_usec);
    if (m->guests.n == 0)
        snprintf(text, sizeof(text), "No guest is running");
    else if (sum == 0)
        snprintf(text, sizeof(text), "%zu guest%s already %s full size; %s shrunk for %s", asked,
                 plural(asked), asked == 1 ? "has its" : "have their",
                 asked == 1 ? "it isn't" : "they aren't", grace);
    else
        snprintf(text, sizeof(text), "%zu guest%s: %s comes back; %s shrunk for %s", asked, plural(asked),
                 format_size(back, sum), asked == 1 ? "it isn't" : "they aren't", grace);
    fill = strlen(text);
    if (refused > 0)
        snprintf(text + fill, sizeof(text) - fill, "; %zu can't be released, the first, %s: %s", refused,
                 name, why);
    return reply(call, m, text, list, m->guests.n);
}
