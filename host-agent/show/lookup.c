/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds guests and domains that are shut off, for methods that name one or list all. */

#include "host-agent/show/lookup.h"

#include <string.h>

#include "base/log.h"
#include "base/nearest.h"
#include "host-agent/show/describe.h"
#include "host-agent/show/objects.h"

/* Shorter than ballastctl waits for an answer (3 s). */
#define LOOKUP_WAIT_USEC      (2500 * USEC_PER_MSEC)
/* So many are named when a prefix matches several. */
#define LOOKUP_CANDIDATES_MAX SHUT_OFF_CANDIDATES_MAX

/* A call that waits for libvirt. */
struct Lookup {
    Lookup *next;
    Lookups *all;
    unsigned number; /* of the request to libvirt */
    sd_bus_message *call;
    sd_event_source *timer;
    char *pattern; /* NULL: a list of all */
    LookupAct act;
    bool has_by;
    Actor by;
};

static Lookup *lookup_free(Lookup *l)
{
    if (!l)
        return NULL;
    sd_bus_message_unref(l->call);
    sd_event_source_disable_unref(l->timer);
    free(l->pattern);
    free(l);
    return NULL;
}
DEFINE_CLEANUP_FUNC(Lookup, lookup_free);

void lookups_init(Lookups *all, BusObjects *o)
{
    *all = (Lookups){.objects = o};
}

void lookups_done(Lookups *all)
{
    while (all->first) {
        Lookup *l = all->first;

        all->first = l->next;
        lookup_free(l);
    }
}

GuestEntry *lookup_path(const Manager *m, const char *path)
{
    const char *rest = path + strlen(BUS_GUEST_PATH);
    char uuid[sizeof(((DomainInfo *) NULL)->uuid)];

    if (rest[0] != '/' || strlen(rest + 1) != sizeof(uuid) - 1)
        return NULL;
    for (size_t i = 0; i < sizeof(uuid); i++)
        uuid[i] = rest[i + 1] == '_' ? '-' : rest[i + 1];
    return guests_by_uuid(&m->guests, uuid);
}

bool lookup_is_of_manager(sd_bus_message *call)
{
    return strcmp(sd_bus_message_get_path(call), BUS_PATH) == 0;
}

/* ---- One that a pattern names ---- */

static bool is_exact(const GuestEntry *e, const char *pattern)
{
    return strcmp(e->guest->info.name, pattern) == 0 || strcasecmp(e->guest->info.uuid, pattern) == 0;
}

/* The names of those that a pattern matches. */
typedef struct Candidates {
    char names[LOOKUP_CANDIDATES_MAX * (DOMAIN_NAME_MAX + 3)];
    size_t length;
    unsigned n;
} Candidates;

static void add_candidate(Candidates *c, const char *name)
{
    if (c->n++ < LOOKUP_CANDIDATES_MAX)
        c->length += (size_t) snprintf(c->names + c->length, sizeof(c->names) - c->length, "%s%s",
                                       c->length > 0 ? ", " : "", name);
}

static int ambiguous(const char *pattern, const char *what, size_t n, const Candidates *c,
                     sd_bus_error *error)
{
    char clean[sizeof(c->names)];

    return sd_bus_error_setf(
        error, BUS_ERROR_AMBIGUOUS, "'%s' matches %zu %s (%s%s); give the whole name or the UUID", pattern, n,
        what, text_make_utf8(clean, sizeof(clean), c->names), n > LOOKUP_CANDIDATES_MAX ? ", …" : "");
}

static int ambiguous_guests(const Manager *m, const char *pattern, sd_bus_error *error)
{
    size_t length = strlen(pattern);
    Candidates c = {};

    for (size_t i = 0; i < m->guests.n; i++) {
        const DomainInfo *info = &m->guests.entries[i].guest->info;

        if (strncmp(info->name, pattern, length) == 0 || strncasecmp(info->uuid, pattern, length) == 0)
            add_candidate(&c, info->name);
    }
    return ambiguous(pattern, "guests", c.n, &c, error);
}

static int ambiguous_shut_off(const ShutOff *off, const char *pattern, sd_bus_error *error)
{
    Candidates c = {};

    for (size_t i = 0; i < off->n_found; i++)
        add_candidate(&c, off->found[i].name);
    return ambiguous(pattern, "domains that are shut off", off->n_matches, &c, error);
}

