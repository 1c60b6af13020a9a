/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The files of kernels of three ages are parsed correctly, and text that no kernel prints is refused. */

#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/procfs.h"
#include "base/units.h"
#include "tests/unit/run.h"

static const char *fixture(const char *name)
{
    static char path[4096];
    const char *source = getenv("BALLAST_SOURCE");

    ck_assert_msg(source != NULL, "BALLAST_SOURCE is not set");
    snprintf(path, sizeof(path), "%s/tests/fixtures/%s", source, name);
    return path;
}

START_TEST(meminfo_of_kernels)
{
    static const struct {
        const char *root;
        Meminfo expected; /* KiB */
    } cases[] = {
        {"proc-6.18", {24684084, 24049764, 24305196, 2944,    430068, 4,     83060, 8872,  27024, 1736,
                       20012,    1048572,  1048512,  1052672, 267840, 72108, 1580,  34872, true,  true}},
        {"proc-6.1", {996380, 957960, 891108, 2940, 1940, 120, 9012, 1940, 88,   36,
                      64,     524284, 487068, 0,    0,    0,   1644, 284,  true, true}},
        {"proc-3.10", {1017476, 101320,  0,       20716, 473400, 1204,   80320,  3632,   238620, 92,
                       16,      2097148, 2080764, 0,     281084, 209400, 139920, 103488, false,  true}},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const Meminfo *e = &cases[i].expected;
        Meminfo m;

        ck_assert_int_eq(meminfo_read(fixture(cases[i].root), &m), 0);
        ck_assert_uint_eq(m.total, e->total * KIB);
        ck_assert_uint_eq(m.free, e->free * KIB);
        ck_assert_uint_eq(m.available, e->available * KIB);
        ck_assert_uint_eq(m.buffers, e->buffers * KIB);
        ck_assert_uint_eq(m.cached, e->cached * KIB);
        ck_assert_uint_eq(m.swap_cached, e->swap_cached * KIB);
        ck_assert_uint_eq(m.sreclaimable, e->sreclaimable * KIB);
        ck_assert_uint_eq(m.shmem, e->shmem * KIB);
        ck_assert_uint_eq(m.anon_pages, e->anon_pages * KIB);
        ck_assert_uint_eq(m.dirty, e->dirty * KIB);
        ck_assert_uint_eq(m.mlocked, e->mlocked * KIB);
        ck_assert_uint_eq(m.swap_total, e->swap_total * KIB);
        ck_assert_uint_eq(m.swap_free, e->swap_free * KIB);
        ck_assert_uint_eq(m.hugetlb, e->hugetlb * KIB);
        ck_assert_uint_eq(m.active_file, e->active_file * KIB);
        ck_assert_uint_eq(m.inactive_file, e->inactive_file * KIB);
        ck_assert_uint_eq(m.active_anon, e->active_anon * KIB);
        ck_assert_uint_eq(m.inactive_anon, e->inactive_anon * KIB);
        ck_assert_int_eq(m.has_available, e->has_available);
        ck_assert_int_eq(m.has_lists, e->has_lists);
    }
}
END_TEST

START_TEST(vmstat_of_kernels)
{
    static const struct {
        const char *root;
        Vmstat expected;
    } cases[] = {
        {"proc-6.18", {22, 33, 1893, 3934969, 11, 347793, 99, 88, 77, 66, 99, 3, 0, 0}},
        {"proc-6.1",
         {2203, 9304, 1505, 987654321, 2101, 70402, 2909, 81808, 1707, 61606, 4321, 2, 9300, 54013}},
        /* by zone: scan 4+50+600+7000, 3+40+500+6000; steal 2+30+400+5000, 1+20+300+4000 */
        {"proc-3.10",
         {301, 4404, 5505, 73100442, VMSTAT_MISSING, VMSTAT_MISSING, 7654, 6543, 5432, 4321, 618,
          VMSTAT_MISSING, VMSTAT_MISSING, VMSTAT_MISSING}},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const Vmstat *e = &cases[i].expected;
        Vmstat v;

        ck_assert_int_eq(vmstat_read(fixture(cases[i].root), &v), 0);
        ck_assert_uint_eq(v.pswpin, e->pswpin);
        ck_assert_uint_eq(v.pswpout, e->pswpout);
        ck_assert_uint_eq(v.pgmajfault, e->pgmajfault);
        ck_assert_uint_eq(v.pgfault, e->pgfault);
        ck_assert_uint_eq(v.refault_anon, e->refault_anon);
        ck_assert_uint_eq(v.refault_file, e->refault_file);
        ck_assert_uint_eq(v.scan_direct, e->scan_direct);
        ck_assert_uint_eq(v.scan_kswapd, e->scan_kswapd);
        ck_assert_uint_eq(v.steal_direct, e->steal_direct);
        ck_assert_uint_eq(v.steal_kswapd, e->steal_kswapd);
        ck_assert_uint_eq(v.allocstall, e->allocstall);
        ck_assert_uint_eq(v.oom_kill, e->oom_kill);
        ck_assert_uint_eq(v.steal_anon, e->steal_anon);
        ck_assert_uint_eq(v.steal_file, e->steal_file);
    }
}
END_TEST

