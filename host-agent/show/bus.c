/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's connection to D-Bus: connects again when the bus was away, and sends signals for notices. */

#include "host-agent/show/bus.h"

#include <inttypes.h>
#include <string.h>

#include "base/log-limit.h"
#include "base/log.h"
#include "host-agent/show/dict.h"
#include "host-agent/show/entitle.h"
#include "host-agent/show/lookup.h"
#include "host-agent/show/objects.h"

/* Requests are handled after everything else in the loop, so that no client can hold up a cycle. */
#define BUS_PRIORITY       (SD_EVENT_PRIORITY_NORMAL + 10)
/* How long an answer of the bus itself may take. Only at start does ballastd wait for one. */
#define BUS_TIMEOUT_USEC   (5 * USEC_PER_SEC)
/* How much waits for a bus that takes nothing: messages in all, and full answers among them. An answer may describe every
 * guest, so fewer may wait where there are many guests. */
#define BUS_QUEUE_MAX      1024U
#define BUS_ANSWERS_MIN    16U
#define BUS_ANSWERS_MAX    256U
#define BUS_GUESTS_MAX     4096U
/* After the bus was lost, the next try comes after this time, which doubles up to the maximum. */
#define BUS_RETRY_MIN_USEC (500 * USEC_PER_MSEC)
#define BUS_RETRY_MAX_USEC (60 * USEC_PER_SEC)

struct Bus {
    BusObjects objects;
    Entitlings entitlings;
    Lookups lookups;
    Callers callers;
    sd_bus *bus;  /* NULL while not connected */
    bool refuses; /* requests, because the bus doesn't take the answers */
    LogLimit refusals;
};

static bool is_stopping(const Bus *b)
{
    return b->objects.manager->stop.stopping;
}

static void close_bus(Bus *b)
{
    callers_drop(&b->callers);
    b->bus = sd_bus_close_unref(b->bus);
}

static const char *bus_label(const Bus *b)
{
    return b->objects.manager->options.session ? "session" : "system";
}

/* How many messages the bus hasn't taken yet. */
static uint64_t n_queued(sd_bus *bus)
{
    uint64_t n = 0;

    return sd_bus_get_n_queued_write(bus, &n) < 0 ? 0 : n;
}

/* Sees each message before its handler. While too many answers wait, because the bus is stopped or one of its clients
 * doesn't read, further requests are refused; and once that would fill the queue, they get no answer. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    uint64_t queued = n_queued(sd_bus_message_get_bus(message));
    Bus *b = userdata;
    size_t guests = MAX(b->objects.manager->guests.n, (size_t) 1);
    bool refused = b->refuses;

    if (!sd_bus_message_is_method_call(message, NULL, NULL))
        return 0;
    b->refuses = queued >= CLAMP(BUS_GUESTS_MAX / guests, BUS_ANSWERS_MIN, BUS_ANSWERS_MAX);
    if (!b->refuses)
        return 0;
    if (!refused && log_limit_take(&b->refusals, now_usec(CLOCK_MONOTONIC)))
        log_warning(
            "%" PRIu64
            " messages wait for the %s bus to take them; further requests are refused until it does. Is the bus stopped, or one of its clients?",
            queued, bus_label(b));
    if (queued >= BUS_QUEUE_MAX)
        return 1;
    return sd_bus_error_set(error, BUS_ERROR_REFUSED,
                            "The bus doesn't take ballastd's answers quickly enough; try again");
}

/* A connection, or the wait for one. wait_usec: how long to wait after the connection is lost, or how long
 * the present wait is. It doubles with each attempt, and is short again after a connection has got the
 * name. */
typedef struct BusWatch {
    Bus *bus;
    usec_t wait_usec;
} BusWatch;

static int watch_new(Bus *b, usec_t wait_usec, BusWatch **ret)
{
    BusWatch *w = malloc(sizeof(BusWatch));

    if (!w)
        return -ENOMEM;
    *w = (BusWatch){.bus = b, .wait_usec = wait_usec};
    *ret = w;
    return 0;
}

static int try_again_later(Bus *b, usec_t wait_usec);

