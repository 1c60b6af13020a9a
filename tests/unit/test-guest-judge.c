/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whether a guest hurts or is in distress, judged from a sequence of reports, and what that changes. */

#include "base/units.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-judge.h"
#include "host-agent/guest/guest-snapshot.h"
#include "tests/unit/guest-rig.h"
#include "tests/unit/run.h"

/* It is rolled back and reported once, however long its rates still include the time before. */
START_TEST(test_rolled_back_once)
{
    Rig *t = rig_new(0);
    usec_t since;

    reports(t, 8, AT_EASE);
    move(t, 3584 * MIB);
    reports(t, 60, AT_EASE);
    move(t, 3072 * MIB);
    reports(t, 6, HURTS);
    ck_assert(seen(t).judgement.hurting);
    ck_assert_uint_eq(seen(t).judgement.restore_bytes, 3584 * MIB);
    ck_assert_uint_eq(seen(t).judgement.needed_bytes, 3584 * MIB);

    since = t->guest->judgement.hurting_usec;
    move(t, 3584 * MIB);
    report(t, 250 * MSEC, HURTS); /* the first after a move may let the next decision come at once */
    t->stage.wakes = 0;
    reports(t, 19, HURTS);
    ck_assert(!seen(t).judgement.hurting);
    ck_assert_uint_eq(stage_count(&t->stage, NOTICE_HURTING), 1);
    ck_assert_uint_eq(t->guest->judgement.hurting_usec, since);
    ck_assert_uint_eq(t->stage.wakes, 0);
    ck_assert(seen(t).judgement.protected);
    rig_free(t);
}
END_TEST

/* Hurting long after a shrink isn't blamed on that shrink because the guest got some memory back just now. */
START_TEST(test_growth_is_no_shrink)
{
    Rig *t = rig_new(0);

    reports(t, 8, AT_EASE);
    move(t, 2 * GIB);
    reports(t, 400, AT_EASE);
    move(t, 2304 * MIB);
    reports(t, 8, HURTS);
    ck_assert(!seen(t).judgement.hurting);
    ck_assert_uint_eq(t->guest->judgement.need.times, 0);
    rig_free(t);
}
END_TEST

/* Only the guard says when a host is too short of memory to mind, whatever thresholds a policy has. */
START_TEST(test_policy_cannot_forbid_rolling_back)
{
    Rig *t = rig_new(0);

    reports(t, 8, AT_EASE);
    move(t, 3 * GIB);
    reports(t, 6, HURTS);
    ck_assert(seen(t).judgement.hurting);
    rig_free(t);

    t = rig_new(0);
    host_fields_set(&t->stage.fields, HOST_FIELD_AVAILABLE, (double) (4 * GIB));
    reports(t, 8, AT_EASE);
    move(t, 3 * GIB);
    reports(t, 6, HURTS);
    ck_assert(!seen(t).judgement.hurting);
    ck_assert_uint_eq(seen(t).judgement.needed_bytes, 4 * GIB);
    rig_free(t);
}
END_TEST

/* One that grew above its full size because it needs it isn't squeezed again and again. */
START_TEST(test_need_above_full)
{
    Rig *t = rig_new(8 * GIB);

    reports(t, 8, AT_EASE);
    reports(t, 8, SUFFERS);
    ck_assert(seen(t).judgement.distress);
    move(t, 6 * GIB);
    reports(t, 4, SUFFERS);
    reports(t, 48, AT_EASE);
    ck_assert(!seen(t).judgement.distress);
    ck_assert(seen(t).judgement.protected);
    ck_assert_uint_gt(seen(t).judgement.needed_bytes, 6 * GIB);
    rig_free(t);
}
END_TEST

/* Each sign of distress wakes a cycle, but not twenty a second of one guest. */
START_TEST(test_wakes)
{
    Rig *t = rig_new(0);

    guest_distressed(t->guest, DISTRESS_PSI, true, t->now);
    ck_assert_uint_eq(t->stage.wakes, 1);
    for (unsigned i = 0; i < 200; i++) {
        t->now += 50 * MSEC;
        guest_distressed(t->guest, DISTRESS_PSI, true, t->now);
    }
    ck_assert_uint_eq(t->stage.wakes, 1);
    t->now += DISTRESS_INTERVAL_USEC;
    guest_distressed(t->guest, DISTRESS_PSI, true, t->now);
    ck_assert_uint_eq(t->stage.wakes, 2);
    ck_assert(guest_in_distress(t->guest, t->now));
    rig_free(t);
}
END_TEST

