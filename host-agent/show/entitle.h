/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Setting a guest's entitlement over the bus (api.h, SetGuest). The call is answered when libvirt has written it,
 * or didn't; until then no other is taken for that guest. */

#include <systemd/sd-bus.h>

#include "host-agent/daemon/manager.h"

typedef struct Entitling Entitling;

/* The calls that wait. */
typedef struct Entitlings {
    Manager *manager;
    Entitling *first;
} Entitlings;

void entitlings_init(Entitlings *e, Manager *m);
/* Those that still wait get no answer. */
void entitlings_done(Entitlings *e);
/* Answers those that a notice ends: what libvirt said, and that the guest or libvirt is gone. */
void entitlings_hear(Entitlings *e, const Notice *n);

/* Answers a SetGuest or Set whose next argument is its a{ss}: at once where a value isn't taken or it can't be done
 * now, else when a notice says so. To be returned by the method's handler. */
int entitle_begin(Entitlings *e, sd_bus_message *message, Guest *g, sd_bus_error *error);
