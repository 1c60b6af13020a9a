/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Something that fails for a while: its beginning and its end are worth a log line each, what is between is not. */

#include <stdbool.h>

#include "base/units.h"

typedef struct Outage {
    bool open;
    usec_t since_usec;
} Outage;

/* A try failed. Returns whether it is the first one that did. */
bool outage_failed(Outage *o, usec_t now_usec);
/* A try succeeded. Returns whether that ends an outage; then lasted has its duration. */
bool outage_over(Outage *o, usec_t now_usec, char lasted[static UNITS_FORMAT_MAX]);
