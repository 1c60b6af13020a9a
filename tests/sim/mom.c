/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* MOM's rule on the same simulated host, to compare with. */

#include "tests/sim/mom.h"

#include <math.h>

#include "base/macro.h"

#define COLLECT_USEC (5 * USEC_PER_SEC)
#define DECIDE_USEC  (10 * USEC_PER_SEC)

#define PRESSURE   0.20 /* of the host's memory */
#define CRITICAL   0.05
#define KEEP_FREE  0.20 /* of a guest's balloon */
#define CHANGE_MAX 0.05
#define CHANGE_MIN 0.0025

static void collect(MomSeries *s, double value)
{
    s->values[s->count++ % MOM_SAMPLES] = value;
}

static double average(const MomSeries *s)
{
    unsigned n = MIN(s->count, MOM_SAMPLES);
    double sum = 0;

    for (unsigned i = 0; i < n; i++)
        sum += s->values[i];
    return sum / n;
}

double mom_target(double host_free, double current, double average_current, double average_unused,
                  double minimum, double maximum)
{
    double used = average_current - average_unused, keep, target;

    if (host_free < PRESSURE) {
        keep = host_free <= CRITICAL ? host_free - CRITICAL : KEEP_FREE * host_free / PRESSURE;
        target = fmax(fmax(current * (1 - CHANGE_MAX), minimum), used + keep * current);
        return target <= current && current - target > CHANGE_MIN * current ? target : NAN;
    }
    if (current >= maximum)
        return NAN;
    target = fmax(fmax(current * (1 + CHANGE_MAX), minimum), used + KEEP_FREE * current);
    target = fmin(target, maximum);
    return target >= current && target - current > CHANGE_MIN * current ? target : NAN;
}

static void collect_guest(Mom *m, const SimWorld *w, size_t i)
{
    const SimGuest *g = &w->guests[i];
    Report r;

    if (m->boot_usec[i] != g->boot_usec) {
        m->boot_usec[i] = g->boot_usec;
        m->current[i].count = m->unused[i].count = 0;
    }
    sim_report(w, g, &r);
    collect(&m->current[i], g->current);
    collect(&m->unused[i], (double) report_get(&r, REPORT_MEM_FREE));
}

static void decide(Mom *m, SimWorld *w, size_t i)
{
    const SimGuest *g = &w->guests[i];
    double target, from = g->target;

    if (!g->present || m->current[i].count == 0)
        return;
    target = mom_target(average(&m->host_free) / w->total, g->current, average(&m->current[i]),
                        average(&m->unused[i]), g->floor, g->full);
    if (!isnan(target) && sim_set_memory(w, i, target) == 0)
        m->moved += fabs(target - from);
}

void mom_tick(Mom *m, SimWorld *w)
{
    if (w->now_usec % COLLECT_USEC != 0)
        return;
    collect(&m->host_free, sim_available(w));
    /* A guest without stats isn't managed. */
    for (size_t i = 0; i < w->n; i++)
        if (w->guests[i].present && w->guests[i].kind->source != SIM_SOURCE_NONE)
            collect_guest(m, w, i);
    if (w->now_usec % DECIDE_USEC != 0)
        return;
    for (size_t i = 0; i < w->n; i++)
        decide(m, w, i);
}
