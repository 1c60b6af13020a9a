/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a guest is asked for, when it isn't, and what comes of it. */

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
        {"no reporting: its balloon takes it",
         {.wanted_bytes = 99 * MIB, .fragmented_bytes = 99 * MIB, .idle_bytes = 99 * MIB},
         LEVER_SQUEEZE,
         99},
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
            ck_assert_msg(call.bytes == rows[i].mib * MIB && (call.id != 0) == (call.kind != LEVER_SQUEEZE),
                          "%s: %ju", rows[i].what, (uintmax_t) call.bytes);
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

/* ---- A guest without free page reporting ---- */

static const LeverNeed want_free = {
    .wanted_bytes = 100 * MIB, .way_bytes = 20 * MIB, .full_bytes = 512 * MIB};

START_TEST(test_what_is_worth_a_squeeze)
{
    static const struct {
        const char *what;
        uint64_t wanted, way, full; /* MiB */
        uint64_t asked;             /* 0: nothing */
    } rows[] = {
        {"what is wanted", 100, 0, 512, 100},
        {"with what is in the way", 100, 50, 512, 150},
        {"nothing wanted", 0, 50, 512, 0},
        {"a twentieth of its size", 50, 0, 1000, 50},
        {"less than a twentieth", 49, 0, 1000, 0},
        {"a small guest", 16, 0, 100, 16},
        {"too little of a small guest", 15, 0, 100, 0},
        {"a third of what its balloon takes", 30, 60, 100, 90},
        {"less than a third", 30, 61, 100, 0},
        {"a large guest, all at once", 40000, 1000, 65536, 41000},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        LeverNeed need = {.wanted_bytes = rows[i].wanted * MIB,
                          .way_bytes = rows[i].way * MIB,
                          .full_bytes = rows[i].full * MIB};
        LeverCall call = {};
        Levers l = {}; /* it needs no agent */
        char why[LEVER_WHY_MAX];
        bool asked = levers_next(&l, &need, T0, &call, why);

        ck_assert_msg(asked == (rows[i].asked > 0), "%s: %s", rows[i].what, why);
        if (asked)
            ck_assert_msg(call.kind == LEVER_SQUEEZE && call.bytes == rows[i].asked * MIB, "%s: %ju bytes",
                          rows[i].what, (uintmax_t) call.bytes);
        else
            ck_assert_msg(rows[i].wanted == 0 || strcmp(why, "too little for a squeeze") == 0, "%s: %s",
                          rows[i].what, why);
    }
}
END_TEST

/* Of a guest of 512 MiB; its QEMU holds so much when it begins. */
static void begin_squeeze(Levers *l, usec_t now, uint64_t resident)
{
    char why[LEVER_WHY_MAX];
    LeverCall call;

    ck_assert_msg(levers_next(l, &want_free, now, &call, why), "nothing is asked for: %s", why);
    ck_assert_int_eq(call.kind, LEVER_SQUEEZE);
    levers_squeezes(l, &call, &want_free,
                    &(Squeeze){.returns_bytes = 512 * MIB,
                               .used_bytes = 200 * MIB,
                               .cpu_usec = 5 * SEC,
                               .look = {.resident_bytes = resident, .used_bytes = 200 * MIB}},
                    now);
}

/* Its balloon took all, and it has its size back. */
static void end_squeeze(Levers *l, LeverEnd why, usec_t now)
{
    levers_squeezed(l, why, 120 * MIB, 6 * SEC, now);
    levers_returned(l);
}

static void look(Levers *l, uint64_t resident, uint64_t used, usec_t now)
{
    ck_assert(!levers_look(l, &(LeverLook){.resident_bytes = resident, .used_bytes = used}, now));
}

