/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets a guest's entitlement over D-Bus: calls that wait for libvirt. */

#include "host-agent/show/entitle.h"

#include <string.h>

#include "base/log.h"
#include "base/nearest.h"
#include "base/units.h"
#include "host-agent/show/api.h"
#include "host-agent/show/dict.h"

/* A domain whose QEMU is stopped holds up the call: answer before the caller gives up by itself. */
#define ENTITLE_WAIT_USEC (10 * USEC_PER_SEC)
#define ANSWER_MAX        1024U
#define WARNING_MAX       256U
/* Of a key that doesn't exist. It must not be cut within a character: sd-bus doesn't send half of one, so the caller would
 * get no answer. */
#define KEY_SHOWN_MAX     65U
#define ENTITLE_SIZES     (1U << ENTITLEMENT_KEY_MIN | 1U << ENTITLEMENT_KEY_FULL | 1U << ENTITLEMENT_KEY_GROWTH)

/* A call that waits for libvirt. */
struct Entitling {
    Entitling *next;
    Entitlings *all;
    char uuid[NOTICE_UUID_MAX], name[NOTICE_NAME_MAX]; /* of the guest; the name as UTF-8 */
    sd_bus_message *call;
    sd_event_source *timer;
    Actor by;
    Entitlement before, after;
    bool shut_off, persistent;
    char answer[ANSWER_MAX], warning[WARNING_MAX]; /* to be sent when libvirt has written it */
};

static Entitling *entitling_free(Entitling *w)
{
    if (!w)
        return NULL;
    sd_bus_message_unref(w->call);
    sd_event_source_disable_unref(w->timer);
    free(w);
    return NULL;
}
DEFINE_CLEANUP_FUNC(Entitling, entitling_free);

void entitlings_init(Entitlings *e, Manager *m)
{
    *e = (Entitlings){.manager = m};
}

void entitlings_done(Entitlings *e)
{
    while (e->first) {
        Entitling *w = e->first;

        e->first = w->next;
        entitling_free(w);
    }
}

static Entitling **find(Entitlings *e, const char *uuid)
{
    Entitling **w = &e->first;

    while (*w && strcmp((*w)->uuid, uuid) != 0)
        w = &(*w)->next;
    return w;
}

static const char *value_text(char buf[static UNITS_FORMAT_MAX], const Entitlement *e, EntitlementKey key)
{
    uint64_t bytes = key == ENTITLEMENT_KEY_MIN    ? e->min_bytes
                     : key == ENTITLEMENT_KEY_FULL ? e->full_bytes
                                                   : e->growth_bytes;

    if (key == ENTITLEMENT_KEY_MODE)
        return e->mode == GUEST_MODE_INVALID ? "default" : guest_mode_to_string(e->mode);
    if (key != ENTITLEMENT_KEY_SHARES)
        return bytes == 0 ? "default" : format_size(buf, bytes);
    snprintf(buf, UNITS_FORMAT_MAX, e->shares > 0 ? "%.0f" : "default", e->shares);
    return buf;
}

static void describe_value(Dict *d, const char *key, const Entitlement *e, EntitlementKey k)
{
    uint64_t value = k == ENTITLEMENT_KEY_MIN      ? e->min_bytes
                     : k == ENTITLEMENT_KEY_FULL   ? e->full_bytes
                     : k == ENTITLEMENT_KEY_GROWTH ? e->growth_bytes
                                                   : (uint64_t) e->shares;

    if (k == ENTITLEMENT_KEY_MODE)
        dict_text(d, key, e->mode == GUEST_MODE_INVALID ? NULL : guest_mode_to_string(e->mode));
    else if (value > 0)
        dict_count(d, key, value);
}

/* The values that differ, each with what was set before and what is set now; a value that is missing isn't set. */
static void describe_changed(Dict *d, const Entitling *w)
{
    char before[UNITS_FORMAT_MAX], after[UNITS_FORMAT_MAX], key[16];

    dict_open(d, "changed");
    for (EntitlementKey k = 0; k < ENTITLEMENT_KEY_MAX_; k++) {
        if (strcmp(value_text(before, &w->before, k), value_text(after, &w->after, k)) == 0)
            continue;
        snprintf(key, sizeof(key), "%s%s", entitlement_key_to_string(k),
                 ENTITLE_SIZES & 1U << k ? "_bytes" : "");
        dict_open(d, key);
        describe_value(d, "old", &w->before, k);
        describe_value(d, "new", &w->after, k);
        dict_close(d);
    }
    dict_close(d);
}

