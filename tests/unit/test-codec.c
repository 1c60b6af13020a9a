/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages survive the channel, and what a guest may not say is refused, each with its reason. */

#include <check.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "tests/unit/run.h"

#define BOOT_ID "6fd5c1ab-91c9-4ee6-b9f9-0d3b3c1d8a55"

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

/* Sizes in Details are sent in units of 64 KiB. */
static bool is_detail_size(ReportField f)
{
    return f >= REPORT_FREE_BLOCKS && f != REPORT_REPORTING;
}

/* All fields, each with a value of its own. */
static Message full_report(void)
{
    Message m = {.type = MESSAGE_REPORT, .has_nonce = true, .nonce = 7, .report.at_usec = 99 * USEC_PER_SEC};

    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++)
        report_set(&m.report, f,
                   is_detail_size(f)
                       ? (uint64_t) (200 - f) * DETAIL_UNIT_BYTES
                       : (report_field_kind(f) == REPORT_KIND_COUNTER ? 1000 : 100) + (uint64_t) f);
    report_set(&m.report, REPORT_MEM_TOTAL, GIB);
    report_set(&m.report, REPORT_MEM_FREE, GIB / 2);
    report_set(&m.report, REPORT_SWAP_TOTAL, GIB);
    report_set(&m.report, REPORT_REPORTING, 1);
    return m;
}

static Message full_distress(void)
{
    Message m = full_report();

    m.type = MESSAGE_DISTRESS;
    m.cause = DISTRESS_STALL;
    return m;
}

static void expect_same(const Message *a, const Message *b)
{
    ck_assert_int_eq(a->type, b->type);
    ck_assert_int_eq(a->has_nonce, b->has_nonce);
    ck_assert_uint_eq(a->nonce, b->nonce);
    ck_assert_uint_eq(a->protocol, b->protocol);
    ck_assert_str_eq(a->version, b->version);
    ck_assert_str_eq(a->boot_id, b->boot_id);
    ck_assert_uint_eq(a->boot_usec, b->boot_usec);
    ck_assert_uint_eq(a->features, b->features);
    ck_assert_str_eq(a->text, b->text);
    ck_assert_uint_eq(a->interval_usec, b->interval_usec);
    ck_assert_int_eq(a->cause, b->cause);
    ck_assert_str_eq(a->levers_missing, b->levers_missing);
    ck_assert_uint_eq(a->id, b->id);
    ck_assert_uint_eq(a->bytes, b->bytes);
    ck_assert_int_eq(a->anon, b->anon);
    ck_assert_uint_eq(a->refaulted_bytes, b->refaulted_bytes);
    ck_assert_uint_eq(a->stalled_usec, b->stalled_usec);
    ck_assert_uint_eq(a->cpu_usec, b->cpu_usec);
    ck_assert_int_eq(a->why, b->why);
    ck_assert_int_eq(a->error, b->error);
    ck_assert_uint_eq(a->report.at_usec, b->report.at_usec);
    ck_assert_uint_eq(a->report.present, b->report.present);
    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++)
        ck_assert_uint_eq(report_get(&a->report, f), report_get(&b->report, f));
}

static ssize_t pack(const Message *m, uint8_t *frame)
{
    ssize_t n = message_pack(m, frame);

    ck_assert_msg(n > 0, "%s: %zd", message_type_to_string(m->type), n);
    return n;
}

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

/* -- What is refused. The bytes are put together by hand, since message_pack() refuses, too.
 * ------------------------ */

typedef struct Bytes {
    uint8_t bytes[FRAME_PAYLOAD_MAX + 64];
    size_t length;
} Bytes;

static void put(Bytes *b, const void *bytes, size_t length)
{
    ck_assert_uint_le(b->length + length, sizeof(b->bytes));
    memcpy(b->bytes + b->length, bytes, length);
    b->length += length;
}

