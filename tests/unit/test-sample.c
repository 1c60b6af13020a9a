/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a policy sees of a guest, and how fast its counters grow. */

#include <check.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/sense/sample.h"

static Sample agent_sample(void)
{
    Sample s = {.at_usec = USEC_PER_SEC, .source = GUEST_SOURCE_AGENT, .report = {.at_usec = 1}};
    Report *r = &s.report;

    report_set(r, REPORT_MEM_TOTAL, 1000 * MIB);
    report_set(r, REPORT_MEM_FREE, 300 * MIB);
    report_set(r, REPORT_MEM_AVAILABLE, 600 * MIB);
    report_set(r, REPORT_BUFFERS, 10 * MIB);
    report_set(r, REPORT_CACHED, 350 * MIB);
    report_set(r, REPORT_SRECLAIMABLE, 20 * MIB);
    report_set(r, REPORT_SHMEM, 50 * MIB);
    report_set(r, REPORT_ANON_PAGES, 200 * MIB);
    report_set(r, REPORT_DIRTY, MIB);
    report_set(r, REPORT_LOW_WATERMARK, 8 * MIB);
    report_set(r, REPORT_SWAP_TOTAL, 500 * MIB);
    report_set(r, REPORT_SWAP_FREE, 400 * MIB);
    report_set(r, REPORT_SWAP_IN, 7 * MIB);
    report_set(r, REPORT_SWAP_OUT, 9 * MIB);
    report_set(r, REPORT_MAJOR_FAULTS, 1234);
    report_set(r, REPORT_REFAULT_ANON, 2 * MIB);
    report_set(r, REPORT_REFAULT_FILE, 3 * MIB);
    report_set(r, REPORT_PSI_MEMORY_SOME_AVG10, 1250);
    report_set(r, REPORT_PSI_MEMORY_FULL_AVG10, 1);
    report_set(r, REPORT_PSI_IO_SOME_AVG10, 10000);
    report_set(r, REPORT_PSI_IO_FULL_AVG10, 0);
    return s;
}

START_TEST(test_agent_fields)
{
    static const struct {
        GuestField field;
        double value;
    } expected[] = {
        {GUEST_FIELD_CURRENT, 1024.0 * MIB},   {GUEST_FIELD_TOTAL, 1000.0 * MIB},
        {GUEST_FIELD_FREE, 300.0 * MIB},       {GUEST_FIELD_AVAILABLE, 600.0 * MIB},
        {GUEST_FIELD_CACHE, 330.0 * MIB},      {GUEST_FIELD_USED, 400.0 * MIB},
        {GUEST_FIELD_ANON, 200.0 * MIB},       {GUEST_FIELD_SHMEM, 50.0 * MIB},
        {GUEST_FIELD_DIRTY, 1.0 * MIB},        {GUEST_FIELD_LOW_WATERMARK, 8.0 * MIB},
        {GUEST_FIELD_SWAP_TOTAL, 500.0 * MIB}, {GUEST_FIELD_SWAP_FREE, 400.0 * MIB},
        {GUEST_FIELD_RSS, 900.0 * MIB},        {GUEST_FIELD_RESIDENT_FREE, 176.0 * MIB},
        {GUEST_FIELD_SWAP_IN, 7.0 * MIB},      {GUEST_FIELD_SWAP_OUT, 9.0 * MIB},
        {GUEST_FIELD_MAJOR_FAULTS, 1234},      {GUEST_FIELD_REFAULT_ANON, 2.0 * MIB},
        {GUEST_FIELD_REFAULT_FILE, 3.0 * MIB}, {GUEST_FIELD_PSI_MEMORY_SOME, 0.125},
        {GUEST_FIELD_PSI_MEMORY_FULL, 0.0001}, {GUEST_FIELD_PSI_IO_SOME, 1},
        {GUEST_FIELD_PSI_IO_FULL, 0},
    };
    Sample s = agent_sample();
    GuestFields g = {0};
    uint64_t present = 0;

    sample_fields(&s, 1024 * MIB, 900 * MIB, &g);
    for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
        ck_assert_msg(guest_has(&g, expected[i].field), "row %zu is missing", i);
        ck_assert_double_eq_tol(guest_get(&g, expected[i].field), expected[i].value, 1e-12);
        present |= UINT64_C(1) << expected[i].field;
    }
    ck_assert_uint_eq(g.present, present); /* and no others */
}
END_TEST

