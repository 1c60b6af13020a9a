/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The objects of api.h: what their methods and properties do. For bus.c. */

#include "host-agent/daemon/manager.h"
#include "host-agent/show/api.h"

#define BUS_PATH_MAX 64U

/* Puts the manager and the guests on a connection. */
int bus_export(Manager *m, sd_bus *bus);
/* The path of a guest's object, in buf (BUS_PATH_MAX). Returns buf. */
char *bus_guest_path(char *buf, const Guest *g);
