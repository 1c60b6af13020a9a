/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A guest's balloon and its full size: moves, boots, sizes that others set, what libvirt refuses. */

#include "base/log.h"
#include "base/units.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-judge.h"
#include "host-agent/guest/guest-snapshot.h"
#include "tests/unit/caught-log.h"
#include "tests/unit/guest-rig.h"
#include "tests/unit/run.h"

/* The RSS is unknown, and the balloon gives nothing back: a growth that was sent ten times is outstanding
 * once. */
START_TEST(test_outstanding)
{
    Rig *t = rig_new(0);

    move(t, 2 * GIB);
    for (unsigned i = 0; i < 10; i++) {
        send(t, 4 * GIB);
        ck_assert(t->guest->sending.retried == (i > 0)); /* a stuck balloon is logged once */
        for (unsigned k = 0; k < 6; k++) {
            t->now += SEC;
            guest_balloon_seen(t->guest, 2 * GIB, t->now);
        }
        guest_settle(t->guest, t->now);
        ck_assert_uint_le(seen(t).sizes.outstanding_bytes, 4 * GIB);
    }
    /* It stays outstanding for as long as the balloon is stuck: QEMU may still give it. */
    t->now += 3 * (30 * SEC);
    rss(t, 2 * GIB);
    guest_settle(t->guest, t->now);
    ck_assert_uint_ge(seen(t).sizes.outstanding_bytes, 2 * GIB);
    ck_assert_uint_lt(seen(t).sizes.outstanding_bytes, 2 * GIB + 64 * MIB);
    guest_balloon_seen(t->guest, 4 * GIB, t->now);
    rss(t, 4 * GIB);
    guest_settle(t->guest, t->now);
    ck_assert_uint_lt(seen(t).sizes.outstanding_bytes, 64 * MIB);
    rig_free(t);
}
END_TEST

/* A balloon that moves only a little at a time isn't counted on for long. */
START_TEST(test_late)
{
    Rig *t = rig_new(0);

    send(t, 2 * GIB);
    for (unsigned i = 1; i <= 5; i++) {
        t->now += SEC;
        guest_balloon_seen(t->guest, 4 * GIB - i * 2 * MIB, t->now);
        ck_assert(!seen(t).balloon.late);
    }
    t->now += SEC;
    guest_balloon_seen(t->guest, 4 * GIB - 12 * MIB, t->now);
    ck_assert(seen(t).balloon.moving && seen(t).balloon.late);
    t->stage.config->guard.step_usec = 60 * SEC; /* the administrator is patient */
    ck_assert(!seen(t).balloon.late);
    rig_free(t);
}
END_TEST

/* A move that had to wait for another is decided again as soon as that one was sent. */
START_TEST(test_put_off)
{
    Rig *t = rig_new(0);

    guest_sent(t->guest, 3 * GIB, t->now);
    guest_put_off(t->guest, true);
    guest_set_done(t->guest, 0, t->now);
    ck_assert_uint_eq(t->stage.wakes, 1);
    move(t, 3 * GIB);
    ck_assert_uint_eq(t->stage.wakes, 2); /* as it got there */
    rig_free(t);
}
END_TEST

/* A guest whose balloon frees nothing isn't asked for more, but gets back its shortfall. */
START_TEST(test_ineffective)
{
    Rig *t = rig_new(0);
    GuestBounds b;
    Snapshot s = {.host = t->stage.fields, .n_guests = 1};
    SnapshotGuest g;

    move(t, 3 * GIB);
    reports(t, 8, AT_EASE);
    t->guest->judgement.ineffective_usec = t->now;
    t->guest->judgement.ineffective_wait_usec = 3600 * SEC;
    g = seen(t);
    s.guests = &g;
    guard_bounds(&s, &t->stage.config->guard, &b);
    ck_assert_int_eq(b.hold, GUARD_RULE_NONE);
    ck_assert_int_eq(b.least_rule, GUARD_RULE_UNMOVABLE);
    ck_assert_uint_eq(b.least_bytes, 3 * GIB);
    ck_assert_uint_eq(b.most_bytes, 4 * GIB);
    rig_free(t);
}
END_TEST

/* A guest that may be shutting down is left alone; one that only says so, time and again, isn't. */
START_TEST(test_goodbye)
{
    Rig *t = rig_new(0);

    report(t, SEC, AT_EASE);
    ck_assert_ptr_null(seen(t).busy);
    for (unsigned minute = 0; minute < 30; minute++) {
        t->guest->sources.leaving = false; /* it says Hello */
        guest_goodbye(t->guest, t->now);
        ck_assert_int_eq(seen(t).source, GUEST_SOURCE_NONE);
        ck_assert(!!seen(t).busy == (minute % 10 == 0));
        t->now += 60 * SEC;
        ck_assert_ptr_null(seen(t).busy);
    }
    rig_free(t);
}
END_TEST

