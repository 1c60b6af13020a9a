/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated host: guests, their memory, and time. */

#include "tests/sim/world.h"

#include <math.h>
#include <string.h>

#include "base/macro.h"
#include "host-agent/decide/guard.h"
#include "tests/sim/small.h"

/* Bytes per second. */
#define DEMAND_SPEED    (200.0 * MIB) /* at which guests allocate, and free */
#define SWAP_IN_SPEED   (100.0 * MIB) /* in the guest */
#define HOST_SWAP_SPEED (30.0 * MIB)  /* what the host swapped out comes back page by page */

#define FRAGMENTS      0.15 /* of freed memory: in pieces too small for free page reporting */
#define CRY_EVERY_USEC (240 * USEC_PER_SEC)
#define CRY_USEC       (30 * USEC_PER_SEC)
#define STUCK_SLOT     (200 * USEC_PER_SEC) /* in which a balloon is stuck or not */

static const SimKind kinds[] = {
    {.name = "hot cache", .used = {.10, .20}, .hot = {.30, .50}, .cold = {.1, .3}},
    {.name = "cold cache", .used = {.10, .25}, .cold = {.5, .8}},
    {.name = "phases", .changes = true, .used = {.10, .85}, .hot = {0, .1}, .cold = {0, .5}},
    {.name = "idle", .used = {.05, .15}, .cold = {.2, .4}},
    {.name = "frees", .changes = true, .used = {.05, .90}, .cold = {0, .1}},
    {.name = "swapless",
     .changes = true,
     .swapless = true,
     .used = {.15, .60},
     .hot = {0, .1},
     .cold = {0, .5}},
    {.name = "reports free",
     .changes = true,
     .reports_free = true,
     .used = {.10, .85},
     .hot = {0, .1},
     .cold = {0, .3}},
    {.name = "agentless",
     .source = SIM_SOURCE_LIBVIRT,
     .changes = true,
     .used = {.10, .70},
     .hot = {0, .1},
     .cold = {0, .4}},
    {.name = "visitor", .changes = true, .visits = true, .used = {.20, .70}, .cold = {0, .4}},
    {.name = "mute", .source = SIM_SOURCE_NONE, .changes = true, .used = {.20, .50}, .cold = {0, .2}},
    {.name = "says free", .changes = true, .says_free = true, .used = {.40, .70}, .cold = {0, .2}},
    {.name = "cries", .cries = true, .used = {.03, .06}, .cold = {0, .05}},
};

/* Streams of sim_random() that are drawn for each guest. */
enum {
    DRAW_SIZE,
    DRAW_FLOOR,
    DRAW_OWN,
    DRAW_SHARES,
    DRAW_SPEED,
    DRAW_SLOW,
    DRAW_DELAY,
    DRAW_STIR,
    DRAW_PRESENT,
    DRAW_USED,
    DRAW_HOT,
    DRAW_COLD,
    DRAW_STUCK,
    DRAW_REFUSE,
    DRAW_NOISE,
    DRAW_HOST,
    DRAW_COUNT,
    DRAW_MAX,
};

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

double sim_random(uint64_t seed, uint64_t a, uint64_t b, double low, double high)
{
    return low + (double) (mix(mix(mix(seed) ^ a) ^ b) >> 11) * 0x1p-53 * (high - low);
}

static double draw(const SimWorld *w, const SimGuest *g, int what, uint64_t when, double low, double high)
{
    return sim_random(w->seed, (uint64_t) (g - w->guests) * DRAW_MAX + (uint64_t) what, when, low, high);
}

/* ---- The trace ---- */

typedef struct Demand {
    bool present;
    double wants, hot, cold;
} Demand;

static Demand demand_in(const SimWorld *w, const SimGuest *g, int phase)
{
    const SimKind *k = g->kind;
    uint64_t when = k->changes ? (uint64_t) phase : 0;
    Demand d = {
        .present = !k->visits || draw(w, g, DRAW_PRESENT, when, 0, 1) < 0.6,
        .wants = draw(w, g, DRAW_USED, when, k->used[0], k->used[1]) * g->full,
        .hot = draw(w, g, DRAW_HOT, when, k->hot[0], k->hot[1]) * g->full,
        .cold = draw(w, g, DRAW_COLD, when, k->cold[0], k->cold[1]) * g->full,
    };

    /* Nobody asks for more than fits in. */
    d.hot = fmax(0, fmin(d.hot, g->full - g->kernel - g->low - d.wants));
    return d;
}

