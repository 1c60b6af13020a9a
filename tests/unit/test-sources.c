/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which of the two that speak of a guest is believed, and what of it is kept. */

#include "base/units.h"
#include "host-agent/guest/sources.h"
#include "tests/unit/clock.h"
#include "tests/unit/run.h"

#define SEC USEC_PER_SEC

static void report(Sources *s, uint64_t free_bytes)
{
    Report r = {};

    report_set(&r, REPORT_MEM_TOTAL, 64 * GIB);
    report_set(&r, REPORT_MEM_FREE, free_bytes);
    sources_report(s, &r, clock_usec);
}

#define WALL_SEC UINT64_C(1800000000)

static void begin(void)
{
    clock_usec = 100000 * SEC;
    clock_wall_usec = WALL_SEC * SEC;
}

/* Both clocks go on. */
static void wait_for(usec_t usec)
{
    clock_usec += usec;
    clock_wall_usec += usec;
}

static uint64_t wall_sec(void)
{
    return clock_wall_usec / SEC;
}

/* As the driver said at last_update_sec. Returns whether the guest answered since the last ones. */
static bool stats(Sources *s, uint64_t free_bytes, uint64_t last_update_sec)
{
    VirtStats v = {.has_unused = true,
                   .unused_bytes = free_bytes,
                   .has_available = true,
                   .available_bytes = 4 * GIB,
                   .has_rss = true,
                   .rss_bytes = 3 * GIB,
                   .has_last_update = true,
                   .last_update_sec = last_update_sec};

    return sources_stats(s, &v, clock_usec);
}

static void expect(const Sources *s, GuestSource source, uint64_t free_bytes)
{
    const Sample *now = sources_sample(s, clock_usec);

    ck_assert_ptr_nonnull(now);
    ck_assert_int_eq(now->source, source);
    ck_assert_uint_eq(report_get(&now->report, REPORT_MEM_FREE), free_bytes);
}

START_TEST(test_nothing_heard)
{
    Sources s = {};

    begin();
    ck_assert_ptr_null(sources_sample(&s, clock_usec));
    ck_assert_uint_eq(sources_rss(&s), 0);
    ck_assert(!sources_use_stats(&s, clock_usec));
}
END_TEST

START_TEST(test_agent_before_libvirt)
{
    Sources s = {};

    begin();
    report(&s, 1 * GIB);
    ck_assert(stats(&s, 2 * GIB, wall_sec()));
    ck_assert(!sources_use_stats(&s, clock_usec)); /* known, and not in use */
    expect(&s, GUEST_SOURCE_AGENT, 1 * GIB);
    ck_assert_uint_eq(s.history.count, 1);
    ck_assert_uint_eq(sources_rss(&s), 3 * GIB);
    wait_for(3 * SEC);
    expect(&s, GUEST_SOURCE_AGENT, 1 * GIB);
}
END_TEST

START_TEST(test_agent_is_silent)
{
    Sources s = {};

    begin();
    report(&s, 1 * GIB);
    wait_for(3 * SEC + 1);
    expect(&s, GUEST_SOURCE_AGENT, 1 * GIB); /* there is nothing better */
    ck_assert(stats(&s, 2 * GIB, wall_sec()));
    ck_assert(sources_use_stats(&s, clock_usec));
    expect(&s, GUEST_SOURCE_LIBVIRT, 2 * GIB);
    ck_assert_uint_eq(s.history.count, 2);
    ck_assert_int_eq(history_get(&s.history, 0)->source, GUEST_SOURCE_LIBVIRT);

    /* It speaks again. */
    report(&s, 3 * GIB);
    expect(&s, GUEST_SOURCE_AGENT, 3 * GIB);
}
END_TEST

/* What libvirt has is older than the last report. */
START_TEST(test_older_stats)
{
    Sources s = {};

    begin();
    report(&s, 1 * GIB);
    wait_for(4 * SEC);
    ck_assert(stats(&s, 2 * GIB, wall_sec() - 60));
    (void) sources_use_stats(&s, clock_usec);
    expect(&s, GUEST_SOURCE_AGENT, 1 * GIB);
}
END_TEST

/* Three of its intervals, where they are longer. */
START_TEST(test_silence_goes_by_the_interval)
{
    Sources s = {};

    begin();
    sources_set_interval(&s, 2 * SEC);
    report(&s, 1 * GIB);
    wait_for(6 * SEC);
    (void) stats(&s, 2 * GIB, wall_sec());
    ck_assert(!sources_use_stats(&s, clock_usec));
    expect(&s, GUEST_SOURCE_AGENT, 1 * GIB);
    wait_for(1);
    expect(&s, GUEST_SOURCE_LIBVIRT, 2 * GIB);

    sources_set_interval(&s, SEC / 4);
    wait_for(1000 * SEC);
    report(&s, 1 * GIB);
    wait_for(3 * SEC);
    expect(&s, GUEST_SOURCE_AGENT, 1 * GIB);
}
END_TEST

