/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a policy sees of the host. */

#include <check.h>
#include <errno.h>

#include "base/units.h"
#include "host-agent/sense/host.h"

static int sample(const char *fixture, HostSample *ret)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/tests/fixtures/host/%s", getenv("BALLAST_SOURCE"), fixture);
    return host_sample_read(path, 7, ret);
}

/* 62.5 GiB, 32 GiB of it in huge page pools. */
START_TEST(test_hugepages)
{
    HostSample s;
    HostFields h;

    ck_assert_int_eq(sample("hugepages", &s), 0);
    ck_assert_uint_eq(s.at_usec, 7);
    ck_assert(s.has_psi);
    host_sample_fields(&s, 0, &h);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_TOTAL), (65536000.0 - 33554432.0) * KIB);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_AVAILABLE), 10240000.0 * KIB);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_FREE), 2048000.0 * KIB);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_SWAP_TOTAL), 8.0 * GIB);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_SWAP_FREE), 6.0 * GIB);
    ck_assert_double_eq_tol(host_get(&h, HOST_FIELD_PSI_MEMORY_SOME), 0.125, 1e-9);
    ck_assert_double_eq_tol(host_get(&h, HOST_FIELD_PSI_MEMORY_FULL), 0.0425, 1e-9);
    ck_assert(!host_has(&h, HOST_FIELD_PENDING)); /* the plan's to say */
}
END_TEST

START_TEST(test_reserve)
{
    HostSample s;
    HostFields h;

    ck_assert_int_eq(sample("hugepages", &s), 0);
    host_sample_fields(&s, GIB, &h);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_RESERVE), 1.0 * GIB);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_AVAILABLE), 10240000.0 * KIB - 1.0 * GIB);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_TOTAL), (65536000.0 - 33554432.0) * KIB);

    /* More than there is: nothing is left, and no less. */
    host_sample_fields(&s, TIB, &h);
    ck_assert(host_has(&h, HOST_FIELD_AVAILABLE));
    ck_assert_double_eq(host_get(&h, HOST_FIELD_AVAILABLE), 0);
}
END_TEST

START_TEST(test_available_within_total)
{
    HostSample s = {
        .meminfo = {.total = 4 * GIB, .available = 3 * GIB, .has_available = true, .hugetlb = 2 * GIB}};
    HostFields h;

    host_sample_fields(&s, 0, &h);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_AVAILABLE), 2.0 * GIB);
    s.meminfo.hugetlb = 5 * GIB;
    host_sample_fields(&s, 0, &h);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_TOTAL), 0);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_AVAILABLE), 0);
}
END_TEST

START_TEST(test_without_psi_and_swap)
{
    HostSample s;
    HostFields h;

    ck_assert_int_eq(sample("no-psi", &s), 0);
    ck_assert(!s.has_psi);
    host_sample_fields(&s, 0, &h);
    ck_assert(!host_has(&h, HOST_FIELD_PSI_MEMORY_SOME));
    ck_assert(!host_has(&h, HOST_FIELD_PSI_MEMORY_FULL));
    ck_assert_double_eq(host_get(&h, HOST_FIELD_TOTAL), 65536000.0 * KIB);
    ck_assert(host_has(&h, HOST_FIELD_SWAP_TOTAL));
    ck_assert_double_eq(host_get(&h, HOST_FIELD_SWAP_TOTAL), 0);
}
END_TEST

/* A kernel that doesn't say what is available: it stays missing, so that a policy doesn't act on a guess. */
START_TEST(test_without_available)
{
    HostSample s;
    HostFields h;

    ck_assert_int_eq(sample("old", &s), 0);
    host_sample_fields(&s, GIB, &h);
    ck_assert(!host_has(&h, HOST_FIELD_AVAILABLE));
    ck_assert(host_has(&h, HOST_FIELD_TOTAL));
}
END_TEST

START_TEST(test_unreadable)
{
    HostSample s = {.at_usec = 1};

    ck_assert_int_eq(sample("nowhere", &s), -ENOENT);
    ck_assert_int_eq(sample("bad-meminfo", &s), -EBADMSG);
    /* PSI that is there and can't be understood isn't taken for a kernel without PSI. */
    ck_assert_int_eq(sample("bad-psi", &s), -EBADMSG);
    ck_assert_uint_eq(s.at_usec, 1); /* untouched */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("host");
    TCase *t = tcase_create("host");
    SRunner *runner;
    int failed;

    tcase_add_test(t, test_hugepages);
    tcase_add_test(t, test_reserve);
    tcase_add_test(t, test_available_within_total);
    tcase_add_test(t, test_without_psi_and_swap);
    tcase_add_test(t, test_without_available);
    tcase_add_test(t, test_unreadable);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
