/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A guest's report holds its kernel's figures, in bytes; it leaves out those that the kernel doesn't have. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/macro.h"
#include "base/units.h"
#include "guest-agent/collect.h"
#include "tests/unit/run.h"

static char root[4096], sys_root[4096];

static void setup(void)
{
    snprintf(root, sizeof(root), "%s/tests/fixtures/proc-guest", getenv("BALLAST_SOURCE"));
    snprintf(sys_root, sizeof(sys_root), "%s/tests/fixtures/sys-guest", getenv("BALLAST_SOURCE"));
}

static const struct {
    ReportField field;
    uint64_t pages, value;
} expected[] = {
    {REPORT_MEM_TOTAL, 0, 481248 * KIB},
    {REPORT_MEM_FREE, 0, 31416 * KIB},
    {REPORT_MEM_AVAILABLE, 0, 204800 * KIB},
    {REPORT_BUFFERS, 0, 4096 * KIB},
    {REPORT_CACHED, 0, 180224 * KIB},
    {REPORT_SRECLAIMABLE, 0, 18432 * KIB},
    {REPORT_SHMEM, 0, 6144 * KIB},
    {REPORT_ANON_PAGES, 0, 163840 * KIB},
    {REPORT_DIRTY, 0, 128 * KIB},
    {REPORT_MLOCKED, 0, 2048 * KIB},
    {REPORT_SWAP_TOTAL, 0, 262140 * KIB},
    {REPORT_SWAP_FREE, 0, 200704 * KIB},
    {REPORT_LOW_WATERMARK, 75 + 2375, 0},
    {REPORT_SWAP_IN, 3000, 0},
    {REPORT_SWAP_OUT, 15000, 0},
    {REPORT_MAJOR_FAULTS, 0, 4321},
    {REPORT_FAULTS, 0, 1234567},
    {REPORT_REFAULT_ANON, 1500, 0},
    {REPORT_REFAULT_FILE, 2500, 0},
    {REPORT_SCAN_DIRECT, 9000, 0},
    {REPORT_SCAN_KSWAPD, 80000, 0},
    {REPORT_STEAL_DIRECT, 7000, 0},
    {REPORT_STEAL_KSWAPD, 60000, 0},
    {REPORT_ALLOC_STALLS, 0, 4321},
    {REPORT_OOM_KILLS, 0, 2},
    {REPORT_PSI_MEMORY_SOME_AVG10, 0, 1234},
    {REPORT_PSI_MEMORY_SOME_TOTAL, 0, 7654321},
    {REPORT_PSI_MEMORY_FULL_AVG10, 0, 307},
    {REPORT_PSI_MEMORY_FULL_TOTAL, 0, 1234567},
    {REPORT_PSI_IO_SOME_AVG10, 0, 25},
    {REPORT_PSI_IO_SOME_TOTAL, 0, 222333},
    {REPORT_PSI_IO_FULL_AVG10, 0, 10000},
    {REPORT_PSI_IO_FULL_TOTAL, 0, 111222},
    {REPORT_FREE_BLOCKS, (1 + 2) * 512 + 3 * 1024, 0},
    {REPORT_REPORTING, 0, 1},
    {REPORT_ACTIVE_FILE, 0, 60000 * KIB},
    {REPORT_INACTIVE_FILE, 0, 110000 * KIB},
    {REPORT_ACTIVE_ANON, 0, 60000 * KIB},
    {REPORT_INACTIVE_ANON, 0, 100000 * KIB},
    {REPORT_SWAP_MEMORY, 0, 131068 * KIB},
    {REPORT_SWAP_MEMORY_FREE, 0, 91068 * KIB},
    {REPORT_COMMITTED, 0, 300000 * KIB},
    {REPORT_COMMIT_LIMIT, 0, 502764 * KIB},
    {REPORT_ARC, 0, 100 * MIB},
    {REPORT_ARC_MIN, 0, 32 * MIB},
    {REPORT_COLD_10S, 0, 90 * MIB},
    {REPORT_COLD_60S, 0, 80 * MIB},
    {REPORT_COLD_600S, 0, 70 * MIB},
};

