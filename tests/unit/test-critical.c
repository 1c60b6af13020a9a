/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A critical host from its beginning to its end: what is reported, and how often. */

#include "base/log.h"
#include "host-agent/show/journal.h"
#include "tests/unit/caught-log.h"
#include "tests/unit/cycle-scene.h"
#include "tests/unit/run.h"

/* The critical threshold is 5 of 100 GiB. */
static void cycles(Scene *x, uint64_t available_bytes, unsigned n)
{
    host_has(x, available_bytes);
    for (unsigned i = 0; i < n; i++) {
        next_cycle(x);
        arrive_all(x);
    }
}

START_TEST(test_c1_a_critical_host_is_logged_from_begin_to_end)
{
    const NoticeCritical *done;
    Scene x;

    three_guests(&x);
    run_policy(&x, GIVES);
    cycles(&x, 22 * GIB, 2);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL), 0);
    run_policy(&x, "for g in guests {\n  g.target = 3840MiB because \"it gives\"\n}\n");
    cycles(&x, 4 * GIB, 1);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL), 1);
    ck_assert_uint_eq(stage_last(&x.stage, NOTICE_CRITICAL)->critical.threshold_bytes, 5 * GIB);
    ck_assert_uint_gt(stage_last(&x.stage, NOTICE_CRITICAL)->critical.can_give_bytes, 0);
    ck_assert_double_eq(stage_last(&x.stage, NOTICE_CRITICAL)->host_available_bytes, 4.0 * GIB);

    /* They gave what the policy wants, and nothing more comes. */
    cycles(&x, 3 * GIB, 20);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL_STUCK), 1);
    ck_assert_ptr_nonnull(strstr(stage_last(&x.stage, NOTICE_CRITICAL_STUCK)->text, "3 "));
    cycles(&x, 6 * GIB, 29);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL_OVER), 0);
    cycles(&x, 6 * GIB, 3);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL_OVER), 1);
    done = &stage_last(&x.stage, NOTICE_CRITICAL_OVER)->critical;
    ck_assert_uint_eq(done->lowest_bytes, 3 * GIB);
    ck_assert_uint_eq(done->lasted_usec, 21 * SEC);
    ck_assert_uint_eq(done->guests, 3);
    ck_assert_uint_eq(done->moves, 3);
    ck_assert_uint_eq(done->taken_bytes, 3 * 128 * MIB);
    ck_assert_uint_eq(done->handed_back_bytes, 0);

    /* The next time is reported again. */
    cycles(&x, 4 * GIB, 10);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL), 2);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL_STUCK), 2);
    scene_done(&x);
}
END_TEST

/* A host at the edge is one time, not many; and far above it is over at once. */
START_TEST(test_c1_a_host_at_the_edge_is_logged_once)
{
    Scene x;

    three_guests(&x);
    for (unsigned i = 0; i < 20; i++)
        cycles(&x, i % 2 ? 6 * GIB : 4 * GIB, 3);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL), 1);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL_OVER), 0);
    cycles(&x, 60 * GIB, 1);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL_OVER), 1);
    scene_done(&x);
}
END_TEST

START_TEST(test_c1_in_the_journal)
{
    int log;
    Scene x;

    three_guests(&x);
    x.stage.host.mode = GUEST_MODE_OBSERVE;
    audience_add(&x.stage.audience, journal_hear, NULL);
    log_open(LOG_INFO);
    cycles(&x, 22 * GIB, 1);
    log = stderr_pipe();
    cycles(&x, 4 * GIB, 1);
    ck_assert_uint_eq(
        caught_lines(
            log,
            "The host is critical: 4.00 GiB available (4.0%), below the critical threshold of 5.00 GiB; guests could give "),
        1);
    cycles(&x, 4 * GIB, 9);
    ck_assert_uint_eq(
        caught_lines(
            log,
            "The host is still critical, and guests give nothing more (in mode observe, nothing was moved): "),
        1);
    cycles(&x, 60 * GIB, 1);
    ck_assert_uint_eq(
        caught_lines(
            log,
            "The host is no longer critical (available 60.0%): it was for 10s, with 4.00 GiB available at the lowest; in mode observe nothing was moved"),
        1);
    scene_done(&x);
}
END_TEST

static void oom_kills(const Scene *x, unsigned n)
{
    char text[96];

    (void) snprintf(text, sizeof(text), "pgfault 1\npgmajfault 1\noom_kill %u\n", n);
    temp_file(x->folder, "vmstat", text);
}

/* A rise of the counter is reported at once, and what follows within 10 s together. */
START_TEST(test_c_oom_kills_are_logged)
{
    int log;
    Scene x;

    three_guests(&x);
    audience_add(&x.stage.audience, journal_hear, NULL);
    log_open(LOG_INFO);
    oom_kills(&x, 3);
    cycles(&x, 22 * GIB, 2);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_OOM), 0);
    log = stderr_pipe();
    oom_kills(&x, 5);
    cycles(&x, 22 * GIB, 1);
    ck_assert_uint_eq(caught_lines(log,
                                   "The host's kernel killed 2 processes because memory ran out (journalctl "
                                   "-k says which); 22.0 GiB available (22.0%). The host has enough, so"),
                      1);
    for (unsigned i = 6; i < 14; i++) {
        oom_kills(&x, i);
        cycles(&x, 22 * GIB, 1);
    }
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_OOM), 1);
    cycles(&x, 4 * GIB, 3);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_OOM), 2);
    ck_assert_uint_eq(stage_last(&x.stage, NOTICE_OOM)->oom.kills, 8);
    cycles(&x, 4 * GIB, 30);
    oom_kills(&x, 14);
    cycles(&x, 4 * GIB, 1);
    ck_assert_uint_eq(
        caught_lines(log,
                     "The host's kernel killed 1 process because memory ran out (journalctl -k says which); "
                     "4.00 GiB available (4.0%). The host is short of memory: "),
        1);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_OOM), 3);
    scene_done(&x);
}
END_TEST

