/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is shown of the levers of a guest: which is used at the moment or was last, and how it got on. */

#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-levers.h"
#include "host-agent/show/describe.h"
#include "tests/unit/guest-stage.h"
#include "tests/unit/run.h"
#include "tests/unit/wire.h"

typedef struct Staged {
    Stage stage;
    Guest *guest;
    usec_t now;
} Staged;

static Staged *staged_new(void)
{
    Staged *t = calloc(1, sizeof *t);
    Entitlement nothing = stage_entitlement();
    DomainInfo info = stage_domain(1, 4 * GIB);

    ck_assert_ptr_nonnull(t);
    t->now = 1000 * SEC;
    stage_init(&t->stage);
    ck_assert_int_eq(guest_new(&t->stage.host, &info, &nothing, t->now, &t->guest), 0);
    guest_balloon_seen(t->guest, 4 * GIB, t->now);
    return t;
}

static void staged_free(Staged *t)
{
    guest_free(t->guest);
    stage_done(&t->stage);
    free(t);
}

static void begin_move(Staged *t, uint64_t target_bytes)
{
    guest_sent(t->guest, target_bytes, t->now);
    guest_set_done(t->guest, 0, t->now);
}

static json_object *described(const Staged *t, bool reporting)
{
    Wire w;

    wire_open(&w);
    dict_begin(&w.dict);
    describe_means(&w.dict, t->guest, reporting, t->now);
    describe_levers(&w.dict, t->guest, t->now);
    dict_end(&w.dict);
    return wire_read(&w);
}

/* age: of its last use, in seconds; -1: none is shown. */
static void assert_lever(const Staged *t, bool reporting, const char *lever, int age)
{
    json_object *o = described(t, reporting), *shown = json_find(o, "lever_age_usec");

    ck_assert_str_eq(json_text(o, "lever"), lever);
    ck_assert_msg(age < 0 ? !shown : shown && json_count(o, "lever_age_usec") == (unsigned) age * SEC,
                  "%s was last used %s us ago, not %d s", lever, shown ? json_object_get_string(shown) : "?",
                  age);
    json_object_put(o);
}

static void ask(Staged *t, LeverKind k)
{
    guest_lever_asked(t->guest, &(LeverCall){.kind = k, .id = 1, .bytes = 64 * MIB}, &(LeverNeed){}, t->now);
}

static void answer(Staged *t, uint64_t got_bytes, LeverEnd why)
{
    guest_reclaimed(
        t->guest,
        &(Message){.type = MESSAGE_RECLAIMED, .id = 1, .bytes = got_bytes, .cpu_usec = 7000, .why = why},
        t->now);
}

START_TEST(the_lever_at_work_or_the_last_is_shown)
{
    Staged *t = staged_new();

    assert_lever(t, false, "none", -1);
    assert_lever(t, true, "reported", -1);

    ask(t, LEVER_COMPACT);
    t->now += SEC;
    assert_lever(t, true, "compact", 0);
    answer(t, 64 * MIB, LEVER_END_DONE);
    t->now += 3 * SEC;
    assert_lever(t, true, "compact", 3);
    ask(t, LEVER_RECLAIM);
    assert_lever(t, true, "reclaim", 0);
    t->now += SEC;
    answer(t, 64 * MIB, LEVER_END_DONE);

    /* A balloon that moves or holds memory comes before what its kernel did earlier, or does not do now. */
    t->now += SEC;
    begin_move(t, 3 * GIB);
    assert_lever(t, true, "balloon", 0);
    t->now += SEC;
    guest_balloon_seen(t->guest, 3 * GIB, t->now);
    t->now += 5 * SEC;
    assert_lever(t, true, "balloon", 5);
    ask(t, LEVER_RECLAIM);
    assert_lever(t, true, "reclaim", 0);
    answer(t, 64 * MIB, LEVER_END_DONE);
    assert_lever(t, true, "balloon", 5);

    /* Back at its full size: whatever was used last. */
    t->now += SEC;
    begin_move(t, 4 * GIB);
    guest_balloon_seen(t->guest, 4 * GIB, t->now);
    t->now += 2 * SEC;
    assert_lever(t, true, "balloon", 2);
    ask(t, LEVER_COMPACT);
    answer(t, 0, LEVER_END_NO_MORE);
    assert_lever(t, true, "compact", 0);
    staged_free(t);
}
END_TEST