static void put_varint(Bytes *b, uint64_t value)
{
    uint8_t byte;

    do {
        byte = (uint8_t) ((value & 127) | (value > 127 ? 128 : 0));
        put(b, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static void put_number(Bytes *b, unsigned field, uint64_t value)
{
    put_varint(b, field << 3);
    put_varint(b, value);
}

static void put_bytes(Bytes *b, unsigned field, const void *bytes, size_t length)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, length);
    put(b, bytes, length);
}

static void put_text(Bytes *b, unsigned field, const char *text)
{
    put_bytes(b, field, text, strlen(text));
}

static void put_message(Bytes *b, unsigned field, const Bytes *message)
{
    put_bytes(b, field, message->bytes, message->length);
}

/* Numbers of guest.proto: of the messages in the Envelope, and of fields. */
enum { HELLO = 2, WELCOME, CONFIGURE, REPORT_, DISTRESS, GOODBYE, RECLAIM, COMPACT, RECLAIMED };
enum { AT = 1, TOTAL = 2, FREE = 3, SWAP_TOTAL = 7, SWAP_FREE = 8, DETAILS = 35 };
enum {
    FREE_BLOCKS = 1,
    ACTIVE_FILE,
    INACTIVE_FILE,
    ACTIVE_ANON,
    INACTIVE_ANON,
    REPORTING,
    SWAP_MEMORY,
    COMMITTED,
    COMMIT_LIMIT,
    ARC,
    ARC_MIN,
    COLD_10S,
    COLD_60S,
    COLD_600S,
};

static void expect_refusal(const Bytes *b, int error, const char *what)
{
    const char *got = NULL;
    Message m;
    int r;

    memset(&m, 0x55, sizeof(m));
    r = message_unpack(b->bytes, b->length, &m, &got);
    ck_assert_msg(r == error, "%s: %d (%s), not %d", what, r, got ? got : "nothing", error);
    ck_assert_str_eq(got, what);
    ck_assert_int_eq(m.type, 0x55555555); /* untouched */
    ck_assert_int_eq(message_unpack(b->bytes, b->length, &m, NULL), error);
}

static void expect_refused_message(unsigned message, const Bytes *inner, int error, const char *what)
{
    Bytes b = {};

    put_message(&b, message, inner);
    expect_refusal(&b, error, what);
}

START_TEST(what_is_no_envelope)
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

START_TEST(hellos_that_are_refused)
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

START_TEST(welcomes_and_configures_that_are_refused)
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

/* A 1 GiB guest with 1 GiB of swap, and one field more. */
static void put_report(Bytes *b, unsigned field, uint64_t value)
{
    put_number(b, AT, 1);
    put_number(b, TOTAL, GIB);
    put_number(b, FREE, 0);
    put_number(b, SWAP_TOTAL, GIB);
    if (field > 0)
        put_number(b, field, value);
}

START_TEST(reports_that_are_refused)
{
    static const struct {
        unsigned field;
        uint64_t value;
        const char *what;
    } cases[] = {
        {1, GUEST_UPTIME_MAX_USEC + 1, "at_usec"},
        {1, UINT64_MAX, "at_usec"},
        {2, 0, "mem_total"},
        {2, GUEST_MEMORY_MAX_BYTES + 1, "mem_total"},
        {2, UINT64_MAX, "mem_total"},
        {3, GIB + 1, "mem_free"},
        {4, GIB + 1, "mem_available"},
        {4, UINT64_MAX, "mem_available"},
        {5, GIB + 1, "cached"},
        {6, GIB + 1, "anon_pages"},
        {7, GUEST_MEMORY_MAX_BYTES + 1, "swap_total"},
        {8, GIB + 1, "swap_free"},
        {9, GUEST_COUNTER_MAX + 1, "faults"},
        {10, GIB + 1, "buffers"},
        {11, GIB + 1, "sreclaimable"},
        {12, GIB + 1, "shmem"},
        {13, GIB + 1, "low_watermark"},
        {14, UINT64_MAX, "scan_kswapd"},
        {15, UINT64_MAX, "steal_kswapd"},
        {16, GIB + 1, "dirty"},
        {17, GIB + 1, "mlocked"},
        {18, UINT64_MAX, "swap_in"},
        {26, UINT64_MAX, "oom_kills"},
        {27, 10001, "psi_memory_some_avg10"},
        {29, 10001, "psi_memory_full_avg10"},
        {31, 10001, "psi_io_some_avg10"},
        {33, 10001, "psi_io_full_avg10"},
        {34, UINT64_MAX, "psi_io_full_total"},
    };
    static const struct {
        unsigned field;
        const char *name;
    } needed[] = {{AT, "at_usec"}, {TOTAL, "mem_total"}, {FREE, "mem_free"}};
    Bytes zero = {}, swap = {};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Bytes b = {}, distress = {};

        put_report(&b, cases[i].field, cases[i].value);
        expect_refused_message(REPORT_, &b, -ERANGE, cases[i].what);

        /* the same in a Distress */
        put_number(&distress, 1, DISTRESS_PSI);
        put_message(&distress, 2, &b);
        expect_refused_message(DISTRESS, &distress, -ERANGE, cases[i].what);
    }

    for (size_t i = 0; i < ELEMENTSOF(needed); i++) {
        Bytes b = {}, distress = {};

        for (unsigned f = AT; f <= FREE; f++)
            if (f != needed[i].field)
                put_number(&b, f, MIB);
        expect_refused_message(REPORT_, &b, -ENODATA, needed[i].name);

        put_number(&distress, 1, DISTRESS_PSI);
        put_message(&distress, 2, &b);
        expect_refused_message(DISTRESS, &distress, -ENODATA, needed[i].name);
    }

    put_number(&zero, AT, 0);
    put_number(&zero, TOTAL, GIB);
    put_number(&zero, FREE, 0);
    expect_refused_message(REPORT_, &zero, -ENODATA, "at_usec");

    put_number(&swap, AT, 1);
    put_number(&swap, TOTAL, GIB);
    put_number(&swap, FREE, 0);
    put_number(&swap, SWAP_FREE, 1);
    expect_refused_message(REPORT_, &swap, -ERANGE, "swap_free");
}
END_TEST

