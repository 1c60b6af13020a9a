/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the default policy wants of guests that keep their size: those that report their free memory, whose
 * kernels hand back fragments and page cache, and those that are squeezed. */

#include "base/macro.h"
#include "tests/unit/policy-scene.h"

#define OUT  "reclaims page cache that the host has swapped out"
#define OLD  "hands back page cache"
#define FRAG "compacts free memory that lies in fragments"

/* Of guest 0, of 10 GiB, 6 of them page cache. The thresholds are at 20, 5 and 25 GiB. Sizes in GiB. */
static const struct {
    const char *what;
    double available, cold, swapped, resident, fragmented;
    unsigned rested_sec;
    double reclaim; /* what is expected: 0: nothing */
    const char *because;
} rows[] = {
    {"a host with enough asks for nothing", 21, 6, 0, 10, 2, 3600, 0, NULL},
    {"nothing is swapped out: below the pressure threshold only fragments", 15, 6, 0, 10, 2, 3600, 2, FRAG},
    {"half of it is swapped out: all of its cold cache", 15, 6, 5, 10, 0, 2, 6, OUT},
    {"more than its fragments", 15, 6, 5, 10, 2, 2, 6 + 2, OUT}, /* 2 GiB are idle */
    {"a noticeable part of it", 15, 6, 0.5, 10, 0, 2, 6, OUT},
    {"less than that", 15, 6, 0.49, 10, 0, 2, 0, NULL},
    {"no more than is cold", 15, 1, 5, 10, 0, 2, 1, OUT},
    {"hardly any of it", 15, 6, 0.05, 10, 0, 2, 0, NULL},
    {"it works", 15, 6, 5, 10, 2, 1, 0, NULL},
    {"below half of the pressure threshold: old cache, in steps", 9, 6, 0, 10, 0, 60, 10.0 / 32, OLD},
    {"cache that isn't old", 9, 6, 0, 10, 0, 59, 0, NULL},
    {"what is swapped out is more than a step", 9, 6, 5, 10, 0, 60, 6, OUT},
    {"what its QEMU holds isn't known", 15, 6, -1, -1, 0, 2, 0, NULL},
    {"the host isn't short, but would be if all came back", 24.9, 6, 5, 10, 2, 2, 6 + 2, OUT},
    {"then fragments, too", 24.9, 0, 5, 10, 2, 2, 2, FRAG},
    {"the host has room for all that it swapped out", 25, 6, 5, 10, 2, 2, 0, NULL},
};

static void set(Scene *s, GuestField f, double value)
{
    guest_fields_set(&s->guests[0], f, value);
}

START_TEST(test_asked)
{
    _cleanup_(scene_done) Scene s;
    const char *what = rows[_i].what;

    scene_init(&s, "balloon.policy", rows[_i].available);
    keeps_its_size(&s, 0);
    s.lever_sec = 0;
    set(&s, GUEST_FIELD_REPORTING, true);
    set(&s, GUEST_FIELD_LEAST, 2.0 * GIB);
    set(&s, GUEST_FIELD_IDLE, rows[_i].fragmented * GIB);
    set(&s, GUEST_FIELD_FRAGMENTED, rows[_i].fragmented * GIB);
    set(&s, GUEST_FIELD_COLD, rows[_i].cold * GIB);
    if (rows[_i].swapped >= 0) {
        set(&s, GUEST_FIELD_SWAPPED, rows[_i].swapped * GIB);
        set(&s, GUEST_FIELD_RESIDENT, rows[_i].resident * GIB);
    }
    set(&s, GUEST_FIELD_RESTED, (double) (rows[_i].rested_sec * USEC_PER_SEC));
    cycle(&s);
    ck_assert_msg(fabs(asked(&s, 0) - rows[_i].reclaim * GIB) < 1, "%s: %.3f GiB (%s)", what,
                  asked(&s, 0) / GIB, s.reclaims[0].line > 0 ? s.reclaims[0].because : "");
    if (rows[_i].because)
        ck_assert_msg(strcmp(s.reclaims[0].because, rows[_i].because) == 0, "%s: %s", what,
                      s.reclaims[0].because);
    ck_assert_double_eq(size_of(&s, 0), FULL);
}
END_TEST

/* Free page reporting needs some seconds for what a guest frees. Its balloon doesn't run after that, whether or not an
 * agent says that the guest can be asked. */
