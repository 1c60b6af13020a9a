/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host as it is watched, over several readings of a /proc and a /sys that change meanwhile. */

#include <fcntl.h>

#include "base/log.h"
#include "host-agent/sense/host-watch.h"
#include "tests/unit/caught-log.h"
#include "tests/unit/run.h"
#include "tests/unit/temp-folder.h"

#define SEC USEC_PER_SEC

static const SizeOrRatio nothing;

typedef struct Scene {
    char folder[TEMP_FOLDER_MAX];
    sd_event *event;
    HostWatch w;
    int log;
} Scene;

static void on_pressure(void *userdata)
{
}

/* A host of 64 GiB, 16 of them available, with 8 GiB of swap. */
static void scene_init(Scene *x)
{
    *x = (Scene){.log = stderr_pipe()};
    log_open(LOG_INFO);
    temp_folder_init(x->folder);
    temp_meminfo(x->folder, 64 * GIB, 16 * GIB, 8 * GIB, 6 * GIB);
    ck_assert_int_ge(sd_event_new(&x->event), 0);
    host_watch_init(&x->w, x->event, x->folder, x->folder, NULL, NULL);
}

static void scene_done(Scene *x)
{
    host_watch_done(&x->w);
    sd_event_unref(x->event);
    temp_folder_done(x->folder);
}

static void expect(const Scene *x, HostField field, double value)
{
    ck_assert(host_fields_has(&x->w.fields, field));
    ck_assert_double_eq(host_fields_get(&x->w.fields, field), value);
}

START_TEST(test_read)
{
    Scene x;

    scene_init(&x);
    ck_assert(!x.w.valid);
    ck_assert_int_eq(host_watch_read(&x.w, nothing, 5 * SEC), 0);
    ck_assert(x.w.valid);
    ck_assert_uint_eq(x.w.sample.at_usec, 5 * SEC);
    expect(&x, HOST_FIELD_TOTAL, 64.0 * GIB);
    expect(&x, HOST_FIELD_AVAILABLE, 16.0 * GIB);
    expect(&x, HOST_FIELD_FREE, 8.0 * GIB);
    expect(&x, HOST_FIELD_SWAP_FREE, 6.0 * GIB);
    expect(&x, HOST_FIELD_RESERVE, 0);
    ck_assert_uint_eq(x.w.reserve_bytes, 0);
    ck_assert(!host_fields_has(&x.w.fields, HOST_FIELD_KSM_RUN));
    ck_assert_str_eq(host_watch_source(&x.w), x.folder);
    ck_assert_uint_eq(caught_lines(x.log, ""), 0);
    scene_done(&x);
}
END_TEST

/* The reserve, as a size or as a share of the total; it may change with each reading. */
START_TEST(test_reserve)
{
    Scene x;

    scene_init(&x);
    ck_assert_int_eq(host_watch_read(&x.w, (SizeOrRatio){.bytes = 3 * GIB}, SEC), 0);
    ck_assert_uint_eq(x.w.reserve_bytes, 3 * GIB);
    expect(&x, HOST_FIELD_AVAILABLE, 13.0 * GIB);
    expect(&x, HOST_FIELD_RESERVE, 3.0 * GIB);
    expect(&x, HOST_FIELD_TOTAL, 64.0 * GIB);
    ck_assert_int_eq(host_watch_read(&x.w, (SizeOrRatio){.ratio = 0.125}, SEC), 0);
    ck_assert_uint_eq(x.w.reserve_bytes, 8 * GIB);
    expect(&x, HOST_FIELD_AVAILABLE, 8.0 * GIB);
    ck_assert_int_eq(host_watch_read(&x.w, (SizeOrRatio){.bytes = 20 * GIB}, SEC), 0);
    expect(&x, HOST_FIELD_AVAILABLE, 0);
    scene_done(&x);
}
END_TEST

