/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What an administrator of the guest can read of what the hypervisor did. */

#include <string.h>

#include "base/log.h"
#include "base/macro.h"
#include "base/units.h"
#include "guest-agent/history.h"
#include "tests/unit/caught-log.h"
#include "tests/unit/run.h"
#include "tests/unit/temp-folder.h"

#define SECOND USEC_PER_SEC

static char folder[TEMP_FOLDER_MAX];
static History history;
static usec_t now;
static int log_fd;

static void setup(void)
{
    temp_folder_init(folder);
    log_fd = stderr_pipe();
    log_open(LOG_INFO);
    now = 1000 * SECOND;
    history_init(&history, folder);
}

static void teardown(void)
{
    history_done(&history);
    temp_folder_done(folder);
}

/* The lines of the file, without their times. */
static unsigned read_lines(char lines[static 64][HISTORY_LINE_MAX])
{
    char path[64], line[512];
    unsigned n = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s/history", folder);
    f = fopen(path, "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof(line), f)) {
        unsigned year;

        line[strcspn(line, "\n")] = '\0';
        ck_assert_msg(strlen(line) > 21 && sscanf(line, "%4u-", &year) == 1 && line[10] == 'T' &&
                          line[19] == 'Z' && line[20] == ' ',
                      "no time: %s", line);
        ck_assert_uint_lt(n, 64);
        ck_assert_uint_lt(strlen(line), HISTORY_LINE_MAX);
        memcpy(lines[n++], line + 21, strlen(line + 21) + 1);
    }
    fclose(f);
    return n;
}

static void expect_last(unsigned count, const char *text)
{
    char lines[64][HISTORY_LINE_MAX];
    unsigned n = read_lines(lines);

    ck_assert_uint_eq(n, count);
    ck_assert_str_eq(lines[n - 1], text);
}

static void reclaim(uint64_t wanted, uint64_t got, uint64_t refaulted, LeverEnd why, int error)
{
    history_add_request(&history, &(Message){.type = MESSAGE_RECLAIM, .bytes = wanted},
                        &(Message){.type = MESSAGE_RECLAIMED,
                                   .bytes = got,
                                   .refaulted_bytes = refaulted,
                                   .why = why,
                                   .error = error},
                        now);
}

static void compact(uint64_t got)
{
    history_add_request(&history, &(Message){.type = MESSAGE_COMPACT},
                        &(Message){.type = MESSAGE_RECLAIMED, .bytes = got, .why = LEVER_END_DONE}, now);
}

START_TEST(a_request_is_a_line)
{
    reclaim(16 * MIB, 12 * MIB, 128 * KIB, LEVER_END_REFAULTS, 0);
    expect_last(
        1,
        "Page cache reclaimed for the hypervisor: 12.0 MiB of 16.0 MiB asked for, 128 KiB read again; stopped, as it was read again");
    compact(30 * MIB);
    expect_last(2, "Memory compacted for the hypervisor: 30.0 MiB more free in large blocks");
    reclaim(16 * MIB, 0, 0, LEVER_END_FAILED, EACCES);
    expect_last(
        3,
        "Page cache reclaimed for the hypervisor: 0 B of 16.0 MiB asked for, 0 B read again; failed: Permission denied");
    history_add_request(&history, &(Message){.type = MESSAGE_RECLAIM, .bytes = MIB, .anon = true},
                        &(Message){.type = MESSAGE_RECLAIMED, .bytes = MIB, .why = LEVER_END_DONE}, now);
    expect_last(4, "Memory reclaimed for the hypervisor: 1.00 MiB of 1.00 MiB asked for, 0 B read again");
}
END_TEST

START_TEST(requests_within_a_minute_share_a_line)
{
    for (int i = 0; i < 3; i++, now += 20 * SECOND)
        reclaim(16 * MIB, 16 * MIB, 0, LEVER_END_DONE, 0);
    expect_last(
        1,
        "Page cache reclaimed for the hypervisor: 48.0 MiB of 48.0 MiB asked for, 0 B read again (3 requests)");
    reclaim(16 * MIB, 16 * MIB, 0, LEVER_END_DONE, 0);
    expect_last(2, "Page cache reclaimed for the hypervisor: 16.0 MiB of 16.0 MiB asked for, 0 B read again");
}
END_TEST

