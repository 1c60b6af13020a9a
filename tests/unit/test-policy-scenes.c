/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the policies that take their time, or divide by shares, do in time: guests that get what they are
 * assigned at once, one cycle a second. (The default policy's situations are in test-balloon-policy, what
 * all must keep to in test-shipped-policies.) */

#include "tests/unit/policy-scene.h"

#define STEP (FULL / 100) /* of conservative */

/* ---- conservative.policy ---- */

START_TEST(test_careful_steps)
{
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "conservative.policy", 15);
    has_cache_only(&s);
    ck_assert_uint_eq(cycles(&s, 60), 0);
    ck_assert_uint_le(until_it_gives(&s, 5), 2);
    ck_assert_double_eq_tol(size_of(&s, 0), FULL - STEP, 1);
    ck_assert_uint_eq(cycles(&s, 59), 0);
    ck_assert_uint_eq(cycles(&s, 300), 5);
    ck_assert_double_eq_tol(size_of(&s, 0), FULL - 6 * STEP, 1);
}
END_TEST

/* Free memory is given at once, also by a guest of which it isn't known whether it misses cache. */
START_TEST(test_careful_free_memory)
{
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "conservative.policy", 19);
    guest_fields_set(&s.guests[0], GUEST_FIELD_LEAST, 2.0 * GIB);
    field_set_remove(&s.guests[0].present, GUEST_FIELD_REFAULT_FILE);
    field_set_remove(&s.guests[0].present, GUEST_FIELD_STALL);
    ck_assert_uint_eq(cycles(&s, 1), 1);
    ck_assert_double_eq_tol(size_of(&s, 0), FULL - 1.0 * GIB, 1);
}
END_TEST

/* No page cache is taken of a guest that reads some back, waits for memory, or has no such stats. */
START_TEST(test_careful_with_cache_in_use)
{
    for (int why = 0; why < 3; why++) {
        _cleanup_(scene_done) Scene s;

        scene_init(&s, "conservative.policy", 15);
        has_cache_only(&s);
        if (why == 1)
            guest_fields_set(&s.guests[0], GUEST_FIELD_STALL, 0.002);
        if (why == 2)
            field_set_remove(&s.guests[0].present, GUEST_FIELD_REFAULT_FILE);
        for (int i = 0; i < 300; i++) {
            if (why == 0)
                read_back(&s, 4096);
            ck_assert_uint_eq(cycles(&s, 1), 0);
        }
        /* But where the host would swap otherwise. */
        host_fields_set(&s.host, HOST_FIELD_AVAILABLE, 4.0 * GIB);
        ck_assert_uint_eq(cycles(&s, 1), 1);
    }
}
END_TEST

/* One for which a hundredth is too little to be worth a move gives the smallest that is. */
START_TEST(test_careful_with_a_small_guest)
{
    _cleanup_(scene_done) Scene s;
    GuestFields *g = &s.guests[0];

    scene_init(&s, "conservative.policy", 15);
    has_cache_only(&s);
    guest_fields_set(g, GUEST_FIELD_FULL, 256.0 * MIB);
    guest_fields_set(g, GUEST_FIELD_MOST, 256.0 * MIB);
    guest_fields_set(g, GUEST_FIELD_LEAST, 64.0 * MIB);
    guest_fields_set(g, GUEST_FIELD_TARGET, 256.0 * MIB);
    guest_fields_set(g, GUEST_FIELD_CURRENT, 256.0 * MIB);
    guest_fields_set(g, GUEST_FIELD_CACHE, 150.0 * MIB);
    guest_fields_set(g, GUEST_FIELD_AVAILABLE, 150.0 * MIB);
    ck_assert_uint_eq(cycles(&s, 60), 0);
    (void) until_it_gives(&s, 5);
    ck_assert_double_eq_tol(size_of(&s, 0), 251.0 * MIB, 1);
}
END_TEST

