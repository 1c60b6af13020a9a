/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What happened, as plain values. The rooms below show/ report it, and don't know who listens.
 *
 * A notice is complete: it points to nothing that may change or end, so a listener may copy and keep it.
 * Listeners are called at once, in the order in which main.c added them (the journal first, so that a log
 * line comes before the signal on the bus). They may ask for a cycle, and must not change the objects that a
 * notice is about. */

#include <sys/types.h>

#include "base/time-util.h"
#include "host-agent/decide/guard.h"
#include "proto/codec.h"

#define NOTICE_UUID_MAX  37U
#define NOTICE_NAME_MAX  256U
#define NOTICE_TEXT_MAX  512U
#define NOTICE_VALUE_MAX 128U

/* What happened, and which members of Notice are set besides those of the guest and the host. */
typedef enum NoticeKind {
    NOTICE_MOVE,         /* a target was sent: from, to, rule, text (the reason), further */
    NOTICE_WOULD_MOVE,   /* mode observe would have sent one; reported when the decision changes: as MOVE */
    NOTICE_STALLED,      /* a balloon makes no progress: from, to, wait (until the next try) */
    NOTICE_DISTRESS,     /* a guest is in distress: cause */
    NOTICE_HURTING,      /* a shrink hurts a guest: to (its restore size), cause, wait (it isn't shrunk) */
    NOTICE_GRANT,        /* a guest in distress gets memory from others: from, to (the first move), cause */
    NOTICE_UNUSED_GRANT, /* it didn't use that: wait (until the next grant), count (of unused grants) */
    NOTICE_LEVER, /* a guest's kernel was asked for memory: lever (name, wanted), text (the reason), further */
    NOTICE_LEVER_ENDED, /* its answer: lever, wait (it isn't asked), further (the same as the last one); or none
                         * came: error of lever is ETIMEDOUT */
    NOTICE_LEVERS_LIE,     /* the host got nothing of what it said: wait (it isn't asked) */
    NOTICE_AGENT_DROPPED,  /* an agent broke the channel's rules: text (which), wait (it isn't heard) */
    NOTICE_KSM,            /* one of KSM's controls: ksm, text (the reason) */
    NOTICE_CRITICAL,       /* the host is critical: critical (threshold, can_give), mode */
    NOTICE_CRITICAL_STUCK, /* … and no guest gives more: critical, mode, text (why) */
    NOTICE_CRITICAL_OVER,  /* … and no longer: critical, mode */
    NOTICE_OOM,            /* the host's kernel killed processes: oom */
    NOTICE_CHANGED, /* somebody asked for a change: change, error (-EACCES: they may not), text (why it failed) */
    NOTICE_MODE, /* the daemon's mode changed: mode */
    NOTICE_GUEST_ADDED,
    NOTICE_GUEST_REMOVED,
    NOTICE_ENTITLED,     /* libvirt wrote an entitlement, or failed to: error, text (why, or empty) */
    NOTICE_SHUT_OFF,     /* libvirt answered a request about domains that are shut off: VirtLink.shut_off */
    NOTICE_LIBVIRT_LOST, /* text (why) */
    NOTICE_KIND_MAX,
    NOTICE_KIND_INVALID = -EINVAL,
} NoticeKind;

/* What happened to one of KSM's controls. */
typedef enum KsmOutcome {
    KSM_CHANGED,      /* from → to, as decided */
    KSM_REFUSED,      /* the kernel refuses the value: error; tried again when something changes */
    KSM_RESTORED,     /* from → to, the original value */
    KSM_FOREIGN,      /* not restored, because somebody else set it to from; it is theirs now */
    KSM_STUCK,        /* not restored, because the kernel refuses the value: error; tried again as above */
    KSM_UNREMEMBERED, /* the original values can't be saved: error; a killed daemon leaves KSM changed */
} KsmOutcome;

