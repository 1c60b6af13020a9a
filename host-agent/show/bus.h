/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon on the bus. What it offers there: api.h. */

#include "host-agent/daemon/manager.h"
#include "host-agent/show/api.h"

typedef struct Bus Bus;

/* Connects to the system or session bus, takes the name, exports the objects, attaches to the manager's loop, and
 * listens to notices. A bus that is away, or goes away later, is logged and tried again with back-off, and the
 * daemon goes on without. -errno only where it mustn't or can't help to go on, and then it was logged: -EEXIST where
 * another ballastd has the name, -EACCES where this user may not have it. The manager must outlive it, and no
 * connection is left when it is freed while the loop runs no more. */
int bus_new(Manager *m, Bus **ret);
Bus *bus_free(Bus *b);
DEFINE_CLEANUP_FUNC(Bus, bus_free);