/* Sizes in units of 64 KiB that a guest of 1 GiB, half of it free, with 1 GiB of swap can't have. */
START_TEST(details_that_are_refused)
{
    const uint64_t gib = GIB / DETAIL_UNIT_BYTES, half = gib / 2,
                   max = GUEST_MEMORY_MAX_BYTES / DETAIL_UNIT_BYTES;
    const struct {
        unsigned field[6]; /* all with this value */
        uint64_t value;
        const char *what; /* NULL: it can have them */
    } cases[] = {
        {{FREE_BLOCKS}, half, NULL},
        {{FREE_BLOCKS}, half + 1, "free_blocks"},
        {{FREE_BLOCKS}, UINT64_MAX, "free_blocks"},
        {{FREE_BLOCKS}, UINT64_MAX / DETAIL_UNIT_BYTES + 1, "free_blocks"}, /* little, if it overflowed */
        {{REPORTING}, 0, NULL},
        {{REPORTING}, 1, NULL},
        {{REPORTING}, 2, "reporting"},
        {{ACTIVE_FILE}, half, NULL},
        {{ACTIVE_FILE}, half + 1, "active_file"},
        {{INACTIVE_ANON}, half + 1, "inactive_anon"},
        {{ARC}, half + 1, "arc"},
        {{ARC_MIN}, gib, NULL}, /* its minimum may be above its size */
        {{ARC_MIN}, gib + 1, "arc_min"},
        {{ACTIVE_FILE, INACTIVE_FILE, ACTIVE_ANON, INACTIVE_ANON, ARC}, half / 5, NULL},
        {{ACTIVE_FILE, INACTIVE_FILE}, half / 2 + 1, "inactive_file"},
        {{ACTIVE_ANON, INACTIVE_ANON}, half / 2 + 1, "inactive_anon"},
        {{ACTIVE_FILE, INACTIVE_FILE, ACTIVE_ANON, INACTIVE_ANON}, half / 4 + 1, "inactive_anon"},
        {{ACTIVE_FILE, INACTIVE_FILE, ACTIVE_ANON, INACTIVE_ANON, ARC}, half / 5 + 1, "arc"},
        {{SWAP_MEMORY}, gib, NULL},
        {{SWAP_MEMORY}, gib + 1, "swap_memory"},
        {{COMMITTED, COMMIT_LIMIT}, max, NULL},
        {{COMMITTED}, max + 1, "committed"},
        {{COMMIT_LIMIT}, UINT64_MAX, "commit_limit"},
        {{COLD_10S, COLD_60S, COLD_600S}, half, NULL},
        {{COLD_10S}, gib + 1, "cold_10s"},
        {{ACTIVE_FILE, INACTIVE_FILE, COLD_10S, COLD_60S, COLD_600S}, half / 2, NULL},
    };
    Bytes warm = {}, colder = {}, coldest = {};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Bytes details = {}, report = {}, b = {};
        const char *what = NULL;
        Message m;

        for (size_t f = 0; f < ELEMENTSOF(cases[i].field) && cases[i].field[f] > 0; f++)
            put_number(&details, cases[i].field[f], cases[i].value);
        put_number(&report, AT, 1);
        put_number(&report, TOTAL, GIB);
        put_number(&report, FREE, GIB / 2);
        put_number(&report, SWAP_TOTAL, GIB);
        put_message(&report, DETAILS, &details);
        put_message(&b, REPORT_, &report);
        if (cases[i].what)
            expect_refusal(&b, -ERANGE, cases[i].what);
        else
            ck_assert_msg(message_unpack(b.bytes, b.length, &m, &what) == 0, "%zu: %s", i, what);
    }

    /* no cache is colder than it is */
    put_number(&warm, ACTIVE_FILE, 10);
    put_number(&warm, INACTIVE_FILE, 10);
    put_number(&warm, COLD_10S, 21);
    put_number(&colder, COLD_10S, 10);
    put_number(&colder, COLD_60S, 11);
    put_number(&coldest, COLD_60S, 10);
    put_number(&coldest, COLD_600S, 11);
    {
        const struct {
            const Bytes *details;
            const char *what;
        } cold[] = {{&warm, "cold_10s"}, {&colder, "cold_60s"}, {&coldest, "cold_600s"}};

        for (size_t i = 0; i < ELEMENTSOF(cold); i++) {
            Bytes report = {};

            put_report(&report, 0, 0);
            put_message(&report, DETAILS, cold[i].details);
            expect_refused_message(REPORT_, &report, -ERANGE, cold[i].what);
        }
    }
}
END_TEST

