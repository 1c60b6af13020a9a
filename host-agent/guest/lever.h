/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a guest hands memory back and keeps its size: what is done next, and when not.
 *
 * With free page reporting its own kernel does it. Memory comes from the cheapest place first. Free memory in blocks is
 * reported without any word. Free memory in fragments takes a compaction. Only what is wanted beyond the guest's idle
 * memory is reclaimed from its page cache. One request is outstanding at a time, each of one step, and a cycle decides
 * again after it.
 *
 * Without it the guest is squeezed: its balloon takes what is wanted, all at once, with the free memory that lies in the
 * way, and lets go of it as soon as it arrived. A squeeze ends early when the guest needs its memory, or when the balloon
 * is slow because the host has to read back what it swapped out.
 *
 * Each lever has a wait of its own. It doubles from LEVER_WAIT_MIN_USEC up to its maximum:
 *
 *   reclaim   when the guest read back what was taken (its agent stopped for that, or reclaims lately cost more than
 *             LEVER_COST_MAX), when its tasks stalled, or when it got less than a quarter of what was wanted
 *   compact   when less than a quarter of what was in fragments went. The wait is over early, after
 *             LEVER_WAIT_MIN_USEC, when enough for a compaction has come to what the last one left
 *   squeeze   when it ended early, or when the host got less than a quarter of what the balloon took
 *   all       when it failed
 *
 * A request that did its work sets the wait back. The guest's word is checked against what the host gets:
 * LEVER_REPORTING_USEC after it claimed LEVER_CLAIM_BYTES, the resident memory of its QEMU must have fallen by an
 * eighth of the claim, less what lies in fragments since, save for what the guest itself began to use. Three times
 * in a row it did not: the levers of this guest free nothing, and none is used for LEVER_LIE_USEC. */

#include <stdbool.h>
#include <stdint.h>

#include "base/time-util.h"
#include "proto/message.h"

#define LEVER_WAIT_MIN_USEC         (5 * USEC_PER_SEC)
#define LEVER_RECLAIM_WAIT_MAX_USEC (60 * USEC_PER_SEC)
#define LEVER_COMPACT_WAIT_MAX_USEC (300 * USEC_PER_SEC)
#define LEVER_LIE_USEC              (3600 * USEC_PER_SEC)
/* A guest that does not answer for this long is treated as if it had failed. */
#define LEVER_ANSWER_USEC           (60 * USEC_PER_SEC)
/* One that works for longer than this no longer keeps others from being asked. */
#define LEVER_SLOW_USEC             (10 * USEC_PER_SEC)
/* A guest that was busy is asked again after this. */
#define LEVER_BUSY_USEC             (USEC_PER_SEC)
/* One request reclaims this part of the guest's size, and no less than the bytes. */
#define LEVER_STEP_PART             32U
#define LEVER_STEP_BYTES            (UINT64_C(16) << 20)
/* Fewer fragments, or this part of the guest's size, aren't worth a compaction. */
#define LEVER_COMPACT_PART          16U
#define LEVER_COMPACT_BYTES         (UINT64_C(16) << 20)
/* Bytes read back per byte taken (held_reclaim_cost()). */
#define LEVER_COST_MAX              0.125
#define LEVER_CLAIM_BYTES           (UINT64_C(64) << 20)
/* Free page reporting takes memory some seconds after it became free. */
#define LEVER_REPORTING_USEC        (10 * USEC_PER_SEC)
/* Requests that follow each other within this time belong together. */
#define LEVER_SPELL_USEC            (60 * USEC_PER_SEC)
/* Less than this part of the guest's size, than the bytes, or than this part of what the balloon would have to take, is
 * not worth a squeeze: each page that the balloon takes costs CPU. */
#define LEVER_SQUEEZE_PART          20U
#define LEVER_SQUEEZE_BYTES         (UINT64_C(16) << 20)
#define LEVER_SQUEEZE_GAIN_PART     3U
#define LEVER_SQUEEZE_WAIT_MAX_USEC (300 * USEC_PER_SEC)
/* With a wait that has grown to this, a guest counts as one whose squeezes are in vain. */
#define LEVER_SQUEEZE_VAIN_USEC     (40 * USEC_PER_SEC)
/* A balloon that in such a spell takes fewer bytes than this is slow. The first spell is longer, since it has to begin. */
#define LEVER_SQUEEZE_SPELL_USEC    (3 * USEC_PER_SEC)
#define LEVER_SQUEEZE_BEGIN_USEC    (2 * USEC_PER_SEC)
#define LEVER_SQUEEZE_SPELL_BYTES   (UINT64_C(48) << 20)
/* A guest that uses so much more than when its squeeze began, or this part of its size more, needs its memory. */
#define LEVER_SQUEEZE_USE_BYTES     (UINT64_C(8) << 20)
#define LEVER_SQUEEZE_USE_PART      64U
/* What the host got of a squeeze is seen this long after it. */
#define LEVER_SQUEEZE_LOOK_USEC     (2 * USEC_PER_SEC)
#define LEVER_WHY_MAX               96U

typedef enum LeverKind {
    LEVER_COMPACT,
    LEVER_RECLAIM,
    LEVER_SQUEEZE,
    LEVER_KIND_MAX,
    LEVER_KIND_INVALID = -EINVAL,
} LeverKind;

const char *lever_kind_to_string(LeverKind k); /* "compact" */

/* One of a guest's levers. */
typedef struct Lever {
    unsigned times;       /* how often it was asked for; cumulative */
    uint64_t got_bytes;   /* cumulative, as the guest says; of squeezes what the host got */
    usec_t cpu_usec;      /* that it took in the guest; cumulative */
    usec_t answered_usec; /* the last answer, or when it was given up; 0: none */
    uint64_t last_bytes;  /* what that one got, as the guest says; what the balloon took */
    LeverEnd why;         /* of the last answer; 0: none */
    int error;            /* of the last answer: a positive errno, or 0 */
    usec_t wait_usec;     /* the last wait; 0: none */
    usec_t retry_usec;    /* not before this */
} Lever;

