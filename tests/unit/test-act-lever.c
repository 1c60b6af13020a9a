/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a decision asks of a guest's own kernel or its balloon, and how it ends. */

#include "base/macro.h"
#include "host-agent/act/lever.h"
#include "host-agent/guest/guest-held.h"
#include "host-agent/guest/guest-levers.h"
#include "host-agent/guest/guest-snapshot.h"
#include "tests/unit/run.h"
#include "tests/unit/staged-guest.h"

typedef struct Asked {
    uint64_t target; /* of its balloon */
    unsigned compactions, reclaims, squeezes, forgotten;
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

static int on_squeeze(void *userdata, uint64_t target_bytes)
{
    Asked *a = userdata;

    if (a->error < 0)
        return a->error;
    a->squeezes++;
    a->target = target_bytes;
    return 0;
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
    x->channel = (LeverChannel){on_compact, on_reclaim, on_squeeze, on_forget, &x->asked};
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

#define FEW (LEVERS_AT_ONCE + 1)

/* Of one guest too many, those of which the host gets most: what it has swapped out doesn't count. A squeeze counts for
 * two requests. */
START_TEST(test_few_at_a_time)
{
    static const struct {
        const char *what;
        uint64_t first, others; /* MiB that they are to hand back */
        double swapped;         /* the part of the first guest that the host has swapped out */
        bool is_left;           /* the first one */
    } rows[] = {
        {"less", 1024, 2048, 0, true},
        {"more", 2048, 1024, 0, false},
        {"more, of which less is in memory", 2048, 1024, 0.75, true},
        {"more, of which more is in memory", 2048, 1024, 0.25, false},
    };
    bool squeezes = _i % 2;
    size_t few = squeezes ? LEVERS_AT_ONCE / 2 : LEVERS_AT_ONCE, n = few + 1;
    Scene x[FEW];
    SnapshotGuest s[FEW];
    Decision d[FEW];
    LeverGuest guests[FEW];
    Plan plan = {.decisions = d, .n_decisions = n};
    unsigned asked = 0;

    for (size_t i = 0; i < n; i++) {
        scene_init(&x[i]);
        guests[i] = (LeverGuest){x[i].guest, x[i].channel};
        d[i] = (Decision){.reclaim = {.bytes = (i == 0 ? rows[_i / 2].first : rows[_i / 2].others) * MIB,
                                      .send = true,
                                      .reason = "because"}};
    }
    for (size_t i = 0; i < n; i++) {
        guest_snapshot(x[i].guest, clock_usec, &s[i]);
        guest_fields_set(&s[i].fields, GUEST_FIELD_REPORTING, !squeezes);
        guest_fields_set(&s[i].fields, GUEST_FIELD_RESIDENT, 4.0 * GIB);
        guest_fields_set(&s[i].fields, GUEST_FIELD_SWAPPED, (i == 0 ? rows[_i / 2].swapped : 0) * 4.0 * GIB);
    }
    lever_run(guests, &(Snapshot){.now_usec = clock_usec, .guests = s, .n_guests = n}, &plan);
    for (size_t i = 0; i < n; i++)
        asked += squeezes ? x[i].asked.squeezes : x[i].asked.reclaims;
    ck_assert_uint_eq(asked, few);
    ck_assert_msg(x[0].guest->levers.outstanding != rows[_i / 2].is_left, "%s", rows[_i / 2].what);
    if (rows[_i / 2].is_left)
        ck_assert_str_eq(x[0].guest->levers.waiting, "others are asked first");
    for (size_t i = 0; i < n; i++)
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

/* ---- A guest without free page reporting ---- */

/* Half of its memory is available; it uses so much more than that. */
static Report report_of(const Scene *x, uint64_t more)
{
    uint64_t size = guest_current(x->guest);
    Report r = {.at_usec = clock_usec};

    report_set(&r, REPORT_MEM_TOTAL, size);
    report_set(&r, REPORT_MEM_FREE, size - 2 * GIB - more);
    report_set(&r, REPORT_MEM_AVAILABLE, size - 2 * GIB - more);
    return r;
}

static void report(const Scene *x, uint64_t more)
{
    Report r = report_of(x, more);

    guest_report(x->guest, &r, clock_usec);
}

static SnapshotGuest seen(const Scene *x)
{
    SnapshotGuest s;

    guest_snapshot(x->guest, clock_usec, &s);
    return s;
}

/* A cycle in which its balloon may take that much, with so much more in the way; 0: nothing is wanted. */
static void want(Scene *x, uint64_t bytes, uint64_t way)
{
    Decision d = {
        .reclaim = {.bytes = bytes, .way_bytes = way, .send = bytes > 0, .reason = "because of this"}};
    SnapshotGuest s = seen(x);

    lever_run(&(LeverGuest){x->guest, x->channel},
              &(Snapshot){.now_usec = clock_usec, .guests = &s, .n_guests = 1},
              &(Plan){.decisions = &d, .n_decisions = 1});
    if (x->guest->sending.setting)
        guest_set_done(x->guest, 0, clock_usec);
    ck_assert_uint_eq(seen(x).sizes.outstanding_bytes, 0);
}

static void balloon_at(const Scene *x, uint64_t bytes)
{
    guest_balloon_seen(x->guest, bytes, clock_usec);
    ck_assert_uint_eq(seen(x).sizes.outstanding_bytes, 0);
}

/* Its balloon begins to take 1 GiB. */
static void scene_init_squeeze(Scene *x)
{
    scene_init(x);
    report(x, 0);
    clock_usec += SEC;
    want(x, GIB, 0);
    ck_assert_uint_eq(x->asked.squeezes, 1);
    ck_assert_uint_eq(x->asked.target, 3 * GIB);
}

/* The last of so many targets is its size, and its balloon arrives there. */
static void has_its_size_back(Scene *x, unsigned targets)
{
    ck_assert_uint_eq(x->asked.squeezes, targets);
    ck_assert_uint_eq(x->asked.target, 4 * GIB);
    guest_set_done(x->guest, 0, clock_usec);
    clock_usec += SEC;
    balloon_at(x, 4 * GIB);
    ck_assert(!seen(x).balloon.squeezed);
}

START_TEST(test_its_balloon_takes_it_at_once)
{
    static const struct {
        uint64_t bytes, way, target;
    } rows[] = {
        {GIB, 0, 3 * GIB},
        {GIB, 512 * MIB, 2560 * MIB},
        {2 * GIB, GIB, GIB},
        /* Whole KiB, and no more than is wanted. */
        {GIB, KIB - 1, 3 * GIB},
        {GIB, KIB, 3 * GIB - KIB},
        /* The decision has seen to it that this can't be. */
        {4 * GIB, GIB, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Scene x;

        scene_init(&x);
        want(&x, rows[i].bytes, rows[i].way);
        ck_assert_uint_eq(x.asked.squeezes, 1);
        ck_assert_uint_eq(x.asked.target, rows[i].target);
        ck_assert_uint_eq(x.asked.compactions + x.asked.reclaims, 0);
        ck_assert_uint_eq(stage_count(&x.stage, NOTICE_LEVER), 1);
        ck_assert_uint_eq(stage_count(&x.stage, NOTICE_MOVE), 0);
        scene_done(&x);
    }
}
END_TEST

START_TEST(test_it_has_its_size_back_when_its_balloon_arrived)
{
    Scene x;

    scene_init_squeeze(&x);
    clock_usec += 200 * MSEC;
    balloon_at(&x, 3584 * MIB);
    want(&x, GIB, 0);
    ck_assert_uint_eq(x.asked.squeezes, 1);
    clock_usec += 200 * MSEC;
    x.stage.wakes = 0;
    balloon_at(&x, 3 * GIB);
    ck_assert_uint_gt(x.stage.wakes, 0); /* the next cycle needn't wait for its timer */
    ck_assert(seen(&x).balloon.squeezed);
    ck_assert_uint_eq(x.asked.squeezes, 1);

    want(&x, GIB, 0);
    ck_assert_uint_eq(x.asked.squeezes, 2);
    ck_assert_uint_eq(x.asked.target, 4 * GIB);
    ck_assert_int_eq(x.guest->levers.lever[LEVER_SQUEEZE].why, LEVER_END_DONE);
    ck_assert_uint_eq(x.guest->levers.lever[LEVER_SQUEEZE].last_bytes, GIB);
    ck_assert_uint_eq(stage_last(&x.stage, NOTICE_LEVER_ENDED)->lever.got_bytes, GIB);
    ck_assert_str_eq(stage_last(&x.stage, NOTICE_LEVER_ENDED)->lever.name, "squeeze");
    for (unsigned i = 0; i < 4; i++) {
        ck_assert(seen(&x).balloon.squeezed);
        clock_usec += 200 * MSEC;
        balloon_at(&x, 3 * GIB + i * 256 * MIB);
        want(&x, GIB, 0);
    }
    balloon_at(&x, 4 * GIB);
    ck_assert(!seen(&x).balloon.squeezed);
    ck_assert_uint_eq(seen(&x).sizes.standing_bytes, 4 * GIB);
    ck_assert_uint_eq(x.asked.squeezes, 2);

    /* And again, after a while. */
    want(&x, GIB, 0);
    ck_assert_uint_eq(x.asked.squeezes, 2);
    clock_usec += LEVER_WAIT_MIN_USEC;
    want(&x, GIB, 0);
    ck_assert_uint_eq(x.asked.squeezes, 3);
    scene_done(&x);
}
END_TEST

/* A guest that has less than its full size gets that back, no more. */
START_TEST(test_it_has_its_earlier_size_back)
{
    Scene x;

    scene_init(&x);
    guest_sent(x.guest, 3 * GIB, clock_usec);
    guest_set_done(x.guest, 0, clock_usec);
    clock_usec += SEC;
    balloon_at(&x, 3 * GIB);
    clock_usec += 10 * SEC;
    report(&x, 0);
    want(&x, 512 * MIB, 0);
    ck_assert_uint_eq(x.asked.target, 2560 * MIB);
    clock_usec += SEC;
    balloon_at(&x, 2560 * MIB);
    want(&x, 0, 0);
    ck_assert_uint_eq(x.asked.target, 3 * GIB);
    scene_done(&x);
}
END_TEST

typedef enum Happens { USES_MORE, DISTRESS, OBSERVE, OFF, NOT_WANTED } Happens;

/* Its balloon is half way: what brings its size back at the next cycle, and what doesn't. */
START_TEST(test_it_has_its_size_back_when_it_needs_it)
{
    static const struct {
        const char *what;
        Happens happens;
        uint64_t more; /* MiB; a 64th of its size is noticeable */
        bool ends, wakes;
    } rows[] = {
        {"it uses as much", USES_MORE, 0, false, false},
        {"it uses a little more", USES_MORE, 63, false, false},
        {"it uses noticeably more", USES_MORE, 64, true, true},
        {"in distress", DISTRESS, 0, true, true},
        {"observed", OBSERVE, 0, true, false},
        {"off", OFF, 0, true, false},
        {"the policy wants nothing any longer", NOT_WANTED, 0, false, false},
    };
    Report r;
    Scene x;

    scene_init_squeeze(&x);
    clock_usec += 200 * MSEC;
    balloon_at(&x, 3584 * MIB);
    x.stage.wakes = 0;
    r = report_of(&x, rows[_i].more * MIB);
    if (rows[_i].happens == USES_MORE)
        guest_report(x.guest, &r, clock_usec);
    else if (rows[_i].happens == DISTRESS)
        guest_distress(x.guest, DISTRESS_PSI, &r, clock_usec);
    else if (rows[_i].happens == OBSERVE)
        x.stage.host.mode = GUEST_MODE_OBSERVE;
    else if (rows[_i].happens == OFF)
        x.stage.host.mode = GUEST_MODE_OFF;
    ck_assert_msg((x.stage.wakes > 0) == rows[_i].wakes, "%s", rows[_i].what);
    want(&x, rows[_i].happens == NOT_WANTED ? 0 : GIB, 0);
    ck_assert_msg(x.asked.squeezes == (rows[_i].ends ? 2 : 1), "%s", rows[_i].what);
    ck_assert(seen(&x).balloon.squeezed);
    if (rows[_i].ends) {
        ck_assert_uint_eq(x.asked.target, 4 * GIB);
        ck_assert_int_eq(x.guest->levers.lever[LEVER_SQUEEZE].why, LEVER_END_STOPPED);
        ck_assert_uint_eq(x.guest->levers.lever[LEVER_SQUEEZE].last_bytes, 512 * MIB);
        clock_usec += SEC;
        balloon_at(&x, 4 * GIB);
        ck_assert(!seen(&x).balloon.squeezed);
        ck_assert_uint_eq(x.guest->levers.lever[LEVER_SQUEEZE].wait_usec, LEVER_WAIT_MIN_USEC);
    }
    scene_done(&x);
}
END_TEST

/* Its balloon takes so much a second, and after five seconds so much. */
START_TEST(test_a_slow_balloon_is_sent_back)
{
    static const struct {
        const char *what;
        uint64_t mib, later_mib;
        usec_t after; /* it is sent back; 0: it isn't */
    } rows[] = {
        {"stalls", 0, 0, 5 * SEC},
        {"slow", 9, 9, LEVER_SQUEEZE_BEGIN_USEC + LEVER_SQUEEZE_SPELL_USEC},
        {"becomes slow", 16, 15, LEVER_SQUEEZE_BEGIN_USEC + 2 * LEVER_SQUEEZE_SPELL_USEC},
        {"fast enough", 16, 16, 0},
    };
    Scene x;
    usec_t began;
    uint64_t took = 0;

    scene_init_squeeze(&x);
    began = clock_usec;
    for (unsigned i = 0; i < 20 && x.guest->levers.outstanding; i++) {
        clock_usec += SEC;
        took += (i < 5 ? rows[_i].mib : rows[_i].later_mib) * MIB;
        balloon_at(&x, 4 * GIB - took);
        report(&x, 0);
        want(&x, GIB, 0);
    }
    if (rows[_i].after == 0) {
        ck_assert(x.guest->levers.outstanding);
        scene_done(&x);
        return;
    }
    ck_assert_msg(clock_usec - began == rows[_i].after, "%s: after %ju s", rows[_i].what,
                  (uintmax_t) ((clock_usec - began) / SEC));
    ck_assert_int_eq(x.guest->levers.lever[LEVER_SQUEEZE].why, LEVER_END_NO_MORE);
    ck_assert(!x.guest->sending.cancel); /* no other target is sent beside that */
    ck_assert_uint_eq(x.guest->levers.lever[LEVER_SQUEEZE].wait_usec, LEVER_WAIT_MIN_USEC);
    /* Also one that took nothing: else it would begin to later. */
    has_its_size_back(&x, 2);
    scene_done(&x);
}
END_TEST

START_TEST(test_a_balloon_that_stalls_half_way_is_sent_back)
{
    Scene x;

    scene_init_squeeze(&x);
    clock_usec += SEC;
    balloon_at(&x, 3584 * MIB);
    for (unsigned i = 0; i < 6 && x.asked.squeezes == 1; i++) {
        clock_usec += SEC;
        balloon_at(&x, 3584 * MIB);
        want(&x, GIB, 0);
    }
    ck_assert_uint_eq(x.asked.squeezes, 2);
    ck_assert_uint_eq(x.asked.target, 4 * GIB);
    ck_assert_int_eq(x.guest->levers.lever[LEVER_SQUEEZE].why, LEVER_END_NO_MORE);
    ck_assert(!x.guest->sending.cancel);
    /* If it doesn't let go either, the guest is like any other whose growth stalls. */
    for (unsigned i = 0; i < 6; i++) {
        clock_usec += SEC;
        balloon_at(&x, 3584 * MIB);
        want(&x, 0, 0);
    }
    ck_assert(!seen(&x).balloon.squeezed && seen(&x).balloon.stalled_growing);
    scene_done(&x);
}
END_TEST

START_TEST(test_what_libvirt_does_not_take_is_tried_again)
{
    Scene x;

    scene_init(&x);
    x.asked.error = -EBUSY;
    want(&x, GIB, 0);
    ck_assert(!seen(&x).balloon.squeezed);
    x.asked.error = 0;
    want(&x, GIB, 0);
    ck_assert(seen(&x).balloon.squeezed);
    ck_assert_uint_eq(x.asked.squeezes, 1);

    clock_usec += SEC;
    balloon_at(&x, 3 * GIB);
    x.asked.error = -EBUSY;
    for (unsigned i = 0; i < 3; i++) {
        want(&x, GIB, 0);
        ck_assert(seen(&x).balloon.squeezed);
        ck_assert_uint_eq(seen(&x).sizes.standing_bytes, 3 * GIB);
        clock_usec += SEC;
    }
    x.asked.error = 0;
    want(&x, GIB, 0);
    ck_assert_uint_eq(x.asked.squeezes, 2);
    ck_assert_uint_eq(x.asked.target, 4 * GIB);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_LEVER_ENDED), 1);
    scene_done(&x);
}
END_TEST

/* The set of its target fails after it was taken. Nobody knows whether it was set: the guest is sent its size. */
START_TEST(test_a_squeeze_that_fails_to_begin)
{
    Scene x;

    scene_init_squeeze(&x);
    guest_set_done(x.guest, _i == 0 ? -EBUSY : -EIO, clock_usec);
    clock_usec += SEC;
    balloon_at(&x, 4 * GIB);
    want(&x, GIB, 0);
    ck_assert_uint_eq(x.asked.squeezes, 2);
    ck_assert_uint_eq(x.asked.target, 4 * GIB);
    guest_set_done(x.guest, 0, clock_usec);
    balloon_at(&x, 4 * GIB);
    ck_assert(!seen(&x).balloon.squeezed);
    ck_assert_uint_eq(seen(&x).sizes.standing_bytes, 4 * GIB);
    scene_done(&x);
}
END_TEST

/* The guest gets its size back whatever becomes of the call. */
START_TEST(test_the_way_back_fails)
{
    static const int errors[] = {-EBUSY, -EIO, -ENOTCONN};
    Scene x;

    scene_init_squeeze(&x);
    clock_usec += SEC;
    balloon_at(&x, 3 * GIB);
    want(&x, GIB, 0);
    ck_assert_uint_eq(x.asked.squeezes, 2);
    guest_set_done(x.guest, errors[_i], clock_usec);
    for (unsigned i = 0; i < 70 && x.asked.squeezes == 2; i++) {
        clock_usec += SEC;
        balloon_at(&x, 3 * GIB);
        want(&x, 0, 0);
    }
    has_its_size_back(&x, 3);
    scene_done(&x);
}
END_TEST

/* What somebody else sets stands, also while the guest is squeezed. */
START_TEST(test_somebody_else_sets_its_size)
{
    Scene x;

    scene_init_squeeze(&x);
    guest_set_done(x.guest, 0, clock_usec);
    for (unsigned i = 0; i < 60; i++) {
        clock_usec += SEC;
        guest_process(x.guest, &(ProcessLook){.rss_bytes = GIB}, clock_usec);
        balloon_at(&x, 2 * GIB);
    }
    want(&x, 0, 0);
    ck_assert_uint_eq(x.asked.squeezes, 1);
    ck_assert(!seen(&x).balloon.squeezed);
    ck_assert_uint_eq(x.guest->full.bytes, 2 * GIB);
    scene_done(&x);
}
END_TEST

/* What the policy sees of it. */
START_TEST(test_who_can_be_squeezed)
{
    static const struct {
        const char *what;
        bool reports, no_balloon, unmovable, vain, can;
    } rows[] = {
        {"without free page reporting", .can = true},
        {"with it", .reports = true},
        {"without a balloon", .no_balloon = true},
        {"unmovable", .unmovable = true},
        {"lately in vain", .vain = true},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        SnapshotGuest s;
        Scene x;

        scene_init(&x);
        x.guest->info.free_page_reporting = rows[i].reports;
        x.guest->info.has_balloon = !rows[i].no_balloon;
        x.guest->info.unmovable = rows[i].unmovable ? "hostdev" : NULL;
        if (rows[i].vain) {
            x.guest->levers.lever[LEVER_SQUEEZE].wait_usec = LEVER_SQUEEZE_VAIN_USEC;
            x.guest->levers.lever[LEVER_SQUEEZE].retry_usec = clock_usec + 1;
        }
        s = seen(&x);
        ck_assert_msg((guest_fields_get(&s.fields, GUEST_FIELD_SQUEEZABLE) != 0) == rows[i].can, "%s",
                      rows[i].what);
        if (rows[i].vain) {
            clock_usec++;
            s = seen(&x);
            ck_assert(guest_fields_get(&s.fields, GUEST_FIELD_SQUEEZABLE) != 0);
        }
        scene_done(&x);
    }
}
END_TEST

START_TEST(test_the_daemon_ends)
{
    LeverGuest guest;
    Scene x;

    scene_init(&x);
    guest = (LeverGuest){x.guest, x.channel};
    lever_stop(&guest, clock_usec);
    ck_assert_uint_eq(x.asked.squeezes, 0); /* it isn't squeezed */
    scene_done(&x);

    scene_init_squeeze(&x);
    guest = (LeverGuest){x.guest, x.channel};
    clock_usec += SEC;
    balloon_at(&x, 3584 * MIB);
    lever_stop(&guest, clock_usec);
    ck_assert_uint_eq(x.asked.squeezes, 2);
    ck_assert_uint_eq(x.asked.target, 4 * GIB);
    lever_stop(&guest, clock_usec);
    ck_assert_uint_eq(x.asked.squeezes, 2); /* it gets it back already */
    scene_done(&x);
}
END_TEST

/* Libvirt still sets the squeeze's target, and the guest is slow: it has its size, and would lose it. */
START_TEST(test_the_daemon_ends_before_the_balloon_begins)
{
    LeverGuest guest;
    Scene x;

    scene_init_squeeze(&x);
    guest = (LeverGuest){x.guest, x.channel};
    x.asked.error = -EBUSY;
    lever_stop(&guest, clock_usec);
    x.asked.error = 0;
    guest_set_done(x.guest, 0, clock_usec);
    balloon_at(&x, 4 * GIB);
    ck_assert(seen(&x).balloon.squeezed);
    lever_stop(&guest, clock_usec);
    has_its_size_back(&x, 2);
    scene_done(&x);
}
END_TEST

START_TEST(test_a_reboot_ends_a_squeeze)
{
    Scene x;

    scene_init_squeeze(&x);
    clock_usec += SEC;
    balloon_at(&x, 3584 * MIB);
    guest_rebooted(x.guest, clock_usec);
    ck_assert(!seen(&x).balloon.squeezed && seen(&x).reboot);
    want(&x, 0, 0);
    ck_assert_uint_eq(x.asked.squeezes, 1);
    scene_done(&x);
}
END_TEST

/* An earlier daemon ended, or was killed, while it squeezed a guest of 4 GiB. */
START_TEST(test_an_earlier_daemons_squeeze)
{
    static const struct {
        const char *what;
        uint64_t sent, returns, actual; /* MiB */
        uint64_t target;                /* 0: nothing is sent */
    } rows[] = {
        {"its balloon has arrived", 3072, 4096, 3072, 4096},
        {"its balloon is on its way", 3072, 4096, 3584, 4096},
        {"it had less than its full size", 3072, 3584, 3072, 3584},
        {"never more than its full size", 3072, 6144, 3072, 4096},
        {"its balloon hasn't begun", 3072, 4096, 4096, 4096},
        {"somebody else gave it more", 3072, 4096, 5120, 0},
        {"the last move was no squeeze", 3072, 0, 3072, 0},
        {"it was on its way back", 4096, 0, 3584, 0},
    };
    Entitlement nothing = stage_entitlement();
    DomainInfo info = stage_domain(1, 4 * GIB);
    Scene x = {};

    info.maximum_bytes = 8 * GIB;
    info.remembered = (DomainState){.full_bytes = 4 * GIB,
                                    .defined_bytes = 4 * GIB,
                                    .from_bytes = 4 * GIB,
                                    .sent_bytes = rows[_i].sent * MIB,
                                    .returns_bytes = rows[_i].returns * MIB};
    clock_usec = 1000 * SEC;
    stage_init(&x.stage);
    ck_assert_int_eq(guest_new(&x.stage.host, &info, &nothing, clock_usec, &x.guest), 0);
    x.channel = (LeverChannel){on_compact, on_reclaim, on_squeeze, on_forget, &x.asked};
    balloon_at(&x, rows[_i].actual * MIB);
    ck_assert_msg(seen(&x).balloon.squeezed == (rows[_i].target > 0), "%s", rows[_i].what);
    want(&x, 0, 0);
    ck_assert_msg(x.asked.target == rows[_i].target * MIB, "%s: %ju MiB", rows[_i].what,
                  (uintmax_t) (x.asked.target / MIB));
    if (rows[_i].target > 0) {
        clock_usec += SEC;
        balloon_at(&x, x.asked.target);
        ck_assert(!seen(&x).balloon.squeezed);
        ck_assert_uint_eq(x.asked.squeezes, 1);
    }
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
    tcase_add_loop_test(t, test_few_at_a_time, 0, 8);
    tcase_add_test(t, test_a_channel_that_refuses_is_tried_again);
    tcase_add_test(t, test_an_answer_that_never_comes_is_given_up);
    tcase_add_test(t, test_its_balloon_takes_it_at_once);
    tcase_add_test(t, test_it_has_its_size_back_when_its_balloon_arrived);
    tcase_add_test(t, test_it_has_its_earlier_size_back);
    tcase_add_loop_test(t, test_it_has_its_size_back_when_it_needs_it, 0, 7);
    tcase_add_loop_test(t, test_a_slow_balloon_is_sent_back, 0, 4);
    tcase_add_test(t, test_a_balloon_that_stalls_half_way_is_sent_back);
    tcase_add_test(t, test_what_libvirt_does_not_take_is_tried_again);
    tcase_add_loop_test(t, test_a_squeeze_that_fails_to_begin, 0, 2);
    tcase_add_loop_test(t, test_the_way_back_fails, 0, 3);
    tcase_add_test(t, test_somebody_else_sets_its_size);
    tcase_add_test(t, test_who_can_be_squeezed);
    tcase_add_test(t, test_the_daemon_ends);
    tcase_add_test(t, test_the_daemon_ends_before_the_balloon_begins);
    tcase_add_test(t, test_a_reboot_ends_a_squeeze);
    tcase_add_loop_test(t, test_an_earlier_daemons_squeeze, 0, 8);
    return run_tests(t);
}
