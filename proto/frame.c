/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "proto/frame.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/macro.h"

/* The header's parts, by offset. */
enum { MAGIC = 0, LENGTH = 4, VERSION = 6, FLAGS = 7, CHECKSUM = 8 };

#define MAGIC_SIZE    4U
#define FRAME_VERSION 1U

static const uint8_t magic[MAGIC_SIZE] = {'B', 'L', 'S', 'T'};

static size_t get_length(const uint8_t *frame)
{
    return (size_t) frame[LENGTH] | (size_t) frame[LENGTH + 1] << 8;
}

static uint32_t checksum(const uint8_t *frame, size_t length)
{
    return crc32c_extend(crc32c(frame + LENGTH, 2), frame + FRAME_HEADER_SIZE, length);
}

static uint32_t get_checksum(const uint8_t *frame)
{
    uint32_t crc = 0;

    for (size_t i = 0; i < sizeof(crc); i++)
        crc |= (uint32_t) frame[CHECKSUM + i] << (8 * i);

    return crc;
}

ssize_t frame_finish(uint8_t *buf, size_t length)
{
    uint32_t crc;

    if (length == 0 || length > FRAME_PAYLOAD_MAX)
        return -EMSGSIZE;

    memcpy(buf + MAGIC, magic, MAGIC_SIZE);
    buf[LENGTH] = (uint8_t) length;
    buf[LENGTH + 1] = (uint8_t) (length >> 8);
    buf[VERSION] = FRAME_VERSION;
    buf[FLAGS] = 0;

    crc = checksum(buf, length);
    for (size_t i = 0; i < sizeof(crc); i++)
        buf[CHECKSUM + i] = (uint8_t) (crc >> (8 * i));

    return (ssize_t) (FRAME_HEADER_SIZE + length);
}

void frame_reader_init(FrameReader *r)
{
    r->fill = r->delivered = 0;
    r->rubbish_bytes = r->bad_frames = 0;
}

static void drop(FrameReader *r, size_t n)
{
    memmove(r->buf, r->buf + n, r->fill - n);
    r->fill -= n;
}

typedef enum Verdict { FRAME_SHORT, FRAME_BAD, FRAME_WHOLE } Verdict;

/* What stands at p, of which n bytes are there. *ret_size: FRAME_SHORT, how many are needed to say more;
 * FRAME_WHOLE, the frame's. */
static Verdict judge(const uint8_t *p, size_t n, size_t *ret_size)
{
    size_t length;

    if (n < FRAME_HEADER_SIZE) {
        *ret_size = FRAME_HEADER_SIZE;
        return FRAME_SHORT;
    }

    length = get_length(p);
    if (length == 0 || length > FRAME_PAYLOAD_MAX || p[VERSION] != FRAME_VERSION || p[FLAGS] != 0)
        return FRAME_BAD;

    *ret_size = FRAME_HEADER_SIZE + length;
    if (n < *ret_size)
        return FRAME_SHORT;

    return get_checksum(p) == checksum(p, length) ? FRAME_WHOLE : FRAME_BAD;
}

/* Drops what is no frame from the start of the buffer. Returns whether a whole one stands there then;
 * *ret_size as judge() has it. */
static bool find_frame(FrameReader *r, size_t *ret_size)
{
    Verdict verdict = FRAME_SHORT;
    size_t start = 0;

    *ret_size = FRAME_HEADER_SIZE;
    while (start < r->fill) {
        const uint8_t *p = r->buf + start;
        size_t n = r->fill - start;

        if (memcmp(p, magic, MIN(n, MAGIC_SIZE)) == 0) {
            verdict = judge(p, n, ret_size);
            if (verdict != FRAME_BAD)
                break;
            r->bad_frames++;
        }

        p = memchr(p + 1, magic[0], n - 1);
        start = p ? (size_t) (p - r->buf) : r->fill;
    }

    r->rubbish_bytes += start;
    drop(r, start);
    if (r->fill == 0)
        *ret_size = FRAME_HEADER_SIZE;

    return r->fill > 0 && verdict == FRAME_WHOLE;
}

int frame_reader_feed(FrameReader *r, const uint8_t *data, size_t length, size_t *ret_taken,
                      const uint8_t **ret_payload, size_t *ret_length)
{
    size_t taken = 0, want;

    drop(r, r->delivered);
    r->delivered = 0;

    /* There is room for at least a byte: what is left behind a frame is shorter than the buffer, and so is
     * what was no whole frame yet. It is taken in any case, so that a caller who goes on while there are
     * bytes gets on. */
    want = r->fill + 1;
    for (;;) {
        size_t n = MIN(want - r->fill, length - taken);

        assert(r->fill + n <= sizeof(r->buf));
        if (n > 0)
            memcpy(r->buf + r->fill, data + taken, n);
        r->fill += n;
        taken += n;

        if (find_frame(r, &want)) {
            r->delivered = want;
            *ret_payload = r->buf + FRAME_HEADER_SIZE;
            *ret_length = want - FRAME_HEADER_SIZE;
            *ret_taken = taken;
            return 1;
        }
        if (taken == length)
            break;
    }

    *ret_taken = taken;
    return 0;
}
