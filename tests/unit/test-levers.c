/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the agent asks of its lever helper, and what it answers the host. The test is the helper. */

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/macro.h"
#include "base/units.h"
#include "guest-agent/levers.h"
#include "tests/unit/run.h"
#include "tests/unit/temp-folder.h"

enum { SOURCE = 7 };

#define SECOND     USEC_PER_SEC
#define ALL        (LEVER_CAN_COMPACT | LEVER_CAN_RECLAIM_FILE | LEVER_CAN_RECLAIM_ANON)
#define PAGE_BYTES ((uint64_t) sysconf(_SC_PAGESIZE))

static char folder[TEMP_FOLDER_MAX], proc[64], path[64];
static int epoll_fd, listen_fd, helper_fd;
static Collector collector;
static Levers levers;
static usec_t now;

static void write_vmstat(uint64_t refault_pages)
{
    char text[128];

    snprintf(text, sizeof(text), "workingset_refault_file %llu\npgfault 1\npgmajfault 1\n",
             (unsigned long long) refault_pages);
    temp_file(proc, "vmstat", text);
}

/* Blocks of order 9. */
static void write_blocks(unsigned blocks)
{
    char text[128];

    snprintf(text, sizeof(text), "Node 0, zone   Normal %d %d %d %d %d %d %d %d %d %u %d\n", 9, 9, 9, 9, 9, 9,
             9, 9, 9, blocks, 0);
    temp_file(proc, "buddyinfo", text);
}

static void helper_comes(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    (void) unlink(path);
    listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listen_fd, (struct sockaddr *) &address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listen_fd, 4), 0);
}

static void helper_goes(void)
{
    closep(&helper_fd);
    closep(&listen_fd);
    helper_fd = listen_fd = -EBADF;
}

static void setup(void)
{
    temp_folder_init(folder);
    snprintf(proc, sizeof(proc), "%s/proc", folder);
    snprintf(path, sizeof(path), "%s/levers", folder);
    ck_assert_int_eq(mkdir(proc, 0755), 0);
    temp_meminfo(proc, 512 * MIB, 256 * MIB, 0, 0);
    write_vmstat(100);
    temp_file(folder, "module/page_reporting/parameters/page_reporting_order", "9\n");
    write_blocks(10);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listen_fd = helper_fd = -EBADF;
    now = 1000 * SECOND;
    ck_assert_int_eq(collector_open(&collector, proc, folder), 0);
}

static void teardown(void)
{
    levers_done(&levers);
    collector_done(&collector);
    helper_goes();
    close(epoll_fd);
    temp_folder_done(folder);
}

static void start(void)
{
    levers_init(&levers, path, &collector, epoll_fd, SOURCE, now);
}

/* The request that the helper has got by now; verb 0: none. */
static LeverRequest asked(void)
{
    LeverRequest q = {};
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        closep(&helper_fd);
        helper_fd = fd;
    }
    if (helper_fd < 0 || recv(helper_fd, &q, sizeof(q), 0) != (ssize_t) sizeof(q))
        q = (LeverRequest){};
    return q;
}

static void expect(LeverVerb verb, uint64_t bytes)
{
    LeverRequest q = asked();

    ck_assert_uint_eq(q.verb, verb);
    ck_assert_uint_eq(q.bytes, bytes);
}

/* The agent's loop goes round. */
static void go_round(void)
{
    struct epoll_event e;

    while (epoll_wait(epoll_fd, &e, 1, 0) == 1) {
        ck_assert_uint_eq(e.data.u32, SOURCE);
        levers_io(&levers, now);
    }
    levers_tick(&levers, true, now);
}

static void answer(LeverAnswer a)
{
    ck_assert_int_eq(send(helper_fd, &a, sizeof(a), MSG_NOSIGNAL), sizeof(a));
    go_round();
}

static void probe(uint32_t can)
{
    expect(LEVER_PROBE, 0);
    answer((LeverAnswer){.levers = can});
}

static void begin(MessageType type, uint32_t id, uint64_t bytes, bool anon)
{
    ck_assert_int_eq(
        levers_begin(&levers, &(Message){.type = type, .id = id, .bytes = bytes, .anon = anon}, now), 0);
}

/* To the look at the step, which was just answered. */
static void wait_step(void)
{
    ck_assert_uint_eq(levers_due_usec(&levers, true), now + PACE_WAIT_USEC);
    now += PACE_WAIT_USEC;
    go_round();
}

