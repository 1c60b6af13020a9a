/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host asks a guest to hand back memory: one request, one answer, and none that wasn't asked for. */

#include "tests/unit/link-rig.h"
#include "tests/unit/run.h"

#define ALL HELLO_FEATURE_LEVERS

/* A welcomed guest of at most 1 GiB with these levers. */
static void rig_with(Rig *r, uint32_t features)
{
    Message m = agent_hello(BOOT_A);

    rig_init(r);
    link_set_maximum(r->link, GIB);
    m.features = features;
    ck_assert_int_eq(send_message(r, &m), 0);
    ck_assert(link_welcomed(r->link));
}

static int answer(Rig *r, uint32_t id, uint64_t bytes)
{
    Message m = {.type = MESSAGE_RECLAIMED,
                 .has_nonce = true,
                 .nonce = r->nonce,
                 .id = id,
                 .bytes = bytes,
                 .why = LEVER_END_NO_MORE};

    return send_message(r, &m);
}

START_TEST(test_asked_and_answered)
{
    Rig r;

    rig_with(&r, ALL);
    ck_assert_int_eq(link_reclaim(r.link, 7, 64 * MIB, false), 0);
    ck_assert_uint_eq(r.levers, 1);
    ck_assert_int_eq(r.lever.type, MESSAGE_RECLAIM);
    ck_assert_uint_eq(r.lever.id, 7);
    ck_assert_uint_eq(r.lever.bytes, 64 * MIB);
    ck_assert(!r.lever.anon);

    ck_assert_int_eq(answer(&r, 7, 60 * MIB), 0);
    ck_assert_uint_eq(r.reclaimed, 1);
    ck_assert_uint_eq(r.lever.bytes, 60 * MIB);
    ck_assert_int_eq(r.lever.why, LEVER_END_NO_MORE);

    ck_assert_int_eq(link_compact(r.link, 8), 0);
    ck_assert_int_eq(r.lever.type, MESSAGE_COMPACT);
    ck_assert_uint_eq(r.lever.id, 8);
    ck_assert_int_eq(answer(&r, 8, 0), 0);
    ck_assert_int_eq(link_reclaim(r.link, 9, MIB, true), 0);
    ck_assert(r.lever.anon);
    ck_assert_uint_eq(link_stats(r.link)->refused, 0);
    link_free(r.link);
}
END_TEST

/* Each lie costs as much as an impossible report, and a guest that goes on is dropped. */
START_TEST(test_answers_that_nobody_asked_for)
{
    Rig r;
    int error = 0;

    rig_with(&r, ALL);
    ck_assert_int_eq(answer(&r, 1, MIB), 0); /* never asked */
    ck_assert_int_eq(link_reclaim(r.link, 7, 64 * MIB, false), 0);
    ck_assert_int_eq(answer(&r, 6, MIB), 0); /* another id */
    ck_assert_uint_eq(r.reclaimed, 0);
    ck_assert_uint_eq(link_stats(r.link)->refused, 2);
    ck_assert_int_eq(answer(&r, 7, GIB + 1), 0); /* more than it has */
    ck_assert_uint_eq(r.reclaimed, 0);
    ck_assert_uint_eq(link_stats(r.link)->refused, 3);

    r.now += 10 * USEC_PER_SEC;
    ck_assert_int_eq(answer(&r, 7, MIB), 0);
    ck_assert_uint_eq(r.reclaimed, 1);
    ck_assert_int_eq(answer(&r, 7, MIB), 0); /* twice */
    ck_assert_uint_eq(r.reclaimed, 1);
    ck_assert_uint_eq(link_stats(r.link)->refused, 4);

    for (unsigned i = 0; i < 4 && error == 0; i++)
        error = answer(&r, 7, MIB);
    ck_assert_int_eq(error, -EPROTO);
    ck_assert_ptr_nonnull(strstr(r.why, "reclaimed wasn't asked for"));
    ck_assert_uint_eq(r.reclaimed, 1);
    ck_assert_uint_gt(link_retry_usec(r.link), r.now);
    link_free(r.link);
}
END_TEST

/* A guest may not order the host about. */
START_TEST(test_a_guest_does_not_ask)
{
    Rig r;
    Message reclaim = {.type = MESSAGE_RECLAIM, .has_nonce = true, .id = 1, .bytes = MIB};
    Message compact = {.type = MESSAGE_COMPACT, .has_nonce = true, .id = 1};

    rig_with(&r, ALL);
    reclaim.nonce = compact.nonce = r.nonce;
    ck_assert_int_eq(send_message(&r, &reclaim), 0);
    ck_assert_int_eq(send_message(&r, &compact), 0);
    ck_assert_uint_eq(link_stats(r.link)->refused, 2);
    ck_assert_uint_eq(r.levers, 0);
    link_free(r.link);
}
END_TEST

START_TEST(test_one_at_a_time)
{
    Rig r;

    rig_with(&r, ALL);
    ck_assert_int_eq(link_compact(r.link, 1), 0);
    ck_assert_int_eq(link_compact(r.link, 2), -EBUSY);
    ck_assert_int_eq(link_reclaim(r.link, 3, MIB, false), -EBUSY);
    ck_assert_uint_eq(r.levers, 1);

    /* A guest that never answers: the host gives up, and what comes later is too late. */
    link_forget_lever(r.link);
    ck_assert_int_eq(link_compact(r.link, 4), 0);
    ck_assert_int_eq(answer(&r, 1, 0), 0);
    ck_assert_uint_eq(r.reclaimed, 0);
    ck_assert_uint_eq(link_stats(r.link)->refused, 1);
    ck_assert_int_eq(answer(&r, 4, 0), 0);
    ck_assert_uint_eq(r.reclaimed, 1);

    ck_assert_int_eq(link_reclaim(r.link, 0, MIB, false), -EINVAL);
    ck_assert_int_eq(link_reclaim(r.link, 5, 0, false), -EINVAL);
    ck_assert_int_eq(link_compact(r.link, 6), 0); /* what wasn't sent isn't waited for */
    link_free(r.link);
}
END_TEST

