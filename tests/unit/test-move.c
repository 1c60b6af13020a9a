/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sizes that the hypervisor is asked for, what is stored with them, and what is reported. */

#include "base/log.h"
#include "host-agent/act/move.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-snapshot.h"
#include "tests/unit/asked-hypervisor.h"
#include "tests/unit/caught-log.h"
#include "tests/unit/run.h"
#include "tests/unit/staged-guest.h"

typedef struct Scene {
    Stage stage;
    AskedHypervisor asked;
    Guest *guest;
} Scene;

/* A guest of 4 GiB that has all of it, long there. */
static void scene_init(Scene *x)
{
    stage_init_guest(&x->stage, &x->guest);
    asked_init(&x->asked);
    clock_usec += 100 * SEC;
}

static void scene_done(Scene *x)
{
    guest_free(x->guest);
    stage_done(&x->stage);
}

/* libvirt answers the last target, and its balloon is seen there after a while. */
static void arrive(Scene *x, uint64_t bytes, usec_t after)
{
    guest_set_done(x->guest, 0, clock_usec);
    clock_usec += after;
    guest_balloon_seen(x->guest, bytes, clock_usec);
}

/* Its balloon stands still there until that counts as a stall. */
static void stall(Scene *x, uint64_t bytes)
{
    for (unsigned i = 0; i < 7; i++)
        arrive(x, bytes, SEC);
    ck_assert(x->guest->balloon.stalled);
}

static const DomainState *last_move(const Scene *x)
{
    ck_assert_uint_gt(x->asked.n_moves, 0);
    return &x->asked.moves[x->asked.n_moves - 1].state;
}

static bool apply(Scene *x, uint64_t target_bytes, GuardRule rule, unsigned line, bool on_account)
{
    Decision d = {.target_bytes = target_bytes, .rule = rule, .line = line};
    SnapshotGuest s;

    guest_snapshot(x->guest, clock_usec, &s);
    d.send = rule != GUARD_RULE_OBSERVE && target_bytes != s.sizes.standing_bytes;
    strcpy(d.reason, "because of this");
    return move_apply(&x->asked.h, x->guest, &s, &d, on_account);
}

/* So that a later daemon knows what is ours. */
START_TEST(test_remembered)
{
    Scene x;

    scene_init(&x);
    ck_assert_int_eq(move_send(&x.asked.h, x.guest, 3 * GIB, "why"), 0);
    ck_assert_uint_eq(x.asked.n_moves, 1);
    ck_assert_str_eq(x.asked.moves[0].uuid, x.guest->info.uuid);
    ck_assert_uint_eq(last_move(&x)->full_bytes, 4 * GIB);
    ck_assert_uint_eq(last_move(&x)->defined_bytes, 4 * GIB);
    ck_assert_uint_eq(last_move(&x)->from_bytes, 4 * GIB);
    ck_assert_uint_eq(last_move(&x)->sent_bytes, 3 * GIB);
    arrive(&x, 3 * GIB, SEC);

    /* An administrator set another size while it runs. */
    full_size_set_foreign(&x.guest->full, 2 * GIB);
    ck_assert_int_eq(move_send(&x.asked.h, x.guest, 2560 * MIB, "why"), 0);
    ck_assert_uint_eq(last_move(&x)->full_bytes, 2 * GIB);
    ck_assert_uint_eq(last_move(&x)->defined_bytes, 4 * GIB);
    ck_assert_uint_eq(last_move(&x)->from_bytes, 3 * GIB);

    /* A move starts from the size that the last one has reached. */
    arrive(&x, 2816 * MIB, SEC);
    ck_assert_int_eq(move_send(&x.asked.h, x.guest, 2 * GIB, "why"), 0);
    ck_assert_uint_eq(last_move(&x)->from_bytes, 2816 * MIB);
    scene_done(&x);
}
END_TEST