static void boot(SimWorld *w, SimGuest *g)
{
    g->boot_usec = w->now_usec;
    g->current = g->target = g->full;
    g->hollow = g->full - g->kernel;
    for (size_t i = 0; i < SIM_SEEN_TICKS; i++)
        g->lately[i] = g->full;
    g->asked = g->used = g->swapped = g->hot_cached = g->cold_cached = g->backed = g->hot_most = g->given = 0;
    g->swap_in = g->swap_out = g->refaults = g->stall_usec = g->alloc_stalls = g->ooms = 0;
    g->stall = g->stall_avg10 = 0;
}

/* A guest's own phases begin a little after the world's; its first one starts with the world. */
static void follow_trace(SimWorld *w, SimGuest *g)
{
    int phase = w->now_usec < g->stir_usec ? 0 : (int) ((w->now_usec - g->stir_usec) / SIM_PHASE_USEC);
    Demand d;

    phase = MIN(phase, w->phases - 1);
    if (phase == g->phase)
        return;
    g->phase = phase;
    d = demand_in(w, g, phase);
    if (d.present && !g->present) {
        boot(w, g);
        w->demanded += g->own + g->kernel;
    }
    g->present = d.present;
    g->wants = d.wants;
    g->cold = d.cold;
    /* Cache that is no longer read stays. */
    g->cold_cached += fmax(0, g->hot_cached - d.hot);
    g->hot_cached = fmin(g->hot_cached, d.hot);
    g->hot_most = fmin(g->hot_most, d.hot);
    g->hot = d.hot;
}

/* ---- A guest's memory ---- */

/* Moves up to amount from one part of a guest's memory to nowhere. Returns what is still to be taken. */
static double take(double *part, double amount)
{
    double n = fmin(*part, amount);

    *part -= n;
    return amount - n;
}

/* The part of its free memory that it can use without reclaim. */
static double obtainable(const SimGuest *g)
{
    return fmax(0, sim_free(g) - g->low);
}

/* Takes from what is free. Memory that is hollow becomes the host's loss. */
static double take_free(SimGuest *g, double amount)
{
    double n = fmin(amount, obtainable(g));

    (void) take(&g->hollow, take(&g->backed, n));
    return amount - n;
}

static double take_cache(SimGuest *g, double amount)
{
    return take(&g->hot_cached, take(&g->cold_cached, amount));
}

static void free_up(SimGuest *g, double amount)
{
    double fragments = g->kind->reports_free ? FRAGMENTS * amount : amount;

    g->backed += fragments;
    g->hollow += amount - fragments;
}

/* Memory of the guests that is never used: what a host that chooses perfectly swaps out first. */
static double idle_memory(const SimWorld *w)
{
    double idle = 0;

    for (size_t i = 0; i < w->n; i++)
        idle += w->guests[i].backed + w->guests[i].cold_cached;
    return idle;
}

static double resident(const SimGuest *g)
{
    return g->present ? g->own + g->kernel + g->used + g->hot_cached + g->cold_cached + g->backed : 0;
}

static double resident_all(const SimWorld *w)
{
    double sum = 0;

    for (size_t i = 0; i < w->n; i++)
        sum += resident(&w->guests[i]);
    return sum;
}

static bool is_stuck(const SimWorld *w, const SimGuest *g)
{
    uint64_t slot = w->now_usec / STUCK_SLOT;
    double seconds =
        draw(w, g, DRAW_STUCK, 2 * slot, 0, 1) < 0.03 ? draw(w, g, DRAW_STUCK, 2 * slot + 1, 5, 60) : 0;

    return (double) (w->now_usec % STUCK_SLOT) < seconds * (double) USEC_PER_SEC;
}

static void move_balloon(const SimWorld *w, SimGuest *g)
{
    double n, left;

    if (g->current == g->target || w->now_usec < g->sets_out_usec || is_stuck(w, g))
        return;
    if (g->current < g->target) {
        n = fmin(g->target - g->current, 2 * g->speed * SIM_TICK_SEC);
        g->hollow += n;
        g->current += n;
        return;
    }
    n = fmin(g->current - g->target, g->speed * SIM_TICK_SEC);
    left = take_cache(g, take_free(g, n));
    if (!g->kind->swapless) {
        double kept = take(&g->used, left);

        g->swapped += left - kept;
        g->swap_out += left - kept;
        left = kept;
    }
    g->current -= n - left;
}