START_TEST(vmstat_one_refault_counter)
{
    Vmstat v;

    /* 3.15 … 5.8 */
    ck_assert_int_eq(vmstat_parse("pgfault 1\npgmajfault 2\nworkingset_refault 33\n", &v), 0);
    ck_assert_uint_eq(v.refault_file, 33);
    ck_assert_uint_eq(v.refault_anon, VMSTAT_MISSING);
}
END_TEST

START_TEST(low_watermarks_of_kernels)
{
    static const struct {
        const char *root;
        uint64_t pages;
    } cases[] = {
        {"proc-6.18", 58 + 11945 + 9115 + 32},
        {"proc-6.1", 218 + 13860},
        {"proc-3.10", 218 + 13858},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        uint64_t pages;

        ck_assert_int_eq(zoneinfo_read_low(fixture(cases[i].root), &pages), 0);
        ck_assert_uint_eq(pages, cases[i].pages);
    }
}
END_TEST

START_TEST(pressure_of_kernels)
{
    Psi psi;

    ck_assert_int_eq(psi_read(fixture("proc-6.18"), "pressure/memory", &psi), 0);
    ck_assert_double_eq(psi.some.avg10, 0.1234);
    ck_assert_double_eq(psi.some.avg60, 0.0506);
    ck_assert_uint_eq(psi.some.total_usec, 8226017);
    ck_assert(psi.has_full);
    ck_assert_double_eq(psi.full.avg10, 0.0905);
    ck_assert_double_eq(psi.full.avg60, 0.03);
    ck_assert_uint_eq(psi.full.total_usec, 5226018);

    ck_assert_int_eq(psi_read(fixture("proc-6.18"), "pressure/io", &psi), 0);
    ck_assert_double_eq(psi.some.avg10, 1);
    ck_assert_double_eq(psi.full.avg10, 0.9999);

    ck_assert_int_eq(psi_parse("some avg10=1.00 avg60=2.00 avg300=3.00 total=4\n", &psi), 0);
    ck_assert(!psi.has_full);

    ck_assert_int_eq(psi_read(fixture("proc-6.1"), "pressure/memory", &psi), -ENOENT);
}
END_TEST

#define REST "MemFree: 1 kB\nBuffers: 1 kB\nCached: 1 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"

START_TEST(meminfo_that_is_none)
{
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {"MemTotal: 9 kB\n" REST, 0},
        {"MemTotal:9kB\n" REST, 0},
        {"Something new\nNew: 1 2 3\nMemTotal: 9 kB\n" REST, 0},
        {"MemTotal: 18014398509481983 kB\n" REST, 0},
        {"MemTotal: 18014398509481984 kB\n" REST, -EBADMSG}, /* 2^64 bytes */
        {"MemTotal: 99999999999999999999 kB\n" REST, -EBADMSG},
        {"MemTotal: -9 kB\n" REST, -EBADMSG},
        {"MemTotal: kB\n" REST, -EBADMSG},
        {"MemTotal:\n" REST, -EBADMSG},
        {"MemTotal: 9\n" REST, -EBADMSG},
        {"MemTotal: 9 MB\n" REST, -EBADMSG},
        {"MemTotal: 0x9 kB\n" REST, -EBADMSG},
        {"MemTotal 9 kB\n" REST, -EBADMSG},
        {"memtotal: 9 kB\n" REST, -EBADMSG},
        {REST, -EBADMSG},
        {REST "MemTotal: 9 kB", -EBADMSG}, /* was it 9 kB, or the beginning of more? */
        {REST "MemTotal: 9 kB\nHugetlb: x kB\n", -EBADMSG},
        {REST "MemTotal: 9 kB\nHugetlbX: x kB\n", 0},
        {"", -EBADMSG},
        {"\n\n\n", -EBADMSG},
        {":", -EBADMSG},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Meminfo m;

        memset(&m, 0x55, sizeof(m));
        ck_assert_msg(meminfo_parse(cases[i].text, &m) == cases[i].r, "%s", cases[i].text);
        if (cases[i].r < 0)
            ck_assert_uint_eq(m.total, UINT64_C(0x5555555555555555));
    }
}
END_TEST