/* The guest's driver doesn't answer: what it said is said again, and is no new sample. */
START_TEST(test_driver_stands_still)
{
    uint64_t second = WALL_SEC;
    Sources s = {};

    begin();
    ck_assert(stats(&s, 2 * GIB, second));
    ck_assert(sources_use_stats(&s, clock_usec));
    wait_for(2 * SEC);
    ck_assert(!stats(&s, 2 * GIB, second));
    ck_assert(!stats(&s, 2 * GIB, second));
    ck_assert_uint_eq(s.stats_usec, clock_usec);
    ck_assert(stats(&s, 2 * GIB, second + 2));
    /* The wall clock was set back. */
    ck_assert(stats(&s, 2 * GIB, second - 3600));
}
END_TEST

/* As old as it is by the wall clock. */
START_TEST(test_age_of_stats)
{
    const Sample *now;
    Sources s = {};

    begin();
    (void) stats(&s, 2 * GIB, wall_sec() - 30);
    (void) sources_use_stats(&s, clock_usec);
    now = sources_sample(&s, clock_usec);
    ck_assert_uint_eq(now->at_usec, clock_usec - 30 * SEC);
    /* Not in the future, where the clock was set. */
    (void) stats(&s, 2 * GIB, wall_sec() + 3600);
    (void) sources_use_stats(&s, clock_usec);
    ck_assert_uint_eq(sources_sample(&s, clock_usec)->at_usec, clock_usec);
}
END_TEST

/* A driver that has never answered, or says too little, is no source. */
START_TEST(test_stats_without_use)
{
    VirtStats v = {.has_rss = true, .rss_bytes = GIB, .has_last_update = true, .last_update_sec = WALL_SEC};
    Sources s = {};

    begin();
    (void) stats(&s, 2 * GIB, 0);
    ck_assert(!sources_use_stats(&s, clock_usec));
    (void) sources_stats(&s, &v, clock_usec);
    ck_assert(!sources_use_stats(&s, clock_usec));
    v.has_available = true;
    (void) sources_stats(&s, &v, clock_usec);
    ck_assert(!sources_use_stats(&s, clock_usec));
    v.has_available = false;
    v.has_unused = true;
    (void) sources_stats(&s, &v, clock_usec);
    ck_assert(!sources_use_stats(&s, clock_usec));
    ck_assert_ptr_null(sources_sample(&s, clock_usec));
    ck_assert_uint_eq(sources_rss(&s), GIB);
    v.has_available = true;
    (void) sources_stats(&s, &v, clock_usec);
    ck_assert(sources_use_stats(&s, clock_usec));
}
END_TEST

START_TEST(test_fields_of_stats)
{
    const Report *r;
    VirtStats v = {.has_unused = true,
                   .unused_bytes = 1,
                   .has_available = true,
                   .available_bytes = 20,
                   .has_usable = true,
                   .usable_bytes = 3,
                   .has_disk_caches = true,
                   .disk_caches_bytes = 4,
                   .has_swap_in = true,
                   .swap_in_bytes = 5,
                   .has_swap_out = true,
                   .swap_out_bytes = 6,
                   .has_major_faults = true,
                   .major_faults = 7,
                   .has_minor_faults = true,
                   .minor_faults = 8,
                   .has_hugetlb_allocs = true,
                   .has_last_update = true,
                   .last_update_sec = WALL_SEC};
    Sources s = {};

    begin();
    (void) sources_stats(&s, &v, clock_usec);
    ck_assert(sources_use_stats(&s, clock_usec));
    r = &sources_sample(&s, clock_usec)->report;
    ck_assert_uint_eq(report_get(r, REPORT_MEM_FREE), 1);
    ck_assert_uint_eq(report_get(r, REPORT_MEM_TOTAL), 20);
    ck_assert_uint_eq(report_get(r, REPORT_MEM_AVAILABLE), 3);
    ck_assert_uint_eq(report_get(r, REPORT_CACHED), 4);
    ck_assert_uint_eq(report_get(r, REPORT_SWAP_IN), 5);
    ck_assert_uint_eq(report_get(r, REPORT_SWAP_OUT), 6);
    ck_assert_uint_eq(report_get(r, REPORT_MAJOR_FAULTS), 7);
    ck_assert_uint_eq(report_get(r, REPORT_FAULTS), 8);
    ck_assert(!report_has(r, REPORT_SWAP_TOTAL));
}
END_TEST

