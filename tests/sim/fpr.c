/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's own kernel hands back on the small host: free page reporting, compaction, reclaim. */

#include <math.h>

#include "base/macro.h"
#include "tests/sim/small.h"

/* As guest-agent/pace.c has them. */
#define REST_MIN     (64.0 * (double) KIB)
#define REFAULTS_MAX (64.0 * (double) KIB)
#define STALLED_MAX  0.1
#define POOR_PART    4
/* What compaction leaves: its search ends where free and used pages meet (chosen). */
#define LEFT_PART    0.05

/* ---- Free page reporting ---- */

void fpr_free(const SimWorld *w, SmallGuest *k, double bytes, double out, double pieces)
{
    double part = bytes > 0 ? pieces / bytes : 0;

    /* Once it has begun it goes on. */
    if (k->parts[SIM_PART_BLOCKS].bytes < (double) MIB)
        k->freed_usec = w->now_usec;
    swap_put(&k->parts[SIM_PART_FRAGMENTS], pieces, part * out, w->now_usec);
    swap_put(&k->parts[SIM_PART_BLOCKS], bytes - pieces, (1 - part) * out, w->now_usec);
}

/* Reported memory isn't read in first: the host just drops it, from its swap, too. */
void fpr_tick(const SimWorld *w, SimGuest *g, SmallGuest *k)
{
    SimRegion *blocks = &k->parts[SIM_PART_BLOCKS];
    double out, since = (double) usec_since(k->freed_usec, w->now_usec) / (double) USEC_PER_SEC;

    if (w->small->reporting && since >= COSTS_REPORT_DELAY_SEC)
        g->hollow += swap_take(blocks, blocks->bytes * fmin(1, SIM_TICK_SEC / w->small->costs->report_sec),
                               true, &out);
}

/* ---- Compaction and reclaim ---- */

double lever_through(SimWorld *w, SmallGuest *k, double bytes)
{
    SimSmall *s = w->small;
    const SimRegion *base = &k->parts[SIM_PART_BASE];
    double pages = COSTS_KERNEL_PAGES / (double) MIB * base->out / base->bytes;

    if (pages > 0)
        bytes = fmin(bytes, s->reads / pages);
    s->reads -=
        swap_touch(k, SIM_PART_BASE, bytes * COSTS_KERNEL_PAGES * SMALL_PAGE / (double) MIB, 1, w->now_usec);
    return bytes;
}

static double most_in_tick(const SimWorld *w, const SmallTask *t)
{
    return t->lever == SIM_LEVER_COMPACT ? SIM_TICK_SEC / w->small->costs->compact_cpu
                                         : COSTS_RECLAIM_SPEED * SIM_TICK_SEC;
}

double lever_cpu(const SimWorld *w, const SmallGuest *k)
{
    const SimCosts *c = w->small->costs;
    const SmallTask *t = &k->task;

    if (t->lever == SIM_LEVER_NONE || t->end)
        return 0;
    return most_in_tick(w, t) * (t->lever == SIM_LEVER_COMPACT ? c->compact_cpu : c->reclaim_cpu);
}

static void use_cpu(SmallGuest *k, double seconds)
{
    usec_t usec = (usec_t) (seconds * (double) USEC_PER_SEC);

    k->task.cpu_usec += usec;
    k->cpu_usec += usec;
}

static void compact(SimWorld *w, SmallGuest *k, double most)
{
    SimSmall *s = w->small;
    SimRegion *pieces = &k->parts[SIM_PART_FRAGMENTS];
    double left = LEFT_PART * k->task.wanted, out,
           share = pieces->bytes > 0 ? pieces->out / pieces->bytes : 0;
    double n = lever_through(w, k, fmin(most, fmax(0, pieces->bytes - left))),
           reads = share * COSTS_MOVED_PART / SMALL_PAGE;

    if (reads > 0)
        n = fmin(n, s->reads / reads);
    s->reads -= n * reads;
    use_cpu(k, n / (double) MIB * s->costs->compact_cpu);
    n = swap_take(pieces, n, true, &out);
    fpr_free(w, k, n, out, 0);
    k->task.got += n;
    if (pieces->bytes <= left + (double) MIB)
        k->task.end = LEVER_END_DONE;
}

/* The coldest first, which the host has swapped out first, too. */
static double reclaim_from(const SimWorld *w, SmallGuest *k, SimPart part, double bytes)
{
    double out, n = swap_take(&k->parts[part], bytes, true, &out);

    fpr_free(w, k, n, out, w->small->costs->fragments * n);
    return n;
}

static void reclaim(SimWorld *w, const SimGuest *g, SmallGuest *k, double most)
{
    SmallTask *t = &k->task;
    double step = fmin(most, t->wanted - t->got), n = lever_through(w, k, step), got;

    got = reclaim_from(w, k, SIM_PART_COLD, n);
    got += reclaim_from(w, k, SIM_PART_HOT, n - got);
    use_cpu(k, got / (double) MIB * w->small->costs->reclaim_cpu);
    t->got += got;
    if (g->refaults - t->refaults > REFAULTS_MAX)
        t->end = LEVER_END_REFAULTS;
    else if (g->stall > STALLED_MAX)
        t->end = LEVER_END_STALLS;
    else if (t->got + REST_MIN > t->wanted)
        t->end = LEVER_END_DONE;
    else if (got < n / POOR_PART)
        t->end = LEVER_END_NO_MORE;
}

void lever_tick(SimWorld *w, SimGuest *g, SmallGuest *k)
{
    double most = most_in_tick(w, &k->task) * w->small->share * (double) MIB;

    if (k->task.end)
        return;
    if (k->task.lever == SIM_LEVER_COMPACT)
        compact(w, k, most);
    else if (k->task.lever == SIM_LEVER_RECLAIM)
        reclaim(w, g, k, most);
}

int sim_lever(SimWorld *w, size_t guest, SimLever lever, uint32_t id, double bytes)
{
    SmallGuest *k = &w->small->guests[guest];

    if (k->task.lever != SIM_LEVER_NONE)
        return -EBUSY;
    k->task = (SmallTask){.lever = lever,
                          .id = id,
                          .wanted = lever == SIM_LEVER_COMPACT ? k->parts[SIM_PART_FRAGMENTS].bytes : bytes,
                          .refaults = w->guests[guest].refaults};
    return 0;
}

void sim_lever_stop(SimWorld *w, size_t guest)
{
    SmallTask *t = &w->small->guests[guest].task;

    if (t->lever != SIM_LEVER_NONE && !t->end)
        t->end = LEVER_END_STOPPED;
}

bool sim_lever_result(SimWorld *w, size_t guest, Message *ret)
{
    SmallTask *t = &w->small->guests[guest].task;

    if (!t->end)
        return false;
    *ret = (Message){.type = MESSAGE_RECLAIMED,
                     .id = t->id,
                     .bytes = (uint64_t) t->got,
                     .refaulted_bytes = (uint64_t) (w->guests[guest].refaults - t->refaults),
                     .cpu_usec = t->cpu_usec,
                     .why = t->end};
    t->lever = SIM_LEVER_NONE;
    t->end = 0;
    return true;
}
