/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a cycle runs, and how often libvirt is asked about each guest. */

#include "tests/unit/cycle-scene.h"
#include "tests/unit/run.h"

static usec_t due(const Scene *x)
{
    uint64_t usec;

    ck_assert_int_ge(sd_event_source_get_time(x->cycle.timer, &usec), 0);
    return usec;
}

/* A cycle, as the loop runs it: the next comes after the interval unless it is asked for. */
static void regular_cycle(Scene *x)
{
    ck_assert_int_ge(sd_event_source_set_time(x->cycle.timer, clock_usec + INTERVAL), 0);
    cycle_run(&x->cycle);
}

/* How many of the stats asked for since `from` were that guest's. */
static unsigned stats_of(const Scene *x, unsigned i, size_t from)
{
    unsigned n = 0;

    for (; from < x->asked.n_stats; from++)
        n += strcmp(x->asked.stats[from].uuid, guest(x, i)->info.uuid) == 0;
    return n;
}

enum { WITH_AGENT, WITHOUT, IN_DISTRESS, MOVING, UNSEEN };

/* Cycles each 100 ms for that long; guest 0 and those in distress have an agent. */
static size_t cycles_for(Scene *x, usec_t usec)
{
    size_t before = x->asked.n_stats;
    Report empty = {};

    for (usec_t t = 0; t < usec; t += 100 * MSEC) {
        clock_usec += 100 * MSEC;
        report(guest(x, WITH_AGENT), 3 * GIB);
        report(guest(x, IN_DISTRESS), 256 * MIB);
        guest_distress(guest(x, IN_DISTRESS), DISTRESS_OOM, &empty, clock_usec);
        cycle_run(&x->cycle);
    }
    return before;
}

START_TEST(test_pace_of_stats)
{
    Entitlement nothing = stage_entitlement();
    DomainInfo info = stage_domain(UNSEEN, 4 * GIB);
    size_t before;
    Scene x;

    scene_init(&x, 1000 * SEC);
    for (unsigned i = WITH_AGENT; i <= MOVING; i++)
        add_guest(&x, i, 4 * GIB);
    clock_usec += 5000 * SEC;
    guests_add(&x.guests, &info, &nothing);
    guest_sent(guest(&x, MOVING), 3 * GIB, clock_usec);

    before = cycles_for(&x, 10 * SEC);
    ck_assert_uint_eq(stats_of(&x, WITH_AGENT, before), 2);
    ck_assert_uint_eq(stats_of(&x, WITHOUT, before), 5);
    ck_assert_uint_eq(stats_of(&x, IN_DISTRESS, before), 10);
    ck_assert_uint_eq(stats_of(&x, MOVING, before), 50);
    /* A balloon that can't be seen isn't looked for without end. */
    ck_assert_uint_eq(stats_of(&x, UNSEEN, before), 50);
    ck_assert_uint_eq(x.asked.stats[0].period_sec, 2);

    before = cycles_for(&x, 10 * SEC);
    ck_assert_uint_eq(stats_of(&x, UNSEEN, before), 5);

    /* Nothing is asked of libvirt while that is away. */
    for (unsigned i = 0; i < x.guests.n; i++)
        guest_set_lost(x.guests.entries[i].guest, true);
    before = cycles_for(&x, SEC);
    ck_assert_uint_eq(x.asked.n_stats, before);
    scene_done(&x);
}
END_TEST

START_TEST(test_a17_no_stats_period_for_a_guest_in_mode_off)
{
    Scene x;

    scene_init(&x, 1000 * SEC);
    guest_configure(add_guest(&x, 0, 4 * GIB), &(Entitlement){.mode = GUEST_MODE_OFF});
    guest_configure(add_guest(&x, 1, 4 * GIB), &(Entitlement){.mode = GUEST_MODE_OBSERVE});
    cycle_run(&x.cycle);
    ck_assert_uint_eq(x.asked.n_stats, 2);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_eq(x.asked.stats[i].period_sec,
                          strcmp(x.asked.stats[i].uuid, guest(&x, 0)->info.uuid) == 0 ? 0 : 2);
    ck_assert_uint_eq(x.transport.opened, 1);
    scene_done(&x);
}
END_TEST

