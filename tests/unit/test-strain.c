/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which reports of a guest are distress, and which say that a shrink hurt it. */

#include <check.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/strain.h"
#include "tests/unit/run.h"

#define SEC USEC_PER_SEC

static const StrainConfig config = {.stall_ratio = 0.075,
                                    .swap_in_rate = 1.0 * MIB,
                                    .refault_rate = 16.0 * MIB,
                                    .alloc_stall_rate = 10,
                                    .hurt_ratio = 0.25};

/* A value of a report; the list ends with one without value. */
typedef struct Value {
    ReportField field;
    uint64_t value;
} Value;

#define VALUES_MAX 4

static void add(History *h, GuestSource source, usec_t host_usec, usec_t guest_usec, const Value *values)
{
    Sample s = {.at_usec = host_usec, .source = source, .report = {.at_usec = guest_usec}};

    report_set(&s.report, REPORT_MEM_TOTAL, GIB);
    for (size_t i = 0; i < VALUES_MAX && values[i].field != REPORT_MEM_TOTAL; i++)
        report_set(&s.report, values[i].field, values[i].value);
    history_add(h, &s);
}

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || (a >= b - 1e-9 && a <= b + 1e-9);
}

#define ASSERT_STRAIN(s, ...)                                                                   \
    do {                                                                                        \
        Strain _expected = __VA_ARGS__;                                                         \
        ck_assert_msg(same((s).stall, _expected.stall), "stall %f", (s).stall);                 \
        ck_assert_msg(same((s).swap_in, _expected.swap_in), "swap_in %f", (s).swap_in);         \
        ck_assert_msg(same((s).refault, _expected.refault), "refault %f", (s).refault);         \
        ck_assert_msg(same((s).alloc_stalls, _expected.alloc_stalls), "alloc_stalls");          \
        ck_assert_msg(same((s).oom_kills, _expected.oom_kills), "oom_kills %f", (s).oom_kills); \
    } while (0)

