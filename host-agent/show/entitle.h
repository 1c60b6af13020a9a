/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Setting a guest's entitlement over the bus (api.h, SetGuest). The call is answered when libvirt has written
 * it; until then the guest holds it, and no other is taken for that guest. */

#include "host-agent/daemon/manager.h"

/* Answers a SetGuest or Set whose next argument is its a{ss}: at once where a value isn't taken or
 * it can't be done now, else by entitle_done(). To be returned by the method's
 * handler. */
int entitle_begin(sd_bus_message *message, Guest *g, sd_bus_error *error);
/* libvirt wrote it (error 0), or didn't: text says why, or NULL. Also to be told where the guest or libvirt
 * went. Nothing happens where no call waits. */
void entitle_done(Guest *g, int error, const char *text);