START_TEST(test_wakes)
{
    usec_t began;
    Scene x;

    scene_init(&x, 1000 * SEC);
    regular_cycle(&x);
    began = clock_usec;
    ck_assert_uint_eq(due(&x), began + INTERVAL);

    /* In vain: it comes sooner anyhow. */
    cycle_wake_in(&x.cycle, 2 * INTERVAL);
    ck_assert_uint_eq(due(&x), began + INTERVAL);
    cycle_wake_in(&x.cycle, 300 * MSEC);
    ck_assert_uint_eq(due(&x), began + 300 * MSEC);
    clock_usec += 10 * MSEC;
    for (unsigned i = 0; i < 10; i++)
        cycle_wake(&x.cycle);
    ck_assert_uint_eq(due(&x), began + 50 * MSEC);
    cycle_wake_in(&x.cycle, 300 * MSEC); /* puts nothing off */
    ck_assert_uint_eq(due(&x), began + 50 * MSEC);

    /* The last one is long ago. */
    regular_cycle(&x);
    clock_usec += 400 * MSEC;
    cycle_wake(&x.cycle);
    ck_assert_uint_eq(due(&x), clock_usec);

    cycle_stop(&x.cycle);
    cycle_wake(&x.cycle);
    ck_assert_ptr_null(x.cycle.timer);
    scene_done(&x);
}
END_TEST

/* By the real clock: the loop runs until so many cycles were run, or for that long. */
static void loop_until(const Scene *x, uint64_t count, usec_t usec)
{
    usec_t end = now_usec(CLOCK_MONOTONIC) + usec;

    while (x->cycle.count < count && now_usec(CLOCK_MONOTONIC) < end)
        ck_assert_int_ge(sd_event_run(x->event, 10 * MSEC), 0);
}

START_TEST(test_many_wakes_are_one)
{
    usec_t first;
    Scene x;

    scene_init(&x, 0);
    x.stage.config->interval_usec = 60 * SEC;
    loop_until(&x, 1, 3 * SEC); /* the first comes at once */
    ck_assert_uint_eq(x.cycle.count, 1);
    first = x.cycle.began_usec;
    for (unsigned i = 0; i < 100; i++)
        cycle_wake(&x.cycle);
    loop_until(&x, 2, 3 * SEC);
    ck_assert_uint_eq(x.cycle.count, 2);
    ck_assert_uint_ge(x.cycle.began_usec - first, 50 * MSEC);
    loop_until(&x, 3, 200 * MSEC);
    ck_assert_uint_eq(x.cycle.count, 2);

    /* And without being asked for, one comes each interval. */
    x.stage.config->interval_usec = 100 * MSEC;
    cycle_wake(&x.cycle);
    loop_until(&x, 5, 3 * SEC);
    ck_assert_uint_eq(x.cycle.count, 5);
    ck_assert_uint_ge(x.cycle.began_usec - first, 250 * MSEC);
    scene_done(&x);
}
END_TEST

/* Guest 0 suffers with half of its memory; guest 1 has plenty; the host has nothing to give. */
static void full_host(Scene *x, bool donor)
{
    Report empty = {};

    scene_init(x, 1000 * SEC);
    add_guest(x, 0, 2 * GIB);
    if (donor)
        add_guest(x, 1, 4 * GIB);
    clock_usec += 5000 * SEC;
    host_has(x, 5 * GIB);
    report_all(x);
    report(guest(x, 0), 64 * MIB);
    guest_distress(guest(x, 0), DISTRESS_OOM, &empty, clock_usec);
}

START_TEST(test_distress_is_fed)
{
    usec_t began;
    Scene x;

    full_host(&x, true);
    regular_cycle(&x);
    began = clock_usec;
    ck_assert_uint_eq(x.asked.n_moves, 1);
    ck_assert_str_eq(x.asked.moves[0].uuid, guest(&x, 1)->info.uuid);
    ck_assert_uint_lt(x.asked.moves[0].state.sent_bytes, 4 * GIB);
    ck_assert_uint_gt(x.cycle.plan.shortfall_bytes, 0);
    ck_assert_uint_eq(due(&x), began + 100 * MSEC);

    /* Memory that was released so far is passed on; the cycle waits for the rest. */
    clock_usec += 100 * MSEC;
    guest_set_done(guest(&x, 1), 0, clock_usec);
    guest_balloon_seen(guest(&x, 1), 4 * GIB - 128 * MIB, clock_usec);
    host_has(&x, 5 * GIB + 768 * MIB);
    regular_cycle(&x);
    ck_assert_uint_eq(x.asked.n_moves, 2);
    ck_assert_str_eq(x.asked.moves[1].uuid, guest(&x, 0)->info.uuid);
    ck_assert_uint_gt(x.asked.moves[1].state.sent_bytes, 2 * GIB);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_GRANT), 1);
    ck_assert_uint_eq(due(&x), clock_usec + 100 * MSEC);

    /* All of it can be given now. */
    guest_set_done(guest(&x, 0), 0, clock_usec);
    clock_usec += 100 * MSEC;
    host_has(&x, 30 * GIB);
    regular_cycle(&x);
    ck_assert_uint_eq(x.asked.moves[x.asked.n_moves - 1].state.sent_bytes, 4 * GIB);
    ck_assert_uint_eq(x.cycle.plan.shortfall_bytes, 0);
    ck_assert_uint_eq(due(&x), clock_usec + INTERVAL);
    scene_done(&x);
}
END_TEST

