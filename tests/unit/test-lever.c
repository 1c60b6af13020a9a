/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a guest's kernel is asked for, when it isn't, and what its answers change. */

#include <check.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/lever.h"
#include "tests/unit/run.h"

#define SEC USEC_PER_SEC
/* A moment long after the daemon's start. */
#define T0  (1000 * SEC)

static Levers capable(void)
{
    Levers l = {};

    levers_hello(&l, &(Message){.type = MESSAGE_HELLO, .features = HELLO_FEATURE_LEVERS});
    return l;
}

static const LeverNeed want_cache = {
    .wanted_bytes = 60 * MIB, .idle_bytes = 10 * MIB, .full_bytes = 512 * MIB, .reporting = true};

/* What is asked for now; -1: nothing. */
static int next(const Levers *l, const LeverNeed *need, usec_t now)
{
    char why[LEVER_WHY_MAX];
    LeverCall call;

    return levers_next(l, need, now, &call, why) ? (int) call.kind : -1;
}

static void answer(Levers *l, const LeverNeed *need, usec_t now, LeverEnd why, uint64_t got)
{
    char text[LEVER_WHY_MAX];
    LeverCall call;

    ck_assert_msg(levers_next(l, need, now, &call, text), "nothing is asked for: %s", text);
    levers_asked(l, &call, need, now);
    levers_answered(l, &(Message){.type = MESSAGE_RECLAIMED, .id = call.id, .bytes = got, .why = why}, now);
}

START_TEST(test_cheapest_first)
{
    static const struct {
        const char *what;
        LeverNeed need;
        int kind;
        uint64_t mib;
    } rows[] = {
        {"nothing wanted", {.idle_bytes = 99 * MIB, .fragmented_bytes = 99 * MIB, .reporting = true}, -1, 0},
        {"no reporting: the host would get nothing",
         {.wanted_bytes = 99 * MIB, .fragmented_bytes = 99 * MIB, .idle_bytes = 99 * MIB},
         -1,
         0},
        {"all of it is reported already",
         {.wanted_bytes = 99 * MIB, .idle_bytes = 120 * MIB, .fragmented_bytes = 4 * MIB, .reporting = true},
         -1,
         0},
        {"fragments first",
         {.wanted_bytes = 99 * MIB, .idle_bytes = 80 * MIB, .fragmented_bytes = 50 * MIB, .reporting = true},
         LEVER_COMPACT,
         0},
        {"too few fragments: cache beyond what is idle",
         {.wanted_bytes = 99 * MIB, .idle_bytes = 90 * MIB, .fragmented_bytes = 15 * MIB, .reporting = true},
         LEVER_RECLAIM,
         9},
        {"too few fragments for a guest of that size",
         {.wanted_bytes = 500 * MIB,
          .idle_bytes = 500 * MIB,
          .fragmented_bytes = 500 * MIB,
          .full_bytes = 8193 * MIB,
          .reporting = true},
         -1,
         0},
        {"a step at a time",
         {.wanted_bytes = 400 * MIB, .full_bytes = 512 * MIB, .reporting = true},
         LEVER_RECLAIM,
         16},
        {"a large guest's step",
         {.wanted_bytes = 4096 * MIB, .full_bytes = 8192 * MIB, .reporting = true},
         LEVER_RECLAIM,
         256},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Levers l = capable();
        char why[LEVER_WHY_MAX];
        LeverCall call = {.kind = LEVER_KIND_INVALID};
        bool asked = levers_next(&l, &rows[i].need, T0, &call, why);

        ck_assert_msg((asked ? (int) call.kind : -1) == rows[i].kind, "%s: %s", rows[i].what, why);
        if (asked)
            ck_assert_msg(call.bytes == rows[i].mib * MIB && call.id != 0, "%s: %ju", rows[i].what,
                          (uintmax_t) call.bytes);
    }
}
END_TEST

START_TEST(test_one_request_at_a_time)
{
    Levers l = capable();
    char why[LEVER_WHY_MAX];
    LeverCall call;

    ck_assert(levers_next(&l, &want_cache, T0, &call, why));
    levers_asked(&l, &call, &want_cache, T0);
    ck_assert_int_eq(next(&l, &want_cache, T0 + 3 * SEC), -1);
    ck_assert(!levers_expire(&l, T0 + LEVER_ANSWER_USEC - 1));
    /* A guest that never answers is asked again some time later. */
    ck_assert(levers_expire(&l, T0 + LEVER_ANSWER_USEC));
    ck_assert_uint_eq(l.lever[LEVER_RECLAIM].answered_usec, T0 + LEVER_ANSWER_USEC);
    ck_assert(!levers_expire(&l, T0 + LEVER_ANSWER_USEC));
    ck_assert_int_eq(next(&l, &want_cache, T0 + LEVER_ANSWER_USEC), -1);
    ck_assert_int_eq(next(&l, &want_cache, T0 + LEVER_ANSWER_USEC + LEVER_WAIT_MIN_USEC), LEVER_RECLAIM);
}
END_TEST