START_TEST(test_swapped)
{
    Scene x;

    scene_init(&x);
    ck_assert_int_eq(host_watch_read(&x.w, nothing, 1 * SEC), 0);
    ck_assert_uint_eq(x.w.swapped_usec, 0); /* what was used before says nothing */
    ck_assert_int_eq(host_watch_read(&x.w, nothing, 2 * SEC), 0);
    ck_assert_uint_eq(x.w.swapped_usec, 0);
    temp_meminfo(x.folder, 64 * GIB, 16 * GIB, 8 * GIB, 6 * GIB - 64 * KIB);
    ck_assert_int_eq(host_watch_read(&x.w, nothing, 3 * SEC), 0);
    ck_assert_uint_eq(x.w.swapped_usec, 3 * SEC);
    ck_assert_int_eq(host_watch_read(&x.w, nothing, 4 * SEC), 0);
    ck_assert_uint_eq(x.w.swapped_usec, 3 * SEC);
    /* It swaps in, or gets more of it. */
    temp_meminfo(x.folder, 64 * GIB, 16 * GIB, 16 * GIB, 14 * GIB);
    ck_assert_int_eq(host_watch_read(&x.w, nothing, 5 * SEC), 0);
    ck_assert_uint_eq(x.w.swapped_usec, 3 * SEC);
    scene_done(&x);
}
END_TEST

static void write_count(const Scene *x, const char *file, const char *before, const char *key, unsigned pages)
{
    char text[256];

    (void) snprintf(text, sizeof(text), "%s%s %u\n", before, key, pages);
    temp_file(x->folder, file, text);
}

static void read_at(Scene *x, usec_t now)
{
    ck_assert_int_eq(host_watch_read(&x->w, nothing, now), 0);
}

/* What is swapped in is a rate over a second at least, however often the host is read. */
START_TEST(test_swapping)
{
    const char *others = "pgfault 1\npgmajfault 1\n";
    const double page = (double) sysconf(_SC_PAGESIZE);
    Scene x;

    scene_init(&x);
    write_count(&x, "vmstat", others, "pswpin", 1000);
    read_at(&x, 10 * SEC);
    ck_assert(!host_fields_has(&x.w.fields, HOST_FIELD_SWAPPING));
    read_at(&x, 10 * SEC + 50 * USEC_PER_MSEC);
    ck_assert(!host_fields_has(&x.w.fields, HOST_FIELD_SWAPPING));
    write_count(&x, "vmstat", others, "pswpin", 1200);
    read_at(&x, 12 * SEC);
    expect(&x, HOST_FIELD_SWAPPING, 100 * page);
    read_at(&x, 12 * SEC + 50 * USEC_PER_MSEC);
    expect(&x, HOST_FIELD_SWAPPING, 100 * page);
    host_watch_set_faults(&x.w, 5000); /* isn't needed here */
    read_at(&x, 13 * SEC);
    expect(&x, HOST_FIELD_SWAPPING, 0);
    write_count(&x, "vmstat", others, "pswpin", 7); /* it began again */
    read_at(&x, 14 * SEC);
    ck_assert(!host_fields_has(&x.w.fields, HOST_FIELD_SWAPPING));
    scene_done(&x);
}
END_TEST

/* A cgroup whose kernel counts it, one whose kernel counts what was read back soon, and one where the guests' major faults
 * stand in. */
START_TEST(test_swapping_of_a_scope)
{
    const char *others = "active_file 0\ninactive_file 0\n";
    const double page = (double) sysconf(_SC_PAGESIZE);
    char why[HOST_WATCH_WHY_MAX];
    Cgroup *scope = NULL;
    char path[96];
    Scene x;

    scene_init(&x);
    temp_file(x.folder, "group/memory.max", "1073741824\n");
    temp_file(x.folder, "group/memory.high", "max\n");
    temp_file(x.folder, "group/memory.current", "536870912\n");
    temp_file(x.folder, "group/memory.stat", others);
    (void) snprintf(path, sizeof(path), "%s/group", x.folder);
    ck_assert_int_eq(host_watch_find_scope(x.folder, path, &scope, why), 0);
    host_watch_set_scope(&x.w, scope);
    read_at(&x, 10 * SEC);
    read_at(&x, 11 * SEC);
    ck_assert(!host_fields_has(&x.w.fields, HOST_FIELD_SWAPPING));
    host_watch_set_faults(&x.w, 5000);
    read_at(&x, 12 * SEC);
    expect(&x, HOST_FIELD_SWAPPING, 5000);
    write_count(&x, "group/memory.stat", others, "workingset_refault_anon", 7);
    read_at(&x, 13 * SEC);
    write_count(&x, "group/memory.stat", others, "workingset_refault_anon", 27);
    read_at(&x, 15 * SEC);
    expect(&x, HOST_FIELD_SWAPPING, 10 * page);
    others = "active_file 0\ninactive_file 0\nworkingset_refault_anon 50\n";
    write_count(&x, "group/memory.stat", others, "pswpin", 100);
    read_at(&x, 17 * SEC);
    write_count(&x, "group/memory.stat", others, "pswpin", 300);
    read_at(&x, 19 * SEC);
    expect(&x, HOST_FIELD_SWAPPING, 100 * page);
    scene_done(&x);
}
END_TEST

