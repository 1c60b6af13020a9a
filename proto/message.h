/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The messages of guest.proto as plain structs. */

#include "proto/limits.h"
#include "proto/report.h"

#define PROTOCOL_VERSION 1

typedef enum MessageType {
    MESSAGE_HELLO,
    MESSAGE_WELCOME,
    MESSAGE_CONFIGURE,
    MESSAGE_REPORT,
    MESSAGE_DISTRESS,
    MESSAGE_GOODBYE,
    MESSAGE_RECLAIM,
    MESSAGE_COMPACT,
    MESSAGE_RECLAIMED,
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

enum {
    HELLO_FEATURE_PSI = 1,
    HELLO_FEATURE_PSI_TRIGGER = 2,
    HELLO_FEATURE_SWAP = 4,
    /* What the guest does when the host asks. */
    HELLO_FEATURE_COMPACT = 8,
    HELLO_FEATURE_RECLAIM_FILE = 16,
    HELLO_FEATURE_RECLAIM_ANON = 32,
    HELLO_FEATURE_LEVERS = HELLO_FEATURE_COMPACT | HELLO_FEATURE_RECLAIM_FILE | HELLO_FEATURE_RECLAIM_ANON,
};

/* Why a lever ended. */
typedef enum LeverEnd {
    LEVER_END_DONE = 1,
    LEVER_END_REFAULTS, /* what it took was read back */
    LEVER_END_STALLS,   /* tasks waited for memory */
    LEVER_END_NO_MORE,  /* nothing more to be had */
    LEVER_END_BUSY,     /* not begun: another one is running */
    LEVER_END_FAILED,
    LEVER_END_STOPPED, /* the guest is in distress, or its agent ends */
    LEVER_END_MAX,
} LeverEnd;

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

    char levers_missing[GUEST_TEXT_MAX +
                        1]; /* hello: why it lacks some of HELLO_FEATURE_LEVERS; may be empty */
    uint32_t id;            /* reclaim, compact, reclaimed; not 0 */
    uint64_t bytes;         /* reclaim: wanted; reclaimed: got */
    bool anon;              /* reclaim: may take anonymous memory, too */
    /* reclaimed: */
    uint64_t refaulted_bytes;
    usec_t stalled_usec, cpu_usec;
    LeverEnd why;
    int error; /* of LEVER_END_FAILED: a positive errno, or 0 if there is none */
} Message;

const char *message_type_to_string(MessageType t);
const char *distress_cause_to_string(DistressCause c);
const char *lever_end_to_string(LeverEnd e);

/* Whether m is as message_unpack() promises, or message_pack() may send it. Returns 0, or -errno as
 * message_unpack(). */
int message_check(const Message *m, const char **ret_what);