/* A guest's QEMU at one moment (held.h). Bytes. */
typedef struct LeverLook {
    uint64_t resident_bytes;   /* 0: not known */
    uint64_t used_bytes;       /* what the guest uses */
    uint64_t fragmented_bytes; /* idle memory in fragments */
} LeverLook;

/* The squeeze that goes on, or the last one: what there was when it began. */
typedef struct Squeeze {
    uint64_t returns_bytes; /* the size that the guest gets back; 0: it has that again, or isn't squeezed */
    uint64_t used_bytes;    /* what the guest used (taking_used()); UINT64_MAX: not known */
    usec_t cpu_usec;        /* the CPU time of its QEMU */
    usec_t spell_usec;      /* when this spell began or begins; with what the balloon had taken by then */
    uint64_t spell_bytes;
    LeverLook look; /* its QEMU; resident_bytes 0: what the host got is known, or can't be */
} Squeeze;

typedef struct Levers {
    uint32_t features;                /* HELLO_FEATURE_COMPACT, …_RECLAIM_FILE, …_RECLAIM_ANON */
    char missing[GUEST_TEXT_MAX + 1]; /* why it lacks some of these; may be empty */

    uint32_t id; /* of the last request to the agent */
    bool outstanding;
    LeverKind kind; /* of the last request */
    usec_t asked_usec;
    uint64_t asked_bytes;
    uint64_t fragmented_bytes; /* in fragments when the last compaction began; 0: it is judged */
    uint64_t left_bytes; /* the least in fragments since the last compaction ended; UINT64_MAX: not seen */
    Squeeze squeeze;
    Lever lever[LEVER_KIND_MAX];
    char waiting
        [LEVER_WHY_MAX]; /* why it isn't asked for what is wanted; empty: it is, or nothing is wanted */

    /* The guest's word against the host's. */
    LeverLook before;       /* when the host began to count … */
    uint64_t claimed_bytes; /* … what the guest claims to have handed back */
    uint64_t due_bytes;     /* the part of it that the host must have … */
    usec_t due_usec;        /* … at this time; 0: none is due */
    unsigned lies;
    usec_t lie_usec; /* when it was found; 0: it wasn't */
} Levers;

/* What is wanted of a guest, and what it has. Bytes. */
typedef struct LeverNeed {
    uint64_t wanted_bytes;     /* to be handed back in all */
    uint64_t idle_bytes;       /* free in the guest, held by the host */
    uint64_t fragmented_bytes; /* of that, in fragments */
    uint64_t way_bytes;        /* more free memory, which the host doesn't hold: a balloon takes it, too */
    uint64_t full_bytes;       /* its size */
    bool reporting;            /* free page reporting is on */
    bool anon;                 /* anonymous memory may be taken, too */
} LeverNeed;

typedef struct LeverCall {
    LeverKind kind;
    uint32_t id;
    uint64_t bytes; /* of a reclaim or a squeeze */
    bool anon;
} LeverCall;

/* What the guest's kernel can do, from Hello. A new agent doesn't know of what an earlier one was asked for. */
void levers_hello(Levers *l, const Message *hello);
/* The guest booted again: nothing of what was learnt holds, but for a lie. */
void levers_reset(Levers *l);
/* The next request for this guest. False: none now; why then says the reason, or is "" if nothing is wanted. */
bool levers_next(const Levers *l, const LeverNeed *need, usec_t now_usec, LeverCall *ret,
                 char why[static LEVER_WHY_MAX]);
/* Whether a request continues what this lever did lately (LEVER_SPELL_USEC). */
bool levers_is_further(const Levers *l, LeverKind k, usec_t now_usec);
/* Whether it can be asked at all: it has a lever, and they weren't found to free nothing. */
bool levers_can(const Levers *l, usec_t now_usec);
/* Whether it works on a request, and not for longer than LEVER_SLOW_USEC. */
bool levers_is_working(const Levers *l, usec_t now_usec);
/* Why it isn't asked now (levers_next()). */
void levers_wait(Levers *l, const char *why);
/* A request was sent. */
void levers_asked(Levers *l, const LeverCall *call, const LeverNeed *need, usec_t now_usec);
/* The answer came. The caller has checked that it belongs to the request that is outstanding. */
void levers_answered(Levers *l, const Message *m, usec_t now_usec);
/* Whether no answer came for LEVER_ANSWER_USEC: it is given up then, and the caller tells the channel. */
bool levers_expire(Levers *l, usec_t now_usec);
/* The guest read back page cache. cost: what reclaims cost lately, that included. */
void levers_missed(Levers *l, double cost, usec_t now_usec);
/* Judges what the host got of it. Returns whether the levers were just now found to free nothing. */
bool levers_look(Levers *l, const LeverLook *look, usec_t now_usec);
/* Whether its levers were found to free nothing. */
bool levers_lie(const Levers *l, usec_t now_usec);

/* Whether squeezes aren't in vain. */
bool levers_can_squeeze(const Levers *l, usec_t now_usec);
/* A squeeze was sent. call: of levers_next(). begin: what there is now. */
void levers_squeezes(Levers *l, const LeverCall *call, const LeverNeed *need, const Squeeze *begin,
                     usec_t now_usec);
/* It is over: why; and what the balloon took, at which CPU time of its QEMU. */
void levers_squeezed(Levers *l, LeverEnd why, uint64_t took_bytes, usec_t cpu_usec, usec_t now_usec);
/* The guest has its size back, or another one. */
void levers_returned(Levers *l);
