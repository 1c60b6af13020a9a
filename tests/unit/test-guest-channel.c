/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's channel over a transport that only counts: opened, fed, closed, and asked for its pace. */

#include "base/log.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/sense/guest-channel.h"
#include "tests/unit/asked-transport.h"
#include "tests/unit/caught-log.h"
#include "tests/unit/run.h"
#include "tests/unit/staged-guest.h"

#define STALE (10 * SEC)

typedef struct Scene {
    Stage stage;
    AskedTransport transport;
    Guest *guest;
    GuestChannel *channel;
} Scene;

/* A guest of 4 GiB, long there. */
static void scene_init(Scene *x)
{
    stage_init_guest(&x->stage, &x->guest);
    asked_transport_init(&x->transport);
    ck_assert_int_eq(guest_channel_new(x->guest, &x->transport.t, &x->channel), 0);
    clock_usec += 1000 * SEC;
}

static void scene_done(Scene *x)
{
    guest_channel_free(x->channel);
    guest_free(x->guest);
    stage_done(&x->stage);
}

static void say(Scene *x, const Message *m)
{
    uint8_t buf[FRAME_MAX];

    guest_channel_data(x->channel, buf, agent_pack(m, buf), clock_usec);
}

static void say_hello(Scene *x, const char *boot_id)
{
    Message m = agent_hello(boot_id);

    say(x, &m);
}

static void say_report(Scene *x)
{
    Message m = agent_report(x->transport.nonce, clock_usec);

    say(x, &m);
}

/* Its agent was welcomed. */
static void welcomed(Scene *x)
{
    scene_init(x);
    guest_channel_tend(x->channel, clock_usec);
    guest_channel_opened(x->channel, clock_usec);
    say_hello(x, BOOT_A);
    ck_assert_uint_eq(x->transport.welcomes, 1);
}

/* Tends it each 100 ms until the transport is asked to open it; returns how long that took. */
static usec_t until_opened(Scene *x, usec_t most)
{
    unsigned before = x->transport.opened;
    usec_t began = clock_usec;

    while (clock_usec <= began + most) {
        guest_channel_tend(x->channel, clock_usec);
        if (x->transport.opened > before)
            return clock_usec - began;
        clock_usec += 100 * MSEC;
    }
    return USEC_INFINITY;
}

START_TEST(test_opened_with_back_off)
{
    static const unsigned waits[] = {1, 2, 4, 8, 16, 30, 30};
    Scene x;

    scene_init(&x);
    ck_assert_uint_eq(until_opened(&x, SEC), 0);
    ck_assert_str_eq(x.transport.uuid, x.guest->info.uuid);
    /* Not asked for twice, however long that takes. */
    ck_assert_uint_eq(until_opened(&x, 100 * SEC), USEC_INFINITY);
    guest_channel_closed(x.channel, "no agent");
    ck_assert_uint_eq(until_opened(&x, SEC), 0);
    for (size_t i = 1; i < ELEMENTSOF(waits); i++) {
        guest_channel_closed(x.channel, "no agent");
        say_hello(&x, BOOT_A); /* what comes late counts for nothing */
        ck_assert_uint_eq(until_opened(&x, 60 * SEC), waits[i] * SEC);
    }

    /* An agent was heard: next time the channel is opened again soon. */
    guest_channel_opened(x.channel, clock_usec);
    say_hello(&x, BOOT_A);
    clock_usec += 60 * SEC;
    guest_channel_closed(x.channel, NULL);
    ck_assert_uint_eq(until_opened(&x, SEC), 0);
    guest_channel_closed(x.channel, NULL);
    ck_assert_uint_eq(until_opened(&x, 60 * SEC), SEC);
    scene_done(&x);
}
END_TEST

