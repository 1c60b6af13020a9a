/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What clients say on D-Bus: the daemon's objects on one end of a connection, a client on the other. The input is a
 * sequence of calls, each a letter and its texts, which end with NUL; and of libvirt's answers. */

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-id128.h>

#include "base/log.h"
#include "base/units.h"
#include "host-agent/ctl/json.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/show/journal.h"
#include "host-agent/show/objects.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

#define CALLS_MAX 24U

typedef struct Input {
    const char *at, *end;
} Input;

typedef struct Rig {
    Manager *manager;
    BusObjects objects;
    Entitlings entitlings;
    Lookups lookups;
    Callers callers;
    sd_bus *daemon, *client;
    unsigned calls, answers;
} Rig;

static char config_path[FUZZ_PATH_MAX], policy_path[FUZZ_PATH_MAX];
static int journal_fd;
static int virt_error; /* what libvirt answers at once when it is asked for something */
static char caller;    /* who calls, as the bus says: 0 this user, 1 another, 2 it has no user, 3 an error */
static unsigned last_number; /* of the last request about domains that are shut off */

/* libvirt isn't there. */
int __wrap_virt_entitle(Virt *v, const char *uuid, const EntitlementChange *change);
int __wrap_virt_entitle_shut_off(Virt *v, const char *uuid, const EntitlementChange *change);
int __wrap_virt_find_shut_off(Virt *v, const char *pattern, unsigned *ret_number);

int __wrap_virt_entitle(Virt *v, const char *uuid, const EntitlementChange *change)
{
    assert(strlen(uuid) == 36 && change->keys != 0);
    return virt_error;
}

int __wrap_virt_entitle_shut_off(Virt *v, const char *uuid, const EntitlementChange *change)
{
    return __wrap_virt_entitle(v, uuid, change);
}

int __wrap_virt_find_shut_off(Virt *v, const char *pattern, unsigned *ret_number)
{
    assert(!pattern || pattern[0]);
    *ret_number = ++last_number;
    return virt_error;
}

static int set_memory(void *userdata, const char *uuid, const DomainState *state)
{
    assert(state->sent_bytes <= 4 * GIB);
    return 0;
}

static int open_channel(void *userdata, const char *uuid)
{
    return 0;
}

static void close_channel(void *userdata, const char *uuid)
{
}

/* Log lines are written as in the service, so that they are put together from what a client said. */
static void open_journal(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[FUZZ_PATH_MAX];

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", fuzz_path(path, "journal"));
    journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (journal_fd < 0 || bind(journal_fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        abort();
    log_set_journal(path);
}

static void empty_journal(void)
{
    char buf[8192];

    while (recv(journal_fd, buf, sizeof(buf), 0) >= 0)
        ;
}

static void make_files(void)
{
    if (!fuzz_folder_init())
        return;
    fuzz_write_text("meminfo", "MemTotal: 16777216 kB\nMemFree: 4194304 kB\nMemAvailable: 8388608 kB\n"
                               "Buffers: 0 kB\nCached: 0 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
    fuzz_write_text("ballastd.conf", "[Guest db*]\nMin=1GiB\nShares=500\n");
    fuzz_write_text("a.policy", "state guest.n = 0\nfor g in guests { g.n = g.n + 1 }\n");
    (void) fuzz_path(config_path, "ballastd.conf");
    (void) fuzz_path(policy_path, "a.policy");
    (void) setenv("RUNTIME_DIRECTORY", fuzz_folder, 1);
    open_journal();
}

/* Two guests whose names begin alike; one has a name that is no UTF-8. */
static void add_guests(Manager *m)
{
    static const char *const names[] = {"db1", "db2\xc3"};

    for (unsigned i = 0; i < ELEMENTSOF(names); i++) {
        DomainInfo info = {.id = 1,
                           .persistent = i == 0,
                           .has_balloon = true,
                           .maximum_bytes = 4 * GIB,
                           .current_bytes = 4 * GIB,
                           .entitlement = ENTITLEMENT_NONE};
        Entitlement configured;
        GuestEntry *e;

        snprintf(info.uuid, sizeof(info.uuid), "%08x-0000-4000-8000-000000000000", i);
        snprintf(info.name, sizeof(info.name), "%s", names[i]);
        configured = config_entitlement(m->config, info.name);
        guests_add(&m->guests, &info, &configured);
        e = guests_by_uuid(&m->guests, info.uuid);
        if (!e)
            abort();
        guest_balloon_seen(e->guest, 4 * GIB, now_usec(CLOCK_MONOTONIC));
    }
}

static void hear(void *userdata, const Notice *n)
{
    entitlings_hear(&((Rig *) userdata)->entitlings, n);
    lookups_hear(&((Rig *) userdata)->lookups, n);
}

/* The client is the bus, too, and says who called. */
static int on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    if (caller == 3)
        return sd_bus_error_set(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER, "It is gone");
    if (caller == 2)
        return sd_bus_reply_method_return(m, "a{sv}", 1, "ProcessID", "u", UINT32_C(1));
    return sd_bus_reply_method_return(m, "a{sv}", 1, "UnixUserID", "u",
                                      caller == 1 ? UINT32_C(1000) : (uint32_t) geteuid());
}

static void connect_both(Rig *r)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
        sd_bus_new(&r->daemon) < 0 || sd_bus_new(&r->client) < 0 ||
        sd_bus_set_fd(r->daemon, fds[0], fds[0]) < 0 || sd_bus_set_fd(r->client, fds[1], fds[1]) < 0 ||
        sd_bus_set_server(r->daemon, true,
                          SD_ID128_MAKE(b1, 7e, 5c, 51, aa, 9f, 4a, 0e, 8e, 2a, 16, 4f, 15, 9b, 41, 01)) <
            0 ||
        bus_export(&r->objects, r->daemon) < 0 ||
        sd_bus_add_object(r->client, NULL, "/org/freedesktop/DBus", on_credentials, NULL) < 0 ||
        sd_bus_start(r->daemon) < 0 || sd_bus_start(r->client) < 0)
        abort();
}

