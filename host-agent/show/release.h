/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Handles Release (api.h): gives guests their full size back. Each returns what the method's handler returns. */

#include <systemd/sd-bus.h>

#include "host-agent/daemon/manager.h"

int release_one(sd_bus_message *call, Manager *m, Guest *g, const Actor *by, sd_bus_error *error);
int release_all(sd_bus_message *call, Manager *m, const Actor *by, sd_bus_error *error);