/* It is slow, and nothing worse: it isn't dropped for that, unless it goes on. */
START_TEST(test_late_answers_are_not_charged)
{
    Rig r;
    int error = 0;

    rig_with(&r, ALL);
    for (uint32_t id = 1; id <= 50; id++) {
        ck_assert_int_eq(link_compact(r.link, id), 0);
        link_forget_lever(r.link);
        r.now += 2 * USEC_PER_SEC;
        ck_assert_int_eq(answer(&r, id, 0), 0);
    }
    ck_assert_uint_eq(r.reclaimed, 0);
    ck_assert_uint_eq(link_stats(r.link)->refused, 50);
    ck_assert(link_welcomed(r.link));

    for (unsigned i = 0; i < 50 && error == 0; i++)
        error = answer(&r, 50, 0);
    ck_assert_int_eq(error, -EPROTO);
    link_free(r.link);
}
END_TEST

/* An agent that is older than the levers, one without a helper, and one that isn't there. */
START_TEST(test_guests_without_levers)
{
    static const struct {
        uint32_t features;
        int compact, reclaim, reclaim_anon;
    } cases[] = {
        {HELLO_FEATURE_PSI | HELLO_FEATURE_PSI_TRIGGER | HELLO_FEATURE_SWAP, -EOPNOTSUPP, -EOPNOTSUPP,
         -EOPNOTSUPP},
        {0, -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP},
        {HELLO_FEATURE_COMPACT, 0, -EOPNOTSUPP, -EOPNOTSUPP},
        {HELLO_FEATURE_RECLAIM_FILE, -EOPNOTSUPP, 0, -EOPNOTSUPP},
        {HELLO_FEATURE_RECLAIM_ANON, -EOPNOTSUPP, -EOPNOTSUPP, 0},
        {UINT32_MAX, 0, 0, 0}, /* and what later versions can do */
    };
    Rig r;

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        rig_with(&r, cases[i].features);
        ck_assert_int_eq(link_compact(r.link, 1), cases[i].compact);
        link_forget_lever(r.link);
        ck_assert_int_eq(link_reclaim(r.link, 2, MIB, false), cases[i].reclaim);
        link_forget_lever(r.link);
        ck_assert_int_eq(link_reclaim(r.link, 3, MIB, true), cases[i].reclaim_anon);
        link_free(r.link);
    }

    rig_init(&r);
    ck_assert_int_eq(link_compact(r.link, 1), -ENOTCONN);
    ck_assert_uint_eq(r.levers, 0);
    link_free(r.link);
}
END_TEST

/* After these the guest knows nothing of the request, or the host nothing of the guest. */
START_TEST(test_what_ends_a_request)
{
    Message hello = agent_hello(BOOT_A), bye = {.type = MESSAGE_GOODBYE, .has_nonce = true};
    Rig r;

    hello.features = ALL;
    rig_with(&r, ALL);

    ck_assert_int_eq(link_compact(r.link, 1), 0);
    ck_assert_int_eq(send_message(&r, &hello), 0); /* the agent has started again */
    ck_assert_int_eq(answer(&r, 1, 0), 0);
    ck_assert_uint_eq(r.reclaimed, 0);
    ck_assert_int_eq(link_compact(r.link, 2), 0);

    link_closed(r.link);
    ck_assert_int_eq(link_compact(r.link, 3), -ENOTCONN);
    link_opened(r.link, r.now);
    ck_assert_int_eq(send_message(&r, &hello), 0);
    ck_assert_int_eq(answer(&r, 2, 0), 0);
    ck_assert_uint_eq(r.reclaimed, 0);

    ck_assert_int_eq(link_compact(r.link, 4), 0);
    bye.nonce = r.nonce;
    ck_assert_int_eq(send_message(&r, &bye), 0);
    ck_assert_int_eq(answer(&r, 4, 0), 0);
    ck_assert_uint_eq(r.reclaimed, 0);
    ck_assert_int_eq(link_compact(r.link, 5), -ENOTCONN);

    /* An older agent now: what the last one could do counts no longer. */
    hello.features = 0;
    ck_assert_int_eq(send_message(&r, &hello), 0);
    ck_assert_int_eq(link_compact(r.link, 6), -EOPNOTSUPP);
    link_free(r.link);
}
END_TEST

/* An answer with the nonce of an earlier conversation. */
START_TEST(test_a_wrong_nonce)
{
    Rig r;

    rig_with(&r, ALL);
    ck_assert_int_eq(link_compact(r.link, 1), 0);
    r.nonce++;
    ck_assert_int_eq(answer(&r, 1, 0), 0);
    ck_assert_uint_eq(r.reclaimed, 0);
    r.nonce--;
    ck_assert_int_eq(answer(&r, 1, 0), 0);
    ck_assert_uint_eq(r.reclaimed, 1);
    link_free(r.link);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("link-levers");

    tcase_add_test(t, test_asked_and_answered);
    tcase_add_test(t, test_answers_that_nobody_asked_for);
    tcase_add_test(t, test_a_guest_does_not_ask);
    tcase_add_test(t, test_one_at_a_time);
    tcase_add_test(t, test_late_answers_are_not_charged);
    tcase_add_test(t, test_guests_without_levers);
    tcase_add_test(t, test_what_ends_a_request);
    tcase_add_test(t, test_a_wrong_nonce);
    return run_tests(t);
}
