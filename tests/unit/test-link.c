/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's end of a guest's channel, with a guest that follows the protocol. */

#include "tests/unit/link-rig.h"

START_TEST(test_handshake)
{
    Rig r;

    rig_init(&r);
    ck_assert(!link_welcomed(r.link));
    ck_assert_str_eq(link_agent_version(r.link), "");
    ck_assert_str_eq(link_boot_id(r.link), "");
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_eq(r.welcomes, 1);
    ck_assert_uint_eq(r.configures, 1);
    ck_assert_uint_eq(r.interval, REPORT_INTERVAL_DEFAULT_USEC);
    ck_assert_uint_eq(r.hellos, 1);
    ck_assert_uint_eq(r.reboots, 0);
    ck_assert_str_eq(link_agent_version(r.link), "0.1.0");
    ck_assert_str_eq(link_boot_id(r.link), BOOT_A);

    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 1);
    ck_assert_uint_eq(report_get(&r.report, REPORT_MEM_FREE), 300 * MIB);
    ck_assert_uint_eq(link_stats(r.link)->messages, 2);
    ck_assert_uint_eq(link_stats(r.link)->hellos, 1);
    ck_assert_uint_eq(link_stats(r.link)->refused, 0);
    link_free(r.link);
}
END_TEST

START_TEST(test_distress_and_goodbye)
{
    Rig r;
    Message m;

    rig_welcome(&r);
    m = report(&r);
    m.type = MESSAGE_DISTRESS;
    m.cause = DISTRESS_OOM;
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.distresses, 1);
    ck_assert_int_eq(r.cause, DISTRESS_OOM);
    ck_assert_uint_eq(r.reports, 0);

    m = (Message){.type = MESSAGE_GOODBYE, .has_nonce = true, .nonce = r.nonce, .text = "stopped"};
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.goodbyes, 1);
    ck_assert_str_eq(r.reason, "stopped");
    ck_assert(!link_welcomed(r.link));

    /* After a goodbye the agent isn't heard until its next Hello. */
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 0);
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 1);
    link_free(r.link);
}
END_TEST

START_TEST(test_nonce)
{
    Rig r;
    Message m;
    uint32_t first;

    /* Before Hello, without a nonce, and with another one: dropped and counted, but not as a lie. */
    rig_init(&r);
    for (unsigned i = 0; i < 30; i++) {
        ck_assert_int_eq(send_report(&r), 0);
        r.now += USEC_PER_SEC;
    }
    ck_assert_uint_eq(r.reports, 0);
    ck_assert_uint_eq(link_stats(r.link)->refused, 30);

    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    first = r.nonce;
    m = report(&r);
    m.nonce++;
    ck_assert_int_eq(send_message(&r, &m), 0);
    m.has_nonce = false;
    ck_assert_int_eq(send_message(&r, &m), 0);
    m = (Message){.type = MESSAGE_GOODBYE, .has_nonce = true, .nonce = first + 1};
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.reports, 0);
    ck_assert_uint_eq(r.goodbyes, 0);
    ck_assert(link_welcomed(r.link));
    ck_assert_uint_eq(link_stats(r.link)->refused, 33);

    /* The agent restarted: another nonce, and the old one no longer counts. */
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_ne(r.nonce, first);
    ck_assert_uint_eq(r.hellos, 2);
    ck_assert_uint_eq(r.reboots, 0);
    m = report(&r);
    m.nonce = first;
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.reports, 0);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 1);
    link_free(r.link);
}
END_TEST

START_TEST(test_reboot)
{
    Rig r;
    Message m;

    rig_welcome(&r);
    ck_assert_int_eq(send_report(&r), 0);

    /* A restarted agent continues the kernel's counters; those of a rebooted guest begin at zero. */
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    m = report(&r);
    report_set(&m.report, REPORT_SWAP_IN, 0);
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.reports, 1);
    ck_assert_uint_eq(link_stats(r.link)->refused, 1);

    ck_assert_int_eq(say_hello(&r, BOOT_B), 0);
    ck_assert_uint_eq(r.reboots, 1);
    ck_assert_str_eq(link_boot_id(r.link), BOOT_B);
    m.nonce = r.nonce;
    m.report.at_usec = 1;
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.reports, 2);

    /* The boot id outlives the channel: a reboot while it was closed is seen. */
    link_closed(r.link);
    link_opened(r.link, r.now);
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_eq(r.reboots, 2);
    link_free(r.link);
}
END_TEST

START_TEST(test_configure)
{
    Rig r;

    rig_init(&r);
    link_configure(r.link, 5 * USEC_PER_SEC);
    ck_assert_uint_eq(r.configures, 0); /* no agent yet */
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_eq(r.configures, 1);
    ck_assert_uint_eq(r.interval, 5 * USEC_PER_SEC);
    link_configure(r.link, 5 * USEC_PER_SEC);
    ck_assert_uint_eq(r.configures, 1);
    link_configure(r.link, 200 * USEC_PER_MSEC);
    ck_assert_uint_eq(r.configures, 2);
    ck_assert_uint_eq(r.interval, 200 * USEC_PER_MSEC);
    link_configure(r.link, 1);
    ck_assert_uint_eq(r.interval, REPORT_INTERVAL_MIN_USEC);
    link_configure(r.link, USEC_INFINITY);
    ck_assert_uint_eq(r.interval, REPORT_INTERVAL_MAX_USEC);

    /* Once after each Welcome, also when the handler of Hello asks for another. */
    r.configures = 0;
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_eq(r.configures, 1);
    r.configure_on_hello = 3 * USEC_PER_SEC;
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_eq(r.configures, 2);
    ck_assert_uint_eq(r.interval, 3 * USEC_PER_SEC);
    link_free(r.link);
}
END_TEST

