/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the policies that take their time, or divide by shares, do in time: guests that get what they are
 * assigned at once, one cycle a second. (The default policy's situations are in test-balloon-policy, what
 * all must keep to in test-shipped-policies.) */

#include <math.h>
#include <string.h>

#include "base/units.h"
#include "policy/keep.h"
#include "tests/unit/run.h"
#include "tests/unit/shipped.h"

#define GUESTS 3
#define FULL   (10.0 * GIB)
#define STEP   (FULL / 100) /* of conservative and dense */

typedef struct Scene {
    Policy *policy;
    HostFields host;
    GuestFields guests[GUESTS];
    PolicyKeep keep, keeps[GUESTS];
    PolicyAssignment assignments[GUESTS]; /* of the last cycle */
    usec_t now_usec;
} Scene;

/* A host of 100 GiB: thresholds at 20, 5 and 25 GiB. Guests use 2 GiB of 10, 2 are free, 6 are page cache. */
static void scene_init(Scene *s, const char *file, double available)
{
    *s = (Scene){.policy = load_policy("policy", file), .now_usec = 3600 * USEC_PER_SEC};
    host_fields_set(&s->host, HOST_FIELD_TOTAL, 100.0 * GIB);
    host_fields_set(&s->host, HOST_FIELD_AVAILABLE, available * GIB);
    host_fields_set(&s->host, HOST_FIELD_PENDING, 0);
    ck_assert_int_eq(policy_keep_copy(&s->keep, true, &(PolicyKeep){}, s->policy, NULL), 0);
    for (int i = 0; i < GUESTS; i++) {
        GuestFields *g = &s->guests[i];

        ck_assert_int_eq(policy_keep_copy(&s->keeps[i], false, &(PolicyKeep){}, s->policy, NULL), 0);
        guest_fields_set_text(g, GUEST_FIELD_MODE, "auto");
        guest_fields_set_text(g, GUEST_FIELD_SOURCE, "agent");
        guest_fields_set(g, GUEST_FIELD_TARGET, FULL);
        guest_fields_set(g, GUEST_FIELD_CURRENT, FULL);
        guest_fields_set(g, GUEST_FIELD_FULL, FULL);
        guest_fields_set(g, GUEST_FIELD_MOST, FULL);
        guest_fields_set(g, GUEST_FIELD_LEAST,
                         FULL); /* only those of which a scene is have something to give */
        guest_fields_set(g, GUEST_FIELD_SHARES, 1000);
        guest_fields_set(g, GUEST_FIELD_FREE, 2.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_IDLE, 2.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_CACHE, 6.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_AVAILABLE, 8.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_LOW_WATERMARK, 0);
        guest_fields_set(g, GUEST_FIELD_STALL, 0);
        guest_fields_set(g, GUEST_FIELD_REFAULT_FILE, 0);
        guest_fields_set(g, GUEST_FIELD_SWAP_IN, 0);
        guest_fields_set(g, GUEST_FIELD_DISTRESS, false);
        guest_fields_set(g, GUEST_FIELD_MOVING, false);
    }
}

static void scene_done(Scene *s)
{
    policy_keep_done(&s->keep);
    for (int i = 0; i < GUESTS; i++)
        policy_keep_done(&s->keeps[i]);
    policy_free(s->policy);
}

static double size_of(const Scene *s, int i)
{
    return guest_fields_get(&s->guests[i], GUEST_FIELD_CURRENT);
}

/* A balloon takes free memory first. What is given is free. */
static void resize(GuestFields *g, double to)
{
    double change = to - guest_fields_get(g, GUEST_FIELD_CURRENT),
           free_bytes = guest_fields_get(g, GUEST_FIELD_FREE) + change;

    guest_fields_set(g, GUEST_FIELD_TARGET, to);
    guest_fields_set(g, GUEST_FIELD_CURRENT, to);
    guest_fields_set(g, GUEST_FIELD_FREE, fmax(0, free_bytes));
    guest_fields_set(g, GUEST_FIELD_IDLE, fmin(fmax(0, free_bytes), guest_fields_get(g, GUEST_FIELD_IDLE)));
    guest_fields_set(g, GUEST_FIELD_CACHE, guest_fields_get(g, GUEST_FIELD_CACHE) + fmin(0, free_bytes));
    guest_fields_set(g, GUEST_FIELD_AVAILABLE, guest_fields_get(g, GUEST_FIELD_AVAILABLE) + change);
}

