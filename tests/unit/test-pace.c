/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When a reclaim in small steps goes on, and why it ends: tables of what each step brought and did. */

#include "base/macro.h"
#include "base/units.h"
#include "guest-agent/pace.h"
#include "tests/unit/run.h"

#define NO UINT64_MAX /* this kernel hasn't got the counter */

enum { STEPS_MAX = 8 };

/* What one step brought, and what the look at it finds. */
typedef struct Step {
    uint64_t got;
    uint64_t refault_file, refault_anon; /* growth since the step began */
    usec_t stalled_usec;                 /* of the 60 ms that a step takes here */
} Step;

typedef struct Run {
    const char *what;
    uint64_t wanted;
    bool anon;
    Step step[STEPS_MAX];
    /* What is to come of it. */
    uint64_t asked[STEPS_MAX]; /* bytes of each step; 0 after the last */
    int why;
    uint64_t refaulted;
    usec_t stalled_usec;
} Run;

static const Run runs[] = {
    {"all is had in one step", 4 * MIB, false, {{4 * MIB}}, {4 * MIB}, LEVER_END_DONE, 0, 0},
    {"a step is 4 MiB at most",
     10 * MIB,
     false,
     {{4 * MIB}, {4 * MIB}, {2 * MIB}},
     {4 * MIB, 4 * MIB, 2 * MIB},
     LEVER_END_DONE,
     0,
     0},
    {"the kernel takes more than it is asked for",
     10 * MIB,
     false,
     {{5 * MIB}, {5 * MIB}},
     {4 * MIB, 4 * MIB},
     LEVER_END_DONE,
     0,
     0},
    {"the kernel takes less",
     6 * MIB,
     false,
     {{3 * MIB}, {2 * MIB}, {MIB}},
     {4 * MIB, 3 * MIB, MIB},
     LEVER_END_DONE,
     0,
     0},
    {"a small rest isn't worth a step",
     4 * MIB,
     false,
     {{4 * MIB - 60 * KIB}},
     {4 * MIB},
     LEVER_END_DONE,
     0,
     0},
    {"less than a step", 100 * KIB, false, {{100 * KIB}}, {100 * KIB}, LEVER_END_DONE, 0, 0},
    {"next to nothing", 1, false, {{64 * KIB}}, {64 * KIB}, LEVER_END_DONE, 0, 0},

    {"16 pages are read again",
     8 * MIB,
     false,
     {{4 * MIB, 64 * KIB}, {4 * MIB, 64 * KIB}},
     {4 * MIB, 4 * MIB},
     LEVER_END_DONE,
     128 * KIB,
     0},
    {"17 pages are read again",
     8 * MIB,
     false,
     {{4 * MIB, 68 * KIB}},
     {4 * MIB},
     LEVER_END_REFAULTS,
     68 * KIB,
     0},
    {"the next look finds them",
     64 * MIB,
     false,
     {{4 * MIB, 8 * KIB}, {4 * MIB, 2 * MIB}},
     {4 * MIB, 4 * MIB},
     LEVER_END_REFAULTS,
     2 * MIB + 8 * KIB,
     0},
    {"at the last step, too", 4 * MIB, false, {{4 * MIB, MIB}}, {4 * MIB}, LEVER_END_REFAULTS, MIB, 0},
    {"anonymous refaults aren't its doing",
     4 * MIB,
     false,
     {{4 * MIB, 0, 8 * MIB}},
     {4 * MIB},
     LEVER_END_DONE,
     0,
     0},
    {"but where it takes anonymous memory",
     8 * MIB,
     true,
     {{4 * MIB, 40 * KIB, 40 * KIB}},
     {4 * MIB},
     LEVER_END_REFAULTS,
     80 * KIB,
     0},

    {"tasks stall for a tenth of the time",
     8 * MIB,
     false,
     {{4 * MIB, 0, 0, 6000}, {4 * MIB}},
     {4 * MIB, 4 * MIB},
     LEVER_END_DONE,
     0,
     6000},
    {"tasks stall for more", 8 * MIB, false, {{4 * MIB, 0, 0, 6100}}, {4 * MIB}, LEVER_END_STALLS, 0, 6100},
    {"refaults are the clearer sign",
     8 * MIB,
     false,
     {{4 * MIB, MIB, 0, 60000}},
     {4 * MIB},
     LEVER_END_REFAULTS,
     MIB,
     60000},

    {"two poor steps",
     64 * MIB,
     false,
     {{4 * MIB}, {MIB - 1}, {0}},
     {4 * MIB, 4 * MIB, 4 * MIB},
     LEVER_END_NO_MORE,
     0,
     0},
    {"nothing at all", 64 * MIB, false, {{0}, {0}}, {4 * MIB, 4 * MIB}, LEVER_END_NO_MORE, 0, 0},
    {"a quarter isn't poor",
     8 * MIB,
     false,
     {{MIB}, {MIB}, {4 * MIB}, {2 * MIB}},
     {4 * MIB, 4 * MIB, 4 * MIB, 2 * MIB},
     LEVER_END_DONE,
     0,
     0},
    {"poor steps that don't follow each other",
     12 * MIB,
     false,
     {{0}, {4 * MIB}, {0}, {4 * MIB}, {0}, {4 * MIB}},
     {4 * MIB, 4 * MIB, 4 * MIB, 4 * MIB, 4 * MIB, 4 * MIB},
     LEVER_END_DONE,
     0,
     0},
    {"a kernel without counters",
     8 * MIB,
     true,
     {{4 * MIB, NO, NO, NO}, {4 * MIB, NO, NO, NO}},
     {4 * MIB, 4 * MIB},
     LEVER_END_DONE,
     0,
     0},
};