START_TEST(every_field_is_reported)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;
    uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE);
    Report r;

    ck_assert_int_eq(ELEMENTSOF(expected), REPORT_FIELD_MAX);
    ck_assert_int_eq(collector_open(&c, root, sys_root), 0);
    collector_set_cold(&c, (const uint64_t[]){90 * MIB, 80 * MIB, 70 * MIB});
    /* Twice: the files stay open and are read from their start. */
    for (int round = 0; round < 2; round++) {
        usec_t before = now_usec(CLOCK_BOOTTIME);

        ck_assert_int_eq(collector_read(&c, &r), 0);
        ck_assert_uint_ge(r.at_usec, before);
        ck_assert_uint_le(r.at_usec, now_usec(CLOCK_BOOTTIME));
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
            uint64_t value = expected[i].pages ? expected[i].pages * page : expected[i].value;

            ck_assert_msg(report_has(&r, expected[i].field), "%s is missing",
                          report_field_name(expected[i].field));
            ck_assert_msg(r.value[expected[i].field] == value, "%s: %" PRIu64 " instead of %" PRIu64,
                          report_field_name(expected[i].field), r.value[expected[i].field], value);
        }
    }
}
END_TEST

/* Folders of their own, in which tests remove and write files; the sysfs is in the procfs. */
static void make_root(void)
{
    run_make_folder(root);
    ck_assert_int_lt(snprintf(sys_root, sizeof(sys_root), "%.64s/sysfs", root), (int) sizeof(sys_root));
}

static void remove_root(void)
{
    ck_assert_int_eq(nftw(root, run_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void write_file(const char *name, const char *text)
{
    char path[sizeof(root) + 128];
    _cleanup_fclose_ FILE *f = NULL;

    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        ck_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
        *p = '/';
    }
    f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
}

#define LISTS(active_file, inactive_file, active_anon, inactive_anon)          \
    "Active(anon): " active_anon " kB\nInactive(anon): " inactive_anon " kB\n" \
    "Active(file): " active_file " kB\nInactive(file): " inactive_file " kB\n"

#define MEMINFO(total, free, available, swap_free)                                   \
    "MemTotal: " total " kB\nMemFree: " free " kB\nMemAvailable: " available " kB\n" \
    "Buffers: 0 kB\nCached: 50 kB\nSwapCached: 0 kB\nAnonPages: 0 kB\nDirty: 0 kB\n" \
    "Shmem: 0 kB\nSReclaimable: 0 kB\nMlocked: 0 kB\nSwapTotal: 10 kB\nSwapFree: " swap_free " kB\n"

START_TEST(missing_figures_are_left_out)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;
    Report r;

    write_file("meminfo", MEMINFO("1000", "900", "950", "10"));
    ck_assert_int_eq(collector_open(&c, root, sys_root), 0);
    ck_assert_int_eq(collector_read(&c, &r), 0);
    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++)
        ck_assert_msg(report_has(&r, f) == (f <= REPORT_SWAP_FREE), "%s", report_field_name(f));
}
END_TEST

START_TEST(without_meminfo_there_is_no_report)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;

    ck_assert_int_eq(collector_open(&c, root, sys_root), -ENOENT);
}
END_TEST

/* Figures from different moments must not make a report that the host refuses. */
START_TEST(a_part_is_never_more_than_the_whole)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;
    uint8_t frame[FRAME_MAX];
    Message m = {.type = MESSAGE_REPORT};

    write_file("meminfo", MEMINFO("1000", "1001", "1002", "11") LISTS("1", "2", "3", "4"));
    write_file("buddyinfo", "Node 0, zone Normal 0 0 0 0 0 0 0 0 0 0 1000000 \n");
    write_file("swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 11 0 100\n");
    write_file("zoneinfo", "Node 0, zone Normal\n  pages free 1\n        min 1000000\n        low 2000000\n"
                           "        high 3000000\n");
    ck_assert_int_eq(collector_open(&c, root, sys_root), 0);
    ck_assert_int_eq(collector_read(&c, &m.report), 0);
    ck_assert_uint_eq(m.report.value[REPORT_MEM_FREE], 1000 * KIB);
    ck_assert_uint_eq(m.report.value[REPORT_MEM_AVAILABLE], 1000 * KIB);
    ck_assert_uint_eq(m.report.value[REPORT_SWAP_FREE], 10 * KIB);
    ck_assert_uint_eq(m.report.value[REPORT_LOW_WATERMARK], 1000 * KIB);
    ck_assert_uint_eq(m.report.value[REPORT_FREE_BLOCKS], 1000 * KIB);
    ck_assert_uint_eq(m.report.value[REPORT_ACTIVE_FILE], 0);
    ck_assert_uint_eq(m.report.value[REPORT_SWAP_MEMORY], 10 * KIB);
    ck_assert_int_gt(message_pack(&m, frame), 0);
}
END_TEST

