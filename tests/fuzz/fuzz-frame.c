/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a guest may send: the input is taken as a channel's bytes, and as one payload, too, since no fuzzer
 * hits upon checksums. */

#include <string.h>

#include "base/crc32c.h"
#include "base/macro.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

/* An accepted message can be packed, and reads back the same. */
static void check_payload(const uint8_t *payload, size_t length)
{
    static uint8_t first[FRAME_MAX], second[FRAME_MAX];
    const char *what = NULL;
    Message m, again;
    ssize_t n;
    int r;

    r = message_unpack(payload, length, &m, &what);
    if (r < 0) {
        assert(what);
        return;
    }

    n = message_pack(&m, first);
    assert(n > 0 && (size_t) n <= FRAME_MAX);
    r = message_unpack(first + FRAME_HEADER_SIZE, (size_t) n - FRAME_HEADER_SIZE, &again, NULL);
    assert(r == 0);
    assert(message_pack(&again, second) == n && memcmp(first, second, (size_t) n) == 0);

    if (m.type == MESSAGE_REPORT)
        assert(report_follows(&m.report, &m.report, NULL) == 0);
}

/* Reads the stream in pieces. Returns a checksum over the frames found. */
static uint32_t read_stream(const uint8_t *data, size_t size, size_t piece, bool check)
{
    static FrameReader reader;
    size_t frames = 0, frame_bytes = 0;
    uint32_t crc = 0;

    frame_reader_init(&reader);
    for (size_t at = 0; at < size;) {
        const uint8_t *p = data + at;
        size_t n = MIN(piece, size - at), taken, length;
        const uint8_t *payload;
        int r;

        at += n;
        do {
            r = frame_reader_feed(&reader, p, n, &taken, &payload, &length);
            assert(r == 0 || r == 1);
            assert(taken <= n && (taken > 0 || n == 0));
            assert(r == 1 || taken == n);
            p += taken;
            n -= taken;
            if (r == 0)
                continue;

            assert(length > 0 && length <= FRAME_PAYLOAD_MAX);
            crc = crc32c_extend(crc32c_extend(crc, &length, sizeof(length)), payload, length);
            frames++;
            frame_bytes += FRAME_HEADER_SIZE + length;
            if (check)
                check_payload(payload, length);
        } while (r == 1);
    }

    /* No byte is lost or counted twice. */
    assert(frame_bytes + reader.rubbish_bytes + reader.fill - reader.delivered == size);
    return crc32c_extend(crc, &frames, sizeof(frames));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t whole;

    check_payload(data, size);
    whole = read_stream(data, size, MAX(size, 1U), true);
    assert(read_stream(data, size, 1, false) == whole);
    assert(read_stream(data, size, 13, false) == whole);
    return 0;
}
