/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's end of a guest's channel, with a guest that sends too much, rubbish or lies, and its back-off.
 * */

#include "tests/unit/link-rig.h"

START_TEST(test_too_many_messages)
{
    Rig r;
    int error = 0;
    unsigned sent;

    /* At the shortest interval that a host may ask for, and at half of it: heard without end. */
    rig_welcome(&r);
    for (unsigned i = 0; i < 1000; i++) {
        r.now += USEC_PER_SEC / LINK_MESSAGES_PER_SEC;
        ck_assert_int_eq(send_report(&r), 0);
    }
    /* All at once: as many as the bucket holds, and no more. */
    r.now += 10 * USEC_PER_SEC;
    for (sent = 0; error == 0 && sent < 1000; sent++)
        error = send_report(&r);
    ck_assert_int_eq(error, -ENOBUFS);
    ck_assert_uint_eq(sent, LINK_MESSAGES_BURST + 1);
    ck_assert_ptr_nonnull(strstr(r.why, "messages a second"));
    ck_assert_uint_eq(r.reports, 1000 + LINK_MESSAGES_BURST);
    ck_assert_uint_eq(link_retry_usec(r.link), r.now + LINK_BACKOFF_MIN_USEC);
    ck_assert_uint_eq(link_stats(r.link)->drops, 1);
    ck_assert(!link_welcomed(r.link));
    link_free(r.link);

    /* Hello is a message like any other. */
    rig_init(&r);
    error = 0;
    for (sent = 0; error == 0 && sent < 1000; sent++)
        error = say_hello(&r, BOOT_A);
    ck_assert_int_eq(error, -ENOBUFS);
    ck_assert_uint_eq(r.welcomes, LINK_MESSAGES_BURST);
    link_free(r.link);
}
END_TEST

START_TEST(test_too_many_bytes)
{
    static const uint8_t noise[4096];
    Rig r;
    Message m;
    uint8_t buf[FRAME_MAX];
    ssize_t n;
    int error = 0;
    unsigned fed;

    rig_welcome(&r);
    for (fed = 0; error == 0 && fed < 1000; fed++) {
        /* Good frames in between, so that the limit on rubbish isn't reached. */
        m = report(&r);
        n = message_pack(&m, buf);
        ck_assert_int_gt(n, 0);
        error = feed(&r, noise, sizeof(noise));
        if (error == 0)
            error = feed(&r, buf, (size_t) n);
    }
    ck_assert_int_eq(error, -ENOBUFS);
    ck_assert_ptr_nonnull(strstr(r.why, "bytes a second"));
    ck_assert_uint_le(fed, LINK_BYTES_BURST / sizeof(noise) + 1);
    link_free(r.link);
}
END_TEST

START_TEST(test_rubbish)
{
    static const uint8_t noise[1024] = "BLST is what a frame begins with, but this isn't one";
    Rig r;
    int error = 0;
    unsigned fed = 0;

    /* A boot loader's output before Hello does no harm, nor does that of a reboot before the next Hello. */
    rig_init(&r);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 0; j < 15; j++)
            ck_assert_int_eq(feed(&r, noise, sizeof(noise)), 0);
        ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
        ck_assert_uint_eq(r.hellos, i + 1);
        r.now += 10 * USEC_PER_SEC;
    }
    ck_assert_uint_eq(link_stats(r.link)->invalid_bytes, 3 * 15 * sizeof(noise));
    ck_assert_uint_gt(link_stats(r.link)->bad_frames, 0);

    /* A guest that sends nothing but rubbish is dropped, however slowly it sends. */
    while (error == 0 && fed < 100) {
        error = feed(&r, noise, sizeof(noise));
        r.now += USEC_PER_SEC;
        fed++;
    }
    ck_assert_int_eq(error, -EPROTO);
    ck_assert_ptr_nonnull(strstr(r.why, "aren't a message"));
    ck_assert_uint_ge(fed * sizeof(noise), LINK_RUBBISH_MAX);
    ck_assert_uint_le(fed * sizeof(noise), LINK_RUBBISH_MAX + 2 * sizeof(noise));
    link_free(r.link);
}
END_TEST