/* The balloon driver says less; what it doesn't say is missing, and isn't 0. */
START_TEST(test_libvirt_fields)
{
    Sample s = {.at_usec = USEC_PER_SEC, .source = GUEST_SOURCE_LIBVIRT};
    GuestFields g = {0};

    report_set(&s.report, REPORT_MEM_TOTAL, 1000 * MIB);
    report_set(&s.report, REPORT_MEM_FREE, 300 * MIB);
    report_set(&s.report, REPORT_CACHED, 350 * MIB);
    report_set(&s.report, REPORT_SWAP_IN, 7 * MIB);
    sample_fields(&s, 1024 * MIB, 0, &g);
    ck_assert_double_eq(guest_get(&g, GUEST_FIELD_CACHE), 350.0 * MIB);
    ck_assert_double_eq(guest_get(&g, GUEST_FIELD_SWAP_IN), 7.0 * MIB);
    ck_assert(!guest_has(&g, GUEST_FIELD_AVAILABLE)); /* a kernel older than 3.14 */
    ck_assert(!guest_has(&g, GUEST_FIELD_USED));
    ck_assert(!guest_has(&g, GUEST_FIELD_PSI_MEMORY_SOME));
    ck_assert(!guest_has(&g, GUEST_FIELD_SWAP_TOTAL));
    ck_assert(!guest_has(&g, GUEST_FIELD_SHMEM));
    ck_assert(!guest_has(&g, GUEST_FIELD_RSS));
    ck_assert(guest_has(&g, GUEST_FIELD_LOW_WATERMARK));
    ck_assert_double_eq(guest_get(&g, GUEST_FIELD_RESIDENT_FREE), 300.0 * MIB);

    /* Without disk caches nothing is known of the cache. */
    s.report.present &= ~(UINT64_C(1) << REPORT_CACHED);
    g = (GuestFields){0};
    sample_fields(&s, 1024 * MIB, 0, &g);
    ck_assert(!guest_has(&g, GUEST_FIELD_CACHE));
}
END_TEST

/* A balloon driver may say anything. What comes of it fits together, whatever it was. */
START_TEST(test_impossible_stats)
{
    static const uint64_t wild[] = {0, 1, 1000 * MIB, UINT64_MAX / 2 + 1, UINT64_MAX};

    for (size_t i = 0; i < ELEMENTSOF(wild); i++)
        for (unsigned has_total = 0; has_total < 2; has_total++) {
            Sample s = {.source = GUEST_SOURCE_LIBVIRT};
            GuestFields g = {0};
            double total;

            for (ReportField f = 0; f < REPORT_FIELD_MAX; f++)
                report_set(&s.report, f, wild[i]);
            s.report.value[REPORT_SHMEM] = 0;
            s.report.value[REPORT_MEM_TOTAL] = 512 * MIB;
            if (!has_total)
                s.report.present &= ~(UINT64_C(1) << REPORT_MEM_TOTAL);
            sample_fields(&s, 512 * MIB, UINT64_MAX, &g);
            total = has_total ? 512.0 * MIB : (double) GUEST_MEMORY_MAX_BYTES;
            ck_assert_double_le(guest_get(&g, GUEST_FIELD_FREE), total);
            ck_assert_double_le(guest_get(&g, GUEST_FIELD_AVAILABLE), total);
            ck_assert_double_le(guest_get(&g, GUEST_FIELD_CACHE), 3 * total);
            ck_assert_double_ge(guest_get(&g, GUEST_FIELD_USED), 0);
            ck_assert_double_le(guest_get(&g, GUEST_FIELD_RESIDENT_FREE), guest_get(&g, GUEST_FIELD_FREE));
            ck_assert(guest_has(&g, GUEST_FIELD_USED) == has_total);
            if (has_total)
                ck_assert_double_le(guest_get(&g, GUEST_FIELD_FREE) + guest_get(&g, GUEST_FIELD_CACHE),
                                    total);
        }
}
END_TEST