START_TEST(a_change_is_seen)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;
    Report r;

    write_file("meminfo", MEMINFO("1000", "900", "950", "10"));
    write_file("vmstat", "pgfault 1\npgmajfault 1\n");
    ck_assert_int_eq(collector_open(&c, root, sys_root), 0);
    ck_assert_int_eq(collector_read(&c, &r), 0);
    ck_assert_uint_eq(r.value[REPORT_FAULTS], 1);
    ck_assert(!report_has(&r, REPORT_SWAP_IN));
    write_file("meminfo", MEMINFO("1000", "800", "950", "10"));
    write_file("vmstat", "pgfault 20\npgmajfault 1\npswpin 4\n");
    ck_assert_int_eq(collector_read(&c, &r), 0);
    ck_assert_uint_eq(r.value[REPORT_MEM_FREE], 800 * KIB);
    ck_assert_uint_eq(r.value[REPORT_FAULTS], 20);
    ck_assert_uint_eq(r.value[REPORT_SWAP_IN], 4 * (uint64_t) sysconf(_SC_PAGESIZE));
}
END_TEST

static Report collect(Collector *c)
{
    Message m = {.type = MESSAGE_REPORT};
    uint8_t frame[FRAME_MAX];

    ck_assert_int_eq(collector_read(c, &m.report), 0);
    ck_assert_int_gt(message_pack(&m, frame), 0);
    return m.report;
}

static Report collect_once(void)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;

    ck_assert_int_eq(collector_open(&c, root, sys_root), 0);
    return collect(&c);
}

/* An active balloon without free page reporting, one with it, none at all, and files that aren't the kernel's. */
START_TEST(whether_free_page_reporting_is_on)
{
    static const struct {
        const char *features;
        int on; /* negative: not known */
    } cases[] = {
        {NULL, -1},      {"0110010000", 1}, {"0110000000", 0}, {"111111\n", 1},
        {"111110\n", 0}, {"11111\n", -1},   {"", -1},          {"yes, of course", -1},
    };

    write_file("meminfo", MEMINFO("1000", "900", "950", "10"));
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Report r;

        if (cases[i].features)
            write_file("sysfs/bus/virtio/drivers/virtio_balloon/virtio0/features", cases[i].features);
        r = collect_once();
        ck_assert_int_eq(report_has(&r, REPORT_REPORTING), cases[i].on >= 0);
        ck_assert_uint_eq(report_get(&r, REPORT_REPORTING), cases[i].on > 0);
    }
}
END_TEST

/* Free memory in blocks that are too small to be reported isn't counted. */
START_TEST(which_blocks_free_page_reporting_reaches)
{
    const uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE), pmd = 8 * page; /* order 3 */
    static const struct {
        const char *order;
        bool huge;
        uint64_t pages;
    } cases[] = {
        {NULL, false, 8},                 /* the largest blocks that there are */
        {NULL, true, 8},                  /* those of a huge page */
        {"1\n", true, 4 + 2 + 8},         /* as an administrator set it … */
        {"0\n", true, 1 + 4 + 2 + 2 + 8}, /* … down to single pages */
        {"-1\n", true, 8},                /* no device has set it yet */
        {"21\n", true, 8},
        {"nonsense", true, 8},
    };
    char text[32];

    write_file("meminfo", MEMINFO("1000", "900", "950", "10"));
    write_file("buddyinfo", "Node 0, zone      DMA      1      0      1      0 \n"
                            "Node 0, zone   Normal      2      1      0      1 \n");
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Report r;

        if (cases[i].order)
            write_file("sysfs/module/page_reporting/parameters/page_reporting_order", cases[i].order);
        if (cases[i].huge) {
            snprintf(text, sizeof(text), "%" PRIu64 "\n", pmd);
            write_file("sysfs/kernel/mm/transparent_hugepage/hpage_pmd_size", text);
        }
        r = collect_once();
        ck_assert_msg(report_get(&r, REPORT_FREE_BLOCKS) == cases[i].pages * page, "%zu: %" PRIu64 " pages",
                      i, report_get(&r, REPORT_FREE_BLOCKS) / page);
    }
}
END_TEST

START_TEST(overcommit_counts_only_where_it_is_strict)
{
    Report r;

    write_file("meminfo", MEMINFO("1000", "900", "950", "10") "CommitLimit: 500 kB\nCommitted_AS: 600 kB\n");
    write_file("sys/vm/overcommit_memory", "0\n");
    r = collect_once();
    ck_assert(!report_has(&r, REPORT_COMMITTED) && !report_has(&r, REPORT_COMMIT_LIMIT));

    write_file("sys/vm/overcommit_memory", "2\n");
    r = collect_once();
    ck_assert_uint_eq(report_get(&r, REPORT_COMMIT_LIMIT), 500 * KIB);
    ck_assert_uint_eq(report_get(&r, REPORT_COMMITTED), 600 * KIB);

    /* vm.overcommit_kbytes as large as it can be: the rest is reported all the same. */
    write_file("meminfo", MEMINFO("1000", "900", "950",
                                  "10") "CommitLimit: 18446744073709551612 kB\nCommitted_AS: 600 kB\n");
    r = collect_once();
    ck_assert(!report_has(&r, REPORT_COMMIT_LIMIT));
    write_file("meminfo", MEMINFO("1000", "900", "950",
                                  "10") "CommitLimit: 18014398509481983 kB\nCommitted_AS: 600 kB\n");
    r = collect_once();
    ck_assert_uint_eq(report_get(&r, REPORT_COMMIT_LIMIT), GUEST_MEMORY_MAX_BYTES);
}
END_TEST

