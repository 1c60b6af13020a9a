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

static char root[4096];

static void setup(void)
{
    snprintf(root, sizeof(root), "%s/tests/fixtures/proc-guest", getenv("BALLAST_SOURCE"));
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
};

START_TEST(every_field_is_reported)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;
    uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE);
    Report r;

    ck_assert_int_eq(ELEMENTSOF(expected), REPORT_FREE_BLOCKS); /* the others are collected later */
    ck_assert_int_eq(collector_open(&c, root), 0);
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

/* A folder of its own, in which tests remove and write files. */
static void make_root(void)
{
    run_make_folder(root);
}

static void remove_root(void)
{
    static const char *const names[] = {"meminfo", "vmstat", "zoneinfo"};
    char path[sizeof(root) + 16];

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, names[i]);
        unlink(path);
    }
    rmdir(root);
}

static void write_file(const char *name, const char *text)
{
    char path[sizeof(root) + 16];
    _cleanup_fclose_ FILE *f = NULL;

    snprintf(path, sizeof(path), "%s/%s", root, name);
    f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
}

#define MEMINFO(total, free, available, swap_free)                                   \
    "MemTotal: " total " kB\nMemFree: " free " kB\nMemAvailable: " available " kB\n" \
    "Buffers: 0 kB\nCached: 50 kB\nSwapCached: 0 kB\nAnonPages: 0 kB\nDirty: 0 kB\n" \
    "Shmem: 0 kB\nSReclaimable: 0 kB\nMlocked: 0 kB\nSwapTotal: 10 kB\nSwapFree: " swap_free " kB\n"

START_TEST(missing_figures_are_left_out)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;
    Report r;

    write_file("meminfo", MEMINFO("1000", "900", "950", "10"));
    ck_assert_int_eq(collector_open(&c, root), 0);
    ck_assert_int_eq(collector_read(&c, &r), 0);
    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++)
        ck_assert_msg(report_has(&r, f) == (f <= REPORT_SWAP_FREE), "%s", report_field_name(f));
}
END_TEST

START_TEST(without_meminfo_there_is_no_report)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;

    ck_assert_int_eq(collector_open(&c, root), -ENOENT);
}
END_TEST

/* Figures from different moments must not make a report that the host refuses. */
START_TEST(a_part_is_never_more_than_the_whole)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;
    uint8_t frame[FRAME_MAX];
    Message m = {.type = MESSAGE_REPORT};

    write_file("meminfo", MEMINFO("1000", "1001", "1002", "11"));
    write_file("zoneinfo", "Node 0, zone Normal\n  pages free 1\n        min 1000000\n        low 2000000\n"
                           "        high 3000000\n");
    ck_assert_int_eq(collector_open(&c, root), 0);
    ck_assert_int_eq(collector_read(&c, &m.report), 0);
    ck_assert_uint_eq(m.report.value[REPORT_MEM_FREE], 1000 * KIB);
    ck_assert_uint_eq(m.report.value[REPORT_MEM_AVAILABLE], 1000 * KIB);
    ck_assert_uint_eq(m.report.value[REPORT_SWAP_FREE], 10 * KIB);
    ck_assert_uint_eq(m.report.value[REPORT_LOW_WATERMARK], 1000 * KIB);
    ck_assert_int_gt(message_pack(&m, frame), 0);
}
END_TEST

START_TEST(a_change_is_seen)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;
    Report r;

    write_file("meminfo", MEMINFO("1000", "900", "950", "10"));
    write_file("vmstat", "pgfault 1\npgmajfault 1\n");
    ck_assert_int_eq(collector_open(&c, root), 0);
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
    return run_cases((TCase *[]){fixture, own}, 2);
}
