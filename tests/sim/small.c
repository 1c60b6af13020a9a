/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The small host: its guests' work, and what a tick brings. */

#include "tests/sim/small.h"

#include <math.h>

#include "base/macro.h"
#include "host-agent/decide/guard.h"

#define M          ((double) MIB)
/* As tests/bench/overcommit/scenarios.py has them. */
#define PACE       100e3 /* pages per second */
#define SLOT_USEC  (5 * USEC_PER_SEC)
#define SLOTS      4U
/* Before its disk is slow it makes 1.5 GB/s: no limit to speak of. */
#define READS_FAST 1e5
#define ROUNDS     16 /* of a search for how much the disk allows */

static const SimKind bench_kind = {.name = "bench"},
                     reporting_kind = {.name = "bench, FPR", .reports_free = true};

/* ---- Bookkeeping ---- */

/* world.c's names for it. */
static void note_sizes(SimGuest *g, const SmallGuest *k)
{
    const SimRegion *p = k->parts;

    g->used = p[SIM_PART_BASE].bytes - g->own - g->kernel + p[SIM_PART_WORK].bytes;
    g->hot_cached = p[SIM_PART_HOT].bytes;
    g->cold_cached = p[SIM_PART_COLD].bytes;
    g->backed = p[SIM_PART_BLOCKS].bytes + p[SIM_PART_FRAGMENTS].bytes;
}

static double guest_holds(const SmallGuest *k)
{
    double sum = 0;

    for (int p = 0; p < SIM_PART_MAX; p++)
        sum += k->parts[p].bytes;
    return sum;
}

double small_guest_out(const SmallGuest *k)
{
    double sum = 0;

    for (int p = 0; p < SIM_PART_MAX; p++)
        sum += k->parts[p].out;
    return sum;
}

double small_out(const SimWorld *w)
{
    double sum = 0;

    for (size_t i = 0; i < w->n; i++)
        sum += small_guest_out(&w->small->guests[i]);
    return sum;
}

double small_in(const SimSmall *s)
{
    double sum = 0;

    for (size_t i = 0; i < SMALL_GUESTS; i++)
        sum += s->guests[i].swapped_in;
    return sum;
}

/* ---- A guest's memory ---- */

/* Takes hollow memory. The part of it that lies in pieces is added to ret_cut. */
static double take_hollow(SimGuest *g, SmallGuest *k, double bytes, double *ret_cut)
{
    double n = fmin(bytes, g->hollow), cut = n > 0 ? k->cut_hollow * n / g->hollow : 0;

    g->hollow -= n;
    k->cut_hollow -= cut;
    if (ret_cut)
        *ret_cut += cut;
    return n;
}

/* Takes memory for work or cache: free blocks (those freed last are used first), then hollow memory, then pieces, then
 * page cache. Returns the reads that it takes to touch all of it. */
static double allocate(const SimWorld *w, SimGuest *g, SmallGuest *k, double bytes, bool cache,
                       double *ret_got)
{
    double out, n, got = 0, reads = 0, low = COSTS_LOW * M;
    double spare =
        fmax(0, k->parts[SIM_PART_BLOCKS].bytes + k->parts[SIM_PART_FRAGMENTS].bytes + g->hollow - low);

    n = swap_take(&k->parts[SIM_PART_BLOCKS], fmin(spare, bytes), false, &out);
    reads += out / SMALL_PAGE / COSTS_READ_BLOCKS;
    k->swapped_in += out;
    got += n;
    spare -= n;
    n = take_hollow(g, k, fmin(spare, bytes - got), cache ? NULL : &k->was_cut);
    got += n;
    spare -= n;
    n = swap_take(&k->parts[SIM_PART_FRAGMENTS], fmin(spare, bytes - got), false, &out);
    reads += out / SMALL_PAGE / COSTS_READ_SCATTER;
    k->swapped_in += out;
    got += n;
    k->was_cut += cache ? 0 : n;
    for (SimPart p = SIM_PART_COLD; p >= SIM_PART_HOT; p--) {
        if (cache && p == SIM_PART_HOT)
            break;
        n = swap_take(&k->parts[p], bytes - got, true, &out);
        reads += out / SMALL_PAGE / COSTS_READ_CACHE;
        k->swapped_in += out;
        got += n;
        k->was_cut += cache ? 0 : w->small->costs->fragments * n;
    }
    *ret_got = got;
    return reads;
}

