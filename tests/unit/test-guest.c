/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What becomes of a guest as its balloon moves, it reports and it suffers: told as the sequence of what
 * comes, with a daemon that only counts how often it is woken and what is reported. */

#include <check.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "host-agent/config/config-load.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-judge.h"
#include "host-agent/guest/guest-snapshot.h"
#include "tests/unit/run.h"

#define SEC  USEC_PER_SEC
#define MSEC USEC_PER_MSEC

static const Entitlement NOTHING_CONFIGURED = {.mode = GUEST_MODE_INVALID};

typedef struct Stage {
    GuestHost host;
    Audience audience;
    HostFields fields;
    Config *config;
    Guest *guest;
    usec_t now;
    unsigned wakes, notices[NOTICE_KIND_MAX];
    bool refaults;       /* its reports tell of refaults … */
    double refault_rate; /* … so many bytes per second */
    uint64_t left_bytes; /* available */
} Stage;

static void on_wake(void *userdata)
{
    ((Stage *) userdata)->wakes++;
}

static void hear(void *userdata, const Notice *n)
{
    ((Stage *) userdata)->notices[n->kind]++;
}

/* A target goes out, and libvirt takes it. */
static void send(Stage *t, uint64_t target_bytes)
{
    guest_sent(t->guest, target_bytes, t->now);
    guest_set_done(t->guest, 0, t->now);
}

/* A guest of 4 GiB, of 8 that it could have, long there; the host is between its thresholds. */
static Stage *stage_new(uint64_t growth_bytes)
{
    Stage *t = calloc(1, sizeof *t);
    DomainInfo info = {.persistent = true,
                       .has_balloon = true,
                       .maximum_bytes = 8 * GIB,
                       .current_bytes = 4 * GIB,
                       .configured_current_bytes = 4 * GIB,
                       .entitlement = ENTITLEMENT_NONE};

    ck_assert_ptr_nonnull(t);
    t->now = 1000 * SEC;
    t->left_bytes = GIB;
    ck_assert_int_eq(config_new(&t->config), 0);
    audience_add(&t->audience, hear, t);
    t->host = (GuestHost){.mode = GUEST_MODE_AUTO,
                          .guard = &t->config->guard,
                          .rules = &t->config->guest_rules,
                          .fields = &t->fields,
                          .audience = &t->audience,
                          .wake = on_wake,
                          .userdata = t};
    host_fields_set(&t->fields, HOST_FIELD_TOTAL, (double) (100 * GIB));
    host_fields_set(&t->fields, HOST_FIELD_AVAILABLE, (double) (22 * GIB));
    strcpy(info.uuid, "00000000-0000-4000-8000-000000000000");
    strcpy(info.name, "guest");
    info.entitlement.growth_bytes = growth_bytes;
    ck_assert_int_eq(guest_new(&t->host, &info, &NOTHING_CONFIGURED, t->now, &t->guest), 0);
    guest_balloon_seen(t->guest, 4 * GIB, t->now);
    t->now += 100 * SEC;
    return t;
}

static void stage_free(Stage *t)
{
    guest_free(t->guest);
    config_free(t->config);
    free(t);
}

/* Time passes, and a report comes: it stood still for this share of that time. */
static void report(Stage *t, usec_t after, double stall)
{
    const Sample *last = history_get(&t->guest->sources.history, 0);
    uint64_t total = last ? last->report.value[REPORT_PSI_MEMORY_SOME_TOTAL] : 0;
    Report r = {.at_usec = t->now + after};

    t->now += after;
    report_set(&r, REPORT_MEM_TOTAL, guest_current(t->guest));
    report_set(&r, REPORT_MEM_FREE, GIB);
    report_set(&r, REPORT_MEM_AVAILABLE, t->left_bytes);
    report_set(&r, REPORT_PSI_MEMORY_SOME_TOTAL, total + (uint64_t) (stall * (double) after));
    if (t->refaults)
        report_set(&r, REPORT_REFAULT_FILE,
                   last ? last->report.value[REPORT_REFAULT_FILE] +
                              (uint64_t) (t->refault_rate * (double) after / (double) SEC)
                        : 0);
    guest_report(t->guest, &r, t->now);
}

static void reports(Stage *t, unsigned n, double stall)
{
    for (unsigned i = 0; i < n; i++)
        report(t, 250 * MSEC, stall);
}