typedef struct NoticeKsm {
    KsmOutcome outcome;
    char name[32];              /* of its file in sysfs */
    int64_t from, to;           /* in the file's unit; to of FOREIGN: the value before Ballast */
    int error;                  /* positive errno */
    char hint[NOTICE_TEXT_MAX]; /* what to do about error; empty: no advice */
} NoticeKsm;

/* What a guest's kernel did. */
typedef struct NoticeLever {
    char name[16]; /* "compact", "reclaim" */
    uint64_t wanted_bytes, got_bytes, refaulted_bytes;
    usec_t cpu_usec; /* that it took in the guest */
    LeverEnd why;
    int error; /* positive errno, or 0 */
} NoticeLever;

/* A critical host, or critical NUMA nodes, and what was done since then. */
typedef struct NoticeCritical {
    uint64_t
        nodes; /* 0: the whole host. Of nodes, the notice's host_available_bytes and _total_bytes are theirs */
    uint64_t threshold_bytes, lowest_bytes; /* of available memory */
    uint64_t can_give_bytes;                /* what guests could give when it began */
    usec_t lasted_usec;
    size_t moves;               /* shrinks that were sent */
    size_t guests;              /* that gave something, or were asked to */
    uint64_t taken_bytes;       /* by balloons */
    uint64_t handed_back_bytes; /* by guests' own kernels, as they say */
} NoticeCritical;

/* Processes that the kernel killed because memory ran out. */
typedef struct NoticeOom {
    uint64_t kills;
    bool short_of_memory; /* the host has less available than its pressure threshold */
} NoticeOom;

/* Who asked for something. There are no names: looking one up may wait for the network. */
typedef struct Actor {
    uid_t uid, login_uid; /* (uid_t) -1: not known. login_uid: whom the session belongs to, also after sudo */
    pid_t pid;            /* 0: not known */
} Actor;

#define ACTOR_UNKNOWN ((Actor){.uid = (uid_t) -1, .login_uid = (uid_t) -1})

typedef struct NoticeChange {
    Actor by;
    char what[32];                                     /* "mode", "min", "release" */
    char from[NOTICE_VALUE_MAX], to[NOTICE_VALUE_MAX]; /* both may be empty */
} NoticeChange;

/* Members that a kind doesn't use are 0 or empty. */
typedef struct Notice {
    NoticeKind kind;
    char uuid[NOTICE_UUID_MAX], name[NOTICE_NAME_MAX]; /* of the guest; empty: about the host */
    uint64_t current_bytes, full_bytes;                /* of the guest, at that time */
    uint64_t from_bytes, to_bytes;
    double host_available_bytes, host_total_bytes; /* 0: not known */
    usec_t wait_usec;
    unsigned count;
    int error;    /* 0 or -errno */
    bool further; /* continues what was reported just before, or would be too much of it: logged at debug */
    GuardRule rule;
    DistressCause cause;
    GuestMode mode;
    NoticeKsm ksm;
    NoticeLever lever;
    NoticeCritical critical;
    NoticeOom oom;
    NoticeChange change;
    char text[NOTICE_TEXT_MAX]; /* a longer text is cut off */
} Notice;

#define AUDIENCE_MAX 8U

/* The listeners, in the order in which they are called. */
typedef struct Audience {
    struct {
        void (*hear)(void *userdata, const Notice *n);
        void *userdata;
    } listeners[AUDIENCE_MAX];
    size_t n;
} Audience;

/* A notice about the host. fields: the host's, as last read; NULL: not known. */
Notice notice_of_host(NoticeKind kind, const HostFields *fields);
/* A change that somebody asked for. from and to may be NULL. */
Notice notice_of_change(const Actor *by, const char *what, const char *from, const char *to);
/* Copies text into the notice; NULL is an empty text. */
void notice_set_text(Notice *n, const char *text);

/* Adds a listener; its userdata must live until audience_remove(). */
void audience_add(Audience *a, void (*hear)(void *userdata, const Notice *n), void *userdata);
/* Removes all listeners with this userdata. */
void audience_remove(Audience *a, const void *userdata);
/* Hands a notice to all listeners. */
void audience_tell(const Audience *a, const Notice *n);