START_TEST(test_a17_no_channel_to_a_guest_in_mode_off)
{
    Entitlement off = {.mode = GUEST_MODE_OFF};
    Scene x;

    scene_init(&x);
    guest_configure(x.guest, &off);
    ck_assert_uint_eq(until_opened(&x, 100 * SEC), USEC_INFINITY);
    guest_configure(x.guest, &(Entitlement){.mode = GUEST_MODE_OBSERVE});
    ck_assert_uint_eq(until_opened(&x, SEC), 0);
    guest_channel_opened(x.channel, clock_usec);
    say_hello(&x, BOOT_A);
    clock_usec += 60 * SEC;

    /* It is switched off while its agent reports. */
    guest_configure(x.guest, &off);
    guest_channel_tend(x.channel, clock_usec);
    ck_assert_uint_eq(x.transport.closed, 1);
    ck_assert(!x.channel->open);
    ck_assert_uint_eq(until_opened(&x, 100 * SEC), USEC_INFINITY);
    ck_assert_uint_eq(x.transport.closed, 1);
    scene_done(&x);
}
END_TEST

/* It is tried again after the same waits where the transport refuses. */
START_TEST(test_transport_refuses)
{
    Scene x;

    scene_init(&x);
    x.transport.open_error = -EAGAIN;
    ck_assert_uint_eq(until_opened(&x, SEC), 0);
    ck_assert_uint_eq(until_opened(&x, 60 * SEC), SEC);
    ck_assert_uint_eq(until_opened(&x, 60 * SEC), 2 * SEC);
    ck_assert(!x.channel->wanted);

    x.guest->info.has_channel = false;
    ck_assert_uint_eq(until_opened(&x, 100 * SEC), USEC_INFINITY);
    scene_done(&x);
}
END_TEST

/* A channel that keeps failing to open isn't logged for ever. */
START_TEST(test_what_is_logged)
{
    int log = stderr_pipe();
    Scene x;

    log_open(LOG_INFO);
    scene_init(&x);
    for (unsigned i = 0; i < 6; i++) {
        until_opened(&x, 60 * SEC);
        guest_channel_closed(x.channel, "no agent");
    }
    ck_assert_uint_eq(caught_lines(log, "guest1: cannot open the agent's channel: no agent"), 2);
    until_opened(&x, 60 * SEC);
    guest_channel_opened(x.channel, clock_usec);
    for (unsigned i = 0; i < 10; i++)
        say_hello(&x, BOOT_A);
    ck_assert_uint_eq(caught_lines(log, "guest1: agent 0.1.0 connected"), 1);
    guest_channel_closed(x.channel, "it stopped");
    ck_assert_uint_eq(caught_lines(log, "guest1: the agent's channel was closed: it stopped"), 1);
    scene_done(&x);
}
END_TEST

START_TEST(test_welcome)
{
    const Sample *s;
    Message m;
    Scene x;

    welcomed(&x);
    ck_assert_uint_eq(x.transport.configures, 1);
    ck_assert_uint_eq(x.transport.interval_usec, SEC);
    ck_assert_uint_eq(x.guest->boot_usec, 1000 * SEC); /* it isn't older than it says, nor than it was seen */
    ck_assert_uint_eq(x.transport.was_read, 0);
    say_report(&x);
    ck_assert_uint_eq(x.transport.was_read, 1);
    s = guest_sample(x.guest, clock_usec);
    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(s->source, GUEST_SOURCE_AGENT);
    ck_assert_uint_eq(s->at_usec, clock_usec);
    ck_assert_uint_eq(report_get(&s->report, REPORT_MEM_FREE), 300 * MIB);

    m = agent_report(x.transport.nonce, clock_usec);
    m.type = MESSAGE_DISTRESS;
    m.cause = DISTRESS_OOM;
    say(&x, &m);
    ck_assert(guest_in_distress(x.guest, clock_usec));
    ck_assert_uint_eq(stage_last(&x.stage, NOTICE_DISTRESS)->cause, DISTRESS_OOM);

    m = (Message){.type = MESSAGE_GOODBYE, .has_nonce = true, .nonce = x.transport.nonce, .text = "stopped"};
    say(&x, &m);
    ck_assert(x.guest->sources.leaving);
    scene_done(&x);
}
END_TEST

