/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Decides after each step of reclaim whether another one may follow. */

#include "guest-agent/pace.h"

#include "base/macro.h"
#include "base/units.h"

/* A rest that is less isn't worth a step. */
#define STEP_MIN_BYTES (64 * KIB)

/* 16 pages. Something is read again all the time; in a step's 60 ms or so it is seldom more than that. */
#define REFAULTS_MAX_BYTES (64 * KIB)

/* Of the time since the step began. The trigger for distress is 7.5 % of a second. */
#define STALLED_MAX_RATIO 0.1

/* A step that brings less than a quarter of what it asks for goes over memory that can't be had. The kernel
 * may have found much of it dirty, so one such step is no proof. */
#define POOR_PART  4U
#define POOR_STEPS 2U

static uint64_t growth(const Report *before, const Report *now, ReportField f)
{
    return report_has(before, f) && report_has(now, f) ? LESS_BY(now->value[f], before->value[f]) : 0;
}

static uint64_t refaults(const Pace *p, const Report *now)
{
    return growth(&p->before, now, REPORT_REFAULT_FILE) +
           (p->anon ? growth(&p->before, now, REPORT_REFAULT_ANON) : 0);
}

static void begin_step(Pace *p, const Report *now)
{
    p->before = *now;
    p->step_bytes = CLAMP(LESS_BY(p->wanted_bytes, p->got_bytes), STEP_MIN_BYTES, PACE_STEP_BYTES);
}

void pace_start(Pace *p, uint64_t wanted_bytes, bool anon, const Report *now)
{
    *p = (Pace){.wanted_bytes = wanted_bytes, .anon = anon};
    begin_step(p, now);
}

uint64_t pace_step(const Pace *p)
{
    return p->step_bytes;
}

void pace_stepped(Pace *p, uint64_t got_bytes, usec_t cpu_usec)
{
    p->got_bytes += got_bytes;
    p->cpu_usec += cpu_usec;
    p->poor_steps = got_bytes < p->step_bytes / POOR_PART ? p->poor_steps + 1 : 0;
}

int pace_look(Pace *p, const Report *now)
{
    usec_t elapsed = usec_since(p->before.at_usec, now->at_usec);
    usec_t stalled = growth(&p->before, now, REPORT_PSI_MEMORY_SOME_TOTAL);
    uint64_t refaulted = refaults(p, now);

    p->refaulted_bytes += refaulted;
    p->stalled_usec += stalled;
    begin_step(p, now);

    if (refaulted > REFAULTS_MAX_BYTES)
        return LEVER_END_REFAULTS;
    if ((double) stalled > STALLED_MAX_RATIO * (double) elapsed)
        return LEVER_END_STALLS;
    if (p->got_bytes + STEP_MIN_BYTES > p->wanted_bytes)
        return LEVER_END_DONE;
    if (p->poor_steps >= POOR_STEPS)
        return LEVER_END_NO_MORE;
    return 0;
}