/* why: domains that are shut off could not be looked up; NULL: none has the name. */
static int no_such(const Manager *m, const char *pattern, const ShutOff *off, const char *why,
                   sd_bus_error *error)
{
    char clean[DOMAIN_NAME_MAX + 1], reason[NOTICE_TEXT_MAX];
    Nearest near;

    nearest_init(&near, pattern, strlen(pattern));
    for (size_t i = 0; i < m->guests.n; i++)
        nearest_offer(&near, m->guests.entries[i].guest->info.name);
    if (off && off->nearest[0])
        nearest_offer(&near, off->nearest);
    if (near.best)
        return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_GUEST,
                                 "No %s has the name, UUID or prefix '%s'; did you mean '%s'?",
                                 why ? "running guest" : "guest, running or shut off,", pattern,
                                 text_make_utf8(clean, sizeof(clean), near.best));
    if (why)
        return sd_bus_error_setf(
            error, BUS_ERROR_NO_SUCH_GUEST,
            "No running guest has the name, UUID or prefix '%s'; those that are shut off aren't known: %s",
            pattern, text_make_utf8(reason, sizeof(reason), why));
    return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_GUEST,
                             "No guest, running or shut off, has the name, UUID or prefix '%s'; ballastctl "
                             "list --all shows all",
                             pattern);
}

/* A change must not go to the wrong domain. */
static int uncertain(const char *pattern, const Guest *g, const char *why, sd_bus_error *error)
{
    char clean[DOMAIN_NAME_MAX + 1], reason[NOTICE_TEXT_MAX];

    return sd_bus_error_setf(
        error, BUS_ERROR_REFUSED,
        "'%s' may be the name of a domain that is shut off, which isn't known now: %s. If you mean "
        "%s, give the whole name",
        pattern, text_make_utf8(reason, sizeof(reason), why),
        text_make_utf8(clean, sizeof(clean), g->info.name));
}

static int act_on_shut_off(BusObjects *o, sd_bus_message *call, const DomainInfo *info, const Actor *by,
                           LookupAct act, sd_bus_error *error)
{
    Entitlement configured = config_entitlement(o->manager->config, info->name);
    _cleanup_(guest_freep) Guest *g = NULL;
    int r;

    r = guest_new_shut_off(&o->manager->guest_host, info, &configured, &g);
    return r < 0 ? r : act(o, call, NULL, g, by, error);
}

/* off: libvirt's answer; NULL: there is none, and why says why. */
static int act_on(BusObjects *o, sd_bus_message *call, const char *pattern, const Actor *by, LookupAct act,
                  const ShutOff *off, const char *why, sd_bus_error *error)
{
    Manager *m = o->manager;
    GuestEntry *e = NULL;
    int r;

    r = guests_find(&m->guests, pattern, &e);
    if (off && off->n_found == 1 && !(r >= 0 && is_exact(e, pattern)) &&
        (off->exact || (r == -ENOENT && off->n_matches == 1)))
        return act_on_shut_off(o, call, &off->found[0], by, act, error);
    if (off && off->exact && off->n_found == 0 && !(r >= 0 && is_exact(e, pattern)))
        return sd_bus_error_setf(error, BUS_ERROR_REFUSED,
                                 "'%s' is just starting, or its definition can't be read; try again",
                                 pattern);
    if (r >= 0 && why && by)
        return uncertain(pattern, e->guest, why, error);
    if (r >= 0)
        return act(o, call, e, NULL, by, error);
    if (r == -ENOTUNIQ)
        return ambiguous_guests(m, pattern, error);
    if (off && off->n_matches > 1)
        return ambiguous_shut_off(off, pattern, error);
    return no_such(m, pattern, off, why, error);
}

/* ---- All ---- */

static void describe_domains(Dict *d, const Manager *m, const ShutOff *off)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);

    dict_begin(d);
    dict_list_open(d, "guests", "aa{sv}");
    for (size_t i = 0; i < m->guests.n; i++) {
        dict_begin(d);
        describe_guest_row(d, &m->guests.entries[i], now);
        dict_end(d);
    }
    for (size_t i = 0; i < off->n_found; i++) {
        Entitlement configured = config_entitlement(m->config, off->found[i].name);
        _cleanup_(guest_freep) Guest *g = NULL;

        if (guests_by_uuid(&m->guests, off->found[i].uuid))
            continue; /* it was started meanwhile */
        if (guest_new_shut_off(&m->guest_host, &off->found[i], &configured, &g) < 0) {
            d->error = -ENOMEM;
            return;
        }
        dict_begin(d);
        describe_shut_off_row(d, g);
        dict_end(d);
    }
    dict_list_close(d);
    dict_count(d, "guests_left_out", off->n_matches - off->n_found);
    dict_end(d);
}

