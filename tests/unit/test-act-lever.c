/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a decision asks of a guest's own kernel, and what is reported of it. */

#include "host-agent/act/lever.h"
#include "host-agent/guest/guest-snapshot.h"
#include "tests/unit/run.h"
#include "tests/unit/staged-guest.h"

typedef struct Asked {
    unsigned compactions, reclaims, forgotten;
    uint32_t id;
    uint64_t bytes;
    int error; /* what the channel answers */
} Asked;

static int on_compact(void *userdata, uint32_t id)
{
    Asked *a = userdata;

    a->compactions++;
    a->id = id;
    return a->error;
}

static int on_reclaim(void *userdata, uint32_t id, uint64_t bytes, bool anon)
{
    Asked *a = userdata;

    ck_assert(!anon);
    a->reclaims++;
    a->id = id;
    a->bytes = bytes;
    return a->error;
}

static void on_forget(void *userdata)
{
    Asked *a = userdata;

    a->forgotten++;
}

typedef struct Scene {
    Stage stage;
    Guest *guest;
    Asked asked;
    LeverChannel channel;
} Scene;

static void scene_init(Scene *x)
{
    *x = (Scene){};
    stage_init_guest(&x->stage, &x->guest);
    x->channel = (LeverChannel){on_compact, on_reclaim, on_forget, &x->asked};
    guest_hello(x->guest, &(Message){.features = HELLO_FEATURE_LEVERS}, clock_usec, false);
    clock_usec += 100 * SEC;
}

static void scene_done(Scene *x)
{
    guest_free(x->guest);
    stage_done(&x->stage);
}

/* A cycle decides that the guest hands back this much; so much of it is idle, and in fragments. */
static void decide(Scene *x, uint64_t bytes, uint64_t idle, uint64_t fragmented, bool send)
{
    Decision d = {.reclaim = {.bytes = bytes, .send = send, .reason = "because of this"}};
    Plan plan = {.decisions = &d, .n_decisions = 1};
    SnapshotGuest s;

    guest_snapshot(x->guest, clock_usec, &s);
    guest_fields_set(&s.fields, GUEST_FIELD_IDLE, (double) idle);
    guest_fields_set(&s.fields, GUEST_FIELD_FRAGMENTED, (double) fragmented);
    guest_fields_set(&s.fields, GUEST_FIELD_REPORTING, 1);
    lever_run(&(LeverGuest){x->guest, x->channel},
              &(Snapshot){.now_usec = clock_usec, .guests = &s, .n_guests = 1}, &plan);
}

static void answer(Scene *x, LeverEnd why, uint64_t got)
{
    guest_reclaimed(x->guest,
                    &(Message){.type = MESSAGE_RECLAIMED, .id = x->asked.id, .bytes = got, .why = why},
                    clock_usec);
}

START_TEST(test_asks_step_by_step)
{
    Scene x;

    scene_init(&x);
    decide(&x, GIB, 0, 0, true);
    ck_assert_uint_eq(x.asked.reclaims, 1);
    ck_assert_uint_eq(x.asked.bytes, 4 * GIB / LEVER_STEP_PART);
    clock_usec += SEC;
    decide(&x, GIB, 0, 0, true);
    ck_assert_uint_eq(x.asked.reclaims, 1);
    answer(&x, LEVER_END_DONE, x.asked.bytes);
    decide(&x, GIB, 0, 0, true);
    ck_assert_uint_eq(x.asked.reclaims, 2);
    scene_done(&x);
}
END_TEST

START_TEST(test_compacts_what_lies_in_fragments)
{
    Scene x;

    scene_init(&x);
    decide(&x, GIB, GIB, GIB, true);
    ck_assert_uint_eq(x.asked.compactions, 1);
    ck_assert_uint_eq(x.asked.reclaims, 0);
    scene_done(&x);
}
END_TEST

START_TEST(test_observe_and_nothing_wanted_send_nothing)
{
    Scene x;

    scene_init(&x);
    decide(&x, GIB, 0, 0, false);
    decide(&x, 0, GIB, GIB, true);
    ck_assert_uint_eq(x.asked.compactions + x.asked.reclaims, 0);
    scene_done(&x);
}
END_TEST

/* What it waits for is the last cycle's. */
START_TEST(test_says_why_it_waits)
{
    Scene x;

    scene_init(&x);
    decide(&x, GIB, 0, 0, true);
    answer(&x, LEVER_END_REFAULTS, 0);
    decide(&x, GIB, 0, 0, true);
    ck_assert_str_ne(x.guest->levers.waiting, "");
    decide(&x, 0, 0, 0, false);
    ck_assert_str_eq(x.guest->levers.waiting, "");
    scene_done(&x);
}
END_TEST

/* Of three guests, those that are to hand back most. */
START_TEST(test_few_at_a_time)
{
    Scene x[3];
    SnapshotGuest s[3];
    Decision d[3];
    LeverGuest guests[3];
    Plan plan = {.decisions = d, .n_decisions = 3};

    for (size_t i = 0; i < 3; i++) {
        scene_init(&x[i]);
        guests[i] = (LeverGuest){x[i].guest, x[i].channel};
        d[i] = (Decision){.reclaim = {.bytes = (i == 0 ? 1 : 2) * GIB, .send = true, .reason = "because"}};
    }
    for (size_t i = 0; i < 3; i++) {
        guest_snapshot(x[i].guest, clock_usec, &s[i]);
        guest_fields_set(&s[i].fields, GUEST_FIELD_REPORTING, 1);
    }
    lever_run(guests, &(Snapshot){.now_usec = clock_usec, .guests = s, .n_guests = 3}, &plan);
    ck_assert_uint_eq(x[0].asked.reclaims, 0);
    ck_assert_uint_eq(x[1].asked.reclaims, 1);
    ck_assert_uint_eq(x[2].asked.reclaims, 1);
    ck_assert_str_eq(x[0].guest->levers.waiting, "others are asked first");
    for (size_t i = 0; i < 3; i++)
        scene_done(&x[i]);
}
END_TEST

START_TEST(test_a_channel_that_refuses_is_tried_again)
{
    Scene x;

    scene_init(&x);
    x.asked.error = -ENOTCONN;
    decide(&x, GIB, 0, 0, true);
    ck_assert(!x.guest->levers.outstanding);
    x.asked.error = 0;
    decide(&x, GIB, 0, 0, true);
    ck_assert(x.guest->levers.outstanding);
    scene_done(&x);
}
END_TEST

START_TEST(test_an_answer_that_never_comes_is_given_up)
{
    Scene x;

    scene_init(&x);
    decide(&x, GIB, 0, 0, true);
    clock_usec += LEVER_ANSWER_USEC;
    decide(&x, GIB, 0, 0, true);
    ck_assert_uint_eq(x.asked.forgotten, 1);
    ck_assert_uint_eq(x.asked.reclaims, 1);
    clock_usec += LEVER_WAIT_MIN_USEC;
    decide(&x, GIB, 0, 0, true);
    ck_assert_uint_eq(x.asked.reclaims, 2);
    scene_done(&x);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("act-lever");

    tcase_add_test(t, test_asks_step_by_step);
    tcase_add_test(t, test_compacts_what_lies_in_fragments);
    tcase_add_test(t, test_observe_and_nothing_wanted_send_nothing);
    tcase_add_test(t, test_says_why_it_waits);
    tcase_add_test(t, test_few_at_a_time);
    tcase_add_test(t, test_a_channel_that_refuses_is_tried_again);
    tcase_add_test(t, test_an_answer_that_never_comes_is_given_up);
    return run_tests(t);
}
