/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The D-Bus API org.ballast1, documented in org.ballast1(5). The manager is at /org/ballast1, each guest at
 * /org/ballast1/guest/<its UUID with _ for ->.
 *
 * org.ballast1.Manager
 *   GetStatus() → a{sv}           keys as in `ballastctl status --json`; parts are a{sv} within
 *   ListGuests() → aa{sv}         keys as in `ballastctl list --json`; what isn't known is left out
 *   GetGuest(s pattern) → a{sv}   all that is known of one guest; by name, UUID or unique prefix of either
 *   SetMode(s mode)               "auto" or "observe"
 *   Release(s pattern) → s        empty pattern: all; the answer says what was done
 *   SetGuest(s pattern, a{ss} values) → s   what it is granted: min, full, max, shares, mode, each as text
 *                                 ("" takes it back); answers when libvirt has written it
 *   Reload()                      also takes a policy back that LoadPolicy loaded
 *   LoadPolicy(a(ss) files) → s   the files that run from now on, together, each its name and its text, in
 *                                 place of all that run; until the next Reload or start. Refused whole where
 *                                 one is bad
 *   GetPolicy() → a{sv}           the files that run with their texts, and what the last cycle reported
 *   Dump() → a{sv}                status, configuration in force, guests with all their parts, and a snapshot
 *                                 as of ballast-snapshot(5)
 *   property Mode (s, with change signal), Version (s)
 *   signal GuestAdded(o, s name), GuestRemoved(o, s name)
 *
 * org.ballast1.Guest
 *   GetStats() → a{sv}            as GetGuest
 *   Release() → s
 *   Set(a{ss} values) → s
 *   property Name (s), Uuid (s), Mode (s)
 *
 * Errors: org.ballast1.Error.NoSuchGuest, .Ambiguous, .BadMode, .BadValue, .BadPolicy (its text: the
 * diagnostics), .Refused, and AccessDenied of D-Bus; their text names the thing and the way out. Reading is
 * for all who may talk to the bus name (the bus policy says who); what changes something is for root and the
 * daemon's own user. */

#define BUS_NAME        "org.ballast1"
#define BUS_PATH        "/org/ballast1"
#define BUS_GUEST_PATH  "/org/ballast1/guest"
#define BUS_MANAGER_IFC "org.ballast1.Manager"
#define BUS_GUEST_IFC   "org.ballast1.Guest"

#define BUS_ERROR_NO_SUCH_GUEST "org.ballast1.Error.NoSuchGuest"
#define BUS_ERROR_AMBIGUOUS     "org.ballast1.Error.Ambiguous"
#define BUS_ERROR_BAD_MODE      "org.ballast1.Error.BadMode"
#define BUS_ERROR_BAD_VALUE     "org.ballast1.Error.BadValue"
#define BUS_ERROR_BAD_POLICY    "org.ballast1.Error.BadPolicy"
#define BUS_ERROR_REFUSED       "org.ballast1.Error.Refused"
