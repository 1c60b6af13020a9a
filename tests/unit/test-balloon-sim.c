/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The default policy and the guard on a simulated host: balloons that take their time, guests whose demand
 * changes, caches that fill what they are given. Once demand stays as it is everything has to come to rest,
 * with the host's need covered as far as spare memory allows. */

#include <check.h>
#include <math.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/decide/plan.h"
#include "tests/unit/run.h"

#define GUESTS_MAX    32
#define CYCLES        10000U
#define PHASE         500U          /* cycles in which demand stays as it is … */
#define REST          150U          /* … of which the last ones have to be quiet */
#define BALLOON_SPEED (500.0 * MIB) /* per cycle of a second */
#define DEMAND_SPEED  (200.0 * MIB)
#define CACHE_SPEED   (60.0 * MIB)
/* For what is checked very often: check writes down each of its own assertions, and that takes time. */
#define REQUIRE(condition)                       \
    do {                                         \
        if (!(condition))                        \
            ck_abort_msg("not so: " #condition); \
    } while (false)

#define QEMU_OWN (45.0 * MIB)

/* current = kernel + used + cache + backed + hollow: free memory is backed by the host, or hollow (never
 * touched, or reported free). */
typedef struct SimGuest {
    char uuid[16];
    double full, floor, kernel;
    double used, cache, backed, hollow, current, standing;
    double wants_used, wants_cache, hot_cache;
    bool reports_free; /* free page reporting */
    bool hollow_first; /* which of its free memory the balloon gets first */
    bool moving;       /* or no stats since */
    unsigned delay;    /* cycles before a balloon sets out */
} SimGuest;

typedef struct Sim {
    SimGuest guests[GUESTS_MAX];
    size_t n;
    double total, overhead;
    uint64_t random;
    double moved;
    unsigned sent;
    GuardConfig config;
} Sim;

static double random_between(Sim *s, double low, double high)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return low + (double) (s->random >> 11) * 0x1p-53 * (high - low);
}

/* Moves up to amount from one part of a guest's memory to nowhere. Returns what is still to be taken. */
static double take(double *part, double amount)
{
    double n = fmin(*part, amount);

    *part -= n;
    return amount - n;
}

static double take_free(SimGuest *g, double amount, bool hollow_first)
{
    amount = take(hollow_first ? &g->hollow : &g->backed, amount);
    return take(hollow_first ? &g->backed : &g->hollow, amount);
}

static void move_balloon(SimGuest *g)
{
    g->moving = g->current != g->standing;
    if (!g->moving)
        return;
    if (g->delay > 0) {
        g->delay--;
        return;
    }
    if (g->current > g->standing) {
        double n = fmin(g->current - g->standing, BALLOON_SPEED), left = take_free(g, n, g->hollow_first);

        left = take(&g->cache, left);
        (void) take(&g->used, left); /* swapped out */
        g->current -= n;
    } else {
        double n = fmin(g->standing - g->current, 2 * BALLOON_SPEED);

        g->hollow += n;
        g->current += n;
    }
}

static void follow_demand(SimGuest *g)
{
    double low = 0.01 * g->full, n;

    if (g->used > g->wants_used) {
        n = fmin(g->used - g->wants_used, DEMAND_SPEED);
        g->used -= n;
        *(g->reports_free ? &g->hollow : &g->backed) += n;
    } else {
        n = fmin(g->wants_used - g->used, DEMAND_SPEED);
        g->used += n - take(&g->cache, take_free(g, n, false)); /* what isn't there stays swapped out */
    }
    if (g->cache > g->wants_cache) {
        n = fmin(g->cache - g->wants_cache, CACHE_SPEED);
        g->cache -= n;
        *(g->reports_free ? &g->hollow : &g->backed) += n;
    } else {
        n = fmax(0, fmin(fmin(g->wants_cache - g->cache, CACHE_SPEED), g->backed + g->hollow - low));
        (void) take_free(g, n, false);
        g->cache += n;
    }
}

static double stall(const SimGuest *g)
{
    return g->used < g->wants_used - MIB ? 0.5 : g->cache < g->hot_cache - MIB ? 0.1 : 0;
}

static double rss(const SimGuest *g)
{
    return QEMU_OWN + g->kernel + g->used + g->cache + g->backed;
}

static double available(const Sim *s)
{
    double a = s->total - s->overhead;

    for (size_t i = 0; i < s->n; i++)
        a -= rss(&s->guests[i]);
    return fmax(a, 0);
}