#define SWAPS \
    "Filename Type Size Used Priority\n/dev/sda2 partition 6291456 %s -2\n/dev/zram0 partition 2097152 %s 100\n"

static void write_swaps(const Scene *x, const char *disk_kib, const char *zram_kib)
{
    char text[256];

    (void) snprintf(text, sizeof(text), SWAPS, disk_kib, zram_kib);
    temp_file(x->folder, "swaps", text);
}

/* Swap that the host keeps in its own memory is no room; of the rest as much is free as its disks have. */
START_TEST(test_e_zram_of_the_host_is_no_swap)
{
    GuardConfig guard = GUARD_CONFIG_DEFAULT;
    Scene x;

    scene_init(&x); /* 8 GiB, 6 of them free */
    write_swaps(&x, "0", "2097152");
    read_at(&x, SEC);
    expect(&x, HOST_FIELD_SWAP_TOTAL, 6.0 * GIB);
    expect(&x, HOST_FIELD_SWAP_FREE, 6.0 * GIB);
    expect(&x, HOST_FIELD_SWAP_USED, 0);
    expect(&x, HOST_FIELD_SWAP_MEMORY, 2.0 * GIB);
    ck_assert_double_eq(guard_caution(&guard, &x.w.fields), 1);
    /* The zram is free again, and the disk isn't. */
    write_swaps(&x, "2097152", "0");
    read_at(&x, 2 * SEC);
    expect(&x, HOST_FIELD_SWAP_FREE, 4.0 * GIB);
    expect(&x, HOST_FIELD_SWAP_USED, 2.0 * GIB);
    ck_assert_uint_eq(x.w.swapped_usec, 0);
    /* To swap to it is to swap. */
    temp_meminfo(x.folder, 64 * GIB, 16 * GIB, 8 * GIB, 6 * GIB - 64 * KIB);
    write_swaps(&x, "2097152", "64");
    read_at(&x, 3 * SEC);
    expect(&x, HOST_FIELD_SWAP_FREE, 4.0 * GIB);
    ck_assert_uint_eq(x.w.swapped_usec, 3 * SEC);
    /* No more than zram: as no swap at all. */
    temp_meminfo(x.folder, 64 * GIB, 16 * GIB, 2 * GIB, 2 * GIB);
    temp_file(x.folder, "swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 2097152 0 100\n");
    read_at(&x, 4 * SEC);
    expect(&x, HOST_FIELD_SWAP_TOTAL, 0);
    expect(&x, HOST_FIELD_SWAP_FREE, 0);
    ck_assert_double_eq(guard_caution(&guard, &x.w.fields), 2);
    scene_done(&x);
}
END_TEST

/* Those from before the first reading, and of another scope, don't count. */
START_TEST(test_c_oom_kills_are_counted)
{
    const char *others = "pgfault 1\npgmajfault 1\n";
    char why[HOST_WATCH_WHY_MAX], path[96];
    Cgroup *scope = NULL;
    Scene x;

    scene_init(&x);
    write_count(&x, "vmstat", others, "oom_kill", 3);
    read_at(&x, SEC);
    read_at(&x, 2 * SEC);
    ck_assert_uint_eq(x.w.oom.killed_usec, 0);
    write_count(&x, "vmstat", others, "oom_kill", 5);
    read_at(&x, 3 * SEC);
    read_at(&x, 4 * SEC);
    ck_assert_uint_eq(x.w.oom.kills, 2);
    ck_assert_uint_eq(x.w.oom.killed_usec, 3 * SEC);

    temp_file(x.folder, "group/memory.max", "1073741824\n");
    temp_file(x.folder, "group/memory.high", "max\n");
    temp_file(x.folder, "group/memory.current", "536870912\n");
    write_count(&x, "group/memory.stat", "active_file 0\ninactive_file 0\npgsteal_direct 7\n",
                "pgscan_direct", 9);
    write_count(&x, "group/memory.events", "oom 20\n", "oom_kill", 20);
    (void) snprintf(path, sizeof(path), "%s/group", x.folder);
    ck_assert_int_eq(host_watch_find_scope(x.folder, path, &scope, why), 0);
    host_watch_set_scope(&x.w, scope);
    read_at(&x, 5 * SEC);
    expect(&x, HOST_FIELD_OOM_KILLS, 20);
    expect(&x, HOST_FIELD_SCAN_DIRECT, 9.0 * (double) sysconf(_SC_PAGESIZE));
    expect(&x, HOST_FIELD_STEAL_DIRECT, 7.0 * (double) sysconf(_SC_PAGESIZE));
    ck_assert(!host_fields_has(&x.w.fields, HOST_FIELD_ALLOC_STALLS));
    ck_assert_uint_eq(x.w.oom.kills, 2);
    write_count(&x, "group/memory.events", "oom 21\n", "oom_kill", 21);
    read_at(&x, 6 * SEC);
    ck_assert_uint_eq(x.w.oom.kills, 3);
    ck_assert_uint_eq(x.w.oom.killed_usec, 6 * SEC);
    temp_file(x.folder, "group/memory.events", "oom 21\n"); /* an old kernel */
    read_at(&x, 7 * SEC);
    ck_assert(!host_fields_has(&x.w.fields, HOST_FIELD_OOM_KILLS));
    scene_done(&x);
}
END_TEST