/* What is read of two reports, a second apart. */
START_TEST(test_read)
{
    static const struct {
        GuestSource source;
        Value old[VALUES_MAX], new[VALUES_MAX];
        Strain expected;
    } rows[] = {
        /* nothing but MemTotal */
        {GUEST_SOURCE_AGENT, {}, {}, {NAN, NAN, NAN, NAN, NAN}},
        /* PSI's total is the exact one, the average what there is without it */
        {GUEST_SOURCE_AGENT,
         {{REPORT_PSI_MEMORY_SOME_TOTAL, 1000000}, {REPORT_PSI_MEMORY_SOME_AVG10, 9000}},
         {{REPORT_PSI_MEMORY_SOME_TOTAL, 1080000}, {REPORT_PSI_MEMORY_SOME_AVG10, 9000}},
         {0.08, NAN, NAN, NAN, NAN}},
        {GUEST_SOURCE_AGENT,
         {{REPORT_PSI_MEMORY_SOME_AVG10, 9000}},
         {{REPORT_PSI_MEMORY_SOME_AVG10, 250}},
         {0.025, NAN, NAN, NAN, NAN}},
        /* refaults of both kinds, or of the one that the kernel counts */
        {GUEST_SOURCE_AGENT,
         {{REPORT_REFAULT_ANON, 10}, {REPORT_REFAULT_FILE, 100}, {REPORT_MAJOR_FAULTS, 0}},
         {{REPORT_REFAULT_ANON, 30}, {REPORT_REFAULT_FILE, 400}, {REPORT_MAJOR_FAULTS, 9999}},
         {NAN, NAN, 320, NAN, NAN}},
        {GUEST_SOURCE_AGENT,
         {{REPORT_REFAULT_FILE, 100}},
         {{REPORT_REFAULT_FILE, 400}},
         {NAN, NAN, 300, NAN, NAN}},
        /* the balloon driver reports neither */
        {GUEST_SOURCE_LIBVIRT,
         {{REPORT_MAJOR_FAULTS, 50}, {REPORT_SWAP_IN, 0}},
         {{REPORT_MAJOR_FAULTS, 60}, {REPORT_SWAP_IN, 5 * MIB}},
         {NAN, 5.0 * MIB, 40960, NAN, NAN}},
        {GUEST_SOURCE_AGENT,
         {{REPORT_ALLOC_STALLS, 5}, {REPORT_OOM_KILLS, 1}},
         {{REPORT_ALLOC_STALLS, 25}, {REPORT_OOM_KILLS, 2}},
         {NAN, NAN, NAN, 20, 1}},
        /* one that goes back says nothing, and the others are read all the same */
        {GUEST_SOURCE_LIBVIRT,
         {{REPORT_SWAP_IN, UINT64_MAX}, {REPORT_MAJOR_FAULTS, 0}},
         {{REPORT_SWAP_IN, 0}, {REPORT_MAJOR_FAULTS, 1}},
         {NAN, NAN, 4096, NAN, NAN}},
        /* more than there can be */
        {GUEST_SOURCE_LIBVIRT,
         {{REPORT_SWAP_IN, 0},
          {REPORT_MAJOR_FAULTS, 0},
          {REPORT_PSI_MEMORY_SOME_TOTAL, 0},
          {REPORT_OOM_KILLS, 0}},
         {{REPORT_SWAP_IN, UINT64_MAX},
          {REPORT_MAJOR_FAULTS, UINT64_MAX},
          {REPORT_PSI_MEMORY_SOME_TOTAL, UINT64_MAX},
          {REPORT_OOM_KILLS, UINT64_MAX}},
         {1, (double) GUEST_MEMORY_MAX_BYTES, (double) GUEST_MEMORY_MAX_BYTES, NAN,
          (double) GUEST_MEMORY_MAX_BYTES}},
        {GUEST_SOURCE_LIBVIRT,
         {{REPORT_PSI_MEMORY_SOME_AVG10, 0}},
         {{REPORT_PSI_MEMORY_SOME_AVG10, UINT64_MAX}},
         {1, NAN, NAN, NAN, NAN}},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        History h = {0};
        Strain s;

        add(&h, rows[i].source, 10 * SEC, 0, rows[i].old);
        add(&h, rows[i].source, 11 * SEC, 0, rows[i].new);
        strain_read(&h, STRAIN_WINDOW_USEC, STRAIN_WINDOW_USEC, &s);
        ASSERT_STRAIN(s, rows[i].expected);
    }
}
END_TEST

static const Value none[VALUES_MAX];

#define SWAPPED(mib) ((const Value[VALUES_MAX]){{REPORT_SWAP_IN, (mib) *MIB}})

START_TEST(test_window)
{
    History h = {0};
    Strain s;

    strain_read(&h, STRAIN_WINDOW_USEC, STRAIN_WINDOW_USEC, &s);
    ASSERT_STRAIN(s, STRAIN_NONE);

    /* One report makes no rate. */
    add(&h, GUEST_SOURCE_AGENT, 100 * SEC, 10 * SEC, SWAPPED(7));
    strain_read(&h, STRAIN_WINDOW_USEC, STRAIN_WINDOW_USEC, &s);
    ASSERT_STRAIN(s, STRAIN_NONE);

    /* What lies before the window doesn't count. */
    add(&h, GUEST_SOURCE_AGENT, 101 * SEC, 11 * SEC, SWAPPED(700));
    for (unsigned i = 2; i < 5; i++)
        add(&h, GUEST_SOURCE_AGENT, (100 + i) * SEC, (10 + i) * SEC, SWAPPED(700 + i));
    strain_read(&h, STRAIN_WINDOW_USEC, STRAIN_WINDOW_USEC, &s);
    ck_assert_double_eq_tol(s.swap_in, 1.0 * MIB, 1e-3);

    /* A guest that reports each 10 s: the last two. */
    add(&h, GUEST_SOURCE_AGENT, 114 * SEC, 24 * SEC, SWAPPED(804));
    strain_read(&h, STRAIN_WINDOW_USEC, STRAIN_WINDOW_USEC, &s);
    ck_assert_double_eq_tol(s.swap_in, 10.0 * MIB, 1e-3);

    /* Another source counts from elsewhere. */
    add(&h, GUEST_SOURCE_LIBVIRT, 115 * SEC, 0, SWAPPED(9000));
    strain_read(&h, STRAIN_WINDOW_USEC, STRAIN_WINDOW_USEC, &s);
    ASSERT_STRAIN(s, STRAIN_NONE);
    add(&h, GUEST_SOURCE_LIBVIRT, 117 * SEC, 0, none);
    strain_read(&h, STRAIN_WINDOW_USEC, STRAIN_WINDOW_USEC, &s);
    ASSERT_STRAIN(s, STRAIN_NONE);
}
END_TEST