/* Two nodes of 50 GiB, and node 0 has so much available. */
static void node_0_has(const Scene *x, uint64_t available_bytes)
{
    temp_node(x->folder, 0, 50 * GIB, available_bytes, 0);
    temp_node(x->folder, 1, 50 * GIB, 60 * GIB - available_bytes, 0);
}

/* The host has 60 of 100 GiB, and guest1 can use node 0 only. */
START_TEST(test_b_c_a_critical_node_is_logged_like_a_critical_host)
{
    int log;
    Scene x;

    three_guests(&x);
    temp_file(x.folder, "devices/system/node/online", "0-1\n");
    node_0_has(&x, 20 * GIB);
    guest(&x, 1)->info.nodes = 1;
    audience_add(&x.stage.audience, journal_hear, NULL);
    log_open(LOG_INFO);
    host_watch_set_scope(&x.watch, NULL);
    cycles(&x, 60 * GIB, 2);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL), 0);
    log = stderr_pipe();
    node_0_has(&x, 2 * GIB);
    cycles(&x, 60 * GIB, 1);
    ck_assert_uint_eq(
        caught_lines(
            log,
            "Node 0 is critical: 2.00 GiB available (4.0%), below the critical threshold of 2.50 GiB; guests can give "),
        1);
    ck_assert_uint_eq(stage_last(&x.stage, NOTICE_CRITICAL)->critical.nodes, 1);
    cycles(&x, 60 * GIB, 9);
    ck_assert_uint_eq(caught_lines(log, "Node 0 is still critical, and guests give nothing more: node 0: "),
                      1);
    ck_assert_uint_eq(x.cycle.critical.n_nodes, 1);

    /* It isn't short of memory any more. */
    node_0_has(&x, 4 * GIB);
    cycles(&x, 60 * GIB, 29);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL_OVER), 0);
    cycles(&x, 60 * GIB, 3);
    ck_assert_uint_eq(
        caught_lines(
            log,
            "Node 0 is no longer critical (available 8.0%): that lasted 10s, with 2.00 GiB available at the lowest; 0 guests gave"),
        1);
    ck_assert_uint_eq(x.cycle.critical.n_nodes, 0);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL), 1);

    /* Again, and the guest goes. */
    node_0_has(&x, GIB);
    cycles(&x, 60 * GIB, 2);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL), 2);
    guests_remove(&x.guests, guest(&x, 1)->info.uuid);
    cycles(&x, 60 * GIB, 33);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_CRITICAL_OVER), 2);
    scene_done(&x);
}
END_TEST

/* A guest's driver says what its balloon holds. What we didn't ask for was not taken. */
START_TEST(test_a1_a_balloon_that_lies_gives_nothing)
{
    const NoticeCritical *done;
    Scene x;

    three_guests(&x);
    cycles(&x, 4 * GIB, 2);
    for (unsigned i = 0; i < 20; i++) {
        guest_balloon_seen(guest(&x, 1), i % 2 ? 4 * GIB : GIB, clock_usec);
        next_cycle(&x);
    }
    cycles(&x, 60 * GIB, 1);
    done = &stage_last(&x.stage, NOTICE_CRITICAL_OVER)->critical;
    ck_assert_uint_eq(done->taken_bytes, 0);
    ck_assert_uint_eq(done->guests, 0);
    scene_done(&x);
}
END_TEST

/* A guest that goes meanwhile, or comes. */
START_TEST(test_guests_come_and_go)
{
    Scene x;

    three_guests(&x);
    cycles(&x, 4 * GIB, 2);
    run_policy(&x, GIVES);
    cycles(&x, 4 * GIB, 3);
    guests_remove(&x.guests, guest(&x, 1)->info.uuid);
    cycles(&x, 4 * GIB, 2);
    (void) add_guest(&x, 4, 4 * GIB);
    cycles(&x, 4 * GIB, 2);
    cycles(&x, 60 * GIB, 1);
    ck_assert_uint_eq(stage_last(&x.stage, NOTICE_CRITICAL_OVER)->critical.taken_bytes, 3 * 128 * MIB);
    ck_assert_uint_eq(stage_last(&x.stage, NOTICE_CRITICAL_OVER)->critical.guests, 3);
    scene_done(&x);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("critical");

    tcase_add_test(tc, test_c1_a_critical_host_is_logged_from_begin_to_end);
    tcase_add_test(tc, test_c1_a_host_at_the_edge_is_logged_once);
    tcase_add_test(tc, test_c1_in_the_journal);
    tcase_add_test(tc, test_b_c_a_critical_node_is_logged_like_a_critical_host);
    tcase_add_test(tc, test_a1_a_balloon_that_lies_gives_nothing);
    tcase_add_test(tc, test_guests_come_and_go);
    tcase_add_test(tc, test_c_oom_kills_are_logged);
    return run_tests(tc);
}