static void cycle(Scene *s)
{
    static const char *const uuids[GUESTS] = {"a", "b", "c"};
    PolicyGuest guests[GUESTS];
    PolicyInput input = {.now_usec = s->now_usec,
                         .host = &s->host,
                         .history = &s->keep.history,
                         .state = s->keep.state,
                         .guests = guests,
                         .n_guests = GUESTS};
    double state[POLICY_STATE_MAX], guest_state[GUESTS * POLICY_STATE_MAX];
    PolicyOutput output = {
        .assignments = {[GUEST_CONTROL_TARGET] = s->assignments}, .state = state, .guest_state = guest_state};
    size_t n;

    host_fields_set(&s->host, HOST_FIELD_UPTIME, (double) s->now_usec);
    for (int i = 0; i < GUESTS; i++)
        guests[i] = (PolicyGuest){.uuid = uuids[i],
                                  .fields = &s->guests[i],
                                  .history = &s->keeps[i].history,
                                  .state = s->keeps[i].state};
    ck_assert_int_eq(policy_run(s->policy, &input, &output), 0);
    ck_assert_msg(output.notes_total == 0, "%u: %s", output.notes[0].line, output.notes[0].text);
    policy_keep_state(&s->keep, true, s->policy, state);
    (void) policy_states(s->policy, false, &n);
    for (int i = 0; i < GUESTS; i++) {
        policy_keep_state(&s->keeps[i], false, s->policy, guest_state + (size_t) i * n);
        series_set_add_guest(&s->keeps[i].history, s->now_usec, &s->guests[i]);
        if (s->assignments[i].line > 0)
            resize(&s->guests[i], s->assignments[i].value);
    }
    s->now_usec += USEC_PER_SEC;
}

/* How often guest 0 gave in so many seconds. */
static unsigned cycles(Scene *s, unsigned seconds)
{
    unsigned gave = 0;

    for (unsigned i = 0; i < seconds; i++) {
        double before = size_of(s, 0);

        cycle(s);
        gave += size_of(s, 0) < before;
    }
    return gave;
}

/* Until it gives; returns after how many seconds. */
static unsigned until_it_gives(Scene *s, unsigned most)
{
    unsigned n = 0;

    while (cycles(s, 1) == 0)
        ck_assert_uint_lt(++n, most);
    return n;
}

static void read_back(Scene *s, double bytes)
{
    guest_fields_set(&s->guests[0], GUEST_FIELD_REFAULT_FILE,
                     guest_fields_get(&s->guests[0], GUEST_FIELD_REFAULT_FILE) + bytes);
}

/* Guest 0 has page cache to give, and nothing free. */
static void has_cache_only(Scene *s)
{
    guest_fields_set(&s->guests[0], GUEST_FIELD_LEAST, 2.0 * GIB);
    guest_fields_set(&s->guests[0], GUEST_FIELD_FREE, 0);
    guest_fields_set(&s->guests[0], GUEST_FIELD_IDLE, 0);
    guest_fields_set(&s->guests[0], GUEST_FIELD_CACHE, 8.0 * GIB);
}

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

/* On a host with plenty, in proportion to how little it waits for memory. */
START_TEST(test_dense_pace)
{
    static const struct {
        double stall, least, most; /* percent of its size that it gives in 100 s */
    } table[] = {{0, 8, 11}, {0.00125, 6, 8.5}, {0.0025, 4, 6}, {0.005, 0, 0}, {0.05, 0, 0}};

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(scene_done) Scene s;
        double gave;

        scene_init(&s, "dense.policy", 60);
        guest_fields_set(&s.guests[0], GUEST_FIELD_LEAST, 2.0 * GIB);
        guest_fields_set(&s.guests[0], GUEST_FIELD_STALL, table[i].stall);
        (void) cycles(&s, 101);
        gave = 100 * (FULL - size_of(&s, 0)) / FULL;
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
    return run_tests(t);
}
