/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What /proc says of one process. */

#include <check.h>
#include <fcntl.h>
#include <string.h>

#include "base/process.h"
#include "base/units.h"
#include "tests/unit/run.h"

#define STATUS_BEGIN "Name:\tqemu-system-x86\nUmask:\t0002\nState:\tS (sleeping)\nPid:\t4711\n"
#define STATUS_USERS "Uid:\t64055\t64055\t64055\t64055\nGid:\t108\t108\t108\t108\n"
#define STATUS_SIZE \
    "VmPeak:\t 3000000 kB\nVmRSS:\t  102400 kB\nRssAnon:\t  81920 kB\nRssShmem:\t   20480 kB\n"

START_TEST(test_status)
{
    ProcessStatus s;

    ck_assert_int_eq(process_status_parse(STATUS_BEGIN STATUS_USERS STATUS_SIZE "VmSwap:\t   10240 kB\n", &s),
                     0);
    ck_assert_uint_eq(s.rss_bytes, 100 * MIB);
    ck_assert_uint_eq(s.shmem_bytes, 20 * MIB);
    ck_assert_uint_eq(s.swap_bytes, 10 * MIB);
    for (size_t i = 0; i < ELEMENTSOF(s.uids); i++)
        ck_assert_uint_eq(s.uids[i], 64055);
    /* A kernel without swap, and an old one. */
    ck_assert_int_eq(process_status_parse(STATUS_BEGIN STATUS_USERS "VmRSS:\t  4 kB\n", &s), 0);
    ck_assert_uint_eq(s.rss_bytes, 4096);
    ck_assert_uint_eq(s.swap_bytes, 0);
    ck_assert_uint_eq(s.shmem_bytes, 0);
}
END_TEST

START_TEST(test_status_refused)
{
    static const char *const texts[] = {
        "",
        STATUS_BEGIN STATUS_USERS, /* a zombie */
        STATUS_BEGIN STATUS_SIZE,
        STATUS_BEGIN STATUS_USERS "VmRSS:\t 12",
        STATUS_BEGIN STATUS_USERS "VmRSS:\t -4 kB\n",
        STATUS_BEGIN STATUS_USERS "VmRSS:\t 99999999999999999999 kB\n",
        (STATUS_BEGIN "Uid:\t1\t2\n" STATUS_SIZE),
        (STATUS_BEGIN "Uid:\t1\t2\t4294967296\n" STATUS_SIZE),
        "Uid:\t1\t2\t3\n" STATUS_SIZE, /* a name comes first, and what it says is escaped */
    };
    ProcessStatus s;

    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        ck_assert_msg(process_status_parse(texts[i], &s) == -EBADMSG, "taken: %s", texts[i]);
}
END_TEST

START_TEST(test_a5_namespaces)
{
    static const struct {
        const char *text;
        unsigned n;
    } cases[] = {
        {STATUS_BEGIN STATUS_USERS "Groups:\t1 2 \nNStgid:\t4711\nNSpid:\t4711\nNSpgid:\t4711\t1\n", 1},
        {STATUS_BEGIN STATUS_USERS "NStgid:\t4711\t7\nNSpid:\t4711\t7\nNSpgid:\t4711\n", 2},
        {STATUS_BEGIN "NSpid:\t4711\t7\t1\n", 3},
        {STATUS_BEGIN STATUS_USERS STATUS_SIZE, 0}, /* a kernel without them */
        {STATUS_BEGIN "NSpid:\t4711", 0},           /* cut off */
        {STATUS_BEGIN "NSpid:\t4711\t", 0},
        {STATUS_BEGIN "NSpid:\n", 0},
        {STATUS_BEGIN "NSpid:\tx\n", 0},
        {"NSpid:\t4711\n", 0}, /* a name comes first */
        {"", 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        ck_assert_msg(process_namespaces_parse(cases[i].text) == cases[i].n, "%s", cases[i].text);
}
END_TEST

START_TEST(test_users_differ)
{
    uid_t uids[3];

    ck_assert_int_eq(process_uids_parse("Name:\tx\nUid:\t1000\t0\t7\t0\n", uids), 0);
    ck_assert_uint_eq(uids[0], 1000);
    ck_assert_uint_eq(uids[1], 0);
    ck_assert_uint_eq(uids[2], 7);
}
END_TEST

#define STAT_END " S 1 4711 4711 0 -1 4194624 9000 0 55 1 300 200 0 0 20 0 6 0 123456 3133440 356\n"

START_TEST(test_stat)
{
    static const char *const names[] = {"4711 (qemu)" STAT_END, "4711 (a) S 1 2 (b\n))" STAT_END};
    ProcessStat s;

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        ck_assert_int_eq(process_stat_parse(names[i], &s), 0);
        ck_assert_uint_eq(s.major_faults, 55);
        ck_assert_uint_eq(s.cpu_ticks, 500);
        ck_assert_uint_eq(s.start_ticks, 123456);
        ck_assert_uint_eq(s.rss_pages, 356);
    }
}
END_TEST

START_TEST(test_stat_refused)
{
    static const char *const texts[] = {
        "",
        "4711 (qemu)",
        "4711 (qemu) S",
        "4711 (qemu) S 1 4711 4711 0 -1 4194624 9000 0 55 1 300 200 0 0 20 0 6 0", /* cut off */
        "4711 (qemu) S 1 4711 4711 0 -1 4194624 9000 0 55 1 300 200 0 0 20 0 6 0 123456 3133440 356", /* perhaps, too */
        "4711 (qemu) S 1 4711 4711 0 -1 4194624 9000 0 x 1 300 200 0 0 20 0 6 0 123456 3133440 356\n",
        "4711 (qemu) S 1 4711 4711 0 -1 4194624 9000 0 55 1 18446744073709551615 200 0 0 20 0 6 0 123456 3133440 356\n",
    };
    ProcessStat s;

    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        ck_assert_msg(process_stat_parse(texts[i], &s) == -EBADMSG, "taken: %s", texts[i]);
}
END_TEST

START_TEST(test_ourselves)
{
    _cleanup_close_ int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char text[8192];
    ProcessStatus status;
    ProcessStat stat;

    ck_assert_int_ge(proc_fd, 0);
    ck_assert_int_gt(process_read(proc_fd, getpid(), "status", text, sizeof(text)), 0);
    ck_assert_int_eq(process_status_parse(text, &status), 0);
    ck_assert_uint_gt(status.rss_bytes, 0);
    ck_assert_uint_eq(status.uids[0], getuid());
    ck_assert_uint_eq(status.uids[1], geteuid());
    ck_assert_uint_eq(process_namespaces_parse(text), 1);
    ck_assert_int_gt(process_read(proc_fd, getpid(), "stat", text, sizeof(text)), 0);
    ck_assert_int_eq(process_stat_parse(text, &stat), 0);
    ck_assert_uint_gt(stat.start_ticks, 0);
    ck_assert_uint_gt(stat.rss_pages, 0);
    ck_assert_int_eq(process_read(proc_fd, getpid(), "nothing", text, sizeof(text)), -ENOENT);
    ck_assert_int_eq(process_read(proc_fd, getpid(), "stat", text, 8), 7);
    ck_assert_uint_eq(strlen(text), 7);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("process");

    tcase_add_test(t, test_status);
    tcase_add_test(t, test_status_refused);
    tcase_add_test(t, test_a5_namespaces);
    tcase_add_test(t, test_users_differ);
    tcase_add_test(t, test_stat);
    tcase_add_test(t, test_stat_refused);
    tcase_add_test(t, test_ourselves);
    return run_tests(t);
}