static void grow(Report *r, ReportField f, uint64_t growth)
{
    if (growth == NO)
        r->present &= ~(UINT64_C(1) << f);
    else
        report_set(r, f, report_get(r, f) + growth);
}

START_TEST(each_run_ends_as_it_must)
{
    const Run *run = &runs[_i];
    Report now = {.at_usec = 100 * USEC_PER_SEC};
    uint64_t got = 0;
    int why = 0, n = 0;
    Pace p;

    report_set(&now, REPORT_REFAULT_FILE, 5 * GIB);
    report_set(&now, REPORT_REFAULT_ANON, 7 * GIB);
    report_set(&now, REPORT_PSI_MEMORY_SOME_TOTAL, 123456);
    pace_start(&p, run->wanted, run->anon, &now);
    while (why == 0) {
        const Step *s = &run->step[n];

        ck_assert_msg(n < STEPS_MAX && run->asked[n] > 0, "%s: goes on after step %d", run->what, n);
        ck_assert_msg(pace_step(&p) == run->asked[n], "%s: step %d asks for %llu", run->what, n,
                      (unsigned long long) pace_step(&p));
        pace_stepped(&p, s->got, 1000);
        got += s->got;
        now.at_usec += 60 * USEC_PER_MSEC;
        grow(&now, REPORT_REFAULT_FILE, s->refault_file);
        grow(&now, REPORT_REFAULT_ANON, s->refault_anon);
        grow(&now, REPORT_PSI_MEMORY_SOME_TOTAL, s->stalled_usec);
        why = pace_look(&p, &now);
        n++;
    }
    ck_assert_msg(n == STEPS_MAX || run->asked[n] == 0, "%s: ends after step %d", run->what, n);
    ck_assert_msg(why == run->why, "%s: ends by %d", run->what, why);
    ck_assert_uint_eq(p.got_bytes, got);
    ck_assert_msg(p.refaulted_bytes == run->refaulted, "%s: %llu bytes read again", run->what,
                  (unsigned long long) p.refaulted_bytes);
    ck_assert_msg(p.stalled_usec == run->stalled_usec, "%s: stalled for %llu µs", run->what,
                  (unsigned long long) p.stalled_usec);
    ck_assert_uint_eq(p.cpu_usec, (usec_t) n * 1000);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("pace");

    tcase_add_loop_test(tc, each_run_ends_as_it_must, 0, (int) ELEMENTSOF(runs));
    return run_tests(tc);
}
