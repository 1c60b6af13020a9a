/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A guest's memory figures at one moment: what report.def lists, which values are possible, and which may follow each
 * other. */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/time-util.h"

typedef enum ReportField {
#define REPORT(ID, name, kind, unit, help) REPORT_##ID,
#include "proto/report.def"
#undef REPORT
    REPORT_FIELD_MAX,
    REPORT_FIELD_INVALID = -EINVAL,
} ReportField;

typedef enum ReportKind { REPORT_KIND_GAUGE, REPORT_KIND_COUNTER } ReportKind;

/* A guest's memory at one moment. A field is valid where its bit in present is set (1 << ReportField). */
typedef struct Report {
    usec_t at_usec; /* the guest's CLOCK_BOOTTIME; 0 where the source has none */
    uint64_t present;
    uint64_t value[REPORT_FIELD_MAX];
} Report;

static inline bool report_has(const Report *r, ReportField f)
{
    return r->present & (UINT64_C(1) << f);
}

static inline void report_set(Report *r, ReportField f, uint64_t value)
{
    r->present |= UINT64_C(1) << f;
    r->value[f] = value;
}

/* The value, or 0 if the report lacks it. */
static inline uint64_t report_get(const Report *r, ReportField f)
{
    return report_has(r, f) ? r->value[f] : 0;
}

const char *report_field_name(ReportField f);
ReportKind report_field_kind(ReportField f);

/* Whether the values are possible, each by itself and together (see message_unpack()). Returns 0, or -ENODATA
 * (something that each report has is missing) or -ERANGE, with *ret_what (may be NULL) the field. */
int report_check(const Report *r, const char **ret_what);

/* Lowers each value to the largest that is possible in a guest of at most maximum_bytes. The kernel reads its figures
 * one after the other, so a part can come out above its total while a balloon deflates; the host would refuse the whole
 * report. Of what a balloon driver says, nobody else has checked anything. */
void report_fit(Report *r, uint64_t maximum_bytes);

/* Whether next may follow previous within one boot: neither time nor a counter goes back. Returns 0, or
 * -ESTALE with *ret_what (may be NULL) the field. Fields that one of the two lacks are not compared. */
int report_follows(const Report *previous, const Report *next, const char **ret_what);
