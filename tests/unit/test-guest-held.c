/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's reports beside what the host sees of its QEMU: when they are compared, and what a shrink proves. */

#include "base/units.h"
#include "host-agent/guest/guest-judge.h"
#include "tests/unit/guest-rig.h"
#include "tests/unit/run.h"

/* Its kernel keeps 100 MiB of its size. */
#define RESERVED (100 * MIB)

/* A report of so much free (MiB), as of the size that it had then. */
static void say(Rig *t, uint64_t size, uint64_t free)
{
    Report r = {.at_usec = t->now};

    report_set(&r, REPORT_MEM_TOTAL, size * MIB - RESERVED);
    report_set(&r, REPORT_MEM_FREE, free * MIB);
    report_set(&r, REPORT_MEM_AVAILABLE, free * MIB);
    guest_report(t->guest, &r, t->now);
}

static void see(Rig *t, uint64_t rss, uint64_t swap)
{
    guest_process(t->guest, &(ProcessLook){.rss_bytes = rss * MIB, .swap_bytes = swap * MIB}, t->now);
}

/* So many seconds in which nothing changes. */
static void rest(Rig *t, unsigned seconds, uint64_t size, uint64_t free, uint64_t rss, uint64_t swap)
{
    for (unsigned i = 0; i < seconds; i++) {
        t->now += SEC;
        say(t, size, free);
        see(t, rss, swap);
    }
}

static uint64_t overhead(const Rig *t)
{
    return held_overhead(&t->guest->held) / MIB;
}

/* A stat of it, in MiB. */
static uint64_t stat_of(const Rig *t, GuestField f)
{
    SnapshotGuest s = seen(t);

    ck_assert(guest_fields_has(&s.fields, f));
    return (uint64_t) guest_fields_get(&s.fields, f) / MIB;
}

static uint64_t idle(const Rig *t)
{
    return stat_of(t, GUEST_FIELD_IDLE);
}

/* A guest of 4 GiB that rests, with 1,096 MiB in use and QEMU's own 60 MiB. */
static Rig *rig_at_rest(uint64_t free_held)
{
    Rig *t = rig_new(0);

    held_init(&t->guest->held, 0);
    rest(t, 10, 4096, 3000, 1096 + 60, 0);
    ck_assert_uint_eq(overhead(t), 60);
    rest(t, 10, 4096, 3000, 1096 + 60 + free_held, 0);
    return t;
}

START_TEST(test_idle)
{
    Rig *t = rig_at_rest(500);

    ck_assert_uint_eq(idle(t), 499); /* it has risen a little */
    ck_assert_uint_eq(stat_of(t, GUEST_FIELD_RESIDENT), 1656);
    /* What the host swaps out is held, too. */
    rest(t, 3, 4096, 3000, 1000, 656);
    ck_assert_uint_eq(idle(t), 499);
    ck_assert_uint_eq(stat_of(t, GUEST_FIELD_RSS), 1000);
    rig_free(t);
}
END_TEST

/* While a balloon moves, its size is newer than the guest's report: idle isn't seen where there is none. */
START_TEST(test_idle_while_it_moves)
{
    Rig *t = rig_at_rest(0);

    send(t, 2048 * MIB);
    for (uint64_t size = 3896; size >= 2296; size -= 200) {
        t->now += 200 * MSEC;
        guest_balloon_seen(t->guest, size * MIB, t->now);
        see(t, 1156, 0);
        ck_assert_uint_eq(idle(t), 0);
        say(t, size + 200, 3000 - (4096 - size - 200)); /* of a moment ago */
        ck_assert_uint_eq(idle(t), 0);
    }
    ck_assert_uint_eq(overhead(t), 60);
    rig_free(t);
}
END_TEST

/* A guest that was given memory in distress, never touched it, and gives it back again and again. */
START_TEST(test_never_touched)
{
    Rig *t = rig_at_rest(0);

    for (unsigned i = 0; i < 6; i++) {
        move(t, 3584 * MIB);
        rest(t, 5, 3584, 2488, 1156 + i % 2 * 30, 0); /* it used some of it, not reported yet */
        move(t, 4096 * MIB);
        rest(t, 12, 4096, 3000, 1156 + i % 2 * 30, 0);
        ck_assert(!guest_is_ineffective(t->guest, t->now));
        ck_assert_uint_le(overhead(t), 92);
    }
    ck_assert_uint_eq(t->guest->judgement.gain.ineffective, 0);
    rig_free(t);
}
END_TEST

/* Free memory that is held, and that no shrink brings: what is missing is QEMU's, and then the balloon is found
 * ineffective. */
START_TEST(test_ineffective)
{
    Rig *t = rig_at_rest(2000);
    uint64_t size = 4096;

    for (unsigned i = 0; i < 3; i++) {
        ck_assert(!guest_is_ineffective(t->guest, t->now));
        size -= 400;
        move(t, size * MIB);
        rest(t, 5, size, size - 1096, 3156, 0);
    }
    ck_assert(guest_is_ineffective(t->guest, t->now));
    ck_assert_uint_eq(overhead(t), 1024);
    /* After an hour it is tried again, and the next time after two. */
    ck_assert(guest_is_ineffective(t->guest, t->now + 3590 * SEC));
    t->now += 3600 * SEC;
    ck_assert(!guest_is_ineffective(t->guest, t->now));
    rest(t, 2, size, size - 1096, 3156, 0);
    move(t, (size - 400) * MIB);
    rest(t, 5, size - 400, size - 1496, 3156, 0);
    ck_assert(guest_is_ineffective(t->guest, t->now + 7190 * SEC));
    ck_assert(!guest_is_ineffective(t->guest, t->now + 7200 * SEC));
    rig_free(t);
}
END_TEST

