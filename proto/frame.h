/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Frames on the channel. The header, little-endian: magic "BLST" (4 bytes), payload length (2), version (1) =
 * 1, flags (1) = 0, CRC-32C of the payload preceded by the length's two bytes (4); then the payload, 1 … 4096
 * bytes.
 *
 * The reader is a state over bytes that may be anything. It never allocates; it holds one frame. On a bad
 * magic, length, version, flags or checksum it drops one byte and looks for the next magic, so a frame behind
 * rubbish, or inside a frame that was cut off, is found. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/limits.h"

typedef struct FrameReader {
    uint8_t buf[FRAME_MAX];
    size_t fill;
    size_t delivered;       /* bytes at the start that the last call returned as a frame */
    uint64_t rubbish_bytes; /* bytes dropped since frame_reader_init, cumulative */
    uint64_t bad_frames;    /* complete headers that were refused, cumulative */
} FrameReader;

void frame_reader_init(FrameReader *r);
/* Takes up to length bytes of data, stopping behind the first whole frame. *ret_taken: how many were taken (>
 * 0 unless length is 0). Returns 1 when a frame is there: *ret_payload and *ret_length, valid until the next
 * call; 0 when all was taken without completing a frame. Call again with the rest until all is taken and 0 is
 * returned: what was taken for the payload of a frame that proves bad may hold several good ones. */
int frame_reader_feed(FrameReader *r, const uint8_t *data, size_t length, size_t *ret_taken,
                      const uint8_t **ret_payload, size_t *ret_length);

/* Writes the header for payload (already at buf + FRAME_HEADER_SIZE). Returns the frame's whole length, or
 * -EMSGSIZE where length is 0 or above FRAME_PAYLOAD_MAX. */
ssize_t frame_finish(uint8_t *buf, size_t length);