START_TEST(vmstat_that_is_none)
{
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {"pgfault 1\npgmajfault 2\n", 0},
        {"pgfault 18446744073709551615\npgmajfault 2\n", 0},
        {"pgfault 18446744073709551616\npgmajfault 2\n", -EBADMSG},
        {"pgfault -1\npgmajfault 2\n", -EBADMSG},
        {"pgfault 1\n", -EBADMSG},
        {"pgfault 1\npgmajfault 2", -EBADMSG},
        {"pgfault 1\npgmajfault 2\nnr_dirty -3\n", 0}, /* not ours to judge */
        {"pgfault 1\npgmajfault 2\nallocstall_dma 18446744073709551615\nallocstall_normal 1\n", -EBADMSG},
        {"pgfault 1\npgmajfault 2\npgscan_direct_throttle x\npgscan_direct_ x\npgscan_directs x\n", 0},
        {"pgfault 1\npgmajfault 2\npgscan_direct_dma32 x\n", -EBADMSG},
        {"", -EBADMSG},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Vmstat v;

        ck_assert_msg(vmstat_parse(cases[i].text, &v) == cases[i].r, "%s", cases[i].text);
    }
}
END_TEST

START_TEST(zoneinfo_that_is_none)
{
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {"        low      12\n", 0},
        {"low 12\n", 0},
        {"        low      12", -EBADMSG},
        {"        low      \n", -EBADMSG},
        {"        low      -1\n", -EBADMSG},
        {"        low      18446744073709551615\n        low      1\n", -EBADMSG},
        {"              low:     3\n", -EBADMSG},
        {"              lower    3\n", -EBADMSG},
        {"", -EBADMSG},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        uint64_t pages;

        ck_assert_msg(zoneinfo_parse_low(cases[i].text, &pages) == cases[i].r, "%s", cases[i].text);
    }
}
END_TEST

static unsigned count_lists(const char *root, PageList *ret_most)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    unsigned n = 0;
    const char *at;
    PageList l;
    int r;

    *ret_most = (PageList){};
    ck_assert_int_ge(proc_file_slurp(&f, fixture(root), "zoneinfo"), 0);
    for (at = f.buf; (r = zoneinfo_next_list(&at, &l)) > 0; n++)
        if (l.pages >= ret_most->pages)
            *ret_most = l;
    ck_assert_int_eq(r, 0);
    return n;
}

START_TEST(page_lists_of_kernels)
{
    static const struct {
        const char *root;
        unsigned n;
        PageList most;
    } cases[] = {
        {"proc-6.18", 6, {0, 3589, 4557, 63, 4557}},
        {"proc-6.1", 4, {0, 2756, 6930, 63, 0}},
        {"proc-3.10", 4, {1, 0, 186, 31, 0}},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const PageList *expected = &cases[i].most;
        PageList most;

        ck_assert_uint_eq(count_lists(cases[i].root, &most), cases[i].n);
        ck_assert_uint_eq(most.cpu, expected->cpu);
        ck_assert_uint_eq(most.pages, expected->pages);
        ck_assert_uint_eq(most.high, expected->high);
        ck_assert_uint_eq(most.batch, expected->batch);
        ck_assert_uint_eq(most.high_min, expected->high_min);
    }
}
END_TEST