/* Two reports in a moment (a distress right after a report): a single stall isn't taken for a trend, and a
 * guest whose clock stands still is as good as any. */
START_TEST(test_short_span)
{
    static const struct {
        usec_t usec, stalled;
        double stall;
        DistressCause cause;
    } rows[] = {
        {10000, 5000, 0.01, 0},
        {100000, 50000, 0.1, DISTRESS_PSI},
        {500000, 37500, 0.075, DISTRESS_PSI},
        {1, UINT64_MAX, 1, DISTRESS_PSI},
        {0, 5000, 0.01, 0},
        {0, 500000, 1, DISTRESS_PSI},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        History h = {0};
        Strain s;

        add(&h, GUEST_SOURCE_AGENT, 10 * SEC, 5 * SEC,
            (Value[VALUES_MAX]){{REPORT_PSI_MEMORY_SOME_TOTAL, 0}});
        add(&h, GUEST_SOURCE_AGENT, 11 * SEC, 5 * SEC + rows[i].usec,
            (Value[VALUES_MAX]){{REPORT_PSI_MEMORY_SOME_TOTAL, rows[i].stalled}});
        strain_read(&h, STRAIN_WINDOW_USEC, STRAIN_WINDOW_USEC, &s);
        ck_assert_msg(same(s.stall, rows[i].stall), "row %zu: %f", i, s.stall);
        ck_assert_int_eq(strain_judge(&s, &config), rows[i].cause);
    }
}
END_TEST