static int on_bus_lost(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    BusWatch *w = userdata;

    if (is_stopping(w->bus))
        return 0;
    if (w->wait_usec == BUS_RETRY_MIN_USEC) /* else that was logged already */
        log_warning(
            "Lost the connection to the %s bus; ballastctl can't reach ballastd until the bus is back. Everything else goes on",
            bus_label(w->bus));
    (void) try_again_later(w->bus, w->wait_usec);
    return 0;
}

static int on_name_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    BusWatch *w = userdata;
    const char *label = bus_label(w->bus);
    uint32_t answer = 0;
    int r = -sd_bus_message_get_errno(reply);

    if (r >= 0)
        r = sd_bus_message_read(reply, "u", &answer);
    if (r < 0)
        log_error_errno(-r, "Cannot take the name %s on the %s bus: %m", BUS_NAME, label);
    else if (answer != 1 && answer != 4) /* neither given to us nor ours already */
        log_error("Cannot take the name %s on the %s bus: another ballastd has it; stop one of the two",
                  BUS_NAME, label);
    else {
        w->wait_usec = BUS_RETRY_MIN_USEC;
        log_info("Connected to the %s bus again as %s", label, BUS_NAME);
    }
    return 0;
}

/* Watches for the end of the connection. The connection owns *ret_watch. */
static int watch_bus(Bus *b, sd_bus *bus, usec_t wait_usec, BusWatch **ret_watch)
{
    _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
    _cleanup_free_ BusWatch *w = NULL;
    int r;

    r = watch_new(b, wait_usec, &w);
    if (r < 0)
        return r;
    r = sd_bus_match_signal(bus, &slot, "org.freedesktop.DBus.Local", "/org/freedesktop/DBus/Local",
                            "org.freedesktop.DBus.Local", "Disconnected", on_bus_lost, w);
    if (r >= 0)
        r = sd_bus_slot_set_floating(slot, true);
    if (r >= 0)
        r = sd_bus_slot_set_destroy_callback(slot, free);
    if (r < 0)
        return r;
    *ret_watch = TAKE_PTR(w);
    return 0;
}

/* At start this waits for the answer about the name, because a second daemon must not go on. Later it doesn't
 * wait. */
