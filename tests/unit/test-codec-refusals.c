/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages that a guest may not send are refused, each with its reason. For reports: test-codec-reports.c. */

#include <check.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "tests/unit/codec-bytes.h"
#include "tests/unit/codec-samples.h"
#include "tests/unit/run.h"

START_TEST(not_an_envelope)
{
    Bytes b = {}, none = {}, unknown = {}, empty = {};

    expect_refusal(&empty, -EBADMSG, "envelope");
    put(&b, "BLST", 4);
    expect_refusal(&b, -EBADMSG, "envelope");
    put(&none, (const uint8_t[]){0x0d, 1, 2, 3, 4}, 5); /* a nonce and nothing else */
    expect_refusal(&none, -EBADMSG, "message");
    put_text(&unknown, 99, "from a later version");
    expect_refusal(&unknown, -EBADMSG, "message");

    /* every message cut off anywhere */
    {
        Message distress = full_distress();
        uint8_t frame[FRAME_MAX];
        ssize_t n = pack(&distress, frame) - FRAME_HEADER_SIZE;

        for (ssize_t cut = 0; cut < n; cut++) {
            uint8_t *exact = malloc((size_t) cut + !cut);
            Message m;

            memcpy(exact, frame + FRAME_HEADER_SIZE, (size_t) cut);
            ck_assert_int_eq(message_unpack(exact, (size_t) cut, &m, NULL), -EBADMSG);
            free(exact);
        }
    }
}
END_TEST

START_TEST(more_than_a_payload_may_hold)
{
    Bytes b = {}, text = {};

    while (b.length < FRAME_PAYLOAD_MAX)
        put(&b, "\x7a", 2); /* field 15, empty: each costs protobuf-c some 70 bytes */
    b.length = FRAME_PAYLOAD_MAX;
    expect_refusal(&b, -EBADMSG, "envelope");

    put_text(&text, 1, "x");
    while (text.length <= FRAME_PAYLOAD_MAX)
        put(&text, "\x7a", 2);
    expect_refusal(&text, -EBADMSG, "envelope");
}
END_TEST

START_TEST(fields_of_a_later_version)
{
    Bytes report = {}, b = {};
    Message m;

    put_number(&report, AT, 1);
    put_number(&report, TOTAL, GIB);
    for (unsigned f = 100; f < 150; f++)
        put_number(&report, f, f);
    put_number(&report, FREE, MIB);
    put_message(&b, REPORT_, &report);
    put_text(&b, 50, "and something else");
    ck_assert_int_eq(message_unpack(b.bytes, b.length, &m, NULL), 0);
    ck_assert_uint_eq(report_get(&m.report, REPORT_MEM_FREE), MIB);
}
END_TEST

START_TEST(one_message_too_many)
{
    Bytes configure_a = {}, configure_b = {}, bye = {}, b = {};
    Message m;

    /* As everywhere in protobuf, the last one counts. */
    put_number(&configure_a, 1, USEC_PER_SEC);
    put_number(&configure_b, 1, 2 * USEC_PER_SEC);
    put_text(&bye, 1, "stopped");
    put_message(&b, CONFIGURE, &configure_a);
    put_message(&b, GOODBYE, &bye);
    put_message(&b, GOODBYE, &bye);
    put_message(&b, CONFIGURE, &configure_a);
    put_message(&b, CONFIGURE, &configure_b);
    ck_assert_int_eq(message_unpack(b.bytes, b.length, &m, NULL), 0);
    ck_assert_int_eq(m.type, MESSAGE_CONFIGURE);
    ck_assert_uint_eq(m.interval_usec, 2 * USEC_PER_SEC);
}
END_TEST

/* field: 1 protocol, 2 agent_version, 3 boot_id, 4 boot_usec, 5 features, 6 kernel; without: left out */
static void put_hello(Bytes *b, unsigned without)
{
    if (without != 1)
        put_number(b, 1, PROTOCOL_VERSION);
    if (without != 2)
        put_text(b, 2, "0.1.0");
    if (without != 3)
        put_text(b, 3, BOOT_ID);
    if (without != 4)
        put_number(b, 4, 1);
}