/* A later daemon gives a guest that was squeezed its size back. */
START_TEST(test_a_squeeze_is_remembered)
{
    Scene x;

    scene_init(&x);
    ck_assert_int_eq(move_for_a_moment(&x.asked.h, x.guest, 3 * GIB), 0);
    ck_assert_uint_eq(x.asked.n_moves, 1);
    ck_assert_str_eq(x.asked.moves[0].uuid, x.guest->info.uuid);
    ck_assert_uint_eq(last_move(&x)->full_bytes, 4 * GIB);
    ck_assert_uint_eq(last_move(&x)->from_bytes, 4 * GIB);
    ck_assert_uint_eq(last_move(&x)->sent_bytes, 3 * GIB);
    ck_assert_uint_eq(last_move(&x)->returns_bytes, 4 * GIB);
    guest_sent_for_a_moment(x.guest, 3 * GIB, clock_usec);
    arrive(&x, 3 * GIB, SEC);

    /* It gets it: nothing is left to be done. */
    ck_assert_int_eq(move_for_a_moment(&x.asked.h, x.guest, 4 * GIB), 0);
    ck_assert_uint_eq(last_move(&x)->from_bytes, 3 * GIB);
    ck_assert_uint_eq(last_move(&x)->sent_bytes, 4 * GIB);
    ck_assert_uint_eq(last_move(&x)->returns_bytes, 0);
    guest_sent_for_a_moment(x.guest, 4 * GIB, clock_usec);
    arrive(&x, 4 * GIB, SEC);

    /* Nor after a move that lasts. */
    ck_assert_int_eq(move_send(&x.asked.h, x.guest, 3 * GIB, "why"), 0);
    ck_assert_uint_eq(last_move(&x)->returns_bytes, 0);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_MOVE), 1);

    x.asked.error = -EBUSY;
    ck_assert_int_eq(move_for_a_moment(&x.asked.h, x.guest, 2 * GIB), -EBUSY);
    scene_done(&x);
}
END_TEST

/* The overhead goes with each move, and without one by itself. */
START_TEST(test_overhead_is_stored)
{
    const HeldGuest memory = {.used_bytes = GIB, .free_bytes = 3 * GIB};
    Scene x;

    scene_init(&x);
    for (unsigned i = 0; i < HELD_CALM_LOOKS; i++) {
        clock_usec += SEC;
        held_look(&x.guest->held, &(ProcessLook){.rss_bytes = GIB + 70 * MIB}, HELD_SOURCE_PROCESS, &memory,
                  clock_usec);
    }
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_remembered, 0);
    x.stage.host.mode = GUEST_MODE_OBSERVE;
    move_tend(&x.asked.h, x.guest, clock_usec + 3600 * SEC);
    ck_assert_uint_eq(x.asked.n_remembered, 0);
    x.stage.host.mode = GUEST_MODE_AUTO;
    move_tend(&x.asked.h, x.guest, clock_usec + 3600 * SEC);
    ck_assert_uint_eq(x.asked.n_remembered, 1);
    ck_assert_uint_eq(x.asked.remembered_bytes, 70 * MIB);
    move_tend(&x.asked.h, x.guest, clock_usec + 7200 * SEC);
    ck_assert_uint_eq(x.asked.n_remembered, 1);
    ck_assert_int_eq(move_send(&x.asked.h, x.guest, 3 * GIB, "because"), 0);
    ck_assert_uint_eq(last_move(&x)->overhead_bytes, 70 * MIB);
    scene_done(&x);
}
END_TEST

START_TEST(test_reported)
{
    const Notice *n;
    Scene x;

    scene_init(&x);
    ck_assert(apply(&x, 3 * GIB, GUARD_RULE_STEP, 7, false));
    ck_assert_uint_eq(x.stage.n_heard, 1);
    n = stage_last(&x.stage, NOTICE_MOVE);
    ck_assert_str_eq(n->uuid, x.guest->info.uuid);
    ck_assert_str_eq(n->name, "guest1");
    ck_assert_uint_eq(n->from_bytes, 4 * GIB);
    ck_assert_uint_eq(n->to_bytes, 3 * GIB);
    ck_assert_uint_eq(n->current_bytes, 4 * GIB);
    ck_assert_uint_eq(n->full_bytes, 4 * GIB);
    ck_assert_double_eq(n->host_available_bytes, (double) (22 * GIB));
    ck_assert_str_eq(n->text, "because of this");
    ck_assert_int_eq(n->rule, GUARD_RULE_STEP);
    ck_assert(!n->further);
    ck_assert_uint_eq(x.guest->verdict.decision.line, 7);
    ck_assert(x.guest->sending.setting);

    /* Further down is a move of its own. */
    arrive(&x, 3584 * MIB, SEC);
    ck_assert(apply(&x, 2 * GIB, GUARD_RULE_NONE, 7, false));
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_MOVE), 2);
    ck_assert(!stage_last(&x.stage, NOTICE_MOVE)->further);
    scene_done(&x);
}
END_TEST

