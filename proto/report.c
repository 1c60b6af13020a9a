/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which values a guest's figures can have, by themselves, together, and one after the other. */

#include "proto/report.h"

#include "base/macro.h"
#include "proto/limits.h"
#include "proto/refuse.h"

_Static_assert(REPORT_FIELD_MAX <= 64, "Report.present has a bit for each field");

/* The kinds of limits that a field's value is checked against, by report.def's units. */
typedef enum Unit { BYTES, EVENTS, USEC, CENTIPERCENT, BOOLEAN } Unit;

static const struct {
    const char *name;
    ReportKind kind;
    Unit unit;
} fields[REPORT_FIELD_MAX] = {
#define REPORT(ID, name, kind, unit, help) [REPORT_##ID] = {#name, REPORT_KIND_##kind, unit},
#include "proto/report.def"
#undef REPORT
};

/* No page is in two of these, so that they can't be more than the whole together. */
static const ReportField disjoint[] = {
    REPORT_MEM_FREE,    REPORT_ACTIVE_FILE,   REPORT_INACTIVE_FILE,
    REPORT_ACTIVE_ANON, REPORT_INACTIVE_ANON, REPORT_ARC,
};

const char *report_field_name(ReportField f)
{
    return f >= 0 && f < REPORT_FIELD_MAX ? fields[f].name : NULL;
}

ReportKind report_field_kind(ReportField f)
{
    return fields[f].kind;
}

/* What the disjoint parts listed before f leave of the guest's memory; all of it if f isn't one of them. */
static uint64_t left_for(const Report *r, ReportField f)
{
    uint64_t total = report_get(r, REPORT_MEM_TOTAL), left = total;

    for (size_t i = 0; i < ELEMENTSOF(disjoint); i++) {
        if (disjoint[i] == f)
            return left;
        left = LESS_BY(left, report_get(r, disjoint[i]));
    }
    return total;
}

/* The size of a field that another is a part of, or of the guest's memory if the report lacks it. */
static uint64_t at_most(const Report *r, ReportField whole)
{
    return report_get(r, report_has(r, whole) ? whole : REPORT_MEM_TOTAL);
}

/* The largest value that a field can have, given those before it in the table. */
static uint64_t field_limit(const Report *r, ReportField f)
{
    if (fields[f].unit == CENTIPERCENT)
        return 10000;
    if (fields[f].unit == BOOLEAN)
        return 1;
    if (fields[f].kind == REPORT_KIND_COUNTER)
        return GUEST_COUNTER_MAX;

    /* The kernel lets an administrator set the commit limit to anything. */
    if (f == REPORT_MEM_TOTAL || f == REPORT_SWAP_TOTAL || f == REPORT_COMMITTED || f == REPORT_COMMIT_LIMIT)
        return GUEST_MEMORY_MAX_BYTES;
    if (f == REPORT_SWAP_FREE || f == REPORT_SWAP_MEMORY || f == REPORT_SWAP_MEMORY_FREE)
        return report_get(r, REPORT_SWAP_TOTAL);
    if (f == REPORT_FREE_BLOCKS)
        return report_get(r, REPORT_MEM_FREE);
    if (f == REPORT_COLD_10S && report_has(r, REPORT_ACTIVE_FILE) && report_has(r, REPORT_INACTIVE_FILE))
        return r->value[REPORT_ACTIVE_FILE] + r->value[REPORT_INACTIVE_FILE];
    if (f == REPORT_COLD_60S)
        return at_most(r, REPORT_COLD_10S);
    if (f == REPORT_COLD_600S)
        return at_most(r, REPORT_COLD_60S);
    return left_for(r, f);
}

int report_check(const Report *r, const char **ret_what)
{
    static const ReportField needed[] = {REPORT_MEM_TOTAL, REPORT_MEM_FREE};

    if (r->at_usec == 0)
        return refuse(ret_what, "at_usec", -ENODATA);
    if (r->at_usec > GUEST_UPTIME_MAX_USEC)
        return refuse(ret_what, "at_usec", -ERANGE);

    for (size_t i = 0; i < ELEMENTSOF(needed); i++)
        if (!report_has(r, needed[i]))
            return refuse(ret_what, fields[needed[i]].name, -ENODATA);
    if (r->value[REPORT_MEM_TOTAL] == 0)
        return refuse(ret_what, fields[REPORT_MEM_TOTAL].name, -ERANGE);

    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++)
        if (report_has(r, f) && r->value[f] > field_limit(r, f))
            return refuse(ret_what, fields[f].name, -ERANGE);

    return 0;
}

void report_fit(Report *r, uint64_t maximum_bytes)
{
    if (report_has(r, REPORT_MEM_TOTAL))
        r->value[REPORT_MEM_TOTAL] = MIN(r->value[REPORT_MEM_TOTAL], maximum_bytes);
    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++)
        if (report_has(r, f))
            r->value[f] = MIN(r->value[f], field_limit(r, f));
}

int report_follows(const Report *previous, const Report *next, const char **ret_what)
{
    if (previous->at_usec != 0 && next->at_usec != 0 && next->at_usec < previous->at_usec)
        return refuse(ret_what, "at_usec", -ESTALE);

    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++)
        if (fields[f].kind == REPORT_KIND_COUNTER && report_has(previous, f) && report_has(next, f) &&
            next->value[f] < previous->value[f])
            return refuse(ret_what, fields[f].name, -ESTALE);

    return 0;
}
