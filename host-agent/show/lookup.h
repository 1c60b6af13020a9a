/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds what a method names. A running guest with exactly that name or UUID is found at once. Otherwise libvirt is
 * asked whether a domain that is shut off has it, and the call is answered later: a change must not go to the guest
 * web1 where web was meant, which is shut off. If libvirt can't be asked, a running guest is still found by the beginning of its name, but not for a
 * change. */

#include <systemd/sd-bus.h>

#include "host-agent/daemon/manager.h"

typedef struct BusObjects BusObjects;
typedef struct Lookup Lookup;

/* What a method does with what it names: either e, a running guest, or off, a domain that is shut off
 * (guest_new_shut_off()), and the other is NULL. The next argument of the call is the one after the name. It returns
 * what a method's handler returns. */
typedef int (*LookupAct)(BusObjects *o, sd_bus_message *call, GuestEntry *e, Guest *off, const Actor *by,
                         sd_bus_error *error);

/* The calls that wait for libvirt. */
typedef struct Lookups {
    BusObjects *objects;
    Lookup *first;
} Lookups;

void lookups_init(Lookups *all, BusObjects *o);
/* Calls that still wait get no answer. */
void lookups_done(Lookups *all);
/* Answers the calls that a notice ends: libvirt answered, or is gone. */
void lookups_hear(Lookups *all, const Notice *n);

/* Handles a method that names a guest: by a pattern, its next argument, or if it is a guest's own method by the path
 * of that guest's object. by: who asks for a change; NULL: it is none. The method's handler returns the result. */
int lookup_begin(Lookups *all, sd_bus_message *call, const Actor *by, LookupAct act, sd_bus_error *error);
/* Handles ListDomains. */
int lookup_list(Lookups *all, sd_bus_message *call, sd_bus_error *error);

/* The guest whose object has this path; NULL: there is none. */
GuestEntry *lookup_path(const Manager *m, const char *path);
/* Whether a method was called on the manager's object, rather than on a guest's. */
bool lookup_is_of_manager(sd_bus_message *call);