START_TEST(test_careful_gives_back)
{
    static const unsigned waits[] = {300, 600, 1200};
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "conservative.policy", 15);
    has_cache_only(&s);
    for (size_t i = 0; i < ELEMENTSOF(waits); i++) {
        double had;

        (void) until_it_gives(&s, 100);
        had = size_of(&s, 0);
        read_back(&s, 1.0 * MIB);
        (void) cycles(&s, 1);
        ck_assert_double_gt(size_of(&s, 0), had);
        /* It uses that memory as cache again. */
        guest_fields_set(&s.guests[0], GUEST_FIELD_CACHE,
                         guest_fields_get(&s.guests[0], GUEST_FIELD_CACHE) +
                             guest_fields_get(&s.guests[0], GUEST_FIELD_FREE));
        guest_fields_set(&s.guests[0], GUEST_FIELD_FREE, 0);
        ck_assert_uint_eq(cycles(&s, waits[i] - 2), 0);
    }
}
END_TEST

/* ---- dense.policy ---- */

/* On a host with plenty, in proportion to how little it waits for memory: nine times in 100 s, the first time after
 * 10 s. */
START_TEST(test_dense_pace)
{
    static const struct {
        double stall, least, most; /* percent of what may be cold that it gives in 100 s */
    } table[] = {{0, 42, 46}, {0.00125, 32, 39}, {0.0025, 20, 28}, {0.005, 0, 0}, {0.05, 0, 0}};

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(scene_done) Scene s;
        double gave;

        scene_init(&s, "dense.policy", 60);
        guest_fields_set(&s.guests[0], GUEST_FIELD_LEAST, 2.0 * GIB);
        guest_fields_set(&s.guests[0], GUEST_FIELD_STALL, table[i].stall);
        (void) cycles(&s, 101);
        gave = 100 * (FULL - size_of(&s, 0)) / (8.0 * GIB);
        ck_assert_msg(gave >= table[i].least && gave <= table[i].most, "at %g %%: %g %%",
                      100 * table[i].stall, gave);
    }
}
END_TEST

/* It keeps a fifth available, stays there while there is plenty, and gets back when it uses that. */
START_TEST(test_dense_stays_and_gives_back)
{
    _cleanup_(scene_done) Scene s;
    double size;

    scene_init(&s, "dense.policy", 60);
    guest_fields_set(&s.guests[0], GUEST_FIELD_LEAST, 1.0 * GIB);
    (void) cycles(&s, 3600);
    size = size_of(&s, 0);
    ck_assert_double_ge(guest_fields_get(&s.guests[0], GUEST_FIELD_AVAILABLE), 0.2 * size - 1);
    ck_assert_double_le(guest_fields_get(&s.guests[0], GUEST_FIELD_AVAILABLE), 0.25 * size);
    (void) cycles(&s, 3600);
    ck_assert_double_eq_tol(size_of(&s, 0), size, 1);
    guest_fields_set(&s.guests[0], GUEST_FIELD_AVAILABLE, 0.05 * size);
    (void) cycles(&s, 1);
    ck_assert_double_ge(size_of(&s, 0), size + 0.05 * FULL - 1);
}
END_TEST

/* Guests that have little left, on a host that is short: gifts leave the host at least half-way between its
 * thresholds (at 12.5 GiB), wait for the stats of earlier ones, and aren't taken back at once. Otherwise the
 * same memory was given and taken every other second. */
START_TEST(test_dense_has_little_left)
{
    static const struct {
        double available, got; /* GiB */
        bool moving;
    } table[] = {{14, 0.5, false}, {12.8, 0.3, false}, {12.4, 0, false}, {6, 0, false}, {14, 0, true}};

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(scene_done) Scene s;
        double had = 5.0 * GIB;

        scene_init(&s, "dense.policy", table[i].available);
        has_cache_only(&s);
        resize(&s.guests[0], had);
        guest_fields_set(&s.guests[0], GUEST_FIELD_AVAILABLE, 0.4 * GIB);
        guest_fields_set(&s.guests[0], GUEST_FIELD_MOVING, table[i].moving);
        (void) cycles(&s, 1);
        ck_assert_double_eq_tol(size_of(&s, 0), had + table[i].got * GIB, 1);
        /* It turns out to have more than it was thought. */
        guest_fields_set(&s.guests[0], GUEST_FIELD_AVAILABLE, 3.0 * GIB);
        guest_fields_set(&s.guests[0], GUEST_FIELD_FREE, 2.0 * GIB);
        guest_fields_set(&s.guests[0], GUEST_FIELD_IDLE, 2.0 * GIB);
        guest_fields_set(&s.guests[0], GUEST_FIELD_CACHE, 0);
        guest_fields_set(&s.guests[0], GUEST_FIELD_MOVING, false);
        ck_assert_uint_eq(cycles(&s, 1) > 0, table[i].got == 0);
    }
}
END_TEST

