/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which way the lever helper takes through which kernel, what it says of those that are missing, and that it
 * puts back what it changes. A folder has the kernel's files; real kernels are in tests/lab/test_levers.py.
 * */

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/macro.h"
#include "guest-agent/lever-kernel.h"
#include "tests/unit/run.h"
#include "tests/unit/temp-folder.h"

/* Files of the kernel that do with a write what memory.reclaim does: take a number and refuse an argument
 * after it, as before Linux 6.9; or refuse everybody. */
#define TAKES_A_NUMBER "/proc/self/coredump_filter"
#define REFUSES        "/proc/sys/kernel/random/boot_id"

#define ALL (LEVER_CAN_COMPACT | LEVER_CAN_RECLAIM_FILE | LEVER_CAN_RECLAIM_ANON)

static char folder[TEMP_FOLDER_MAX], proc[64], sys[64], run[64];
static LeverKernel kernel;

static const char lru_gen[] = "memcg 1 /\n node 0\n 0 9000 0 100\n 1 8000 0 100\n 2 7000 0 1\n 3 10 0 1\n"
                              "memcg 2 /a\n node 0\n 0 9500 0 100\n 1 7500 0 100\n 2 7000 0 1\n 3 10 0 1\n";

typedef enum Mount { V2, V1, HYBRID, NOT_MOUNTED } Mount;

static void make_mounts(Mount mount)
{
    char text[256];

    if (mount == NOT_MOUNTED)
        snprintf(text, sizeof(text), "proc /proc proc rw 0 0\n");
    else
        snprintf(text, sizeof(text), "%s%s%s%s%s%s", mount != V2 ? "cgroup " : "", mount != V2 ? folder : "",
                 mount != V2 ? "/v1 cgroup rw,memory 0 0\n" : "", mount != V1 ? "cgroup2 " : "",
                 mount != V1 ? folder : "", mount != V1 ? "/cgroup cgroup2 rw 0 0\n" : "");
    temp_file(proc, "mounts", text);
}

static void make_vmstat(uint64_t steal_file, uint64_t steal_anon)
{
    char text[256];

    snprintf(text, sizeof(text), "pgfault 1\npgmajfault 1\npgsteal_anon %llu\npgsteal_file %llu\n",
             (unsigned long long) steal_anon, (unsigned long long) steal_file);
    temp_file(proc, "vmstat", text);
}

/* reclaim: what memory.reclaim is: NULL: missing; "": a file that takes everything, as since Linux 6.9. */
static void make_reclaim(const char *reclaim)
{
    char path[128];

    temp_file(folder, "cgroup/cgroup.procs", "");
    snprintf(path, sizeof(path), "%s/cgroup/memory.reclaim", folder);
    if (reclaim && reclaim[0])
        ck_assert_int_eq(symlink(reclaim, path), 0);
    else if (reclaim)
        temp_file(folder, "cgroup/memory.reclaim", "");
}

static void setup(void)
{
    temp_folder_init(folder);
    snprintf(proc, sizeof(proc), "%s/proc", folder);
    snprintf(sys, sizeof(sys), "%s/sys", folder);
    snprintf(run, sizeof(run), "%s/run", folder);
    for (const char *const *p = (const char *const[]){proc, sys, run, NULL}; *p; p++)
        ck_assert_int_eq(mkdir(*p, 0755), 0);
    temp_file(proc, "sys/vm/compact_memory", "");
    temp_file(proc, "sys/vm/swappiness", "60\n");
    temp_file(run, "levers", "");
    temp_meminfo(proc, 512 * MIB, 256 * MIB, 64 * MIB, 64 * MIB);
    make_vmstat(1000, 500);
    make_mounts(V2);
    ck_assert_int_eq(lever_kernel_init(&kernel, proc, sys, run), 0);
}

static void teardown(void)
{
    lever_kernel_done(&kernel);
    temp_folder_done(folder);
}

static LeverAnswer ask(LeverVerb verb, uint64_t bytes)
{
    LeverAnswer a;

    lever_kernel_serve(&kernel, &(LeverRequest){.verb = verb, .bytes = bytes}, &a);
    return a;
}

static const char *content(const char *root, const char *name)
{
    static char text[4096];
    char path[PATH_MAX];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", root, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s is missing", path);
    n = read(fd, text, sizeof(text) - 1);
    ck_assert_int_ge(n, 0);
    close(fd);
    text[n] = '\0';
    return text;
}

static bool exists(const char *root, const char *name)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", root, name);
    return access(path, F_OK) == 0;
}