static Message result(LeverEnd why)
{
    Message q, m;

    ck_assert(levers_take_result(&levers, &q, &m));
    ck_assert_int_eq(m.type, MESSAGE_RECLAIMED);
    ck_assert_uint_eq(m.id, q.id);
    ck_assert_int_eq(m.why, why);
    ck_assert(!levers_take_result(&levers, &q, &m));
    return m;
}

static void expect_none(void)
{
    Message q, m;

    ck_assert(!levers_take_result(&levers, &q, &m));
}

START_TEST(the_probe_says_what_the_guest_can_do)
{
    helper_comes();
    start();
    ck_assert(!levers.probed);
    ck_assert_uint_eq(levers_features(&levers), 0);
    expect(LEVER_PROBE, 0);
    answer(
        (LeverAnswer){.levers = LEVER_CAN_COMPACT | LEVER_HAS_AGES, .missing = "reclaim: needs cgroup v2"});
    ck_assert(levers.probed);
    ck_assert_uint_eq(levers_features(&levers), HELLO_FEATURE_COMPACT);
    ck_assert_str_eq(levers.missing, "reclaim: needs cgroup v2");
}
END_TEST

START_TEST(a_missing_helper_is_looked_for)
{
    start();
    ck_assert(levers.probed);
    ck_assert_str_eq(levers.missing, "no lever helper");
    ck_assert_uint_eq(levers_due_usec(&levers, true), now + 30 * SECOND);
    helper_comes();
    now += 30 * SECOND;
    go_round();
    probe(ALL);
    ck_assert_uint_eq(levers_features(&levers), ALL);
    ck_assert_str_eq(levers.missing, "");
    ck_assert_uint_eq(levers_due_usec(&levers, true), USEC_INFINITY);
}
END_TEST

START_TEST(switched_off_they_do_nothing)
{
    helper_comes();
    levers_init(&levers, NULL, &collector, epoll_fd, SOURCE, now);
    ck_assert(levers.probed);
    ck_assert_str_eq(levers.missing, "switched off in the guest");
    ck_assert_uint_eq(levers_due_usec(&levers, true), USEC_INFINITY);
    begin(MESSAGE_COMPACT, 3, 0, false);
    ck_assert_int_eq(result(LEVER_END_FAILED).error, EOPNOTSUPP);
    ck_assert_uint_eq(asked().verb, 0);
}
END_TEST

START_TEST(a_reclaim_goes_in_steps)
{
    Message m;

    helper_comes();
    start();
    probe(ALL);
    begin(MESSAGE_RECLAIM, 5, 10 * MIB, false);
    expect(LEVER_RECLAIM_FILE, 4 * MIB);
    ck_assert_int_eq(levers_begin(&levers, &(Message){.type = MESSAGE_COMPACT, .id = 6}, now), -EBUSY);
    answer((LeverAnswer){.levers = ALL, .got_bytes = 5 * MIB, .cpu_usec = 300});
    ck_assert_uint_eq(asked().verb, 0);
    wait_step();
    expect(LEVER_RECLAIM_FILE, 4 * MIB);
    write_vmstat(110);
    answer((LeverAnswer){.levers = ALL, .got_bytes = 5 * MIB, .cpu_usec = 500});
    expect_none();
    wait_step();
    m = result(LEVER_END_DONE);
    ck_assert_uint_eq(m.id, 5);
    ck_assert_uint_eq(m.bytes, 10 * MIB);
    ck_assert_uint_eq(m.refaulted_bytes, 10 * PAGE_BYTES);
    ck_assert_uint_eq(m.cpu_usec, 800);
    ck_assert_int_eq(m.error, 0);
    /* The connection has ended: the helper may end, too. */
    ck_assert_int_eq(recv(helper_fd, &m, 1, 0), 0);
}
END_TEST

START_TEST(a_reclaim_ends_by_refaults)
{
    Message m;

    helper_comes();
    start();
    probe(ALL);
    begin(MESSAGE_RECLAIM, 5, 64 * MIB, true);
    expect(LEVER_RECLAIM_ANON, 4 * MIB);
    answer((LeverAnswer){.levers = ALL, .got_bytes = 4 * MIB});
    write_vmstat(200);
    wait_step();
    m = result(LEVER_END_REFAULTS);
    ck_assert_uint_eq(m.bytes, 4 * MIB);
    ck_assert_uint_eq(m.refaulted_bytes, 100 * PAGE_BYTES);
}
END_TEST

