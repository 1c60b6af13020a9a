/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What happened, as plain values: the rooms below show/ and keep/ report it, and don't know who listens.
 *
 * A notice is complete in itself: it points to nothing that may change or end, so a listener may copy and keep
 * it. Listeners are called at once, in the order in which main.c added them (the journal first, so that a log
 * line stands before the signal on the bus). They may ask for a cycle, and must not change what they hear of. */

#include "base/time-util.h"
#include "host-agent/decide/guard.h"
#include "proto/codec.h"

#define NOTICE_UUID_MAX 37U
#define NOTICE_NAME_MAX 256U
#define NOTICE_TEXT_MAX 512U

typedef enum NoticeKind {
    NOTICE_MOVE,         /* a target was sent: from, to, text: the reason, rule, further */
    NOTICE_WOULD_MOVE,   /* mode observe, once for each change of mind: as MOVE */
    NOTICE_STALLED,      /* its balloon makes no progress: current, from, to, wait: until it is tried again */
    NOTICE_DISTRESS,     /* it is in distress: current, full, cause */
    NOTICE_HURTING,      /* it suffers from a shrink: current, to: its restore size, cause, wait: how long it
                           * isn't shrunk */
    NOTICE_GRANT,        /* in distress, it gets the first memory taken from others: from, to, cause */
    NOTICE_UNUSED_GRANT, /* it didn't use that: current, wait: until it is granted more, count: so far */
    NOTICE_AGENT_DROPPED, /* its agent broke the channel's rules: text: how, wait: until it is heard again */
    NOTICE_KSM,           /* one of KSM's controls: ksm, text: the reason or the hint */
    NOTICE_MODE,          /* the daemon's mode is another: mode */
    NOTICE_GUEST_ADDED,
    NOTICE_GUEST_REMOVED,
    NOTICE_ENTITLED,     /* libvirt wrote an entitlement (error 0), or didn't: error, text: why, or empty */
    NOTICE_LIBVIRT_LOST, /* text: why */
    NOTICE_KIND_MAX,
    NOTICE_KIND_INVALID = -EINVAL,
} NoticeKind;

/* What became of one of KSM's controls. */
typedef enum KsmOutcome {
    KSM_CHANGED,      /* from → to, as decided */
    KSM_REFUSED,      /* the kernel doesn't take it: error; not tried again until something changes */
    KSM_RESTORED,     /* from → to, which it was before */
    KSM_FOREIGN,      /* not put back: it is from, which isn't what was written last; forgotten */
    KSM_STUCK,        /* not put back, since the kernel doesn't take it: error; tried again as above */
    KSM_UNREMEMBERED, /* the file can't be written: error; a daemon that is killed leaves the controls so */
} KsmOutcome;

typedef struct NoticeKsm {
    KsmOutcome outcome;
    char name[32];              /* of its file in sysfs */
    int64_t from, to;           /* as its file has them; to of FOREIGN: what it was before Ballast */
    int error;                  /* positive errno */
    char hint[NOTICE_TEXT_MAX]; /* what to do about error; empty: nothing is known */
} NoticeKsm;

/* Sizes are bytes. What a kind doesn't name is 0 or empty. */
typedef struct Notice {
    NoticeKind kind;
    char uuid[NOTICE_UUID_MAX], name[NOTICE_NAME_MAX]; /* of the guest; empty: of the host */
    uint64_t current_bytes, full_bytes;                /* of the guest, then */
    uint64_t from_bytes, to_bytes;
    double host_available_bytes, host_total_bytes; /* 0: not known */
    usec_t wait_usec;
    unsigned count;
    int error;    /* 0 or -errno */
    bool further; /* only more of what was reported just before */
    GuardRule rule;
    DistressCause cause;
    GuestMode mode;
    NoticeKsm ksm;
    char text[NOTICE_TEXT_MAX]; /* cut off where longer */
} Notice;

#define AUDIENCE_MAX 8U

/* Who listens. */
typedef struct Audience {
    struct {
        void (*hear)(void *userdata, const Notice *n);
        void *userdata;
    } listeners[AUDIENCE_MAX];
    size_t n;
} Audience;

/* A notice of the whole host. fields: the host's, as last read; NULL: not known. */
Notice notice_of_host(NoticeKind kind, const HostFields *fields);
/* text: NULL for none. */
void notice_set_text(Notice *n, const char *text);

/* Adds a listener; its userdata must live until audience_remove(). */
void audience_add(Audience *a, void (*hear)(void *userdata, const Notice *n), void *userdata);
/* Takes away all listeners that have this userdata. */
void audience_remove(Audience *a, const void *userdata);
void audience_tell(const Audience *a, const Notice *n);
