/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Packs messages into frames, and unpacks and validates what came from the other side. */

#include "proto/codec.h"

#include <string.h>

#include "base/macro.h"
#include "proto/frame.h"
#include "proto/guest.pb-c.h"
#include "proto/refuse.h"

/* ---- Packing ---- */

/* Whether any field of a report is one of Details. */
static bool has_details(const Report *r)
{
    const uint64_t details = 0
#define REPORT(ID, name, kind, unit, help)
#define DETAIL(ID, name, kind, unit, help) | UINT64_C(1) << REPORT_##ID
#include "proto/report.def"
#undef REPORT
        ;

    return r->present & details;
}

/* The units of Details, by report.def's units. */
enum { DETAIL_BYTES = DETAIL_UNIT_BYTES, DETAIL_BOOLEAN = 1 };

static void details_to_pb(const Report *r, Ballast__Details *pb)
{
    ballast__details__init(pb);

#define REPORT(ID, name, kind, unit, help)
#define DETAIL(ID, name, kind, unit, help)             \
    if ((pb->has_##name = report_has(r, REPORT_##ID))) \
        pb->name = r->value[REPORT_##ID] / DETAIL_##unit;
#include "proto/report.def"
#undef REPORT
}

static void report_to_pb(const Report *r, Ballast__Report *pb, Ballast__Details *details)
{
    ballast__report__init(pb);
    pb->has_at_usec = true;
    pb->at_usec = r->at_usec;

#define DETAIL(ID, name, kind, unit, help)
#define REPORT(ID, name, kind, unit, help)             \
    if ((pb->has_##name = report_has(r, REPORT_##ID))) \
        pb->name = r->value[REPORT_##ID];
#include "proto/report.def"
#undef REPORT

    if (has_details(r)) {
        details_to_pb(r, details);
        pb->details = details;
    }
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
    Ballast__Details details;
    Ballast__Distress distress;
    union {
        Ballast__Hello hello;
        Ballast__Welcome welcome;
        Ballast__Configure configure;
        Ballast__Goodbye goodbye;
        Ballast__Reclaim reclaim;
        Ballast__Compact compact;
        Ballast__Reclaimed reclaimed;
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
    pb->levers_missing = text_to_pb(m->levers_missing);
}

static void distress_to_pb(const Message *m, Messages *pb)
{
    ballast__distress__init(&pb->distress);
    pb->distress.has_cause = true;
    pb->distress.cause = (Ballast__Distress__Cause) m->cause;
    if (m->report.present != 0) {
        report_to_pb(&m->report, &pb->report, &pb->details);
        pb->distress.report = &pb->report;
    }
}

static void welcome_to_pb(const Message *m, Ballast__Welcome *pb)
{
    ballast__welcome__init(pb);
    pb->has_protocol = true;
    pb->protocol = m->protocol;
    pb->host_version = text_to_pb(m->version);
}

static void configure_to_pb(const Message *m, Ballast__Configure *pb)
{
    ballast__configure__init(pb);
    pb->has_interval_usec = true;
    pb->interval_usec = m->interval_usec;
}

static void goodbye_to_pb(const Message *m, Ballast__Goodbye *pb)
{
    ballast__goodbye__init(pb);
    pb->reason = text_to_pb(m->text);
}

static void compact_to_pb(const Message *m, Ballast__Compact *pb)
{
    ballast__compact__init(pb);
    pb->has_id = true;
    pb->id = m->id;
}

static void reclaim_to_pb(const Message *m, Ballast__Reclaim *pb)
{
    ballast__reclaim__init(pb);
    pb->has_id = pb->has_bytes = true;
    pb->id = m->id;
    pb->bytes = m->bytes;
    pb->has_anon = pb->anon = m->anon;
}

static void reclaimed_to_pb(const Message *m, Ballast__Reclaimed *pb)
{
    ballast__reclaimed__init(pb);
    pb->has_id = pb->has_got = pb->has_refaulted = pb->has_stalled_usec = pb->has_cpu_usec = pb->has_why =
        true;
    pb->id = m->id;
    pb->got = m->bytes;
    pb->refaulted = m->refaulted_bytes;
    pb->stalled_usec = m->stalled_usec;
    pb->cpu_usec = m->cpu_usec;
    pb->why = (Ballast__Reclaimed__Why) m->why;
    pb->has_error = m->error > 0;
    pb->error = (uint32_t) m->error;
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
        welcome_to_pb(m, e->welcome);
        break;
    case MESSAGE_CONFIGURE:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_CONFIGURE;
        e->configure = &pb->configure;
        configure_to_pb(m, e->configure);
        break;
    case MESSAGE_REPORT:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_REPORT;
        e->report = &pb->report;
        report_to_pb(&m->report, e->report, &pb->details);
        break;
    case MESSAGE_DISTRESS:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_DISTRESS;
        e->distress = &pb->distress;
        distress_to_pb(m, pb);
        break;
    case MESSAGE_GOODBYE:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_GOODBYE;
        e->goodbye = &pb->goodbye;
        goodbye_to_pb(m, e->goodbye);
        break;
    case MESSAGE_RECLAIM:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_RECLAIM;
        e->reclaim = &pb->reclaim;
        reclaim_to_pb(m, e->reclaim);
        break;
    case MESSAGE_COMPACT:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_COMPACT;
        e->compact = &pb->compact;
        compact_to_pb(m, e->compact);
        break;
    case MESSAGE_RECLAIMED:
        e->message_case = BALLAST__ENVELOPE__MESSAGE_RECLAIMED;
        e->reclaimed = &pb->reclaimed;
        reclaimed_to_pb(m, e->reclaimed);
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

    if (message_check(m, NULL) < 0)
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

/* Saturates, so that a size too large for a number is still too large for a guest. */
static uint64_t detail_value(uint64_t value, uint64_t unit)
{
    return value > UINT64_MAX / unit ? UINT64_MAX : value * unit;
}

static void take_details(const Ballast__Details *pb, Report *r)
{
#define REPORT(ID, name, kind, unit, help)
#define DETAIL(ID, name, kind, unit, help) \
    if (pb->has_##name)                    \
        report_set(r, REPORT_##ID, detail_value(pb->name, DETAIL_##unit));
#include "proto/report.def"
#undef REPORT
}

static void take_report(const Ballast__Report *pb, Report *r)
{
    r->at_usec = pb->has_at_usec ? pb->at_usec : 0;

#define DETAIL(ID, name, kind, unit, help)
#define REPORT(ID, name, kind, unit, help) \
    if (pb->has_##name)                    \
        report_set(r, REPORT_##ID, pb->name);
#include "proto/report.def"
#undef REPORT

    if (pb->details)
        take_details(pb->details, r);
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

    r = take_text(pb->kernel, m->text, sizeof(m->text), "kernel", ret_what);
    if (r < 0)
        return r;

    return take_text(pb->levers_missing, m->levers_missing, sizeof(m->levers_missing), "levers_missing",
                     ret_what);
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
        return report_check(&m->report, ret_what);
    }

    return 0;
}

static int take_reclaim(const Ballast__Reclaim *pb, Message *m, const char **ret_what)
{
    if (!pb->has_id)
        return refuse(ret_what, "id", -ENODATA);
    m->id = pb->id;
    if (!pb->has_bytes)
        return refuse(ret_what, "bytes", -ENODATA);
    m->bytes = pb->bytes;
    m->anon = pb->has_anon && pb->anon;
    return 0;
}

static int take_reclaimed(const Ballast__Reclaimed *pb, Message *m, const char **ret_what)
{
    if (!pb->has_id)
        return refuse(ret_what, "id", -ENODATA);
    m->id = pb->id;
    if (!pb->has_got)
        return refuse(ret_what, "got", -ENODATA);
    m->bytes = pb->got;
    if (!pb->has_why)
        return refuse(ret_what, "why", -ENODATA);
    if (pb->why < BALLAST__RECLAIMED__WHY__DONE || pb->why > BALLAST__RECLAIMED__WHY__STOPPED)
        return refuse(ret_what, "why", -ERANGE);
    m->why = (LeverEnd) pb->why;
    m->refaulted_bytes = pb->has_refaulted ? pb->refaulted : 0;
    m->stalled_usec = pb->has_stalled_usec ? pb->stalled_usec : 0;
    m->cpu_usec = pb->has_cpu_usec ? pb->cpu_usec : 0;
    if (pb->has_error && pb->error > ERRNO_MAX)
        return refuse(ret_what, "error", -ERANGE);
    m->error = pb->has_error ? (int) pb->error : 0;
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
    case BALLAST__ENVELOPE__MESSAGE_RECLAIM:
        m->type = MESSAGE_RECLAIM;
        return take_reclaim(e->reclaim, m, ret_what);
    case BALLAST__ENVELOPE__MESSAGE_COMPACT:
        m->type = MESSAGE_COMPACT;
        if (!e->compact->has_id)
            return refuse(ret_what, "id", -ENODATA);
        m->id = e->compact->id;
        return 0;
    case BALLAST__ENVELOPE__MESSAGE_RECLAIMED:
        m->type = MESSAGE_RECLAIMED;
        return take_reclaimed(e->reclaimed, m, ret_what);
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

    r = message_check(&m, ret_what);
    if (r < 0)
        return r;

    *ret = m;
    return 0;
}
