/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs one test case as a program's only suite; returns main()'s exit status. */

#include <check.h>
#include <stdlib.h>

static inline int run_tests(TCase *tc)
{
    Suite *suite = suite_create("unit");
    SRunner *runner;
    int failed;

    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);

    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