/* Nobody releases anything: there is nothing to hurry for. */
START_TEST(test_distress_without_donors)
{
    Scene x;

    full_host(&x, false);
    regular_cycle(&x);
    ck_assert_uint_eq(x.asked.n_moves, 0);
    ck_assert_uint_gt(x.cycle.plan.shortfall_bytes, 0);
    ck_assert_uint_eq(due(&x), clock_usec + INTERVAL);
    scene_done(&x);
}
END_TEST

/* The one before is still with libvirt: decided again as soon as that is done. */
START_TEST(test_put_off)
{
    Scene x;

    three_guests(&x);
    run_policy(&x, GIVES);
    x.asked.error = -EBUSY;
    regular_cycle(&x);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_MOVE), 0);
    ck_assert_uint_eq(due(&x), clock_usec + INTERVAL);

    x.asked.error = 0;
    clock_usec += 200 * MSEC;
    guest_set_done(guest(&x, 1), 0, clock_usec);
    ck_assert_uint_eq(due(&x), clock_usec);
    regular_cycle(&x);
    ck_assert_uint_eq(x.asked.n_moves, 3);
    scene_done(&x);
}
END_TEST

/* By the real clock: between cycles the balloon is looked at until it is there. */
START_TEST(test_tick)
{
    usec_t end;
    int enabled = SD_EVENT_ONESHOT;
    Scene x;

    scene_init(&x, 0);
    cycle_stop(&x.cycle);
    add_guest(&x, 0, 4 * GIB);
    guest_sent(guest(&x, 0), 3 * GIB, now_usec(CLOCK_MONOTONIC));
    cycle_watch(&x.cycle);
    cycle_watch(&x.cycle);
    end = now_usec(CLOCK_MONOTONIC) + 3 * SEC;
    while (x.asked.n_stats < 3 && now_usec(CLOCK_MONOTONIC) < end)
        ck_assert_int_ge(sd_event_run(x.event, 10 * MSEC), 0);
    ck_assert_uint_eq(x.asked.n_stats, 3);
    ck_assert_uint_ge(now_usec(CLOCK_MONOTONIC) + 3 * SEC - end, 600 * MSEC);
    ck_assert_uint_eq(x.cycle.count, 0);

    guest_set_done(guest(&x, 0), 0, now_usec(CLOCK_MONOTONIC));
    guest_balloon_seen(guest(&x, 0), 3 * GIB, now_usec(CLOCK_MONOTONIC));
    while (enabled != SD_EVENT_OFF && now_usec(CLOCK_MONOTONIC) < end + SEC) {
        ck_assert_int_ge(sd_event_run(x.event, 10 * MSEC), 0);
        ck_assert_int_ge(sd_event_source_get_enabled(x.cycle.tick, &enabled), 0);
    }
    ck_assert_int_eq(enabled, SD_EVENT_OFF);
    cycle_watch(&x.cycle);
    ck_assert_int_ge(sd_event_source_get_enabled(x.cycle.tick, &enabled), 0);
    ck_assert_int_eq(enabled, SD_EVENT_ONESHOT);
    scene_done(&x);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("cycle-when");

    tcase_add_test(tc, test_pace_of_stats);
    tcase_add_test(tc, test_a17_no_stats_period_for_a_guest_in_mode_off);
    tcase_add_test(tc, test_wakes);
    tcase_add_test(tc, test_many_wakes_are_one);
    tcase_add_test(tc, test_distress_is_fed);
    tcase_add_test(tc, test_distress_without_donors);
    tcase_add_test(tc, test_put_off);
    tcase_add_test(tc, test_tick);
    return run_tests(tc);
}