/* Distress that comes and goes is logged once a minute. */
START_TEST(test_distress_is_logged_once_a_minute)
{
    Rig *t = rig_new(0);
    usec_t first = t->now;

    guest_distressed(t->guest, DISTRESS_PSI, false, t->now);
    for (unsigned i = 0; i < 4; i++) {
        t->now += 12 * SEC;
        guest_distressed(t->guest, DISTRESS_PSI, false, t->now);
        ck_assert_uint_eq(t->guest->judgement.distress_logged_usec, first);
    }
    t->now += 12 * SEC;
    guest_distressed(t->guest, DISTRESS_PSI, false, t->now);
    ck_assert_uint_eq(t->guest->judgement.distress_logged_usec, t->now);
    rig_free(t);
}
END_TEST

/* A guest that is still shrinking keeps memory that isn't a grant: whether it uses that isn't checked. */
START_TEST(test_charged)
{
    static const struct {
        uint64_t current, standing, target, given; /* MiB */
        bool distress;
    } rows[] = {
        {2048, 2048, 3072, 1024, true}, {2048, 1024, 2048, 0, true},
        {2048, 1024, 3072, 1024, true}, {1024, 2048, 3072, 1024, true}, /* more, while it grows */
        {2048, 2048, 3072, 0, false},   {2048, 2048, 1024, 0, true},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Rig *t = rig_new(0);
        SnapshotGuest s = {.judgement.distress = rows[i].distress,
                           .sizes.current_bytes = rows[i].current * MIB,
                           .sizes.standing_bytes = rows[i].standing * MIB};

        t->guest->judgement.distress_cause = DISTRESS_PSI;
        guest_charge(t->guest, &s, rows[i].target * MIB, t->now);
        ck_assert_msg(t->guest->judgement.grant.given_bytes == rows[i].given * MIB, "row %zu", i);
        ck_assert_msg(t->guest->judgement.grant.open == (rows[i].given > 0), "row %zu", i);
        rig_free(t);
    }
}
END_TEST

/* Memory that was taken from a guest just now and is given back is no grant. */
START_TEST(test_own_memory_back_is_no_grant)
{
    Rig *t = rig_new(0);
    SnapshotGuest s;

    move(t, 3 * GIB);
    guest_distressed(t->guest, DISTRESS_PSI, true, t->now);
    s = seen(t);
    guest_charge(t->guest, &s, 4 * GIB, t->now);
    ck_assert(!t->guest->judgement.grant.open);
    /* Long after the shrink it is one. */
    t->now += 2 * (60 * SEC);
    guest_distressed(t->guest, DISTRESS_PSI, true, t->now);
    s = seen(t);
    guest_charge(t->guest, &s, 4 * GIB, t->now);
    ck_assert(t->guest->judgement.grant.open);
    ck_assert_uint_eq(t->guest->judgement.grant.given_bytes, GIB);
    rig_free(t);
}
END_TEST

/* To take page cache a balloon has the kernel reclaim it, which counts as waiting for memory. The guest
 * doesn't need more because of that: its stalls count once the balloon rests. */
START_TEST(test_balloons_own_stalls)
{
    Rig *t = rig_new(0);
    SnapshotGuest s;

    t->refaults = true;
    reports(t, 8, AT_EASE);
    send(t, 3 * GIB);
    for (unsigned i = 1; i <= 10; i++) {
        report(t, 250 * MSEC, SUFFERS);
        guest_balloon_seen(t->guest, 4 * GIB - i * 100 * MIB, t->now);
        guest_judge_distress(t->guest, DISTRESS_PSI, t->now);
        ck_assert(!seen(t).judgement.hurting && !seen(t).judgement.distress);
        s = seen(t);
        ck_assert(!guest_fields_has(&s.fields, GUEST_FIELD_STALL));
    }
    guest_balloon_seen(t->guest, 3 * GIB, t->now);
    report(t, 100 * MSEC, SUFFERS);
    reports(t, 12, AT_EASE);
    ck_assert(!seen(t).judgement.hurting && !seen(t).judgement.distress);
    s = seen(t);
    ck_assert(guest_fields_has(&s.fields, GUEST_FIELD_STALL));
    ck_assert_uint_eq(seen(t).judgement.needed_bytes, 0);

    /* Stalls at rest are the guest's, where it has little left. */
    t->left_bytes = 256 * MIB;
    reports(t, 8, HURTS);
    ck_assert(seen(t).judgement.hurting);
    guest_judge_distress(t->guest, DISTRESS_PSI, t->now);
    ck_assert(seen(t).judgement.distress);
    rig_free(t);
}
END_TEST

