/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An agent's messages, as such and as the bytes of its channel; and the host's bytes, read as messages. */

#include <check.h>
#include <string.h>

#include "base/units.h"
#include "proto/codec.h"
#include "proto/frame.h"

#define BOOT_A "11111111-2222-4333-8444-555555555555"
#define BOOT_B "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

static inline Message agent_hello(const char *boot_id)
{
    Message m = {.type = MESSAGE_HELLO, .protocol = PROTOCOL_VERSION, .boot_usec = USEC_PER_SEC};

    strcpy(m.version, "0.1.0");
    strcpy(m.boot_id, boot_id);
    return m;
}

static inline Message agent_report(uint32_t nonce, usec_t at_usec)
{
    Message m = {.type = MESSAGE_REPORT, .has_nonce = true, .nonce = nonce};

    m.report.at_usec = at_usec;
    report_set(&m.report, REPORT_MEM_TOTAL, GIB);
    report_set(&m.report, REPORT_MEM_FREE, 300 * MIB);
    report_set(&m.report, REPORT_SWAP_IN, 5 * MIB);
    return m;
}

/* Returns the length. */
static inline size_t agent_pack(const Message *m, uint8_t buf[static FRAME_MAX])
{
    ssize_t n = message_pack(m, buf);

    ck_assert_int_gt(n, 0);
    return (size_t) n;
}

/* The one message that these bytes are. */
static inline Message agent_read(const uint8_t *data, size_t length)
{
    FrameReader reader;
    const uint8_t *payload;
    size_t taken, n;
    Message m;

    frame_reader_init(&reader);
    ck_assert_int_eq(frame_reader_feed(&reader, data, length, &taken, &payload, &n), 1);
    ck_assert_uint_eq(taken, length);
    ck_assert_int_eq(message_unpack(payload, n, &m, NULL), 0);
    return m;
}