typedef struct Kernel {
    const char *what;
    const char *reclaim;
    Mount mount;
    bool swap, mglru, no_compact, no_swappiness;
    ReclaimMethod method;
    uint32_t levers;
    const char *missing;
} Kernel;

static const Kernel kernels[] = {
    {"6.9 or later", "", V2, true, false, false, false, RECLAIM_METHOD_ARGUMENT, ALL, ""},
    {"6.9 or later, with ages", "", V2, true, true, false, false, RECLAIM_METHOD_ARGUMENT,
     ALL | LEVER_HAS_AGES, ""},
    {"6.9 or later, no swap", "", V2, false, false, false, false, RECLAIM_METHOD_ARGUMENT,
     LEVER_CAN_COMPACT | LEVER_CAN_RECLAIM_FILE, "anon: no swap"},
    {"6.1, no swap", TAKES_A_NUMBER, V2, false, false, false, false, RECLAIM_METHOD_PLAIN,
     LEVER_CAN_COMPACT | LEVER_CAN_RECLAIM_FILE, "anon: no swap"},
    {"6.1, no swap, with ages", TAKES_A_NUMBER, V2, false, true, false, false, RECLAIM_METHOD_PLAIN,
     LEVER_CAN_COMPACT | LEVER_CAN_RECLAIM_FILE | LEVER_HAS_AGES, "anon: no swap"},
    {"6.1", TAKES_A_NUMBER, V2, true, false, false, false, RECLAIM_METHOD_SWAPPINESS, ALL, ""},
    {"6.1 with ages", TAKES_A_NUMBER, V2, true, true, false, false, RECLAIM_METHOD_MGLRU,
     ALL | LEVER_HAS_AGES, ""},
    {"6.1, swappiness can't be set", TAKES_A_NUMBER, V2, true, false, false, true, RECLAIM_METHOD_NONE,
     LEVER_CAN_COMPACT | LEVER_CAN_RECLAIM_ANON, "reclaim: vm.swappiness is read-only"},
    {"5.10", NULL, V2, true, false, false, false, RECLAIM_METHOD_NONE, LEVER_CAN_COMPACT,
     "reclaim: needs Linux 5.19; anon: needs Linux 5.19"},
    {"cgroup v1", NULL, V1, true, false, false, false, RECLAIM_METHOD_NONE, LEVER_CAN_COMPACT,
     "reclaim: needs cgroup v2; anon: needs cgroup v2"},
    {"cgroup v1, with ages", NULL, V1, true, true, false, false, RECLAIM_METHOD_MGLRU,
     LEVER_CAN_COMPACT | LEVER_CAN_RECLAIM_FILE | LEVER_HAS_AGES, "anon: needs cgroup v2"},
    {"both versions of cgroups", NULL, HYBRID, true, false, false, false, RECLAIM_METHOD_NONE,
     LEVER_CAN_COMPACT, "reclaim: needs cgroup v2; anon: needs cgroup v2"},
    {"no cgroups", NULL, NOT_MOUNTED, true, false, true, false, RECLAIM_METHOD_NONE, 0,
     "reclaim: cgroup2 is not mounted; compact: not in this kernel"},
    {"all is denied", REFUSES, V2, true, false, false, false, RECLAIM_METHOD_NONE, LEVER_CAN_COMPACT,
     "reclaim: denied; anon: denied"},
};

START_TEST(each_kernel_has_its_way)
{
    const Kernel *k = &kernels[_i];
    LeverAnswer a;

    make_reclaim(k->reclaim);
    make_mounts(k->mount);
    temp_meminfo(proc, 512 * MIB, 256 * MIB, k->swap ? 64 * MIB : 0, 0);
    if (k->mglru) {
        temp_file(sys, "kernel/mm/lru_gen/enabled", "0x0007\n");
        temp_file(sys, "kernel/debug/lru_gen", lru_gen);
    }
    if (k->no_compact)
        temp_file(proc, "sys/vm/compact_memory", NULL);
    if (k->no_swappiness)
        temp_file(proc, "sys/vm/swappiness", NULL);

    a = ask(LEVER_PROBE, 0);
    ck_assert_int_eq(a.error, 0);
    ck_assert_msg(a.levers == k->levers, "%s: levers %u, not %u", k->what, a.levers, k->levers);
    ck_assert_msg(strcmp(a.missing, k->missing) == 0, "%s: missing: %s", k->what, a.missing);
    ck_assert_msg(kernel.logged_method == (int) k->method, "%s: method %d", k->what, kernel.logged_method);

    a = ask(LEVER_RECLAIM_FILE, 4 * MIB);
    ck_assert_msg(a.error == (k->method == RECLAIM_METHOD_NONE ? -EOPNOTSUPP : 0), "%s: error %d", k->what,
                  a.error);
    a = ask(LEVER_RECLAIM_ANON, 4 * MIB);
    ck_assert_msg(a.error == (k->levers & LEVER_CAN_RECLAIM_ANON ? 0 : -EOPNOTSUPP), "%s: error %d", k->what,
                  a.error);
    a = ask(LEVER_COMPACT, 0);
    ck_assert_msg(a.error == (k->no_compact ? -EOPNOTSUPP : 0), "%s: error %d", k->what, a.error);
    if (!k->no_compact)
        ck_assert_str_eq(content(proc, "sys/vm/compact_memory"), "1");
    if (!k->no_swappiness)
        ck_assert_str_eq(content(proc, "sys/vm/swappiness"), "60\n");
    ck_assert(!exists(run, "swappiness"));
}
END_TEST

