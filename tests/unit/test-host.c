/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a policy sees of the host. */

#include <errno.h>
#include <unistd.h>

#include "base/units.h"
#include "host-agent/sense/host.h"
#include "tests/unit/run.h"

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
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_TOTAL), (65536000.0 - 33554432.0) * KIB);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_AVAILABLE), 10240000.0 * KIB);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_FREE), 2048000.0 * KIB);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_SWAP_TOTAL), 8.0 * GIB);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_SWAP_FREE), 6.0 * GIB);
    ck_assert_double_eq_tol(host_fields_get(&h, HOST_FIELD_PSI_MEMORY_SOME), 0.125, 1e-9);
    ck_assert_double_eq_tol(host_fields_get(&h, HOST_FIELD_PSI_MEMORY_FULL), 0.0425, 1e-9);
    ck_assert(!host_fields_has(&h, HOST_FIELD_PENDING)); /* the plan sets it */
}
END_TEST

/* Fields that only policies use, and that a cgroup doesn't have. */
static const struct {
    HostField field;
    double value;
} whole[] = {
    {HOST_FIELD_CACHE, (102400.0 + 8192000 + 409600 - 204800) * KIB},
    {HOST_FIELD_BUFFERS, 102400.0 * KIB},
    {HOST_FIELD_CACHED, 8192000.0 * KIB},
    {HOST_FIELD_SRECLAIMABLE, 409600.0 * KIB},
    {HOST_FIELD_ANON, 20480000.0 * KIB},
    {HOST_FIELD_SHMEM, 204800.0 * KIB},
    {HOST_FIELD_DIRTY, 512.0 * KIB},
    {HOST_FIELD_MLOCKED, 0},
    {HOST_FIELD_HUGETLB, 33554432.0 * KIB},
    {HOST_FIELD_ARC, 0},
    {HOST_FIELD_SWAP_USED, 2.0 * GIB},
    {HOST_FIELD_SWAP_MEMORY, 0},
    {HOST_FIELD_FAULTS, 3934969},
    {HOST_FIELD_MAJOR_FAULTS, 1893},
    {HOST_FIELD_ALLOC_STALLS, 7}, /* of all zones */
    {HOST_FIELD_OOM_KILLS, 3},
};

/* The kernel counts these in pages. */
static const struct {
    HostField field;
    double pages;
} whole_pages[] = {
    {HOST_FIELD_SWAP_IN, 22},          {HOST_FIELD_SWAP_OUT, 524288}, {HOST_FIELD_REFAULT_ANON, 11},
    {HOST_FIELD_REFAULT_FILE, 347793}, {HOST_FIELD_SCAN_DIRECT, 99},  {HOST_FIELD_SCAN_KSWAPD, 88},
    {HOST_FIELD_STEAL_DIRECT, 77},     {HOST_FIELD_STEAL_KSWAPD, 66},
};

static const struct {
    HostField field;
    double of_host, of_cgroup;
} pressures[] = {
    {HOST_FIELD_PSI_MEMORY_SOME, 0.125, 0.025},
    {HOST_FIELD_PSI_MEMORY_FULL, 0.0425, 0.01},
    {HOST_FIELD_PSI_MEMORY_SOME_TOTAL, 123456789, 812345},
    {HOST_FIELD_PSI_MEMORY_FULL_TOTAL, 23456789, 412345},
    {HOST_FIELD_PSI_IO_SOME, 0.2, 0.05},
    {HOST_FIELD_PSI_IO_FULL, 0.085, 0.03},
    {HOST_FIELD_PSI_IO_SOME_TOTAL, 223456789, 912345},
    {HOST_FIELD_PSI_IO_FULL_TOTAL, 123456780, 512345},
};

START_TEST(test_counters_and_parts)
{
    const double page = (double) sysconf(_SC_PAGESIZE);
    HostSample s;
    HostFields h;

    ck_assert_int_eq(sample("hugepages", &s), 0);
    host_sample_fields(&s, GIB, &h);
    for (size_t i = 0; i < ELEMENTSOF(whole); i++) {
        ck_assert_msg(host_fields_has(&h, whole[i].field), "%s is missing",
                      host_field_info(whole[i].field)->name);
        ck_assert_double_eq(host_fields_get(&h, whole[i].field), whole[i].value);
    }
    for (size_t i = 0; i < ELEMENTSOF(whole_pages); i++)
        ck_assert_double_eq(host_fields_get(&h, whole_pages[i].field), whole_pages[i].pages * page);
    for (size_t i = 0; i < ELEMENTSOF(pressures); i++)
        ck_assert_double_eq_tol(host_fields_get(&h, pressures[i].field), pressures[i].of_host, 1e-9);
}
END_TEST