/* Nothing is sent; what is still on its way to the host is known. */
START_TEST(test_on_its_way)
{
    Scene x;

    scene_init(&x);
    ck_assert(!apply(&x, 4 * GIB, GUARD_RULE_NONE, 0, false));
    ck_assert(apply(&x, 3 * GIB, GUARD_RULE_NONE, 0, false));
    arrive(&x, 3584 * MIB, SEC);
    ck_assert(apply(&x, 3 * GIB, GUARD_RULE_NONE, 0, false));
    ck_assert_uint_eq(x.asked.n_moves, 1);
    arrive(&x, 3 * GIB, SEC);
    ck_assert(!apply(&x, 3 * GIB, GUARD_RULE_NONE, 0, false));
    ck_assert(!apply(&x, 4 * GIB, GUARD_RULE_NONE, 0, false)); /* it goes the other way */
    arrive(&x, 4 * GIB, SEC);

    /* One that takes too long brings nothing that could be counted on. */
    ck_assert(apply(&x, 3 * GIB, GUARD_RULE_NONE, 0, false));
    for (uint64_t size = 4 * GIB - 8 * MIB; size > 4 * GIB - 80 * MIB; size -= 8 * MIB)
        arrive(&x, size, SEC);
    ck_assert(x.guest->balloon.moving);
    ck_assert(!apply(&x, 3 * GIB, GUARD_RULE_NONE, 0, false));
    scene_done(&x);
}
END_TEST

static void in_distress(Scene *x)
{
    Report r = {};

    guest_distress(x->guest, DISTRESS_OOM, &r, clock_usec);
}

/* Memory that donors release is passed on many times a second: only the first move is reported as new. */
START_TEST(test_further)
{
    Scene x;

    scene_init(&x);
    ck_assert(apply(&x, 2 * GIB, GUARD_RULE_NONE, 0, false));
    arrive(&x, 2 * GIB, SEC);
    clock_usec += 4000 * SEC; /* longer than a shrink is blamed for what comes */
    in_distress(&x);
    apply(&x, 2560 * MIB, GUARD_RULE_DISTRESS, 0, true);
    ck_assert(x.guest->judgement.grant.open);
    ck_assert_uint_eq(x.guest->judgement.grant.given_bytes, 512 * MIB);
    ck_assert(!stage_last(&x.stage, NOTICE_MOVE)->further);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_GRANT), 1);

    arrive(&x, 2304 * MIB, 100 * MSEC);
    apply(&x, 3 * GIB, GUARD_RULE_DISTRESS, 0, true);
    ck_assert(stage_last(&x.stage, NOTICE_MOVE)->further);
    ck_assert_uint_eq(stage_last(&x.stage, NOTICE_MOVE)->from_bytes, 2304 * MIB);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_GRANT), 1);

    /* It got there: what comes next is news again. */
    arrive(&x, 3 * GIB, SEC);
    apply(&x, 3584 * MIB, GUARD_RULE_DISTRESS, 0, true);
    ck_assert(!stage_last(&x.stage, NOTICE_MOVE)->further);
    scene_done(&x);
}
END_TEST

/* Memory that costs no one anything isn't a grant. */
START_TEST(test_on_no_account)
{
    Scene x;

    scene_init(&x);
    ck_assert(apply(&x, 2 * GIB, GUARD_RULE_NONE, 0, false));
    arrive(&x, 2 * GIB, SEC);
    clock_usec += 4000 * SEC;
    in_distress(&x);
    apply(&x, 2560 * MIB, GUARD_RULE_DISTRESS, 0, false);
    ck_assert(!x.guest->judgement.grant.open);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_GRANT), 0);
    scene_done(&x);
}
END_TEST