START_TEST(a_new_kernel_is_told_to_take_page_cache_only)
{
    make_reclaim("");
    ck_assert_int_eq(ask(LEVER_RECLAIM_FILE, 4 * MIB).error, 0);
    ck_assert_str_eq(content(folder, "cgroup/memory.reclaim"), "4194304 swappiness=0");
    ck_assert_int_eq(ask(LEVER_RECLAIM_ANON, 8 * MIB).error, 0);
    ck_assert_str_eq(content(folder, "cgroup/memory.reclaim"), "8388608");
    /* What is asked before never takes anything. */
    ck_assert_int_eq(ask(LEVER_PROBE, 4 * MIB).error, 0);
    ck_assert_str_eq(content(folder, "cgroup/memory.reclaim"), "0 swappiness=0");
}
END_TEST

START_TEST(the_coldest_list_gives_first)
{
    make_reclaim(TAKES_A_NUMBER);
    temp_file(sys, "kernel/mm/lru_gen/enabled", "0x0001\n");
    temp_file(sys, "kernel/debug/lru_gen", lru_gen);
    ck_assert_int_eq(ask(LEVER_RECLAIM_FILE, 4 * MIB).error, 0);
    /* As nothing was got, it went through all of them. The last is the least old that may be evicted. */
    ck_assert_int_eq(strncmp(content(sys, "kernel/debug/lru_gen"), "- 2 0 1 0 ", 10), 0);
}
END_TEST

START_TEST(requests_are_bounded)
{
    make_reclaim("");
    for (int verb = LEVER_RECLAIM_FILE; verb <= LEVER_RECLAIM_ANON; verb++) {
        ck_assert_int_eq(ask((LeverVerb) verb, 0).error, -EINVAL);
        ck_assert_int_eq(ask((LeverVerb) verb, LEVER_RECLAIM_MAX_BYTES + 1).error, -EINVAL);
        ck_assert_int_eq(ask((LeverVerb) verb, UINT64_MAX).error, -EINVAL);
        ck_assert_int_eq(ask((LeverVerb) verb, LEVER_RECLAIM_MAX_BYTES).error, 0);
    }
    ck_assert_int_eq(ask((LeverVerb) 0, 0).error, -EINVAL);
    ck_assert_int_eq(ask(LEVER_VERB_MAX, 0).error, -EINVAL);
    ck_assert_int_eq(ask((LeverVerb) 12345, 0).error, -EINVAL);
    ck_assert_int_eq(ask(LEVER_AGES, 0).error, -EOPNOTSUPP);
}
END_TEST

START_TEST(ages_are_summed_over_all_lists)
{
    uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE);
    LeverAnswer a;

    temp_file(sys, "kernel/mm/lru_gen/enabled", "0x0001\n");
    temp_file(sys, "kernel/debug/lru_gen",
              "memcg 1 /\n node 0\n 0 700000 0 100\n 1 90000 0 20\n 2 7000 0 1\n 3 10 0 1\n"
              "memcg 2 /a\n node 0\n 0 700000 0 1000\n 1 30000 0 200\n 2 7000 0 1\n 3 10 0 1\n");
    a = ask(LEVER_AGES, 0);
    ck_assert_int_eq(a.error, 0);
    ck_assert_uint_eq(a.cold_bytes[LEVER_AGE_10S], 1320 * page);
    ck_assert_uint_eq(a.cold_bytes[LEVER_AGE_60S], 1120 * page);
    ck_assert_uint_eq(a.cold_bytes[LEVER_AGE_600S], 1100 * page);
    /* Aged not so long ago: it isn't done again. */
    ck_assert_int_eq(strncmp(content(sys, "kernel/debug/lru_gen"), "memcg", 5), 0);

    temp_file(sys, "kernel/debug/lru_gen", "memcg 1 /\n node 0\n 6 700000 0 100\n 7 60000 0 20\n");
    (void) ask(LEVER_AGES, 0);
    ck_assert_str_eq(content(sys, "kernel/debug/lru_gen"), "+ 1 0 7\n");
}
END_TEST