/* The same, and it does bring it. */
START_TEST(test_effective)
{
    Rig *t = rig_at_rest(2000);
    uint64_t size = 4096;

    for (unsigned i = 0; i < 4; i++) {
        size -= 400;
        move(t, size * MIB);
        rest(t, 5, size, size - 1096, size - 4096 + 3156, 0);
    }
    ck_assert_uint_eq(t->guest->judgement.gain.ineffective, 0);
    ck_assert_uint_le(overhead(t), 61);
    rig_free(t);
}
END_TEST

/* Half of it was swapped out by the host: that comes back as well. */
START_TEST(test_swapped_out)
{
    Rig *t = rig_at_rest(2000);

    t->stage.host.swapped_usec = t->now;
    rest(t, 2, 4096, 3000, 1156, 2000);
    move(t, 3584 * MIB);
    ck_assert(t->guest->judgement.gain.open);
    rest(t, 5, 3584, 2488, 1156, 1488);
    ck_assert(!t->guest->judgement.gain.open);
    ck_assert_uint_eq(t->guest->judgement.gain.ineffective, 0);
    ck_assert_uint_le(overhead(t), 61);
    rig_free(t);
}
END_TEST

/* libvirt's figure doesn't show what was swapped out: while the host swaps, it proves nothing. */
START_TEST(test_swap_is_hidden)
{
    VirtStats stats = {.has_rss = true, .rss_bytes = 1156 * MIB};
    Rig *t = rig_new(0);

    held_init(&t->guest->held, 0);
    t->stage.host.swapped_usec = t->now;
    for (unsigned i = 0; i < 20; i++) {
        t->now += SEC;
        say(t, 4096, 3000);
        guest_stats(t->guest, &stats, t->now);
    }
    ck_assert_uint_eq(guest_resident(t->guest, t->now), 1156 * MIB);
    ck_assert(guest_is_swap_hidden(t->guest, t->now));
    ck_assert_uint_eq(overhead(t), 96);
    send(t, 3584 * MIB);
    ck_assert(!t->guest->judgement.gain.open);
    t->now += 100 * SEC;
    ck_assert(!guest_is_swap_hidden(t->guest, t->now));
    rig_free(t);
}
END_TEST

/* Nothing is learned from a guest that is paused, or whose report is old. */
START_TEST(test_not_compared)
{
    Rig *t = rig_new(0);

    held_init(&t->guest->held, 0);
    guest_busy(t->guest, "paused", t->now);
    rest(t, 20, 4096, 3000, 1156, 0);
    ck_assert_uint_eq(overhead(t), 96);
    guest_busy(t->guest, NULL, t->now);
    say(t, 4096, 3000);
    t->now += 6 * SEC;
    for (unsigned i = 0; i < 20; i++) {
        t->now += SEC;
        see(t, 1156, 0);
    }
    ck_assert_uint_eq(overhead(t), 96);
    ck_assert_uint_eq(guest_resident(t->guest, t->now), 1156 * MIB);
    rest(t, 10, 4096, 3000, 1156, 0);
    ck_assert_uint_eq(overhead(t), 60);
    rig_free(t);
}
END_TEST

/* A second of its time, in which it used that part of a CPU. */
static void second(Rig *t, uint64_t free, double cpu, usec_t *used_usec)
{
    t->now += SEC;
    *used_usec += (usec_t) (cpu * (double) SEC);
    say(t, 4096, free);
    guest_process(t->guest, &(ProcessLook){.rss_bytes = 4 * GIB, .cpu_usec = *used_usec}, t->now);
}

/* It got its full size back when it began to work. Once it has freed that memory, and rests, it can be shrunk again; a
 * guest that frees memory while it works can't. */
START_TEST(test_has_done_its_work)
{
    Rig *t = rig_new(0);
    usec_t used = 0;

    move(t, 3 * GIB);
    for (unsigned i = 0; i < 3; i++)
        second(t, 2000, 1, &used);
    second(t, 1000, 1, &used);
    move(t, 4 * GIB);
    ck_assert(seen(t).growth.growing && seen(t).growth.given_back);

    for (unsigned i = 0; i < 4; i++)
        second(t, 2000, 1, &used);
    ck_assert(seen(t).growth.growing && seen(t).growth.given_back);
    for (unsigned i = 0; i < 5; i++)
        second(t, 2000, 0, &used);
    ck_assert(!seen(t).growth.growing && !seen(t).growth.given_back);

    second(t, 1000, 1, &used);
    ck_assert(seen(t).growth.growing && seen(t).growth.given_back);
    for (unsigned i = 0; i < 5; i++) /* it rests, and keeps what it took */
        second(t, 1000, 0, &used);
    ck_assert(seen(t).growth.given_back);
    rig_free(t);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("guest-held");

    tcase_add_test(tc, test_idle);
    tcase_add_test(tc, test_idle_while_it_moves);
    tcase_add_test(tc, test_never_touched);
    tcase_add_test(tc, test_ineffective);
    tcase_add_test(tc, test_effective);
    tcase_add_test(tc, test_swapped_out);
    tcase_add_test(tc, test_swap_is_hidden);
    tcase_add_test(tc, test_not_compared);
    tcase_add_test(tc, test_has_done_its_work);
    return run_tests(tc);
}