static void snapshot_guest(const SimGuest *g, SnapshotGuest *ret)
{
    double free = g->backed + g->hollow, in_use = g->current - free;
    GuestFields *f = &ret->fields;

    *ret = (SnapshotGuest){
        .uuid = g->uuid,
        .name = g->uuid,
        .mode = GUEST_MODE_AUTO,
        .source = GUEST_SOURCE_AGENT,
        .age_usec = USEC_PER_SEC,
        .uptime_usec = 3600 * USEC_PER_SEC,
        .moving = g->moving || g->current != g->standing,
        .maximum_bytes = (uint64_t) g->full,
        .full_bytes = (uint64_t) g->full,
        .floor_bytes = (uint64_t) g->floor,
        .current_bytes = (uint64_t) g->current,
        .standing_bytes = (uint64_t) g->standing,
        .shrink_rate = BALLOON_SPEED,
    };
    guest_set(f, GUEST_FIELD_FREE, free);
    guest_set(f, GUEST_FIELD_AVAILABLE, free + g->cache);
    guest_set(f, GUEST_FIELD_CACHE, g->cache);
    guest_set(f, GUEST_FIELD_RSS, rss(g));
    guest_set(f, GUEST_FIELD_RESIDENT_FREE, fmin(fmax(rss(g) - in_use, 0), free));
    guest_set(f, GUEST_FIELD_LOW_WATERMARK, 0.01 * g->full);
    guest_set(f, GUEST_FIELD_SWAP_TOTAL, g->full);
    guest_set(f, GUEST_FIELD_SWAP_FREE, g->full);
    guest_set(f, GUEST_FIELD_PSI_MEMORY_SOME, stall(g));
}

/* One cycle of a second: decide, send, and what balloons and guests do then. */
static void cycle(Sim *s, const Policy *policy)
{
    _cleanup_(plan_done) Plan plan = {};
    SnapshotGuest guests[GUESTS_MAX];
    Snapshot snapshot = {.now_usec = USEC_PER_SEC, .guests = guests, .n_guests = s->n};

    host_set(&snapshot.host, HOST_FIELD_TOTAL, s->total);
    host_set(&snapshot.host, HOST_FIELD_AVAILABLE, available(s));
    for (size_t i = 0; i < s->n; i++)
        snapshot_guest(&s->guests[i], &guests[i]);
    REQUIRE(plan_make(&snapshot, policy, &s->config, &plan) == 0);
    REQUIRE(plan.policy_error == 0);
    REQUIRE(plan.notes_total == 0);

    for (size_t i = 0; i < s->n; i++) {
        const Decision *d = &plan.decisions[i];
        SimGuest *g = &s->guests[i];

        /* The policy asks for nothing that the guard wouldn't have (rounded to KiB). */
        REQUIRE(d->wanted_bytes + KIB >= MIN(d->bounds.least_bytes, (uint64_t) g->standing));
        REQUIRE(d->wanted_bytes <= d->bounds.most_bytes + KIB);
        if (d->send) {
            REQUIRE((double) d->target_bytes >= g->floor);
            s->moved += fabs((double) d->target_bytes - g->standing);
            s->sent++;
            g->standing = (double) d->target_bytes;
            g->delay = 1;
        }
        move_balloon(g);
        follow_demand(g);
        REQUIRE(fabs(g->kernel + g->used + g->cache + g->backed + g->hollow - g->current) < MIB);
    }
}

static void new_demand(Sim *s)
{
    for (size_t i = 0; i < s->n; i++) {
        SimGuest *g = &s->guests[i];
        double most = g->full - g->kernel;

        g->wants_used = random_between(s, 0.1, 0.8) * most;
        g->wants_cache = random_between(s, 0, 1) * most;
        g->hot_cache = random_between(s, 0, 0.3) * g->wants_cache;
    }
}

static void sim_init(Sim *s, uint64_t seed)
{
    double sum = 0;

    *s = (Sim){.random = 0x9e3779b97f4a7c15U * (seed + 1), .config = GUARD_CONFIG_DEFAULT};
    s->n = 8 + (size_t) random_between(s, 0, GUESTS_MAX - 8 + 0.999);
    for (size_t i = 0; i < s->n; i++) {
        SimGuest *g = &s->guests[i];

        (void) snprintf(g->uuid, sizeof(g->uuid), "g%02u", (unsigned) i);
        g->full = floor(random_between(s, 1, 16)) * GIB;
        g->floor = (double) guard_floor((uint64_t) g->full, 0.25);
        g->kernel = 0.03 * g->full;
        g->current = g->standing = g->full;
        g->hollow = g->full - g->kernel;
        g->reports_free = random_between(s, 0, 1) < 0.5;
        g->hollow_first = random_between(s, 0, 1) < 0.5;
        sum += g->full;
    }
    s->total = floor(sum / random_between(s, 1, 2.2) / GIB) * GIB; /* overcommitted up to 2.2 times */
    s->overhead = 0.02 * s->total;
}

