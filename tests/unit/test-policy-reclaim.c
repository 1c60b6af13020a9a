/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the shipped policies want of guests whose own kernels hand memory back (g.hands_back): the careful one, the
 * one for dense hosts and the one by shares, in time and on random hosts. Such guests keep their size as long as the host
 * has swap left. */

#include "host-agent/decide/evaluate.h"
#include "tests/unit/plausible.h"
#include "tests/unit/policy-scene.h"

#define ROUNDS 2000U

static const char *const files[] = {"conservative.policy", "dense.policy", "shares.policy"};

static double taken_of(const Scene *s, int i, double cache)
{
    return cache - cache_of(s, i);
}

static void set(Scene *s, int i, GuestField f, double value)
{
    guest_fields_set(&s->guests[i], f, value);
}

/* ---- dense.policy: half of an idle guest's page cache in 180 s on a host at ease ---- */

static const struct {
    const char *what;
    double full, cache, free; /* GiB */
    bool hands_back;
    unsigned lever_sec;
} halves[] = {
    {"by its kernel", 10, 8, 0, true, 1},
    {"by its kernel, nearly all cache", 10, 9.5, 0, true, 1},
    {"by its kernel, a third", 10, 3, 0, true, 1},
    {"by its kernel, little cache", 10, 1, 4, true, 1},
    {"by its kernel, small guest", 0.5, 0.3, 0.05, true, 1},
    {"by its kernel, others are asked, too", 10, 6, 1, true, 5},
    {"by balloon", 10, 8, 0, false, 0},
    {"by balloon, nearly all cache", 10, 9.5, 0, false, 0},
    {"by balloon, half", 10, 5, 0, false, 0},
    {"by balloon, small guest", 0.5, 0.3, 0, false, 0},
    {"by balloon, free memory first", 10, 4, 3, false, 0},
};

static void make_idle(Scene *s, unsigned i)
{
    double cache = halves[i].cache * GIB, free_bytes = halves[i].free * GIB, full = halves[i].full * GIB;

    scene_init(s, "dense.policy", 60);
    set(s, 0, GUEST_FIELD_FULL, full);
    set(s, 0, GUEST_FIELD_MOST, full);
    set(s, 0, GUEST_FIELD_TARGET, full);
    set(s, 0, GUEST_FIELD_CURRENT, full);
    set(s, 0, GUEST_FIELD_LEAST, 0.1 * full);
    set(s, 0, GUEST_FIELD_CACHE, cache);
    set(s, 0, GUEST_FIELD_FREE, free_bytes);
    set(s, 0, GUEST_FIELD_IDLE, free_bytes);
    set(s, 0, GUEST_FIELD_AVAILABLE, cache + free_bytes);
    if (halves[i].hands_back) {
        keeps_its_size(s, 0);
        s->lever_sec = halves[i].lever_sec;
    }
}

START_TEST(test_dense_half)
{
    double full = halves[_i].full * GIB, cache = halves[_i].cache * GIB, brought;
    _cleanup_(scene_done) Scene s;

    make_idle(&s, (unsigned) _i);
    for (unsigned second = 1; second <= 180; second++) {
        cycle(&s);
        brought = halves[_i].hands_back ? taken_of(&s, 0, cache) : full - size_of(&s, 0);
        /* No more than its pace, and a move of the smallest kind. */
        ck_assert_msg(brought <=
                          (1 - pow(0.94, second / 10.0 + 1)) * (cache + halves[_i].free * GIB) + 0.006 * full,
                      "%s: %g GiB after %u s", halves[_i].what, brought / GIB, second);
    }
    ck_assert_msg(brought >= cache / 2, "%s: %g GiB of %g", halves[_i].what, brought / GIB, cache / GIB);
    if (halves[_i].hands_back)
        ck_assert_double_eq(size_of(&s, 0), full);
}
END_TEST