START_TEST(test_one_bad_message_is_not_fatal)
{
    Rig r;

    rig_welcome(&r);
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_int_eq(send_payload(&r, "\xff\xff\xff", 3), 0);
        ck_assert_int_eq(send_report(&r), 0);
        ck_assert_uint_eq(r.reports, i + 1);
        r.now += USEC_PER_SEC;
    }
    ck_assert_uint_eq(link_stats(r.link)->refused, 20);

    /* All at once is too much: each costs ten of forty tokens. */
    r.now += 10 * USEC_PER_SEC;
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(send_payload(&r, "\xff\xff\xff", 3), 0);
    ck_assert_int_eq(send_payload(&r, "\xff\xff\xff", 3), -EPROTO);
    ck_assert_ptr_nonnull(strstr(r.why, "bad messages"));
    link_free(r.link);
}
END_TEST

START_TEST(test_liar_is_dropped_however_slow)
{
    Rig r;
    int error = 0;
    unsigned sent;

    rig_welcome(&r);
    for (sent = 0; error == 0 && sent < 100; sent++) {
        r.now += 10 * USEC_PER_SEC;
        error = send_lie(&r);
    }
    ck_assert_int_eq(error, -EPROTO);
    ck_assert_uint_le(sent, 10);
    ck_assert_uint_eq(r.reports, 0);
    ck_assert_str_eq(r.why, "5 bad messages in a row; the last: mem_total is impossible");
    link_free(r.link);
}
END_TEST

/* Within a boot no counter may go back, nor may time; gauges may. */
START_TEST(test_counters_never_go_back)
{
    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++) {
        bool counter = report_field_kind(f) == REPORT_KIND_COUNTER;
        uint64_t value = f == REPORT_REPORTING ? 1 : 5000;
        Rig r;
        Message m;

        if (f == REPORT_SWAP_TOTAL || f == REPORT_MEM_TOTAL || f == REPORT_MEM_FREE)
            continue;
        rig_welcome(&r);
        m = report(&r);
        report_set(&m.report, REPORT_SWAP_TOTAL, 10000);
        report_set(&m.report, f, value);
        ck_assert_int_eq(send_message(&r, &m), 0);
        ck_assert_uint_eq(r.reports, 1);
        m.report.at_usec++;
        report_set(&m.report, f, value - 1);
        ck_assert_int_eq(send_message(&r, &m), 0);
        ck_assert_uint_eq(r.reports, counter ? 1 : 2);
        ck_assert_uint_eq(link_stats(r.link)->refused, counter ? 1 : 0);
        link_free(r.link);
    }
}
END_TEST

START_TEST(test_time_never_goes_back)
{
    Rig r;
    Message m;

    rig_welcome(&r);
    ck_assert_int_eq(send_report(&r), 0);
    m = report(&r);
    m.report.at_usec -= 1;
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.reports, 1);
    ck_assert_uint_eq(link_stats(r.link)->refused, 1);

    /* Nor in a Distress. */
    m.type = MESSAGE_DISTRESS;
    m.cause = DISTRESS_PSI;
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.distresses, 0);
    ck_assert_uint_eq(link_stats(r.link)->refused, 2);
    link_free(r.link);
}
END_TEST

/* A guest that was reverted to a snapshot goes on sending counters that went back, in good faith. */
START_TEST(test_snapshot_reverted)
{
    Rig r;
    Message m;
    int error = 0;

    rig_welcome(&r);
    ck_assert_int_eq(send_report(&r), 0);
    m = report(&r);
    report_set(&m.report, REPORT_SWAP_IN, MIB);
    for (unsigned i = 0; error == 0 && i < 100; i++) {
        r.now += USEC_PER_SEC;
        m.report.at_usec = r.now;
        error = send_message(&r, &m);
    }
    ck_assert_int_eq(error, -EPROTO);
    ck_assert_ptr_nonnull(strstr(r.why, "swap_in went back within one boot"));

    r.now = link_retry_usec(r.link);
    link_opened(r.link, r.now);
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    m.nonce = r.nonce;
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.reports, 2);
    link_free(r.link);
}
END_TEST

START_TEST(test_more_memory_than_there_is)
{
    Rig r;

    rig_welcome(&r);
    link_set_maximum(r.link, GIB);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 1);
    link_set_maximum(r.link, GIB - 1);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 1);
    ck_assert_uint_eq(link_stats(r.link)->refused, 1);
    link_free(r.link);
}
END_TEST