/* Its balloon goes there at once. */
static void move(Stage *t, uint64_t target_bytes)
{
    send(t, target_bytes);
    t->now += 200 * MSEC;
    guest_balloon_seen(t->guest, target_bytes, t->now);
}

static void rss(Stage *t, uint64_t bytes)
{
    t->guest->sources.stats.has_rss = true;
    t->guest->sources.stats.rss_bytes = bytes;
}

static SnapshotGuest seen(const Stage *t)
{
    SnapshotGuest s;

    guest_snapshot(t->guest, t->now, &s);
    return s;
}

#define AT_EASE 0.001
#define HURTS   0.03
#define SUFFERS 0.2

/* It is rolled back and told once, however long its rates still tell of how it was before. */
START_TEST(test_rolled_back_once)
{
    Stage *t = stage_new(0);
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
    t->wakes = 0;
    reports(t, 19, HURTS);
    ck_assert(!seen(t).judgement.hurting);
    ck_assert_uint_eq(t->notices[NOTICE_HURTING], 1);
    ck_assert_uint_eq(t->guest->judgement.hurting_usec, since);
    ck_assert_uint_eq(t->wakes, 0);
    ck_assert(seen(t).judgement.protected);
    stage_free(t);
}
END_TEST

/* What it suffers long after a shrink isn't blamed on that because it was given something back just now. */
START_TEST(test_growth_is_no_shrink)
{
    Stage *t = stage_new(0);

    reports(t, 8, AT_EASE);
    move(t, 2 * GIB);
    reports(t, 400, AT_EASE);
    move(t, 2304 * MIB);
    reports(t, 8, HURTS);
    ck_assert(!seen(t).judgement.hurting);
    ck_assert_uint_eq(t->guest->judgement.need.times, 0);
    stage_free(t);
}
END_TEST

/* Only the guard says when a host is too short of memory to mind, whatever thresholds a policy has. */
START_TEST(test_policy_cannot_forbid_rolling_back)
{
    Stage *t = stage_new(0);

    reports(t, 8, AT_EASE);
    move(t, 3 * GIB);
    reports(t, 6, HURTS);
    ck_assert(seen(t).judgement.hurting);
    stage_free(t);

    t = stage_new(0);
    host_fields_set(&t->fields, HOST_FIELD_AVAILABLE, (double) (4 * GIB));
    reports(t, 8, AT_EASE);
    move(t, 3 * GIB);
    reports(t, 6, HURTS);
    ck_assert(!seen(t).judgement.hurting);
    ck_assert_uint_eq(seen(t).judgement.needed_bytes, 4 * GIB);
    stage_free(t);
}
END_TEST

/* One that grew above its full size because it needs it isn't squeezed again and again. */
START_TEST(test_need_above_full)
{
    Stage *t = stage_new(8 * GIB);

    reports(t, 8, AT_EASE);
    reports(t, 8, SUFFERS);
    ck_assert(seen(t).judgement.distress);
    move(t, 6 * GIB);
    reports(t, 4, SUFFERS);
    reports(t, 48, AT_EASE);
    ck_assert(!seen(t).judgement.distress);
    ck_assert(seen(t).judgement.protected);
    ck_assert_uint_gt(seen(t).judgement.needed_bytes, 6 * GIB);
    stage_free(t);
}
END_TEST

/* Each sign of distress wakes a cycle, but not twenty a second of one guest. */
START_TEST(test_wakes)
{
    Stage *t = stage_new(0);

    guest_distressed(t->guest, DISTRESS_PSI, true, t->now);
    ck_assert_uint_eq(t->wakes, 1);
    for (unsigned i = 0; i < 200; i++) {
        t->now += 50 * MSEC;
        guest_distressed(t->guest, DISTRESS_PSI, true, t->now);
    }
    ck_assert_uint_eq(t->wakes, 1);
    t->now += DISTRESS_INTERVAL_USEC;
    guest_distressed(t->guest, DISTRESS_PSI, true, t->now);
    ck_assert_uint_eq(t->wakes, 2);
    ck_assert(guest_in_distress(t->guest, t->now));
    stage_free(t);
}
END_TEST

/* Distress that comes and goes is told once a minute. */
START_TEST(test_distress_is_told_once_a_minute)
{
    Stage *t = stage_new(0);
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
    stage_free(t);
}
END_TEST