/* But only of one that doesn't miss it: it is left alone for longer each time. */
START_TEST(test_dense_stops)
{
    static const unsigned holds[] = {60, 120, 240, 480};
    _cleanup_(scene_done) Scene s;
    double had;

    scene_init(&s, "dense.policy", 60);
    keeps_its_size(&s, 0);
    for (size_t i = 0; i < ELEMENTSOF(holds); i++) {
        had = cache_of(&s, 0);
        for (unsigned n = 0; asked(&s, 0) == 0; n++) {
            ck_assert_uint_lt(n, 40);
            cycle(&s);
        }
        ck_assert_double_lt(cache_of(&s, 0), had);
        read_back(&s, 400.0 * MIB);
        had = cache_of(&s, 0);
        (void) cycles(&s, holds[i] - 2);
        ck_assert_double_eq(cache_of(&s, 0), had);
    }
    set(&s, 0, GUEST_FIELD_STALL, 0.005);
    (void) cycles(&s, 20);
    had = cache_of(&s, 0);
    (void) cycles(&s, 1000);
    ck_assert_double_eq(cache_of(&s, 0), had);
}
END_TEST

/* Fragments, while it rests. What a balloon took before comes back on a host with plenty. */
START_TEST(test_dense_compacts)
{
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "dense.policy", 60);
    keeps_its_size(&s, 0);
    set(&s, 0, GUEST_FIELD_CACHE, 0);
    set(&s, 0, GUEST_FIELD_IDLE, 1.5 * GIB);
    set(&s, 0, GUEST_FIELD_FRAGMENTED, 1.0 * GIB);
    set(&s, 0, GUEST_FIELD_RESTED, 0);
    cycle(&s);
    ck_assert_double_eq(asked(&s, 0), 0);
    set(&s, 0, GUEST_FIELD_RESTED, 2.0 * USEC_PER_SEC);
    cycle(&s);
    ck_assert_double_eq(asked(&s, 0), 1.0 * GIB);
    cycle(&s);
    ck_assert_double_eq(asked(&s, 0), 0);

    resize(&s.guests[0], 8.0 * GIB);
    set(&s, 0, GUEST_FIELD_LEAST, 2.0 * GIB);
    (void) cycles(&s, 10);
    ck_assert_double_eq(size_of(&s, 0), FULL);
}
END_TEST

/* ---- conservative.policy ---- */

/* A hundredth each minute, of what was not used lately. It is asked until it has handed that back. */
START_TEST(test_careful_steps)
{
    const double step = FULL / 100;
    _cleanup_(scene_done) Scene s;
    double cache;

    scene_init(&s, "conservative.policy", 15);
    keeps_its_size(&s, 0);
    cache = cache_of(&s, 0);
    (void) cycles(&s, 60);
    ck_assert_double_eq(taken_of(&s, 0, cache), 0);
    (void) cycles(&s, 3);
    ck_assert_double_eq_tol(taken_of(&s, 0, cache), step, 1);
    (void) cycles(&s, 300);
    ck_assert_double_ge(taken_of(&s, 0, cache), 5 * step - 1);
    ck_assert_double_le(taken_of(&s, 0, cache), 6 * step + 1);

    s.lever_sec = 0;
    cache = cache_of(&s, 0);
    (void) cycles(&s, 100);
    for (unsigned n = 0; n < 20; n++) {
        cycle(&s);
        ck_assert_double_eq_tol(asked(&s, 0), step, 1);
    }
    s.lever_sec = 1;
    (void) cycles(&s, 50);
    ck_assert_double_eq_tol(taken_of(&s, 0, cache), step, 1);
    ck_assert_double_eq(size_of(&s, 0), FULL);
}
END_TEST

/* None of a guest that used all of it lately, reads some again, waits for memory, or does not report that; all of them
 * hand back fragments. */