START_TEST(a_lever_tells_how_it_got_on)
{
    Staged *t = staged_new();
    json_object *o, *levers, *reclaim;

    ask(t, LEVER_RECLAIM);
    t->now += 2 * SEC;
    o = described(t, true);
    ck_assert(json_flag(o, "levers.reclaim.asking") && !json_flag(o, "levers.compact.asking"));
    ck_assert_uint_eq(json_count(o, "levers.reclaim.asked_age_usec"), 2 * SEC);
    ck_assert_uint_eq(json_count(o, "levers.reclaim.asked_bytes"), 64 * MIB);
    json_object_put(o);

    answer(t, 48 * MIB, LEVER_END_REFAULTS);
    held_reclaimed(&t->guest->held, 0, 12 * MIB, t->now);
    t->now += SEC;
    o = described(t, true);
    levers = json_find(o, "levers");
    reclaim = json_find(levers, "reclaim");
    ck_assert_uint_eq(json_count(reclaim, "times"), 1);
    ck_assert_uint_eq(json_count(reclaim, "got_bytes"), 48 * MIB);
    ck_assert_uint_eq(json_count(reclaim, "last_got_bytes"), 48 * MIB);
    ck_assert_uint_eq(json_count(reclaim, "cpu_usec"), 7000);
    ck_assert_str_eq(json_text(reclaim, "end"), "refaults");
    ck_assert_uint_eq(json_count(reclaim, "answered_age_usec"), SEC);
    ck_assert_uint_eq(json_count(reclaim, "retry_in_usec"), LEVER_WAIT_MIN_USEC - SEC);
    ck_assert_double_eq_tol(json_real(reclaim, "read_back_share"), 0.25, 0.001);
    ck_assert_ptr_null(json_find(reclaim, "asked_bytes"));
    ck_assert_uint_eq(json_count(levers, "compact.times"), 0);
    ck_assert_ptr_null(json_find(levers, "compact.end"));
    json_object_put(o);
    staged_free(t);
}
END_TEST

/* Its balloon takes memory and lets go of it: the lever at work all the while, and afterwards the last one. */
START_TEST(a_squeeze_is_shown)
{
    Staged *t = staged_new();
    LeverCall call = {.kind = LEVER_SQUEEZE, .bytes = GIB};
    json_object *o;

    guest_squeezes(t->guest, &call, &(LeverNeed){.wanted_bytes = GIB}, t->now);
    guest_sent_for_a_moment(t->guest, 3 * GIB, t->now);
    guest_set_done(t->guest, 0, t->now);
    assert_lever(t, false, "squeeze", 0);
    t->now += 2 * SEC;
    guest_balloon_seen(t->guest, 3 * GIB, t->now);
    assert_lever(t, false, "squeeze", 0);
    o = described(t, false);
    ck_assert(json_flag(o, "levers.squeeze.asking"));
    ck_assert(!json_flag(o, "levers.reclaim.asking") && !json_flag(o, "levers.compact.asking"));
    ck_assert_uint_eq(json_count(o, "levers.squeeze.asked_age_usec"), 2 * SEC);
    ck_assert_uint_eq(json_count(o, "levers.squeeze.asked_bytes"), GIB);
    json_object_put(o);

    /* It gets its size back. */
    guest_squeezed(t->guest, LEVER_END_DONE, t->now);
    guest_sent_for_a_moment(t->guest, 4 * GIB, t->now);
    guest_set_done(t->guest, 0, t->now);
    t->now += SEC;
    guest_balloon_seen(t->guest, 3584 * MIB, t->now);
    o = described(t, false);
    ck_assert_str_eq(json_text(o, "lever"), "squeeze");
    ck_assert(!json_flag(o, "levers.squeeze.asking"));
    ck_assert_uint_eq(json_count(o, "levers.squeeze.times"), 1);
    ck_assert_uint_eq(json_count(o, "levers.squeeze.last_got_bytes"), GIB);
    ck_assert_str_eq(json_text(o, "levers.squeeze.end"), "done");
    json_object_put(o);
    t->now += SEC;
    guest_balloon_seen(t->guest, 4 * GIB, t->now);
    ck_assert(!guest_is_squeezed(t->guest));
    assert_lever(t, false, "squeeze", 2);
    staged_free(t);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("describe-held");

    tcase_add_test(t, the_lever_at_work_or_the_last_is_shown);
    tcase_add_test(t, a_lever_tells_how_it_got_on);
    tcase_add_test(t, a_squeeze_is_shown);
    return run_tests(t);
}
