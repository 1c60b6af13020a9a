/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a memory cgroup leaves its guests, by the files of v1 and v2. */

#include <check.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/sense/cgroup.h"
#include "tests/unit/run.h"

#define NONE CGROUP_NO_LIMIT

static const char *fixture(const char *name)
{
    static char path[4096];

    snprintf(path, sizeof(path), "%s/tests/fixtures/cgroup/%s", getenv("BALLAST_SOURCE"), name);
    return path;
}

/* A proc folder whose mounts has the text; its caller removes it. */
static void make_proc(char *folder, const char *mounts)
{
    char path[64];
    FILE *f;

    run_make_folder(folder);
    snprintf(path, sizeof(path), "%s/mounts", folder);
    f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fputs(mounts, f);
    fclose(f);
}

static void remove_proc(const char *folder)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/mounts", folder);
    unlink(path);
    rmdir(folder);
}

START_TEST(what_is_left)
{
    static const struct {
        const char *path;
        CgroupMemory expected;
    } cases[] = {
        /* Of 8 GiB 7 are used, of which 784 MiB can be dropped; shmem, dirty pages and those under writeback
         * can't. */
        {"v2/machine.slice", {8 * GIB, GIB, GIB + 784 * MIB, 2 * GIB, 2 * GIB - 512 * MIB}},
        /* Without a limit of its own: its parent's. */
        {"v2/machine.slice/vm1.scope", {8 * GIB, GIB, GIB + 784 * MIB, 2 * GIB, 2 * GIB - 512 * MIB}},
        {"v2/wide.slice", {5 * GIB, 100 * MIB, 100 * MIB, 0, 0}}, /* by memory.high */
        /* 3 GiB left of its own limit, 100 MiB of its parent's; and its parent may not swap. */
        {"v2/wide.slice/narrow.slice", {4 * GIB, 100 * MIB, 100 * MIB, 0, 0}},
        /* memory and swap together 5 GiB, memory 4: 1 GiB of swap, of which 300 MiB are used. */
        {"v1/memory/machine", {4 * GIB, 200 * MIB, 640 * MIB, GIB, GIB - 300 * MIB}},
        {"v1/memory/machine/vm1", {4 * GIB, 200 * MIB, 640 * MIB, GIB, GIB - 300 * MIB}},
        {"v1/memory/free", {NONE, NONE, NONE, NONE, NONE}},
        {"v1/memory", {NONE, NONE, NONE, NONE, NONE}},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const CgroupMemory *e = &cases[i].expected;
        _cleanup_(cgroup_freep) Cgroup *c = NULL;
        CgroupMemory m;

        ck_assert_msg(cgroup_find("/nowhere", fixture(cases[i].path), &c) == 0, "%s", cases[i].path);
        ck_assert_int_eq(c->v2, cases[i].path[1] == '2');
        ck_assert_int_eq(cgroup_read(c, &m), 0);
        ck_assert_msg(
            m.limit_bytes == e->limit_bytes && m.free_bytes == e->free_bytes &&
                m.available_bytes == e->available_bytes && m.swap_limit_bytes == e->swap_limit_bytes &&
                m.swap_free_bytes == e->swap_free_bytes,
            "%s: limit %" PRIu64 " free %" PRIu64 " available %" PRIu64 " swap %" PRIu64 " %" PRIu64,
            cases[i].path, m.limit_bytes, m.free_bytes, m.available_bytes, m.swap_limit_bytes,
            m.swap_free_bytes);
    }
}
END_TEST

START_TEST(found_by_path)
{
    static const struct {
        const char *path;
        int r;
    } cases[] = {
        {"v2/machine.slice", 0},
        {"v2//machine.slice/", 0},
        {"v2", -ENODATA},              /* the root */
        {"v2/system.slice", -ENODATA}, /* without the memory controller */
        {"v1", -ENODATA},
        {"v2/nowhere.slice", -ENOENT},
        {"v1/memory/machine/memory.stat", -ENODATA},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cgroup_freep) Cgroup *c = NULL;

        ck_assert_msg(cgroup_find("/nowhere", fixture(cases[i].path), &c) == cases[i].r, "%s", cases[i].path);
        if (c)
            ck_assert_str_eq(c->path, fixture("v2/machine.slice"));
    }
}
END_TEST