START_TEST(new_swap_is_looked_at)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;
    Report r;

    write_file("meminfo", MEMINFO("1000", "900", "950", "10"));
    write_file("swaps", "Filename Type Size Used Priority\n/dev/vda2 partition 10 0 -2\n");
    ck_assert_int_eq(collector_open(&c, root, sys_root), 0);
    r = collect(&c);
    ck_assert(report_has(&r, REPORT_SWAP_MEMORY));
    ck_assert_uint_eq(report_get(&r, REPORT_SWAP_MEMORY), 0);

    write_file("meminfo",
               "MemTotal: 1000 kB\nMemFree: 900 kB\nBuffers: 0 kB\nCached: 50 kB\nSwapTotal: 14 kB\n"
               "SwapFree: 14 kB\n");
    ck_assert(!report_has(&r, REPORT_SWAP_MEMORY_FREE));
    write_file("swaps", "Filename Type Size Used Priority\n/dev/vda2 partition 10 0 -2\n"
                        "/dev/zram0 partition 4 0 100\n");
    r = collect(&c);
    ck_assert_uint_eq(report_get(&r, REPORT_SWAP_MEMORY), 4 * KIB);
    ck_assert_uint_eq(report_get(&r, REPORT_SWAP_MEMORY_FREE), 4 * KIB);
    /* What is used of it changes all the time. */
    write_file("swaps", "Filename Type Size Used Priority\n/dev/vda2 partition 10 0 -2\n"
                        "/dev/zram0 partition 4 3 100\n");
    r = collect(&c);
    ck_assert_uint_eq(report_get(&r, REPORT_SWAP_MEMORY_FREE), KIB);
}
END_TEST

START_TEST(cold_cache_is_known_only_if_somebody_says_so)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;
    const uint64_t cold[] = {300 * KIB, 200 * KIB, 900 * KIB};
    Report r;

    write_file("meminfo", MEMINFO("1000", "100", "950", "10") LISTS("200", "250", "0", "0"));
    ck_assert_int_eq(collector_open(&c, root, sys_root), 0);
    collector_set_cold(&c, cold);
    r = collect(&c);
    ck_assert_uint_eq(report_get(&r, REPORT_COLD_10S), 300 * KIB);
    ck_assert_uint_eq(report_get(&r, REPORT_COLD_60S), 200 * KIB);
    ck_assert_uint_eq(report_get(&r, REPORT_COLD_600S), 200 * KIB); /* never more than what is warmer */

    collector_set_cold(&c, NULL);
    r = collect(&c);
    ck_assert(!report_has(&r, REPORT_COLD_10S) && !report_has(&r, REPORT_COLD_600S));
}
END_TEST

START_TEST(boot_id)
{
    char id[37];

    ck_assert_int_eq(read_boot_id(root, id), 0);
    ck_assert_str_eq(id, "5f0c5ee2-7a1d-4b58-9f0e-2d6c1b6a3e47");
    ck_assert_int_eq(read_boot_id("/nonexistent", id), -ENOENT);
}
END_TEST

int main(void)
{
    TCase *fixture = tcase_create("fixture"), *own = tcase_create("own");

    tcase_add_checked_fixture(fixture, setup, NULL);
    tcase_add_test(fixture, every_field_is_reported);
    tcase_add_test(fixture, boot_id);
    tcase_add_checked_fixture(own, make_root, remove_root);
    tcase_add_test(own, missing_figures_are_left_out);
    tcase_add_test(own, without_meminfo_there_is_no_report);
    tcase_add_test(own, a_part_is_never_more_than_the_whole);
    tcase_add_test(own, a_change_is_seen);
    tcase_add_test(own, whether_free_page_reporting_is_on);
    tcase_add_test(own, which_blocks_free_page_reporting_reaches);
    tcase_add_test(own, overcommit_counts_only_where_it_is_strict);
    tcase_add_test(own, new_swap_is_looked_at);
    tcase_add_test(own, cold_cache_is_known_only_if_somebody_says_so);
    return run_cases((TCase *[]){fixture, own}, 2);
}