/* What it still had while its shrink was on its way, it wasn't given: nobody asks whether it uses that. */
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
        Stage *t = stage_new(0);
        SnapshotGuest s = {.judgement.distress = rows[i].distress,
                           .sizes.current_bytes = rows[i].current * MIB,
                           .sizes.standing_bytes = rows[i].standing * MIB};

        t->guest->judgement.distress_cause = DISTRESS_PSI;
        guest_charge(t->guest, &s, rows[i].target * MIB, t->now);
        ck_assert_msg(t->guest->judgement.grant.given_bytes == rows[i].given * MIB, "row %zu", i);
        ck_assert_msg(t->guest->judgement.grant.open == (rows[i].given > 0), "row %zu", i);
        stage_free(t);
    }
}
END_TEST

/* Nothing was seen of RSS, and its balloon gives nothing back: what was sent again and again isn't outstanding
 * as often. */
START_TEST(test_outstanding)
{
    Stage *t = stage_new(0);

    move(t, 2 * GIB);
    for (unsigned i = 0; i < 10; i++) {
        send(t, 4 * GIB);
        ck_assert(t->guest->sending.retried == (i > 0)); /* that it is stuck is told once */
        for (unsigned k = 0; k < 6; k++) {
            t->now += SEC;
            guest_balloon_seen(t->guest, 2 * GIB, t->now);
        }
        guest_settle(t->guest, t->now);
        ck_assert_uint_le(seen(t).sizes.outstanding_bytes, 4 * GIB);
    }
    /* But once it is, for as long as it is stuck: QEMU may still come to give it. */
    rss(t, 2 * GIB);
    t->now += 3 * (30 * SEC);
    guest_settle(t->guest, t->now);
    ck_assert_uint_ge(seen(t).sizes.outstanding_bytes, 2 * GIB);
    ck_assert_uint_lt(seen(t).sizes.outstanding_bytes, 2 * GIB + 64 * MIB);
    guest_balloon_seen(t->guest, 4 * GIB, t->now);
    rss(t, 4 * GIB);
    guest_settle(t->guest, t->now);
    ck_assert_uint_lt(seen(t).sizes.outstanding_bytes, 64 * MIB);
    stage_free(t);
}
END_TEST

/* A balloon that is drawn out, a little at a time, isn't counted on for long. */
START_TEST(test_late)
{
    Stage *t = stage_new(0);

    send(t, 2 * GIB);
    for (unsigned i = 1; i <= 5; i++) {
        t->now += SEC;
        guest_balloon_seen(t->guest, 4 * GIB - i * 2 * MIB, t->now);
        ck_assert(!seen(t).balloon.late);
    }
    t->now += SEC;
    guest_balloon_seen(t->guest, 4 * GIB - 12 * MIB, t->now);
    ck_assert(seen(t).balloon.moving && seen(t).balloon.late);
    t->config->guard.step_usec = 60 * SEC; /* the administrator is patient */
    ck_assert(!seen(t).balloon.late);
    stage_free(t);
}
END_TEST

/* A move that had to wait for another is decided anew as soon as that was sent. */
START_TEST(test_put_off)
{
    Stage *t = stage_new(0);

    guest_sent(t->guest, 3 * GIB, t->now);
    guest_put_off(t->guest, true);
    guest_set_done(t->guest, 0, t->now);
    ck_assert_uint_eq(t->wakes, 1);
    move(t, 3 * GIB);
    ck_assert_uint_eq(t->wakes, 2); /* as it got there */
    stage_free(t);
}
END_TEST

/* A guest whose balloon frees nothing isn't asked for more, but gets back what it lacks. */
START_TEST(test_ineffective)
{
    Stage *t = stage_new(0);
    GuestBounds b;
    Snapshot s = {.host = t->fields, .n_guests = 1};
    SnapshotGuest g;

    move(t, 3 * GIB);
    reports(t, 8, AT_EASE);
    t->guest->judgement.ineffective_usec = t->now;
    g = seen(t);
    s.guests = &g;
    guard_bounds(&s, &t->config->guard, &b);
    ck_assert_int_eq(b.hold, GUARD_RULE_NONE);
    ck_assert_int_eq(b.least_rule, GUARD_RULE_UNMOVABLE);
    ck_assert_uint_eq(b.least_bytes, 3 * GIB);
    ck_assert_uint_eq(b.most_bytes, 4 * GIB);
    stage_free(t);
}
END_TEST