START_TEST(refused_hellos)
{
    static const struct {
        unsigned field;
        const char *text;
        int error;
        const char *what;
    } texts[] = {
        {2, "a version of more than sixty-four bytes, which is one more than may", -ENAMETOOLONG,
         "agent_version"},
        {2, "1.0\n", -EILSEQ, "agent_version"},
        {2, "\033[2J", -EILSEQ, "agent_version"},
        {2, "\303\274", -EILSEQ, "agent_version"},
        {2, "\177", -EILSEQ, "agent_version"},
        {6, "a kernel whose name is longer than sixty-four bytes: 6.1.0-18-cloud", -ENAMETOOLONG, "kernel"},
        {6, "\t", -EILSEQ, "kernel"},
        {7, "a reason that is too long for anybody who reads it in a table: no way", -ENAMETOOLONG,
         "levers_missing"},
        {7, "\033]0;owned\a", -EILSEQ, "levers_missing"},
        {3, "", -EILSEQ, "boot_id"},
        {3, "6fd5c1ab-91c9-4ee6-b9f9-0d3b3c1d8a5", -EILSEQ, "boot_id"},
        {3, "6fd5c1ab-91c9-4ee6-b9f9-0d3b3c1d8a555", -EILSEQ, "boot_id"},
        {3, "6fd5c1ab-91c9-4ee6-b9f9-0d3b3c1d8a5g", -EILSEQ, "boot_id"},
        {3, "6fd5c1ab091c9-4ee6-b9f9-0d3b3c1d8a55", -EILSEQ, "boot_id"},
        {3, "../../../../../../../../../etc/passwd", -EILSEQ, "boot_id"},
    };
    static const struct {
        unsigned field;
        const char *name;
    } needed[] = {{1, "protocol"}, {3, "boot_id"}, {4, "boot_usec"}};
    Bytes later = {}, later_bare = {}, old = {};

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        Bytes b = {};

        put_hello(&b, texts[i].field);
        put_text(&b, texts[i].field, texts[i].text);
        expect_refused_message(HELLO, &b, texts[i].error, texts[i].what);
    }

    for (size_t i = 0; i < ELEMENTSOF(needed); i++) {
        Bytes b = {};

        put_hello(&b, needed[i].field);
        expect_refused_message(HELLO, &b, -ENODATA, needed[i].name);
    }

    put_hello(&later, 1);
    put_number(&later, 1, 2);
    expect_refused_message(HELLO, &later, -EPROTONOSUPPORT, "protocol");
    put_number(&later_bare, 1, 2);
    expect_refused_message(HELLO, &later_bare, -EPROTONOSUPPORT, "protocol");

    put_hello(&old, 4);
    put_number(&old, 4, GUEST_UPTIME_MAX_USEC + 1);
    expect_refused_message(HELLO, &old, -ERANGE, "boot_usec");
}
END_TEST

START_TEST(refused_welcomes_and_configures)
{
    static const uint64_t intervals[] = {0, REPORT_INTERVAL_MIN_USEC - 1, REPORT_INTERVAL_MAX_USEC + 1,
                                         UINT64_MAX};
    Bytes empty = {}, other = {}, no_nonce = {}, strange = {}, b = {};

    expect_refused_message(WELCOME, &empty, -ENODATA, "protocol");
    put_number(&other, 1, 2);
    expect_refused_message(WELCOME, &other, -EPROTONOSUPPORT, "protocol");
    put_number(&no_nonce, 1, PROTOCOL_VERSION);
    expect_refused_message(WELCOME, &no_nonce, -ENODATA, "nonce");

    put(&b, (const uint8_t[]){0x0d, 1, 2, 3, 4}, 5);
    put_number(&strange, 1, PROTOCOL_VERSION);
    put_text(&strange, 2, "\a");
    put_message(&b, WELCOME, &strange);
    expect_refusal(&b, -EILSEQ, "host_version");

    expect_refused_message(CONFIGURE, &empty, -ENODATA, "interval_usec");
    for (size_t i = 0; i < ELEMENTSOF(intervals); i++) {
        Bytes c = {};

        put_number(&c, 1, intervals[i]);
        expect_refused_message(CONFIGURE, &c, -ERANGE, "interval_usec");
    }
}
END_TEST