START_TEST(test_cannot_be_read)
{
    Scene x;

    scene_init(&x);
    ck_assert_int_eq(host_watch_read(&x.w, nothing, 1 * SEC), 0);
    temp_file(x.folder, "meminfo", NULL);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(host_watch_read(&x.w, nothing, 2 * SEC), -ENOENT);
        ck_assert(!x.w.valid);
    }
    expect(&x, HOST_FIELD_AVAILABLE, 16.0 * GIB); /* as last read */
    ck_assert_uint_eq(caught_lines(x.log, "Cannot read the host's memory from"), 1);

    /* How much swap went meanwhile isn't known to be of now. */
    temp_meminfo(x.folder, 64 * GIB, 15 * GIB, 8 * GIB, 5 * GIB);
    ck_assert_int_eq(host_watch_read(&x.w, nothing, 3 * SEC), 0);
    ck_assert(x.w.valid);
    ck_assert_uint_eq(x.w.swapped_usec, 0);
    expect(&x, HOST_FIELD_AVAILABLE, 15.0 * GIB);

    temp_file(x.folder, "meminfo", "MemTotal: many kB\n");
    ck_assert_int_lt(host_watch_read(&x.w, nothing, 4 * SEC), 0);
    ck_assert_uint_eq(caught_lines(x.log, "Cannot read the host's memory from"), 1);
    scene_done(&x);
}
END_TEST

START_TEST(test_zfs)
{
    Scene x;

    scene_init(&x);
    temp_file(x.folder, "spl/kstat/zfs/arcstats", "nonsense\n");
    ck_assert_int_eq(host_watch_read(&x.w, nothing, SEC), 0);
    ck_assert_int_eq(host_watch_read(&x.w, nothing, SEC), 0);
    ck_assert_uint_eq(caught_lines(x.log, "Cannot read the size of ZFS's cache"), 1);
    expect(&x, HOST_FIELD_AVAILABLE, 16.0 * GIB);
    scene_done(&x);
}
END_TEST

