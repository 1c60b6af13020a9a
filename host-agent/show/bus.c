/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/log.h"
#include "host-agent/show/bus.h"
#include "host-agent/show/dict.h"
#include "host-agent/show/objects.h"

/* Requests come after everything else that waits in the loop, so that no client can hold up a cycle. */
#define BUS_PRIORITY       (SD_EVENT_PRIORITY_NORMAL + 10)
/* For the few calls to the bus itself that are waited for. */
#define BUS_TIMEOUT_USEC   (5 * USEC_PER_SEC)
/* A bus that went away is tried again after this, doubled up to the maximum. */
#define BUS_RETRY_MIN_USEC (500 * USEC_PER_MSEC)
#define BUS_RETRY_MAX_USEC (60 * USEC_PER_SEC)

static const char *bus_label(const Manager *m)
{
    return m->options.session ? "session" : "system";
}

/* A connection, or the wait for one. wait_usec: how long to wait when it is lost (or, waiting, how long
 * this time): doubled from one attempt to the next, and short again once a connection has got as far as the
 * name. */
typedef struct BusWatch {
    Manager *manager;
    usec_t wait_usec;
} BusWatch;

static int watch_new(Manager *m, usec_t wait_usec, BusWatch **ret)
{
    BusWatch *w = malloc(sizeof(BusWatch));

    if (!w)
        return -ENOMEM;
    *w = (BusWatch){.manager = m, .wait_usec = wait_usec};
    *ret = w;
    return 0;
}

static int try_again_later(Manager *m, usec_t wait_usec);

static int on_bus_lost(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    BusWatch *w = userdata;

    if (w->manager->stopping)
        return 0;
    if (w->wait_usec == BUS_RETRY_MIN_USEC) /* else that was told already */
        log_warning(
            "The %s bus went away; ballastctl can't reach this daemon until it is back. All else goes on",
            bus_label(w->manager));
    (void) try_again_later(w->manager, w->wait_usec);
    return 0;
}

static int on_name_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    BusWatch *w = userdata;
    const char *label = bus_label(w->manager);
    uint32_t answer = 0;
    int r = -sd_bus_message_get_errno(reply);

    if (r >= 0)
        r = sd_bus_message_read(reply, "u", &answer);
    if (r < 0)
        log_error_errno(-r, "Cannot take the name %s on the %s bus: %m", BUS_NAME, label);
    else if (answer != 1 && answer != 4) /* neither given to us nor ours already */
        log_error("Cannot take the name %s on the %s bus: another ballastd took it; stop one of the two",
                  BUS_NAME, label);
    else {
        w->wait_usec = BUS_RETRY_MIN_USEC;
        log_info("On the %s bus again as %s", label, BUS_NAME);
    }
    return 0;
}