static bool rig_init(Rig *r)
{
    ManagerOptions o = {.config_path = config_path,
                        .policy_paths = {policy_path},
                        .n_policy_paths = 1,
                        .proc_root = fuzz_folder,
                        .sys_root = fuzz_folder,
                        .log_level = LOG_INFO,
                        .mode = GUEST_MODE_INVALID};
    Manager *m;

    *r = (Rig){};
    if (manager_new(&o, &m) < 0)
        return false;
    r->manager = m;
    m->hypervisor = (Hypervisor){.set_memory = set_memory};
    m->transport = (Transport){.open = open_channel, .close = close_channel};
    audience_add(&m->audience, journal_hear, NULL);
    audience_add(&m->audience, hear, r);
    entitlings_init(&r->entitlings, m);
    callers_init(&r->callers, m->event, &m->audience);
    lookups_init(&r->lookups, &r->objects);
    r->objects = (BusObjects){
        .manager = m, .entitlings = &r->entitlings, .lookups = &r->lookups, .callers = &r->callers};
    add_guests(m);
    connect_both(r);
    return true;
}

static void rig_done(Rig *r)
{
    callers_done(&r->callers);
    lookups_done(&r->lookups);
    entitlings_done(&r->entitlings);
    sd_bus_close_unref(r->client);
    sd_bus_close_unref(r->daemon);
    manager_free(r->manager);
    empty_journal();
}

/* Each end does what it has to do. The daemon keeps its connection, whatever was said on it. */
static void go_round(Rig *r)
{
    int a, b;

    do {
        a = sd_bus_process(r->daemon, NULL);
        b = sd_bus_process(r->client, NULL);
        assert(a >= 0 && b >= 0);
    } while (a > 0 || b > 0);
    empty_journal();
}

/* ballastctl can read each answer. An error is one of those that the API has, with a text. */
static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ret)
{
    const sd_bus_error *error = sd_bus_message_get_error(reply);
    _cleanup_(json_putp) json_object *o = NULL;
    Rig *r = userdata;
    int read;

    r->answers++;
    if (error) {
        assert(strncmp(error->name, "org.ballast1.Error.", 19) == 0 ||
               strncmp(error->name, "org.freedesktop.DBus.Error.", 27) == 0);
        assert(error->message && error->message[0]);
        return 0;
    }
    read = json_from_message(reply, &o);
    assert(read == 0 || read == -ENODATA);
    assert(!o || json_object_to_json_string(o));
    return 0;
}

/* The text up to the next NUL, or to the end of the input, which has one behind it. */
static const char *take_text(Input *in)
{
    const char *text = in->at;

    in->at = MIN(text + strlen(text) + 1, in->end);
    return text;
}

/* So many pairs of texts as the next byte says. */
static int append_pairs(sd_bus_message *m, Input *in, char kind)
{
    unsigned n = in->at < in->end ? (unsigned) (*in->at++ & 31) : 0;
    const char *contents = kind == 'e' ? "{ss}" : "(ss)";
    int r = sd_bus_message_open_container(m, 'a', contents);

    for (unsigned i = 0; i < n && r >= 0; i++) {
        const char *first = take_text(in), *second = take_text(in);

        r = sd_bus_message_append(m, contents, first, second);
    }
    return r < 0 ? r : sd_bus_message_close_container(m);
}

/* arguments: s a text, e a{ss}, r a(ss). A text that is no UTF-8 ends the attempt: no bus would pass it on. */
static void call(Rig *r, Input *in, bool of_guest, const char *interface, const char *member,
                 const char *arguments)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    char path[256] = BUS_PATH;
    int k;

    if (of_guest)
        snprintf(path, sizeof(path), BUS_GUEST_PATH "/%s", take_text(in));
    k = sd_bus_message_new_method_call(r->client, &m, NULL, path, interface, member);
    for (; k >= 0 && *arguments; arguments++)
        k = *arguments == 's' ? sd_bus_message_append(m, "s", take_text(in))
                              : append_pairs(m, in, *arguments);
    if (k < 0)
        return;
    k = sd_bus_message_set_sender(m, ":1.7");
    assert(k >= 0);
    k = sd_bus_call_async(r->client, NULL, m, on_answer, r, UINT64_MAX);
    assert(k >= 0);
    r->calls++;
    go_round(r);
}