START_TEST(test_one_squeeze_at_a_time)
{
    Levers l = capable();
    char why[LEVER_WHY_MAX];
    LeverCall call;

    begin_squeeze(&l, T0, 400 * MIB);
    ck_assert(l.outstanding && levers_is_working(&l, T0 + LEVER_SLOW_USEC - 1));
    ck_assert(!levers_is_working(&l, T0 + LEVER_SLOW_USEC));
    ck_assert_int_eq(next(&l, &want_free, T0 + SEC), -1);
    levers_squeezed(&l, LEVER_END_DONE, 120 * MIB, 6 * SEC, T0 + SEC);
    ck_assert(!l.outstanding);
    /* Not before it has its size back, however long that takes. */
    ck_assert(!levers_next(&l, &want_free, T0 + 3600 * SEC, &call, why));
    ck_assert_str_eq(why, "");
    levers_returned(&l);
    ck_assert(!levers_next(&l, &want_free, T0 + SEC + LEVER_WAIT_MIN_USEC - 1, &call, why));
    ck_assert_ptr_nonnull(strstr(why, "squeeze again in "));
    ck_assert_int_eq(next(&l, &want_free, T0 + SEC + LEVER_WAIT_MIN_USEC), LEVER_SQUEEZE);

    ck_assert_uint_eq(l.lever[LEVER_SQUEEZE].times, 1);
    ck_assert_uint_eq(l.lever[LEVER_SQUEEZE].last_bytes, 120 * MIB);
    ck_assert_uint_eq(l.lever[LEVER_SQUEEZE].cpu_usec, SEC);
    ck_assert_uint_eq(l.lever[LEVER_SQUEEZE].got_bytes, 0);
    look(&l, 300 * MIB, 210 * MIB, T0 + 10 * SEC);
    look(&l, 200 * MIB, 210 * MIB, T0 + 11 * SEC);
    ck_assert_uint_eq(l.lever[LEVER_SQUEEZE].got_bytes, 110 * MIB); /* counted once */
}
END_TEST

/* The balloon took 120 MiB: the host should get 30 of them. */
START_TEST(test_a_squeeze_is_judged_by_what_the_host_got)
{
    static const struct {
        const char *what;
        uint64_t before, resident, used; /* MiB; it used 200 */
        usec_t looked, waits;
        LeverEnd why;
    } rows[] = {
        {"all of it", 400, 280, 200, LEVER_SQUEEZE_LOOK_USEC, 0, LEVER_END_DONE},
        {"a quarter", 400, 370, 200, LEVER_SQUEEZE_LOOK_USEC, 0, LEVER_END_DONE},
        {"less than a quarter", 400, 371, 200, LEVER_SQUEEZE_LOOK_USEC, 5 * SEC, LEVER_END_DONE},
        {"its QEMU holds more", 400, 420, 200, LEVER_SQUEEZE_LOOK_USEC, 5 * SEC, LEVER_END_DONE},
        {"the guest took it since", 400, 400, 230, LEVER_SQUEEZE_LOOK_USEC, 0, LEVER_END_DONE},
        {"too early to say", 400, 400, 200, LEVER_SQUEEZE_LOOK_USEC - 1, 0, LEVER_END_DONE},
        {"not known before", 0, 400, 200, LEVER_SQUEEZE_LOOK_USEC, 0, LEVER_END_DONE},
        {"not known after", 400, 0, 200, LEVER_SQUEEZE_LOOK_USEC, 0, LEVER_END_DONE},
        {"stopped, whatever it got", 400, 280, 200, LEVER_SQUEEZE_LOOK_USEC, 5 * SEC, LEVER_END_STOPPED},
        {"slow, whatever it got", 400, 280, 200, LEVER_SQUEEZE_LOOK_USEC, 5 * SEC, LEVER_END_NO_MORE},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Levers l = capable();

        begin_squeeze(&l, T0, rows[i].before * MIB);
        end_squeeze(&l, rows[i].why, T0 + SEC);
        look(&l, rows[i].resident * MIB, rows[i].used * MIB, T0 + SEC + rows[i].looked);
        ck_assert_msg(l.lever[LEVER_SQUEEZE].wait_usec == rows[i].waits, "%s: waits for %ju s", rows[i].what,
                      (uintmax_t) (l.lever[LEVER_SQUEEZE].wait_usec / SEC));
        ck_assert_msg(next(&l, &want_free, T0 + SEC + LEVER_WAIT_MIN_USEC - 1) == -1, "%s", rows[i].what);
        ck_assert_msg(next(&l, &want_free, T0 + 10 * SEC) == LEVER_SQUEEZE, "%s", rows[i].what);
    }
}
END_TEST

/* What it gets isn't seen while its balloon still lets go of it. */
START_TEST(test_a_squeeze_is_judged_when_it_is_over)
{
    Levers l = capable();

    begin_squeeze(&l, T0, 400 * MIB);
    look(&l, 400 * MIB, 200 * MIB, T0 + 5 * SEC);
    levers_squeezed(&l, LEVER_END_DONE, 120 * MIB, 0, T0 + 6 * SEC);
    look(&l, 400 * MIB, 200 * MIB, T0 + 9 * SEC);
    levers_returned(&l);
    ck_assert_uint_eq(l.lever[LEVER_SQUEEZE].wait_usec, 0);
    look(&l, 300 * MIB, 200 * MIB, T0 + 10 * SEC);
    ck_assert_uint_eq(l.lever[LEVER_SQUEEZE].wait_usec, 0);
    ck_assert_uint_eq(l.lever[LEVER_SQUEEZE].got_bytes, 100 * MIB);
}
END_TEST