START_TEST(distress_ends_a_reclaim)
{
    helper_comes();
    start();
    probe(ALL);
    /* While it waits, at once; */
    begin(MESSAGE_RECLAIM, 5, 64 * MIB, false);
    expect(LEVER_RECLAIM_FILE, 4 * MIB);
    answer((LeverAnswer){.levers = ALL, .got_bytes = 4 * MIB});
    levers_stop(&levers);
    ck_assert_uint_le(levers_due_usec(&levers, true), now);
    go_round();
    ck_assert_uint_eq(result(LEVER_END_STOPPED).bytes, 4 * MIB);
    /* while the helper works, when it has answered. */
    begin(MESSAGE_RECLAIM, 6, 64 * MIB, false);
    expect(LEVER_RECLAIM_FILE, 4 * MIB);
    levers_stop(&levers);
    go_round();
    expect_none();
    answer((LeverAnswer){.levers = ALL, .got_bytes = 3 * MIB});
    ck_assert_uint_eq(result(LEVER_END_STOPPED).bytes, 3 * MIB);
    /* Nothing of it is left for the next. */
    levers_stop(&levers);
    begin(MESSAGE_RECLAIM, 7, 4 * MIB, false);
    expect(LEVER_RECLAIM_FILE, 4 * MIB);
    answer((LeverAnswer){.levers = ALL, .got_bytes = 4 * MIB});
    wait_step();
    (void) result(LEVER_END_DONE);
}
END_TEST

START_TEST(compaction_gains_blocks)
{
    Message m;

    helper_comes();
    start();
    probe(ALL);
    begin(MESSAGE_COMPACT, 9, 0, false);
    expect(LEVER_COMPACT, 0);
    write_blocks(17);
    answer((LeverAnswer){.levers = ALL, .cpu_usec = 700});
    wait_step();
    m = result(LEVER_END_DONE);
    ck_assert_uint_eq(m.bytes, 7 * 512 * PAGE_BYTES);
    ck_assert_uint_eq(m.cpu_usec, 700);

    /* Others may have taken some meanwhile. */
    begin(MESSAGE_COMPACT, 10, 0, false);
    expect(LEVER_COMPACT, 0);
    write_blocks(3);
    answer((LeverAnswer){.levers = ALL});
    wait_step();
    ck_assert_uint_eq(result(LEVER_END_DONE).bytes, 0);
}
END_TEST

START_TEST(a_refusal_is_passed_on)
{
    helper_comes();
    start();
    probe(ALL);
    begin(MESSAGE_RECLAIM, 5, 8 * MIB, false);
    expect(LEVER_RECLAIM_FILE, 4 * MIB);
    answer((LeverAnswer){.levers = LEVER_CAN_COMPACT, .error = -EACCES, .missing = "reclaim: denied"});
    ck_assert_int_eq(result(LEVER_END_FAILED).error, EACCES);
    ck_assert_uint_eq(levers_features(&levers), HELLO_FEATURE_COMPACT);
    ck_assert_str_eq(levers.missing, "reclaim: denied");
}
END_TEST

START_TEST(a_helper_that_dies_is_followed_by_the_next)
{
    helper_comes();
    start();
    probe(ALL);
    begin(MESSAGE_RECLAIM, 5, 8 * MIB, false);
    expect(LEVER_RECLAIM_FILE, 4 * MIB);
    closep(&helper_fd);
    helper_fd = -EBADF;
    go_round();
    ck_assert_int_eq(result(LEVER_END_FAILED).error, ECONNRESET);
    /* Whoever supervises it starts it again. It is asked soon, so that it puts back what was changed. */
    ck_assert_uint_eq(levers_features(&levers), ALL);
    ck_assert_uint_le(levers_due_usec(&levers, true), now + 2 * SECOND);
    now += 2 * SECOND;
    go_round();
    probe(ALL);

    /* Nobody does. */
    begin(MESSAGE_RECLAIM, 6, 8 * MIB, false);
    expect(LEVER_RECLAIM_FILE, 4 * MIB);
    helper_goes();
    go_round();
    (void) result(LEVER_END_FAILED);
    now += 2 * SECOND;
    go_round();
    ck_assert_uint_eq(levers_features(&levers), 0);
    ck_assert_str_eq(levers.missing, "no lever helper");
}
END_TEST

START_TEST(a_helper_that_ends_between_steps_is_found_again)
{
    helper_comes();
    start();
    probe(ALL);
    begin(MESSAGE_RECLAIM, 5, 8 * MIB, false);
    expect(LEVER_RECLAIM_FILE, 4 * MIB);
    answer((LeverAnswer){.levers = ALL, .got_bytes = 4 * MIB});
    closep(&helper_fd);
    helper_fd = -EBADF;
    go_round();
    wait_step();
    expect(LEVER_RECLAIM_FILE, 4 * MIB);
    answer((LeverAnswer){.levers = ALL, .got_bytes = 4 * MIB});
    wait_step();
    (void) result(LEVER_END_DONE);
}
END_TEST