START_TEST(test_no_sample)
{
    GuestFields g = {0};

    guest_set(&g, GUEST_FIELD_FULL, 5);
    sample_fields(NULL, 1024 * MIB, 900 * MIB, &g);
    ck_assert_double_eq(guest_get(&g, GUEST_FIELD_CURRENT), 1024.0 * MIB);
    ck_assert_double_eq(guest_get(&g, GUEST_FIELD_RSS), 900.0 * MIB);
    ck_assert_double_eq(guest_get(&g, GUEST_FIELD_FULL), 5); /* what was there is left alone */
    ck_assert(!guest_has(&g, GUEST_FIELD_TOTAL));
    ck_assert(!guest_has(&g, GUEST_FIELD_RESIDENT_FREE));
}
END_TEST

START_TEST(test_resident_free)
{
    /* MiB */
    static const struct {
        uint64_t free, current, rss, expected;
    } rows[] = {
        {300, 1000, 0, 300},    /* RSS not known */
        {300, 1000, 1000, 300}, /* all of it touched */
        {300, 1000, 1100, 300}, /* QEMU's own memory is none of the guest's */
        {300, 1000, 700, 0},    /* all given back already */
        {300, 1000, 500, 0},    /* some of what it uses is swapped out or shared */
        {300, 1000, 850, 150},  {1000, 1000, 200, 200},
        {1000, 800, 200, 200}, /* free as it was before the balloon grew */
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Sample s = {.source = GUEST_SOURCE_AGENT};
        GuestFields g = {0};

        report_set(&s.report, REPORT_MEM_FREE, rows[i].free * MIB);
        sample_fields(&s, rows[i].current * MIB, rows[i].rss * MIB, &g);
        ck_assert_msg(guest_get(&g, GUEST_FIELD_RESIDENT_FREE) == (double) (rows[i].expected * MIB),
                      "row %zu: %.0f", i, guest_get(&g, GUEST_FIELD_RESIDENT_FREE) / (double) MIB);
    }
}
END_TEST

/* Adds a sample second seconds after the start, as the host and the guest (none: 0) count them. */
static void add(History *h, GuestSource source, double host_sec, double guest_sec, uint64_t swap_in)
{
    Sample s = {.at_usec = (usec_t) (host_sec * USEC_PER_SEC), .source = source};

    s.report.at_usec = (usec_t) (guest_sec * USEC_PER_SEC);
    report_set(&s.report, REPORT_SWAP_IN, swap_in);
    history_add(h, &s);
}

START_TEST(test_history)
{
    History h = {0};

    ck_assert_ptr_null(history_get(&h, 0));
    for (unsigned i = 1; i <= 3 * HISTORY_MAX + 5; i++) {
        unsigned kept = MIN(i, (unsigned) HISTORY_MAX);

        add(&h, GUEST_SOURCE_AGENT, i, i, i);
        ck_assert_uint_eq(history_get(&h, 0)->report.value[REPORT_SWAP_IN], i);
        ck_assert_uint_eq(history_get(&h, kept - 1)->report.value[REPORT_SWAP_IN], i - kept + 1);
        ck_assert_ptr_null(history_get(&h, kept));
    }
    history_clear(&h);
    ck_assert_ptr_null(history_get(&h, 0));
    add(&h, GUEST_SOURCE_AGENT, 1, 1, 42);
    ck_assert_uint_eq(history_get(&h, 0)->report.value[REPORT_SWAP_IN], 42);
    ck_assert_ptr_null(history_get(&h, 1));
}
END_TEST