static double smallest(const SimGuest *g)
{
    return fmax(0.006 * g->full, 5.0 * MIB);
}

/* At rest: whoever could still give what the host lacks, or get what it has too much of, would be moving. */
static void check_rest(const Sim *s)
{
    double has = available(s);

    for (size_t i = 0; i < s->n; i++) {
        const SimGuest *g = &s->guests[i];
        double spare = g->cache + g->backed + g->hollow - 0.2 * g->current, above = g->current - g->floor;
        double low = 0.01 * g->full, backed = fmin(g->backed, fmax(0, g->backed + g->hollow - low));
        double hollow = fmax(0, g->backed + g->hollow - low - backed);

        if (has < 0.05 * s->total && has < 8.0 * GIB)
            ck_assert_msg(above < smallest(g) + MIB, "critical, and %s has %.0f MiB above its floor", g->uuid,
                          above / MIB);
        if (has < 0.2 * s->total && has < 32.0 * GIB) {
            ck_assert_msg(fmin(fmin(backed - 48.0 * MIB, spare), above) < smallest(g) + MIB,
                          "need, and %s has free memory left", g->uuid);
            ck_assert_msg(stall(g) > 0 ||
                              fmin(fmin(g->cache, spare - hollow - 48.0 * MIB), above) < smallest(g) + MIB,
                          "need, and %s has cache left: %.0f MiB, %.0f MiB to spare", g->uuid, g->cache / MIB,
                          spare / MIB);
        }
        if (has > fmin(0.25 * s->total, 40.0 * GIB) + smallest(g) + MIB)
            ck_assert_msg(g->standing == g->full, "plenty, and %s has %.0f of %.0f MiB", g->uuid,
                          g->standing / MIB, g->full / MIB);
    }
}

START_TEST(test_comes_to_rest)
{
    _cleanup_(policy_freep) Policy *p = NULL;
    char path[4096];
    Sim s;

    (void) snprintf(path, sizeof(path), "%s/policy/balloon.policy", getenv("BALLAST_SOURCE"));
    ck_assert_int_eq(policy_load_file(path, NULL, &p), 0);
    sim_init(&s, (uint64_t) _i);
    for (unsigned c = 0; c < CYCLES; c++) {
        unsigned sent;

        if (c % PHASE == 0)
            new_demand(&s);
        sent = s.sent;
        cycle(&s, p);
        if (c % PHASE >= PHASE - REST && s.sent != sent)
            ck_abort_msg("cycle %u of a phase moves memory, available %.2f of %.2f GiB", c % PHASE,
                         available(&s) / GIB, s.total / GIB);
        if (c % PHASE == PHASE - 1)
            check_rest(&s);
    }
    ck_assert_uint_gt(s.sent, 0);
}
END_TEST

/* Eight guests of 8 GiB, each with 4 GiB that it used and freed, on a host that lacks 3 GiB: that much is
 * moved, and no more. */
START_TEST(test_moves_no_more_than_needed)
{
    _cleanup_(policy_freep) Policy *p = NULL;
    Sim s = {.n = 8, .total = 66.0 * GIB, .config = GUARD_CONFIG_DEFAULT};
    char path[4096];
    double need;

    (void) snprintf(path, sizeof(path), "%s/policy/balloon.policy", getenv("BALLAST_SOURCE"));
    ck_assert_int_eq(policy_load_file(path, NULL, &p), 0);
    for (size_t i = 0; i < s.n; i++) {
        SimGuest *g = &s.guests[i];

        *g = (SimGuest){.full = 8.0 * GIB, .floor = 2.0 * GIB, .kernel = 0.25 * GIB, .current = 8.0 * GIB};
        (void) snprintf(g->uuid, sizeof(g->uuid), "g%u", (unsigned) i);
        g->standing = g->current;
        g->used = g->wants_used = 3.0 * GIB;
        g->backed = 4.0 * GIB;
        g->hollow = 0.75 * GIB;
    }
    s.overhead = available(&s) - 0.2 * s.total + 3.0 * GIB;
    need = 0.2 * s.total - available(&s);
    ck_assert_double_eq_tol(need, 3.0 * GIB, MIB);
    for (unsigned c = 0; c < 600; c++)
        cycle(&s, p);
    ck_assert_double_ge(available(&s), 0.2 * s.total - MIB);
    ck_assert_msg(s.moved < need + 100.0 * MIB, "%.0f MiB moved for %.0f MiB", s.moved / MIB, need / MIB);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("balloon-sim");

    tcase_add_loop_test(t, test_comes_to_rest, 0, 6);
    tcase_add_test(t, test_moves_no_more_than_needed);
    tcase_set_timeout(t, 60);
    return run_tests(t);
}