/* A name is looked for in v2, then in v1's memory controller. */
START_TEST(found_by_name)
{
    static const struct {
        const char *mounts; /* with V for the fixtures' folder */
        const char *name, *found;
        int r;
    } cases[] = {
        {"cgroup2 V/v2 cgroup2 rw 0 0\n", "machine.slice", "v2/machine.slice", 0},
        {"cgroup2 V/v2 cgroup2 rw 0 0\n", "machine.slice/vm1.scope", "v2/machine.slice/vm1.scope", 0},
        {"cgroup2 V/v2 cgroup2 rw 0 0\n", "machine", NULL, -ENOENT},
        {"cgroup2 V/v2 cgroup2 rw 0 0\n", "system.slice", NULL, -ENODATA},
        {"cgroup V/v1/memory cgroup rw,relatime,memory 0 0\n", "machine", "v1/memory/machine", 0},
        {"cgroup V/v1/memory cgroup rw,memory,hugetlb 0 0\n", "machine", "v1/memory/machine", 0},
        {"cgroup V/v1/memory cgroup rw,relatime,cpu,memoryless 0 0\n", "machine", NULL, -ENOENT},
        {"cgroup V/v1/memory cgroup rw,memory 0 0\ncgroup2 V/v2 cgroup2 rw 0 0\n", "machine",
         "v1/memory/machine", 0},
        {"cgroup V/v1/memory cgroup rw,memory 0 0\ncgroup2 V/v2 cgroup2 rw 0 0\n", "machine.slice",
         "v2/machine.slice", 0},
        {"cgroup V/v1/memory cgroup rw,memory 0 0\ncgroup2 V/v2 cgroup2 rw 0 0\n", "system.slice", NULL,
         -ENODATA},
        {"tmpfs V/v2 tmpfs rw 0 0\n", "machine.slice", NULL, -ENOENT},
        {"", "machine.slice", NULL, -ENOENT},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cgroup_freep) Cgroup *c = NULL;
        char mounts[8192], folder[TEMP_FOLDER_MAX];
        size_t fill = 0;
        int r;

        for (const char *p = cases[i].mounts; *p; p++)
            if (*p == 'V')
                fill += (size_t) snprintf(mounts + fill, sizeof(mounts) - fill, "%s", fixture(""));
            else
                mounts[fill++] = *p;
        mounts[fill] = '\0';
        make_proc(folder, mounts);
        r = cgroup_find(folder, cases[i].name, &c);
        remove_proc(folder);
        ck_assert_msg(r == cases[i].r, "%s in %s: %d", cases[i].name, cases[i].mounts, r);
        if (c)
            ck_assert_str_eq(c->path, fixture(cases[i].found));
    }
    {
        Cgroup *c = NULL;

        ck_assert_int_eq(cgroup_find("/nowhere", "machine.slice", &c), -ENOENT);
    }
}
END_TEST

/* One that goes while it is looked at, and comes back. */
START_TEST(vanishes)
{
    static const char *const files[][2] = {{"memory.usage_in_bytes", "1000\n"},
                                           {"memory.limit_in_bytes", "5000\n"},
                                           {"memory.stat", "total_inactive_file 100\ntotal_active_file 1\n"}};
    char folder[TEMP_FOLDER_MAX], path[96];
    _cleanup_(cgroup_freep) Cgroup *c = NULL;
    CgroupMemory m;

    run_make_folder(folder);
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
            FILE *f;

            snprintf(path, sizeof(path), "%s/%s", folder, files[i][0]);
            f = fopen(path, "we");
            ck_assert_ptr_nonnull(f);
            fputs(files[i][1], f);
            fclose(f);
        }
        if (!c)
            ck_assert_int_eq(cgroup_find("/nowhere", folder, &c), 0);
        ck_assert_int_eq(cgroup_read(c, &m), 0);
        ck_assert_uint_eq(m.available_bytes, 4101);
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
            snprintf(path, sizeof(path), "%s/%s", folder, files[i][0]);
            unlink(path);
        }
        ck_assert_int_eq(cgroup_read(c, &m), -ENOENT);
    }
    rmdir(folder);
}
END_TEST