static int reply(const Entitling *w)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    char text[ANSWER_MAX + WARNING_MAX + 2];
    Dict d = {};
    int r;

    r = sd_bus_message_new_method_return(w->call, &message);
    if (r < 0)
        return r;
    d.message = message;
    snprintf(text, sizeof(text), "%s%s%s", w->answer, w->warning[0] ? ". " : "", w->warning);
    dict_begin(&d);
    dict_text(&d, "message", text);
    dict_text(&d, "name", w->name);
    dict_text(&d, "uuid", w->uuid);
    describe_changed(&d, w);
    dict_bool(&d, "shut_off", w->shut_off);
    dict_bool(&d, "persistent", w->persistent);
    dict_list_open(&d, "warnings", "as");
    if (w->warning[0])
        dict_item(&d, w->warning);
    dict_list_close(&d);
    dict_end(&d);
    return d.error < 0 ? d.error : sd_bus_send(NULL, message, NULL);
}

static void tell_change(const Entitling *w, const char *what, const char *from, const char *to, int error,
                        const char *text)
{
    Notice n = notice_of_change(&w->by, what, from, to);

    memcpy(n.uuid, w->uuid, sizeof(n.uuid));
    memcpy(n.name, w->name, sizeof(n.name));
    n.error = error;
    notice_set_text(&n, text);
    audience_tell(&w->all->manager->audience, &n);
}

/* Reports each value that was to be changed, with libvirt's answer. */
static void tell_changes(const Entitling *w, int error, const char *text)
{
    char before[UNITS_FORMAT_MAX], after[UNITS_FORMAT_MAX];
    bool told = false;

    for (EntitlementKey k = 0; k < ENTITLEMENT_KEY_MAX_; k++) {
        const char *from = value_text(before, &w->before, k), *to = value_text(after, &w->after, k);

        if (strcmp(from, to) == 0)
            continue;
        tell_change(w, entitlement_key_to_string(k), from, to, error, text);
        told = true;
    }
    if (!told)
        tell_change(w, "entitlement", "as before, written again", NULL, error, text);
}

/* Answers a call that waits, and removes it from the list. text: why, or NULL. */
static void answer(Entitling **at, int error, const char *text)
{
    _cleanup_(entitling_freep) Entitling *w = *at;
    char why[NOTICE_TEXT_MAX];
    int r;

    *at = w->next;
    tell_changes(w, error, text);
    if (error < 0)
        r = sd_bus_reply_method_errorf(
            w->call, BUS_ERROR_REFUSED, "%s: its entitlement couldn't be written: %s", w->name,
            text_make_utf8(why, sizeof(why), text && text[0] ? text : strerror(-error)));
    else
        r = reply(w);
    if (r < 0)
        log_debug_errno(-r, "%s: cannot answer the caller that set its entitlement: %m", w->name);
}

void entitlings_hear(Entitlings *e, const Notice *n)
{
    Entitling **w = find(e, n->uuid);

    if (n->kind == NOTICE_LIBVIRT_LOST)
        while (e->first)
            answer(&e->first, -ENOTCONN, "libvirt is away");
    else if (!*w)
        return;
    else if ((*w)->shut_off) {
        if (n->kind == NOTICE_ENTITLED)
            answer(w, n->error, n->error == -ENOENT ? "it is no longer defined" : n->text);
    } else if (n->kind == NOTICE_GUEST_REMOVED || (n->kind == NOTICE_ENTITLED && n->error == -ENOENT))
        /* The same words, whether libvirt's answer or its event comes first. */
        answer(w, -ENOENT, "it is no longer running");
    else if (n->kind == NOTICE_ENTITLED)
        answer(w, n->error, n->text);
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
    Entitling *w = userdata;

    answer(
        find(w->all, w->uuid), -ETIMEDOUT,
        w->shut_off
            ? "libvirt hasn't answered yet; the change may still be made. Check with ballastctl set VM"
            : "libvirt hasn't answered yet (is its QEMU stopped?); the change may still be made. Check with ballastctl set VM");
    return 0;
}

static int unknown_key(const char *name, sd_bus_error *error)
{
    char shown[KEY_SHOWN_MAX];
    Nearest near;

    nearest_init(&near, name, strlen(name));
    for (EntitlementKey k = 0; k < ENTITLEMENT_KEY_MAX_; k++)
        nearest_offer(&near, entitlement_key_to_string(k));
    return sd_bus_error_setf(error, BUS_ERROR_BAD_VALUE,
                             "An entitlement has no value '%s'%s%s%s; it has min, full, max, shares and mode",
                             text_make_utf8(shown, sizeof(shown), name), near.best ? "; did you mean '" : "",
                             near.best ? near.best : "", near.best ? "'?" : "");
}