/* Touches so many pages of what its work is about. Returns the reads that it takes. */
static double touch(const SimWorld *w, SimGuest *g, SmallGuest *k, double pages)
{
    const SmallScenario *sc = w->small->scenario;
    SimPart part = sc->work > 0 ? SIM_PART_WORK : SIM_PART_HOT;
    SimRegion *r = &k->parts[part];
    double all = (sc->work > 0 ? sc->work : sc->hot) * M, distinct = 1 - exp(-pages * SMALL_PAGE / all),
           missing, got, reads;
    double base = k->parts[SIM_PART_BASE].bytes;

    reads = swap_touch(k, SIM_PART_BASE, base * (1 - exp(-w->small->costs->base * pages * SMALL_PAGE / base)),
                       COSTS_READ_SCATTER, w->now_usec);
    reads += swap_touch(k, part, distinct * r->bytes, COSTS_READ_BLOCKS, w->now_usec);
    missing = distinct * fmax(0, all - r->bytes);
    reads += allocate(w, g, k, missing, part == SIM_PART_HOT, &got);
    if (part == SIM_PART_HOT) {
        reads += missing / SMALL_PAGE / COSTS_READ_FILE;
        g->refaults += missing;
    } else {
        /* It has no memory left: so much of its work is in its own swap, on the same disk. */
        reads += (missing - got) / SMALL_PAGE / COSTS_READ_BLOCKS;
        g->swap_in += missing - got;
        g->swap_out += missing - got;
    }
    swap_put(r, got, 0, w->now_usec);
    r->touched_usec = w->now_usec;
    g->stall = missing > got ? fmin(1, (missing - got) / (distinct * all)) : 0;
    return reads;
}

static double pages_most(const SimWorld *w)
{
    const SimSmall *s = w->small;

    return SIM_TICK_SEC * (s->scenario->work > 0 ? PACE : s->costs->read_pages);
}

static double page_cpu(const SimWorld *w)
{
    return w->small->scenario->work > 0 ? w->small->costs->fresh_cpu : w->small->costs->read_cpu;
}

/* As many pages as CPU and disk allow. */
static void work(SimWorld *w, SimGuest *g, SmallGuest *k)
{
    SimSmall *s = w->small;
    double least = 0, most = pages_most(w) * s->share, pages = most;

    for (int i = 0; i < ROUNDS; i++) {
        SimGuest guest = *g;
        SmallGuest copy = *k;

        if (touch(w, &guest, &copy, pages) > s->reads)
            most = pages;
        else
            least = pages;
        if (least == most)
            break;
        pages = (least + most) / 2;
    }
    s->reads -= touch(w, g, k, least);
    k->cpu_usec += (usec_t) (least * page_cpu(w) * (double) USEC_PER_SEC);
    if (s->go_usec > 0 && w->now_usec > s->go_usec)
        k->pages += least;
}

static void rest(const SimWorld *w, SimGuest *g, SmallGuest *k)
{
    double out, bytes;

    g->stall = 0;
    if (!k->worked)
        return;
    bytes = swap_take(&k->parts[SIM_PART_WORK], k->parts[SIM_PART_WORK].bytes, false, &out);
    if (bytes > 0)
        fpr_free(w, k, bytes, out, fmin(bytes, k->was_cut));
    k->was_cut = 0;
}

bool small_works(const SimWorld *w, size_t guest, usec_t at_usec)
{
    const SimSmall *s = w->small;
    usec_t since = at_usec - (at_usec < s->go_usec ? s->begin_usec : s->go_usec);

    return (s->scenario->before || at_usec >= s->go_usec) && since / SLOT_USEC % SLOTS == guest / 2 % SLOTS;
}

static bool works(const SimWorld *w, size_t i)
{
    return small_works(w, i, w->now_usec);
}

/* ---- The balloon ---- */

static bool is_moving(const SimWorld *w, const SimGuest *g)
{
    return g->current != g->target && w->now_usec >= g->sets_out_usec;
}

/* Takes memory from a part, as much as the disk allows. The guest's kernel clears each page that it allocates, also for
 * its balloon (init_on_alloc): memory that the host swapped out comes in first. In the lab a guest needed 10–20 s for
 * 100 MiB on a host that thrashed. */