/* A guest that may be shutting down is left alone; one that only says so, time and again, isn't. */
START_TEST(test_goodbye)
{
    Stage *t = stage_new(0);

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
    stage_free(t);
}
END_TEST

/* To take page cache a balloon has the kernel reclaim it, which counts as waiting for memory. That isn't the
 * guest's want: what it does once the balloon rests tells. */
START_TEST(test_balloons_own_stalls)
{
    Stage *t = stage_new(0);
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

    /* But what it suffers at rest is its own. */
    reports(t, 8, HURTS);
    ck_assert(seen(t).judgement.hurting);
    guest_judge_distress(t->guest, DISTRESS_PSI, t->now);
    ck_assert(seen(t).judgement.distress);
    stage_free(t);
}
END_TEST

/* Signs that it is the guest that suffers while its balloon takes memory. */
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
        {DISTRESS_PSI, 0, GIB, false, true},        /* nobody knows */
    };
    Stage *t = stage_new(0);

    t->refaults = rows[_i].refaults;
    t->refault_rate = rows[_i].refault_rate;
    t->left_bytes = rows[_i].left_bytes;
    reports(t, 8, 0);
    send(t, 3 * GIB);
    reports(t, 2, 0);
    guest_judge_distress(t->guest, rows[_i].cause, t->now);
    ck_assert(seen(t).judgement.distress == rows[_i].distress);
    stage_free(t);
}
END_TEST

/* What was taken just now and is given back is no gift of others. */
START_TEST(test_own_back_is_no_claim)
{
    Stage *t = stage_new(0);
    SnapshotGuest s;

    move(t, 3 * GIB);
    guest_distressed(t->guest, DISTRESS_PSI, true, t->now);
    s = seen(t);
    guest_charge(t->guest, &s, 4 * GIB, t->now);
    ck_assert(!t->guest->judgement.grant.open);
    /* Long after it is. */
    t->now += 2 * (60 * SEC);
    guest_distressed(t->guest, DISTRESS_PSI, true, t->now);
    s = seen(t);
    guest_charge(t->guest, &s, 4 * GIB, t->now);
    ck_assert(t->guest->judgement.grant.open);
    ck_assert_uint_eq(t->guest->judgement.grant.given_bytes, GIB);
    stage_free(t);
}
END_TEST

/* What libvirt didn't take because the domain is being saved, or because libvirt went, isn't held against the
 * balloon; what it refused is. */
START_TEST(test_set_done)
{
    static const struct {
        int error;
        bool stalled, moving;
    } rows[] = {{0, false, true}, {-EBUSY, false, false}, {-ENOTCONN, false, false}, {-EIO, true, false}};
    Stage *t = stage_new(0);

    t->guest->sending.setting = true;
    balloon_sent(&t->guest->balloon, 3 * GIB, t->now);
    guest_set_done(t->guest, rows[_i].error, t->now);
    ck_assert(balloon_is_stalled(&t->guest->balloon, t->now) == rows[_i].stalled);
    ck_assert(t->guest->balloon.moving == rows[_i].moving);
    /* That libvirt goes says nothing of a move that it took. */
    guest_set_done(t->guest, -ENOTCONN, t->now);
    ck_assert(t->guest->balloon.moving == rows[_i].moving);
    stage_free(t);
}
END_TEST

/* Grown above its full size, it comes down to it also when nobody allows that any more. */
START_TEST(test_growth_taken_back)
{
    Stage *t = stage_new(6 * GIB);
    DomainInfo info = t->guest->info;

    move(t, 5 * GIB);
    ck_assert_uint_eq(seen(t).sizes.full_bytes, 4 * GIB);
    info.entitlement = ENTITLEMENT_NONE;
    guest_update_info(t->guest, &info);
    ck_assert_uint_eq(seen(t).sizes.full_bytes, 4 * GIB);
    ck_assert(seen(t).sizes.entitled_full);
    stage_free(t);

    /* But a definition that is made smaller, for the next start, doesn't cut down what runs. */
    t = stage_new(0);
    info = t->guest->info;
    move(t, 3 * GIB);
    move(t, 4 * GIB);
    info.configured_current_bytes = 2 * GIB;
    guest_update_info(t->guest, &info);
    ck_assert_uint_eq(t->guest->full.bytes, 2 * GIB);
    ck_assert_uint_eq(seen(t).sizes.full_bytes, 4 * GIB);
    ck_assert(!seen(t).sizes.entitled_full);
    stage_free(t);
}
END_TEST

