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
    return host_sample_read(path, NULL, 7, ret);
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
        .cgroup = {CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT},
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

/* A cgroup of 8 GiB on the host of 62.5 GiB, 31.25 of them huge pages, of which 9.77 GiB are available. */
START_TEST(test_cgroup)
{
    static const struct {
        const char *scope;
        uint64_t reserve, total, available, free, swap_total, swap_free;
        double psi; /* below 0: not known */
    } cases[] = {
        {"v2/machine.slice", 0, 8 * GIB, GIB + 784 * MIB, GIB, 2 * GIB, 1536 * MIB, 0.025},
        {"v2/machine.slice", GIB, 8 * GIB, 784 * MIB, GIB, 2 * GIB, 1536 * MIB, 0.025},
        {"v2/machine.slice", 3 * GIB, 8 * GIB, 0, GIB, 2 * GIB, 1536 * MIB, 0.025},
        {"v2/wide.slice", 0, 5 * GIB, 100 * MIB, 100 * MIB, 0, 0, 0.025},
        {"v2/machine.slice/vm1.scope", 0, 8 * GIB, GIB + 784 * MIB, GIB, 2 * GIB, 1536 * MIB, 0},
        /* The host's PSI would speak of others. */
        {"v1/memory/machine", 0, 4 * GIB, 640 * MIB, 200 * MIB, GIB, 724 * MIB, -1},
        /* Without a limit: what the host has. */
        {"v1/memory/free", 0, (65536000 - 33554432) * KIB, 10240000 * KIB, 2048000 * KIB, 8 * GIB, 6 * GIB,
         -1},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cgroup_freep) Cgroup *scope = NULL;
        char proc[4096], path[4096];
        HostSample s;
        HostFields h;

        snprintf(proc, sizeof(proc), "%s/tests/fixtures/host/hugepages", getenv("BALLAST_SOURCE"));
        snprintf(path, sizeof(path), "%s/tests/fixtures/cgroup/%s", getenv("BALLAST_SOURCE"), cases[i].scope);
        ck_assert_int_eq(cgroup_find(proc, path, &scope), 0);
        ck_assert_int_eq(host_sample_read(proc, scope, 7, &s), 0);
        host_sample_fields(&s, cases[i].reserve, &h);
        ck_assert_uint_eq(host_sample_total(&s), cases[i].total);
        ck_assert_double_eq(host_get(&h, HOST_FIELD_TOTAL), (double) cases[i].total);
        ck_assert_double_eq(host_get(&h, HOST_FIELD_AVAILABLE), (double) cases[i].available);
        ck_assert_double_eq(host_get(&h, HOST_FIELD_FREE), (double) cases[i].free);
        ck_assert_double_eq(host_get(&h, HOST_FIELD_SWAP_TOTAL), (double) cases[i].swap_total);
        ck_assert_double_eq(host_get(&h, HOST_FIELD_SWAP_FREE), (double) cases[i].swap_free);
        ck_assert_int_eq(host_has(&h, HOST_FIELD_PSI_MEMORY_SOME), cases[i].psi >= 0);
        if (cases[i].psi >= 0)
            ck_assert_double_eq_tol(host_get(&h, HOST_FIELD_PSI_MEMORY_SOME), cases[i].psi, 1e-9);
    }
}
END_TEST

/* A cgroup that has more left than the whole host. */
START_TEST(test_cgroup_on_a_full_host)
{
    HostSample s = {.cgroup = {8 * GIB, 7 * GIB, 7 * GIB, 4 * GIB, 4 * GIB},
                    .meminfo = {.total = 16 * GIB,
                                .free = GIB,
                                .available = 2 * GIB,
                                .has_available = true,
                                .swap_total = 3 * GIB,
                                .swap_free = GIB}};
    HostFields h;

    host_sample_fields(&s, 0, &h);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_TOTAL), 8.0 * GIB);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_AVAILABLE), 2.0 * GIB);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_FREE), 1.0 * GIB);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_SWAP_TOTAL), 3.0 * GIB);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_SWAP_FREE), 1.0 * GIB);
}
END_TEST

/* ZFS's cache of 20 GiB, which keeps 2 GiB at the least: 18 GiB are available beside MemAvailable. */
START_TEST(test_zfs)
{
    _cleanup_(cgroup_freep) Cgroup *scope = NULL;
    char path[4096];
    HostSample s;
    HostFields h;

    ck_assert_int_eq(sample("zfs", &s), 0);
    ck_assert_int_eq(s.arc_error, 0);
    ck_assert_uint_eq(s.arc_bytes, 18 * GIB);
    host_sample_fields(&s, 0, &h);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_AVAILABLE), 10240000.0 * KIB + 18.0 * GIB);
    /* Never more than there is; the reserve comes off what there is. */
    s.arc_bytes = 100 * GIB;
    host_sample_fields(&s, GIB, &h);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_AVAILABLE), 65536000.0 * KIB - 1.0 * GIB);
    s.arc_bytes = UINT64_MAX;
    host_sample_fields(&s, 0, &h);
    ck_assert_double_eq(host_get(&h, HOST_FIELD_AVAILABLE), 10240000.0 * KIB);

    /* It isn't the cgroup's. */
    snprintf(path, sizeof(path), "%s/tests/fixtures/cgroup/v2/machine.slice", getenv("BALLAST_SOURCE"));
    ck_assert_int_eq(cgroup_find("/nowhere", path, &scope), 0);
    snprintf(path, sizeof(path), "%s/tests/fixtures/host/zfs", getenv("BALLAST_SOURCE"));
    ck_assert_int_eq(host_sample_read(path, scope, 7, &s), 0);
    ck_assert_uint_eq(s.arc_bytes, 0);

    /* What can't be understood is told, and counts as nothing. */
    ck_assert_int_eq(sample("bad-zfs", &s), 0);
    ck_assert_int_eq(s.arc_error, -EBADMSG);
    ck_assert_uint_eq(s.arc_bytes, 0);
    ck_assert_int_eq(sample("hugepages", &s), 0);
    ck_assert_int_eq(s.arc_error, 0);
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
    tcase_add_test(t, test_cgroup);
    tcase_add_test(t, test_cgroup_on_a_full_host);
    tcase_add_test(t, test_zfs);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