START_TEST(page_lists_that_are_none)
{
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {"  cpu: 1\n  count: 2\n  high:  3\n  batch: 4\n", 1},
        {"rubbish\ncpu: 1\ncount: 2\nhigh: 3\nbatch: 4\n", 1},
        {"", 0},
        {"cpu 1\n", 0},
        {"vcpu: 1\n", 0},
        {"cpu: 1\n", -EBADMSG},
        {"cpu: \ncount: 2\nhigh: 3\nbatch: 4\n", -EBADMSG},
        {"cpu: 1\ncount: 2\nhigh: 3\n", -EBADMSG},
        {"cpu: 1\ncount: 2\nbatch: 4\nhigh: 3\n", -EBADMSG},
        {"cpu: 1\ncount: -2\nhigh: 3\nbatch: 4\n", -EBADMSG},
        {"cpu: 1\ncount: 4294967296\nhigh: 3\nbatch: 4\n", -EBADMSG},
        {"cpu: 1\ncount: 2\nhigh: 3\nbatch: 4", -EBADMSG},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const char *at = cases[i].text;
        PageList l;

        ck_assert_msg(zoneinfo_next_list(&at, &l) == cases[i].r, "%s", cases[i].text);
    }
}
END_TEST

START_TEST(commit_of_kernels)
{
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {"CommitLimit:    12342040 kB\nCommitted_AS:     105208 kB\n", 0},
        {"Committed_AS: 105208 kB\n", -EBADMSG},
        {"CommitLimit: 12342040 kB\n", -EBADMSG},
        {"CommitLimit: 18446744073709551612 kB\nCommitted_AS: 105208 kB\n", -EBADMSG},
        {"", -EBADMSG},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        uint64_t limit = 0, committed = 0;

        ck_assert_msg(meminfo_parse_commit(cases[i].text, &limit, &committed) == cases[i].r, "%s",
                      cases[i].text);
        ck_assert_uint_eq(limit, cases[i].r < 0 ? 0 : 12342040 * KIB);
        ck_assert_uint_eq(committed, cases[i].r < 0 ? 0 : 105208 * KIB);
    }
}
END_TEST

#define DMA    "Node 0, zone      DMA      1      0      1      0      1 \n"
#define NORMAL "Node 1, zone   Normal   2679  21551  14892   7649    902 \n"