/* Whether the host got nothing (row 0), the guest needed its memory, or its balloon was slow. From 40 s on it
 * counts as a guest that can't be squeezed. */
START_TEST(test_squeezes_in_vain_wait_longer)
{
    static const LeverEnd ends[] = {LEVER_END_DONE, LEVER_END_STOPPED, LEVER_END_NO_MORE};
    static const usec_t waits[] = {5, 10, 20, 40, 80, 160, 300, 300};
    Levers l = capable();
    usec_t now = T0;

    for (size_t i = 0; i < ELEMENTSOF(waits); i++) {
        begin_squeeze(&l, now, 400 * MIB);
        end_squeeze(&l, ends[_i], now);
        if (ends[_i] == LEVER_END_DONE) {
            now += LEVER_SQUEEZE_LOOK_USEC;
            look(&l, 400 * MIB, 200 * MIB, now);
        }
        ck_assert_msg(next(&l, &want_free, now + waits[i] * SEC - 1) == -1, "wait %zu", i);
        ck_assert_msg(levers_can_squeeze(&l, now + waits[i] * SEC - 1) ==
                          (waits[i] * SEC < LEVER_SQUEEZE_VAIN_USEC),
                      "wait %zu", i);
        now += waits[i] * SEC;
        ck_assert_msg(levers_can_squeeze(&l, now), "wait %zu", i);
        ck_assert_msg(next(&l, &want_free, now) == LEVER_SQUEEZE, "wait %zu", i);
    }

    /* One that is worth it: it can be squeezed again, and later ones don't wait for long. */
    begin_squeeze(&l, now, 400 * MIB);
    end_squeeze(&l, LEVER_END_DONE, now);
    look(&l, 280 * MIB, 200 * MIB, now + LEVER_SQUEEZE_LOOK_USEC);
    ck_assert(levers_can_squeeze(&l, now + LEVER_SQUEEZE_LOOK_USEC));
    now += 300 * SEC;
    begin_squeeze(&l, now, 400 * MIB);
    end_squeeze(&l, LEVER_END_DONE, now);
    ck_assert_int_eq(next(&l, &want_free, now + LEVER_WAIT_MIN_USEC), LEVER_SQUEEZE);
}
END_TEST

/* Its agent has no part in it, so neither a new agent nor an answer that never comes ends a squeeze. */
START_TEST(test_a_squeeze_goes_on_without_the_agent)
{
    Levers l = capable();

    begin_squeeze(&l, T0, 400 * MIB);
    levers_hello(&l, &(Message){.features = HELLO_FEATURE_LEVERS});
    ck_assert(l.outstanding && l.squeeze.returns_bytes == 512 * MIB);
    ck_assert_int_eq(next(&l, &want_free, T0), -1);
    ck_assert(!levers_expire(&l, T0 + 10 * LEVER_ANSWER_USEC));
    ck_assert(l.outstanding && l.squeeze.returns_bytes == 512 * MIB);

    levers_squeezed(&l, LEVER_END_DONE, 120 * MIB, 0, T0 + SEC);
    levers_hello(&l, &(Message){.features = HELLO_FEATURE_LEVERS});
    ck_assert_uint_eq(l.squeeze.returns_bytes, 512 * MIB);
}
END_TEST

START_TEST(test_a_reboot_forgets_a_squeeze)
{
    Levers l = capable();

    for (unsigned i = 0; i < 5; i++) {
        begin_squeeze(&l, T0 + i * 1000 * SEC, 400 * MIB);
        end_squeeze(&l, LEVER_END_STOPPED, T0 + i * 1000 * SEC);
    }
    begin_squeeze(&l, T0 + 5000 * SEC, 400 * MIB);
    levers_reset(&l);
    ck_assert(!l.outstanding && l.squeeze.returns_bytes == 0);
    ck_assert(levers_can_squeeze(&l, T0 + 5000 * SEC));
    ck_assert_int_eq(next(&l, &want_free, T0 + 5000 * SEC), LEVER_SQUEEZE);
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
    tcase_add_test(t, test_what_is_worth_a_squeeze);
    tcase_add_test(t, test_one_squeeze_at_a_time);
    tcase_add_test(t, test_a_squeeze_is_judged_by_what_the_host_got);
    tcase_add_test(t, test_a_squeeze_is_judged_when_it_is_over);
    tcase_add_loop_test(t, test_squeezes_in_vain_wait_longer, 0, 3);
    tcase_add_test(t, test_a_squeeze_goes_on_without_the_agent);
    tcase_add_test(t, test_a_reboot_forgets_a_squeeze);
    return run_tests(t);
}
