/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One guest's balloon as it is moved: what was sent, whether it gets there, how fast, and when it is stuck.
 * Free of loop and libvirt: fed with what was sent and with what the balloon's size was seen to be.
 *
 * A move is on its way from balloon_sent() until the size is within BALLOON_TOLERANCE_BYTES of the target
 * (settled), or no progress was seen for BALLOON_STALL_USEC (stalled: not tried again before retry_usec,
 * doubled each time up to an hour; what was reached stands). QEMU goes on pursuing the target of a stalled
 * move, so sizes between where it began and where it was to end remain ours, and one that gets there late has
 * settled. The wait is forgotten when a move of the kind that stalled settles: that a balloon gives back says
 * nothing of whether it takes.
 *
 * A size that our own moves don't explain, or that goes against the direction of the one on its way, was set
 * by somebody else (foreign), once the balloon rests there: unchanged for BALLOON_REST_USEC and over
 * BALLOON_REST_LOOKS looks. A size that the balloon only passes, or that was read before our last command took
 * effect, is no decision; on a busy host a balloon may pass it slowly. A balloon that its guest deflates by
 * itself when it runs out of memory (autodeflate) doesn't come to rest while the guest suffers: growth of such a
 * balloon counts after BALLOON_FOREIGN_USEC within the tolerance. A size on the way of our own move can't be
 * distinguished from a stall. */

#include <stdbool.h>
#include <stdint.h>

#include "host-agent/guest/move-rate.h"

#define BALLOON_TOLERANCE_BYTES    (UINT64_C(1) << 20)
#define BALLOON_PROGRESS_MIN_BYTES (UINT64_C(1) << 20) /* less than this isn't progress */
#define BALLOON_STALL_USEC         (5 * USEC_PER_SEC)
#define BALLOON_FOREIGN_USEC       (1 * USEC_PER_SEC)
/* As long as our own moves may stand still. The looks are in case QEMU doesn't answer meanwhile. */
#define BALLOON_REST_USEC          BALLOON_STALL_USEC
#define BALLOON_REST_LOOKS         4U
/* A balloon that is stopped or turned round goes on for a while: what lies on its former way is ours for this
 * long. */
#define BALLOON_TURN_USEC          (30 * USEC_PER_SEC)
#define BALLOON_RETRY_MIN_USEC     (60 * USEC_PER_SEC)
#define BALLOON_RETRY_MAX_USEC     (3600 * USEC_PER_SEC)

typedef enum BalloonEvent {
    BALLOON_EVENT_NONE,
    BALLOON_EVENT_PROGRESS, /* nearer to the target; also after a stall */
    BALLOON_EVENT_SETTLED,  /* got there, if late */
    BALLOON_EVENT_STALLED,  /* gave up waiting */
    BALLOON_EVENT_FOREIGN,  /* somebody else set it, from from_bytes: what was seen is their decision */
} BalloonEvent;

/* A size that isn't ours, and doesn't count yet. */
typedef struct BalloonForeign {
    uint64_t bytes; /* 0: none */
    usec_t usec;    /* since when it was seen */
} BalloonForeign;

/* Since when the size is the same, and how often it was seen since. */
typedef struct BalloonStill {
    usec_t usec;
    unsigned looks;
} BalloonStill;

/* The way of a move that was turned round, and until when it counts; 0: there is none. */
typedef struct BalloonFormer {
    uint64_t low_bytes, high_bytes;
    usec_t until_usec;
} BalloonFormer;

typedef struct Balloon {
    bool known;  /* a size was seen */
    bool moving; /* ours is on its way */
    bool stalled;
    bool autodeflate;                  /* the guest's driver may deflate it by itself */
    uint64_t actual_bytes;             /* as last seen */
    uint64_t from_bytes, target_bytes; /* of the last move; target_bytes is 0 where there was none, or where
                                        * somebody else set the balloon since */
    usec_t sent_usec, progress_usec, settled_usec; /* 0: never */
    usec_t retry_usec;                             /* while stalled: when it may be tried again */
    usec_t backoff_usec;                           /* the last wait */
    unsigned stalls, moves;                        /* cumulative */
    MoveRate rate;

    /* Of balloon.c alone. */
    BalloonForeign foreign;
    BalloonStill still;
    BalloonFormer former;
    bool stalled_growing;           /* the move that stalled was to grow */
    uint64_t low_bytes, high_bytes; /* the sizes that are ours while nothing is on its way */
    uint64_t progress_bytes;        /* the size at the last progress */
    uint64_t previous_bytes;        /* the target before this one, until this one shows progress; or 0 */
} Balloon;

/* Before the first look: the sizes between which the balloon may be although nobody set it. A balloon above
 * low_bytes is on its way there. */
void balloon_expect(Balloon *b, uint64_t low_bytes, uint64_t high_bytes);
void balloon_set_autodeflate(Balloon *b, bool autodeflate);
/* It stands still for another reason (its guest is paused, or boots): that isn't a stall. */
void balloon_excused(Balloon *b, usec_t now_usec);
/* What is seen now isn't a balloon at rest: its guest boots, or stands still for another reason. */
void balloon_disturbed(Balloon *b, usec_t now_usec);
/* A move was accepted by libvirt. */
void balloon_sent(Balloon *b, uint64_t target_bytes, usec_t now_usec);
/* After the first look, where the daemon before this one had sent a target that isn't reached: it may still
 * be on its way, or somebody may have set another size since. What lies between is ours; nothing is waited
 * for. */
void balloon_adopt(Balloon *b, uint64_t target_bytes);
/* libvirt refused the move or it failed: nothing is on its way; counts as a stall (back-off). */
void balloon_refused(Balloon *b, usec_t now_usec);
/* libvirt didn't take the move for a reason that isn't the balloon's (the domain is being saved): nothing is
 * on its way, and nothing is held against it. */
void balloon_withdrawn(Balloon *b);
/* The balloon's size was read. */
BalloonEvent balloon_seen(Balloon *b, uint64_t actual_bytes, usec_t now_usec);
/* The guest rebooted or its device was reset: rates and back-off no longer say anything. The guest's driver
 * starts with an empty balloon and fills it again to the target that stands, so until it has, any larger size
 * is nobody's decision. */
void balloon_reset(Balloon *b);
/* The target of the move that is on its way, else the actual size. */
uint64_t balloon_standing(const Balloon *b);
/* A size was seen that isn't ours, and it isn't known yet whether somebody set it: better left alone. */
bool balloon_is_suspect(const Balloon *b);
/* Whether it is stalled and its wait isn't over; and whether it was a growth that stalled. */
bool balloon_is_stalled(const Balloon *b, usec_t now_usec);
bool balloon_is_stalled_growing(const Balloon *b, usec_t now_usec);