/* What the guest can hand back, and what came of asking for it. */
START_TEST(test_levers)
{
    Message hello = agent_hello(BOOT_A), m;
    Scene x;

    scene_init(&x);
    guest_channel_opened(x.channel, clock_usec);
    ck_assert_int_eq(guest_channel_compact(x.channel, 1), -ENOTCONN);
    hello.features = HELLO_FEATURE_PSI | HELLO_FEATURE_COMPACT;
    strcpy(hello.levers_missing, "no helper");
    say(&x, &hello);
    ck_assert_uint_eq(x.guest->levers.features, HELLO_FEATURE_COMPACT);
    ck_assert_str_eq(x.guest->levers.missing, "no helper");

    ck_assert_int_eq(guest_channel_reclaim(x.channel, 2, MIB, false), -EOPNOTSUPP);
    ck_assert_int_eq(guest_channel_compact(x.channel, 3), 0);
    ck_assert_uint_eq(x.transport.levers, 1);
    ck_assert_uint_eq(x.transport.lever_id, 3);
    ck_assert_int_eq(guest_channel_compact(x.channel, 4), -EBUSY);
    m = (Message){.type = MESSAGE_RECLAIMED,
                  .has_nonce = true,
                  .nonce = x.transport.nonce,
                  .id = 3,
                  .bytes = 5 * MIB,
                  .why = LEVER_END_DONE};
    say(&x, &m);
    ck_assert_int_eq(guest_channel_compact(x.channel, 5), 0);
    guest_channel_forget_lever(x.channel);
    ck_assert_int_eq(guest_channel_compact(x.channel, 6), 0);

    hello.features = 0;
    hello.levers_missing[0] = '\0';
    say(&x, &hello); /* an older agent */
    ck_assert_uint_eq(x.guest->levers.features, 0);
    ck_assert_str_eq(x.guest->levers.missing, "");
    scene_done(&x);
}
END_TEST

/* Only its agent knows when it booted. */
START_TEST(test_c16_an_uptime_is_known_from_the_agent)
{
    Scene x;

    scene_init(&x);
    guest_channel_tend(x.channel, clock_usec);
    guest_channel_opened(x.channel, clock_usec);
    ck_assert(!x.guest->boot_known);
    say_hello(&x, BOOT_A);
    ck_assert(x.guest->boot_known);
    scene_done(&x);
}
END_TEST

/* A guest that has booted long before it was found. */
START_TEST(test_age_of_the_guest)
{
    Message m = agent_hello(BOOT_A);
    Scene x;

    scene_init(&x);
    guest_channel_opened(x.channel, clock_usec);
    m.boot_usec = 1500 * SEC;
    say(&x, &m);
    ck_assert_uint_eq(x.guest->boot_usec, 500 * SEC);
    m.boot_usec = 50000 * SEC; /* before the host itself */
    say(&x, &m);
    ck_assert_uint_eq(x.guest->boot_usec, 500 * SEC);
    scene_done(&x);
}
END_TEST

/* Bytes that the transport drops are the agent's loss. */
START_TEST(test_transport_drops)
{
    Scene x;

    scene_init(&x);
    x.transport.send_error = -ENOBUFS;
    guest_channel_opened(x.channel, clock_usec);
    say_hello(&x, BOOT_A);
    ck_assert_uint_eq(x.transport.welcomes, 0);
    ck_assert(x.channel->open);
    x.transport.send_error = 0;
    say_hello(&x, BOOT_A);
    say_report(&x);
    ck_assert_int_eq(guest_source(x.guest, clock_usec), GUEST_SOURCE_AGENT);
    scene_done(&x);
}
END_TEST

/* More memory than the guest can have. */
static void lie(Scene *x)
{
    Message m = agent_report(x->transport.nonce, clock_usec);

    report_set(&m.report, REPORT_MEM_TOTAL, 4 * GIB + 1);
    for (unsigned i = 0; i < 5; i++)
        say(x, &m);
}