/* It gets back the cache that it misses, and is asked again later and later. */
START_TEST(test_dense_holds)
{
    static const unsigned holds[] = {60, 120, 240, 480};
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "dense.policy", 60);
    has_cache_only(&s);
    for (size_t i = 0; i < ELEMENTSOF(holds); i++) {
        double had;

        (void) until_it_gives(&s, 30);
        had = size_of(&s, 0);
        read_back(&s, 400.0 * MIB);
        (void) cycles(&s, 1);
        ck_assert_double_gt(size_of(&s, 0), had);
        guest_fields_set(&s.guests[0], GUEST_FIELD_CACHE,
                         guest_fields_get(&s.guests[0], GUEST_FIELD_CACHE) +
                             guest_fields_get(&s.guests[0], GUEST_FIELD_FREE));
        guest_fields_set(&s.guests[0], GUEST_FIELD_FREE, 0);
        ck_assert_uint_eq(cycles(&s, holds[i] - 2), 0);
    }
}
END_TEST

/* Page cache isn't asked for before the host needs it if it isn't known whether the guest misses it. */
START_TEST(test_dense_agentless)
{
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "dense.policy", 60);
    guest_fields_set(&s.guests[0], GUEST_FIELD_LEAST, 2.0 * GIB);
    guest_fields_set_text(&s.guests[0], GUEST_FIELD_SOURCE, "libvirt");
    field_set_remove(&s.guests[0].present, GUEST_FIELD_REFAULT_FILE);
    field_set_remove(&s.guests[0].present, GUEST_FIELD_STALL);
    (void) cycles(&s, 3600);
    ck_assert_double_ge(size_of(&s, 0), FULL - 2.0 * GIB - 1); /* what was free */
    ck_assert_double_le(size_of(&s, 0), FULL - 1.8 * GIB);
}
END_TEST

/* ---- shares.policy ---- */

/* Worked out by hand. Sizes in GiB; all have 10 at full, and a guest is charged for its size and three times
 * what it has available. What all are charged for, less four times what the host lacks, is divided by
 * shares. */
START_TEST(test_shares)
{
    static const struct {
        const char *what;
        double available; /* of the host */
        struct {
            double shares, size, available, target;
        } guests[GUESTS];
    } table[] = {
        /* 34 each, 102 in all; 98 to be divided: 24.5, 49, 24.5. The first has 9.5 more than that, so could
         * give 2.375, and gives all that is needed. */
        {"fewest shares for what it has", 19, {{1000, 10, 8, 9}, {2000, 10, 8, 10}, {1000, 10, 8, 10}}},
        /* 86: 21.5, 43, 21.5. The first has 12.5 more: 3.125. */
        {"and no more than what it has above its part",
         16,
         {{1000, 10, 8, 6.875}, {2000, 10, 8, 10}, {1000, 10, 8, 9.125}}},
        {"the idle one of equals", 19, {{1000, 10, 4, 10}, {1000, 10, 8, 9}, {1000, 10, 4, 10}}},
        /* 16 for 500 is more than 34 for 1500. */
        {"unless its shares outweigh the tax",
         19.5,
         {{500, 10, 4, 9.5}, {1500, 10, 8, 10}, {1500, 10, 8, 10}}},
        {"between the thresholds nothing moves", 22, {{1, 10, 8, 10}, {2000, 5, 3, 5}, {1000, 10, 8, 10}}},
        /* 14 each, 42 and 4 for 1 GiB of plenty: 11.5, 23, 11.5. The second gets 5 % for its part, and 5 % as
         * the one with most shares for what it has. */
        {"who has less than its part gets first", 26, {{1000, 5, 3, 5}, {2000, 5, 3, 6}, {1000, 5, 3, 5}}},
    };
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "shares.policy", table[_i].available);
    for (int i = 0; i < GUESTS; i++) {
        GuestFields *g = &s.guests[i];

        guest_fields_set(g, GUEST_FIELD_SHARES, table[_i].guests[i].shares);
        guest_fields_set(g, GUEST_FIELD_LEAST, 2.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_TARGET, table[_i].guests[i].size * GIB);
        guest_fields_set(g, GUEST_FIELD_CURRENT, table[_i].guests[i].size * GIB);
        guest_fields_set(g, GUEST_FIELD_AVAILABLE, table[_i].guests[i].available * GIB);
        guest_fields_set(g, GUEST_FIELD_FREE, table[_i].guests[i].available * GIB);
        guest_fields_set(g, GUEST_FIELD_IDLE, table[_i].guests[i].available * GIB);
        guest_fields_set(g, GUEST_FIELD_CACHE, 0);
    }
    cycle(&s);
    for (int i = 0; i < GUESTS; i++)
        ck_assert_msg(fabs(size_of(&s, i) / GIB - table[_i].guests[i].target) < 1e-6, "%s: guest %d: %g GiB",
                      table[_i].what, i, size_of(&s, i) / GIB);
}
END_TEST