START_TEST(test_keepalive)
{
    Rig r;

    rig_welcome(&r);
    r.configures = 0;
    for (unsigned i = 0; i < 100; i++) {
        r.now += USEC_PER_SEC;
        ck_assert_int_eq(send_report(&r), 0);
    }
    ck_assert_uint_eq(r.configures, 3);
    ck_assert_uint_eq(r.reports, 100);
    link_free(r.link);
}
END_TEST

/* A guest shows that it reads by using its nonce. It may not have read what was sent before that, so it gets
 * another nonce. */
START_TEST(test_shows_that_it_reads)
{
    uint32_t first;
    Rig r;

    rig_welcome(&r);
    ck_assert_uint_eq(r.reads, 0);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reads, 1);
    first = r.nonce;

    for (unsigned i = 0; i < LINK_UNPROVEN_MAX; i++) {
        ck_assert_uint_eq(r.welcomes, 1);
        link_configure(r.link, (i + 2) * USEC_PER_SEC);
    }
    r.now += USEC_PER_SEC;
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.welcomes, 2);
    ck_assert_uint_ne(r.nonce, first);

    /* Messages on their way with the old nonce are heard, but prove nothing; no third nonce is sent. */
    for (unsigned i = 0; i < 2 * LINK_UNPROVEN_MAX; i++) {
        Message m = report(&r);

        m.nonce = first;
        r.now += USEC_PER_SEC;
        m.report.at_usec = r.now;
        link_configure(r.link, (i + 1) * USEC_PER_SEC);
        ck_assert_int_eq(send_message(&r, &m), 0);
    }
    ck_assert_uint_eq(r.reports, 3 + 2 * LINK_UNPROVEN_MAX);
    ck_assert_uint_eq(r.welcomes, 2);
    ck_assert_uint_eq(r.reads, 1);

    r.now += USEC_PER_SEC;
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reads, 2);
    ck_assert_uint_eq(r.reports, 4 + 2 * LINK_UNPROVEN_MAX);

    /* The old nonce is no longer valid. */
    {
        Message m = report(&r);

        m.nonce = first;
        ck_assert_int_eq(send_message(&r, &m), 0);
    }
    ck_assert_uint_eq(r.reports, 4 + 2 * LINK_UNPROVEN_MAX);
    link_free(r.link);
}
END_TEST

START_TEST(test_frame_split_over_feeds)
{
    Rig r;
    Message m;
    uint8_t buf[FRAME_MAX];
    ssize_t n;

    rig_welcome(&r);
    m = report(&r);
    n = message_pack(&m, buf);
    ck_assert_int_gt(n, 0);
    for (ssize_t i = 0; i < n; i++) {
        ck_assert_uint_eq(r.reports, 0);
        ck_assert_int_eq(feed(&r, buf + i, 1), 0);
    }
    ck_assert_uint_eq(r.reports, 1);
    ck_assert_int_eq(feed(&r, buf, 0), 0);

    /* Half a frame from before the channel was closed is dropped. */
    ck_assert_int_eq(feed(&r, buf, (size_t) n / 2), 0);
    link_closed(r.link);
    link_opened(r.link, r.now);
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert(link_welcomed(r.link));
    ck_assert_uint_eq(link_stats(r.link)->invalid_bytes, 0);
    link_free(r.link);
}
END_TEST

START_TEST(test_closed)
{
    Rig r;

    rig_welcome(&r);
    link_closed(r.link);
    ck_assert(!link_welcomed(r.link));
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_eq(r.reports, 0);
    ck_assert_uint_eq(r.hellos, 1);

    /* Opened again: the earlier nonce no longer counts. */
    link_opened(r.link, r.now);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 0);
    link_free(r.link);
}
END_TEST

START_TEST(test_closed_by_handler)
{
    Rig r;
    Message m;
    uint8_t buf[2 * FRAME_MAX];
    ssize_t n;

    rig_welcome(&r);
    r.close_on_report = true;
    m = report(&r);
    n = message_pack(&m, buf);
    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(message_pack(&m, buf + n), n);
    ck_assert_int_eq(feed(&r, buf, 2 * (size_t) n), 0);
    ck_assert_uint_eq(r.reports, 1);
    ck_assert_uint_eq(link_stats(r.link)->messages, 2); /* Hello and the first report */
    ck_assert(!link_welcomed(r.link));
    link_free(r.link);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("link");

    tcase_add_test(t, test_handshake);
    tcase_add_test(t, test_distress_and_goodbye);
    tcase_add_test(t, test_nonce);
    tcase_add_test(t, test_reboot);
    tcase_add_test(t, test_configure);
    tcase_add_test(t, test_keepalive);
    tcase_add_test(t, test_shows_that_it_reads);
    tcase_add_test(t, test_frame_split_over_feeds);
    tcase_add_test(t, test_closed);
    tcase_add_test(t, test_closed_by_handler);
    return run_tests(t);
}
