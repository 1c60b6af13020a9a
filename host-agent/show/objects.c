/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The objects on D-Bus: their methods and properties. */

#include <string.h>

#include "base/units.h"
#include "host-agent/show/describe.h"
#include "host-agent/show/entitle.h"
#include "host-agent/show/objects.h"

/* What a reload reports. */
#define FINDINGS_TEXT_MAX 1024U
/* The longest name of a loaded policy file, in bytes; it is a path. */
#define POLICY_ORIGIN_MAX 1024U

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

char *bus_guest_path(char *buf, const char *uuid)
{
    snprintf(buf, BUS_PATH_MAX, "%s/%s", BUS_GUEST_PATH, uuid);
    for (char *p = buf; *p; p++)
        if (*p == '-')
            *p = '_';
    return buf;
}

/* Answering with dictionaries */

static int reply_dict(sd_bus_message *call, void (*describe)(Dict *, const void *, usec_t), const void *what)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    Dict d = {};
    int r;

    r = sd_bus_message_new_method_return(call, &reply);
    if (r < 0)
        return r;
    d.message = reply;
    dict_begin(&d);
    describe(&d, what, now_usec(CLOCK_MONOTONIC));
    dict_end(&d);
    if (d.error < 0)
        return d.error;
    return sd_bus_send(NULL, reply, NULL);
}

static void status_into(Dict *d, const void *what, usec_t now)
{
    describe_status(d, what, now);
}

static void guest_into(Dict *d, const void *what, usec_t now)
{
    describe_guest(d, what, now);
}

static void dump_into(Dict *d, const void *what, usec_t now)
{
    describe_dump(d, what, now);
}

static void policy_into(Dict *d, const void *what, usec_t now)
{
    describe_policy_files(d, what, now);
}

static Manager *manager_of(void *userdata)
{
    return ((BusObjects *) userdata)->manager;
}

static int on_get_policy(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    return reply_dict(message, policy_into, manager_of(userdata));
}

static int on_get_status(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    return reply_dict(message, status_into, manager_of(userdata));
}

static int on_dump(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    return reply_dict(message, dump_into, manager_of(userdata));
}