/* Each failure that is logged once is followed by its end, with how long it lasted. */
START_TEST(test_c1_what_can_be_read_again_is_logged)
{
    static const struct {
        const char *file, *bad, *good, *failed, *again;
    } rows[] = {
        {"meminfo", NULL, NULL, "Cannot read the host's memory from",
         "The host's memory can be read again, after 1min 30s"},
        {"spl/kstat/zfs/arcstats", "nonsense\n", NULL, "Cannot read the size of ZFS's cache",
         "The size of ZFS's cache can be read again, after 1min 30s"},
        {"kernel/mm/ksm/run", "on\n", "0\n", "Cannot read KSM's state",
         "KSM's state can be read again, after 1min 30s"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Scene x;

        scene_init(&x);
        ck_assert_int_eq(host_watch_read(&x.w, nothing, SEC), 0);
        for (unsigned round = 0; round < 2; round++) {
            temp_file(x.folder, rows[i].file, rows[i].bad);
            for (unsigned k = 0; k < 3; k++)
                (void) host_watch_read(&x.w, nothing, (10 + k) * SEC);
            ck_assert_uint_eq(caught_lines(x.log, rows[i].failed), 1);
            if (i == 0)
                temp_meminfo(x.folder, 64 * GIB, 16 * GIB, 8 * GIB, 6 * GIB);
            else
                temp_file(x.folder, rows[i].file, rows[i].good);
            for (unsigned k = 0; k < 3; k++)
                ck_assert_int_eq(host_watch_read(&x.w, nothing, (100 + k) * SEC), 0);
            ck_assert_uint_eq(caught_lines(x.log, rows[i].again), 1);
        }
        ck_assert_uint_eq(caught_lines(x.log, ""), 0);
        scene_done(&x);
    }
}
END_TEST

static const char *fixture(const char *name)
{
    static char path[4096];

    (void) snprintf(path, sizeof(path), "%s/tests/fixtures/%s", getenv("BALLAST_SOURCE"), name);
    return path;
}

/* 8 GiB, of which 1 is free and 784 MiB more can be dropped. */
START_TEST(test_scope)
{
    char why[HOST_WATCH_WHY_MAX];
    Cgroup *scope = NULL;
    Scene x;

    scene_init(&x);
    ck_assert_int_eq(host_watch_read(&x.w, nothing, SEC), 0);
    ck_assert_int_eq(host_watch_find_scope(x.folder, fixture("cgroup/v2/machine.slice"), &scope, why), 0);
    ck_assert_ptr_nonnull(scope);
    host_watch_set_scope(&x.w, scope);
    ck_assert_str_eq(host_watch_source(&x.w), scope->path);
    ck_assert_int_eq(host_watch_read(&x.w, (SizeOrRatio){.ratio = 0.0625}, SEC), 0);
    expect(&x, HOST_FIELD_TOTAL, 8.0 * GIB);
    ck_assert_uint_eq(x.w.reserve_bytes, 512 * MIB); /* of the scope's total */
    expect(&x, HOST_FIELD_AVAILABLE, (double) (GIB + 784 * MIB - 512 * MIB));
    expect(&x, HOST_FIELD_SWAP_TOTAL, 2.0 * GIB);
    ck_assert(host_fields_has(&x.w.fields, HOST_FIELD_PSI_MEMORY_SOME));
    ck_assert(!host_fields_has(&x.w.fields, HOST_FIELD_CACHE)); /* of others */

    ck_assert_int_eq(host_watch_find_scope(x.folder, "system", &scope, why), 0);
    ck_assert_ptr_null(scope);
    host_watch_set_scope(&x.w, NULL);
    ck_assert_str_eq(host_watch_source(&x.w), x.folder);
    ck_assert_int_eq(host_watch_read(&x.w, nothing, SEC), 0);
    expect(&x, HOST_FIELD_TOTAL, 64.0 * GIB);
    expect(&x, HOST_FIELD_CACHE, 0);
    ck_assert(!host_fields_has(&x.w.fields, HOST_FIELD_PSI_MEMORY_SOME));
    ck_assert_uint_eq(caught_lines(x.log, ""), 0);
    scene_done(&x);
}
END_TEST

START_TEST(test_no_such_scope)
{
    char why[HOST_WATCH_WHY_MAX];
    Cgroup *scope = NULL;
    Scene x;

    scene_init(&x);
    temp_file(x.folder, "mounts", "");
    ck_assert_int_eq(host_watch_find_scope(x.folder, "no-such.slice", &scope, why), -ENOENT);
    ck_assert_ptr_null(scope);
    ck_assert_ptr_nonnull(strstr(why, "there is no such cgroup"));
    ck_assert_int_eq(host_watch_find_scope(x.folder, fixture("cgroup/v2"), &scope, why), -ENODATA);
    ck_assert_ptr_null(scope);
    ck_assert_ptr_nonnull(strstr(why, "this cgroup's memory can't be limited"));
    scene_done(&x);
}
END_TEST

/* What is left must be more than the critical threshold of a host with swap: 3.2 of 64 GiB. */
START_TEST(test_a6_a_reserve_above_the_host)
{
    static const struct {
        SizeOrRatio reserve;
        bool swap, good;
    } rows[] = {
        {{.bytes = 0}, true, true},           {{.bytes = 60 * GIB}, true, true},
        {{.bytes = 61 * GIB}, true, false},   {{.bytes = 64 * GIB}, true, false},
        {{.bytes = 1024 * TIB}, true, false}, {{.bytes = 57 * GIB}, false, true},
        {{.bytes = 60 * GIB}, false, true},   {{.ratio = 0.9}, true, true},
        {{.ratio = 0.99}, true, false},       {{.ratio = 1}, true, false},
    };
    const GuardConfig guard = GUARD_CONFIG_DEFAULT;
    char why[HOST_WATCH_WHY_MAX];
    Cgroup *scope = NULL;
    Scene x;

    scene_init(&x);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        int r;

        temp_meminfo(x.folder, 64 * GIB, 16 * GIB, rows[i].swap ? 8 * GIB : 0, 0);
        r = host_watch_check_reserve(x.folder, NULL, rows[i].reserve, &guard, why);
        ck_assert_msg(r == (rows[i].good ? 0 : -ERANGE), "row %zu: %d", i, r);
        if (r < 0 && rows[i].swap)
            ck_assert_str_eq(
                why, "this leaves guests nothing: the host has 64.0 GiB, and its critical threshold is "
                     "3.20 GiB; set less than 62259MiB, or a lower Critical= in [Guard]");
    }
    ck_assert_int_eq(host_watch_find_scope(x.folder, fixture("cgroup/v2/machine.slice"), &scope, why), 0);
    ck_assert_int_eq(host_watch_check_reserve(x.folder, scope, (SizeOrRatio){.bytes = 8 * GIB}, &guard, why),
                     -ERANGE);
    ck_assert_ptr_nonnull(strstr(why, "the cgroup has 8.00 GiB"));
    cgroup_free(scope);
    temp_file(x.folder, "meminfo", NULL); /* cycles say that it can't be read */
    ck_assert_int_eq(host_watch_check_reserve(x.folder, NULL, (SizeOrRatio){.ratio = 1}, &guard, why), 0);
    scene_done(&x);
}
END_TEST