/* It couldn't get all of its memory. */
static void lack(SimGuest *g)
{
    double lacks = g->asked - g->used, thrashed;

    g->alloc_stalls += 50 * SIM_TICK_SEC;
    if (g->kind->swapless) {
        g->ooms += SIM_TICK_SEC;
        return;
    }
    thrashed = fmin(lacks, 0.3 * SWAP_IN_SPEED * SIM_TICK_SEC);
    g->swap_in += thrashed;
    g->swap_out += thrashed + fmax(0, lacks - g->swapped);
    g->swapped = lacks;
}

/* Anonymous memory. host_swap: the share of what it gets at that the host has to swap in first. */
static void use(SimGuest *g, double host_swap)
{
    double change = fmin(fabs(g->wants - g->asked), DEMAND_SPEED * SIM_TICK_SEC), excess, speed, n, got, back;

    g->asked += copysign(change, g->wants - g->asked);
    excess = fmax(0, g->used - g->asked);
    g->used -= excess;
    free_up(g, excess);
    g->swapped = fmin(g->swapped, g->asked - g->used);

    speed = g->swapped > 0 ? SWAP_IN_SPEED : DEMAND_SPEED;
    speed = 1 / ((1 - host_swap) / speed + host_swap / HOST_SWAP_SPEED);
    n = fmin(g->asked - g->used, speed * SIM_TICK_SEC);
    got = n - take_cache(g, take_free(g, n));
    back = fmin(got, g->swapped);
    g->used += got;
    g->swapped -= back;
    g->swap_in += back;
    if (got < n)
        lack(g);
}

/* Cache that is read all the time: what isn't there is read from disk and takes the place of what isn't read,
 * or, where there is no such thing, of itself. */
static void read_hot(SimGuest *g)
{
    double missing = g->hot - g->hot_cached, n, left;

    if (missing <= 0)
        return;
    n = fmin(missing, SIM_READ_SPEED * SIM_TICK_SEC * missing / g->hot);
    g->refaults += n * fmax(0, fmin(1, (g->hot_most - g->hot_cached) / missing));
    left = take(&g->cold_cached, take_free(g, n));
    g->hot_cached += n - left;
    g->hot_most = fmax(g->hot_most, g->hot_cached);
}

/* Cache of what is read once: fills what is free. Files that are deleted free it. */
static void read_cold(SimGuest *g)
{
    double n = fmin(fabs(g->cold - g->cold_cached), SIM_READ_SPEED / 3 * SIM_TICK_SEC);

    if (g->cold_cached > g->cold) {
        g->cold_cached -= n;
        free_up(g, n);
    } else
        g->cold_cached += n - take_free(g, n);
}

/* The share of its reads of its hot cache that was cached once and no longer is. */
static double missed(const SimGuest *g)
{
    return g->hot > 0 ? fmax(0, g->hot_most - g->hot_cached) / g->hot : 0;
}

double sim_throughput(const SimGuest *g)
{
    return 1 / (1 + missed(g) * (SIM_HIT_SPEED / SIM_READ_SPEED - 1));
}

static void suffer(SimGuest *g)
{
    double lacks = g->asked - g->used, misses = missed(g);

    g->stall = 0.5 * misses;
    if (lacks > 4.0 * MIB)
        g->stall = fmax(g->stall, 0.2 + fmin(0.7, lacks / (0.1 * g->full)));
    g->stall_usec += g->stall * (double) SIM_TICK_USEC;
    g->stall_avg10 += (g->stall - g->stall_avg10) * SIM_TICK_SEC / 10;
}

/* ---- The host ---- */

/* It lacks room for all that guests hold: that is swapped out. The best is assumed of it: what nobody touches
 * goes first. Yet a guest that makes use of its free memory or of its cache's room comes upon it. */
static double host_swap(SimWorld *w)
{
    double over = fmax(0, w->overhead + resident_all(w) - w->total), idle = idle_memory(w);

    w->swapped_out += fmax(0, over - w->swapped);
    w->swapped = over;
    return over > 0 ? fmin(1, over / fmax(idle, 1)) : 0;
}

static void tick_guest(SimWorld *w, SimGuest *g, double swap)
{
    double before;

    follow_trace(w, g);
    if (!g->present)
        return;
    if (w->now_usec > g->given_usec + SIM_GIFT_USEC)
        g->given = 0;
    memmove(g->lately + 1, g->lately, sizeof(g->lately) - sizeof(g->lately[0]));
    g->lately[0] = g->current;
    move_balloon(w, g);
    before = resident(g);
    use(g, swap);
    read_hot(g);
    read_cold(g);
    suffer(g);
    w->demanded += fmax(0, take(&g->given, fmax(0, resident(g) - before)));
}