/* libvirt's answer, or what happens instead. */
static void notice(Rig *r, Input *in, NoticeKind kind)
{
    Notice n = notice_of_host(kind, r->manager->guest_host.fields);

    if (kind == NOTICE_ENTITLED)
        n.error = in->at < in->end ? -(*in->at++ & 127) : 0;
    if (kind != NOTICE_LIBVIRT_LOST)
        memcpy(n.uuid, r->manager->guests.entries[0].guest->info.uuid, sizeof(n.uuid));
    notice_set_text(&n, take_text(in));
    audience_tell(&r->manager->audience, &n);
    go_round(r);
}

/* libvirt's answer about domains that are shut off: an error, none, or one with the next text as its name. */
static void shut_off(Rig *r, Input *in)
{
    DomainInfo found = {.persistent = true,
                        .has_balloon = true,
                        .uuid = "ffffffff-0000-4000-8000-000000000000",
                        .maximum_bytes = 4 * GIB,
                        .current_bytes = 2 * GIB,
                        .entitlement = ENTITLEMENT_NONE};
    ShutOff off = {.number = last_number, .found = &found};
    Notice n = notice_of_host(NOTICE_SHUT_OFF, r->manager->guest_host.fields);

    off.error = in->at < in->end ? -(*in->at++ & 1) : 0;
    snprintf(found.name, sizeof(found.name), "%s", take_text(in));
    off.n_found = off.n_matches = off.error == 0 && found.name[0] ? 1 : 0;
    off.exact = off.n_found > 0;
    r->manager->libvirt.shut_off = &off;
    audience_tell(&r->manager->audience, &n);
    r->manager->libvirt.shut_off = NULL;
    go_round(r);
}

static void do_step(Rig *r, Input *in)
{
    static const struct {
        char letter;
        bool of_guest;
        const char *interface, *member, *arguments;
    } calls[] = {
        {'s', false, BUS_MANAGER_IFC, "GetStatus", ""},
        {'l', false, BUS_MANAGER_IFC, "ListGuests", ""},
        {'a', false, BUS_MANAGER_IFC, "ListDomains", ""},
        {'g', false, BUS_MANAGER_IFC, "GetGuest", "s"},
        {'p', false, BUS_MANAGER_IFC, "GetPolicy", ""},
        {'d', false, BUS_MANAGER_IFC, "Dump", ""},
        {'m', false, BUS_MANAGER_IFC, "SetMode", "s"},
        {'r', false, BUS_MANAGER_IFC, "Release", "s"},
        {'e', false, BUS_MANAGER_IFC, "SetGuest", "se"},
        {'P', false, BUS_MANAGER_IFC, "LoadPolicy", "r"},
        {'R', false, BUS_MANAGER_IFC, "Reload", ""},
        {'G', true, BUS_GUEST_IFC, "GetStats", ""},
        {'L', true, BUS_GUEST_IFC, "Release", ""},
        {'E', true, BUS_GUEST_IFC, "Set", "e"},
        {'A', true, "org.freedesktop.DBus.Properties", "GetAll", "s"},
        {'I', true, "org.freedesktop.DBus.Introspectable", "Introspect", ""},
    };
    char letter = *in->at++;

    for (size_t i = 0; i < ELEMENTSOF(calls); i++)
        if (calls[i].letter == letter)
            call(r, in, calls[i].of_guest, calls[i].interface, calls[i].member, calls[i].arguments);
    if (letter == 'v')
        virt_error = in->at < in->end ? -(*in->at++ & 127) : 0;
    else if (letter == 'c')
        caller = in->at < in->end ? (char) (*in->at++ & 3) : 0;
    else if (letter == 'o')
        shut_off(r, in);
    else if (letter == 'V')
        notice(r, in, NOTICE_ENTITLED);
    else if (letter == 'X')
        notice(r, in, NOTICE_GUEST_REMOVED);
    else if (letter == 'Y')
        notice(r, in, NOTICE_LIBVIRT_LOST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = malloc(size + 1);
    Input in = {.at = text, .end = text + size};
    Rig r;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    make_files();
    virt_error = 0;
    caller = 0;
    if (!rig_init(&r))
        return 0;
    while (in.at < in.end && r.calls < CALLS_MAX)
        do_step(&r, &in);
    /* Nobody waits for ever. */
    in.at = in.end;
    notice(&r, &in, NOTICE_LIBVIRT_LOST);
    assert(r.answers == r.calls);
    assert(r.manager->guest_host.mode == GUEST_MODE_AUTO || r.manager->guest_host.mode == GUEST_MODE_OBSERVE);
    rig_done(&r);
    return 0;
}