static int connect_bus(Bus *b, bool starting, usec_t wait_usec)
{
    _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
    BusWatch *w;
    int r;

    r = b->objects.manager->options.session ? sd_bus_open_user_with_description(&bus, "ballastd")
                                            : sd_bus_open_system_with_description(&bus, "ballastd");
    if (r < 0)
        return r;
    (void) sd_bus_set_method_call_timeout(bus, BUS_TIMEOUT_USEC);
    (void) sd_bus_set_exit_on_disconnect(bus, false);
    r = bus_export(&b->objects, bus);
    if (r >= 0)
        r = sd_bus_add_filter(bus, NULL, on_message, b);
    if (r >= 0)
        r = watch_bus(b, bus, wait_usec, &w);
    if (r >= 0)
        r = starting ? sd_bus_request_name(bus, BUS_NAME, 0)
                     : sd_bus_request_name_async(bus, NULL, BUS_NAME, 0, on_name_reply, w);
    if (r >= 0)
        r = sd_bus_attach_event(bus, b->objects.manager->event, BUS_PRIORITY);
    if (r < 0)
        return r;
    b->bus = TAKE_PTR(bus);
    return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
    BusWatch *w = userdata;
    Bus *b = w->bus;
    int r = 0;

    w->wait_usec = MIN(2 * w->wait_usec, BUS_RETRY_MAX_USEC);
    if (!is_stopping(b)) {
        close_bus(b);
        r = connect_bus(b, false, w->wait_usec);
    }
    if (r >= 0) {
        /* The timer isn't needed any more: the loop, its only owner, frees it when this returns. */
        (void) sd_event_source_set_floating(s, false);
        return 0;
    }
    log_debug_errno(-r, "Cannot connect to the %s bus yet: %m", bus_label(b));
    (void) sd_event_source_set_time_relative(s, w->wait_usec);
    (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

/* Starts a timer for the next attempt. The loop owns it (it floats) until there is a connection. */
static int try_again_later(Bus *b, usec_t wait_usec)
{
    _cleanup_(sd_event_source_unrefp) sd_event_source *s = NULL;
    _cleanup_free_ BusWatch *w = NULL;
    int r;

    r = watch_new(b, wait_usec, &w);
    if (r >= 0)
        r = sd_event_add_time_relative(b->objects.manager->event, &s, CLOCK_MONOTONIC, wait_usec, 0, on_retry,
                                       w);
    if (r >= 0)
        r = sd_event_source_set_floating(s, true);
    if (r >= 0)
        r = sd_event_source_set_destroy_callback(s, free);
    if (r < 0)
        return log_error_errno(-r, "Cannot wait for the %s bus: %m", bus_label(b));
    TAKE_PTR(w);
    return 0;
}

static int open_bus(Bus *b)
{
    int r;

    r = connect_bus(b, true, BUS_RETRY_MIN_USEC);
    if (r >= 0)
        return 0;
    if (r == -EEXIST)
        return log_error_errno(
            EEXIST,
            "Another ballastd has the name %s on the %s bus; stop that one first, or two would move the same balloons",
            BUS_NAME, bus_label(b));
    if (r == -EACCES || r == -EPERM)
        return log_error_errno(
            -r,
            "The %s bus doesn't let this user have the name %s: run ballastd as root or user ballast, with org.ballast1.conf in dbus-1/system.d; or run your own instance, with --session",
            bus_label(b), BUS_NAME);
    log_warning_errno(
        -r, "Cannot connect to the %s bus: %m; ballastctl can't reach ballastd until the bus is available",
        bus_label(b));
    return try_again_later(b, BUS_RETRY_MIN_USEC);
}

/* Signals */

static void emit_mode(const Bus *b)
{
    int r;

    r = sd_bus_emit_properties_changed(b->bus, BUS_PATH, BUS_MANAGER_IFC, "Mode", NULL);
    if (r < 0)
        log_debug_errno(-r, "Cannot send the signal about the mode on the bus: %m");
}

static void emit_guest(const Bus *b, const Notice *n, const char *signal_name)
{
    char path[BUS_PATH_MAX], name[DOMAIN_NAME_MAX + 1];
    int r;

    r = sd_bus_emit_signal(b->bus, BUS_PATH, BUS_MANAGER_IFC, signal_name, "os",
                           bus_guest_path(path, n->uuid), text_make_utf8(name, sizeof(name), n->name));
    if (r < 0)
        log_debug_errno(-r, "Cannot send the signal %s on the bus: %m", signal_name);
}

static void hear(void *userdata, const Notice *n)
{
    Bus *b = userdata;

    entitlings_hear(&b->entitlings, n);
    lookups_hear(&b->lookups, n);
    if (!b->bus || n_queued(b->bus) >= BUS_QUEUE_MAX)
        return;
    if (n->kind == NOTICE_MODE)
        emit_mode(b);
    else if (n->kind == NOTICE_GUEST_ADDED)
        emit_guest(b, n, "GuestAdded");
    else if (n->kind == NOTICE_GUEST_REMOVED)
        emit_guest(b, n, "GuestRemoved");
}

int bus_new(Manager *m, Bus **ret)
{
    _cleanup_(bus_freep) Bus *b = calloc(1, sizeof(Bus));
    int r;

    if (!b)
        return log_oom();
    entitlings_init(&b->entitlings, m);
    lookups_init(&b->lookups, &b->objects);
    callers_init(&b->callers, m->event, &m->audience);
    b->objects = (BusObjects){
        .manager = m, .entitlings = &b->entitlings, .lookups = &b->lookups, .callers = &b->callers};
    audience_add(&m->audience, hear, b);
    r = open_bus(b);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(b);
    return 0;
}

Bus *bus_free(Bus *b)
{
    if (!b)
        return NULL;
    audience_remove(&b->objects.manager->audience, b);
    entitlings_done(&b->entitlings);
    lookups_done(&b->lookups);
    callers_done(&b->callers);
    close_bus(b);
    free(b);
    return NULL;
}