/* Watches the connection for its end. *ret_watch is the slot's, and lives as long as the connection. */
static int watch_bus(Manager *m, sd_bus *bus, usec_t wait_usec, BusWatch **ret_watch)
{
    _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
    _cleanup_free_ BusWatch *w = NULL;
    int r;

    r = watch_new(m, wait_usec, &w);
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

/* At start the answer about the name is waited for: a second daemon mustn't run on. Later nothing waits. */
static int connect_bus(Manager *m, bool starting, usec_t wait_usec)
{
    _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
    BusWatch *w;
    int r;

    r = m->options.session ? sd_bus_open_user_with_description(&bus, "ballastd")
                           : sd_bus_open_system_with_description(&bus, "ballastd");
    if (r < 0)
        return r;
    (void) sd_bus_set_method_call_timeout(bus, BUS_TIMEOUT_USEC);
    (void) sd_bus_set_exit_on_disconnect(bus, false);
    r = bus_export(m, bus);
    if (r >= 0)
        r = watch_bus(m, bus, wait_usec, &w);
    if (r >= 0)
        r = starting ? sd_bus_request_name(bus, BUS_NAME, 0)
                     : sd_bus_request_name_async(bus, NULL, BUS_NAME, 0, on_name_reply, w);
    if (r >= 0)
        r = sd_bus_attach_event(bus, m->event, BUS_PRIORITY);
    if (r < 0)
        return r;
    m->bus = TAKE_PTR(bus);
    return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
    BusWatch *w = userdata;
    Manager *m = w->manager;
    int r = 0;

    w->wait_usec = MIN(2 * w->wait_usec, BUS_RETRY_MAX_USEC);
    if (!m->stopping) {
        bus_close(m);
        r = connect_bus(m, false, w->wait_usec);
    }
    if (r >= 0) {
        /* Done with: the loop, its only owner, lets go of it, and it is freed when this returns. */
        (void) sd_event_source_set_floating(s, false);
        return 0;
    }
    log_debug_errno(-r, "Cannot connect to the %s bus yet: %m", bus_label(m));
    (void) sd_event_source_set_time_relative(s, w->wait_usec);
    (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

/* The timer belongs to the loop (it floats), and ends with it, or when there is a connection. */
static int try_again_later(Manager *m, usec_t wait_usec)
{
    _cleanup_(sd_event_source_unrefp) sd_event_source *s = NULL;
    _cleanup_free_ BusWatch *w = NULL;
    int r;

    r = watch_new(m, wait_usec, &w);
    if (r >= 0)
        r = sd_event_add_time_relative(m->event, &s, CLOCK_MONOTONIC, wait_usec, 0, on_retry, w);
    if (r >= 0)
        r = sd_event_source_set_floating(s, true);
    if (r >= 0)
        r = sd_event_source_set_destroy_callback(s, free);
    if (r < 0)
        return log_error_errno(-r, "Cannot wait for the %s bus: %m", bus_label(m));
    TAKE_PTR(w);
    return 0;
}

int bus_open(Manager *m)
{
    int r;

    r = connect_bus(m, true, BUS_RETRY_MIN_USEC);
    if (r >= 0)
        return 0;
    if (r == -EEXIST)
        return log_error_errno(
            EEXIST,
            "Another ballastd has the name %s on the %s bus; stop that one first, or two would move the same balloons",
            BUS_NAME, bus_label(m));
    if (r == -EACCES || r == -EPERM)
        return log_error_errno(
            -r,
            "The %s bus doesn't let this user have the name %s: run as root or ballast, with org.ballast1.conf in dbus-1/system.d; or as an instance of your own, with --session",
            bus_label(m), BUS_NAME);
    log_warning_errno(
        -r, "Cannot connect to the %s bus: %m; ballastctl can't reach this daemon until it is there",
        bus_label(m));
    return try_again_later(m, BUS_RETRY_MIN_USEC);
}

void bus_close(Manager *m)
{
    m->bus = sd_bus_close_unref(m->bus);
}

/* Signals: who isn't there doesn't hear them. */

void bus_mode_changed(Manager *m)
{
    int r;

    if (!m->bus)
        return;
    r = sd_bus_emit_properties_changed(m->bus, BUS_PATH, BUS_MANAGER_IFC, "Mode", NULL);
    if (r < 0)
        log_debug_errno(-r, "Cannot tell the change of mode on the bus: %m");
}

static void emit_guest(Manager *m, const Guest *g, const char *signal_name)
{
    char path[BUS_PATH_MAX], name[DOMAIN_NAME_MAX + 1];
    int r;

    if (!m->bus)
        return;
    r = sd_bus_emit_signal(m->bus, BUS_PATH, BUS_MANAGER_IFC, signal_name, "os", bus_guest_path(path, g),
                           text_make_utf8(name, sizeof(name), g->info.name));
    if (r < 0)
        log_debug_errno(-r, "Cannot send %s on the bus: %m", signal_name);
}

void bus_guest_added(Manager *m, const Guest *g)
{
    emit_guest(m, g, "GuestAdded");
}

void bus_guest_removed(Manager *m, const Guest *g)
{
    emit_guest(m, g, "GuestRemoved");
}
