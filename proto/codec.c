/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Packs messages into frames, and unpacks and validates what came from the other side. */

#include "proto/codec.h"

#include <string.h>

#include "base/macro.h"
#include "proto/frame.h"
#include "proto/guest.pb-c.h"

_Static_assert(REPORT_FIELD_MAX <= 64, "Report.present has a bit for each field");

/* The kinds of limits that a field's value is checked against, by report.def's units. */
typedef enum Unit { BYTES, EVENTS, USEC, CENTIPERCENT } Unit;

static const struct {
    const char *name;
    ReportKind kind;
    Unit unit;
} fields[REPORT_FIELD_MAX] = {
#define REPORT(ID, name, kind, unit, help) [REPORT_##ID] = {#name, REPORT_KIND_##kind, unit},
#include "proto/report.def"
#undef REPORT
};

const char *report_field_name(ReportField f)
{
    return f >= 0 && f < REPORT_FIELD_MAX ? fields[f].name : NULL;
}

ReportKind report_field_kind(ReportField f)
{
    return fields[f].kind;
}

const char *message_type_to_string(MessageType t)
{
    switch (t) {
    case MESSAGE_HELLO:
        return "hello";
    case MESSAGE_WELCOME:
        return "welcome";
    case MESSAGE_CONFIGURE:
        return "configure";
    case MESSAGE_REPORT:
        return "report";
    case MESSAGE_DISTRESS:
        return "distress";
    case MESSAGE_GOODBYE:
        return "goodbye";
    case MESSAGE_TYPE_MAX:
    case MESSAGE_TYPE_INVALID:
        break;
    }

    return NULL;
}

const char *distress_cause_to_string(DistressCause c)
{
    switch (c) {
    case DISTRESS_PSI:
        return "psi";
    case DISTRESS_SWAP_IN:
        return "swap-in";
    case DISTRESS_STALL:
        return "stall";
    case DISTRESS_OOM:
        return "oom";
    case DISTRESS_REFAULT:
        return "refault";
    case DISTRESS_AUTODEFLATE:
        return "auto-deflate";
    }

    return NULL;
}

static int refuse(const char **ret_what, const char *what, int error)
{
    if (ret_what)
        *ret_what = what;
    return error;
}

/* ---- Validation of the plain struct, for messages received and sent ---- */

static int check_text(const char *text, size_t size, const char *name, const char **ret_what)
{
    size_t length = strnlen(text, size);

    if (length == size)
        return refuse(ret_what, name, -ENAMETOOLONG);

    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return refuse(ret_what, name, -EILSEQ);

    return 0;
}

static bool is_hex_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_uuid(const char *s)
{
    for (size_t i = 0; i < 36; i++)
        if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' : !is_hex_digit(s[i]))
            return false;

    return s[36] == '\0';
}

/* The largest value that a field can have. */
static uint64_t field_limit(const Report *r, ReportField f)
{
    if (f == REPORT_MEM_TOTAL || f == REPORT_SWAP_TOTAL)
        return GUEST_MEMORY_MAX_BYTES;
    if (f == REPORT_SWAP_FREE)
        return report_get(r, REPORT_SWAP_TOTAL);
    if (fields[f].unit == CENTIPERCENT)
        return 10000;
    if (fields[f].kind == REPORT_KIND_COUNTER)
        return GUEST_COUNTER_MAX;

    return report_get(r, REPORT_MEM_TOTAL);
}

static int check_report(const Report *r, const char **ret_what)
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

static int check_hello(const Message *m, const char **ret_what)
{
    int r;

    if (m->protocol != PROTOCOL_VERSION)
        return refuse(ret_what, "protocol", -EPROTONOSUPPORT);
    if (!is_uuid(m->boot_id))
        return refuse(ret_what, "boot_id", -EILSEQ);
    if (m->boot_usec > GUEST_UPTIME_MAX_USEC)
        return refuse(ret_what, "boot_usec", -ERANGE);

    r = check_text(m->version, sizeof(m->version), "agent_version", ret_what);
    if (r < 0)
        return r;

    return check_text(m->text, sizeof(m->text), "kernel", ret_what);
}

