/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon on the bus. What it offers there: api.h. */

#include "host-agent/daemon/manager.h"
#include "host-agent/show/api.h"

/* Connects to the system or session bus, takes the name, exports the objects, attaches to the manager's loop.
 * A bus that is away, or goes away later, is told and tried again with back-off, and the daemon goes on
 * without. -errno only where it mustn't or can't help to go on, and then it was told: -EEXIST where another
 * ballastd has the name, -EACCES where this user may not have it. */
int bus_open(Manager *m);
void bus_close(Manager *m);
void bus_mode_changed(Manager *m);
void bus_guest_added(Manager *m, const Guest *g);
void bus_guest_removed(Manager *m, const Guest *g);
