/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sets the entitlement of a guest, or of a domain that is shut off, over D-Bus (api.h, SetGuest and Set). The call is answered when libvirt has
 * written the entitlement, or has failed to. Until then another call for the same guest is refused.
 *
 * An entitlement is stored in the domain's metadata urn:ballast:guest:1, both live and in the persistent
 * definition. The live one counts while the domain runs, the other one from its next start. virsh metadata
 * can change either, and libvirt reports that. Values that the metadata doesn't have come from the [Guest
 * PATTERN] sections of the configuration. A change is made to the metadata as it is when it is written, not
 * as it was last read, so values that somebody else set meanwhile stay. */

#include <systemd/sd-bus.h>

#include "host-agent/daemon/manager.h"

typedef struct Entitling Entitling;

/* The calls that wait for libvirt. */
typedef struct Entitlings {
    Manager *manager;
    Entitling *first;
} Entitlings;

void entitlings_init(Entitlings *e, Manager *m);
/* Calls that still wait get no answer. */
void entitlings_done(Entitlings *e);
/* Answers the calls that a notice ends: libvirt answered, or the guest or libvirt is gone. */
void entitlings_hear(Entitlings *e, const Notice *n);

/* Handles a SetGuest or Set for a guest or a domain that is shut off (guest_new_shut_off()); the next argument to be read is its a{ss}. Answers with an error at once if a
 * value isn't valid or the change can't be made now, otherwise when a notice reports the result. The method's
 * handler returns the result. by: who asks. */
int entitle_begin(Entitlings *e, sd_bus_message *message, Guest *g, const Actor *by, sd_bus_error *error);
