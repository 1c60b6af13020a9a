/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's connection to D-Bus. api.h has what it offers there. */

#include "host-agent/daemon/manager.h"
#include "host-agent/show/api.h"

typedef struct Bus Bus;

/* Connects to the system or session bus, takes the name, exports the objects, attaches to the manager's loop,
 * and listens to notices. If the bus is away, now or later, that is logged, the daemon goes on without it,
 * and connects again with growing waits. 0, or -errno if the daemon should not run, which was logged then:
 * -EEXIST if another ballastd has the name, -EACCES if this user may not have it. The manager must outlive
 * the bus. To be freed when the loop no longer runs. */
int bus_new(Manager *m, Bus **ret);
Bus *bus_free(Bus *b);
DEFINE_CLEANUP_FUNC(Bus, bus_free);
