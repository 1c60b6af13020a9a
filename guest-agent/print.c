/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints a Report as a table or as JSON, for --once. */

#include "guest-agent/print.h"

#include <inttypes.h>

#include "base/macro.h"
#include "base/units.h"

typedef enum Unit { UNIT_BYTES, UNIT_EVENTS, UNIT_USEC, UNIT_CENTIPERCENT, UNIT_BOOLEAN } Unit;

static const struct {
    const char *name, *help;
    Unit unit;
} fields[REPORT_FIELD_MAX] = {
#define REPORT(ID, id, kind, u, about) [REPORT_##ID] = {.name = #id, .help = about, .unit = UNIT_##u},
#include "proto/report.def"
#undef REPORT
};

static const char *format_value(char *buf, Unit unit, uint64_t value)
{
    switch (unit) {
    case UNIT_BYTES:
        return format_size(buf, value);
    case UNIT_USEC:
        return format_duration(buf, value);
    case UNIT_CENTIPERCENT:
        snprintf(buf, UNITS_FORMAT_MAX, "%" PRIu64 ".%02" PRIu64 "%%", value / 100, value % 100);
        return buf;
    case UNIT_BOOLEAN:
        return value ? "yes" : "no";
    case UNIT_EVENTS:
        break;
    }
    snprintf(buf, UNITS_FORMAT_MAX, "%" PRIu64, value);
    return buf;
}

void report_print_text(FILE *f, const Report *r)
{
    char buf[UNITS_FORMAT_MAX];

    fprintf(f, "%-22s %14s  %s\n", "at", format_duration(buf, r->at_usec), "since boot");
    for (ReportField i = 0; i < REPORT_FIELD_MAX; i++)
        fprintf(f, "%-22s %14s  %s\n", fields[i].name,
                report_has(r, i) ? format_value(buf, fields[i].unit, r->value[i]) : "-", fields[i].help);
}

static void print_json_member(FILE *f, const char *name, Unit unit, uint64_t value)
{
    switch (unit) {
    case UNIT_BYTES:
        fprintf(f, ",\n  \"%s_bytes\": %" PRIu64, name, value);
        break;
    case UNIT_USEC:
        fprintf(f, ",\n  \"%s_usec\": %" PRIu64, name, value);
        break;
    case UNIT_CENTIPERCENT:
        fprintf(f, ",\n  \"%s_ratio\": %" PRIu64 ".%04" PRIu64, name, value / 10000, value % 10000);
        break;
    case UNIT_BOOLEAN:
        fprintf(f, ",\n  \"%s\": %s", name, value ? "true" : "false");
        break;
    case UNIT_EVENTS:
        fprintf(f, ",\n  \"%s\": %" PRIu64, name, value);
        break;
    }
}

void report_print_json(FILE *f, const Report *r)
{
    fprintf(f, "{\n  \"at_usec\": %" PRIu64, r->at_usec);
    for (ReportField i = 0; i < REPORT_FIELD_MAX; i++)
        if (report_has(r, i))
            print_json_member(f, fields[i].name, fields[i].unit, r->value[i]);
    fputs("\n}\n", f);
}
