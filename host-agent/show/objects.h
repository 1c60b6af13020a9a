/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The objects of api.h, with their methods and properties. Only bus.c uses this. */

#include "host-agent/show/api.h"
#include "host-agent/show/callers.h"
#include "host-agent/show/entitle.h"
#include "host-agent/show/lookup.h"

#define BUS_PATH_MAX 64U

/* What the methods work on. */
struct BusObjects {
    Manager *manager;
    Entitlings *entitlings;
    Lookups *lookups;
    Callers *callers;
};

/* Exports the manager and the guests on a connection, which o must outlive. 0 or -errno. */
int bus_export(BusObjects *o, sd_bus *bus);
/* The path of a guest's object, in buf (BUS_PATH_MAX). Returns buf. */
char *bus_guest_path(char *buf, const char *uuid);