typedef struct Leftover {
    const char *what, *note, *setting, *expected;
} Leftover;

static const Leftover leftovers[] = {
    {"nothing was changed", NULL, "60\n", "60\n"},
    {"killed while it was lowered", "60\n", "0\n", "60\n"},
    {"killed before it was lowered", "60\n", "60\n", "60\n"},
    {"the administrator has set it since", "60\n", "10\n", "10\n"},
    {"a note that isn't one", "x\n", "0\n", "0\n"},
    {"a note that was cut off", "6", "0\n", "0\n"},
    {"a note that can't be", "201\n", "0\n", "0\n"},
};

START_TEST(what_was_left_changed_is_put_back)
{
    const Leftover *l = &leftovers[_i];

    temp_file(proc, "sys/vm/swappiness", l->setting);
    if (l->note)
        temp_file(run, "swappiness", l->note);
    lever_kernel_restore(&kernel);
    ck_assert_msg(strcmp(content(proc, "sys/vm/swappiness"), l->expected) == 0, "%s: %s", l->what,
                  content(proc, "sys/vm/swappiness"));
    ck_assert_msg(!exists(run, "swappiness"), "%s: the note stays", l->what);
}
END_TEST

START_TEST(swappiness_is_lowered_and_put_back)
{
    ck_assert_int_eq(swappiness_lower(&kernel.swappiness), 0);
    ck_assert_str_eq(content(proc, "sys/vm/swappiness"), "0\n");
    ck_assert_str_eq(content(run, "swappiness"), "60\n");
    ck_assert_int_eq(swappiness_restore(&kernel.swappiness), 1);
    ck_assert_str_eq(content(proc, "sys/vm/swappiness"), "60\n");
    ck_assert(!exists(run, "swappiness"));
    ck_assert_int_eq(swappiness_restore(&kernel.swappiness), 0);

    /* Where the administrator has set it to 0. */
    temp_file(proc, "sys/vm/swappiness", "0\n");
    ck_assert_int_eq(swappiness_lower(&kernel.swappiness), 0);
    ck_assert(!exists(run, "swappiness"));
}
END_TEST

START_TEST(a16_a_note_is_no_link)
{
    char target[PATH_MAX], note[PATH_MAX], temporary[PATH_MAX];

    temp_file(folder, "other", "77\n");
    snprintf(target, sizeof(target), "%s/other", folder);
    snprintf(note, sizeof(note), "%s/swappiness", run);
    snprintf(temporary, sizeof(temporary), "%s/swappiness.new", run);
    ck_assert_int_eq(symlink(target, note), 0);
    ck_assert_int_eq(symlink(target, temporary), 0);
    temp_file(proc, "sys/vm/swappiness", "0\n");
    ck_assert_int_eq(swappiness_restore(&kernel.swappiness), -EMEDIUMTYPE);
    ck_assert_str_eq(content(proc, "sys/vm/swappiness"), "0\n");
    temp_file(proc, "sys/vm/swappiness", "60\n");
    ck_assert_int_eq(swappiness_lower(&kernel.swappiness), 0);
    ck_assert_int_eq(swappiness_restore(&kernel.swappiness), 1);
    ck_assert_str_eq(content(proc, "sys/vm/swappiness"), "60\n");
    ck_assert_str_eq(content(folder, "other"), "77\n");
}
END_TEST

START_TEST(without_a_note_nothing_is_lowered)
{
    temp_file(run, "levers", NULL);
    ck_assert_int_eq(rmdir(run), 0);
    ck_assert_int_eq(swappiness_lower(&kernel.swappiness), -ENOENT);
    ck_assert_str_eq(content(proc, "sys/vm/swappiness"), "60\n");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("lever-kernel");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, each_kernel_has_its_way, 0, (int) ELEMENTSOF(kernels));
    tcase_add_test(tc, a_new_kernel_is_told_to_take_page_cache_only);
    tcase_add_test(tc, the_coldest_list_gives_first);
    tcase_add_test(tc, requests_are_bounded);
    tcase_add_test(tc, ages_are_summed_over_all_lists);
    tcase_add_loop_test(tc, what_was_left_changed_is_put_back, 0, (int) ELEMENTSOF(leftovers));
    tcase_add_test(tc, swappiness_is_lowered_and_put_back);
    tcase_add_test(tc, a16_a_note_is_no_link);
    tcase_add_test(tc, without_a_note_nothing_is_lowered);
    return run_tests(tc);
}