START_TEST(a_helper_that_hangs_is_left)
{
    helper_comes();
    start();
    probe(ALL);
    begin(MESSAGE_COMPACT, 5, 0, false);
    expect(LEVER_COMPACT, 0);
    now = levers_due_usec(&levers, true);
    go_round();
    ck_assert_int_eq(result(LEVER_END_FAILED).error, ETIMEDOUT);
    ck_assert_uint_eq(levers_features(&levers), 0);
}
END_TEST

START_TEST(a_helper_that_talks_nonsense_is_left)
{
    helper_comes();
    start();
    probe(ALL);
    begin(MESSAGE_COMPACT, 5, 0, false);
    expect(LEVER_COMPACT, 0);
    ck_assert_int_eq(send(helper_fd, "nonsense", 8, 0), 8);
    go_round();
    ck_assert_int_eq(result(LEVER_END_FAILED).error, EPROTO);
}
END_TEST

/* An answer of the right length whose error is none. */
static const int32_t impossible_errors[] = {1, -ERRNO_MAX - 1, INT32_MIN};

START_TEST(a_helper_with_an_impossible_error_is_left)
{
    helper_comes();
    start();
    probe(ALL);
    begin(MESSAGE_COMPACT, 5, 0, false);
    expect(LEVER_COMPACT, 0);
    answer((LeverAnswer){.levers = ALL, .error = impossible_errors[_i]});
    ck_assert_int_eq(result(LEVER_END_FAILED).error, EPROTO);
    ck_assert_uint_eq(levers_features(&levers), 0);
}
END_TEST

START_TEST(ages_are_asked_for_where_there_are_any)
{
    Report r;

    helper_comes();
    start();
    probe(ALL | LEVER_HAS_AGES);
    expect(LEVER_AGES, 0);
    /* A request that comes meanwhile waits for the helper. */
    begin(MESSAGE_RECLAIM, 5, 4 * MIB, false);
    ck_assert_uint_eq(asked().verb, 0);
    answer((LeverAnswer){.levers = ALL | LEVER_HAS_AGES, .cold_bytes = {30 * MIB, 20 * MIB, 10 * MIB}});
    expect(LEVER_RECLAIM_FILE, 4 * MIB);
    ck_assert_int_eq(collector_read(&collector, &r), 0);
    ck_assert_uint_eq(report_get(&r, REPORT_COLD_60S), 20 * MIB);
    answer((LeverAnswer){.levers = ALL | LEVER_HAS_AGES, .got_bytes = 4 * MIB});
    wait_step();
    (void) result(LEVER_END_DONE);
    /* There is less now. */
    expect(LEVER_AGES, 0);
    answer((LeverAnswer){.levers = ALL | LEVER_HAS_AGES, .cold_bytes = {26 * MIB, 16 * MIB, 6 * MIB}});
    ck_assert_int_eq(collector_read(&collector, &r), 0);
    ck_assert_uint_eq(report_get(&r, REPORT_COLD_600S), 6 * MIB);
    /* Without a host nobody wants to know. */
    now += 3600 * SECOND;
    ck_assert_uint_eq(levers_due_usec(&levers, false), USEC_INFINITY);
    ck_assert_uint_le(levers_due_usec(&levers, true), now);
    levers_tick(&levers, false, now);
    ck_assert_uint_eq(asked().verb, 0);
    ck_assert_int_eq(collector_read(&collector, &r), 0);
    ck_assert(!report_has(&r, REPORT_COLD_600S));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("levers");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_probe_says_what_the_guest_can_do);
    tcase_add_test(tc, a_missing_helper_is_looked_for);
    tcase_add_test(tc, switched_off_they_do_nothing);
    tcase_add_test(tc, a_reclaim_goes_in_steps);
    tcase_add_test(tc, a_reclaim_ends_by_refaults);
    tcase_add_test(tc, distress_ends_a_reclaim);
    tcase_add_test(tc, compaction_gains_blocks);
    tcase_add_test(tc, a_refusal_is_passed_on);
    tcase_add_test(tc, a_helper_that_dies_is_followed_by_the_next);
    tcase_add_test(tc, a_helper_that_ends_between_steps_is_found_again);
    tcase_add_test(tc, a_helper_that_hangs_is_left);
    tcase_add_test(tc, a_helper_that_talks_nonsense_is_left);
    tcase_add_loop_test(tc, a_helper_with_an_impossible_error_is_left, 0, ELEMENTSOF(impossible_errors));
    tcase_add_test(tc, ages_are_asked_for_where_there_are_any);
    return run_tests(tc);
}