/* A guest in distress whose balloon is stuck is asked again and again. */
START_TEST(test_again)
{
    Scene x;

    scene_init(&x);
    ck_assert(apply(&x, 2 * GIB, GUARD_RULE_NONE, 0, false));
    arrive(&x, 2 * GIB, SEC);
    apply(&x, 3 * GIB, GUARD_RULE_DISTRESS, 0, false);
    ck_assert(!stage_last(&x.stage, NOTICE_MOVE)->further);
    stall(&x, 2 * GIB);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_STALLED), 1);
    apply(&x, 3 * GIB, GUARD_RULE_DISTRESS, 0, false);
    ck_assert(stage_last(&x.stage, NOTICE_MOVE)->further);
    /* And that it stalls again is known already. */
    stall(&x, 2 * GIB);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_STALLED), 1);
    scene_done(&x);
}
END_TEST

/* One that is in distress for ever, or says so, gets a few lines a minute; the others are counted. */
START_TEST(test_a13_moves_for_distress_are_few_lines)
{
    unsigned lines = 0;
    Scene x;

    scene_init(&x);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t size = i % 2 ? 3 * GIB : 2 * GIB;

        ck_assert_int_eq(apply(&x, size, GUARD_RULE_DISTRESS, 0, false), i % 2 == 0);
        lines += !stage_last(&x.stage, NOTICE_MOVE)->further;
        arrive(&x, size, SEC);
    }
    ck_assert_uint_eq(lines, LOG_LIMIT_LINES);
    /* What the policy decides is always logged. */
    for (unsigned i = 0; i < 10; i++) {
        (void) apply(&x, i % 2 ? 3 * GIB : 2 * GIB, GUARD_RULE_NONE, 7, false);
        ck_assert(!stage_last(&x.stage, NOTICE_MOVE)->further);
        arrive(&x, i % 2 ? 3 * GIB : 2 * GIB, SEC);
    }
    scene_done(&x);
}
END_TEST

/* virsh setmem to a size on the way of our move can't be told from a balloon that is stuck there. Neither is driven on:
 * the size that was reached is made the target, and no other is sent for a while. A guest that lies about its size gets
 * no more for it than it had. */
START_TEST(test_a14_a_size_on_our_way_is_not_overruled)
{
    Scene x;

    scene_init(&x);
    ck_assert(apply(&x, 2 * GIB, GUARD_RULE_NONE, 7, false));
    stall(&x, _i == 0 ? 3 * GIB : 2 * GIB + 512 * MIB);
    ck_assert(x.guest->sending.cancel);
    if (_i == 1)
        guest_balloon_seen(x.guest, 16 * GIB, clock_usec);
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 2);
    ck_assert_uint_eq(last_move(&x)->sent_bytes, _i == 0 ? 3 * GIB : 4 * GIB);
    guest_set_done(x.guest, 0, clock_usec);
    for (unsigned i = 0; i < 50; i++, clock_usec += SEC) {
        SnapshotGuest s;

        guest_snapshot(x.guest, clock_usec, &s);
        ck_assert(s.balloon.stalled);
        move_tend(&x.asked.h, x.guest, clock_usec);
    }
    ck_assert_uint_eq(x.asked.n_moves, 2);
    scene_done(&x);
}
END_TEST

START_TEST(test_refused)
{
    int log = stderr_pipe();
    Scene x;

    log_open(LOG_INFO);
    scene_init(&x);
    x.asked.error = -EIO;
    ck_assert(!apply(&x, 3 * GIB, GUARD_RULE_NONE, 7, false));
    ck_assert_uint_eq(x.stage.n_heard, 0);
    ck_assert(!x.guest->sending.setting);
    ck_assert(!x.guest->sending.put_off);
    ck_assert(!x.guest->balloon.moving);
    ck_assert_uint_eq(caught_lines(log, "guest1: cannot ask libvirt to move its balloon"), 1);

    /* The move before is still on its way: it is decided again when that is done, and nothing is logged. */
    x.asked.error = -EBUSY;
    ck_assert(!apply(&x, 3 * GIB, GUARD_RULE_NONE, 7, false));
    ck_assert_uint_eq(x.stage.n_heard, 0);
    ck_assert_uint_eq(caught_lines(log, ""), 0);
    ck_assert(x.guest->sending.put_off);
    x.stage.wakes = 0;
    guest_set_done(x.guest, 0, clock_usec);
    ck_assert_uint_eq(x.stage.wakes, 1);

    /* Nothing waits any more. */
    guest_set_done(x.guest, 0, clock_usec);
    ck_assert_uint_eq(x.stage.wakes, 1);
    x.asked.error = 0;
    ck_assert(apply(&x, 3 * GIB, GUARD_RULE_NONE, 7, false));
    ck_assert(!x.guest->sending.put_off);
    scene_done(&x);
}
END_TEST