START_TEST(test_a_guest_that_cannot)
{
    Levers l = {};
    char why[LEVER_WHY_MAX];
    LeverCall call;

    levers_hello(&l, &(Message){.features = HELLO_FEATURE_COMPACT, .levers_missing = "no cgroup v2"});
    ck_assert(!levers_next(&l, &want_cache, T0, &call, why));
    ck_assert_str_eq(why, "its agent cannot reclaim: no cgroup v2");
}
END_TEST

/* The wait after each answer that says that it hurt. */
START_TEST(test_waits_double_and_end)
{
    static const usec_t waits[] = {5, 10, 20, 40, 60, 60};
    Levers l = capable();
    usec_t now = T0;

    for (size_t i = 0; i < ELEMENTSOF(waits); i++) {
        answer(&l, &want_cache, now, LEVER_END_REFAULTS, MIB / 2);
        ck_assert_msg(next(&l, &want_cache, now + waits[i] * SEC - 1) == -1, "wait %zu", i);
        now += waits[i] * SEC;
        ck_assert_msg(next(&l, &want_cache, now) == LEVER_RECLAIM, "wait %zu", i);
    }
    answer(&l, &want_cache, now, LEVER_END_DONE, 16 * MIB);
    ck_assert_int_eq(next(&l, &want_cache, now), LEVER_RECLAIM);
    answer(&l, &want_cache, now, LEVER_END_STALLS, 0);
    ck_assert_int_eq(next(&l, &want_cache, now + 5 * SEC - 1), -1);
    ck_assert_int_eq(next(&l, &want_cache, now + 5 * SEC), LEVER_RECLAIM);
}
END_TEST

START_TEST(test_what_is_read_back_later_counts)
{
    Levers l = capable();

    levers_missed(&l, 0, T0); /* before anything was taken */
    answer(&l, &want_cache, T0, LEVER_END_DONE, 16 * MIB);
    levers_missed(&l, 1.0 / 16, T0);
    ck_assert_int_eq(next(&l, &want_cache, T0), LEVER_RECLAIM);
    levers_missed(&l, 0.126, T0);
    ck_assert_int_eq(next(&l, &want_cache, T0), -1);
    /* Long after, what is read back isn't what was taken. */
    ck_assert_int_eq(next(&l, &want_cache, T0 + 3600 * SEC), LEVER_RECLAIM);
    levers_missed(&l, 0, T0 + 3600 * SEC);
    ck_assert_int_eq(next(&l, &want_cache, T0 + 3600 * SEC), LEVER_RECLAIM);
}
END_TEST

/* A guest with little cache left answers "done", and gets next to nothing: each request would cost its CPU. */
START_TEST(test_a_reclaim_that_gets_little_waits)
{
    Levers l = capable();

    answer(&l, &want_cache, T0, LEVER_END_DONE, 4 * MIB);
    ck_assert_int_eq(next(&l, &want_cache, T0), LEVER_RECLAIM);
    answer(&l, &want_cache, T0, LEVER_END_DONE, 4 * MIB - 1);
    ck_assert_int_eq(next(&l, &want_cache, T0 + LEVER_WAIT_MIN_USEC - 1), -1);
    ck_assert_int_eq(next(&l, &want_cache, T0 + LEVER_WAIT_MIN_USEC), LEVER_RECLAIM);
}
END_TEST

START_TEST(test_a_busy_guest_is_not_asked_at_once)
{
    Levers l = capable();

    answer(&l, &want_cache, T0, LEVER_END_BUSY, 0);
    ck_assert_int_eq(next(&l, &want_cache, T0 + LEVER_BUSY_USEC - 1), -1);
    ck_assert_int_eq(next(&l, &want_cache, T0 + LEVER_BUSY_USEC), LEVER_RECLAIM);
}
END_TEST

/* Two such guests would otherwise keep all others from being asked. */
START_TEST(test_a_guest_that_takes_long_keeps_no_other_waiting)
{
    Levers l = capable();
    char why[LEVER_WHY_MAX];
    LeverCall call;

    ck_assert(!levers_is_working(&l, T0));
    ck_assert(levers_next(&l, &want_cache, T0, &call, why));
    levers_asked(&l, &call, &want_cache, T0);
    ck_assert(levers_is_working(&l, T0 + LEVER_SLOW_USEC - 1));
    ck_assert(!levers_is_working(&l, T0 + LEVER_SLOW_USEC));
}
END_TEST