/* What the agent makes of figures that the kernel didn't read at the same moment. */
START_TEST(a_report_that_is_made_to_fit)
{
    Message m = full_report(), same = full_report();
    uint8_t frame[FRAME_MAX];
    Report *r = &m.report;

    report_fit(r);
    expect_same(&m, &same); /* it was possible already */

    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++)
        if (f != REPORT_MEM_TOTAL)
            report_set(r, f, UINT64_MAX);
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    report_fit(r);
    pack(&m, frame);
    ck_assert_uint_eq(report_get(r, REPORT_MEM_FREE), GIB);
    ck_assert_uint_eq(report_get(r, REPORT_MEM_AVAILABLE), GIB);
    ck_assert_uint_eq(report_get(r, REPORT_FREE_BLOCKS), GIB);
    ck_assert_uint_eq(report_get(r, REPORT_ACTIVE_FILE), 0);
    ck_assert_uint_eq(report_get(r, REPORT_REPORTING), 1);
}
END_TEST

START_TEST(levers_that_are_refused)
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

START_TEST(distresses_and_goodbyes_that_are_refused)
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

START_TEST(limits_that_are_not_refused)
{
    static const struct {
        unsigned field;
        uint64_t value;
    } cases[] = {
        {1, GUEST_UPTIME_MAX_USEC},
        {2, GUEST_MEMORY_MAX_BYTES},
        {3, GIB},
        {4, GIB},
        {8, GIB},
        {13, GIB},
        {18, GUEST_COUNTER_MAX},
        {27, 10000},
        {34, GUEST_COUNTER_MAX},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Bytes report = {}, b = {};
        const char *what = "";
        Message m;

        put_report(&report, cases[i].field, cases[i].value);
        put_message(&b, REPORT_, &report);
        ck_assert_msg(message_unpack(b.bytes, b.length, &m, &what) == 0, "%s", what);
    }
}
END_TEST

START_TEST(nothing_is_sent_that_would_be_refused)
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