/* The host's own use goes up and down a little. */
static double host_overhead(const SimWorld *w)
{
    uint64_t second = w->now_usec / USEC_PER_SEC;

    return (0.02 + sim_random(w->seed, DRAW_HOST, second, -0.001, 0.001)) * w->total;
}

void sim_tick(SimWorld *w)
{
    double swap, overhead;

    if (w->small) {
        small_tick(w);
        return;
    }
    swap = host_swap(w);
    w->now_usec += SIM_TICK_USEC;
    for (size_t i = 0; i < w->n; i++)
        tick_guest(w, &w->guests[i], swap);
    overhead = host_overhead(w);
    w->demanded += fmax(0, overhead - w->overhead);
    w->overhead = overhead;
}

static void make_guest(SimWorld *w, size_t i)
{
    static const double sizes[] = {1, 2, 3, 4, 6, 8, 12, 16};
    SimGuest *g = &w->guests[i];

    *g = (SimGuest){.kind = &kinds[i % ELEMENTSOF(kinds)], .phase = -1};
    (void) snprintf(g->uuid, sizeof(g->uuid), "guest-%02u", (unsigned) i);
    g->full = sizes[(size_t) draw(w, g, DRAW_SIZE, 0, 0, ELEMENTSOF(sizes))] * (double) GIB;
    g->floor = (double) guard_floor((uint64_t) g->full, draw(w, g, DRAW_FLOOR, 0, 0, 1) < 0.2 ? 0.5 : 0.25);
    g->kernel = 0.03 * g->full;
    g->low = 0.01 * g->full;
    /* Some have more than is thought of a QEMU before a shrink proves it. */
    g->own = draw(w, g, DRAW_OWN, 0, 30, 100) * (double) MIB;
    g->shares = 1000 * exp2(floor(draw(w, g, DRAW_SHARES, 0, -1, 2)));
    g->speed = draw(w, g, DRAW_SPEED, 0, 150, 900) * (double) MIB;
    g->slow_usec = (usec_t) (exp2(draw(w, g, DRAW_SLOW, 0, -5, 1)) * (double) USEC_PER_SEC);
    g->report_delay_usec = (usec_t) draw(w, g, DRAW_DELAY, 0, 0, (double) USEC_PER_SEC);
    g->stir_usec = (usec_t) draw(w, g, DRAW_STIR, 0, 0, (double) SIM_STIR_USEC);
}

static double demand_of_all(const SimWorld *w, int phase)
{
    double sum = 0;

    for (size_t i = 0; i < w->n; i++) {
        const SimGuest *g = &w->guests[i];
        Demand d = demand_in(w, g, phase);

        if (d.present)
            sum += g->own + g->kernel + d.wants + d.hot;
    }
    return sum;
}

void sim_init(SimWorld *w, uint64_t seed, double load, int phases)
{
    double most = 0;

    *w = (SimWorld){.seed = seed, .phases = phases};
    w->n = (size_t) sim_random(seed, DRAW_COUNT, 0, ELEMENTSOF(kinds), SIM_GUESTS_MAX + 1);
    for (size_t i = 0; i < w->n; i++)
        make_guest(w, i);
    for (int phase = 0; phase < phases; phase++)
        most = fmax(most, demand_of_all(w, phase));
    w->total = most / load;
    w->overhead = host_overhead(w);
}

int sim_set_memory(SimWorld *w, size_t guest, double bytes)
{
    SimGuest *g = &w->guests[guest];

    if (!w->small && draw(w, g, DRAW_REFUSE, w->now_usec / USEC_PER_SEC, 0, 1) < 0.01)
        return -EIO;
    /* A shrink that is called off gives nothing: the host hasn't got that yet, or not for longer than a
     * manager needs to see it. */
    if (bytes > g->target) {
        g->given += fmax(0, bytes - fmax(g->target, g->lately[SIM_SEEN_TICKS - 1]));
        g->given_usec = w->now_usec;
    } else
        g->given = fmax(0, g->given - (g->target - bytes));
    if (g->target == g->current)
        g->sets_out_usec = w->now_usec + g->slow_usec;
    g->target = bytes;
    return 0;
}

double sim_available(const SimWorld *w)
{
    return fmax(0, w->total - w->overhead - resident_all(w) + (w->small ? w->swapped : 0));
}