START_TEST(free_blocks)
{
    static const struct {
        const char *text;
        unsigned order;
        int r;
        uint64_t pages;
    } cases[] = {
        {DMA, 0, 0, 1 + 4 + 16},
        {DMA, 1, 0, 4 + 16},
        {DMA, 4, 0, 16},
        {DMA, 5, 0, 16}, /* there are none so large: the largest */
        {DMA, UINT_MAX, 0, 16},
        {DMA NORMAL, 3, 0, 16 + 8 * 7649 + 16 * 902},
        {"Node 0, zone DMA 3\n", 9, 0, 3},
        {"Node 0, zone DMA 0 1", 0, -EBADMSG, 0}, /* cut off */
        {"Node 0, zone DMA \n", 0, -EBADMSG, 0},
        {"Node 0, zone DMA", 0, -EBADMSG, 0},
        {"Node 0, zone DMA -1 2\n", 0, -EBADMSG, 0},
        {"Node 0, zone DMA 0 x\n", 0, -EBADMSG, 0},
        {"Node 0, zone DMA 0 18446744073709551615\n", 0, -EBADMSG, 0},
        {DMA "Node 0, zone Normal 18446744073709551615\n", 0, -EBADMSG, 0},
        {"Node 0, zone DMA 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1\n", 0, -EBADMSG,
         0},
        {"Page block order: 9\n", 0, -EBADMSG, 0},
        {"", 0, -EBADMSG, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        uint64_t pages = 0;

        ck_assert_msg(buddyinfo_parse(cases[i].text, cases[i].order, &pages) == cases[i].r, "%s",
                      cases[i].text);
        ck_assert_msg(pages == cases[i].pages, "%s: %" PRIu64, cases[i].text, pages);
    }
}
END_TEST

#define SWAPS "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

START_TEST(swap_in_memory)
{
    static const struct {
        const char *text;
        int r;
        uint64_t kib, free_kib;
    } cases[] = {
        {SWAPS, 0, 0, 0},
        {SWAPS "/dev/zram0                              partition\t1048572\t\t0\t\t100\n", 0, 1048572,
         1048572},
        {SWAPS "/dev/zram0 partition 4 1 100\n/dev/vda2 partition 1024 9 -2\n/dev/zram15 partition 8 8 100\n",
         0, 12, 3},
        {SWAPS "/var/dev/zram0 file 1024 9 -2\n/dev/zrm partition 1024 9 -2\n", 0, 0, 0},
        {SWAPS "/dev/zram0\\040(deleted) partition 4 0 100\n", 0, 4, 4},
        {SWAPS "/dev/zram0 partition 4 5 100\n", 0, 4, 0},
        {SWAPS "/dev/zram0 partition 4", -EBADMSG, 0, 0},
        {SWAPS "/dev/zram0 partition 4 0", -EBADMSG, 0, 0},
        {SWAPS "/dev/zram0 partition\n", -EBADMSG, 0, 0},
        {SWAPS "/dev/zram0\n", -EBADMSG, 0, 0},
        {SWAPS "/dev/zram0 partition -4 0 100\n", -EBADMSG, 0, 0},
        {SWAPS "/dev/zram0 partition 4 -1 100\n", -EBADMSG, 0, 0},
        {SWAPS "/dev/zram0 partition 18446744073709551615 0 100\n", -EBADMSG, 0, 0},
        {"", -EBADMSG, 0, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        SwapMemory m = {};

        ck_assert_msg(swaps_parse_memory(cases[i].text, &m) == cases[i].r, "%s", cases[i].text);
        ck_assert_msg(m.total == cases[i].kib * KIB && m.free == cases[i].free_kib * KIB,
                      "%s: %" PRIu64 ", %" PRIu64 " free", cases[i].text, m.total, m.free);
    }
}
END_TEST

#define SOME "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"

START_TEST(pressure_that_is_none)
{
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {SOME, 0},
        {"some avg10=0 avg60=0 avg300=0 total=0\n", 0},
        {"some avg10=0.00 avg60=0.00 total=18446744073709551615\n", 0},
        {"some avg10=0.00 avg60=0.00 total=18446744073709551616\n", -EBADMSG},
        {"some avg10=100.01 avg60=0.00 avg300=0.00 total=0\n", -EBADMSG},
        {"some avg10=101 avg60=0.00 avg300=0.00 total=0\n", -EBADMSG},
        {"some avg10=-1.00 avg60=0.00 avg300=0.00 total=0\n", -EBADMSG},
        {"some avg10=nan avg60=0.00 avg300=0.00 total=0\n", -EBADMSG},
        {"some avg10=0.00 avg60=0.00 avg300=0.00\n", -EBADMSG},
        {"some avg60=0.00 avg300=0.00 total=0\n", -EBADMSG},
        {"some avg10=0.00 avg60=0.00 avg300=0.00 total=0", -EBADMSG},
        {"some avg10=0.00 avg60=0.00 avg300=0.00 total=0x\n", -EBADMSG},
        {SOME "full\n", 0},
        {SOME "full \n", -EBADMSG},
        {"full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", -EBADMSG},
        {"", -EBADMSG},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Psi psi;

        ck_assert_msg(psi_parse(cases[i].text, &psi) == cases[i].r, "%s", cases[i].text);
    }
}
END_TEST

/* A text cut off anywhere is refused, or read as what it said up to there; it is never read past its end,
 * which a sanitizer would tell. */
START_TEST(cut_off_anywhere)
{
    static const char *const names[] = {"meminfo", "vmstat", "zoneinfo", "pressure/memory"};

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_(proc_file_done) ProcFile f;
        ssize_t n;

        ck_assert_int_eq(proc_file_open(&f, fixture("proc-6.18"), names[i]), 0);
        n = proc_file_read(&f);
        ck_assert_int_gt(n, 100);

        for (ssize_t cut = 0; cut < n; cut++) {
            char *text = strndup(f.buf, (size_t) cut);
            uint64_t low;
            Meminfo m;
            Vmstat v;
            Psi psi;

            if (meminfo_parse(text, &m) >= 0)
                ck_assert_uint_eq(m.total, 24684084 * KIB);
            if (vmstat_parse(text, &v) >= 0)
                ck_assert_uint_eq(v.pgmajfault, 1893);
            if (zoneinfo_parse_low(text, &low) >= 0)
                ck_assert(low == 58 || low == 58 + 11945 || low == 58 + 11945 + 9115 ||
                          low == 58 + 11945 + 9115 + 32);
            if (psi_parse(text, &psi) >= 0)
                ck_assert_uint_eq(psi.some.total_usec, 8226017);
            free(text);
        }
    }
}
END_TEST