/* Once for each change: another line of the policy, the other direction, and again after no move. */
START_TEST(test_observed)
{
    const Notice *n;
    Scene x;

    scene_init(&x);
    ck_assert(!apply(&x, 3 * GIB, GUARD_RULE_OBSERVE, 7, false));
    n = stage_last(&x.stage, NOTICE_WOULD_MOVE);
    ck_assert_uint_eq(n->from_bytes, 4 * GIB);
    ck_assert_uint_eq(n->to_bytes, 3 * GIB);
    ck_assert_str_eq(n->text, "because of this");
    ck_assert_int_eq(n->rule, GUARD_RULE_OBSERVE);
    apply(&x, 2 * GIB, GUARD_RULE_OBSERVE, 7, false);
    ck_assert_uint_eq(x.stage.n_heard, 1);
    apply(&x, 2 * GIB, GUARD_RULE_OBSERVE, 8, false);
    ck_assert_uint_eq(x.stage.n_heard, 2);
    apply(&x, 5 * GIB, GUARD_RULE_OBSERVE, 8, false);
    ck_assert_uint_eq(x.stage.n_heard, 3);
    apply(&x, 4 * GIB, GUARD_RULE_NONE, 0, false);
    ck_assert_uint_eq(x.stage.n_heard, 3);
    apply(&x, 5 * GIB, GUARD_RULE_OBSERVE, 8, false);
    ck_assert_uint_eq(x.stage.n_heard, 4);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_WOULD_MOVE), 4);
    ck_assert_uint_eq(x.asked.n_moves, 0);
    scene_done(&x);
}
END_TEST

/* QEMU would go on trying for ever. */
START_TEST(test_stalled_shrink_is_taken_back)
{
    Scene x;

    scene_init(&x);
    apply(&x, 2 * GIB, GUARD_RULE_NONE, 0, false);
    stall(&x, 3 * GIB + 777);
    ck_assert(x.guest->sending.cancel);
    ck_assert_uint_eq(stage_last(&x.stage, NOTICE_STALLED)->to_bytes, 2 * GIB);

    guest_busy(x.guest, "paused", clock_usec);
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 1);
    guest_busy(x.guest, NULL, clock_usec);

    x.asked.error = -EBUSY;
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert(x.guest->sending.cancel);
    x.asked.error = 0;

    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 2);
    ck_assert_uint_eq(last_move(&x)->sent_bytes, 3 * GIB); /* whole KiB */
    ck_assert_uint_eq(last_move(&x)->full_bytes, 4 * GIB);
    ck_assert(x.guest->sending.setting);
    /* No one decided this move. */
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_MOVE), 1);

    guest_set_done(x.guest, 0, clock_usec);
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 2);
    scene_done(&x);
}
END_TEST

/* The mode changed meanwhile, or a daemon in mode observe took over. */
START_TEST(test_a17_observe_takes_nothing_back)
{
    Scene x;

    scene_init(&x);
    apply(&x, 2 * GIB, GUARD_RULE_NONE, 0, false);
    stall(&x, 3 * GIB);
    x.stage.host.mode = GUEST_MODE_OBSERVE;
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 1);
    x.stage.host.mode = GUEST_MODE_AUTO;
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 2);
    scene_done(&x);
}
END_TEST

