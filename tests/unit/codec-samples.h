/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A Report and a Distress with all fields, and what their tests do with a message. */

#include <check.h>

#include "base/units.h"
#include "proto/codec.h"
#include "proto/frame.h"

#define BOOT_ID "6fd5c1ab-91c9-4ee6-b9f9-0d3b3c1d8a55"

/* Sizes in Details are sent in units of 64 KiB. */
static inline bool is_detail_size(ReportField f)
{
    return f >= REPORT_FREE_BLOCKS && f != REPORT_REPORTING;
}

/* All fields, each with a value of its own. */
static inline Message full_report(void)
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

static inline Message full_distress(void)
{
    Message m = full_report();

    m.type = MESSAGE_DISTRESS;
    m.cause = DISTRESS_STALL;
    return m;
}

static inline void expect_same(const Message *a, const Message *b)
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

static inline ssize_t pack(const Message *m, uint8_t *frame)
{
    ssize_t n = message_pack(m, frame);

    ck_assert_msg(n > 0, "%s: %zd", message_type_to_string(m->type), n);
    return n;
}
