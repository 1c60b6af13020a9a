/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finds frames in a stream of bytes, and writes their headers. */

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

/* Judges the n bytes at p. *ret_size: for FRAME_SHORT, how many bytes are needed to judge further; for
 * FRAME_WHOLE, the frame's size. */
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

/* Drops bytes that are no frame from the start of the buffer. Returns whether a whole frame is at the start
 * then; *ret_size as of judge(). */
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

    /* The buffer has room for at least one byte: the bytes after a frame, or of an incomplete one, are fewer
     * than its size. One byte is always taken, so that a caller who loops while bytes are left makes
     * progress. */
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