/* A target that libvirt didn't take because the domain is being saved, or because libvirt ended, isn't held
 * against the balloon; one that it refused is. */
START_TEST(test_set_done)
{
    static const struct {
        int error;
        bool stalled, moving;
    } rows[] = {{0, false, true}, {-EBUSY, false, false}, {-ENOTCONN, false, false}, {-EIO, true, false}};
    Rig *t = rig_new(0);

    t->guest->sending.setting = true;
    balloon_sent(&t->guest->balloon, 3 * GIB, t->now);
    guest_set_done(t->guest, rows[_i].error, t->now);
    ck_assert(balloon_is_stalled(&t->guest->balloon, t->now) == rows[_i].stalled);
    ck_assert(t->guest->balloon.moving == rows[_i].moving);
    /* When libvirt ends, a move that it took goes on. */
    guest_set_done(t->guest, -ENOTCONN, t->now);
    ck_assert(t->guest->balloon.moving == rows[_i].moving);
    rig_free(t);
}
END_TEST

/* A guest that grew above its full size comes down to it, also when its growth is no longer allowed. */
START_TEST(test_growth_taken_back)
{
    Rig *t = rig_new(6 * GIB);
    DomainInfo info = t->guest->info;

    move(t, 5 * GIB);
    ck_assert_uint_eq(seen(t).sizes.full_bytes, 4 * GIB);
    info.entitlement = ENTITLEMENT_NONE;
    guest_update_info(t->guest, &info);
    ck_assert_uint_eq(seen(t).sizes.full_bytes, 4 * GIB);
    ck_assert(seen(t).sizes.entitled_full);
    rig_free(t);

    /* A smaller size in the definition, for the next start, doesn't shrink the running guest. */
    t = rig_new(0);
    info = t->guest->info;
    move(t, 3 * GIB);
    move(t, 4 * GIB);
    info.configured_current_bytes = 2 * GIB;
    guest_update_info(t->guest, &info);
    ck_assert_uint_eq(t->guest->full.bytes, 2 * GIB);
    ck_assert_uint_eq(seen(t).sizes.standing_bytes, 4 * GIB);
    ck_assert(!seen(t).sizes.entitled_full);
    rig_free(t);
}
END_TEST

/* A min above the full size, or a max below it, has no effect, and the bound and the way out are named. */
START_TEST(test_c6_sizes_that_the_full_size_contradicts)
{
    static const struct {
        uint64_t min, full, growth;
        const char *why;
    } rows[] = {
        {4 * GIB, 0, 4 * GIB, ""},
        {5 * GIB, 6 * GIB, 0, ""},
        {5 * GIB, 0, 0,
         "min=5.00 GiB is more than its full size, 4.00 GiB (the definition's currentMemory); also give --full, at most 8.00 GiB"},
        {0, 0, 3 * GIB,
         "max=3.00 GiB is less than its full size, 4.00 GiB (the definition's currentMemory); also give --full, at most 3.00 GiB"},
    };
    Rig *t = rig_new(0);

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Entitlement e = {rows[i].min, rows[i].full, rows[i].growth, 0, GUEST_MODE_INVALID};
        char why[ENTITLEMENT_WHY_MAX];

        ck_assert_int_eq(guest_check_full(t->guest, &e, why), rows[i].why[0] ? -ERANGE : 0);
        ck_assert_str_eq(why, rows[i].why);
    }
    rig_free(t);
}
END_TEST

/* A guest without a balloon isn't "just found" for ever. */
START_TEST(test_b_no_balloon_is_said)
{
    Rig *t = rig_new(0);

    t->guest->balloon.known = false;
    ck_assert_str_eq(seen(t).busy, "just found");
    t->guest->info.has_balloon = false;
    t->guest->info.unmovable = "no balloon device";
    ck_assert_ptr_null(seen(t).busy);
    ck_assert_str_eq(seen(t).unmovable, "no balloon device");
    rig_free(t);
}
END_TEST

/* A late report shows the size before the shrink. That isn't a guest that counts its balloon as memory, whose
 * available memory would be that much less. */