/* A report that comes late tells of the size before the shrink: not of a guest that counts its balloon as
 * memory, of which what it has available would be taken for so much less. */
START_TEST(test_late_report)
{
    Stage *t = stage_new(0);
    SnapshotGuest g;
    Report r = {};

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
    /* One that goes on telling so does count it. */
    t->now += 3 * SEC;
    r.at_usec = t->now;
    report_set(&r, REPORT_MEM_TOTAL, 7 * GIB);
    report_set(&r, REPORT_MEM_AVAILABLE, 5 * GIB);
    guest_report(t->guest, &r, t->now);
    g = seen(t);
    ck_assert_double_eq(guest_fields_get(&g.fields, GUEST_FIELD_TOTAL), 2.0 * GIB);
    stage_free(t);
}
END_TEST

/* Its balloon is seen there each second, this often. */
static void rest(Stage *t, uint64_t bytes, unsigned seconds)
{
    for (unsigned i = 0; i <= seconds; i++) {
        guest_balloon_seen(t->guest, bytes, t->now);
        t->now += SEC;
    }
}

/* On a busy host it boots slowly, and so does its balloon come to what the definition says. */
START_TEST(test_boots_slowly)
{
    Stage *t = stage_new(0);

    guest_set_boot(t->guest, t->now);
    t->guest->balloon = (Balloon){};
    rest(t, 8 * GIB, 6);
    rest(t, 5 * GIB, 6);
    rest(t, 4400 * MIB, 60);
    ck_assert_uint_eq(t->guest->full.bytes, 4 * GIB);
    ck_assert_ptr_null(seen(t).busy);
    rest(t, 4 * GIB, 6);
    ck_assert_uint_eq(t->guest->full.bytes, 4 * GIB);
    /* What somebody sets then counts. */
    rest(t, 3 * GIB, 4);
    ck_assert_uint_eq(t->guest->full.bytes, 4 * GIB);
    ck_assert_ptr_nonnull(seen(t).busy);
    rest(t, 3 * GIB, 1);
    ck_assert_uint_eq(t->guest->full.bytes, 3 * GIB);
    ck_assert_ptr_null(seen(t).busy);
    stage_free(t);
}
END_TEST

/* Somebody else's size is a decision once the balloon rests: not while the guest boots or is paused, nor on the way;
 * and not forgotten, either. */
START_TEST(test_foreign_size_rests)
{
    Stage *t = stage_new(0);

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
    stage_free(t);
}
END_TEST

/* A guest that takes its memory back when it is out of it can't wait until its balloon rests. */
START_TEST(test_deflates_by_itself)
{
    Stage *t = stage_new(0);

    t->guest->info.autodeflate = true;
    move(t, 3 * GIB);
    t->now += SEC;
    rest(t, 3200 * MIB, 1);
    ck_assert(seen(t).judgement.distress);
    ck_assert_uint_eq(t->guest->full.bytes, 4 * GIB);
    stage_free(t);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("guest");

    tcase_add_test(t, test_boots_slowly);
    tcase_add_test(t, test_foreign_size_rests);
    tcase_add_test(t, test_deflates_by_itself);
    tcase_add_test(t, test_late_report);
    tcase_add_test(t, test_rolled_back_once);
    tcase_add_test(t, test_growth_is_no_shrink);
    tcase_add_test(t, test_policy_cannot_forbid_rolling_back);
    tcase_add_test(t, test_need_above_full);
    tcase_add_test(t, test_wakes);
    tcase_add_test(t, test_distress_is_told_once_a_minute);
    tcase_add_test(t, test_charged);
    tcase_add_test(t, test_outstanding);
    tcase_add_test(t, test_balloons_own_stalls);
    tcase_add_loop_test(t, test_suffers_while_it_shrinks, 0, 7);
    tcase_add_test(t, test_own_back_is_no_claim);
    tcase_add_loop_test(t, test_set_done, 0, 4);
    tcase_add_test(t, test_growth_taken_back);
    tcase_add_test(t, test_late);
    tcase_add_test(t, test_put_off);
    tcase_add_test(t, test_ineffective);
    tcase_add_test(t, test_goodbye);
    return run_tests(t);
}