START_TEST(test_compaction_that_gains_nothing_waits_longer)
{
    static const LeverNeed fragments = {.wanted_bytes = 100 * MIB,
                                        .idle_bytes = 100 * MIB,
                                        .fragmented_bytes = 100 * MIB,
                                        .full_bytes = 512 * MIB,
                                        .reporting = true};
    static const usec_t waits[] = {5, 10, 20, 40, 80, 160, 300, 300};
    Levers l = capable();
    usec_t now = T0;

    for (size_t i = 0; i < ELEMENTSOF(waits); i++) {
        answer(&l, &fragments, now, LEVER_END_DONE, 0);
        now += MAX(LEVER_WAIT_MIN_USEC, i > 0 ? waits[i - 1] * SEC : 0);
        levers_look(&l, &(LeverLook){.resident_bytes = 400 * MIB, .fragmented_bytes = 80 * MIB}, now);
        ck_assert_msg(next(&l, &fragments, now + waits[i] * SEC - 1) == -1, "wait %zu", i);
        now += waits[i] * SEC;
        ck_assert_msg(next(&l, &fragments, now) == LEVER_COMPACT, "wait %zu", i);
    }
    answer(&l, &fragments, now, LEVER_END_DONE, 0);
    now += 300 * SEC;
    levers_look(&l, &(LeverLook){.resident_bytes = 300 * MIB, .fragmented_bytes = 10 * MIB}, now);
    answer(&l, &fragments, now, LEVER_END_DONE, 0);
    ck_assert_int_eq(next(&l, &fragments, now + 5 * SEC), LEVER_COMPACT);
}
END_TEST

/* A guest that works and frees memory again has new fragments. */
START_TEST(test_new_fragments_end_the_wait)
{
    LeverNeed need = {.wanted_bytes = 200 * MIB,
                      .idle_bytes = 200 * MIB,
                      .fragmented_bytes = 80 * MIB,
                      .full_bytes = 512 * MIB,
                      .reporting = true};
    LeverLook look = {.resident_bytes = 400 * MIB, .fragmented_bytes = 80 * MIB};
    Levers l = capable();
    usec_t now = T0;

    for (unsigned i = 0; i < 4; i++) { /* 80 MiB can't be compacted: it waits for 5, 10, 20, then 40 s */
        answer(&l, &need, now, LEVER_END_DONE, 0);
        now += LEVER_WAIT_MIN_USEC;
        levers_look(&l, &look, now);
        now = l.lever[LEVER_COMPACT].retry_usec;
    }
    now -= 40 * SEC;
    need.fragmented_bytes = (80 + 31) * MIB;
    ck_assert_int_eq(next(&l, &need, now), -1);
    need.fragmented_bytes = (80 + 32) * MIB;
    ck_assert_int_eq(next(&l, &need, now), LEVER_COMPACT);

    /* Not at once, though, and not before what the last one left is seen. */
    answer(&l, &need, now, LEVER_END_DONE, 0);
    ck_assert_int_eq(next(&l, &need, now + 5 * SEC), -1);
    levers_look(&l, &look, now + SEC);
    ck_assert_int_eq(next(&l, &need, now + 5 * SEC - 1), -1);
    ck_assert_int_eq(next(&l, &need, now + 5 * SEC), LEVER_COMPACT);
}
END_TEST

/* A guest that takes memory, frees it, or reclaims meanwhile spoils no compaction. */
START_TEST(test_a_compaction_is_judged_by_what_it_left)
{
    static const LeverNeed need = {.wanted_bytes = 200 * MIB,
                                   .idle_bytes = 100 * MIB,
                                   .fragmented_bytes = 100 * MIB,
                                   .full_bytes = 512 * MIB,
                                   .reporting = true};
    LeverNeed later = need;
    Levers l = capable();

    answer(&l, &need, T0, LEVER_END_DONE, 90 * MIB);
    levers_look(&l, &(LeverLook){.resident_bytes = 400 * MIB, .fragmented_bytes = 10 * MIB}, T0 + SEC);
    later.fragmented_bytes = 10 * MIB;
    answer(&l, &later, T0 + 2 * SEC, LEVER_END_DONE, 16 * MIB);
    ck_assert_uint_eq(l.lever[LEVER_RECLAIM].times, 1);
    levers_look(&l, &(LeverLook){.resident_bytes = 400 * MIB, .fragmented_bytes = 100 * MIB}, T0 + 6 * SEC);
    ck_assert_int_eq(next(&l, &need, T0 + 6 * SEC), LEVER_COMPACT);
    ck_assert_uint_eq(l.lever[LEVER_COMPACT].wait_usec, 0);
}
END_TEST