START_TEST(test_judge)
{
    static const struct {
        Strain strain;
        DistressCause cause;
    } rows[] = {
        {{NAN, NAN, NAN, NAN, NAN}, 0},
        {{0, 0, 0, 0, 0}, 0},
        {{.07, 1.0 * MIB - 1, 16.0 * MIB - 1, 9.9, 0}, 0},
        {{.075, 0, 0, 0, 0}, DISTRESS_PSI},
        {{NAN, 0, 0, 10, 0}, DISTRESS_STALL},
        {{NAN, 1.0 * MIB, 0, 0, 0}, DISTRESS_SWAP_IN},
        {{NAN, 0, 16.0 * MIB, 0, 0}, DISTRESS_REFAULT},
        {{NAN, NAN, NAN, NAN, .5}, DISTRESS_OOM},
        /* the worst first */
        {{1, 1e9, 1e9, 1000, .1}, DISTRESS_OOM},
        {{1, 1e9, 1e9, 1000, 0}, DISTRESS_PSI},
        {{.05, 1e9, 1e9, 1000, 0}, DISTRESS_STALL},
        {{.05, 1e9, 1e9, 0, 0}, DISTRESS_SWAP_IN},
        {{.05, 0, 1e9, 0, 0}, DISTRESS_REFAULT},
        /* it swaps to compressed memory, or reads a large file, and no task stands still for it */
        {{0, 1e9, 0, 0, 0}, 0},
        {{.018, 1e9, 1e9, 1000, 0}, 0},
        {{.019, 1e9, 0, 0, 0}, DISTRESS_SWAP_IN},
        {{0, 1e9, 1e9, 1000, .5}, DISTRESS_OOM},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        ck_assert_msg(strain_judge(&rows[i].strain, &config) == rows[i].cause, "row %zu: %d", i,
                      strain_judge(&rows[i].strain, &config));
}
END_TEST

/* A threshold of 0 is switched off; one killed for want of memory always counts. */
START_TEST(test_switched_off)
{
    static const Strain strain = {1, 1e9, 1e9, 1000, 0}, oom = {1, 1e9, 1e9, 1000, 1}, ease = {0, 0, 0, 0, 0};
    static const DistressCause causes[] = {DISTRESS_PSI, DISTRESS_STALL, DISTRESS_SWAP_IN, DISTRESS_REFAULT,
                                           0};
    StrainConfig c = config;
    double *thresholds[] = {&c.stall_ratio, &c.alloc_stall_rate, &c.swap_in_rate, &c.refault_rate};

    for (size_t i = 0; i < ELEMENTSOF(causes); i++) {
        ck_assert_int_eq(strain_judge(&strain, &c), causes[i]);
        ck_assert_int_eq(strain_hurts(&strain, &ease, &c), causes[i]);
        ck_assert_int_eq(strain_judge(&oom, &c), DISTRESS_OOM);
        ck_assert_int_eq(strain_hurts(&oom, &ease, &c), DISTRESS_OOM);
        if (i < ELEMENTSOF(thresholds))
            *thresholds[i] = 0;
    }
    c = config;
    c.hurt_ratio = 0;
    ck_assert_int_eq(strain_hurts(&oom, &ease, &c), 0);
}
END_TEST

START_TEST(test_hurts)
{
    static const struct {
        Strain now, before;
        DistressCause cause;
    } rows[] = {
        {{0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, 0},
        {{NAN, NAN, NAN, NAN, NAN}, {0, 0, 0, 0, 0}, 0},
        /* a quarter of the threshold, and nothing before */
        {{.018, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, 0},
        {{.019, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, DISTRESS_PSI},
        {{0, MIB / 4.0, 0, 0, 0}, {0, 0, 0, 0, 0}, DISTRESS_SWAP_IN},
        {{0, 0, 4.0 * MIB, 0, 0}, {0, 0, 0, 0, 0}, DISTRESS_REFAULT},
        {{0, 0, 0, 2.5, 0}, {0, 0, 0, 0, 0}, DISTRESS_STALL},
        {{0, 0, 0, 0, .5}, {0, 0, 0, 0, 0}, DISTRESS_OOM},
        /* what it wasn't known to be before counts as nothing */
        {{.02, 0, 0, 0, 0}, {NAN, NAN, NAN, NAN, NAN}, DISTRESS_PSI},
        /* it was so before */
        {{.04, 0, 0, 0, 0}, {.02, 0, 0, 0, 0}, 0},
        {{.041, 0, 0, 0, 0}, {.02, 0, 0, 0, 0}, DISTRESS_PSI},
        {{0, 0, 30.0 * MIB, 0, 0}, {0, 0, 20.0 * MIB, 0, 0}, 0},
        /* one measure is as before, another isn't */
        {{.02, 0, 30.0 * MIB, 0, 0}, {.02, 0, 3.0 * MIB, 0, 0}, DISTRESS_REFAULT},
        /* the worst first */
        {{1, 1e9, 1e9, 1000, 0}, {0, 0, 0, 0, 0}, DISTRESS_PSI},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        ck_assert_msg(strain_hurts(&rows[i].now, &rows[i].before, &config) == rows[i].cause, "row %zu: %d", i,
                      strain_hurts(&rows[i].now, &rows[i].before, &config));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("strain");

    tcase_add_test(t, test_read);
    tcase_add_test(t, test_window);
    tcase_add_test(t, test_short_span);
    tcase_add_test(t, test_judge);
    tcase_add_test(t, test_switched_off);
    tcase_add_test(t, test_hurts);
    return run_tests(t);
}