START_TEST(numbers)
{
    static const struct {
        const char *text;
        int r;
        uint64_t bytes;
    } cases[] = {
        {"0\n", 0, 0},
        {"536870912\n", 0, 512 * MIB},
        {"max\n", 0, NONE},
        {"9223372036854771712\n", 0, NONE}, /* v1's */
        {"max", -EBADMSG, 0},
        {"maximum\n", -EBADMSG, 0},
        {"512", -EBADMSG, 0},
        {"-1\n", -EBADMSG, 0},
        {"18446744073709551616\n", -EBADMSG, 0},
        {"", -EBADMSG, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        uint64_t bytes = 0;

        ck_assert_msg(cgroup_number_parse(cases[i].text, &bytes) == cases[i].r, "%s", cases[i].text);
        ck_assert_uint_eq(bytes, cases[i].bytes);
    }
}
END_TEST

START_TEST(stat_that_is_none)
{
    static const struct {
        const char *text;
        int v2, v1;
    } cases[] = {
        {"inactive_file 1\nactive_file 2\n", 0, -EBADMSG},
        {"total_inactive_file 1\ntotal_active_file 2\n", -EBADMSG, 0},
        {"inactive_file 1\nactive_file 2", -EBADMSG, -EBADMSG},
        {"inactive_file 1\nactive_file -2\n", -EBADMSG, -EBADMSG},
        {"inactive_file 1\nactive_file 99999999999999999999\n", -EBADMSG, -EBADMSG},
        {"inactive_file 1\n", -EBADMSG, -EBADMSG},
        {"", -EBADMSG, -EBADMSG},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        CgroupStat s;

        ck_assert_msg(cgroup_stat_parse(cases[i].text, true, &s) == cases[i].v2, "%s", cases[i].text);
        ck_assert_msg(cgroup_stat_parse(cases[i].text, false, &s) == cases[i].v1, "%s", cases[i].text);
    }
}
END_TEST

/* The best count that the kernel has. */
START_TEST(swapped_in)
{
    static const struct {
        const char *text;
        bool v2;
        uint64_t pages;
    } cases[] = {
        {"inactive_file 1\nactive_file 2\npswpin 3\nworkingset_refault_anon 4\n", true, 3},
        {"inactive_file 1\nactive_file 2\nworkingset_refault_anon 4\npswpin 0\n", true, 0},
        {"inactive_file 1\nactive_file 2\nworkingset_refault_anon 4\n", true, 4},
        {"inactive_file 1\nactive_file 2\nworkingset_refault 4\n", true, CGROUP_NO_COUNT},
        {"total_inactive_file 1\ntotal_active_file 2\ntotal_workingset_refault_anon 5\n", false, 5},
        {"total_inactive_file 1\ntotal_active_file 2\nworkingset_refault_anon 5\n", false, CGROUP_NO_COUNT},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        CgroupStat s;

        ck_assert_int_eq(cgroup_stat_parse(cases[i].text, cases[i].v2, &s), 0);
        ck_assert_uint_eq(s.swap_in_pages, cases[i].pages);
    }
}
END_TEST

START_TEST(mounts)
{
    char long_path[PATH_MAX + 32];
    CgroupMounts m;

    cgroup_mounts_parse("proc /proc proc rw 0 0\n"
                        "cgroup2 /a\\040b\\134c cgroup2 rw 0 0\n"
                        "cgroup2 /second cgroup2 rw 0 0\n"
                        "cgroup /x cgroup rw,cpu 0 0\n"
                        "cgroup /m\\04 cgroup rw,memory 0 0\n"
                        "cgroup",
                        &m);
    ck_assert_str_eq(m.v2, "/a b\\c");
    ck_assert_str_eq(m.v1_memory, "/m\\04");

    memset(long_path, 'x', sizeof(long_path));
    memcpy(long_path, "n ", 2);
    strcpy(long_path + sizeof(long_path) - 12, " cgroup2 r\n");
    cgroup_mounts_parse(long_path, &m);
    ck_assert_str_eq(m.v2, "");
}
END_TEST

/* fusermount lets each user mount a thousand file systems, on folders with names of any length. */
START_TEST(a2_a_user_with_many_mounts)
{
    static char text[4 * 1024 * 1024];
    char folder[TEMP_FOLDER_MAX];
    CgroupMounts m;
    int n = 0;

    for (unsigned i = 0; i < 1000; i++)
        n += snprintf(text + n, sizeof(text) - (size_t) n, "fs /home/user/%04000u fuse.fs rw 0 0\n", i);
    (void) snprintf(text + n, sizeof(text) - (size_t) n, "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
    make_proc(folder, text);
    ck_assert_int_eq(cgroup_mounts_read(folder, &m), 0);
    ck_assert_str_eq(m.v2, "/sys/fs/cgroup");
    ck_assert_str_eq(m.v1_memory, "");
    remove_proc(folder);
    ck_assert_int_eq(cgroup_mounts_read(folder, &m), -ENOENT);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("cgroup");

    tcase_add_test(tc, what_is_left);
    tcase_add_test(tc, found_by_path);
    tcase_add_test(tc, found_by_name);
    tcase_add_test(tc, vanishes);
    tcase_add_test(tc, numbers);
    tcase_add_test(tc, stat_that_is_none);
    tcase_add_test(tc, swapped_in);
    tcase_add_test(tc, mounts);
    tcase_add_test(tc, a2_a_user_with_many_mounts);
    return run_tests(tc);
}