/* Claims of 64 MiB each, and how QEMU's resident memory goes on. */
static bool found_lying(uint64_t resident_mib, uint64_t step_mib, uint64_t used_step_mib,
                        uint64_t fragments_step_mib)
{
    Levers l = capable();
    LeverLook look = {.resident_bytes = resident_mib * MIB, .used_bytes = 300 * MIB};
    bool found = false;
    usec_t now = T0;

    for (int round = 0; round < 4; round++) {
        found = levers_look(&l, &look, now);
        if (found)
            break;
        for (int i = 0; i < 4; i++)
            answer(&l, &want_cache, now, LEVER_END_DONE, 16 * MIB);
        look.resident_bytes -= step_mib * MIB;
        look.used_bytes += used_step_mib * MIB;
        look.fragmented_bytes += fragments_step_mib * MIB;
        now += LEVER_REPORTING_USEC;
    }
    ck_assert(found == levers_lie(&l, now));
    ck_assert(!levers_lie(&l, now + LEVER_LIE_USEC));
    ck_assert_int_eq(next(&l, &want_cache, now), found ? -1 : LEVER_RECLAIM);
    return found;
}

START_TEST(test_a_lie_is_found_by_what_the_host_gets)
{
    ck_assert(found_lying(800, 0, 0, 0));
    ck_assert(found_lying(800, 7, 0, 0));
    ck_assert(!found_lying(800, 8, 0, 0));
    ck_assert(!found_lying(800, 64, 0, 0));
    /* It began to use memory meanwhile. */
    ck_assert(!found_lying(800, 0, 20, 0));
    /* What it handed back lies in fragments, which reporting doesn't reach. */
    ck_assert(!found_lying(800, 0, 0, 64));
    /* Nothing is known of QEMU's memory. */
    ck_assert(!found_lying(0, 0, 0, 0));
}
END_TEST

/* Requests that go on without a pause don't put off the judgement. */
START_TEST(test_a_lie_is_found_while_it_is_asked_on)
{
    Levers l = capable();
    LeverLook look = {.resident_bytes = 800 * MIB, .used_bytes = 300 * MIB};
    bool found = false;
    usec_t now = T0;

    for (int i = 0; i < 60 && !found; i++, now += SEC) {
        found = levers_look(&l, &look, now);
        if (!found)
            answer(&l, &want_cache, now, LEVER_END_DONE, 16 * MIB);
    }
    ck_assert(found);
    ck_assert(!levers_can(&l, now));
    ck_assert(levers_can(&l, now + LEVER_LIE_USEC));
}
END_TEST

START_TEST(test_a_reboot_ends_waits_but_not_a_lie)
{
    Levers l = capable();

    answer(&l, &want_cache, T0, LEVER_END_STALLS, 0);
    levers_reset(&l);
    ck_assert_int_eq(next(&l, &want_cache, T0), LEVER_RECLAIM);
    l.lie_usec = T0;
    levers_reset(&l);
    ck_assert_int_eq(next(&l, &want_cache, T0), -1);
}
END_TEST

START_TEST(test_a_new_agent_is_asked_again)
{
    Levers l = capable();
    char why[LEVER_WHY_MAX];
    LeverCall call;

    ck_assert(levers_next(&l, &want_cache, T0, &call, why));
    levers_asked(&l, &call, &want_cache, T0);
    levers_hello(&l, &(Message){.features = HELLO_FEATURE_LEVERS});
    ck_assert_int_eq(next(&l, &want_cache, T0), LEVER_RECLAIM);
    ck_assert(levers_next(&l, &want_cache, T0, &call, why));
    ck_assert_uint_eq(call.id, 2);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("lever");

    tcase_add_test(t, test_cheapest_first);
    tcase_add_test(t, test_one_request_at_a_time);
    tcase_add_test(t, test_a_guest_that_cannot);
    tcase_add_test(t, test_waits_double_and_end);
    tcase_add_test(t, test_what_is_read_back_later_counts);
    tcase_add_test(t, test_a_reclaim_that_gets_little_waits);
    tcase_add_test(t, test_a_busy_guest_is_not_asked_at_once);
    tcase_add_test(t, test_a_guest_that_takes_long_keeps_no_other_waiting);
    tcase_add_test(t, test_compaction_that_gains_nothing_waits_longer);
    tcase_add_test(t, test_new_fragments_end_the_wait);
    tcase_add_test(t, test_a_compaction_is_judged_by_what_it_left);
    tcase_add_test(t, test_a_lie_is_found_by_what_the_host_gets);
    tcase_add_test(t, test_a_lie_is_found_while_it_is_asked_on);
    tcase_add_test(t, test_a_reboot_ends_waits_but_not_a_lie);
    tcase_add_test(t, test_a_new_agent_is_asked_again);
    return run_tests(t);
}
