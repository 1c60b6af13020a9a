/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The objects on D-Bus: their methods and properties. */

#include <string.h>

#include "base/log.h"
#include "host-agent/show/describe.h"
#include "host-agent/show/entitle.h"
#include "host-agent/show/objects.h"
#include "host-agent/show/release.h"

/* What a refused reload reports. */
#define FINDINGS_TEXT_MAX 1024U
/* The longest name of a loaded policy file, in bytes; it is a path. */
#define POLICY_ORIGIN_MAX 1024U

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
    n.error = MIN(r, 0);
    audience_tell(&m->audience, &n);
    if (r < 0)
        return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "Cannot change the mode: %s", strerror(-r));
    return sd_bus_reply_method_return(message, NULL);
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

static const char *severity(int level)
{
    return level == LOG_ERR ? "error" : level == LOG_WARNING ? "warning" : "notice";
}

static void findings_into(Dict *d, const void *what, usec_t now)
{
    const Findings *f = what;

    dict_text(d, "message", "ballastd has read its configuration and policy again");
    dict_list_open(d, "findings", "aa{sv}");
    for (size_t i = 0; i < f->n; i++) {
        dict_begin(d);
        dict_text(d, "file", f->list[i].file);
        if (f->list[i].line > 0)
            dict_count(d, "line", f->list[i].line);
        dict_text(d, "severity", severity(f->list[i].level));
        dict_text(d, "message", f->list[i].message);
        dict_end(d);
    }
    dict_list_close(d);
    dict_count(d, "findings_left_out", f->left_out);
}

static int reload(sd_bus_message *message, void *userdata, const Actor *by, sd_bus_error *error)
{
    char text[FINDINGS_TEXT_MAX], clean[FINDINGS_TEXT_MAX];
    _cleanup_(findings_done) Findings f = {};
    int r;

    r = manager_reload(manager_of(userdata), by, &f);
    if (r >= 0)
        return reply_dict(message, findings_into, &f);
    findings_text(&f, text, sizeof(text));
    return sd_bus_error_set(error, BUS_ERROR_BAD_FILES, text_make_utf8(clean, sizeof(clean), text));
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

static void loaded_into(Dict *d, const void *what, usec_t now)
{
    const Policy *p = ((const RunningPolicy *) what)->policy;

    dict_text(
        d, "message",
        "Loaded, in place of the previous policy; it runs until ballastd is restarted or reloaded (ballastctl reload returns to the configured policy). To keep it, name its files in Files= under [Policy] in ballastd.conf");
    dict_list_open(d, "files", "as");
    for (size_t i = 0; i < policy_n_files(p); i++)
        dict_item(d, policy_file(p, i).origin);
    dict_list_close(d);
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
    return reply_dict(message, loaded_into, &m->policy);
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
    SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_ARGS("s", pattern), SD_BUS_RESULT("a{sv}", done), on_change,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("SetGuest", SD_BUS_ARGS("s", pattern, "a{ss}", values),
                            SD_BUS_RESULT("a{sv}", done), on_change, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("LoadPolicy", SD_BUS_ARGS("a(ss)", files), SD_BUS_RESULT("a{sv}", done),
                            on_change, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("GetPolicy", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", policy), on_get_policy,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", done), on_change,
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
    SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", done), on_change,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Set", SD_BUS_ARGS("a{ss}", values), SD_BUS_RESULT("a{sv}", done), on_change,
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
