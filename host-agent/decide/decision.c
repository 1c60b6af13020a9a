/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The values that a plan is made of: their names, and how they are freed. */
#include "host-agent/decide/decision.h"

#include <stddef.h>
#include <string.h>

static const char *const pressure_names[HOST_PRESSURE_MAX] = {
    [HOST_PRESSURE_NONE] = "none",
    [HOST_PRESSURE_MODERATE] = "moderate",
    [HOST_PRESSURE_SEVERE] = "severe",
};

const char *host_pressure_to_string(HostPressure p)
{
    return p >= 0 && p < HOST_PRESSURE_MAX ? pressure_names[p] : NULL;
}

void decision_init(Decision *d)
{
    memset(d, 0, offsetof(Decision, reclaim));
    memset(&d->reclaim, 0, offsetof(Reclaim, reads));
    d->n_reads = 0;
    d->reason[0] = d->reclaim.reason[0] = '\0';
}

bool plan_is_pressed(const Plan *p)
{
    for (size_t i = 0; i < p->n_groups; i++)
        if (p->groups[i].pressure != HOST_PRESSURE_NONE)
            return true;
    return p->pressure != HOST_PRESSURE_NONE;
}

void plan_done(Plan *p)
{
    for (size_t i = 0; i < p->n_groups; i++)
        free(p->groups[i].state);
    free(p->groups);
    free(p->decisions);
    free(p->state);
    free(p->guest_state);
    *p = (Plan){};
}