START_TEST(test_late_report)
{
    Rig *t = rig_new(0);
    SnapshotGuest g;
    Report r = {};

    t->free_bytes = GIB;
    reports(t, 8, 0);
    move(t, 3 * GIB);
    t->now += SEC;
    r.at_usec = t->now;
    report_set(&r, REPORT_MEM_TOTAL, 4 * GIB);
    report_set(&r, REPORT_MEM_FREE, GIB);
    report_set(&r, REPORT_MEM_AVAILABLE, 2 * GIB);
    guest_report(t->guest, &r, t->now);
    ck_assert(!guest_is_moving(t->guest, t->now));
    g = seen(t);
    ck_assert_double_eq(guest_fields_get(&g.fields, GUEST_FIELD_AVAILABLE), 2.0 * GIB);
    /* One that goes on reporting that size does count its balloon. */
    t->now += 3 * SEC;
    r.at_usec = t->now;
    report_set(&r, REPORT_MEM_TOTAL, 7 * GIB);
    report_set(&r, REPORT_MEM_AVAILABLE, 5 * GIB);
    guest_report(t->guest, &r, t->now);
    g = seen(t);
    ck_assert_double_eq(guest_fields_get(&g.fields, GUEST_FIELD_TOTAL), 2.0 * GIB);
    rig_free(t);
}
END_TEST

/* Its balloon is seen at this size once a second, and its QEMU holds little. */
static void rest(Rig *t, uint64_t bytes, unsigned seconds)
{
    for (unsigned i = 0; i <= seconds; i++) {
        rss(t, GIB);
        guest_balloon_seen(t->guest, bytes, t->now);
        t->now += SEC;
    }
}

/* On a busy host a guest boots slowly, and its balloon slowly reaches the size in the definition. */
START_TEST(test_boots_slowly)
{
    Rig *t = rig_new(0);

    guest_set_boot(t->guest, t->now);
    t->guest->balloon = (Balloon){};
    rest(t, 8 * GIB, 6);
    rest(t, 5 * GIB, 6);
    rest(t, 4400 * MIB, 60);
    ck_assert_uint_eq(t->guest->full.bytes, 4 * GIB);
    ck_assert_ptr_null(seen(t).busy);
    rest(t, 4 * GIB, 6);
    ck_assert_uint_eq(t->guest->full.bytes, 4 * GIB);
    /* A size that somebody sets then counts. */
    rest(t, 3 * GIB, 4);
    ck_assert_uint_eq(t->guest->full.bytes, 4 * GIB);
    ck_assert_ptr_nonnull(seen(t).busy);
    rest(t, 3 * GIB, 1);
    ck_assert_uint_eq(t->guest->full.bytes, 3 * GIB);
    ck_assert_ptr_null(seen(t).busy);
    rig_free(t);
}
END_TEST

/* A size that somebody else set counts once the balloon rests: not while it moves, nor while the guest boots
 * or is paused. It isn't forgotten, either. */
START_TEST(test_foreign_size_rests)
{
    Rig *t = rig_new(0);

    guest_set_boot(t->guest, t->now);
    rest(t, 3 * GIB, 44);
    ck_assert_uint_eq(t->guest->full.bytes, 4 * GIB);
    rest(t, 3 * GIB, 5);
    ck_assert_uint_eq(t->guest->full.bytes, 3 * GIB);

    rest(t, 2500 * MIB, 3);
    rest(t, 2400 * MIB, 3);
    guest_set_busy(t->guest, "paused");
    rest(t, 2300 * MIB, 60);
    guest_set_busy(t->guest, NULL);
    rest(t, 2300 * MIB, 3);
    ck_assert_uint_eq(t->guest->full.bytes, 3 * GIB);
    rest(t, 2 * GIB, 6);
    ck_assert_uint_eq(t->guest->full.bytes, 2 * GIB);
    rig_free(t);
}
END_TEST

/* A guest that says that it has more keeps its full size, and isn't sent back to it: whoever set that live, or whatever
 * the guest only says. It counts once libvirt's side grants it. */
START_TEST(test_a3_a_larger_size_is_only_said)
{
    int log = stderr_pipe();
    Rig *t = rig_new(0);
    DomainInfo info = t->guest->info;

    log_open(LOG_INFO);
    rest(t, 6 * GIB, 120);
    ck_assert_uint_eq(t->guest->full.bytes, 4 * GIB);
    ck_assert_uint_eq(seen(t).sizes.full_bytes, 4 * GIB);
    ck_assert_uint_eq(seen(t).sizes.standing_bytes, 4 * GIB);
    ck_assert_uint_eq(seen(t).sizes.from_bytes, 4 * GIB);
    ck_assert_ptr_null(seen(t).busy);
    ck_assert_uint_eq(
        caught_lines(
            log,
            "guest: says that it has 6.00 GiB; its full size stays 4.00 GiB. If you set that size, make it its full size: ballastctl set guest --full 6291456KiB, or virsh setmem guest 6291456KiB --config --live"),
        1);
    rest(t, 7 * GIB, 10);
    rest(t, 7 * GIB, 100);
    ck_assert_uint_eq(caught_lines(log, "guest: says that it has 7.00 GiB; "), 1);

    info.configured_current_bytes = 7 * GIB;
    guest_update_info(t->guest, &info);
    rest(t, 7 * GIB, 1);
    ck_assert_uint_eq(t->guest->full.bytes, 7 * GIB);
    ck_assert_uint_eq(seen(t).sizes.standing_bytes, 7 * GIB);
    ck_assert(!balloon_is_foreign(&t->guest->balloon));
    ck_assert_uint_eq(caught_lines(log, ""), 0);
    rig_free(t);
}
END_TEST