static double squeeze(SimSmall *s, SmallGuest *k, SimPart part, double bytes)
{
    SimRegion *r = &k->parts[part];
    double out, n = fmin(bytes, r->bytes - r->out + s->reads * COSTS_READ_SCATTER * SMALL_PAGE);

    n = swap_take(r, n, false, &out);
    k->swapped_in += out;
    s->reads -= out / SMALL_PAGE / COSTS_READ_SCATTER;
    return n;
}

/* Takes free memory (the smallest pieces first; then blocks, whether the host holds them or not), then page cache, then
 * anonymous memory. */
static double inflate(SimSmall *s, SimGuest *g, SmallGuest *k, double bytes)
{
    static const SimPart used[] = {SIM_PART_COLD, SIM_PART_HOT, SIM_PART_WORK};
    double got = squeeze(s, k, SIM_PART_FRAGMENTS, bytes), whole, n;

    k->cut_balloon += got;
    whole = k->parts[SIM_PART_BLOCKS].bytes + g->hollow;
    if (whole > 0)
        got += squeeze(s, k, SIM_PART_BLOCKS, (bytes - got) * k->parts[SIM_PART_BLOCKS].bytes / whole);
    got += take_hollow(g, k, bytes - got, &k->cut_balloon);
    for (size_t i = 0; i < ELEMENTSOF(used); i++) {
        n = squeeze(s, k, used[i], bytes - got);
        got += n;
        if (used[i] == SIM_PART_WORK) {
            g->swapped += n;
            g->swap_out += n;
        }
    }
    return got;
}

static void move_balloon(SimWorld *w, SimGuest *g, SmallGuest *k)
{
    const SimSmall *s = w->small;
    double speed = g->current < g->target ? s->costs->deflate : s->costs->inflate, n;

    if (!is_moving(w, g))
        return;
    n = lever_through(w, k, fmin(fabs(g->target - g->current), speed * M * SIM_TICK_SEC * s->share));
    k->cpu_usec += (usec_t) (COSTS_BALLOON_CORES * n / M / speed * (double) USEC_PER_SEC);
    if (g->current < g->target) {
        double cut = k->cut_balloon * n / (g->full - g->current);

        k->cut_balloon -= cut;
        k->cut_hollow += cut;
        g->hollow += n;
        g->current += n;
    } else
        g->current -= inflate(w->small, g, k, n);
}

/* ---- A tick ---- */

static bool wants_disk(const SimWorld *w, size_t i)
{
    const SmallTask *t = &w->small->guests[i].task;

    return works(w, i) || is_moving(w, &w->guests[i]) || (t->lever != SIM_LEVER_NONE && !t->end);
}

static void share_cpu(SimWorld *w)
{
    double wanted = 0;

    for (size_t i = 0; i < w->n; i++) {
        wanted += works(w, i) ? pages_most(w) * page_cpu(w) : 0;
        wanted += is_moving(w, &w->guests[i]) ? COSTS_BALLOON_CORES * SIM_TICK_SEC : 0;
        wanted += lever_cpu(w, &w->small->guests[i]);
    }
    w->small->share = fmin(1, COSTS_CORES * SIM_TICK_SEC / fmax(wanted, 1e-9));
}

static void tick_guest(SimWorld *w, size_t i)
{
    SimGuest *g = &w->guests[i];
    SmallGuest *k = &w->small->guests[i];
    double before = guest_holds(k);
    bool now = works(w, i);

    for (int t = SIM_SEEN_TICKS - 1; t > 0; t--)
        g->lately[t] = g->lately[t - 1];
    g->lately[0] = g->current;
    if (w->now_usec > g->given_usec + SIM_GIFT_USEC)
        g->given = 0;
    move_balloon(w, g, k);
    if (now)
        work(w, g, k);
    else
        rest(w, g, k);
    k->worked = now;
    lever_tick(w, g, k);
    fpr_tick(w, g, k);
    note_sizes(g, k);
    g->asked = g->wants = g->used;
    g->stall_usec += g->stall * (double) SIM_TICK_USEC;
    g->stall_avg10 += (g->stall - g->stall_avg10) * SIM_TICK_SEC / 10;
    before = fmax(0, guest_holds(k) - before);
    w->demanded += fmax(0, before - g->given);
    g->given = fmax(0, g->given - before);
}