START_TEST(what_may_follow_a_report)
{
    const Message first = full_report();
    const char *what;

    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++) {
        Report next = first.report;

        next.at_usec++;
        ck_assert_int_eq(report_follows(&first.report, &next, NULL), 0);
        next.value[f]++;
        ck_assert_int_eq(report_follows(&first.report, &next, NULL), 0);

        next.value[f] -= 2;
        what = NULL;
        if (report_field_kind(f) == REPORT_KIND_GAUGE)
            ck_assert_int_eq(report_follows(&first.report, &next, &what), 0);
        else {
            ck_assert_int_eq(report_follows(&first.report, &next, &what), -ESTALE);
            ck_assert_str_eq(what, report_field_name(f));
        }

        /* what one of them lacks isn't compared */
        next.present &= ~(UINT64_C(1) << f);
        ck_assert_int_eq(report_follows(&first.report, &next, NULL), 0);
        ck_assert_int_eq(report_follows(&next, &first.report, NULL), -ESTALE); /* but time is */
    }

    {
        Report next = first.report;

        ck_assert_int_eq(report_follows(&first.report, &next, NULL), 0);
        next.at_usec--;
        ck_assert_int_eq(report_follows(&first.report, &next, &what), -ESTALE);
        ck_assert_str_eq(what, "at_usec");
        next.at_usec = 0; /* a source without a clock */
        ck_assert_int_eq(report_follows(&first.report, &next, NULL), 0);
        ck_assert_int_eq(report_follows(&next, &first.report, NULL), 0);
    }
}
END_TEST

/* -- What it costs
 * ------------------------------------------------------------------------------------------------- */

/* A guest after a year that was anything but quiet: all fields, and of each about the most that such a guest
 * shows. */
static Message after_a_year(uint64_t total)
{
    const uint64_t swap = total / 2, year = 365 * 86400, slow = 100000 * year, fast = 10000000 * year;
    const struct {
        ReportField field;
        uint64_t value;
    } values[] = {
        {REPORT_MEM_TOTAL, total},
        {REPORT_MEM_FREE, total / 2},
        {REPORT_MEM_AVAILABLE, total / 4 * 3},
        {REPORT_BUFFERS, total / 50},
        {REPORT_CACHED, total / 2},
        {REPORT_SRECLAIMABLE, total / 20},
        {REPORT_SHMEM, total / 20},
        {REPORT_ANON_PAGES, total / 2},
        {REPORT_DIRTY, total / 50},
        {REPORT_MLOCKED, 64 * MIB},
        {REPORT_SWAP_TOTAL, swap},
        {REPORT_SWAP_FREE, swap / 3 * 2},
        {REPORT_LOW_WATERMARK, total / 200},
        {REPORT_SWAP_IN, slow},
        {REPORT_SWAP_OUT, slow},
        {REPORT_MAJOR_FAULTS, 2 * year},
        {REPORT_FAULTS, 5000 * year},
        {REPORT_REFAULT_ANON, slow},
        {REPORT_REFAULT_FILE, fast},
        {REPORT_SCAN_DIRECT, slow},
        {REPORT_SCAN_KSWAPD, fast},
        {REPORT_STEAL_DIRECT, slow},
        {REPORT_STEAL_KSWAPD, fast},
        {REPORT_ALLOC_STALLS, year / 10},
        {REPORT_OOM_KILLS, 12},
        {REPORT_PSI_MEMORY_SOME_AVG10, 9999},
        {REPORT_PSI_MEMORY_SOME_TOTAL, year / 100 * USEC_PER_SEC},
        {REPORT_PSI_MEMORY_FULL_AVG10, 9999},
        {REPORT_PSI_MEMORY_FULL_TOTAL, year / 100 * USEC_PER_SEC},
        {REPORT_PSI_IO_SOME_AVG10, 9999},
        {REPORT_PSI_IO_SOME_TOTAL, year / 20 * USEC_PER_SEC},
        {REPORT_PSI_IO_FULL_AVG10, 9999},
        {REPORT_PSI_IO_FULL_TOTAL, year / 20 * USEC_PER_SEC},
        {REPORT_FREE_BLOCKS, total / 2},
        {REPORT_REPORTING, 1},
        {REPORT_ACTIVE_FILE, total / 8},
        {REPORT_INACTIVE_FILE, total / 8},
        {REPORT_ACTIVE_ANON, total / 16},
        {REPORT_INACTIVE_ANON, total / 16},
        {REPORT_SWAP_MEMORY, swap},
        {REPORT_COMMITTED, total / 2},
        {REPORT_COMMIT_LIMIT, total},
        {REPORT_ARC, total / 8},
        {REPORT_ARC_MIN, total / 32},
        {REPORT_COLD_10S, total / 4},
        {REPORT_COLD_60S, total / 4},
        {REPORT_COLD_600S, total / 4},
    };
    Message m = {.type = MESSAGE_REPORT, .has_nonce = true, .nonce = UINT32_MAX};

    _Static_assert(ELEMENTSOF(values) == REPORT_FIELD_MAX, "all fields");
    m.report.at_usec = year * USEC_PER_SEC;
    for (size_t i = 0; i < ELEMENTSOF(values); i++)
        report_set(&m.report, values[i].field, values[i].value);
    return m;
}