double sim_critical(const SimWorld *w)
{
    return fmin(SIM_CRITICAL_RATIO * w->total, SIM_CRITICAL_MAX);
}

double sim_pressed(const SimWorld *w)
{
    return fmin(SIM_PRESSED_RATIO * w->total, SIM_PRESSED_MAX);
}

double sim_relaxed(const SimWorld *w)
{
    return fmin(SIM_RELAXED_RATIO * w->total, SIM_RELAXED_MAX);
}

/* All guests have the same share swapped out, unless it is known. */
double sim_swap(const SimWorld *w, const SimGuest *g)
{
    double all = resident_all(w);

    if (w->small)
        return small_guest_out(small_guest(w, g));
    return all > 0 ? resident(g) * fmin(1, w->swapped / all) : 0;
}

double sim_rss(const SimWorld *w, const SimGuest *g)
{
    return resident(g) - sim_swap(w, g);
}

usec_t sim_cpu(const SimWorld *w, const SimGuest *g)
{
    return w->small ? small_guest(w, g)->cpu_usec : 0;
}

bool sim_is_starved(const SimGuest *g)
{
    return g->present && g->asked - g->used > fmax(8.0 * (double) MIB, 0.02 * g->asked);
}

/* ---- A guest's stats ---- */

bool sim_cries(const SimWorld *w, const SimGuest *g)
{
    return g->kind->cries && w->now_usec % CRY_EVERY_USEC < CRY_USEC;
}

static void tell_memory(const SimWorld *w, const SimGuest *g, Report *r)
{
    double total = g->current - g->kernel, noise[2], free, cache;

    for (int i = 0; i < 2; i++)
        noise[i] =
            w->small ? 1 : draw(w, g, DRAW_NOISE, 2 * w->now_usec + (usec_t) i, 1 - SIM_NOISE, 1 + SIM_NOISE);
    free = g->kind->says_free ? 0.98 * total : fmin(total, sim_free(g) * noise[0]);
    cache = g->kind->says_free ? 0 : fmin(total - free, (g->hot_cached + g->cold_cached) * noise[1]);

    report_set(r, REPORT_MEM_TOTAL, (uint64_t) total);
    report_set(r, REPORT_MEM_FREE, (uint64_t) free);
    report_set(r, REPORT_MEM_AVAILABLE, (uint64_t) fmax(0, free + cache - 2 * g->low));
    report_set(r, REPORT_CACHED, (uint64_t) cache);
    report_set(r, REPORT_SWAP_IN, (uint64_t) g->swap_in);
    report_set(r, REPORT_SWAP_OUT, (uint64_t) g->swap_out);
    report_set(r, REPORT_MAJOR_FAULTS, (uint64_t) ((g->swap_in + g->refaults) / 4096));
}

/* Stats that only an agent has. */
static void tell_more(const SimGuest *g, Report *r)
{
    double swap = g->kind->swapless ? 0 : g->full;

    report_set(r, REPORT_BUFFERS, 0);
    report_set(r, REPORT_SRECLAIMABLE, 0);
    report_set(r, REPORT_SHMEM, 0);
    report_set(r, REPORT_ANON_PAGES, (uint64_t) g->used);
    report_set(r, REPORT_SWAP_TOTAL, (uint64_t) swap);
    report_set(r, REPORT_SWAP_FREE, (uint64_t) fmax(0, swap - g->swapped));
    report_set(r, REPORT_LOW_WATERMARK, (uint64_t) g->low);
    report_set(r, REPORT_REFAULT_ANON, (uint64_t) g->swap_in);
    report_set(r, REPORT_REFAULT_FILE, (uint64_t) g->refaults);
    report_set(r, REPORT_ALLOC_STALLS, (uint64_t) g->alloc_stalls);
    report_set(r, REPORT_OOM_KILLS, (uint64_t) g->ooms);
    report_set(r, REPORT_PSI_MEMORY_SOME_AVG10, (uint64_t) (1e4 * g->stall_avg10));
    report_set(r, REPORT_PSI_MEMORY_SOME_TOTAL, (uint64_t) g->stall_usec);
}

void sim_report(const SimWorld *w, const SimGuest *g, Report *ret)
{
    *ret = (Report){};
    tell_memory(w, g, ret);
    if (g->kind->source != SIM_SOURCE_AGENT)
        return;
    ret->at_usec = w->now_usec - g->boot_usec + USEC_PER_SEC;
    tell_more(g, ret);
    if (w->small)
        small_report(w, g, ret);
}
