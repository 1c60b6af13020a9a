/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which per-CPU lists of free pages are flushed, and how much memory that takes for a moment. What comes of it in a
 * guest is in tests/lab/test_levers.py. */

#include <sched.h>
#include <sys/resource.h>

#include "base/macro.h"
#include "guest-agent/page-lists.h"
#include "tests/unit/run.h"
#include "tests/unit/temp-folder.h"

static char folder[TEMP_FOLDER_MAX];

static void setup(void)
{
    temp_folder_init(folder);
    temp_meminfo(folder, GIB, 512 * MIB, 0, 0);
}

static void teardown(void)
{
    temp_folder_done(folder);
}

static uint64_t page_bytes(void)
{
    return (uint64_t) sysconf(_SC_PAGESIZE);
}

/* One on which the test may run. */
static unsigned own_cpu(void)
{
    cpu_set_t set;
    unsigned cpu = 0;

    ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    return cpu;
}

static long faults(void)
{
    struct rusage u;

    ck_assert_int_eq(getrusage(RUSAGE_SELF, &u), 0);
    return u.ru_minflt;
}

/* Returns how many pages were taken. */
static long flush(int error)
{
    cpu_set_t before, after;
    long began;

    ck_assert_int_eq(sched_getaffinity(0, sizeof(before), &before), 0);
    began = faults();
    ck_assert_int_eq(page_lists_flush(folder, page_bytes()), error);
    began = faults() - began;
    ck_assert_int_eq(sched_getaffinity(0, sizeof(after), &after), 0);
    ck_assert(CPU_EQUAL(&before, &after));
    return began;
}

static const struct {
    const char *what;
    unsigned pages, high, batch;
    unsigned high_min; /* 0: none */
    uint64_t free;     /* MiB */
    long taken;        /* 0: it is left alone */
} lists[] = {
    {"Linux 6.1", 326, 821, 31, 0, 256, 821 + 2 * 31},
    {"since 6.7, half of high_min", 326, 821, 31, 400, 256, 200 + 2 * 31},
    {"as far as the kernel counts", 326, 9000, 63, 8000, 256, 33 * 63},
    {"empty", 0, 821, 31, 0, 256, 0},
    {"a few pages", 31, 821, 31, 0, 256, 0},
    {"enough", 32, 821, 31, 0, 256, 821 + 2 * 31},
    {"64 MiB", 16000, 16322, 31, 0, 512, 16384},
    {"more than 64 MiB", 16000, 16323, 31, 0, 512, 0},
    {"a quarter of the free memory", 326, 821, 31, 0, 14, 821 + 2 * 31},
    {"more than a quarter", 326, 821, 31, 0, 13, 0},
    {"figures that can't be", UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, 512, 0},
};

START_TEST(a_list_overflows)
{
    char text[768], high_min[64] = "";
    /* A sanitizer's shadow of that memory is an eighth of it. */
    long most = lists[_i].taken + (TEST_SANITIZED ? lists[_i].taken / 8 : 0) + 128, taken;

    if (lists[_i].high_min > 0)
        (void) snprintf(high_min, sizeof(high_min), "              high_min: %u\n", lists[_i].high_min);
    /* Two lists of other zones, and of a CPU that isn't there. */
    (void) snprintf(
        text, sizeof(text),
        "Node 0, zone Normal\n  pages free 5\n        low      12\n  pagesets\n"
        "    cpu: %u\n              count: 0\n              high:  4000\n              batch: 63\n"
        "    cpu: %u\n              count:    %u\n              high:     %u\n              batch:    %u\n%s"
        "    cpu: 1000\n              count: 100\n              high:  200\n              batch: 63\n",
        own_cpu(), own_cpu(), lists[_i].pages, lists[_i].high, lists[_i].batch, high_min);
    temp_file(folder, "zoneinfo", text);
    temp_meminfo(folder, GIB, 2 * lists[_i].free * MIB, 0, 0);
    taken = flush(0);
    ck_assert_msg(taken >= lists[_i].taken && taken <= most, "%s: %ld", lists[_i].what, taken);
}
END_TEST

START_TEST(without_figures_nothing_is_taken)
{
    ck_assert_int_lt(flush(-ENOENT), 128);
    temp_file(folder, "zoneinfo", "cpu: 0\ncount: x\n");
    ck_assert_int_lt(flush(-EBADMSG), 128);
    temp_file(folder, "zoneinfo", "cpu: 0\ncount: 326\nhigh: 821\nbatch: 31\n");
    temp_file(folder, "meminfo", NULL);
    ck_assert_int_lt(flush(-ENOENT), 128);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("page-lists");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_list_overflows, 0, (int) ELEMENTSOF(lists));
    tcase_add_test(t, without_figures_nothing_is_taken);
    return run_tests(t);
}