/* Lies that are evident from the message itself. 0x80 0x80 0x04 is 64 KiB as a varint. */
START_TEST(test_impossible_values)
{
    static const ReportField fields[] = {
        REPORT_MEM_FREE, REPORT_MEM_AVAILABLE, REPORT_CACHED, REPORT_BUFFERS, REPORT_SRECLAIMABLE,
        REPORT_SHMEM,    REPORT_ANON_PAGES,    REPORT_DIRTY,  REPORT_MLOCKED, REPORT_LOW_WATERMARK};

    for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
        static const uint8_t from[] = {0x83, 0x86, 0x04}, to[] = {0x83, 0x86, 0x7f};
        Rig r;
        Message m;

        rig_welcome(&r);
        m = report(&r);
        report_set(&m.report, REPORT_MEM_TOTAL, MIB);
        report_set(&m.report, REPORT_MEM_FREE, 0);
        report_set(&m.report, fields[i], 3 + (6 << 7) + (4 << 14));
        ck_assert_int_eq(send_message(&r, &m), 0);
        ck_assert_uint_eq(r.reports, 1);
        ck_assert_int_eq(send_forged(&r, &m, from, to, sizeof(from)), 0);
        ck_assert_uint_eq(r.reports, 1);
        ck_assert_uint_eq(link_stats(r.link)->refused, 1);
        link_free(r.link);
    }
}
END_TEST

/* A guest that sends a host's messages. */
START_TEST(test_host_messages_from_guest)
{
    Rig r;
    Message m;

    rig_welcome(&r);
    m = (Message){.type = MESSAGE_WELCOME, .has_nonce = true, .nonce = r.nonce, .protocol = PROTOCOL_VERSION};
    ck_assert_int_eq(send_message(&r, &m), 0);
    m = (Message){
        .type = MESSAGE_CONFIGURE, .has_nonce = true, .nonce = r.nonce, .interval_usec = USEC_PER_SEC};
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(link_stats(r.link)->refused, 2);
    ck_assert(link_welcomed(r.link));
    link_free(r.link);
}
END_TEST

static usec_t drop(Rig *r)
{
    int error = 0;

    link_opened(r->link, r->now);
    for (unsigned i = 0; error == 0 && i < 1000; i++)
        error = say_hello(r, BOOT_A);
    ck_assert_int_eq(error, -ENOBUFS);
    return link_retry_usec(r->link) - r->now;
}

START_TEST(test_backoff)
{
    static const usec_t waits[] = {5, 10, 20, 40, 80, 160, 320, 600, 600};
    Rig r;
    unsigned hellos;

    rig_init(&r);
    ck_assert_uint_eq(link_retry_usec(r.link), 0);
    for (size_t i = 0; i < ELEMENTSOF(waits); i++) {
        ck_assert_uint_eq(drop(&r), waits[i] * USEC_PER_SEC);

        /* Not heard before its time, even if the channel is opened. */
        hellos = r.hellos;
        r.now = link_retry_usec(r.link) - 1;
        link_opened(r.link, r.now);
        ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
        ck_assert_uint_eq(r.hellos, hellos);
        r.now++;
        ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
        ck_assert_uint_eq(r.hellos, hellos + 1);
    }
    ck_assert_uint_eq(link_stats(r.link)->drops, ELEMENTSOF(waits));

    /* Good for nearly as long as the last wait: not forgotten. For as long: forgotten. */
    r.now += 599 * USEC_PER_SEC;
    ck_assert_uint_eq(drop(&r), 600 * USEC_PER_SEC);
    r.now = link_retry_usec(r.link) + 600 * USEC_PER_SEC;
    ck_assert_uint_eq(drop(&r), 5 * USEC_PER_SEC);
    link_free(r.link);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("link-faults");

    tcase_add_test(t, test_too_many_messages);
    tcase_add_test(t, test_too_many_bytes);
    tcase_add_test(t, test_rubbish);
    tcase_add_test(t, test_one_bad_message_is_not_fatal);
    tcase_add_test(t, test_liar_is_dropped_however_slow);
    tcase_add_test(t, test_counters_never_go_back);
    tcase_add_test(t, test_time_never_goes_back);
    tcase_add_test(t, test_snapshot_reverted);
    tcase_add_test(t, test_more_memory_than_there_is);
    tcase_add_test(t, test_impossible_values);
    tcase_add_test(t, test_host_messages_from_guest);
    tcase_add_test(t, test_backoff);
    return run_tests(t);
}
