/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One guest's balloon as it moves: what was sent, whether the balloon gets there, how fast, and when it is
 * stuck. It knows neither the loop nor libvirt: the caller reports what was sent and which sizes were seen.
 *
 * A move begins with balloon_sent(). It has settled when the size is within BALLOON_TOLERANCE_BYTES of the
 * target. It has stalled when no progress was seen for BALLOON_STALL_USEC. A stalled move is not tried again
 * before retry_usec; the wait doubles each time, up to an hour, and the size that was reached stands. QEMU
 * goes on pursuing the target, so every size between the start and the target of a stalled move is still
 * ours, and a move that arrives late has settled. A shrink that settles ends the wait; a growth that settles
 * ends only the wait after a stalled growth, because a balloon that deflates proves nothing about inflating.
 *
 * The guest says itself how large its balloon is, and libvirt passes that on. A size is foreign (perhaps
 * somebody else set it) if our own moves don't explain it, or if it goes against the direction of the move on
 * its way, and the balloon rests there: unchanged for BALLOON_REST_USEC and over BALLOON_REST_LOOKS looks. A
 * size that the balloon only passes, or that was read before our last command took effect, is nobody's
 * decision; on a busy host a balloon may pass it slowly. A balloon that its guest deflates by itself when it
 * runs out of memory (autodeflate) never rests while the guest suffers, so growth of such a balloon counts
 * after BALLOON_FOREIGN_USEC within the tolerance. Until the caller accepts a foreign size, each look returns
 * it again, and it counts for no more than the nearest size that is ours (balloon_believed()). A foreign size
 * on the way of our own move can't be told from a stall. */

#include <stdbool.h>
#include <stdint.h>

#include "host-agent/guest/move-rate.h"

#define BALLOON_TOLERANCE_BYTES    (UINT64_C(1) << 20)
#define BALLOON_PROGRESS_MIN_BYTES (UINT64_C(1) << 20) /* less than this isn't progress */
#define BALLOON_STALL_USEC         (5 * USEC_PER_SEC)
#define BALLOON_FOREIGN_USEC       (1 * USEC_PER_SEC)
/* As long as our own moves may stand still. The number of looks matters when QEMU doesn't answer
 * meanwhile. */
#define BALLOON_REST_USEC          BALLOON_STALL_USEC
#define BALLOON_REST_LOOKS         4U
/* A balloon that is stopped or turned round goes on for a while: the sizes on its former way are ours for
 * this long. */
#define BALLOON_TURN_USEC          (30 * USEC_PER_SEC)
/* A balloon is left alone because of sizes that aren't ours for this long, and again after none was seen for
 * the other time: a guest that shows another size at each look would never be moved. */
#define BALLOON_SUSPECT_USEC       (60 * USEC_PER_SEC)
#define BALLOON_CALM_USEC          (30 * USEC_PER_SEC)
#define BALLOON_RETRY_MIN_USEC     (60 * USEC_PER_SEC)
#define BALLOON_RETRY_MAX_USEC     (3600 * USEC_PER_SEC)

typedef enum BalloonEvent {
    BALLOON_EVENT_NONE,
    BALLOON_EVENT_PROGRESS, /* nearer to the target; also after a stall */
    BALLOON_EVENT_SETTLED,  /* at the target, perhaps late */
    BALLOON_EVENT_STALLED,  /* no progress for too long */
    BALLOON_EVENT_FOREIGN,  /* it rests at a size that isn't ours; before that it had foreign.from_bytes */
} BalloonEvent;

/* A size that isn't ours; it isn't certain yet that somebody set it. */
typedef struct BalloonForeign {
    uint64_t bytes;               /* 0: none */
    uint64_t from_bytes;          /* the last size before it that was ours */
    usec_t usec;                  /* since when it was seen */
    usec_t since_usec, last_usec; /* when the first and the last of such sizes was seen; 0: none was */
} BalloonForeign;

/* Since when the size hasn't changed, and how often it was seen since. */
typedef struct BalloonStill {
    usec_t usec;
    unsigned looks;
} BalloonStill;

/* The former way of a move that was turned round, and until when its sizes are ours; 0: none. */
typedef struct BalloonFormer {
    uint64_t low_bytes, high_bytes;
    usec_t until_usec;
} BalloonFormer;

typedef struct Balloon {
    bool known;  /* a size was seen */
    bool moving; /* a move of ours is on its way */
    bool stalled;
    bool autodeflate;                  /* the guest's driver may deflate it by itself */
    uint64_t full_bytes;               /* its full size */
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

/* To be called before the first look: the range of sizes that nobody else need have set. A balloon above
 * low_bytes is on its way there. */
void balloon_expect(Balloon *b, uint64_t low_bytes, uint64_t high_bytes);
void balloon_set_autodeflate(Balloon *b, bool autodeflate);
void balloon_set_full(Balloon *b, uint64_t full_bytes);
/* The balloon stands still for another reason (its guest is paused, or boots): that isn't a stall. */
void balloon_excused(Balloon *b, usec_t now_usec);
/* The size seen now isn't that of a balloon at rest: the guest boots, or stands still for another reason. */
void balloon_disturbed(Balloon *b, usec_t now_usec);
/* libvirt accepted a move. */
void balloon_sent(Balloon *b, uint64_t target_bytes, usec_t now_usec);
/* To be called after the first look, if an earlier daemon sent a target that isn't reached: that move may
 * still be on its way, or somebody may have set another size since. The sizes between are ours, and no
 * progress is expected. */
void balloon_adopt(Balloon *b, uint64_t target_bytes);
/* libvirt refused the move, or it failed: nothing is on its way. It counts as a stall, with its wait. */
void balloon_refused(Balloon *b, usec_t now_usec);
/* libvirt didn't take the move for a reason that has nothing to do with the balloon (the domain is being
 * saved): nothing is on its way, and it doesn't count as a stall. */
void balloon_withdrawn(Balloon *b);
/* The balloon's size was read. Returns what follows from it. */
BalloonEvent balloon_seen(Balloon *b, uint64_t actual_bytes, usec_t now_usec);
/* Somebody set the foreign size that was seen: it stands from now on, and begins at from_bytes. */
void balloon_accept(Balloon *b);
/* The guest rebooted, or its device was reset: rates and waits are no longer valid. The guest's driver starts
 * with an empty balloon and inflates it again to the last target. Until then a larger size is nobody's
 * decision. */
void balloon_reset(Balloon *b);
/* The actual size, or if that isn't ours, the nearest that is: between the ends of our own move, or where the
 * balloon rested. While the guest's driver inflates the balloon at first, or after a reset, that is at most its
 * full size. */
uint64_t balloon_believed(const Balloon *b);
/* The target of the move that is on its way, else the size that is believed. */
uint64_t balloon_standing(const Balloon *b);
/* Whether its size isn't ours, and it isn't certain yet that somebody set it. Such a balloon is better left
 * alone, for a while: balloon_is_suspect(). */
bool balloon_is_foreign(const Balloon *b);
bool balloon_is_suspect(const Balloon *b);
/* Whether the balloon is stalled and its wait isn't over; and whether a growth stalled. */
bool balloon_is_stalled(const Balloon *b, usec_t now_usec);
bool balloon_is_stalled_growing(const Balloon *b, usec_t now_usec);
