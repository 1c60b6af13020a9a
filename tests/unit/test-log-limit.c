/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many lines may be logged, and how many are reported to be left out. */

#include <check.h>

#include "base/log-limit.h"
#include "tests/unit/run.h"

#define SEC USEC_PER_SEC

static unsigned taken(LogLimit *l, unsigned tries, usec_t now)
{
    unsigned n = 0;

    for (unsigned i = 0; i < tries; i++)
        n += log_limit_take(l, now);
    return n;
}

START_TEST(test_a13_lines_are_limited_and_counted)
{
    LogLimit l = {};

    ck_assert(log_limit_is_idle(&l, SEC));
    ck_assert_uint_eq(taken(&l, 3, SEC), 3);
    ck_assert_uint_eq(log_limit_left_out(&l, 100 * SEC), 0); /* none was */
    ck_assert_uint_eq(taken(&l, LOG_LIMIT_LINES, 100 * SEC), LOG_LIMIT_LINES);
    ck_assert_uint_eq(taken(&l, 41, 159 * SEC), 0);
    ck_assert_uint_eq(log_limit_left_out(&l, 159 * SEC), 0); /* the minute isn't over */
    ck_assert(!log_limit_is_idle(&l, 160 * SEC));
    ck_assert_uint_eq(log_limit_left_out(&l, 160 * SEC), 41);
    ck_assert_uint_eq(log_limit_left_out(&l, 160 * SEC), 0); /* once */
    ck_assert(log_limit_is_idle(&l, 160 * SEC));
    ck_assert_uint_eq(taken(&l, 100, 160 * SEC), LOG_LIMIT_LINES);
    ck_assert(!log_limit_is_idle(&l, 160 * SEC));
}
END_TEST

/* What was left out isn't forgotten where the next line comes before it is reported. */
START_TEST(test_left_out_before_the_next_minute)
{
    LogLimit l = {};

    ck_assert_uint_eq(taken(&l, LOG_LIMIT_LINES + 2, SEC), LOG_LIMIT_LINES);
    ck_assert_uint_eq(taken(&l, 1, 62 * SEC), 1);
    ck_assert_uint_eq(log_limit_left_out(&l, 200 * SEC), 2);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("log-limit");

    tcase_add_test(tc, test_a13_lines_are_limited_and_counted);
    tcase_add_test(tc, test_left_out_before_the_next_minute);
    return run_tests(tc);
}