START_TEST(test_rules_broken)
{
    const Notice *n;
    Scene x;

    welcomed(&x);
    lie(&x);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_AGENT_DROPPED), 1);
    n = stage_last(&x.stage, NOTICE_AGENT_DROPPED);
    ck_assert_str_eq(n->name, "guest1");
    ck_assert_ptr_nonnull(strstr(n->text, "bad messages"));
    ck_assert_uint_eq(n->wait_usec, LINK_BACKOFF_MIN_USEC);
    ck_assert_uint_eq(x.transport.closed, 1);
    ck_assert(!x.channel->open);
    ck_assert_ptr_null(guest_sample(x.guest, clock_usec));

    /* Nothing more is heard, nor reported. */
    lie(&x);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_AGENT_DROPPED), 1);
    ck_assert_uint_eq(x.transport.closed, 1);

    /* It is opened again when its wait is over; the next wait is longer. */
    ck_assert_uint_eq(until_opened(&x, 2 * LINK_BACKOFF_MIN_USEC), LINK_BACKOFF_MIN_USEC);
    guest_channel_opened(x.channel, clock_usec);
    say_hello(&x, BOOT_A);
    ck_assert_uint_eq(x.transport.welcomes, 2);
    lie(&x);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_AGENT_DROPPED), 2);
    ck_assert_uint_eq(stage_last(&x.stage, NOTICE_AGENT_DROPPED)->wait_usec, 2 * LINK_BACKOFF_MIN_USEC);
    ck_assert_uint_eq(until_opened(&x, 3 * LINK_BACKOFF_MIN_USEC), 2 * LINK_BACKOFF_MIN_USEC);
    scene_done(&x);
}
END_TEST

/* Its maximum may grow with its definition. */
START_TEST(test_definition_is_another)
{
    DomainInfo info = stage_domain(1, 8 * GIB);
    Scene x;

    welcomed(&x);
    guest_update_info(x.guest, &info);
    guest_channel_update(x.channel);
    lie(&x);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_AGENT_DROPPED), 0);
    ck_assert_int_eq(guest_source(x.guest, clock_usec), GUEST_SOURCE_AGENT);
    scene_done(&x);
}
END_TEST

/* The agent continues with the last daemon's nonce: it notices the new one only if its channel is closed
 * briefly. */
START_TEST(test_agent_missed_our_start)
{
    Scene x;

    scene_init(&x);
    until_opened(&x, SEC);
    guest_channel_opened(x.channel, clock_usec);
    x.transport.nonce = 4711;
    for (unsigned i = 0; i < 4; i++) {
        clock_usec += SEC;
        say_report(&x);
        guest_channel_tend(x.channel, clock_usec);
    }
    ck_assert_uint_eq(x.transport.closed, 0);
    clock_usec += SEC;
    guest_channel_tend(x.channel, clock_usec);
    ck_assert_uint_eq(x.transport.closed, 1);
    ck_assert_uint_eq(until_opened(&x, 10 * SEC), SEC);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_AGENT_DROPPED), 0);
    guest_channel_opened(x.channel, clock_usec);
    say_hello(&x, BOOT_A);

    /* One that was welcomed, also with remains of before, and one that says nothing, are left alone. */
    x.transport.nonce++;
    say_report(&x);
    clock_usec += 10 * SEC;
    guest_channel_tend(x.channel, clock_usec);
    ck_assert_uint_eq(x.transport.closed, 1);
    guest_channel_closed(x.channel, NULL);
    until_opened(&x, 60 * SEC);
    guest_channel_opened(x.channel, clock_usec);
    clock_usec += 10 * SEC;
    guest_channel_tend(x.channel, clock_usec);
    ck_assert_uint_eq(x.transport.closed, 1);
    scene_done(&x);
}
END_TEST

static void pace(Scene *x, bool calm, usec_t stale, usec_t expected)
{
    guest_channel_pace(x->channel, calm, stale, clock_usec);
    ck_assert_uint_eq(x->transport.interval_usec, expected);
    ck_assert_uint_eq(x->guest->sources.interval_usec, expected);
}