START_TEST(a_report_fits_320_bytes)
{
    static const uint64_t totals[] = {GIB / 2, 16 * GIB, 64 * GIB, TIB};

    for (size_t i = 0; i < ELEMENTSOF(totals); i++) {
        Message m = after_a_year(totals[i]);
        uint8_t frame[FRAME_MAX];
        ssize_t n = pack(&m, frame);

        printf("report of a guest of %" PRIu64 " MiB: %zd bytes\n", totals[i] / MIB, n);
        fflush(stdout);
        ck_assert_int_le(n, 320);
    }
}
END_TEST

/* -- guest.proto and report.def
 * ------------------------------------------------------------------------------------ */

START_TEST(the_two_tables_name_the_same_fields)
{
    const char *source = getenv("BALLAST_SOURCE");
    _cleanup_fclose_ FILE *f = NULL;
    uint64_t seen = 0;
    bool in_report = false, in_details = false;
    char path[4096], line[512], name[64];
    unsigned number;

    ck_assert_ptr_nonnull(source);
    snprintf(path, sizeof(path), "%s/proto/guest.proto", source);
    f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);

    while (fgets(line, sizeof(line), f)) {
        ReportField found = REPORT_FIELD_INVALID;

        if (strncmp(line, "message ", 8) == 0)
            in_report = strncmp(line, "message Report {", 16) == 0,
            in_details = strncmp(line, "message Details {", 17) == 0;
        if ((!in_report && !in_details) ||
            sscanf(line, " optional uint64 %63[a-z0-9_] = %u;", name, &number) != 2)
            continue;
        if (strcmp(name, "at_usec") == 0)
            continue;

        for (ReportField i = 0; i < REPORT_FIELD_MAX; i++)
            if (strcmp(report_field_name(i), name) == 0)
                found = i;
        ck_assert_msg(found >= 0, "%s is in guest.proto, not in report.def", name);
        ck_assert_msg(in_details == (found >= REPORT_FREE_BLOCKS),
                      "%s is in one of Report and Details, not in both", name);
        seen |= UINT64_C(1) << found;
    }

    for (ReportField i = 0; i < REPORT_FIELD_MAX; i++)
        ck_assert_msg(seen & UINT64_C(1) << i, "%s is in report.def, not in guest.proto",
                      report_field_name(i));
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
    tcase_add_test(tc, what_is_no_envelope);
    tcase_add_test(tc, more_than_a_payload_may_hold);
    tcase_add_test(tc, fields_of_a_later_version);
    tcase_add_test(tc, one_message_too_many);
    tcase_add_test(tc, hellos_that_are_refused);
    tcase_add_test(tc, welcomes_and_configures_that_are_refused);
    tcase_add_test(tc, reports_that_are_refused);
    tcase_add_test(tc, details_that_are_refused);
    tcase_add_test(tc, a_report_that_is_made_to_fit);
    tcase_add_test(tc, levers_that_are_refused);
    tcase_add_test(tc, distresses_and_goodbyes_that_are_refused);
    tcase_add_test(tc, limits_that_are_not_refused);
    tcase_add_test(tc, nothing_is_sent_that_would_be_refused);
    tcase_add_test(tc, what_may_follow_a_report);
    tcase_add_test(tc, a_report_fits_320_bytes);
    tcase_add_test(tc, the_two_tables_name_the_same_fields);
    tcase_add_test(tc, names);
    return run_tests(tc);
}
