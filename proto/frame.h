/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Frames on the channel. The header, little-endian: magic "BLST" (4 bytes), payload length (2), version (1) =
 * 1, flags (1) = 0, CRC-32C of the length's two bytes and the payload (4). Then the payload, 1 … 4096 bytes.
 *
 * The reader takes any bytes. It never allocates and holds one frame. On a bad magic, length, version, flags
 * or checksum it drops one byte and looks for the next magic, so it finds a frame after rubbish, or inside a
 * frame that was cut off. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/limits.h"

typedef struct FrameReader {
    uint8_t buf[FRAME_MAX];
    size_t fill;
    size_t delivered;       /* bytes at the start of buf that the last call returned as a frame */
    uint64_t rubbish_bytes; /* bytes dropped since frame_reader_init, cumulative */
    uint64_t bad_frames;    /* complete frames or headers that were refused, cumulative */
} FrameReader;

void frame_reader_init(FrameReader *r);
/* Takes up to length bytes of data and stops after the first whole frame. *ret_taken: bytes taken (> 0 unless
 * length is 0). Returns 1 for a frame: its *ret_payload and *ret_length are valid until the next call.
 * Returns 0 if all bytes were taken and complete no frame. Call it again with the rest until all bytes are
 * taken and it returns 0: the payload of a bad frame may contain several good ones. */
int frame_reader_feed(FrameReader *r, const uint8_t *data, size_t length, size_t *ret_taken,
                      const uint8_t **ret_payload, size_t *ret_length);

/* Writes the header for payload (already at buf + FRAME_HEADER_SIZE). Returns the frame's whole length, or
 * -EMSGSIZE if length is 0 or above FRAME_PAYLOAD_MAX. */
ssize_t frame_finish(uint8_t *buf, size_t length);
