/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages as plain structs: packed into frames, unpacked and validated. The structs that protoc-c generates
 * stay inside codec.c. A message from message_unpack() is bounded and consistent in itself. What only the
 * host can know (the nonce, counters that went back, figures that do not fit the balloon) is for
 * report_follows() and the link to check. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/time-util.h"
#include "proto/limits.h"

#define PROTOCOL_VERSION 1

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

typedef enum MessageType {
    MESSAGE_HELLO,
    MESSAGE_WELCOME,
    MESSAGE_CONFIGURE,
    MESSAGE_REPORT,
    MESSAGE_DISTRESS,
    MESSAGE_GOODBYE,
    MESSAGE_TYPE_MAX,
    MESSAGE_TYPE_INVALID = -EINVAL,
} MessageType;

typedef enum DistressCause {
    DISTRESS_PSI = 1,
    DISTRESS_SWAP_IN,
    DISTRESS_STALL,
    DISTRESS_OOM,
    /* Found by the host only; never on the wire. */
    DISTRESS_REFAULT,
    DISTRESS_AUTODEFLATE,
} DistressCause;

enum { HELLO_FEATURE_PSI = 1, HELLO_FEATURE_PSI_TRIGGER = 2, HELLO_FEATURE_SWAP = 4 };

typedef struct Message {
    MessageType type;
    bool has_nonce;
    uint32_t nonce;
    uint32_t protocol;                /* hello, welcome */
    char version[GUEST_TEXT_MAX + 1]; /* hello, welcome: of the agent that sends it; may be empty */
    char boot_id[37];                 /* hello */
    usec_t boot_usec;                 /* hello */
    uint32_t features;                /* hello */
    char text[GUEST_TEXT_MAX + 1];    /* hello: kernel; goodbye: reason; may be empty */
    usec_t interval_usec;             /* configure */
    DistressCause cause;              /* distress */
    Report report;                    /* report, distress */
} Message;

const char *message_type_to_string(MessageType t);
const char *distress_cause_to_string(DistressCause c);

/* Packs m into a whole frame in buf (at least FRAME_MAX). Returns the frame's length, or -EINVAL for a
 * message that message_unpack() would refuse. The kernel reads its figures one after the other, so a part can
 * come out above its total while a balloon deflates: the maker of a Report lowers it to the total. */
ssize_t message_pack(const Message *m, uint8_t *buf);

/* Unpacks and validates one frame's payload. It uses no heap and a fixed amount of stack.
 * Returns 0 and fills *ret, or one of these, with *ret_what (may be NULL) the field or message concerned, a
 * static string:
 *
 * - EBADMSG: not an Envelope, one without a known message, or one with far more fields than any message needs.
 * - ENODATA: a field that the message needs is missing. Hello: protocol, boot_id, boot_usec.
 *   Welcome: protocol, nonce. Configure: interval_usec. Report: at_usec, mem_total, mem_free.
 *   Distress: cause; it may lack a Report (then present is 0), but a Report in it is complete.
 * - ERANGE: an impossible value. mem_total 0; mem_total or swap_total above GUEST_MEMORY_MAX_BYTES; free,
 *   available, buffers, cached, sreclaimable, shmem, anon_pages, dirty, mlocked or low_watermark above
 *   mem_total; swap_free above swap_total; an average above 10000; a counter above GUEST_COUNTER_MAX; at_usec
 *   or boot_usec above GUEST_UPTIME_MAX_USEC; an interval outside its limits; an unknown cause.
 * - ENAMETOOLONG: a text that is too long.
 * - EILSEQ: a text with anything but printable ASCII (a NUL ends it), or a boot_id that is not a UUID.
 * - EPROTONOSUPPORT: Hello or Welcome with another protocol version. */
int message_unpack(const uint8_t *payload, size_t length, Message *ret, const char **ret_what);

/* Whether next may follow previous within one boot: neither time nor a counter goes back. Returns 0, or
 * -ESTALE with *ret_what (may be NULL) the field. Fields that one of the two lacks are not compared. */
int report_follows(const Report *previous, const Report *next, const char **ret_what);
