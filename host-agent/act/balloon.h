/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One guest's balloon as it is moved: what was sent, whether it gets there, how fast, and when it is stuck.
 * Free of loop and libvirt: fed with what was sent and with what the balloon's size was seen to be.
 *
 * A move is on its way from balloon_sent() until the size is within BALLOON_TOLERANCE of the target
 * (settled), or no progress was seen for stall_usec (stalled: not tried again before retry_usec, doubled each
 * time up to an hour; what was reached stands). A size that changes although nothing of ours is on its way,
 * or against its direction, was set by somebody else: foreign. */

#include <stdbool.h>
#include <stdint.h>

#include "base/time-util.h"

#define BALLOON_TOLERANCE_BYTES    (UINT64_C(1) << 20)
#define BALLOON_PROGRESS_MIN_BYTES (UINT64_C(1) << 20) /* less than this isn't progress */
#define BALLOON_STALL_USEC         (5 * USEC_PER_SEC)
#define BALLOON_RETRY_MIN_USEC     (60 * USEC_PER_SEC)
#define BALLOON_RETRY_MAX_USEC     (3600 * USEC_PER_SEC)

typedef enum BalloonEvent {
    BALLOON_EVENT_NONE,
    BALLOON_EVENT_PROGRESS, /* nearer to the target */
    BALLOON_EVENT_SETTLED,  /* got there */
    BALLOON_EVENT_STALLED,  /* gave up waiting */
    BALLOON_EVENT_FOREIGN,  /* somebody else set it: what was seen is their decision */
} BalloonEvent;

typedef struct Balloon {
    bool known;  /* a size was seen */
    bool moving; /* ours is on its way */
    bool stalled;
    uint64_t actual_bytes;             /* as last seen */
    uint64_t from_bytes, target_bytes; /* of the last move; target_bytes is 0 where there was none */
    usec_t sent_usec, progress_usec, settled_usec; /* 0: never */
    usec_t retry_usec;                             /* while stalled: when it may be tried again */
    usec_t backoff_usec;                           /* the last wait */
    double shrink_rate, grow_rate;                 /* bytes per second, smoothed; 0: not measured */
    uint64_t foreign_bytes; /* a size seen once that isn't ours; it counts when seen twice */
    unsigned stalls, moves; /* cumulative */
} Balloon;

/* A move was accepted by libvirt. */
void balloon_sent(Balloon *b, uint64_t target_bytes, usec_t now_usec);
/* libvirt refused the move or it failed: nothing is on its way; counts as a stall (back-off). */
void balloon_refused(Balloon *b, usec_t now_usec);
/* The balloon's size was read. */
BalloonEvent balloon_seen(Balloon *b, uint64_t actual_bytes, usec_t now_usec);
/* The guest rebooted or its device was reset: rates and back-off no longer say anything. */
void balloon_reset(Balloon *b);
/* The target of the move that is on its way, else the actual size. */
uint64_t balloon_standing(const Balloon *b);
/* Whether it is stalled and its wait isn't over. */
bool balloon_is_stalled(const Balloon *b, usec_t now_usec);