static int on_list_guests(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    usec_t now = now_usec(CLOCK_MONOTONIC);
    Manager *m = manager_of(userdata);
    Dict d = {};
    int r;

    r = sd_bus_message_new_method_return(message, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    if (r < 0)
        return r;
    d.message = reply;
    for (size_t i = 0; i < m->guests.n; i++) {
        dict_begin(&d);
        describe_guest_row(&d, &m->guests.entries[i], now);
        dict_end(&d);
    }
    if (d.error < 0)
        return d.error;
    r = sd_bus_message_close_container(reply);
    if (r < 0)
        return r;
    return sd_bus_send(NULL, reply, NULL);
}

/* One guest */

static void shut_off_into(Dict *d, const void *what, usec_t now)
{
    describe_shut_off(d, what);
}

static int get_guest(BusObjects *o, sd_bus_message *call, GuestEntry *e, Guest *off, const Actor *by,
                     sd_bus_error *error)
{
    return e ? reply_dict(call, guest_into, e) : reply_dict(call, shut_off_into, off);
}

static int on_get_guest(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    return lookup_begin(((BusObjects *) userdata)->lookups, message, NULL, get_guest, error);
}

static int on_list_domains(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    return lookup_list(((BusObjects *) userdata)->lookups, message, error);
}

/* Changing something */

static int set_mode(sd_bus_message *message, void *userdata, const Actor *by, sd_bus_error *error)
{
    Manager *m = manager_of(userdata);
    const char *text;
    GuestMode mode;
    Notice n;
    int r;

    r = sd_bus_message_read(message, "s", &text);
    if (r < 0)
        return r;
    mode = guest_mode_from_string(text);
    if (mode != GUEST_MODE_AUTO && mode != GUEST_MODE_OBSERVE)
        return sd_bus_error_setf(
            error, BUS_ERROR_BAD_MODE,
            "The daemon's mode must be auto or observe (to leave one guest alone, run ballastctl set VM --mode off)");
    n = notice_of_change(by, "mode", guest_mode_to_string(m->guest_host.mode), guest_mode_to_string(mode));
    r = manager_set_mode(m, mode);
    tell_change(m, NULL, &n, r, NULL);
    if (r < 0)
        return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "Cannot change the mode: %s", strerror(-r));
    return sd_bus_reply_method_return(message, NULL);
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

/* Releases one guest. *room: as for move_release(); *ret_bytes: how much memory the guest gets back. */
static int release(Manager *m, Guest *g, uint64_t *room, uint64_t *ret_bytes)
{
    uint64_t current = guest_current(g);
    int r;

    r = manager_release(m, g, room);
    if (r < 0)
        return r;
    *ret_bytes = LESS_BY(balloon_standing(&g->balloon), current);
    return 0;
}

static int release_one(sd_bus_message *message, Manager *m, Guest *g, const Actor *by, sd_bus_error *error)
{
    char name[DOMAIN_NAME_MAX + 1], current[UNITS_FORMAT_MAX], full[UNITS_FORMAT_MAX], back[UNITS_FORMAT_MAX],
        target[UNITS_FORMAT_MAX], grace[UNITS_FORMAT_MAX], text[DOMAIN_NAME_MAX + 256];
    uint64_t bytes = 0, room = manager_room(m);
    Notice n;
    int r;

    text_make_utf8(name, sizeof(name), g->info.name);
    format_size(current, guest_current(g));
    r = release(m, g, &room, &bytes);
    format_size(target, r < 0 ? g->full.bytes : balloon_standing(&g->balloon));
    n = notice_of_change(by, "release", current, target);
    tell_change(m, g, &n, r, r < 0 ? release_refusal(g, r) : NULL);
    if (r < 0)
        return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "%s can't be released: %s", name,
                                 release_refusal(g, r));
    format_size(full, g->full.bytes);
    format_duration(grace, m->config->guard.grace_usec);
    if (bytes == 0)
        snprintf(text, sizeof(text), "%s already has its full size, %s; it isn't shrunk for %s", name, full,
                 grace);
    else
        snprintf(text, sizeof(text), "%s: %s → %s, %s comes back%s; it isn't shrunk for %s", name, current,
                 target, format_size(back, bytes),
                 balloon_standing(&g->balloon) < g->full.bytes ? ", as far as the host has room" : "", grace);
    return sd_bus_reply_method_return(message, "s", text);
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

static int release_all(sd_bus_message *message, Manager *m, const Actor *by, sd_bus_error *error)
{
    char back[UNITS_FORMAT_MAX], grace[UNITS_FORMAT_MAX], name[DOMAIN_NAME_MAX + 1] = "",
                                                                                 text[DOMAIN_NAME_MAX + 512];
    size_t asked = 0, refused = 0, fill;
    const char *why = NULL;
    uint64_t sum = 0, room = manager_room(m);

    for (size_t i = 0; i < m->guests.n; i++) {
        Guest *g = m->guests.entries[i].guest;
        uint64_t bytes = 0;
        int r;

        r = release(m, g, &room, &bytes);
        if (r >= 0) {
            asked++;
            sum += bytes;
        } else if (refused++ == 0) {
            text_make_utf8(name, sizeof(name), g->info.name);
            why = release_refusal(g, r);
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
    return sd_bus_reply_method_return(message, "s", text);
}

/* Whether a method was called on the manager with an empty pattern, which means all guests. */
static bool means_all(sd_bus_message *message)
{
    const char *pattern;
    bool all = lookup_is_of_manager(message) && sd_bus_message_read(message, "s", &pattern) >= 0 &&
               pattern[0] == '\0';

    (void) sd_bus_message_rewind(message, true);
    return all;
}

static int release_named(BusObjects *o, sd_bus_message *call, GuestEntry *e, Guest *off, const Actor *by,
                         sd_bus_error *error)
{
    char name[DOMAIN_NAME_MAX + 1];

    if (e)
        return release_one(call, o->manager, e->guest, by, error);
    return sd_bus_error_setf(error, BUS_ERROR_SHUT_OFF,
                             "%s is shut off, so it has no balloon; it gets its full size when it starts",
                             text_make_utf8(name, sizeof(name), off->info.name));
}

static int release_some(sd_bus_message *message, void *userdata, const Actor *by, sd_bus_error *error)
{
    BusObjects *o = userdata;

    return means_all(message) ? release_all(message, o->manager, by, error)
                              : lookup_begin(o->lookups, message, by, release_named, error);
}

static int set_named(BusObjects *o, sd_bus_message *call, GuestEntry *e, Guest *off, const Actor *by,
                     sd_bus_error *error)
{
    return entitle_begin(o->entitlings, call, e ? e->guest : off, by, error);
}

static int set_guest(sd_bus_message *message, void *userdata, const Actor *by, sd_bus_error *error)
{
    BusObjects *o = userdata;

    return lookup_begin(o->lookups, message, by, set_named, error);
}

static int reload(sd_bus_message *message, void *userdata, const Actor *by, sd_bus_error *error)
{
    char text[FINDINGS_TEXT_MAX], clean[FINDINGS_TEXT_MAX];
    _cleanup_(findings_done) Findings f = {};
    int r;

    r = manager_reload(manager_of(userdata), by, &f);
    findings_text(&f, text, sizeof(text));
    text_make_utf8(clean, sizeof(clean), text);
    return r < 0 ? sd_bus_error_set(error, BUS_ERROR_BAD_FILES, clean)
                 : sd_bus_reply_method_return(message, "s", clean);
}

/* Reads the files of LoadPolicy. Names and texts are borrowed from the message. */
static int read_sources(sd_bus_message *message, PolicySource *sources, size_t *ret_n, sd_bus_error *error)
{
    size_t n = 0;
    int r;

    r = sd_bus_message_enter_container(message, 'a', "(ss)");
    while (r >= 0) {
        PolicySource s = {};

        r = sd_bus_message_read(message, "(ss)", &s.origin, &s.text);
        if (r <= 0)
            break;
        if (n == POLICY_FILES_MAX)
            return sd_bus_error_setf(error, BUS_ERROR_BAD_VALUE, "At most %u files can run together",
                                     POLICY_FILES_MAX);
        s.length = strlen(s.text);
        if (!s.origin[0] || strlen(s.origin) > POLICY_ORIGIN_MAX)
            return sd_bus_error_setf(error, BUS_ERROR_BAD_VALUE, "A policy's name has 1 to %u bytes",
                                     POLICY_ORIGIN_MAX);
        if (s.length > POLICY_SIZE_MAX)
            return sd_bus_error_setf(error, BUS_ERROR_BAD_VALUE, "%s: a policy has at most %u KiB", s.origin,
                                     POLICY_SIZE_MAX / 1024);
        sources[n++] = s;
    }
    if (r < 0)
        return r;
    if (n == 0)
        return sd_bus_error_setf(error, BUS_ERROR_BAD_VALUE, "A policy has at least one file");
    *ret_n = n;
    return sd_bus_message_exit_container(message);
}

static int bad_policy(const PolicyDiagnostics *d, int r, sd_bus_error *error)
{
    size_t size = d->length + 1;
    _cleanup_free_ char *text = malloc(size);

    if (!text)
        return -ENOMEM;
    if (d->text)
        return sd_bus_error_set(error, BUS_ERROR_BAD_POLICY, text_make_utf8(text, size, d->text));
    return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "Cannot load the policy: %s", strerror(-r));
}

static int load_policy(sd_bus_message *message, void *userdata, const Actor *by, sd_bus_error *error)
{
    PolicySource sources[POLICY_FILES_MAX];
    PolicyDiagnostics diagnostics = {};
    Manager *m = manager_of(userdata);
    size_t n = 0;
    int r;

    r = read_sources(message, sources, &n, error);
    if (r < 0)
        return r;
    r = manager_load_policy(m, sources, n, by, &diagnostics);
    if (r < 0)
        r = bad_policy(&diagnostics, r, error);
    policy_diagnostics_done(&diagnostics);
    if (r < 0)
        return r;
    return sd_bus_reply_method_return(
        message, "s",
        "Loaded, in place of the previous policy; it runs until ballastd is restarted or reloaded (ballastctl reload returns to the configured policy). To keep it, name its files in Files= under [Policy] in ballastd.conf");
}

/* Every method that changes something. */
static int on_change(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    static const struct {
        const char *member;
        CallersRun run;
    } changes[] = {
        {"SetMode", set_mode}, {"Release", release_some},   {"SetGuest", set_guest},
        {"Set", set_guest},    {"LoadPolicy", load_policy}, {"Reload", reload},
    };
    const BusObjects *o = userdata;
    size_t i = 0;

    while (strcmp(changes[i].member, sd_bus_message_get_member(message)) != 0)
        i++;
    return callers_ask(o->callers, message, changes[i].run, userdata, error);
}

/* Properties and objects */

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const char *value = strcmp(property, "Mode") == 0
                            ? guest_mode_to_string(manager_of(userdata)->guest_host.mode)
                            : BALLAST_VERSION;

    return sd_bus_message_append(reply, "s", value);
}

static int get_guest_property(sd_bus *bus, const char *path, const char *interface, const char *property,
                              sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const GuestEntry *e = lookup_path(manager_of(userdata), path);
    char clean[DOMAIN_NAME_MAX + 1];
    const char *value;

    if (!e)
        return sd_bus_error_set(error, BUS_ERROR_NO_SUCH_GUEST, "The guest is no longer running");
    value = strcmp(property, "Name") == 0   ? text_make_utf8(clean, sizeof(clean), e->guest->info.name)
            : strcmp(property, "Uuid") == 0 ? e->guest->info.uuid
                                            : guest_mode_to_string(guest_mode(e->guest));

    return sd_bus_message_append(reply, "s", value);
}

static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Mode", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Version", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_METHOD_WITH_ARGS("GetStatus", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", status), on_get_status,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("ListGuests", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", guests), on_list_guests,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("ListDomains", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", domains), on_list_domains,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("GetGuest", SD_BUS_ARGS("s", pattern), SD_BUS_RESULT("a{sv}", guest),
                            on_get_guest, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Dump", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", state), on_dump,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("SetMode", SD_BUS_ARGS("s", mode), SD_BUS_NO_RESULT, on_change,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_ARGS("s", pattern), SD_BUS_RESULT("s", done), on_change,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("SetGuest", SD_BUS_ARGS("s", pattern, "a{ss}", values), SD_BUS_RESULT("s", done),
                            on_change, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("LoadPolicy", SD_BUS_ARGS("a(ss)", files), SD_BUS_RESULT("s", done), on_change,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("GetPolicy", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", policy), on_get_policy,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", findings), on_change,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL_WITH_ARGS("GuestAdded", SD_BUS_ARGS("o", guest, "s", name), 0),
    SD_BUS_SIGNAL_WITH_ARGS("GuestRemoved", SD_BUS_ARGS("o", guest, "s", name), 0),
    SD_BUS_VTABLE_END,
};

static const sd_bus_vtable guest_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Name", "s", get_guest_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Uuid", "s", get_guest_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Mode", "s", get_guest_property, 0, 0),
    SD_BUS_METHOD_WITH_ARGS("GetStats", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", guest), on_get_guest,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", done), on_change,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Set", SD_BUS_ARGS("a{ss}", values), SD_BUS_RESULT("s", done), on_change,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static int find_guest_object(sd_bus *bus, const char *path, const char *interface, void *userdata,
                             void **ret_found, sd_bus_error *error)
{
    *ret_found = userdata;
    return lookup_path(manager_of(userdata), path) != NULL;
}

static int list_guest_objects(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                              sd_bus_error *error)
{
    Manager *m = manager_of(userdata);
    char path[BUS_PATH_MAX], **nodes;

    nodes = calloc(m->guests.n + 1, sizeof(char *));
    if (!nodes)
        return -ENOMEM;
    for (size_t i = 0; i < m->guests.n; i++) {
        nodes[i] = strdup(bus_guest_path(path, m->guests.entries[i].guest->info.uuid));
        if (!nodes[i]) {
            while (i > 0)
                free(nodes[--i]);
            free(nodes);
            return -ENOMEM;
        }
    }
    *ret_nodes = nodes;
    return 0;
}

int bus_export(BusObjects *o, sd_bus *bus)
{
    int r;

    r = sd_bus_add_object_vtable(bus, NULL, BUS_PATH, BUS_MANAGER_IFC, manager_vtable, o);
    if (r >= 0)
        r = sd_bus_add_fallback_vtable(bus, NULL, BUS_GUEST_PATH, BUS_GUEST_IFC, guest_vtable,
                                       find_guest_object, o);
    if (r >= 0)
        r = sd_bus_add_node_enumerator(bus, NULL, BUS_GUEST_PATH, list_guest_objects, o);
    return r;
}
