/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The values that a plan is made of: their names, and how they are freed. */
#include "host-agent/decide/decision.h"

static const char *const pressure_names[HOST_PRESSURE_MAX] = {
    [HOST_PRESSURE_NONE] = "none",
    [HOST_PRESSURE_MODERATE] = "moderate",
    [HOST_PRESSURE_SEVERE] = "severe",
};

const char *host_pressure_to_string(HostPressure p)
{
    return p >= 0 && p < HOST_PRESSURE_MAX ? pressure_names[p] : NULL;
}

void plan_done(Plan *p)
{
    free(p->decisions);
    free(p->state);
    free(p->guest_state);
    *p = (Plan){};
}