START_TEST(test_careful_with_cache_in_use)
{
    _cleanup_(scene_done) Scene s;
    double cache;

    scene_init(&s, "conservative.policy", 15);
    keeps_its_size(&s, 0);
    cache = cache_of(&s, 0);
    if (_i == 0)
        set(&s, 0, GUEST_FIELD_COLD, 0);
    if (_i == 2)
        set(&s, 0, GUEST_FIELD_STALL, 0.002);
    if (_i == 3)
        field_set_remove(&s.guests[0].present, GUEST_FIELD_REFAULT_FILE);
    for (unsigned second = 0; second < 300; second++) {
        if (_i == 1)
            read_back(&s, 4096);
        cycle(&s);
        ck_assert_double_eq(asked(&s, 0), 0);
    }
    set(&s, 0, GUEST_FIELD_IDLE, 1.0 * GIB);
    set(&s, 0, GUEST_FIELD_FRAGMENTED, 1.0 * GIB);
    cycle(&s);
    ck_assert_double_eq(asked(&s, 0), 1.0 * GIB);
    cycle(&s);
    ck_assert_double_eq(asked(&s, 0), 0);
    ck_assert_double_eq(taken_of(&s, 0, cache), 0);
}
END_TEST

/* It reads again what it handed back: it is left alone, twice as long each time. */
START_TEST(test_careful_holds)
{
    static const unsigned waits[] = {300, 600, 1200};
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "conservative.policy", 15);
    keeps_its_size(&s, 0);
    (void) cycles(&s, 60);
    for (size_t i = 0; i < ELEMENTSOF(waits); i++) {
        double had = cache_of(&s, 0);

        for (unsigned n = 0; cache_of(&s, 0) == had; n++) {
            ck_assert_uint_lt(n, 70);
            cycle(&s);
        }
        read_back(&s, 1.0 * MIB);
        (void) cycles(&s, 2);
        had = cache_of(&s, 0);
        (void) cycles(&s, waits[i] - 3);
        ck_assert_double_eq(cache_of(&s, 0), had);
    }
}
END_TEST

/* ---- An exhausted host, with each of them ---- */

/* Page cache in use after 4 s, of those at rest; the balloon when its swap is used up as well, until the host has
 * recovered. */
START_TEST(test_exhausted)
{
    _cleanup_(scene_done) Scene s;
    double cache;

    scene_init(&s, files[_i], 22);
    for (int i = 0; i < GUESTS; i++) {
        keeps_its_size(&s, i);
        set(&s, i, GUEST_FIELD_COLD, 0);
        set(&s, i, GUEST_FIELD_FREE, 0);
        set(&s, i, GUEST_FIELD_STALL, _i == 2 ? 0 : 0.02); /* nothing is taken before the host is exhausted */
        set(&s, i, GUEST_FIELD_LEAST, 2.0 * GIB);
    }
    set(&s, 2, GUEST_FIELD_RESTED, 0);
    cache = cache_of(&s, 0);
    (void) cycles(&s, 60);
    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, 4.0 * GIB);
    (void) cycles(&s, 60);
    ck_assert_double_eq(taken_of(&s, 0, cache), 0);
    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, 0.5 * GIB);
    (void) cycles(&s, 4);
    ck_assert_double_eq(taken_of(&s, 0, cache), 0);
    (void) cycles(&s, 26);
    ck_assert_double_ge(taken_of(&s, 0, cache), 0.2 * GIB);
    ck_assert_double_ge(taken_of(&s, 1, cache), 0.2 * GIB);
    ck_assert_double_eq(taken_of(&s, 2, cache), 0);
    host_fields_set(&s.host, HOST_FIELD_SWAP_FREE, 5.0 * GIB); /* the critical threshold */
    (void) cycles(&s, 600);
    for (int i = 0; i < GUESTS; i++)
        ck_assert_double_eq(size_of(&s, i), FULL);
    host_fields_set(&s.host, HOST_FIELD_SWAP_FREE, 4.9 * GIB);
    (void) cycles(&s, 2);
    ck_assert_double_lt(fmin(size_of(&s, 0), size_of(&s, 2)), FULL);
    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, 11.0 * GIB);
    cycle(&s);
    cache = size_of(&s, 0);
    (void) cycles(&s, 100);
    ck_assert_double_ge(size_of(&s, 0), cache);
}
END_TEST