START_TEST(refused_levers)
{
    static const struct {
        unsigned message, field;
        uint64_t value;
        const char *what;
    } cases[] = {
        {RECLAIM, 1, 0, "id"},
        {RECLAIM, 2, 0, "bytes"},
        {RECLAIM, 2, GUEST_MEMORY_MAX_BYTES + 1, "bytes"},
        {COMPACT, 1, 0, "id"},
        {RECLAIMED, 1, 0, "id"},
        {RECLAIMED, 2, GUEST_MEMORY_MAX_BYTES + 1, "got"},
        {RECLAIMED, 2, UINT64_MAX, "got"},
        {RECLAIMED, 3, UINT64_MAX, "refaulted"},
        {RECLAIMED, 4, GUEST_UPTIME_MAX_USEC + 1, "stalled_usec"},
        {RECLAIMED, 5, UINT64_MAX, "cpu_usec"},
        {RECLAIMED, 6, 0, "why"},
        {RECLAIMED, 6, LEVER_END_MAX, "why"},
        {RECLAIMED, 6, UINT64_MAX, "why"},
        {RECLAIMED, 7, ERRNO_MAX + 1, "error"},
        {RECLAIMED, 7, UINT32_MAX, "error"},
    };
    static const struct {
        unsigned message, field;
        const char *what;
    } needed[] = {{RECLAIM, 1, "id"},   {RECLAIM, 2, "bytes"}, {COMPACT, 1, "id"},
                  {RECLAIMED, 1, "id"}, {RECLAIMED, 2, "got"}, {RECLAIMED, 6, "why"}};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Bytes b = {};

        put_number(&b, 1, 1);
        if (cases[i].message != COMPACT)
            put_number(&b, 2, 1);
        if (cases[i].message == RECLAIMED)
            put_number(&b, 6, LEVER_END_DONE);
        put_number(&b, cases[i].field, cases[i].value);
        expect_refused_message(cases[i].message, &b, -ERANGE, cases[i].what);
    }

    for (size_t i = 0; i < ELEMENTSOF(needed); i++) {
        Bytes b = {};

        for (unsigned f = 1; f <= 7; f++)
            if (f != needed[i].field && (needed[i].message == RECLAIMED || f <= 2))
                put_number(&b, f, 1);
        expect_refused_message(needed[i].message, &b, -ENODATA, needed[i].what);
    }
}
END_TEST

START_TEST(refused_distresses_and_goodbyes)
{
    static const uint64_t causes[] = {0, 5, UINT64_MAX};
    Bytes empty = {}, nothing = {}, bye = {};

    expect_refused_message(DISTRESS, &empty, -ENODATA, "cause");
    for (size_t i = 0; i < ELEMENTSOF(causes); i++) {
        Bytes b = {};

        put_number(&b, 1, causes[i]);
        expect_refused_message(DISTRESS, &b, -ERANGE, "cause");
    }

    put_number(&nothing, 1, DISTRESS_OOM);
    put_message(&nothing, 2, &empty); /* a Report that says nothing is none at all */
    expect_refused_message(DISTRESS, &nothing, -ENODATA, "at_usec");

    put_text(&bye, 1, "good\nbye");
    expect_refused_message(GOODBYE, &bye, -EILSEQ, "reason");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("codec-refusals");

    tcase_add_test(tc, not_an_envelope);
    tcase_add_test(tc, more_than_a_payload_may_hold);
    tcase_add_test(tc, fields_of_a_later_version);
    tcase_add_test(tc, one_message_too_many);
    tcase_add_test(tc, refused_hellos);
    tcase_add_test(tc, refused_welcomes_and_configures);
    tcase_add_test(tc, refused_levers);
    tcase_add_test(tc, refused_distresses_and_goodbyes);
    return run_tests(tc);
}