START_TEST(test_keeps_its_size)
{
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "balloon.policy", 10);
    set(&s, GUEST_FIELD_LEAST, 2.0 * GIB);
    set(&s, GUEST_FIELD_REPORTING, true);
    if (_i == 1)
        keeps_its_size(&s, 0);
    set(&s, GUEST_FIELD_IDLE, 2.0 * GIB);
    ck_assert_uint_eq(cycles(&s, 60), 0);

    /* Only a host that has neither memory nor swap left takes what guests use, however much it swaps in. */
    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, 0.5 * GIB);
    host_fields_set(&s.host, HOST_FIELD_SWAPPING, 100.0 * MIB);
    host_fields_set(&s.host, HOST_FIELD_SWAP_FREE, 5.0 * GIB);
    ck_assert_uint_eq(cycles(&s, 600), 0);
    host_fields_set(&s.host, HOST_FIELD_SWAP_FREE, 4.9 * GIB);
    ck_assert_uint_gt(cycles(&s, 5), 0);
}
END_TEST

/* Where there is no swap, the kernel kills when memory runs out: what guests use goes before that, whatever they report. */
START_TEST(test_without_swap)
{
    static const char *const files[] = {"balloon.policy", "conservative.policy", "dense.policy",
                                        "shares.policy"};
    _cleanup_(scene_done) Scene s;

    scene_init(&s, files[_i], 9); /* critical below 10 GiB then */
    host_fields_set(&s.host, HOST_FIELD_SWAP_TOTAL, 5.0 * GIB);
    keeps_its_size(&s, 0);
    s.lever_sec = 0;
    set(&s, GUEST_FIELD_REPORTING, true);
    set(&s, GUEST_FIELD_LEAST, 2.0 * GIB);
    ck_assert_uint_eq(cycles(&s, 5), 0);
    host_fields_set(&s.host, HOST_FIELD_SWAP_TOTAL, 0);
    ck_assert_uint_gt(cycles(&s, 5), 0);
}
END_TEST

/* Until the host is critical, a guest with free page reporting keeps its size there, too. */
START_TEST(test_without_swap_but_not_critical)
{
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "balloon.policy", 15);
    host_fields_set(&s.host, HOST_FIELD_SWAP_TOTAL, 0);
    keeps_its_size(&s, 0);
    s.lever_sec = 0;
    set(&s, GUEST_FIELD_REPORTING, true);
    set(&s, GUEST_FIELD_LEAST, 2.0 * GIB);
    cycle(&s);
    ck_assert_double_eq(size_of(&s, 0), FULL);
}
END_TEST

/* A host whose memory is all in use, and that doesn't read back what it swapped out, does well. */
START_TEST(test_exhausted)
{
    _cleanup_(scene_done) Scene s;
    double cache;

    scene_init(&s, "balloon.policy", 0.5);
    host_fields_set(&s.host, HOST_FIELD_SWAPPING, 0.9 * MIB);
    keeps_its_size(&s, 0);
    set(&s, GUEST_FIELD_REPORTING, true);
    set(&s, GUEST_FIELD_LEAST, 2.0 * GIB);
    set(&s, GUEST_FIELD_RESTED, 10.0 * USEC_PER_SEC);
    cache = cache_of(&s, 0);
    ck_assert_uint_eq(cycles(&s, 60), 0);
    ck_assert_double_eq(cache_of(&s, 0), cache);

    host_fields_set(&s.host, HOST_FIELD_SWAPPING, 10.0 * MIB);
    ck_assert_uint_eq(cycles(&s, 10), 0);
    ck_assert_double_lt(cache_of(&s, 0), cache);
    host_fields_set(&s.host, HOST_FIELD_SWAPPING, 0);
    ck_assert_uint_eq(cycles(&s, 6), 0);
    cache = cache_of(&s, 0);
    ck_assert_uint_eq(cycles(&s, 60), 0);
    ck_assert_double_eq(cache_of(&s, 0), cache);
}
END_TEST

/* ---- Squeezed ---- */

#define FREE    "hands back free memory"
#define SWAPS   "hands back what the host swaps out of free memory and cache"
#define UNKNOWN (-1.0)

static void set_or_not(GuestFields *g, GuestField f, double value)
{
    if (value >= 0)
        guest_fields_set(g, f, value);
}

/* Its balloon may be squeezed, or may hold memory. It has rested for long, and has 2 GiB of free memory. */
static void is_squeezable(Scene *s, int i)
{
    GuestFields *g = &s->guests[i];

    guest_fields_set(g, GUEST_FIELD_SQUEEZABLE, true);
    guest_fields_set(g, GUEST_FIELD_REPORTING, false);
    guest_fields_set(g, GUEST_FIELD_RECLAIM, 0);
    guest_fields_set(g, GUEST_FIELD_RECLAIMABLE, FULL);
    guest_fields_set(g, GUEST_FIELD_LEAST, 2.0 * GIB);
    guest_fields_set(g, GUEST_FIELD_RESTED, (double) (3600 * USEC_PER_SEC));
}