START_TEST(test_rate)
{
    History h = {0};
    double rate = -1;

    ck_assert(!history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    add(&h, GUEST_SOURCE_AGENT, 100, 10, 1000);
    ck_assert(!history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    add(&h, GUEST_SOURCE_AGENT, 101, 11, 1000);
    add(&h, GUEST_SOURCE_AGENT, 102, 12, 1600);
    ck_assert(history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    ck_assert_double_eq_tol(rate, 300, 1e-9);
    ck_assert(history_rate(&h, REPORT_SWAP_IN, USEC_PER_SEC, &rate)); /* only the last second */
    ck_assert_double_eq_tol(rate, 600, 1e-9);
    ck_assert(!history_rate(&h, REPORT_SWAP_IN, USEC_PER_SEC / 2, &rate));
    ck_assert(!history_rate(&h, REPORT_SWAP_OUT, 10 * USEC_PER_SEC, &rate)); /* never reported */

    /* A report that was long on its way: the guest's clock counts. */
    add(&h, GUEST_SOURCE_AGENT, 104, 13, 2200);
    ck_assert(history_rate(&h, REPORT_SWAP_IN, 2 * USEC_PER_SEC, &rate));
    ck_assert_double_eq_tol(rate, 600, 1e-9);
}
END_TEST

/* The ring's seam is no seam for rates. */
START_TEST(test_rate_over_wraparound)
{
    History h = {0};
    double rate;

    for (unsigned i = 1; i <= HISTORY_MAX + 3; i++)
        add(&h, GUEST_SOURCE_LIBVIRT, i, 0, i * 5);
    ck_assert(history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    ck_assert_double_eq_tol(rate, 5, 1e-9);
    ck_assert(history_rate(&h, REPORT_SWAP_IN, USEC_INFINITY, &rate));
    ck_assert_double_eq_tol(rate, 5, 1e-9);
}
END_TEST

START_TEST(test_rate_over_source_change)
{
    History h = {0};
    double rate;

    add(&h, GUEST_SOURCE_LIBVIRT, 1, 0, 9000);
    add(&h, GUEST_SOURCE_LIBVIRT, 2, 0, 9000);
    add(&h, GUEST_SOURCE_AGENT, 3, 1, 100);
    ck_assert(!history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    add(&h, GUEST_SOURCE_AGENT, 4, 2, 150);
    ck_assert(history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    ck_assert_double_eq_tol(rate, 50, 1e-9);
}
END_TEST

START_TEST(test_rate_over_reset)
{
    History h = {0};
    double rate;

    /* Also where the counter has outgrown its old value since. */
    add(&h, GUEST_SOURCE_LIBVIRT, 1, 0, 100);
    add(&h, GUEST_SOURCE_LIBVIRT, 2, 0, 0);
    add(&h, GUEST_SOURCE_LIBVIRT, 3, 0, 5000);
    ck_assert(!history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    ck_assert(history_rate(&h, REPORT_SWAP_IN, USEC_PER_SEC, &rate));
    ck_assert_double_eq_tol(rate, 5000, 1e-9);

    /* Two at the same moment have no rate. */
    history_clear(&h);
    add(&h, GUEST_SOURCE_LIBVIRT, 1, 0, 100);
    add(&h, GUEST_SOURCE_LIBVIRT, 1, 0, 200);
    ck_assert(!history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sample");
    TCase *t = tcase_create("sample");
    SRunner *runner;
    int failed;

    tcase_add_test(t, test_agent_fields);
    tcase_add_test(t, test_libvirt_fields);
    tcase_add_test(t, test_impossible_stats);
    tcase_add_test(t, test_no_sample);
    tcase_add_test(t, test_resident_free);
    tcase_add_test(t, test_history);
    tcase_add_test(t, test_rate);
    tcase_add_test(t, test_rate_over_wraparound);
    tcase_add_test(t, test_rate_over_source_change);
    tcase_add_test(t, test_rate_over_reset);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
