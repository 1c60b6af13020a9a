/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages put together by hand, byte by byte, since message_pack() refuses what the host must refuse. */

#include <check.h>
#include <string.h>

#include "proto/codec.h"
#include "proto/frame.h"

typedef struct Bytes {
    uint8_t bytes[FRAME_PAYLOAD_MAX + 64];
    size_t length;
} Bytes;

static inline void put(Bytes *b, const void *bytes, size_t length)
{
    ck_assert_uint_le(b->length + length, sizeof(b->bytes));
    memcpy(b->bytes + b->length, bytes, length);
    b->length += length;
}

static inline void put_varint(Bytes *b, uint64_t value)
{
    uint8_t byte;

    do {
        byte = (uint8_t) ((value & 127) | (value > 127 ? 128 : 0));
        put(b, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static inline void put_number(Bytes *b, unsigned field, uint64_t value)
{
    put_varint(b, field << 3);
    put_varint(b, value);
}

static inline void put_bytes(Bytes *b, unsigned field, const void *bytes, size_t length)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, length);
    put(b, bytes, length);
}

static inline void put_text(Bytes *b, unsigned field, const char *text)
{
    put_bytes(b, field, text, strlen(text));
}

static inline void put_message(Bytes *b, unsigned field, const Bytes *message)
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
    SWAP_MEMORY_FREE,
};

static inline void expect_refusal(const Bytes *b, int error, const char *what)
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

static inline void expect_refused_message(unsigned message, const Bytes *inner, int error, const char *what)
{
    Bytes b = {};

    put_message(&b, message, inner);
    expect_refusal(&b, error, what);
}