/* Reads the given values. The first one that isn't valid is reported. */
static int read_values(sd_bus_message *message, EntitlementChange *change, sd_bus_error *error)
{
    char why[ENTITLEMENT_WHY_MAX];
    const char *name, *text;
    int r;

    r = sd_bus_message_enter_container(message, 'a', "{ss}");
    while (r >= 0 && (r = sd_bus_message_read(message, "{ss}", &name, &text)) > 0) {
        EntitlementKey key = entitlement_key_from_string(name);

        if (key < 0)
            return unknown_key(name, error);
        if (entitlement_set(&change->values, key, text, why) < 0)
            return sd_bus_error_setf(error, BUS_ERROR_BAD_VALUE, "%s. Nothing was changed", why);
        change->keys |= 1U << key;
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(message);
    if (r >= 0 && change->keys == 0)
        return sd_bus_error_set(error, BUS_ERROR_BAD_VALUE,
                                "No value was given: min, full, max, shares or mode, each with a text");
    return r;
}

/* "web1: min default → 1.00 GiB, shares 500 → 2000; …" */
static void describe_change(Entitling *w, const Guest *g, const Entitlement *e)
{
    char *answer = w->answer;
    char name[DOMAIN_NAME_MAX + 1], before[UNITS_FORMAT_MAX], after[UNITS_FORMAT_MAX];
    const Entitlement *was = &g->info.entitlement;
    const char *separator = ": ";
    size_t fill;

    fill = (size_t) snprintf(answer, ANSWER_MAX, "%s", text_make_utf8(name, sizeof(name), g->info.name));
    for (EntitlementKey k = 0; k < ENTITLEMENT_KEY_MAX_; k++) {
        const char *from = value_text(before, was, k), *to = value_text(after, e, k);

        if (strcmp(from, to) == 0)
            continue;
        fill += (size_t) snprintf(answer + fill, ANSWER_MAX - fill, "%s%s %s → %s", separator,
                                  entitlement_key_to_string(k), from, to);
        separator = ", ";
    }
    snprintf(answer + fill, ANSWER_MAX - fill, "%s%s",
             separator[0] == ':' ? ": as before, written again; " : "; ",
             w->shut_off     ? "in its definition; it is shut off, and this comes into force when it starts"
             : w->persistent ? "in the running domain and in its definition"
                             : "in the running domain, which has no definition to keep it");
    if (e->mode == GUEST_MODE_AUTO && g->host->mode != GUEST_MODE_AUTO)
        snprintf(w->warning, WARNING_MAX,
                 "ballastd itself is in mode %s, so nothing moves (ballastctl mode auto changes that)",
                 guest_mode_to_string(g->host->mode));
}

static int entitling_new(Entitlings *all, sd_bus_message *call, const Guest *g, const Actor *by,
                         const Entitlement *e, Entitling **ret)
{
    _cleanup_(entitling_freep) Entitling *w = calloc(1, sizeof(Entitling));
    int r;

    if (!w)
        return -ENOMEM;
    r = sd_event_add_time_relative(all->manager->event, &w->timer, CLOCK_MONOTONIC, ENTITLE_WAIT_USEC, 0,
                                   on_timeout, w);
    if (r < 0)
        return r;
    w->all = all;
    w->by = *by;
    w->before = g->info.entitlement;
    w->after = *e;
    w->call = sd_bus_message_ref(call);
    memcpy(w->uuid, g->info.uuid, sizeof(w->uuid));
    text_make_utf8(w->name, sizeof(w->name), g->info.name);
    w->shut_off = g->info.id < 0;
    w->persistent = g->info.persistent;
    describe_change(w, g, e);
    *ret = TAKE_PTR(w);
    return 0;
}

static const char *why_refused(int r)
{
    return r == -ENOTCONN ? "libvirt is away"
           : r == -EBUSY  ? "the last change is still being written; try again"
           : r == -ENOENT ? "it is no longer running"
                          : strerror(-r);
}

int entitle_begin(Entitlings *all, sd_bus_message *message, Guest *g, const Actor *by, sd_bus_error *error)
{
    EntitlementChange change = {.values = ENTITLEMENT_NONE};
    char name[DOMAIN_NAME_MAX + 1], why[ENTITLEMENT_WHY_MAX];
    _cleanup_(entitling_freep) Entitling *w = NULL;
    Entitlement e = g->info.entitlement;
    int r;

    text_make_utf8(name, sizeof(name), g->info.name);
    r = read_values(message, &change, error);
    if (r < 0)
        return r;
    entitlement_change(&e, &change);
    if (entitlement_check(&e, g->info.maximum_bytes, why) < 0 ||
        ((change.keys & ENTITLE_SIZES) != 0 && guest_check_full(g, &e, why) < 0))
        return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "%s: %s. Nothing was changed", name, why);
    /* Write it even if no value changes: the definition may differ from the running domain, or have a
     * mistake. */
    r = *find(all, g->info.uuid) ? -EBUSY : entitling_new(all, message, g, by, &e, &w);
    if (r >= 0)
        r = virt_link_entitle(&all->manager->libvirt, g, &change, &e);
    if (r < 0)
        return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "%s: its entitlement wasn't changed: %s", name,
                                 why_refused(r));
    w->next = all->first;
    all->first = TAKE_PTR(w);
    return 1;
}