void small_tick(SimWorld *w)
{
    SimSmall *s = w->small;
    double in = small_in(s);
    size_t users = 0;

    w->now_usec += SIM_TICK_USEC;
    share_cpu(w);
    s->disk = w->now_usec < s->go_usec ? READS_FAST : COSTS_READS * SIM_TICK_SEC;
    for (size_t i = 0; i < w->n; i++)
        users += wants_disk(w, i);
    for (size_t i = 0; i < w->n; i++) {
        bool uses = wants_disk(w, i);

        s->reads = uses ? s->disk / (double) users-- : 0;
        s->disk -= s->reads;
        tick_guest(w, i);
        s->disk += s->reads;
    }
    s->swapping += ((small_in(s) - in) / SIM_TICK_SEC - s->swapping) * SIM_TICK_SEC;
    swap_out(w);
    w->swapped = small_out(w);
}

/* ---- The beginning ---- */

static void make_guest(SimWorld *w, size_t i)
{
    const SmallScenario *sc = w->small->scenario;
    SimGuest *g = &w->guests[i];
    SmallGuest *k = &w->small->guests[i];
    usec_t now = w->now_usec;
    double base = (COSTS_KERNEL + COSTS_BASE) * M + sc->fragments * M * COSTS_MOVED_PART;
    double pieces = sc->fragments * M * (1 - COSTS_MOVED_PART), unused, blocks;

    *g = (SimGuest){.kind = w->small->reporting ? &reporting_kind : &bench_kind,
                    .full = COSTS_GUEST * M,
                    .own = COSTS_QEMU * M,
                    .kernel = COSTS_KERNEL * M,
                    .low = COSTS_LOW * M,
                    .shares = 1000,
                    .slow_usec = (usec_t) (COSTS_SET_OUT_SEC * (double) USEC_PER_SEC),
                    .present = true};
    (void) snprintf(g->uuid, sizeof(g->uuid), "guest-%02u", (unsigned) i);
    g->floor = (double) guard_floor((uint64_t) g->full, 0.25);
    g->current = g->target = g->full;
    for (int t = 0; t < SIM_SEEN_TICKS; t++)
        g->lately[t] = g->full;
    *k = (SmallGuest){};
    unused = g->full - base - pieces - (sc->hot + sc->cold) * M;
    blocks = w->small->reporting ? 0 : fmin(unused, fmax(sc->blocks * M, w->small->costs->touched * unused));
    /* Older than what the host touches from now on; among them, page cache that isn't read is the oldest. */
    k->parts[SIM_PART_BASE] = (SimRegion){g->own + base, 0, now - USEC_PER_SEC};
    k->parts[SIM_PART_HOT] = (SimRegion){sc->hot * M, 0, now - USEC_PER_SEC};
    k->parts[SIM_PART_COLD] = (SimRegion){sc->cold * M, 0, now - 60 * USEC_PER_SEC};
    k->parts[SIM_PART_BLOCKS] = (SimRegion){blocks, 0, now - 30 * USEC_PER_SEC};
    k->parts[SIM_PART_FRAGMENTS] = (SimRegion){pieces, 0, now - 30 * USEC_PER_SEC};
    k->parts[SIM_PART_WORK] = (SimRegion){0, 0, now};
    note_sizes(g, k);
    g->hollow = unused - blocks;
    g->hot = g->hot_most = g->hot_cached;
    g->cold = g->cold_cached;
    w->demanded += guest_holds(k);
}

void small_init(SimWorld *w, SimSmall *s, const SmallScenario *scenario, const SimCosts *costs,
                bool reporting)
{
    *s = (SimSmall){.scenario = scenario, .costs = costs, .reporting = reporting};
    *w = (SimWorld){.n = SMALL_GUESTS, .now_usec = 3600 * USEC_PER_SEC, .small = s};
    s->begin_usec = w->now_usec;
    s->go_usec = USEC_INFINITY;
    for (size_t i = 0; i < w->n; i++)
        make_guest(w, i);
    w->total = scenario->total > 0 ? scenario->total * M : w->demanded / (1 - scenario->available);
    swap_out(w);
    w->swapped = small_out(w);
}

void small_report(const SimWorld *w, const SimGuest *g, Report *r)
{
    const SmallGuest *k = small_guest(w, g);

    report_set(r, REPORT_FREE_BLOCKS,
               (uint64_t) (k->parts[SIM_PART_BLOCKS].bytes + g->hollow - k->cut_hollow));
    report_set(r, REPORT_REPORTING, w->small->reporting);
    report_set(r, REPORT_ACTIVE_FILE, (uint64_t) g->hot_cached);
    report_set(r, REPORT_INACTIVE_FILE, (uint64_t) g->cold_cached);
}