/* A policy mustn't take the host's swapping for the cgroup's. */
START_TEST(test_cgroup_has_its_own_only)
{
    _cleanup_(cgroup_freep) Cgroup *scope = NULL;
    char proc[4096], path[4096];
    HostSample s;
    HostFields h;

    snprintf(proc, sizeof(proc), "%s/tests/fixtures/host/hugepages", getenv("BALLAST_SOURCE"));
    snprintf(path, sizeof(path), "%s/tests/fixtures/cgroup/v2/machine.slice", getenv("BALLAST_SOURCE"));
    ck_assert_int_eq(cgroup_find(proc, path, &scope), 0);
    ck_assert_int_eq(host_sample_read(proc, scope, 7, &s), 0);
    host_sample_fields(&s, 0, &h);
    for (size_t i = 0; i < ELEMENTSOF(whole); i++)
        ck_assert_msg(!host_fields_has(&h, whole[i].field), "%s", host_field_info(whole[i].field)->name);
    for (size_t i = 0; i < ELEMENTSOF(whole_pages); i++)
        ck_assert_msg(!host_fields_has(&h, whole_pages[i].field), "%s",
                      host_field_info(whole_pages[i].field)->name);
    for (size_t i = 0; i < ELEMENTSOF(pressures); i++)
        ck_assert_double_eq_tol(host_fields_get(&h, pressures[i].field), pressures[i].of_cgroup, 1e-9);
}
END_TEST

START_TEST(test_reserve)
{
    HostSample s;
    HostFields h;

    ck_assert_int_eq(sample("hugepages", &s), 0);
    host_sample_fields(&s, GIB, &h);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_RESERVE), 1.0 * GIB);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_AVAILABLE), 10240000.0 * KIB - 1.0 * GIB);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_TOTAL), (65536000.0 - 33554432.0) * KIB);

    /* More than is available: zero is left. */
    host_sample_fields(&s, TIB, &h);
    ck_assert(host_fields_has(&h, HOST_FIELD_AVAILABLE));
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_AVAILABLE), 0);
}
END_TEST

START_TEST(test_available_within_total)
{
    HostSample s = {
        .cgroup = {CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT},
        .meminfo = {.total = 4 * GIB, .available = 3 * GIB, .has_available = true, .hugetlb = 2 * GIB}};
    HostFields h;

    host_sample_fields(&s, 0, &h);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_AVAILABLE), 2.0 * GIB);
    s.meminfo.hugetlb = 5 * GIB;
    host_sample_fields(&s, 0, &h);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_TOTAL), 0);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_AVAILABLE), 0);
}
END_TEST

START_TEST(test_without_psi_and_swap)
{
    HostSample s;
    HostFields h;

    ck_assert_int_eq(sample("no-psi", &s), 0);
    ck_assert(!s.has_psi);
    host_sample_fields(&s, 0, &h);
    ck_assert(!host_fields_has(&h, HOST_FIELD_PSI_MEMORY_SOME));
    ck_assert(!host_fields_has(&h, HOST_FIELD_PSI_MEMORY_FULL));
    ck_assert(!host_fields_has(&h, HOST_FIELD_PSI_IO_SOME));
    ck_assert(!host_fields_has(&h, HOST_FIELD_SWAP_IN)); /* nor has it a vmstat */
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_TOTAL), 65536000.0 * KIB);
    ck_assert(host_fields_has(&h, HOST_FIELD_SWAP_TOTAL));
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_SWAP_TOTAL), 0);
}
END_TEST

/* A kernel without MemAvailable: it stays missing, so that a policy doesn't act on a guess. */
START_TEST(test_without_available)
{
    HostSample s;
    HostFields h;

    ck_assert_int_eq(sample("old", &s), 0);
    host_sample_fields(&s, GIB, &h);
    ck_assert(!host_fields_has(&h, HOST_FIELD_AVAILABLE));
    ck_assert(host_fields_has(&h, HOST_FIELD_TOTAL));
}
END_TEST