/* Of guest 0. A twentieth of it, 0.5 GiB, is worth a squeeze. Sizes in GiB. */
static const struct {
    const char *what;
    double available, idle, cold, swapped, rested_sec, reclaim;
    const char *because;
} squeezes[] = {
    {"a host with enough", 20, 2, 6, 0, 3600, 0, NULL},
    {"below the pressure threshold: free memory", 19.9, 2, 6, 0, 2, 2, FREE},
    {"just enough", 15, 0.7, 6, 0, 2, 0.7, FREE},
    {"a balloon would have to take more than twice as much that is in the way", 15, 0.65, 6, 0, 2, 0, NULL},
    {"too little", 15, 0.49, 6, 0, 2, 0, NULL},
    {"it works", 15, 2, 6, 0, 1.9, 0, NULL},
    {"whether it works isn't known", 15, 2, 6, 0, UNKNOWN, 2, FREE},
    {"what is swapped out isn't known", 15, 2, 6, UNKNOWN, 2, 2, FREE},

    {"half of it is swapped out: cold cache, too", 15, 2, 6, 5, 2, 2 + 6, SWAPS},
    {"the host isn't short, but would be if all came back", 24.9, 2, 6, 5, 2, 2 + 6, SWAPS},
    {"the host has room for all that it swapped out", 25, 2, 6, 5, 2, 0, NULL},
    {"a noticeable part is swapped out", 20.4, 2, 6, 0.5, 2, 2 + 6, SWAPS},
    {"less than that", 20.4, 2, 6, 0.49, 2, 0, NULL},
    {"less than that, and the host is short", 15, 2, 6, 0.49, 2, 2, FREE},
    {"swapped out, and it works", 24, 2, 6, 5, 1.9, 0, NULL},
    {"swapped out, and worth a squeeze together", 24, 0.2, 0.75, 5, 2, 0.95, SWAPS},
    {"swapped out, and not worth a squeeze", 24, 0.2, 0.29, 5, 2, 0, NULL},
    {"swapped out, and what is cold isn't known", 24, 2, UNKNOWN, 5, 2, 2, SWAPS},

    {"below half of the pressure threshold: all of its old cache", 9, 0, 6, 0, 60, 6, OLD},
    {"cache that isn't old", 9, 0, 6, 0, 59, 0, NULL},
    {"free memory is enough", 9, 2, 6, 0, 60, 2, FREE},
    {"free memory isn't enough", 7, 2, 6, 0, 60, 2 + 6, OLD},
    {"what is cold isn't known", 7, 2, UNKNOWN, 0, 60, 2, FREE},
};

/* Of guest 0, which hands back 8 GiB. */
START_TEST(test_not_squeezed_where_its_balloon_would_wait)
{
    static const struct {
        const char *what;
        double psi, swapping_mib, swapped; /* MiB per second; GiB */
        bool asked;
    } table[] = {
        {"it waits for the disk", 0.3, 4.7, 4.1, false},
        {"as much comes as a slow disk has, and no more", 0.3, 4.9, 4.1, true},
        {"tasks hardly wait", 0.2, 0.1, 4.1, true},
        {"most of it is in memory", 0.3, 0.1, 4, true},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(scene_done) Scene s;

        scene_init(&s, "balloon.policy", 15);
        is_squeezable(&s, 0);
        set(&s, GUEST_FIELD_IDLE, 2.0 * GIB);
        set(&s, GUEST_FIELD_COLD, 6.0 * GIB);
        set(&s, GUEST_FIELD_RESIDENT, 10.0 * GIB);
        set(&s, GUEST_FIELD_SWAPPED, table[i].swapped * GIB);
        host_fields_set(&s.host, HOST_FIELD_PSI_MEMORY_SOME, table[i].psi);
        host_fields_set(&s.host, HOST_FIELD_SWAPPING, table[i].swapping_mib * MIB);
        cycle(&s);
        ck_assert_msg((asked(&s, 0) > 0) == table[i].asked, "%s", table[i].what);
    }
}
END_TEST

