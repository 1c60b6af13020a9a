/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The D-Bus API org.ballast1. Manager at /org/ballast1, each guest at /org/ballast1/guest/<uuid with _ for
 * ->.
 *
 * org.ballast1.Manager
 *   GetStatus() → a{sv}             keys as `ballastctl status --json`, flat: "mode", "host.total_bytes" …
 *   ListGuests() → aa{sv}           keys as `ballastctl list --json`
 *   GetGuest(s pattern) → a{sv}     all that is known of one guest (`ballastctl stats`); name, UUID or unique
 * prefix SetMode(s mode)                 "auto" or "observe" Release(s pattern) → s          empty pattern:
 * all; the answer says what was done Reload() Dump() → a{sv}                  everything: status,
 * configuration, guests with their links, balloons, decisions property Mode (s, with change signal), Version
 * (s) signal GuestAdded(o, s name), GuestRemoved(o, s name) org.ballast1.Guest (object per guest) GetStats()
 * → a{sv}, Release(); properties Name (s), Uuid (s), Mode (s)
 *
 * Errors: org.ballast1.Error.NoSuchGuest, .Ambiguous, .BadMode, .Refused; their text names the thing and the
 * way out. Reading is for all who may talk to the bus name (the bus policy says who); what changes something
 * is for root and the daemon's own user. */

#include "host-agent/manager.h"

#define BUS_NAME        "org.ballast1"
#define BUS_PATH        "/org/ballast1"
#define BUS_MANAGER_IFC "org.ballast1.Manager"
#define BUS_GUEST_IFC   "org.ballast1.Guest"

/* Connects to the system or session bus, takes the name, exports the objects, attaches to the manager's loop.
 * A bus that is away or a name that is taken is -errno, and told. */
int bus_open(Manager *m);
void bus_close(Manager *m);
void bus_mode_changed(Manager *m);
void bus_guest_added(Manager *m, const Guest *g);
void bus_guest_removed(Manager *m, const Guest *g);