/* A growth that is stuck may still come. */
START_TEST(test_stalled_growth_stands)
{
    Scene x;

    scene_init(&x);
    apply(&x, 2 * GIB, GUARD_RULE_NONE, 0, false);
    arrive(&x, 2 * GIB, SEC);
    apply(&x, 3 * GIB, GUARD_RULE_NONE, 0, false);
    stall(&x, 2 * GIB);
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 2);
    scene_done(&x);
}
END_TEST

/* It was reset while it was shrunken, and its target was raised before its driver came up. */
static void scene_init_reset(Scene *x)
{
    scene_init(x);
    apply(x, 2 * GIB, GUARD_RULE_NONE, 0, false);
    arrive(x, 2 * GIB, SEC);
    guest_rebooted(x->guest, clock_usec);
    apply(x, 4 * GIB, GUARD_RULE_REBOOT, 0, false);
}

/* After the reset QEMU goes on reporting the size from before. */
START_TEST(test_rebooted_guest_is_made_to_report)
{
    Report r = {};
    Scene x;

    scene_init_reset(&x);
    arrive(&x, 2 * GIB, 10 * SEC);
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 2); /* it boots: nothing was heard of it */

    report_set(&r, REPORT_MEM_TOTAL, 4 * GIB);
    guest_report(x.guest, &r, clock_usec);
    arrive(&x, 2 * GIB, SEC);
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 3);
    ck_assert_uint_eq(last_move(&x)->sent_bytes, 4 * GIB - 64 * KIB);
    ck_assert_str_eq(stage_last(&x.stage, NOTICE_MOVE)->text,
                     "rebooted with all its memory: a small move makes its driver report that");
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 3);

    arrive(&x, 4 * GIB - 64 * KIB, SEC);
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 4);
    ck_assert_uint_eq(last_move(&x)->sent_bytes, 4 * GIB);
    ck_assert(!x.guest->reboot.pending);
    arrive(&x, 4 * GIB, SEC);
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 4);
    scene_done(&x);
}
END_TEST

START_TEST(test_a17_observe_ends_no_reboot_move)
{
    Report r = {};
    Scene x;

    scene_init_reset(&x);
    report_set(&r, REPORT_MEM_TOTAL, 4 * GIB);
    clock_usec += 10 * SEC;
    guest_report(x.guest, &r, clock_usec);
    arrive(&x, 2 * GIB, SEC);
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 3);
    x.stage.host.mode = GUEST_MODE_OBSERVE;
    arrive(&x, 4 * GIB - 64 * KIB, SEC);
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(x.asked.n_moves, 3);
    scene_done(&x);
}
END_TEST

/* A move that libvirt didn't take is tried again. */
START_TEST(test_reboot_move_refused)
{
    Report r = {};
    Scene x;

    scene_init_reset(&x);
    guest_set_done(x.guest, 0, clock_usec);
    clock_usec += SEC;
    guest_report(x.guest, &r, clock_usec);
    arrive(&x, 2 * GIB, SEC);
    x.asked.error = -EBUSY;
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert(!x.guest->reboot.asked);
    x.asked.error = 0;
    arrive(&x, 2 * GIB, SEC);
    move_tend(&x.asked.h, x.guest, clock_usec);
    ck_assert_uint_eq(last_move(&x)->sent_bytes, 4 * GIB - 64 * KIB);
    ck_assert(x.guest->reboot.asked);
    scene_done(&x);
}
END_TEST

static void shrunk(Scene *x)
{
    scene_init(x);
    apply(x, 2 * GIB, GUARD_RULE_NONE, 0, false);
    arrive(x, 2 * GIB, SEC);
    clock_usec += 100 * SEC;
}

START_TEST(test_released)
{
    uint64_t room = 3 * GIB;
    SnapshotGuest s;
    Scene x;

    shrunk(&x);
    full_size_set_foreign(&x.guest->full, 3 * GIB);
    ck_assert_int_eq(move_release(&x.asked.h, x.guest, &room), 0);
    ck_assert_uint_eq(room, GIB);
    ck_assert_uint_eq(last_move(&x)->sent_bytes, 4 * GIB);
    ck_assert_uint_eq(last_move(&x)->full_bytes, 4 * GIB);
    ck_assert_str_eq(stage_last(&x.stage, NOTICE_MOVE)->text, "released");
    guest_snapshot(x.guest, clock_usec, &s);
    ck_assert(s.released);

    /* Once more while it grows, and when it is there: nothing more to do. */
    ck_assert_int_eq(move_release(&x.asked.h, x.guest, &room), 0);
    arrive(&x, 4 * GIB, SEC);
    ck_assert_int_eq(move_release(&x.asked.h, x.guest, &room), 0);
    ck_assert_uint_eq(room, GIB);
    ck_assert_uint_eq(x.asked.n_moves, 2);
    scene_done(&x);
}
END_TEST

