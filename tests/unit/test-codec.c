/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages survive the channel, and none is sent that the host would refuse. */

#include <check.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "tests/unit/codec-samples.h"
#include "tests/unit/run.h"

static const Message hello = {
    .type = MESSAGE_HELLO,
    .protocol = PROTOCOL_VERSION,
    .version = "0.1.0",
    .boot_id = BOOT_ID,
    .boot_usec = 4 * USEC_PER_SEC,
    .features = HELLO_FEATURE_PSI | HELLO_FEATURE_SWAP,
    .text = "6.1.0-18-cloud-amd64",
    .levers_missing = "kernel has no memory.reclaim",
};

static const Message welcome = {.type = MESSAGE_WELCOME,
                                .has_nonce = true,
                                .nonce = 0xfedcba98,
                                .protocol = PROTOCOL_VERSION,
                                .version = "0.1.0"};

static const Message configure = {
    .type = MESSAGE_CONFIGURE, .has_nonce = true, .interval_usec = 5 * USEC_PER_SEC};

static const Message goodbye = {.type = MESSAGE_GOODBYE, .has_nonce = true, .nonce = 7, .text = "stopped"};

static const Message reclaim = {
    .type = MESSAGE_RECLAIM, .id = UINT32_MAX, .bytes = 5 * GIB + 1, .anon = true};

static const Message compact = {.type = MESSAGE_COMPACT, .id = 1};

static const Message reclaimed = {
    .type = MESSAGE_RECLAIMED,
    .has_nonce = true,
    .nonce = 7,
    .id = UINT32_MAX,
    .bytes = 3 * GIB + 4096,
    .refaulted_bytes = 12345,
    .stalled_usec = 67,
    .cpu_usec = 89,
    .why = LEVER_END_FAILED,
    .error = ERRNO_MAX,
};

START_TEST(each_message_survives)
{
    Message report = full_report(), distress = full_distress(),
            bare = {.type = MESSAGE_DISTRESS, .cause = DISTRESS_PSI};
    Message terse = hello, silent = {.type = MESSAGE_GOODBYE}, file_only = reclaim, all_done = reclaimed;
    const Message *messages[] = {&hello,   &welcome, &configure, &report, &distress, &bare,      &goodbye,
                                 &reclaim, &compact, &reclaimed, &terse,  &silent,   &file_only, &all_done};

    file_only.anon = false;
    all_done.why = LEVER_END_DONE;
    all_done.error = 0;
    terse.version[0] = terse.text[0] = terse.levers_missing[0] = '\0';
    terse.features = 0;
    for (size_t i = 0; i < ELEMENTSOF(messages); i++) {
        uint8_t frame[FRAME_MAX];
        ssize_t n = pack(messages[i], frame);
        const uint8_t *payload;
        size_t taken, length;
        FrameReader reader;
        Message m;

        frame_reader_init(&reader);
        ck_assert_int_eq(frame_reader_feed(&reader, frame, (size_t) n, &taken, &payload, &length), 1);
        ck_assert_int_eq(message_unpack(payload, length, &m, NULL), 0);
        expect_same(&m, messages[i]);
    }
}
END_TEST

START_TEST(each_field_alone_survives)
{
    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++) {
        Message m = {.type = MESSAGE_REPORT, .report.at_usec = 1}, got;
        uint8_t frame[FRAME_MAX];
        ssize_t n;

        report_set(&m.report, REPORT_MEM_TOTAL, GIB);
        report_set(&m.report, REPORT_MEM_FREE, GIB / 2);
        report_set(&m.report, REPORT_SWAP_TOTAL, GIB);
        report_set(&m.report, f,
                   f == REPORT_MEM_TOTAL   ? 2 * GIB
                   : f == REPORT_REPORTING ? 1
                   : is_detail_size(f)     ? 77 * DETAIL_UNIT_BYTES
                                           : 77);
        n = pack(&m, frame);
        ck_assert_int_eq(
            message_unpack(frame + FRAME_HEADER_SIZE, (size_t) n - FRAME_HEADER_SIZE, &got, NULL), 0);
        expect_same(&got, &m);
    }
}
END_TEST

START_TEST(nothing_refused_is_sent)
{
    uint8_t frame[FRAME_MAX];
    Message m;

    m = hello;
    m.protocol = 2;
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = hello;
    m.boot_id[3] = '\0';
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = hello;
    memset(m.version, 'x', sizeof(m.version)); /* no end */
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = hello;
    m.text[0] = '\n';
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = welcome;
    m.has_nonce = false;
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = welcome;
    m.protocol = 2;
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = configure;
    m.interval_usec = 0;
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = full_report();
    m.report.at_usec = 0;
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = full_report();
    m.report.present &= ~(UINT64_C(1) << REPORT_MEM_FREE);
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = full_report();
    report_set(&m.report, REPORT_MEM_AVAILABLE, GIB + 1);
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = full_distress();
    m.cause = (DistressCause) 9;
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = hello;
    m.levers_missing[0] = '\n';
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = reclaim;
    m.bytes = 0;
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = compact;
    m.id = 0;
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = reclaimed;
    m.why = 0;
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = reclaimed;
    m.error = -EAGAIN;
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = full_report();
    report_set(&m.report, REPORT_FREE_BLOCKS, report_get(&m.report, REPORT_MEM_FREE) + DETAIL_UNIT_BYTES);
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    m = hello;
    m.type = MESSAGE_TYPE_MAX;
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
}
END_TEST

START_TEST(names)
{
    for (MessageType t = 0; t < MESSAGE_TYPE_MAX; t++)
        ck_assert_ptr_nonnull(message_type_to_string(t));
    ck_assert_ptr_null(message_type_to_string(MESSAGE_TYPE_INVALID));
    for (DistressCause c = DISTRESS_PSI; c <= DISTRESS_OOM; c++)
        ck_assert_ptr_nonnull(distress_cause_to_string(c));
    ck_assert_ptr_null(distress_cause_to_string((DistressCause) 0));
    for (LeverEnd e = LEVER_END_DONE; e < LEVER_END_MAX; e++)
        ck_assert_ptr_nonnull(lever_end_to_string(e));
    ck_assert_ptr_null(lever_end_to_string((LeverEnd) 0));
    ck_assert_ptr_null(lever_end_to_string(LEVER_END_MAX));
    ck_assert_str_eq(report_field_name(REPORT_MEM_TOTAL), "mem_total");
    ck_assert_ptr_null(report_field_name(REPORT_FIELD_INVALID));
    ck_assert_ptr_null(report_field_name(REPORT_FIELD_MAX));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("codec");

    tcase_add_test(tc, each_message_survives);
    tcase_add_test(tc, each_field_alone_survives);
    tcase_add_test(tc, nothing_refused_is_sent);
    tcase_add_test(tc, names);
    return run_tests(tc);
}