/* All tasks of the host wait for a part of the time; so many have to reclaim memory in each second. Returns how often
 * guest 0 gave. */
static unsigned waits_for(Scene *s, double psi, double stalls, unsigned seconds)
{
    unsigned gave = 0;

    for (unsigned i = 0; i < seconds; i++) {
        host_fields_set(&s->host, HOST_FIELD_PSI_MEMORY_FULL, psi);
        host_fields_set(&s->host, HOST_FIELD_ALLOC_STALLS,
                        host_fields_get(&s->host, HOST_FIELD_ALLOC_STALLS) + stalls);
        gave += cycles(s, 1);
    }
    return gave;
}

/* It has half of its memory available, so only what costs its guests nothing is taken: no page cache. */
START_TEST(test_c_a_host_that_is_held_up_gets_free_memory)
{
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "balloon.policy", 50);
    guest_fields_set(&s.guests[0], GUEST_FIELD_LEAST, 2.0 * GIB);
    ck_assert_uint_eq(waits_for(&s, 0.4, 50, 20), 0);
    ck_assert_uint_gt(waits_for(&s, 0.4, 50, 3), 0);
    ck_assert_ptr_nonnull(strstr(s.assignments[0].because, "tasks of the host wait for memory"));
    (void) waits_for(&s, 0.4, 50, 100);
    ck_assert_double_eq_tol(size_of(&s, 0), FULL - 2.0 * GIB, 1);
    ck_assert_double_eq(cache_of(&s, 0), 6.0 * GIB);

    /* It keeps that for a while, or it would soon be held up again. */
    (void) waits_for(&s, 0, 0, 298);
    ck_assert_double_eq_tol(size_of(&s, 0), FULL - 2.0 * GIB, 1);
    (void) waits_for(&s, 0, 0, 5);
    ck_assert_double_eq(size_of(&s, 0), FULL);
}
END_TEST

START_TEST(test_c_guests_that_keep_their_size_hand_back_free_memory)
{
    for (int squeezed = 0; squeezed <= 1; squeezed++) {
        _cleanup_(scene_done) Scene s;

        scene_init(&s, "balloon.policy", 50);
        keeps_its_size(&s, 0);
        guest_fields_set(&s.guests[0], GUEST_FIELD_REPORTING, !squeezed);
        guest_fields_set(&s.guests[0], GUEST_FIELD_HANDS_BACK, !squeezed);
        guest_fields_set(&s.guests[0], GUEST_FIELD_SQUEEZABLE, squeezed);
        guest_fields_set(&s.guests[0], GUEST_FIELD_IDLE, 2.0 * GIB);
        guest_fields_set(&s.guests[0], GUEST_FIELD_FRAGMENTED, 1.0 * GIB);
        s.lever_sec = 0;
        ck_assert_uint_eq(waits_for(&s, 0.4, 50, 20), 0);
        ck_assert_double_eq(asked(&s, 0), 0);
        (void) waits_for(&s, 0.4, 50, 3);
        ck_assert_double_eq(asked(&s, 0), squeezed ? 2.0 * GIB : 1.0 * GIB);
        ck_assert_double_eq(size_of(&s, 0), FULL);
    }
}
END_TEST

