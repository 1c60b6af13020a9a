/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Frames are found in whatever a guest sends, in whatever pieces it arrives, and nothing else is taken for
 * one. */

#include <check.h>
#include <string.h>

#include "base/macro.h"
#include "proto/frame.h"
#include "tests/unit/run.h"

typedef struct Stream {
    uint8_t bytes[16 * 1024];
    size_t length;
} Stream;

static void add_bytes(Stream *s, const void *bytes, size_t length)
{
    ck_assert_uint_le(s->length + length, sizeof(s->bytes));
    memcpy(s->bytes + s->length, bytes, length);
    s->length += length;
}

static void add_text(Stream *s, const char *text)
{
    add_bytes(s, text, strlen(text));
}

/* Returns where in the stream the frame begins. */
static uint8_t *add_frame(Stream *s, const void *payload, size_t length)
{
    uint8_t frame[FRAME_MAX], *start = s->bytes + s->length;

    memcpy(frame + FRAME_HEADER_SIZE, payload, length);
    ck_assert_int_eq(frame_finish(frame, length), FRAME_HEADER_SIZE + length);
    add_bytes(s, frame, FRAME_HEADER_SIZE + length);
    return start;
}

static uint8_t *add_text_frame(Stream *s, const char *payload)
{
    return add_frame(s, payload, strlen(payload));
}

/* Feeds in pieces of the given size and joins the payloads with a comma. */
static void read_frames(const Stream *s, size_t piece, FrameReader *r, char *found, size_t size)
{
    found[0] = '\0';
    frame_reader_init(r);

    for (size_t at = 0; at < s->length;) {
        const uint8_t *p = s->bytes + at, *payload;
        size_t n = MIN(piece, s->length - at), taken, length;
        int got;

        at += n;
        do {
            got = frame_reader_feed(r, p, n, &taken, &payload, &length);
            ck_assert(n == 0 || taken > 0);
            p += taken;
            n -= taken;
            if (got == 1) {
                ck_assert_uint_lt(strlen(found) + length + 2, size);
                if (*found)
                    strcat(found, ",");
                strncat(found, (const char *) payload, length);
            }
        } while (got == 1);
        ck_assert_int_eq(got, 0);
        ck_assert_uint_eq(n, 0);
    }
}

/* The same frames are found however the stream is cut. */
static void expect_frames(const Stream *s, const char *expected, uint64_t rubbish, uint64_t bad)
{
    static const size_t pieces[] = {sizeof(s->bytes), 1, 2, 3, 7, 11, 12, 13, 64, 4096, 4108};
    FrameReader r;
    char found[8192];

    for (size_t i = 0; i < ELEMENTSOF(pieces); i++) {
        read_frames(s, pieces[i], &r, found, sizeof(found));
        ck_assert_msg(strcmp(found, expected) == 0, "in pieces of %zu: '%s', not '%s'", pieces[i], found,
                      expected);
        ck_assert_uint_eq(r.rubbish_bytes, rubbish);
        ck_assert_uint_eq(r.bad_frames, bad);
    }
}

START_TEST(one_after_the_other)
{
    Stream s = {};

    add_text_frame(&s, "a");
    add_text_frame(&s, "bc");
    add_text_frame(&s, "def");
    expect_frames(&s, "a,bc,def", 0, 0);
}
END_TEST

START_TEST(bytes_on_the_wire)
{
    /* magic, length 1, version 1, flags 0, CRC-32C of 01 00 61 */
    static const uint8_t expected[] = {'B', 'L', 'S', 'T', 1, 0, 1, 0, 0x65, 0x21, 0x88, 0x56, 'a'};
    uint8_t frame[FRAME_HEADER_SIZE + 1];

    frame[FRAME_HEADER_SIZE] = 'a';
    ck_assert_int_eq(frame_finish(frame, 1), sizeof(frame));
    ck_assert_mem_eq(frame, expected, sizeof(expected));
}
END_TEST

START_TEST(only_lengths_that_may_be)
{
    uint8_t frame[FRAME_MAX] = {};
    Stream s = {};
    FrameReader r;
    const uint8_t *payload;
    size_t taken, length;

    ck_assert_int_eq(frame_finish(frame, 0), -EMSGSIZE);
    ck_assert_int_eq(frame_finish(frame, FRAME_PAYLOAD_MAX + 1), -EMSGSIZE);
    ck_assert_int_eq(frame_finish(frame, SIZE_MAX), -EMSGSIZE);

    memset(frame, 'x', FRAME_PAYLOAD_MAX);
    add_frame(&s, frame, FRAME_PAYLOAD_MAX);
    frame_reader_init(&r);
    ck_assert_int_eq(frame_reader_feed(&r, s.bytes, s.length, &taken, &payload, &length), 1);
    ck_assert_uint_eq(taken, FRAME_MAX);
    ck_assert_uint_eq(length, FRAME_PAYLOAD_MAX);
    ck_assert_mem_eq(payload, frame, FRAME_PAYLOAD_MAX);
}
END_TEST

