/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "host-agent/show/journal.h"

/* What each kind of line is found by: journalctl MESSAGE_ID=…; documented in ballastd(8), never to be
 * changed. */
#define MESSAGE_MOVE       "de7e4eac48da426fb5888f69b6670f31"
#define MESSAGE_WOULD_MOVE "e636b1d5a2f64c6ea2d9b80bef87b18f"
#define MESSAGE_STALLED    "9160e9bdeea046a18f68a7a93d34387b"
#define MESSAGE_DISTRESS   "e09aacc6347840979e00464c3e5ffc81"
#define MESSAGE_DROPPED    "2e4bb66da28c473ab89f26dcf2dbb72b"
#define MESSAGE_HURTING    "02f130e5f1374e328a09bec4ece977ea"
#define MESSAGE_CLAIM      "8eeea7c9aa04450196d6593eb2f0e001"
#define MESSAGE_FALSE      "b46078ead6ce47439cf4b95784511779"
#define MESSAGE_KSM        "84af8a8e431747efa3afccf232099617"

#define NUMBER_MAX 24 /* a 64-bit number in decimal, with the NUL */

/* The fields that every line about a guest has, and those about a size's change. */
typedef struct Fields {
    LogField fields[7];
    size_t n;
    char from[NUMBER_MAX], to[NUMBER_MAX], available[NUMBER_MAX];
} Fields;

static void add(Fields *f, const char *key, const char *value)
{
    f->fields[f->n++] = (LogField){key, value};
}

static void fields_init(Fields *f, const Guest *g)
{
    f->n = 0;
    add(f, "BALLAST_VM", g->info.name);
    add(f, "BALLAST_UUID", g->info.uuid);
}

static void add_change(Fields *f, const Manager *m, uint64_t from_bytes, uint64_t to_bytes)
{
    snprintf(f->from, sizeof(f->from), "%" PRIu64, from_bytes);
    snprintf(f->to, sizeof(f->to), "%" PRIu64, to_bytes);
    add(f, "BALLAST_FROM_BYTES", f->from);
    add(f, "BALLAST_TO_BYTES", f->to);
    if (host_fields_has(&m->host, HOST_FIELD_AVAILABLE)) {
        snprintf(f->available, sizeof(f->available), "%.0f", host_fields_get(&m->host, HOST_FIELD_AVAILABLE));
        add(f, "BALLAST_HOST_AVAILABLE_BYTES", f->available);
    }
}

static void tell_change(const Manager *m, const Guest *g, int level, bool observed, uint64_t from_bytes,
                        uint64_t to_bytes, const char *reason)
{
    char from[UNITS_FORMAT_MAX], to[UNITS_FORMAT_MAX], available[UNITS_FORMAT_MAX] = "unknown";
    double total = host_fields_get(&m->host, HOST_FIELD_TOTAL);
    Fields f;

    fields_init(&f, g);
    add_change(&f, m, from_bytes, to_bytes);
    add(&f, "BALLAST_REASON", reason);
    add(&f, "BALLAST_RULE", guard_rule_to_string(g->decision.rule));
    if (total > 0)
        format_ratio(available, host_fields_get(&m->host, HOST_FIELD_AVAILABLE) / total);
    log_fields(level, observed ? MESSAGE_WOULD_MOVE : MESSAGE_MOVE, f.fields, f.n,
               "%s: %s%s → %s: %s; host available %s", g->info.name, observed ? "would be " : "",
               format_size(from, from_bytes), format_size(to, to_bytes), reason, available);
}

void journal_move(const Manager *m, const Guest *g, uint64_t from_bytes, uint64_t to_bytes,
                  const char *reason, bool further)
{
    tell_change(m, g, further ? LOG_DEBUG : LOG_INFO, false, from_bytes, to_bytes, reason);
}

void journal_would_move(const Manager *m, const Guest *g, uint64_t from_bytes, uint64_t to_bytes,
                        const char *reason)
{
    tell_change(m, g, LOG_INFO, true, from_bytes, to_bytes, reason);
}

void journal_stalled(const Manager *m, const Guest *g)
{
    const Balloon *b = &g->balloon;
    char at[UNITS_FORMAT_MAX], from[UNITS_FORMAT_MAX], to[UNITS_FORMAT_MAX], wait[UNITS_FORMAT_MAX];
    Fields f;

    fields_init(&f, g);
    add_change(&f, m, b->from_bytes, b->target_bytes);
    log_fields(
        LOG_WARNING, MESSAGE_STALLED, f.fields, f.n,
        "%s: its balloon is stuck at %s on the way from %s to %s; not tried again for %s. Is virtio_balloon loaded in the guest, and can the guest spare that much?",
        g->info.name, format_size(at, b->actual_bytes), format_size(from, b->from_bytes),
        format_size(to, b->target_bytes), format_duration(wait, b->backoff_usec));
}

void journal_distress(const Manager *m, const Guest *g)
{
    const char *cause = distress_cause_to_string(g->distress_cause);
    char size[UNITS_FORMAT_MAX], full[UNITS_FORMAT_MAX];
    Fields f;

    fields_init(&f, g);
    add(&f, "BALLAST_REASON", cause);
    log_fields(
        LOG_NOTICE, MESSAGE_DISTRESS, f.fields, f.n,
        "%s: in distress (%s) at %s of %s: it isn't shrunk, and gets memory back as far as there is room",
        g->info.name, cause, format_size(size, guest_current(g)), format_size(full, g->full.bytes));
}