START_TEST(test_squeezed)
{
    _cleanup_(scene_done) Scene s;
    const char *what = squeezes[_i].what;
    GuestFields *g = &s.guests[0];

    scene_init(&s, "balloon.policy", squeezes[_i].available);
    is_squeezable(&s, 0);
    set(&s, GUEST_FIELD_IDLE, squeezes[_i].idle * GIB);
    set_or_not(g, GUEST_FIELD_COLD, squeezes[_i].cold * GIB);
    set_or_not(g, GUEST_FIELD_SWAPPED, squeezes[_i].swapped * GIB);
    set_or_not(g, GUEST_FIELD_RESIDENT, 10.0 * GIB);
    if (squeezes[_i].rested_sec >= 0)
        set(&s, GUEST_FIELD_RESTED, squeezes[_i].rested_sec * (double) USEC_PER_SEC);
    else
        field_set_remove(&g->present, GUEST_FIELD_RESTED);
    cycle(&s);
    ck_assert_msg(fabs(asked(&s, 0) - squeezes[_i].reclaim * GIB) < 1, "%s: %.3f GiB (%s)", what,
                  asked(&s, 0) / GIB, s.reclaims[0].line > 0 ? s.reclaims[0].because : "");
    if (squeezes[_i].because)
        ck_assert_msg(strcmp(s.reclaims[0].because, squeezes[_i].because) == 0, "%s: %s", what,
                      s.reclaims[0].because);
    ck_assert_double_eq(size_of(&s, 0), FULL);
    for (int i = 1; i < GUESTS; i++)
        ck_assert_double_eq(asked(&s, i), 0);
}
END_TEST

/* Guests 0, 1 and 2 have 1, 3 and 2 GiB of free memory. No more of them are asked than the host needs. */
START_TEST(test_most_idle_first)
{
    static const struct {
        const char *what;
        double available, pending, swapped; /* GiB; the part of guest 1 that is swapped out */
        bool is_asked[GUESTS];
    } table[] = {
        {"one is enough", 17, 0, 0, {false, true, false}},
        {"two are", 15.5, 0, 0, {false, true, true}},
        {"all", 14, 0, 0, {true, true, true}},
        {"what is on its way counts", 14, 1.5, 0, {false, true, true}},
        {"enough is on its way", 14, 6, 0, {false, false, false}},
        /* Less than what is asked for that reason. */
        {"of what is swapped out the host gets nothing", 17, 0, 0.4, {false, true, true}},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(scene_done) Scene s;
        static const double idle[GUESTS] = {1, 3, 2};

        scene_init(&s, "balloon.policy", table[i].available);
        host_fields_set(&s.host, HOST_FIELD_PENDING, table[i].pending * GIB);
        for (int g = 0; g < GUESTS; g++) {
            is_squeezable(&s, g);
            guest_fields_set(&s.guests[g], GUEST_FIELD_IDLE, idle[g] * GIB);
            guest_fields_set(&s.guests[g], GUEST_FIELD_RESIDENT, GIB);
        }
        guest_fields_set(&s.guests[1], GUEST_FIELD_SWAPPED, table[i].swapped * GIB);
        cycle(&s);
        for (int g = 0; g < GUESTS; g++)
            ck_assert_msg(asked(&s, g) == (table[i].is_asked[g] ? idle[g] * GIB : 0),
                          "%s: guest %d: %.3f GiB", table[i].what, g, asked(&s, g) / GIB);
    }
}
END_TEST

/* Guests at work, all with free page reporting and swap, on a host that has nothing left, or little. For each guest the
 * place in the order in which they shrink; 0: it keeps its size. */