static int reply_domains(BusObjects *o, sd_bus_message *call, const ShutOff *off, const char *why,
                         sd_bus_error *error)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    char reason[NOTICE_TEXT_MAX];
    Dict d = {};
    int r;

    if (!off)
        return sd_bus_error_setf(
            error, BUS_ERROR_REFUSED,
            "Domains that are shut off aren't known: %s; ballastctl list shows those that run",
            text_make_utf8(reason, sizeof(reason), why));
    r = sd_bus_message_new_method_return(call, &reply);
    if (r < 0)
        return r;
    d.message = reply;
    describe_domains(&d, o->manager, off);
    return d.error < 0 ? d.error : sd_bus_send(NULL, reply, NULL);
}

/* ---- Waiting for libvirt ---- */

/* Answers a call that waits, and removes it from the list. */
static void finish(Lookup **at, const ShutOff *off, const char *why)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(lookup_freep) Lookup *l = *at;
    BusObjects *o = l->all->objects;
    int r;

    *at = l->next;
    r = l->pattern ? act_on(o, l->call, l->pattern, l->has_by ? &l->by : NULL, l->act, off, why, &error)
                   : reply_domains(o, l->call, off, why, &error);
    if (r < 0)
        r = sd_bus_reply_method_errno(l->call, r, &error);
    if (r < 0)
        log_debug_errno(-r, "Cannot answer %s: %m", sd_bus_message_get_member(l->call));
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
    Lookup *l = userdata, **at = &l->all->first;

    while (*at != l)
        at = &(*at)->next;
    finish(at, NULL, "libvirt hasn't answered yet; try again");
    return 0;
}

void lookups_hear(Lookups *all, const Notice *n)
{
    const ShutOff *off = all->objects->manager->libvirt.shut_off;
    Lookup **at = &all->first;

    if (n->kind == NOTICE_LIBVIRT_LOST)
        while (all->first)
            finish(&all->first, NULL, "libvirt is away");
    if (n->kind != NOTICE_SHUT_OFF)
        return;
    while (*at && (*at)->number != off->number)
        at = &(*at)->next;
    if (*at && off->error < 0)
        finish(at, NULL, off->text ?: strerror(-off->error));
    else if (*at)
        finish(at, off, NULL);
}

/* Asks libvirt, and lets the call wait. */
static int wait_for(Lookups *all, sd_bus_message *call, const char *pattern, const Actor *by, LookupAct act)
{
    _cleanup_(lookup_freep) Lookup *l = calloc(1, sizeof(Lookup));
    Manager *m = all->objects->manager;
    int r;

    if (!l)
        return -ENOMEM;
    l->all = all;
    l->act = act;
    l->pattern = pattern ? strdup(pattern) : NULL;
    if (pattern && !l->pattern)
        return -ENOMEM;
    l->has_by = by != NULL;
    if (by)
        l->by = *by;
    r = sd_event_add_time_relative(m->event, &l->timer, CLOCK_MONOTONIC, LOOKUP_WAIT_USEC, 0, on_timeout, l);
    if (r >= 0)
        r = virt_find_shut_off(m->libvirt.virt, pattern, &l->number);
    if (r < 0)
        return r;
    l->call = sd_bus_message_ref(call);
    l->next = all->first;
    all->first = TAKE_PTR(l);
    return 1;
}

static const char *why_not_asked(int r)
{
    return r == -ENOTCONN ? "libvirt is away"
           : r == -EBUSY  ? "too many requests wait for libvirt; try again"
                          : strerror(-r);
}

int lookup_begin(Lookups *all, sd_bus_message *call, const Actor *by, LookupAct act, sd_bus_error *error)
{
    BusObjects *o = all->objects;
    const char *pattern;
    GuestEntry *e;
    int r;

    if (!lookup_is_of_manager(call)) {
        e = lookup_path(o->manager, sd_bus_message_get_path(call));
        return e ? act(o, call, e, NULL, by, error)
                 : sd_bus_error_set(error, BUS_ERROR_NO_SUCH_GUEST, "The guest is no longer running");
    }
    r = sd_bus_message_read(call, "s", &pattern);
    if (r < 0)
        return r;
    if (pattern[0] == '\0' || strlen(pattern) > DOMAIN_NAME_MAX)
        return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_GUEST,
                                 "A guest's name has 1 to %u bytes; this one has %zu", DOMAIN_NAME_MAX,
                                 strlen(pattern));
    if (guests_find(&o->manager->guests, pattern, &e) >= 0 && is_exact(e, pattern))
        return act(o, call, e, NULL, by, error);
    r = wait_for(all, call, pattern, by, act);
    return r < 0 ? act_on(o, call, pattern, by, act, NULL, why_not_asked(r), error) : r;
}

int lookup_list(Lookups *all, sd_bus_message *call, sd_bus_error *error)
{
    int r = wait_for(all, call, NULL, NULL, NULL);

    return r < 0 ? reply_domains(all->objects, call, NULL, why_not_asked(r), error) : r;
}
