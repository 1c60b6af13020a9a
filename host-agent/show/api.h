/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The D-Bus API org.ballast1; org.ballast1(5) describes it, with all keys of the dictionaries.
 *
 * Objects
 *   /org/ballast1              interface org.ballast1.Manager
 *   /org/ballast1/guest/UUID   interface org.ballast1.Guest; one object for each guest, with "_" for "-" in its UUID
 *
 * org.ballast1.Manager
 *   GetStatus() → a{sv}        what `ballastctl status --json` shows; parts are dictionaries within
 *   ListGuests() → aa{sv}      what `ballastctl list --json` shows; unknown values are left out
 *   ListDomains() → a{sv}      guests: the same, with the domains that are shut off; guests_left_out: how many of these
 *                              are missing
 *   GetGuest(s pattern) → a{sv}
 *                              everything that is known about one guest, or a domain that is shut off
 *   GetPolicy() → a{sv}        the running policy files with their texts, and their notes of the last cycle
 *   Dump() → a{sv}             status, configuration in force, all guests, and a ballast-snapshot(5)
 *   SetMode(s mode)          * "auto" or "observe"
 *   Release(s pattern) → a{sv}
 *                            * gives a guest its full size back; an empty pattern means all guests
 *   SetGuest(s pattern, a{ss} values) → a{sv}
 *                            * sets what a guest, or a domain that is shut off, is granted: min, full, max, shares, mode. Each value is a text;
 *                              "" removes it. The answer comes when libvirt has written them
 *   LoadPolicy(a(ss) files) → a{sv}
 *                            * runs these files (name, text) together, in place of the running policy, until the
 *                              next Reload or start. If one of them is bad, none is loaded
 *   Reload() → a{sv}         * reads configuration and policy again; ends what LoadPolicy loaded. The answer's list
 *                              findings has what is not done as written, with file and line
 *   property Mode (s)          the daemon's mode; PropertiesChanged is sent when it changes
 *   property Version (s)       constant
 *   signal GuestAdded(o guest, s name)
 *   signal GuestRemoved(o guest, s name)
 *
 * org.ballast1.Guest
 *   GetStats() → a{sv}         as GetGuest
 *   Release() → a{sv}        * as Release
 *   Set(a{ss} values) → a{sv}
 *                            * as SetGuest
 *   property Name (s)          constant
 *   property Uuid (s)          constant
 *   property Mode (s)          the guest's mode in force; no signal is sent when it changes
 *
 * A pattern is a guest's name or UUID, or a prefix of either that only one guest has. The answer of a method
 * that changes something has message, a sentence for people that says what was done, and the same as values.
 *
 * Methods with a * change something: only root and the daemon's own user may call them. Everybody whom the bus
 * policy lets talk to the name may call the others.
 *
 * Errors; each text names what is wrong and what to do
 *   org.ballast1.Error.NoSuchGuest           no running guest matches, and no domain that is shut off
 *   org.ballast1.Error.Ambiguous             several guests match the prefix
 *   org.ballast1.Error.ShutOff               Release: the domain is shut off
 *   org.ballast1.Error.BadMode               SetMode: neither "auto" nor "observe"
 *   org.ballast1.Error.BadValue              SetGuest, Set, LoadPolicy: an argument isn't valid
 *   org.ballast1.Error.BadPolicy             LoadPolicy: mistakes in the files; the text has the diagnostics
 *   org.ballast1.Error.BadFiles              Reload: mistakes in the configuration or the policy, which is therefore not
 *                                            used; the text has a line for each, with file and line
 *   org.ballast1.Error.Refused               it can't be done now
 *   org.freedesktop.DBus.Error.AccessDenied  the caller may not change anything */

#define BUS_NAME        "org.ballast1"
#define BUS_PATH        "/org/ballast1"
#define BUS_GUEST_PATH  "/org/ballast1/guest"
#define BUS_MANAGER_IFC "org.ballast1.Manager"
#define BUS_GUEST_IFC   "org.ballast1.Guest"

#define BUS_ERROR_NO_SUCH_GUEST "org.ballast1.Error.NoSuchGuest"
#define BUS_ERROR_AMBIGUOUS     "org.ballast1.Error.Ambiguous"
#define BUS_ERROR_SHUT_OFF      "org.ballast1.Error.ShutOff"
#define BUS_ERROR_BAD_MODE      "org.ballast1.Error.BadMode"
#define BUS_ERROR_BAD_VALUE     "org.ballast1.Error.BadValue"
#define BUS_ERROR_BAD_POLICY    "org.ballast1.Error.BadPolicy"
#define BUS_ERROR_BAD_FILES     "org.ballast1.Error.BadFiles"
#define BUS_ERROR_REFUSED       "org.ballast1.Error.Refused"