/* KSM is the whole host's, also where the scope is a cgroup. */
START_TEST(test_ksm)
{
    char why[HOST_WATCH_WHY_MAX];
    Cgroup *scope = NULL;
    Scene x;

    scene_init(&x);
    temp_file(x.folder, "kernel/mm/ksm/run", "1\n");
    temp_file(x.folder, "kernel/mm/ksm/pages_sharing", "1000\n");
    temp_file(x.folder, "kernel/mm/ksm/sleep_millisecs", "20\n");
    ck_assert_int_eq(host_watch_find_scope(x.folder, fixture("cgroup/v2/machine.slice"), &scope, why), 0);
    host_watch_set_scope(&x.w, scope);
    ck_assert_int_eq(host_watch_read(&x.w, nothing, SEC), 0);
    expect(&x, HOST_FIELD_KSM_RUN, 1);
    expect(&x, HOST_FIELD_KSM_SHARING, 1000.0 * (double) sysconf(_SC_PAGESIZE));
    expect(&x, HOST_FIELD_KSM_SLEEP, 20.0 * (double) USEC_PER_MSEC);
    ck_assert(!host_fields_has(&x.w.fields, HOST_FIELD_KSM_PROFIT));

    /* A number that can't be understood: as on a kernel without, logged once for each time that it begins. */
    temp_file(x.folder, "kernel/mm/ksm/run", "on\n");
    ck_assert_int_eq(host_watch_read(&x.w, nothing, SEC), 0);
    ck_assert_int_eq(host_watch_read(&x.w, nothing, SEC), 0);
    ck_assert(x.w.valid);
    ck_assert(!host_fields_has(&x.w.fields, HOST_FIELD_KSM_SHARING));
    ck_assert_uint_eq(caught_lines(x.log, "Cannot read KSM's state below"), 1);
    temp_file(x.folder, "kernel/mm/ksm/run", "0\n");
    ck_assert_int_eq(host_watch_read(&x.w, nothing, SEC), 0);
    expect(&x, HOST_FIELD_KSM_RUN, 0);
    temp_file(x.folder, "kernel/mm/ksm/run", "on\n");
    ck_assert_int_eq(host_watch_read(&x.w, nothing, SEC), 0);
    ck_assert_uint_eq(caught_lines(x.log, "Cannot read KSM's state below"), 1);
    scene_done(&x);
}
END_TEST