/* A cycle follows each answer at once. By the same stats no guest is asked for page cache twice. */
START_TEST(test_once_for_each_report)
{
    _cleanup_(scene_done) Scene s;

    scene_init(&s, files[_i], _i == 1 ? 60 : 15);
    keeps_its_size(&s, 0);
    s.lever_sec = 0;
    (void) cycles(&s, 70);
    for (unsigned second = 0; second < 10; second++) {
        set(&s, 0, GUEST_FIELD_AGE, 20.0 * USEC_PER_MSEC);
        cycle(&s);
        ck_assert_double_gt(asked(&s, 0), 0);
        for (unsigned n = 1; n < 3; n++) {
            s.now_usec -= 700 * USEC_PER_MSEC;
            set(&s, 0, GUEST_FIELD_AGE, (double) (20 + 300 * n) * USEC_PER_MSEC);
            cycle(&s);
            ck_assert_double_eq(asked(&s, 0), 0);
        }
        s.now_usec -= 600 * USEC_PER_MSEC;
    }
}
END_TEST

/* ---- shares.policy ---- */

/* Who has the fewest shares for what it holds hands back first; what was handed back doesn't count. */
START_TEST(test_shares_decide)
{
    static const struct {
        const char *what;
        double available, shares[GUESTS], handed_back[GUESTS]; /* GiB */
        unsigned rested[GUESTS];                               /* s */
        bool asks[GUESTS];
    } table[] = {
        {"fewest shares", 19.9, {1000, 500, 2000}, {}, {100, 100, 100}, {false, true, false}},
        {"who handed back holds less", 19.9, {1000, 1000, 1000}, {2, 2, 0}, {100, 100, 100}, {0, 0, true}},
        {"then the next", 19.7, {1000, 500, 2000}, {}, {100, 100, 100}, {true, true, false}},
        {"more than its part: younger cache", 19.9, {1000, 500, 2000}, {}, {3, 3, 3}, {false, true, false}},
        {"but not of a busy one", 19.9, {1000, 500, 2000}, {}, {100, 1, 100}, {true, false, false}},
        {"the others: old cache only", 18, {5000, 500, 5000}, {}, {3, 3, 100}, {false, true, true}},
        {"none between the thresholds", 22, {1000, 500, 2000}, {}, {100, 100, 100}, {}},
    };
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "shares.policy", table[_i].available);
    for (int i = 0; i < GUESTS; i++) {
        keeps_its_size(&s, i);
        set(&s, i, GUEST_FIELD_LEAST, 2.0 * GIB);
        set(&s, i, GUEST_FIELD_SHARES, table[_i].shares[i]);
        set(&s, i, GUEST_FIELD_FREE, table[_i].handed_back[i] * GIB);
        set(&s, i, GUEST_FIELD_RESTED, (double) (table[_i].rested[i] * USEC_PER_SEC));
    }
    cycle(&s);
    for (int i = 0; i < GUESTS; i++) {
        ck_assert_msg((asked(&s, i) > 0) == table[_i].asks[i], "%s: guest %d is asked for %g MiB",
                      table[_i].what, i, asked(&s, i) / MIB);
        ck_assert_double_le(asked(&s, i), 0.02 * FULL + 1);
        ck_assert_double_eq(size_of(&s, i), FULL);
    }
}
END_TEST

/* ---- Random hosts ---- */

static bool hands_back(const SnapshotGuest *g)
{
    return guest_fields_get(&g->fields, GUEST_FIELD_HANDS_BACK) != 0;
}

