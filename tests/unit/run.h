/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Under sanitizers, which find other faults and take several times as long, tests that cover the same code
 * again and again may do so less often. */
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
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* How many cases a test runs that covers the same code again and again: n in `make check`, where they take a
 * minute at most, and BALLAST_CASES times n in `make soak` and on demand. */
static inline unsigned case_count(unsigned n)
{
    const char *times = getenv("BALLAST_CASES");
    unsigned long k = times ? strtoul(times, NULL, 10) : 1;

    return n * (k >= 1 && k <= 1000 ? (unsigned) k : 1);
}

#define TEMP_FOLDER_MAX 32U

/* The folder of this program, below which its tests make theirs. */
static char run_folder[TEMP_FOLDER_MAX];

/* Makes a folder for one test. Whatever happens to the test, it goes with the program's. */
static inline void run_make_folder(char folder[static TEMP_FOLDER_MAX])
{
    ck_assert_int_lt(snprintf(folder, TEMP_FOLDER_MAX, "%s/XXXXXX", run_folder), (int) TEMP_FOLDER_MAX);
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline int run_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

/* Makes the program's folder, and forks a process that removes it once the program and its tests have ended,
 * by whatever signal: that closes the other end of its pipe. Returns that end. */
static inline int run_folder_init(pid_t *ret_sweeper)
{
    int fds[2];

    (void) snprintf(run_folder, sizeof(run_folder), "/tmp/ballast-test-XXXXXX");
    if (pipe(fds) < 0 || !mkdtemp(run_folder) || chmod(run_folder, 0711) < 0 || (*ret_sweeper = fork()) < 0)
        abort();
    if (*ret_sweeper == 0) {
        char byte;

        (void) setsid(); /* out of reach of what a terminal or a test runner sends to the group */
        (void) close(fds[1]);
        (void) !read(fds[0], &byte, 1);
        _exit(nftw(run_folder, run_remove, 8, FTW_DEPTH | FTW_PHYS) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    (void) close(fds[0]);
    /* A program that a test executes doesn't keep the folder. */
    (void) fcntl(fds[1], F_SETFD, FD_CLOEXEC);
    return fds[1];
}

/* Runs test cases as a program's only suite; returns main()'s exit status. */
static inline int run_cases(TCase *const *cases, size_t n)
{
    Suite *suite = suite_create("unit");
    SRunner *runner;
    pid_t sweeper;
    int failed, fd = run_folder_init(&sweeper);

    for (size_t i = 0; i < n; i++)
        suite_add_tcase(suite, cases[i]);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    (void) close(fd);
    (void) waitpid(sweeper, NULL, 0);

    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline int run_tests(TCase *tc)
{
    return run_cases(&tc, 1);
}
