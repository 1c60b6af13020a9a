/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the default policy wants of guests that report their free memory: they keep their size, and their kernels hand
 * back fragments and page cache. */

#include "base/macro.h"
#include "tests/unit/policy-scene.h"

#define OUT  "reclaims page cache that the host has swapped out"
#define OLD  "reclaims page cache"
#define FRAG "compacts free memory that lies in fragments"

/* Of guest 0, of 10 GiB, 6 of them page cache. The thresholds are at 20, 5 and 25 GiB. Sizes in GiB. */
static const struct {
    const char *what;
    double available, cold, swapped, resident, fragmented;
    unsigned rested_sec;
    double reclaim; /* what is expected: 0: nothing */
    const char *because;
} rows[] = {
    {"a host with enough asks for nothing", 21, 6, 5, 10, 2, 3600, 0, NULL},
    {"nothing is swapped out: below the pressure threshold only fragments", 15, 6, 0, 10, 2, 3600, 2, FRAG},
    {"half of it is swapped out: so is half of its cache", 15, 6, 5, 10, 0, 2, 3, OUT},
    {"more than its fragments", 15, 6, 5, 10, 2, 2, 3 + 2, OUT}, /* 2 GiB are idle */
    {"no more than is cold", 15, 1, 5, 10, 0, 2, 1, OUT},
    {"hardly any of it", 15, 6, 0.05, 10, 0, 2, 0, NULL},
    {"it works", 15, 6, 5, 10, 2, 1, 0, NULL},
    {"below half of the pressure threshold: old cache, in steps", 9, 6, 0, 10, 0, 60, 10.0 / 32, OLD},
    {"cache that isn't old", 9, 6, 0, 10, 0, 59, 0, NULL},
    {"what is swapped out is more than a step", 9, 6, 5, 10, 0, 60, 3, OUT},
    {"what its QEMU holds isn't known", 15, 6, -1, -1, 0, 2, 0, NULL},
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

    /* Only a host that has nothing left for long takes what guests use. */
    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, 0.5 * GIB);
    ck_assert_uint_eq(cycles(&s, 30), 0);
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
    host_fields_set(&s.host, HOST_FIELD_SWAP_TOTAL, 1);
    keeps_its_size(&s, 0);
    s.lever_sec = 0;
    set(&s, GUEST_FIELD_REPORTING, true);
    set(&s, GUEST_FIELD_LEAST, 2.0 * GIB);
    ck_assert_uint_eq(cycles(&s, 5), 0);
    host_fields_set(&s.host, HOST_FIELD_SWAP_TOTAL, 0);
    ck_assert_uint_gt(cycles(&s, 5), 0);
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

int main(void)
{
    TCase *t = tcase_create("balloon-levers");

    tcase_add_loop_test(t, test_asked, 0, (int) ELEMENTSOF(rows));
    tcase_add_loop_test(t, test_keeps_its_size, 0, 2);
    tcase_add_loop_test(t, test_without_swap, 0, 4);
    tcase_add_test(t, test_exhausted);
    return run_tests(t);
}