/* The driver for Windows counts each page that is read from a file as swapped in; only Linux's counts huge pages. */
START_TEST(test_k_swap_in_counts_where_its_meaning_is_known)
{
    const Report *r;
    VirtStats v = {.has_unused = true,
                   .unused_bytes = MIB,
                   .has_available = true,
                   .available_bytes = GIB,
                   .has_swap_in = true,
                   .swap_in_bytes = 5 * GIB,
                   .has_major_faults = true,
                   .major_faults = 700000,
                   .has_hugetlb_allocs = _i == 1,
                   .has_last_update = true,
                   .last_update_sec = WALL_SEC};
    Sources s = {};

    begin();
    (void) sources_stats(&s, &v, clock_usec);
    ck_assert(sources_use_stats(&s, clock_usec));
    r = &sources_sample(&s, clock_usec)->report;
    ck_assert(report_has(r, REPORT_SWAP_IN) == (_i == 1));
    ck_assert(report_has(r, REPORT_MAJOR_FAULTS) == (_i == 1));
}
END_TEST

/* Nobody but the host has checked what a driver or an agent says. */
START_TEST(test_a1_samples_are_fitted_to_the_domain)
{
    const Report *r;
    VirtStats v = {.has_unused = true,
                   .unused_bytes = UINT64_MAX,
                   .has_available = true,
                   .available_bytes = UINT64_MAX,
                   .has_usable = true,
                   .usable_bytes = 3 * GIB,
                   .has_last_update = true,
                   .last_update_sec = WALL_SEC};
    Sources s = {};

    begin();
    sources_set_maximum(&s, 2 * GIB);
    (void) sources_stats(&s, &v, clock_usec);
    ck_assert(sources_use_stats(&s, clock_usec));
    r = &history_get(&s.history, 0)->report;
    ck_assert_uint_eq(report_get(r, REPORT_MEM_TOTAL), 2 * GIB);
    ck_assert_uint_eq(report_get(r, REPORT_MEM_FREE), 2 * GIB);
    ck_assert_uint_eq(report_get(r, REPORT_MEM_AVAILABLE), 2 * GIB);
    report(&s, 3 * GIB);
    r = &history_get(&s.history, 0)->report;
    ck_assert_uint_eq(report_get(r, REPORT_MEM_TOTAL), 2 * GIB);
    ck_assert_uint_eq(report_get(r, REPORT_MEM_FREE), 2 * GIB);
    expect(&s, GUEST_SOURCE_AGENT, 2 * GIB);
}
END_TEST

/* It may be shutting down; one that says so again and again isn't left alone for it. */
START_TEST(test_goodbye)
{
    Sources s = {};

    begin();
    report(&s, 1 * GIB);
    ck_assert(sources_goodbye(&s, clock_usec));
    ck_assert(s.leaving);
    ck_assert_ptr_null(sources_sample(&s, clock_usec)); /* what it said ends with it */
    sources_hello(&s, false);
    ck_assert(!s.leaving);
    wait_for(600 * SEC - 1);
    ck_assert(!sources_goodbye(&s, clock_usec));
    ck_assert(!s.leaving);
    ck_assert_uint_eq(s.goodbye_usec, 100000 * SEC);
    wait_for(1);
    ck_assert(sources_goodbye(&s, clock_usec));
    ck_assert(s.leaving);

    /* A boot says more. */
    sources_reboot(&s);
    ck_assert(!s.leaving);
    ck_assert(sources_goodbye(&s, clock_usec + 1));
}
END_TEST

/* With another boot id its counters began again; an agent that restarted goes on. */
START_TEST(test_hello)
{
    Sources s = {};

    begin();
    for (unsigned i = 0; i < 5; i++, wait_for(SEC))
        report(&s, i * GIB);
    (void) stats(&s, 2 * GIB, wall_sec());
    sources_set_interval(&s, 2 * SEC);
    sources_hello(&s, false);
    ck_assert_uint_eq(s.history.count, 5);
    expect(&s, GUEST_SOURCE_AGENT, 4 * GIB);
    sources_hello(&s, true);
    ck_assert_uint_eq(s.history.count, 0);
    ck_assert_ptr_null(sources_sample(&s, clock_usec));
    /* Libvirt's figures of QEMU are kept, and so is the interval that the agent was asked for. */
    ck_assert_uint_eq(sources_rss(&s), 3 * GIB);
    ck_assert_uint_eq(s.interval_usec, 2 * SEC);
    report(&s, 7 * GIB);
    ck_assert_uint_eq(s.history.count, 1);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("sources");

    tcase_add_test(tc, test_nothing_heard);
    tcase_add_test(tc, test_agent_before_libvirt);
    tcase_add_test(tc, test_agent_is_silent);
    tcase_add_test(tc, test_older_stats);
    tcase_add_test(tc, test_silence_goes_by_the_interval);
    tcase_add_test(tc, test_driver_stands_still);
    tcase_add_test(tc, test_age_of_stats);
    tcase_add_test(tc, test_stats_without_use);
    tcase_add_test(tc, test_fields_of_stats);
    tcase_add_loop_test(tc, test_k_swap_in_counts_where_its_meaning_is_known, 0, 2);
    tcase_add_test(tc, test_a1_samples_are_fitted_to_the_domain);
    tcase_add_test(tc, test_goodbye);
    tcase_add_test(tc, test_hello);
    return run_tests(tc);
}