static int check_welcome(const Message *m, const char **ret_what)
{
    if (m->protocol != PROTOCOL_VERSION)
        return refuse(ret_what, "protocol", -EPROTONOSUPPORT);
    if (!m->has_nonce)
        return refuse(ret_what, "nonce", -ENODATA);

    return check_text(m->version, sizeof(m->version), "host_version", ret_what);
}

static int check_distress(const Message *m, const char **ret_what)
{
    if (m->cause < DISTRESS_PSI || m->cause > DISTRESS_OOM)
        return refuse(ret_what, "cause", -ERANGE);

    return m->report.present == 0 ? 0 : check_report(&m->report, ret_what);
}

static int check_message(const Message *m, const char **ret_what)
{
    switch (m->type) {
    case MESSAGE_HELLO:
        return check_hello(m, ret_what);
    case MESSAGE_WELCOME:
        return check_welcome(m, ret_what);
    case MESSAGE_CONFIGURE:
        if (m->interval_usec < REPORT_INTERVAL_MIN_USEC || m->interval_usec > REPORT_INTERVAL_MAX_USEC)
            return refuse(ret_what, "interval_usec", -ERANGE);
        return 0;
    case MESSAGE_REPORT:
        return check_report(&m->report, ret_what);
    case MESSAGE_DISTRESS:
        return check_distress(m, ret_what);
    case MESSAGE_GOODBYE:
        return check_text(m->text, sizeof(m->text), "reason", ret_what);
    case MESSAGE_TYPE_MAX:
    case MESSAGE_TYPE_INVALID:
        break;
    }

    return refuse(ret_what, "message", -EBADMSG);
}

/* ---- Packing ---- */