/* A smaller size counts only if the host sees that the guest's QEMU holds no more. */
START_TEST(test_a3_a_smaller_size_is_seen_by_the_host)
{
    static const struct {
        unsigned rss_mib, swap_mib; /* of its QEMU; 0: not known */
        bool counts;
    } rows[] = {{1024, 0, true},        {2048, 0, true},     {2048 + 90, 0, true},
                {2048 + 100, 0, false}, {1024, 2048, false}, {0, 0, false}};
    Rig *t = rig_new(0);

    for (unsigned i = 0; i <= 100; i++, t->now += SEC) {
        if (rows[_i].rss_mib > 0)
            guest_process(
                t->guest,
                &(ProcessLook){.rss_bytes = rows[_i].rss_mib * MIB, .swap_bytes = rows[_i].swap_mib * MIB},
                t->now);
        guest_balloon_seen(t->guest, 2 * GIB, t->now);
    }
    ck_assert_uint_eq(t->guest->full.bytes, rows[_i].counts ? 2 * GIB : 4 * GIB);
    ck_assert_uint_eq(seen(t).sizes.standing_bytes, rows[_i].counts ? 2 * GIB : 4 * GIB);
    /* It isn't left alone for it, and what it says costs the others nothing. */
    ck_assert_ptr_null(seen(t).busy);
    rig_free(t);
}
END_TEST

/* A move that is sent while a guest says nonsense begins where the host knows that it was. */
START_TEST(test_a1_a_move_begins_at_a_known_size)
{
    Rig *t = rig_new(0);

    guest_balloon_seen(t->guest, 4 * KIB, t->now);
    send(t, 3 * GIB);
    ck_assert_uint_eq(seen(t).sizes.from_bytes, 4 * GIB);
    ck_assert_uint_eq(t->guest->judgement.shrunk_from_bytes, 4 * GIB);
    move(t, 3 * GIB);
    guest_balloon_seen(t->guest, 0, t->now);
    ck_assert_uint_gt(seen(t).sizes.current_bytes, 0);
    send(t, 4 * GIB);
    ck_assert_uint_eq(seen(t).sizes.from_bytes, 3 * GIB);
    ck_assert_uint_eq(seen(t).sizes.outstanding_bytes, GIB);
    rig_free(t);
}
END_TEST

/* A guest that takes memory back when it runs out can't wait until its balloon rests. */
START_TEST(test_deflates_by_itself)
{
    Rig *t = rig_new(0);

    t->guest->info.autodeflate = true;
    move(t, 3 * GIB);
    t->now += SEC;
    rest(t, 3200 * MIB, 1);
    ck_assert(seen(t).judgement.distress);
    ck_assert_uint_eq(t->guest->full.bytes, 4 * GIB);
    rig_free(t);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("guest");

    tcase_add_test(t, test_outstanding);
    tcase_add_test(t, test_late);
    tcase_add_test(t, test_put_off);
    tcase_add_test(t, test_ineffective);
    tcase_add_test(t, test_goodbye);
    tcase_add_loop_test(t, test_set_done, 0, 4);
    tcase_add_test(t, test_growth_taken_back);
    tcase_add_test(t, test_c6_sizes_that_the_full_size_contradicts);
    tcase_add_test(t, test_b_no_balloon_is_said);
    tcase_add_test(t, test_late_report);
    tcase_add_test(t, test_boots_slowly);
    tcase_add_test(t, test_foreign_size_rests);
    tcase_add_test(t, test_a3_a_larger_size_is_only_said);
    tcase_add_loop_test(t, test_a3_a_smaller_size_is_seen_by_the_host, 0, 6);
    tcase_add_test(t, test_a1_a_move_begins_at_a_known_size);
    tcase_add_test(t, test_deflates_by_itself);
    return run_tests(t);
}