/* Signs that the guest itself suffers while its balloon takes memory. */
START_TEST(test_suffers_while_it_shrinks)
{
    static const struct {
        DistressCause cause;
        double refault_rate;
        uint64_t left_bytes;
        bool refaults, distress;
    } rows[] = {
        {DISTRESS_PSI, 0, GIB, true, false},        {DISTRESS_STALL, 0, GIB, true, false},
        {DISTRESS_OOM, 0, GIB, true, true},         {DISTRESS_SWAP_IN, 0, GIB, true, true},
        {DISTRESS_PSI, 8.0 * MIB, GIB, true, true}, /* what was taken comes back */
        {DISTRESS_PSI, 0, 32 * MIB, true, true},    /* it has nothing left */
        {DISTRESS_PSI, 0, GIB, false, true},        /* it isn't known */
    };
    Rig *t = rig_new(0);

    t->refaults = rows[_i].refaults;
    t->refault_rate = rows[_i].refault_rate;
    t->left_bytes = rows[_i].left_bytes;
    reports(t, 8, 0);
    send(t, 3 * GIB);
    reports(t, 2, 0);
    guest_judge_distress(t->guest, rows[_i].cause, t->now);
    ck_assert(seen(t).judgement.distress == rows[_i].distress);
    rig_free(t);
}
END_TEST

/* What stalls in a guest with plenty of free memory is a container at its own limit; Windows counts the files that
 * it reads as swapped in. Neither the rates nor what its agent says is distress then. */
START_TEST(test_b_plenty_of_free_memory_is_no_distress)
{
    static const struct {
        uint64_t free_mib;
        bool distress;
    } rows[] = {{3000, false}, {820, false}, {818, true}, {0, true}};
    Rig *t = rig_new(0);

    t->left_bytes = 3 * GIB;
    t->free_bytes = rows[_i].free_mib * MIB;
    reports(t, 20, SUFFERS);
    ck_assert(seen(t).judgement.distress == rows[_i].distress);
    guest_judge_distress(t->guest, DISTRESS_OOM, t->now);
    ck_assert(seen(t).judgement.distress == rows[_i].distress);
    rig_free(t);
}
END_TEST

/* Nor, on a critical host, while its balloon takes some of that: a container that stalls doesn't stop the shrink before
 * the guest gave what is free. With less it is distress. */
START_TEST(test_b_plenty_of_free_memory_is_no_distress_while_it_shrinks)
{
    Rig *t = rig_new(0);

    host_fields_set(&t->stage.fields, HOST_FIELD_AVAILABLE, (double) (4 * GIB));
    t->left_bytes = t->free_bytes = 3 * GIB;
    t->refaults = true;
    t->refault_rate = 64.0 * MIB;
    reports(t, 20, SUFFERS);
    send(t, 1536 * MIB);
    for (uint64_t size = 4096; size >= 1536; size -= 256) {
        guest_balloon_seen(t->guest, size * MIB, t->now);
        t->left_bytes = t->free_bytes = (size - 1152) * MIB;
        report(t, 250 * MSEC, SUFFERS);
        guest_judge_distress(t->guest, DISTRESS_PSI, t->now);
        ck_assert_msg(!seen(t).judgement.distress, "at %" PRIu64 " MiB", size);
    }
    t->left_bytes = t->free_bytes = 300 * MIB; /* a fifth is 307 */
    report(t, 250 * MSEC, SUFFERS);
    ck_assert(seen(t).judgement.distress);
    rig_free(t);
}
END_TEST