START_TEST(test_pace)
{
    unsigned configures;
    Scene x;

    welcomed(&x);
    pace(&x, false, STALE, SEC);
    pace(&x, true, STALE, 2 * SEC);
    configures = x.transport.configures;
    pace(&x, true, STALE, 2 * SEC);
    ck_assert_uint_eq(x.transport.configures, configures); /* it knows that already */
    pace(&x, true, 3 * SEC, SEC);
    pace(&x, false, 1500 * MSEC, 500 * MSEC);
    pace(&x, false, 300 * MSEC, 250 * MSEC);

    guest_sent(x.guest, 3 * GIB, clock_usec);
    pace(&x, true, STALE, 250 * MSEC);
    guest_set_done(x.guest, 0, clock_usec);
    clock_usec += 30 * SEC;
    pace(&x, true, STALE, 250 * MSEC); /* still on its way */
    guest_balloon_seen(x.guest, 3 * GIB, clock_usec);
    clock_usec += 3 * SEC; /* that it took cache shows for a while */
    say_report(&x);
    ck_assert(!guest_is_moving(x.guest, clock_usec));
    pace(&x, true, STALE, 250 * MSEC);
    clock_usec += 7 * SEC - MSEC;
    pace(&x, true, STALE, 250 * MSEC);
    clock_usec += 2 * MSEC;
    pace(&x, true, STALE, 2 * SEC);
    pace(&x, false, STALE, SEC);
    scene_done(&x);
}
END_TEST

/* The pace was decided before it came. */
START_TEST(test_pace_of_the_next_agent)
{
    Scene x;

    scene_init(&x);
    guest_channel_opened(x.channel, clock_usec);
    guest_channel_pace(x.channel, true, STALE, clock_usec);
    ck_assert_uint_eq(x.transport.configures, 0);
    say_hello(&x, BOOT_A);
    ck_assert_uint_eq(x.transport.configures, 1);
    ck_assert_uint_eq(x.transport.interval_usec, 2 * SEC);
    scene_done(&x);
}
END_TEST

/* libvirt is away with all of its streams: opened at once when it is back. */
START_TEST(test_lost)
{
    Scene x;

    scene_init(&x);
    for (unsigned i = 0; i < 5; i++) {
        until_opened(&x, 60 * SEC);
        guest_channel_closed(x.channel, NULL);
    }
    until_opened(&x, 60 * SEC);
    guest_channel_lost(x.channel);
    ck_assert(!x.channel->wanted);
    ck_assert_uint_eq(until_opened(&x, SEC), 0);
    guest_channel_opened(x.channel, clock_usec);
    say_hello(&x, BOOT_A);

    guest_channel_lost(x.channel);
    ck_assert(!x.channel->open);
    say_report(&x);
    ck_assert_ptr_null(guest_sample(x.guest, clock_usec));
    ck_assert(!link_welcomed(x.channel->link));
    ck_assert_uint_eq(until_opened(&x, SEC), 0);
    ck_assert_uint_eq(x.transport.closed, 0); /* there is nothing left to close */
    scene_done(&x);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("guest-channel");

    tcase_add_test(tc, test_opened_with_back_off);
    tcase_add_test(tc, test_a17_no_channel_to_a_guest_in_mode_off);
    tcase_add_test(tc, test_transport_refuses);
    tcase_add_test(tc, test_what_is_logged);
    tcase_add_test(tc, test_welcome);
    tcase_add_test(tc, test_levers);
    tcase_add_test(tc, test_c16_an_uptime_is_known_from_the_agent);
    tcase_add_test(tc, test_age_of_the_guest);
    tcase_add_test(tc, test_transport_drops);
    tcase_add_test(tc, test_rules_broken);
    tcase_add_test(tc, test_definition_is_another);
    tcase_add_test(tc, test_agent_missed_our_start);
    tcase_add_test(tc, test_pace);
    tcase_add_test(tc, test_pace_of_the_next_agent);
    tcase_add_test(tc, test_lost);
    return run_tests(tc);
}