/* Short waits, one sign without the other (tasks at the limits of their containers wait, too), or no such stats. */
START_TEST(test_c_a_host_that_is_not_held_up_gets_nothing)
{
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "balloon.policy", 50);
    guest_fields_set(&s.guests[0], GUEST_FIELD_LEAST, 2.0 * GIB);
    for (int i = 0; i < 20; i++) {
        ck_assert_uint_eq(waits_for(&s, 0.4, 50, 15), 0);
        ck_assert_uint_eq(waits_for(&s, 0, 0, 5), 0);
    }
    ck_assert_uint_eq(waits_for(&s, 0.4, 0, 300), 0);
    ck_assert_uint_eq(waits_for(&s, 0.4, 9, 300), 0);
    ck_assert_uint_eq(waits_for(&s, 0.05, 50, 300), 0);
    field_set_remove(&s.host.present, HOST_FIELD_PSI_MEMORY_FULL);
    field_set_remove(&s.host.present, HOST_FIELD_ALLOC_STALLS);
    ck_assert_uint_eq(cycles(&s, 300), 0);
}
END_TEST

/* A host that is short of memory is treated as before, however long its tasks wait. */
START_TEST(test_c_below_the_pressure_threshold_waits_change_nothing)
{
    static const double available[] = {19.9, 12, 4, 0.5};

    for (size_t i = 0; i < ELEMENTSOF(available); i++) {
        _cleanup_(scene_done) Scene calm, waits;

        scene_init(&calm, "balloon.policy", available[i]);
        scene_init(&waits, "balloon.policy", available[i]);
        guest_fields_set(&calm.guests[0], GUEST_FIELD_LEAST, 2.0 * GIB);
        guest_fields_set(&waits.guests[0], GUEST_FIELD_LEAST, 2.0 * GIB);
        for (int second = 0; second < 60; second++) {
            (void) waits_for(&calm, 0, 0, 1);
            (void) waits_for(&waits, 0.6, 500, 1);
            ck_assert_double_eq(size_of(&waits, 0), size_of(&calm, 0));
            ck_assert_uint_eq(waits.assignments[0].line, calm.assignments[0].line);
        }
        /* And it gets memory back at once. */
        host_fields_set(&calm.host, HOST_FIELD_AVAILABLE, 60.0 * GIB);
        host_fields_set(&waits.host, HOST_FIELD_AVAILABLE, 60.0 * GIB);
        (void) waits_for(&calm, 0, 0, 1);
        (void) waits_for(&waits, 0.6, 500, 1);
        ck_assert_double_eq(size_of(&waits, 0), FULL);
        ck_assert_double_eq(size_of(&calm, 0), FULL);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("policy-scenes");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_careful_steps);
    tcase_add_test(t, test_careful_free_memory);
    tcase_add_test(t, test_careful_with_cache_in_use);
    tcase_add_test(t, test_careful_with_a_small_guest);
    tcase_add_test(t, test_careful_gives_back);
    tcase_add_test(t, test_dense_pace);
    tcase_add_test(t, test_dense_stays_and_gives_back);
    tcase_add_test(t, test_dense_has_little_left);
    tcase_add_test(t, test_dense_holds);
    tcase_add_test(t, test_dense_agentless);
    tcase_add_loop_test(t, test_shares, 0, 6);
    tcase_add_test(t, test_c_a_host_that_is_held_up_gets_free_memory);
    tcase_add_test(t, test_c_guests_that_keep_their_size_hand_back_free_memory);
    tcase_add_test(t, test_c_a_host_that_is_not_held_up_gets_nothing);
    tcase_add_test(t, test_c_below_the_pressure_threshold_waits_change_nothing);
    return run_tests(t);
}