/* Stalls alone are no distress of a guest that could drop page cache, and misses none: the same report says both. */
START_TEST(test_b_stalls_alone_do_not_outrank_the_same_report)
{
    static const struct {
        uint64_t left_mib;
        double refault_rate;
        DistressCause cause; /* that its agent says */
        bool by_rates, by_agent;
    } rows[] = {
        {1024, 0, DISTRESS_PSI, false, false}, {1024, 0, DISTRESS_STALL, false, false},
        {1024, 0, DISTRESS_OOM, false, true},  {1024, 8.0 * MIB, DISTRESS_PSI, true, true},
        {700, 0, DISTRESS_PSI, true, true},
    };
    Rig *t = rig_new(0);

    t->refaults = true;
    t->refault_rate = rows[_i].refault_rate;
    t->left_bytes = rows[_i].left_mib * MIB;
    reports(t, 20, SUFFERS);
    ck_assert(seen(t).judgement.distress == rows[_i].by_rates);
    guest_judge_distress(t->guest, rows[_i].cause, t->now);
    ck_assert(seen(t).judgement.distress == rows[_i].by_agent);
    rig_free(t);
}
END_TEST

/* Nor does a guest with plenty of free memory hurt after a shrink. */
START_TEST(test_b_plenty_of_free_memory_does_not_hurt)
{
    Rig *t = rig_new(0);

    t->left_bytes = t->free_bytes = 2 * GIB;
    reports(t, 8, AT_EASE);
    move(t, 3 * GIB);
    reports(t, 8, HURTS);
    ck_assert(!seen(t).judgement.hurting);
    rig_free(t);
}
END_TEST

/* What a shrink took is owed, until the guest reboots. */
START_TEST(test_b_a_shrink_is_owed)
{
    Rig *t = rig_new(0);

    reports(t, 8, AT_EASE);
    ck_assert_uint_eq(seen(t).judgement.owed_bytes, 0);
    move(t, 3 * GIB);
    reports(t, 8, AT_EASE);
    move(t, 2 * GIB);
    ck_assert_uint_eq(seen(t).judgement.owed_bytes, 4 * GIB);
    guest_rebooted(t->guest, t->now);
    ck_assert_uint_eq(seen(t).judgement.owed_bytes, 0);
    rig_free(t);
}
END_TEST

/* A guest says itself how large its balloon is. */
START_TEST(test_a1_no_guest_is_larger_than_its_maximum)
{
    Rig *t = rig_new(0);

    reports(t, 8, AT_EASE);
    send(t, 3 * GIB);
    guest_balloon_seen(t->guest, UINT64_MAX - 4 * GIB, t->now);
    ck_assert_uint_eq(seen(t).sizes.current_bytes, 8 * GIB);
    ck_assert_uint_eq(seen(t).sizes.from_bytes, 4 * GIB);
    rig_free(t);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("guest-judge");

    tcase_add_test(t, test_rolled_back_once);
    tcase_add_test(t, test_growth_is_no_shrink);
    tcase_add_test(t, test_policy_cannot_forbid_rolling_back);
    tcase_add_test(t, test_need_above_full);
    tcase_add_test(t, test_wakes);
    tcase_add_test(t, test_distress_is_logged_once_a_minute);
    tcase_add_test(t, test_charged);
    tcase_add_test(t, test_own_memory_back_is_no_grant);
    tcase_add_test(t, test_balloons_own_stalls);
    tcase_add_loop_test(t, test_suffers_while_it_shrinks, 0, 7);
    tcase_add_loop_test(t, test_b_plenty_of_free_memory_is_no_distress, 0, 4);
    tcase_add_loop_test(t, test_b_stalls_alone_do_not_outrank_the_same_report, 0, 5);
    tcase_add_test(t, test_b_plenty_of_free_memory_is_no_distress_while_it_shrinks);
    tcase_add_test(t, test_b_plenty_of_free_memory_does_not_hurt);
    tcase_add_test(t, test_b_a_shrink_is_owed);
    tcase_add_test(t, test_a1_no_guest_is_larger_than_its_maximum);
    return run_tests(t);
}
