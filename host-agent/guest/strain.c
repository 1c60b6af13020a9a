/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much a guest suffers from lack of memory, as rates over its last reports. */

#include "host-agent/guest/strain.h"

#include <math.h>

#include "base/macro.h"

#define PAGE_BYTES 4096.0

/* Over a shorter time a single stall would look like a trend, so growth in less time counts as growth in this
 * time. */
#define SPAN_MIN_SEC 0.5

static double rate(const History *h, ReportField f, usec_t window_usec)
{
    double seconds;
    uint64_t growth;

    if (!history_growth(h, f, window_usec, &growth, &seconds))
        return NAN;
    return MIN((double) growth / MAX(seconds, SPAN_MIN_SEC), (double) GUEST_MEMORY_MAX_BYTES);
}

/* The sum of two rates, or the one that is known. */
static double sum(double a, double b)
{
    return isnan(a) ? b : isnan(b) ? a : a + b;
}

/* cut: part of the usual window is left out, so the average over 10 s can't be used. */
static double stall(const History *h, usec_t window_usec, bool cut)
{
    const Report *r = &history_get(h, 0)->report;

    if (report_has(r, REPORT_PSI_MEMORY_SOME_TOTAL))
        return rate(h, REPORT_PSI_MEMORY_SOME_TOTAL, window_usec) / (double) USEC_PER_SEC;
    if (report_has(r, REPORT_PSI_MEMORY_SOME_AVG10) && !cut)
        return (double) r->value[REPORT_PSI_MEMORY_SOME_AVG10] * 1e-4;
    return NAN;
}

static double refault(const History *h, usec_t window_usec)
{
    const Report *r = &history_get(h, 0)->report;

    if (report_has(r, REPORT_REFAULT_FILE) || report_has(r, REPORT_REFAULT_ANON))
        return sum(rate(h, REPORT_REFAULT_FILE, window_usec), rate(h, REPORT_REFAULT_ANON, window_usec));
    return rate(h, REPORT_MAJOR_FAULTS, window_usec) * PAGE_BYTES;
}

/* NAN stays NAN. */
static double at_most(double value, double limit)
{
    return value > limit ? limit : value;
}

void strain_read(const History *h, usec_t window_usec, usec_t stall_window_usec, Strain *ret)
{
    const Sample *newest = history_get(h, 0), *previous = history_get(h, 1);

    *ret = STRAIN_NONE;
    if (!newest)
        return;
    if (previous) {
        usec_t between = usec_since(previous->at_usec, newest->at_usec);

        if (stall_window_usec >= window_usec)
            stall_window_usec = MAX(stall_window_usec, between);
        window_usec = MAX(window_usec, between);
    }

    *ret = (Strain){
        .stall = at_most(stall(h, stall_window_usec, stall_window_usec < window_usec), 1),
        .swap_in = rate(h, REPORT_SWAP_IN, window_usec),
        .refault = at_most(refault(h, window_usec), (double) GUEST_MEMORY_MAX_BYTES),
        .alloc_stalls = rate(h, REPORT_ALLOC_STALLS, stall_window_usec),
        .oom_kills = rate(h, REPORT_OOM_KILLS, window_usec),
    };
}

/* Each measure and the cause that it is a sign of, the worst first. */
typedef struct Measure {
    DistressCause cause;
    double now, before, threshold;
} Measure;

#define MEASURES 5

static void measures(const Strain *now, const Strain *before, const StrainConfig *c, Measure ret[MEASURES])
{
    const Measure all[MEASURES] = {
        {DISTRESS_OOM, now->oom_kills, before->oom_kills, 0},
        {DISTRESS_PSI, now->stall, before->stall, c->stall_ratio},
        {DISTRESS_STALL, now->alloc_stalls, before->alloc_stalls, c->alloc_stall_rate},
        {DISTRESS_SWAP_IN, now->swap_in, before->swap_in, c->swap_in_rate},
        {DISTRESS_REFAULT, now->refault, before->refault, c->refault_rate},
    };

    for (size_t i = 0; i < MEASURES; i++)
        ret[i] = all[i];
}

/* A rate that isn't known (NAN) reaches nothing. */
static bool reaches(const Measure *m, double ratio)
{
    if (m->cause == DISTRESS_OOM)
        return m->now > 0;
    return m->threshold > 0 && m->now >= ratio * m->threshold;
}

/* If PSI shows that tasks hardly wait, memory that is read back or swapped in isn't distress: it comes back
 * fast enough (compressed swap), or belongs to files that are read once from end to end. */
static bool is_at_ease(const Strain *s, const StrainConfig *c)
{
    return c->stall_ratio > 0 && s->stall < c->hurt_ratio * c->stall_ratio;
}

DistressCause strain_judge(const Strain *s, const StrainConfig *c)
{
    Measure m[MEASURES];

    measures(s, &STRAIN_NONE, c, m);
    for (size_t i = 0; i < MEASURES; i++)
        if (reaches(&m[i], 1) && (m[i].cause == DISTRESS_OOM || !is_at_ease(s, c)))
            return m[i].cause;
    return 0;
}

DistressCause strain_hurts(const Strain *now, const Strain *before, const StrainConfig *c)
{
    Measure m[MEASURES];

    if (!(c->hurt_ratio > 0))
        return 0;
    measures(now, before, c, m);
    for (size_t i = 0; i < MEASURES; i++)
        if (reaches(&m[i], c->hurt_ratio) && !(m[i].now <= 2 * m[i].before))
            return m[i].cause;
    return 0;
}