START_TEST(test_released_in_part)
{
    uint64_t room = GIB + 100;
    Scene x;

    shrunk(&x);
    ck_assert_int_eq(move_release(&x.asked.h, x.guest, &room), 0);
    ck_assert_uint_eq(room, 100);
    ck_assert_uint_eq(last_move(&x)->sent_bytes, 3 * GIB);
    ck_assert_str_eq(stage_last(&x.stage, NOTICE_MOVE)->text, "released, as far as the host has room");
    scene_done(&x);
}
END_TEST

START_TEST(test_not_released)
{
    uint64_t room = 1000;
    Scene x;

    shrunk(&x);
    ck_assert_int_eq(move_release(&x.asked.h, x.guest, &room), -ENOSPC);
    room = 8 * GIB;
    guest_busy(x.guest, "migrating", clock_usec);
    ck_assert_int_eq(move_release(&x.asked.h, x.guest, &room), -EAGAIN);
    guest_busy(x.guest, NULL, clock_usec);
    guest_set_lost(x.guest, true);
    ck_assert_int_eq(move_release(&x.asked.h, x.guest, &room), -EAGAIN);
    guest_set_lost(x.guest, false);
    x.asked.error = -EBUSY;
    ck_assert_int_eq(move_release(&x.asked.h, x.guest, &room), -EBUSY);
    ck_assert_uint_eq(room, 8 * GIB);
    ck_assert_uint_eq(x.asked.n_moves, 1);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_MOVE), 1);
    /* In each case it was asked for: nothing more is taken from it for a while. */
    ck_assert_uint_eq(x.guest->released_usec, clock_usec);
    scene_done(&x);
}
END_TEST

/* Leaving a guest the memory that it still has costs nothing. */
START_TEST(test_shrink_taken_back)
{
    uint64_t room = 0;
    Scene x;

    scene_init(&x);
    apply(&x, 2 * GIB, GUARD_RULE_NONE, 0, false);
    arrive(&x, 3 * GIB, SEC);
    ck_assert_int_eq(move_release(&x.asked.h, x.guest, &room), 0);
    ck_assert_uint_eq(last_move(&x)->sent_bytes, 3 * GIB);
    ck_assert_uint_eq(room, 0);
    scene_done(&x);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("move");

    tcase_add_test(tc, test_remembered);
    tcase_add_test(tc, test_a_squeeze_is_remembered);
    tcase_add_test(tc, test_overhead_is_stored);
    tcase_add_test(tc, test_reported);
    tcase_add_test(tc, test_on_its_way);
    tcase_add_test(tc, test_further);
    tcase_add_test(tc, test_on_no_account);
    tcase_add_test(tc, test_again);
    tcase_add_test(tc, test_a13_moves_for_distress_are_few_lines);
    tcase_add_loop_test(tc, test_a14_a_size_on_our_way_is_not_overruled, 0, 2);
    tcase_add_test(tc, test_refused);
    tcase_add_test(tc, test_observed);
    tcase_add_test(tc, test_stalled_shrink_is_taken_back);
    tcase_add_test(tc, test_a17_observe_takes_nothing_back);
    tcase_add_test(tc, test_stalled_growth_stands);
    tcase_add_test(tc, test_rebooted_guest_is_made_to_report);
    tcase_add_test(tc, test_a17_observe_ends_no_reboot_move);
    tcase_add_test(tc, test_reboot_move_refused);
    tcase_add_test(tc, test_released);
    tcase_add_test(tc, test_released_in_part);
    tcase_add_test(tc, test_not_released);
    tcase_add_test(tc, test_shrink_taken_back);
    return run_tests(tc);
}