START_TEST(stops_behind_a_frame)
{
    Stream s = {};
    FrameReader r;
    const uint8_t *payload;
    size_t taken, length;

    add_text_frame(&s, "first");
    add_text_frame(&s, "second");
    frame_reader_init(&r);
    ck_assert_int_eq(frame_reader_feed(&r, s.bytes, s.length, &taken, &payload, &length), 1);
    ck_assert_uint_eq(taken, FRAME_HEADER_SIZE + 5);
    ck_assert_uint_eq(length, 5);
    ck_assert_mem_eq(payload, "first", 5);
    ck_assert_int_eq(frame_reader_feed(&r, NULL, 0, &taken, &payload, &length), 0);
    ck_assert_uint_eq(taken, 0);
}
END_TEST

START_TEST(behind_rubbish)
{
    static const char noise[] = "SeaBIOS (version 1.16.2)\r\nBooting from Hard Disk... BBLBLSB";
    Stream s = {};

    add_text(&s, noise);
    add_text_frame(&s, "found");
    add_text(&s, "\n\n~");
    add_text_frame(&s, "again");
    expect_frames(&s, "found,again", strlen(noise) + 3, 0);
}
END_TEST

START_TEST(behind_a_frame_cut_off)
{
    char payload[301] = {};

    memset(payload, 'x', 300);
    for (size_t cut = 1; cut < FRAME_HEADER_SIZE + 300; cut++) {
        Stream s = {};
        uint64_t rubbish;
        FrameReader r;
        char found[1024], expected[1024];

        /* A guest that was reset in the middle of a frame: what follows is read as its rest at first. */
        add_frame(&s, payload, 300);
        s.length = cut;
        rubbish = cut;
        add_text_frame(&s, "one");
        add_text_frame(&s, "two");
        add_frame(&s, payload, 300);
        snprintf(expected, sizeof(expected), "one,two,%s", payload);

        read_frames(&s, 1 + cut % 40, &r, found, sizeof(found));
        ck_assert_str_eq(found, expected);
        ck_assert_uint_eq(r.rubbish_bytes, rubbish);
    }
}
END_TEST

START_TEST(headers_that_lie)
{
    static const struct {
        const char *what;
        size_t offset;
        uint8_t value;
    } cases[] = {
        {"length 0", 4, 0},   {"length above 4096", 5, 0x11},
        {"version 0", 6, 0},  {"version 2", 6, 2},
        {"flags", 7, 1},      {"flags", 7, 0x80},
        {"checksum", 8, 0},   {"checksum", 11, 0},
        {"payload", 12, 'X'}, {"last of payload", 16, 'X'},
        {"shorter", 4, 4},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Stream s = {};

        add_text_frame(&s, "wrong")[cases[i].offset] = cases[i].value;
        add_text_frame(&s, "right");
        expect_frames(&s, "right", FRAME_HEADER_SIZE + 5, 1);
    }
}
END_TEST

START_TEST(a_longer_length_swallows_nothing)
{
    Stream s = {};

    /* The reader has to wait for as many bytes as the header grants, but finds what was in them. */
    add_text_frame(&s, "wrong")[4] = 30;
    add_text_frame(&s, "one");
    add_text_frame(&s, "two");
    expect_frames(&s, "one,two", FRAME_HEADER_SIZE + 5, 1);
}
END_TEST

START_TEST(magic_within_a_payload)
{
    Stream s = {};

    add_text_frame(&s, "BLSTBLSTBLST, and BLST");
    add_text_frame(&s, "BLST");
    expect_frames(&s, "BLSTBLSTBLST, and BLST,BLST", 0, 0);
}
END_TEST

START_TEST(a_frame_within_a_payload)
{
    Stream inner = {}, s = {};

    /* It belongs to the outer one while that is whole, and is found where that is not. */
    add_text_frame(&inner, "inner");
    add_frame(&s, inner.bytes, inner.length);
    s.bytes[s.length - inner.length - 1] ^= 1; /* the last byte of the outer checksum */
    add_text_frame(&s, "after");
    expect_frames(&s, "inner,after", FRAME_HEADER_SIZE, 1);
}
END_TEST

START_TEST(nothing_but_magic)
{
    Stream s = {};

    /* Each header grants 0x4c42 bytes. */
    for (size_t i = 0; i < 1000; i++)
        add_text(&s, "BLST");
    add_text_frame(&s, "found");
    expect_frames(&s, "found", 4000, 1000);
}
END_TEST

START_TEST(no_byte_changed_goes_unseen)
{
    Stream whole = {};

    add_text_frame(&whole, "a report of a guest's memory");
    for (size_t bit = 0; bit < 8 * whole.length; bit++) {
        Stream s = whole;
        FrameReader r;
        char found[256];

        s.bytes[bit / 8] ^= (uint8_t) (1U << bit % 8);
        read_frames(&s, s.length, &r, found, sizeof(found));
        ck_assert_str_eq(found, "");
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("frame");

    tcase_add_test(tc, one_after_the_other);
    tcase_add_test(tc, bytes_on_the_wire);
    tcase_add_test(tc, only_lengths_that_may_be);
    tcase_add_test(tc, stops_behind_a_frame);
    tcase_add_test(tc, behind_rubbish);
    tcase_add_test(tc, behind_a_frame_cut_off);
    tcase_add_test(tc, headers_that_lie);
    tcase_add_test(tc, a_longer_length_swallows_nothing);
    tcase_add_test(tc, magic_within_a_payload);
    tcase_add_test(tc, a_frame_within_a_payload);
    tcase_add_test(tc, nothing_but_magic);
    tcase_add_test(tc, no_byte_changed_goes_unseen);
    return run_tests(tc);
}