static void report_to_pb(const Report *r, Ballast__Report *pb)
{
    ballast__report__init(pb);
    pb->has_at_usec = true;
    pb->at_usec = r->at_usec;

#define REPORT(ID, name, kind, unit, help)             \
    if ((pb->has_##name = report_has(r, REPORT_##ID))) \
        pb->name = r->value[REPORT_##ID];
#include "proto/report.def"
#undef REPORT
}

/* NULL for an empty text, which is not sent. protobuf-c has no const, but does not write when it packs. */
static char *text_to_pb(const char *text)
{
    return *text ? (char *) text : NULL;
}

/* Each message's struct, so that one of them can be filled in and packed. */
typedef struct Messages {
    Ballast__Envelope envelope;
    Ballast__Report report;
    Ballast__Distress distress;
    union {
        Ballast__Hello hello;
        Ballast__Welcome welcome;
        Ballast__Configure configure;
        Ballast__Goodbye goodbye;
    };
} Messages;

static void hello_to_pb(const Message *m, Ballast__Hello *pb)
{
    ballast__hello__init(pb);
    pb->has_protocol = pb->has_boot_usec = pb->has_features = true;
    pb->protocol = m->protocol;
    pb->boot_usec = m->boot_usec;
    pb->features = m->features;
    pb->boot_id = text_to_pb(m->boot_id);
    pb->agent_version = text_to_pb(m->version);
    pb->kernel = text_to_pb(m->text);
}

static void distress_to_pb(const Message *m, Messages *pb)
{
    ballast__distress__init(&pb->distress);
    pb->distress.has_cause = true;
    pb->distress.cause = (Ballast__Distress__Cause) m->cause;
    if (m->report.present != 0) {
        report_to_pb(&m->report, &pb->report);
        pb->distress.report = &pb->report;
    }
}

static void message_to_pb(const Message *m, Messages *pb)
{
    Ballast__Envelope *e = &pb->envelope;

    ballast__envelope__init(e);
    e->has_nonce = m->has_nonce;
    e->nonce = m->nonce;

    switch (m->type) {
    case MESSAGE_HELLO:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_HELLO;
        e->hello = &pb->hello;
        hello_to_pb(m, e->hello);
        break;
    case MESSAGE_WELCOME:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_WELCOME;
        e->welcome = &pb->welcome;
        ballast__welcome__init(e->welcome);
        e->welcome->has_protocol = true;
        e->welcome->protocol = m->protocol;
        e->welcome->host_version = text_to_pb(m->version);
        break;
    case MESSAGE_CONFIGURE:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_CONFIGURE;
        e->configure = &pb->configure;
        ballast__configure__init(e->configure);
        e->configure->has_interval_usec = true;
        e->configure->interval_usec = m->interval_usec;
        break;
    case MESSAGE_REPORT:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_REPORT;
        e->report = &pb->report;
        report_to_pb(&m->report, e->report);
        break;
    case MESSAGE_DISTRESS:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_DISTRESS;
        e->distress = &pb->distress;
        distress_to_pb(m, pb);
        break;
    case MESSAGE_GOODBYE:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_GOODBYE;
        e->goodbye = &pb->goodbye;
        ballast__goodbye__init(e->goodbye);
        e->goodbye->reason = text_to_pb(m->text);
        break;
    case MESSAGE_TYPE_MAX:
    case MESSAGE_TYPE_INVALID:
        break;
    }
}

ssize_t message_pack(const Message *m, uint8_t *buf)
{
    Messages pb;
    size_t length;

    if (check_message(m, NULL) < 0)
        return -EINVAL;

    message_to_pb(m, &pb);
    length = ballast__envelope__get_packed_size(&pb.envelope);
    if (length > FRAME_PAYLOAD_MAX)
        return -EMSGSIZE;

    ballast__envelope__pack(&pb.envelope, buf + FRAME_HEADER_SIZE);
    return frame_finish(buf, length);
}

/* ---- Unpacking ---- */

/* Memory that protobuf-c may use for one message: several times what any message needs, so that fields of
 * later versions fit, but not the 150 KiB or so that 4 KiB of the smallest unknown fields would cost. All of
 * it is freed together. */
typedef struct Arena {
    size_t used;
    _Alignas(max_align_t) uint8_t space[16 * 1024];
} Arena;

static void *arena_alloc(void *data, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    Arena *a = data;
    void *p;

    if (size > sizeof(a->space) - a->used)
        return NULL;

    p = a->space + a->used;
    a->used = MIN((a->used + size + align - 1) / align * align, sizeof(a->space));
    return p;
}

static void arena_free(void *data, void *p)
{
}

/* Copies as much as fits. A copy of one byte more than allowed shows check_text() that the text was too
 * long. */
static int take_text(const char *text, char *buf, size_t size, const char *name, const char **ret_what)
{
    size_t length = text ? strlen(text) : 0;

    if (length >= size)
        return refuse(ret_what, name, -ENAMETOOLONG);

    if (length > 0)
        memcpy(buf, text, length);
    buf[length] = '\0';
    return 0;
}

static void take_report(const Ballast__Report *pb, Report *r)
{
    r->at_usec = pb->has_at_usec ? pb->at_usec : 0;

#define REPORT(ID, name, kind, unit, help) \
    if (pb->has_##name)                    \
        report_set(r, REPORT_##ID, pb->name);
#include "proto/report.def"
#undef REPORT
}

static int take_hello(const Ballast__Hello *pb, Message *m, const char **ret_what)
{
    int r;

    if (!pb->has_protocol)
        return refuse(ret_what, "protocol", -ENODATA);
    m->protocol = pb->protocol;
    if (m->protocol != PROTOCOL_VERSION) /* its other fields may mean anything */
        return refuse(ret_what, "protocol", -EPROTONOSUPPORT);

    if (!pb->boot_id)
        return refuse(ret_what, "boot_id", -ENODATA);
    if (take_text(pb->boot_id, m->boot_id, sizeof(m->boot_id), "boot_id", NULL) < 0)
        return refuse(ret_what, "boot_id", -EILSEQ);

    if (!pb->has_boot_usec)
        return refuse(ret_what, "boot_usec", -ENODATA);
    m->boot_usec = pb->boot_usec;
    m->features = pb->has_features ? pb->features : 0;

    r = take_text(pb->agent_version, m->version, sizeof(m->version), "agent_version", ret_what);
    if (r < 0)
        return r;

    return take_text(pb->kernel, m->text, sizeof(m->text), "kernel", ret_what);
}

static int take_welcome(const Ballast__Welcome *pb, Message *m, const char **ret_what)
{
    if (!pb->has_protocol)
        return refuse(ret_what, "protocol", -ENODATA);
    m->protocol = pb->protocol;
    if (m->protocol != PROTOCOL_VERSION)
        return refuse(ret_what, "protocol", -EPROTONOSUPPORT);

    return take_text(pb->host_version, m->version, sizeof(m->version), "host_version", ret_what);
}

static int take_distress(const Ballast__Distress *pb, Message *m, const char **ret_what)
{
    if (!pb->has_cause)
        return refuse(ret_what, "cause", -ENODATA);
    if (pb->cause < BALLAST__DISTRESS__CAUSE__PSI || pb->cause > BALLAST__DISTRESS__CAUSE__OOM)
        return refuse(ret_what, "cause", -ERANGE);
    m->cause = (DistressCause) pb->cause;

    if (pb->report) {
        take_report(pb->report, &m->report);
        return check_report(&m->report, ret_what);
    }

    return 0;
}

static int take_message(const Ballast__Envelope *e, Message *m, const char **ret_what)
{
    m->has_nonce = e->has_nonce;
    m->nonce = e->has_nonce ? e->nonce : 0;

    switch (e->message_case) {
    case BALLAST__ENVELOPE__MESSAGE_HELLO:
        m->type = MESSAGE_HELLO;
        return take_hello(e->hello, m, ret_what);
    case BALLAST__ENVELOPE__MESSAGE_WELCOME:
        m->type = MESSAGE_WELCOME;
        return take_welcome(e->welcome, m, ret_what);
    case BALLAST__ENVELOPE__MESSAGE_CONFIGURE:
        m->type = MESSAGE_CONFIGURE;
        if (!e->configure->has_interval_usec)
            return refuse(ret_what, "interval_usec", -ENODATA);
        m->interval_usec = e->configure->interval_usec;
        return 0;
    case BALLAST__ENVELOPE__MESSAGE_REPORT:
        m->type = MESSAGE_REPORT;
        take_report(e->report, &m->report);
        return 0;
    case BALLAST__ENVELOPE__MESSAGE_DISTRESS:
        m->type = MESSAGE_DISTRESS;
        return take_distress(e->distress, m, ret_what);
    case BALLAST__ENVELOPE__MESSAGE_GOODBYE:
        m->type = MESSAGE_GOODBYE;
        return take_text(e->goodbye->reason, m->text, sizeof(m->text), "reason", ret_what);
    default: /* the value came from the other side */
        return refuse(ret_what, "message", -EBADMSG);
    }
}

int message_unpack(const uint8_t *payload, size_t length, Message *ret, const char **ret_what)
{
    Arena arena;
    ProtobufCAllocator allocator = {.alloc = arena_alloc, .free = arena_free, .allocator_data = &arena};
    const Ballast__Envelope *e;
    Message m = {};
    int r;

    if (length == 0 || length > FRAME_PAYLOAD_MAX)
        return refuse(ret_what, "envelope", -EBADMSG);

    arena.used = 0;
    e = ballast__envelope__unpack(&allocator, length, payload);
    if (!e)
        return refuse(ret_what, "envelope", -EBADMSG);

    r = take_message(e, &m, ret_what);
    if (r < 0)
        return r;

    r = check_message(&m, ret_what);
    if (r < 0)
        return r;

    *ret = m;
    return 0;
}

/* ---- Reports in sequence ---- */

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