START_TEST(test_unreadable)
{
    HostSample s = {.at_usec = 1};

    ck_assert_int_eq(sample("nowhere", &s), -ENOENT);
    ck_assert_int_eq(sample("bad-meminfo", &s), -EBADMSG);
    /* PSI that can't be parsed isn't taken for a kernel without PSI. */
    ck_assert_int_eq(sample("bad-psi", &s), -EBADMSG);
    ck_assert_int_eq(sample("bad-psi-io", &s), -EBADMSG);
    ck_assert_int_eq(sample("bad-vmstat", &s), -EBADMSG);
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
        /* The host's PSI would include others. */
        {"v1/memory/machine", 0, 4 * GIB, 640 * MIB, 200 * MIB, GIB, 724 * MIB, -1},
        /* Without a limit: the host's. */
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
        ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_TOTAL), (double) cases[i].total);
        ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_AVAILABLE), (double) cases[i].available);
        ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_FREE), (double) cases[i].free);
        ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_SWAP_TOTAL), (double) cases[i].swap_total);
        ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_SWAP_FREE), (double) cases[i].swap_free);
        ck_assert_int_eq(host_fields_has(&h, HOST_FIELD_PSI_MEMORY_SOME), cases[i].psi >= 0);
        if (cases[i].psi >= 0)
            ck_assert_double_eq_tol(host_fields_get(&h, HOST_FIELD_PSI_MEMORY_SOME), cases[i].psi, 1e-9);
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
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_TOTAL), 8.0 * GIB);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_AVAILABLE), 2.0 * GIB);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_FREE), 1.0 * GIB);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_SWAP_TOTAL), 3.0 * GIB);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_SWAP_FREE), 1.0 * GIB);
}
END_TEST

/* ZFS's cache of 20 GiB, which keeps 2 GiB at the least: 18 GiB are available in addition to MemAvailable. */
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
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_ARC), 18.0 * GIB);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_AVAILABLE), 10240000.0 * KIB + 18.0 * GIB);
    /* Never more than the total; the reserve comes off that. */
    s.arc_bytes = 100 * GIB;
    host_sample_fields(&s, GIB, &h);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_AVAILABLE), 65536000.0 * KIB - 1.0 * GIB);
    s.arc_bytes = UINT64_MAX;
    host_sample_fields(&s, 0, &h);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_AVAILABLE), 10240000.0 * KIB);

    /* ZFS's cache isn't the cgroup's. */
    snprintf(path, sizeof(path), "%s/tests/fixtures/cgroup/v2/machine.slice", getenv("BALLAST_SOURCE"));
    ck_assert_int_eq(cgroup_find("/nowhere", path, &scope), 0);
    snprintf(path, sizeof(path), "%s/tests/fixtures/host/zfs", getenv("BALLAST_SOURCE"));
    ck_assert_int_eq(host_sample_read(path, scope, 7, &s), 0);
    ck_assert_uint_eq(s.arc_bytes, 0);

    /* A file that can't be parsed is reported, and counts as zero. */
    ck_assert_int_eq(sample("bad-zfs", &s), 0);
    ck_assert_int_eq(s.arc_error, -EBADMSG);
    ck_assert_uint_eq(s.arc_bytes, 0);
    host_sample_fields(&s, 0, &h);
    ck_assert(!host_fields_has(&h, HOST_FIELD_ARC));
    ck_assert_int_eq(sample("hugepages", &s), 0);
    ck_assert_int_eq(s.arc_error, 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("host");

    tcase_add_test(t, test_hugepages);
    tcase_add_test(t, test_counters_and_parts);
    tcase_add_test(t, test_cgroup_has_its_own_only);
    tcase_add_test(t, test_reserve);
    tcase_add_test(t, test_available_within_total);
    tcase_add_test(t, test_without_psi_and_swap);
    tcase_add_test(t, test_without_available);
    tcase_add_test(t, test_unreadable);
    tcase_add_test(t, test_cgroup);
    tcase_add_test(t, test_cgroup_on_a_full_host);
    tcase_add_test(t, test_zfs);
    return run_tests(t);
}