static void expect_file(const Scene *x, const char *name, const char *expected)
{
    char path[96], text[64] = "";
    int fd;

    (void) snprintf(path, sizeof(path), "%s/%s", x->folder, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    ck_assert_str_eq(text, expected);
}

/* A trigger is asked for by writing: never to a file that isn't the kernel's. */
START_TEST(test_no_trigger_on_other_files)
{
    char path[96];
    char why[HOST_WATCH_WHY_MAX];
    Cgroup *scope = NULL;
    Scene x;

    scene_init(&x);
    temp_file(x.folder, "pressure/memory", "as it was\n");
    temp_file(x.folder, "group/memory.current", "0\n");
    temp_file(x.folder, "group/memory.pressure", "as it was\n");
    host_watch_init(&x.w, x.event, x.folder, x.folder, on_pressure, NULL);
    (void) snprintf(path, sizeof(path), "%s/group", x.folder);
    ck_assert_int_eq(host_watch_find_scope(x.folder, path, &scope, why), 0);
    host_watch_set_scope(&x.w, scope);
    ck_assert_uint_eq(caught_lines(x.log, "Cannot set a trigger on the host's memory pressure"), 1);
    ck_assert_ptr_null(x.w.psi_source);
    expect_file(&x, "pressure/memory", "as it was\n");
    expect_file(&x, "group/memory.pressure", "as it was\n");
    scene_done(&x);
}
END_TEST

/* As in the service: its user may not write to the cgroup's file, but to the host's. The kernel's own files stand in. */
START_TEST(test_a12_the_log_and_status_name_the_trigger_in_use)
{
    bool has_psi = access("/proc/pressure/memory", W_OK) == 0;
    char path[96];
    char why[HOST_WATCH_WHY_MAX];
    Cgroup *scope = NULL;
    Scene x;

    scene_init(&x);
    temp_file(x.folder, "group/memory.current", "0\n");
    temp_file(x.folder, "pressure/none", "");
    (void) snprintf(path, sizeof(path), "%s/group/memory.pressure", x.folder);
    ck_assert_int_eq(symlink("/proc/version", path), 0);
    (void) snprintf(path, sizeof(path), "%s/pressure/memory", x.folder);
    ck_assert_int_eq(symlink(has_psi ? "/proc/pressure/memory" : "/proc/version", path), 0);
    ck_assert_int_eq(chmod(x.folder, 0755), 0);
    (void) snprintf(path, sizeof(path), "%s/group", x.folder);
    ck_assert_int_eq(host_watch_find_scope(x.folder, path, &scope, why), 0);
    host_watch_init(&x.w, x.event, x.folder, x.folder, on_pressure, NULL);
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    host_watch_set_scope(&x.w, scope);
    (void) seteuid(getuid());

    if (x.w.psi_source) {
        ck_assert_str_eq(host_trigger_to_string(x.w.trigger), "host");
        ck_assert_uint_eq(
            caught_lines(x.log, "group/memory.pressure: Permission denied); it is set on the whole"), 1);
    } else { /* no PSI, or a kernel that lets only root set triggers */
        ck_assert_str_eq(host_trigger_to_string(x.w.trigger), "none");
        ck_assert_uint_eq(caught_lines(x.log, "Cannot set a trigger on the host's memory pressure"), 1);
    }

    /* Nothing is to be said of the whole host's own. */
    host_watch_set_scope(&x.w, NULL);
    ck_assert_uint_eq(caught_lines(x.log, "scope's"), 0);
    scene_done(&x);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("host-watch");

    tcase_add_test(tc, test_read);
    tcase_add_test(tc, test_reserve);
    tcase_add_test(tc, test_swapped);
    tcase_add_test(tc, test_swapping);
    tcase_add_test(tc, test_swapping_of_a_scope);
    tcase_add_test(tc, test_e_zram_of_the_host_is_no_swap);
    tcase_add_test(tc, test_c_oom_kills_are_counted);
    tcase_add_test(tc, test_cannot_be_read);
    tcase_add_test(tc, test_zfs);
    tcase_add_test(tc, test_c1_what_can_be_read_again_is_logged);
    tcase_add_test(tc, test_scope);
    tcase_add_test(tc, test_no_such_scope);
    tcase_add_test(tc, test_a6_a_reserve_above_the_host);
    tcase_add_test(tc, test_ksm);
    tcase_add_test(tc, test_no_trigger_on_other_files);
    tcase_add_test(tc, test_a12_the_log_and_status_name_the_trigger_in_use);
    return run_tests(tc);
}