static void make_hands_back(Random *r, SnapshotGuest *g)
{
    double cache = guest_fields_get(&g->fields, GUEST_FIELD_CACHE);
    double idle = guest_fields_get(&g->fields, GUEST_FIELD_IDLE);

    if (g->source != GUEST_SOURCE_AGENT || one_in(r, 3))
        return;
    guest_fields_set(&g->fields, GUEST_FIELD_HANDS_BACK, true);
    guest_fields_set(&g->fields, GUEST_FIELD_REPORTING, true);
    if (!one_in(r, 8))
        guest_fields_set(&g->fields, GUEST_FIELD_FRAGMENTED, idle * random_share(r, 0, 1));
    if (!one_in(r, 8))
        guest_fields_set(&g->fields, GUEST_FIELD_COLD, cache * random_share(r, 0, 1));
    if (!one_in(r, 8))
        guest_fields_set(&g->fields, GUEST_FIELD_RESTED, (double) random_below(r, 120 * USEC_PER_SEC));
}

static const char *broken(const SnapshotGuest *g, const Decision *d, bool careful)
{
    double cache = guest_fields_get(&g->fields, GUEST_FIELD_CACHE);
    double idle = guest_fields_get(&g->fields, GUEST_FIELD_IDLE);
    double cold = guest_fields_get(&g->fields, GUEST_FIELD_COLD);

    if (!hands_back(g))
        return d->reclaim.line > 0 ? "it hands back, and its kernel can't" : NULL;
    if (d->line > 0 && d->wanted_bytes < g->sizes.standing_bytes)
        return "it is shrunk, and its kernel hands memory back";
    if (d->reclaim.line == 0)
        return NULL;
    if ((double) d->reclaim.wanted_bytes > idle + cache + 1)
        return "it is asked for more than it has";
    if (careful && (double) d->reclaim.wanted_bytes > idle + cold + 1)
        return "it is asked for page cache in use";
    if (!d->reclaim.because || strlen(d->reclaim.because) > 60)
        return "its reason is missing or too long";
    return NULL;
}

/* Not exhausted: only what costs nothing or little, and no balloon. */
START_TEST(test_random)
{
    static const GuardConfig config = GUARD_CONFIG_DEFAULT;
    _cleanup_(policy_freep) Policy *policy = load_policy("policy", files[_i]);
    unsigned asks = 0;

    for (uint64_t seed = first_seed(), end = seed + ROUNDS; seed < end; seed++) {
        Random r = random_seeded(seed);
        _cleanup_(plausible_done) Plausible w;
        _cleanup_(plan_done) Plan plan = {};

        plausible_world(&r, &w, policy, false, 3 * GIB + random_below(&r, 40 * GIB));
        for (size_t i = 0; i < w.s.n_guests; i++) {
            make_hands_back(&r, &w.guests[i]);
            plausible_history(&r, &w.guests[i], &w.keeps[i]);
            if (seed % 2)
                random_states(&r, policy, false, &w.keeps[i]);
        }
        ck_assert_int_eq(plan_make(&w.s, policy, &config, &plan), 0);
        ck_assert_uint_eq(plan.notes_total, 0);
        for (size_t i = 0; i < w.s.n_guests; i++) {
            const char *why = broken(&w.guests[i], &plan.decisions[i], _i == 0);

            ck_assert_msg(!why, "BALLAST_SEED=%" PRIu64 ", %s: guest %zu: %s: %s", seed, files[_i], i, why,
                          plan.decisions[i].reclaim.reason);
            asks += plan.decisions[i].reclaim.send;
        }
    }
    ck_assert_uint_ge(asks, ROUNDS / 10);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("policy-reclaim");

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_dense_half, 0, (int) ELEMENTSOF(halves));
    tcase_add_test(t, test_dense_stops);
    tcase_add_test(t, test_dense_compacts);
    tcase_add_test(t, test_careful_steps);
    tcase_add_loop_test(t, test_careful_with_cache_in_use, 0, 4);
    tcase_add_test(t, test_careful_holds);
    tcase_add_loop_test(t, test_exhausted, 0, (int) ELEMENTSOF(files));
    tcase_add_loop_test(t, test_once_for_each_report, 0, (int) ELEMENTSOF(files));
    tcase_add_loop_test(t, test_shares_decide, 0, 7);
    tcase_add_loop_test(t, test_random, 0, (int) ELEMENTSOF(files));
    return run_tests(t);
}