START_TEST(file_kept_open)
{
    char folder[TEMP_FOLDER_MAX], path[64];
    _cleanup_(proc_file_done) ProcFile f;
    _cleanup_free_ char *large = malloc(3 * MIB);
    FILE *out;

    run_make_folder(folder);
    snprintf(path, sizeof(path), "%s/meminfo", folder);

    ck_assert_int_eq(proc_file_open(&f, folder, "meminfo"), -ENOENT);
    out = fopen(path, "we");
    fputs("short\n", out);
    fflush(out);
    ck_assert_int_eq(proc_file_open(&f, folder, "meminfo"), 0);
    ck_assert_int_eq(proc_file_read(&f), 6);
    ck_assert_str_eq(f.buf, "short\n");

    /* longer, to the limit, and too long */
    memset(large, 'x', 3 * MIB);
    ck_assert_uint_eq(fwrite(large, 1, 100000, out), 100000);
    fflush(out);
    ck_assert_int_eq(proc_file_read(&f), 100006);
    ck_assert_uint_eq(strlen(f.buf), 100006);
    ck_assert_uint_eq(fwrite(large, 1, 3 * MIB, out), 3 * MIB);
    fclose(out);
    ck_assert_int_eq(proc_file_read(&f), -EFBIG);

    /* and short again */
    ck_assert_int_eq(truncate(path, 5), 0);
    ck_assert_int_eq(proc_file_read(&f), 5);
    ck_assert_str_eq(f.buf, "short");

    unlink(path);
    rmdir(folder);
}
END_TEST

START_TEST(this_machine)
{
    Meminfo m;
    Vmstat before, after;
    uint64_t low;

    ck_assert_int_eq(meminfo_read("/proc", &m), 0);
    ck_assert_uint_gt(m.total, 16 * MIB);
    ck_assert_uint_gt(m.free, 0);
    ck_assert_uint_lt(m.free, m.total);
    ck_assert(m.has_available);
    ck_assert_uint_lt(m.available, m.total);

    ck_assert_int_eq(vmstat_read("/proc", &before), 0);
    ck_assert_int_eq(vmstat_read("/proc", &after), 0);
    ck_assert_uint_gt(before.pgfault, 0);
    ck_assert_uint_le(before.pgfault, after.pgfault);
    ck_assert_uint_ne(before.scan_direct, VMSTAT_MISSING);
    ck_assert_uint_ne(before.allocstall, VMSTAT_MISSING);

    ck_assert_int_eq(zoneinfo_read_low("/proc", &low), 0);
    ck_assert_uint_gt(low, 0);
    ck_assert_uint_lt(low, m.total / 4096);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("procfs");

    tcase_add_test(tc, meminfo_of_kernels);
    tcase_add_test(tc, vmstat_of_kernels);
    tcase_add_test(tc, vmstat_one_refault_counter);
    tcase_add_test(tc, low_watermarks_of_kernels);
    tcase_add_test(tc, pressure_of_kernels);
    tcase_add_test(tc, meminfo_that_is_none);
    tcase_add_test(tc, vmstat_that_is_none);
    tcase_add_test(tc, zoneinfo_that_is_none);
    tcase_add_test(tc, page_lists_of_kernels);
    tcase_add_test(tc, page_lists_that_are_none);
    tcase_add_test(tc, pressure_that_is_none);
    tcase_add_test(tc, commit_of_kernels);
    tcase_add_test(tc, free_blocks);
    tcase_add_test(tc, swap_in_memory);
    tcase_add_test(tc, cut_off_anywhere);
    tcase_add_test(tc, file_kept_open);
    tcase_add_test(tc, this_machine);
    return run_tests(tc);
}
