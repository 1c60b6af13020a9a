/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Under sanitizers, which find faults of another kind and take several times as long, what goes over the same
 * code again and again may go over it less often. */
#if defined(__SANITIZE_ADDRESS__)
#define TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_SANITIZED 1
#endif
#endif
#ifndef TEST_SANITIZED
#define TEST_SANITIZED 0
#endif

#include <check.h>
#include <stdlib.h>

/* How many cases a test takes that goes over the same code again and again: n in `make check`, where they take a
 * minute at the most, more in `make soak`, and on demand (BALLAST_CASES: so many times n). */
static inline unsigned case_count(unsigned n)
{
    const char *times = getenv("BALLAST_CASES");
    unsigned long k = times ? strtoul(times, NULL, 10) : 1;

    return n * (k >= 1 && k <= 1000 ? (unsigned) k : 1);
}

/* Runs test cases as a program's only suite; returns main()'s exit status. */
static inline int run_cases(TCase *const *cases, size_t n)
{
    Suite *suite = suite_create("unit");
    SRunner *runner;
    int failed;

    for (size_t i = 0; i < n; i++)
        suite_add_tcase(suite, cases[i]);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);

    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline int run_tests(TCase *tc)
{
    return run_cases(&tc, 1);
}