void journal_dropped(const Manager *m, const Guest *g, const char *why, usec_t retry_usec)
{
    char wait[UNITS_FORMAT_MAX];
    Fields f;

    if (!why)
        why = "it broke the rules of the channel";
    fields_init(&f, g);
    add(&f, "BALLAST_REASON", why);
    log_fields(LOG_WARNING, MESSAGE_DROPPED, f.fields, f.n,
               "%s: its agent isn't heard for %s: %s; libvirt's stats serve meanwhile", g->info.name,
               format_duration(wait, usec_since(now_usec(CLOCK_MONOTONIC), retry_usec)), why);
}

void journal_hurting(const Manager *m, const Guest *g, DistressCause cause)
{
    char size[UNITS_FORMAT_MAX], restore[UNITS_FORMAT_MAX], hold[UNITS_FORMAT_MAX];
    Fields f;

    fields_init(&f, g);
    add_change(&f, m, guest_current(g), g->restore_bytes);
    add(&f, "BALLAST_REASON", distress_cause_to_string(cause));
    log_fields(
        LOG_NOTICE, MESSAGE_HURTING, f.fields, f.n,
        "%s: began to hurt (%s) at %s after it was shrunk: goes back to %s as far as there is room, and isn't shrunk for %s",
        g->info.name, distress_cause_to_string(cause), format_size(size, guest_current(g)),
        format_size(restore, g->restore_bytes), format_duration(hold, g->need.hold_usec));
}

void journal_grant(const Manager *m, const Guest *g, uint64_t from_bytes, uint64_t to_bytes)
{
    char from[UNITS_FORMAT_MAX], to[UNITS_FORMAT_MAX];
    const char *cause = distress_cause_to_string(g->distress_cause);
    Fields f;

    fields_init(&f, g);
    add_change(&f, m, from_bytes, to_bytes);
    add(&f, "BALLAST_REASON", cause);
    log_fields(
        LOG_NOTICE, MESSAGE_CLAIM, f.fields, f.n,
        "%s: gets memory from others: in distress (%s) while the host has little, %s → %s to begin with; whether it uses that is looked at afterwards",
        g->info.name, cause, format_size(from, from_bytes), format_size(to, to_bytes));
}

void journal_unused_grant(const Manager *m, const Guest *g)
{
    char size[UNITS_FORMAT_MAX], wait[UNITS_FORMAT_MAX], times[NUMBER_MAX];
    Fields f;

    snprintf(times, sizeof(times), "%u", g->grant.unused_grants);
    fields_init(&f, g);
    add(&f, "BALLAST_FALSE_CLAIMS", times);
    log_fields(
        LOG_NOTICE, MESSAGE_FALSE, f.fields, f.n,
        "%s: its grant on the memory of others proved false: it didn't use what it was given, and has %s. It waits %s until others give for it again (false grants so far: %s)",
        g->info.name, format_size(size, guest_current(g)), format_duration(wait, g->grant.wait_usec), times);
}

static void tell_ksm_failure(const KsmChange *c)
{
    const char *hint = c->hint ?: "", *dot = c->hint ? "; " : "";

    if (c->outcome == KSM_UNREMEMBERED)
        log_warning_errno(
            c->error,
            "Cannot write down what KSM's controls were before Ballast: %m; should ballastd be killed, they stay as it set them");
    else if (c->outcome == KSM_REFUSED)
        log_warning_errno(c->error, "KSM: %s isn't set: %m%s%s (wanted: %s)", c->name, dot, hint,
                          c->decision->reason);
    else
        log_warning_errno(c->error, "KSM: %s can't be put back to %" PRId64 ": %m%s%s", c->name, c->to, dot,
                          hint);
}

void journal_ksm(const Manager *m, const KsmChange *c)
{
    char from[NUMBER_MAX], to[NUMBER_MAX], available[UNITS_FORMAT_MAX] = "unknown";
    double total = host_fields_get(&m->host, HOST_FIELD_TOTAL);
    const char *reason = c->outcome == KSM_CHANGED    ? c->decision->reason
                         : c->outcome == KSM_RESTORED ? "restored"
                                                      : "changed by somebody else, and left so";
    const LogField fields[] = {
        {"BALLAST_KSM", c->name}, {"BALLAST_FROM", from}, {"BALLAST_TO", to}, {"BALLAST_REASON", reason}};

    snprintf(from, sizeof(from), "%" PRId64, c->from);
    snprintf(to, sizeof(to), "%" PRId64, c->outcome == KSM_FOREIGN ? c->from : c->to);
    switch (c->outcome) {
    case KSM_CHANGED:
        if (total > 0)
            format_ratio(available, host_fields_get(&m->host, HOST_FIELD_AVAILABLE) / total);
        log_fields(LOG_INFO, MESSAGE_KSM, fields, ELEMENTSOF(fields), "KSM: %s; host available %s", reason,
                   available);
        return;
    case KSM_RESTORED:
        log_fields(LOG_INFO, MESSAGE_KSM, fields, ELEMENTSOF(fields),
                   "KSM: %s %s → %s: put back to what it was before Ballast", c->name, from, to);
        return;
    case KSM_FOREIGN:
        log_fields(LOG_NOTICE, MESSAGE_KSM, fields, ELEMENTSOF(fields),
                   "KSM: %s is %s, which somebody else set: left so (before Ballast it was %" PRId64 ")",
                   c->name, from, c->to);
        return;
    case KSM_REFUSED:
    case KSM_STUCK:
    case KSM_UNREMEMBERED:
        tell_ksm_failure(c);
        return;
    }
}