START_TEST(the_journal_gets_a_message_each_minute)
{
    for (int i = 0; i < 10; i++, now += SECOND) {
        reclaim(MIB, MIB, 0, LEVER_END_DONE, 0);
        compact(MIB);
    }
    ck_assert_uint_eq(caught_lines(log_fd, ""), 1);
    now += 60 * SECOND;
    compact(MIB);
    ck_assert_uint_eq(caught_lines(log_fd, "; 20 requests since the last message"), 1);
    now += 60 * SECOND;
    compact(MIB);
    ck_assert_uint_eq(caught_lines(log_fd, "since the last message"), 0);
}
END_TEST

START_TEST(the_last_lines_stay)
{
    char lines[64][HISTORY_LINE_MAX];

    for (unsigned i = 0; i < 25; i++, now += 60 * SECOND)
        compact(i * MIB);
    ck_assert_uint_eq(read_lines(lines), HISTORY_LINES);
    ck_assert_ptr_nonnull(strstr(lines[0], "5.00 MiB"));
    ck_assert_ptr_nonnull(strstr(lines[19], "24.0 MiB"));

    /* And the next agent goes on with them. */
    history_done(&history);
    history_init(&history, folder);
    compact(7 * MIB);
    ck_assert_uint_eq(read_lines(lines), HISTORY_LINES);
    ck_assert_ptr_nonnull(strstr(lines[0], "6.00 MiB"));
    ck_assert_ptr_nonnull(strstr(lines[19], "7.00 MiB"));
}
END_TEST

START_TEST(a_shorter_line_leaves_nothing_behind)
{
    reclaim(16 * MIB, 12 * MIB, 128 * KIB, LEVER_END_REFAULTS, 0);
    reclaim(16 * MIB, 20 * MIB, 0, LEVER_END_DONE, 0);
    expect_last(
        1,
        "Page cache reclaimed for the hypervisor: 32.0 MiB of 32.0 MiB asked for, 128 KiB read again (2 requests)");
}
END_TEST

START_TEST(the_balloon_is_seen_when_it_has_stopped)
{
    char lines[64][HISTORY_LINE_MAX];

    for (int i = 0; i < 3; i++)
        history_see_size(&history, 1000 * MIB, now);
    history_see_size(&history, 990 * MIB, now); /* too little */
    history_see_size(&history, 990 * MIB, now);
    history_see_size(&history, 900 * MIB, now); /* on its way */
    history_see_size(&history, 800 * MIB, now);
    ck_assert_uint_eq(read_lines(lines), 0);
    history_see_size(&history, 799 * MIB, now);
    expect_last(1, "The hypervisor's balloon took 201 MiB: this guest has 799 MiB");
    history_see_size(&history, 799 * MIB, now);
    history_see_size(&history, 1000 * MIB, now);
    history_see_size(&history, 1000 * MIB, now);
    expect_last(2, "The hypervisor's balloon gave back 201 MiB: this guest has 1000 MiB");
}
END_TEST

START_TEST(a_file_that_cannot_be_had_is_no_fault)
{
    History other;

    history_init(&other, "/proc/nowhere");
    history_add_request(&other, &(Message){.type = MESSAGE_COMPACT},
                        &(Message){.type = MESSAGE_RECLAIMED, .why = LEVER_END_DONE}, now);
    ck_assert_int_lt(other.fd, 0);
    ck_assert_uint_eq(caught_lines(log_fd, "Memory compacted"), 1);
    history_done(&other);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("history");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_request_is_a_line);
    tcase_add_test(tc, requests_within_a_minute_share_a_line);
    tcase_add_test(tc, the_journal_gets_a_message_each_minute);
    tcase_add_test(tc, the_last_lines_stay);
    tcase_add_test(tc, a_shorter_line_leaves_nothing_behind);
    tcase_add_test(tc, the_balloon_is_seen_when_it_has_stopped);
    tcase_add_test(tc, a_file_that_cannot_be_had_is_no_fault);
    return run_tests(tc);
}