START_TEST(test_one_after_the_other_swaps_where_guests_compete)
{
    static const struct {
        const char *what;
        double available;                    /* GiB */
        double kib[GUESTS];                  /* per second that the host reads back for each */
        double shares[GUESTS], swap[GUESTS]; /* swap_free in GiB */
        unsigned place[GUESTS];
    } table[] = {
        {"fewest shares first, and not the favoured",
         0.5,
         {100, 100, 100},
         {1000, 500, 10000},
         {4, 4, 4},
         {2, 1, 0}},
        {"most of them", 0.5, {100, 0, 100}, {1000, 2000, 500}, {4, 4, 4}, {2, 0, 1}},
        {"one waits, and the others have enough", 0.5, {100, 0, 0}, {1000, 500, 10000}, {4, 4, 4}, {}},
        {"the host reads hardly anything back", 0.5, {19, 19, 19}, {1000, 500, 10000}, {4, 4, 4}, {}},
        {"a guest that can't swap isn't chosen",
         0.5,
         {100, 100, 100},
         {1000, 500, 10000},
         {4, 0, 4},
         {1, 0, 2}},
        {"the host has something left", 1.5, {100, 100, 100}, {1000, 500, 10000}, {4, 4, 4}, {}},
    };
    double seen[GUESTS] = {};
    _cleanup_(scene_done) Scene s;
    unsigned place = 0, last = 0;

    scene_init(&s, "balloon.policy", table[_i].available);
    host_fields_set(&s.host, HOST_FIELD_SWAPPING, 10.0 * MIB);
    for (int i = 0; i < GUESTS; i++) {
        GuestFields *g = &s.guests[i];

        keeps_its_size(&s, i);
        guest_fields_set(g, GUEST_FIELD_REPORTING, true);
        guest_fields_set(g, GUEST_FIELD_RECLAIMABLE, 0);
        guest_fields_set(g, GUEST_FIELD_RESTED, 0);
        guest_fields_set(g, GUEST_FIELD_LEAST, 2.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_RSS, 8.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_SWAPPING, table[_i].kib[i] * KIB);
        guest_fields_set(g, GUEST_FIELD_SHARES, table[_i].shares[i]);
        guest_fields_set(g, GUEST_FIELD_SWAP_FREE, table[_i].swap[i] * GIB);
    }
    for (unsigned second = 0; second < 60; second++) {
        cycle(&s);
        for (int i = 0; i < GUESTS; i++) {
            if (size_of(&s, i) == FULL || seen[i] > 0)
                continue;
            /* At once as far as it may, and no two within 10 s: the host shows in the meantime whether that is enough. */
            ck_assert_double_eq(size_of(&s, i), 2.0 * GIB);
            ck_assert_msg(second >= 10 && second >= last + 10, "%s: guest %d after %u s", table[_i].what, i,
                          second);
            seen[i] = ++place;
            last = second;
        }
    }
    for (int i = 0; i < GUESTS; i++)
        ck_assert_msg(seen[i] == table[_i].place[i], "%s: guest %d shrinks as number %g", table[_i].what, i,
                      seen[i]);
    /* When the host has plenty, all have their size back. */
    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, 60.0 * GIB);
    host_fields_set(&s.host, HOST_FIELD_SWAPPING, 0);
    cycle(&s);
    for (int i = 0; i < GUESTS; i++)
        ck_assert_double_eq(size_of(&s, i), FULL);
}
END_TEST

/* Its balloon holds nothing, whether it is squeezed or works, until the host has nothing left for long. */
START_TEST(test_squeezable_keeps_its_size)
{
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "balloon.policy", 10);
    is_squeezable(&s, 0);
    if (_i == 1)
        set(&s, GUEST_FIELD_RESTED, 0);
    ck_assert_uint_eq(cycles(&s, 60), 0);
    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, 3.0 * GIB); /* critical */
    ck_assert_uint_eq(cycles(&s, 60), 0);
    set(&s, GUEST_FIELD_RECLAIMABLE, 0); /* what it hands back would count */
    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, 0.5 * GIB);
    ck_assert_uint_eq(cycles(&s, 30), 0);
    ck_assert_uint_gt(cycles(&s, 5), 0);
}
END_TEST

/* Where it is in vain, or the host has no swap, balloons hold memory. */
START_TEST(test_holds_instead)
{
    _cleanup_(scene_done) Scene s;

    scene_init(&s, "balloon.policy", 15);
    is_squeezable(&s, 0);
    if (_i == 0)
        set(&s, GUEST_FIELD_SQUEEZABLE, false);
    else if (_i == 1)
        field_set_remove(&s.guests[0].present, GUEST_FIELD_SQUEEZABLE);
    else
        host_fields_set(&s.host, HOST_FIELD_SWAP_TOTAL, 0);
    cycle(&s);
    ck_assert_double_eq(asked(&s, 0), 0);
    ck_assert_double_le(size_of(&s, 0), FULL - 2.0 * GIB); /* its free memory, at least */
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("balloon-levers");

    tcase_add_loop_test(t, test_asked, 0, (int) ELEMENTSOF(rows));
    tcase_add_loop_test(t, test_keeps_its_size, 0, 2);
    tcase_add_loop_test(t, test_without_swap, 0, 4);
    tcase_add_test(t, test_without_swap_but_not_critical);
    tcase_add_test(t, test_exhausted);
    tcase_add_loop_test(t, test_squeezed, 0, (int) ELEMENTSOF(squeezes));
    tcase_add_test(t, test_not_squeezed_where_its_balloon_would_wait);
    tcase_add_test(t, test_most_idle_first);
    tcase_add_loop_test(t, test_one_after_the_other_swaps_where_guests_compete, 0, 6);
    tcase_add_loop_test(t, test_squeezable_keeps_its_size, 0, 2);
    tcase_add_loop_test(t, test_holds_instead, 0, 3);
    return run_tests(t);
}
