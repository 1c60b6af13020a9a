/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The safety rules. No policy and no setting switches them off. Before the policy runs, guard_bounds()
 * calculates the lowest and the highest target that the rules allow each guest. After it, plan_apply() clips
 * targets to these bounds and to the host's room, and each decision names the rule that changed it. */

#include "host-agent/decide/snapshot.h"

typedef enum GuardRule {
    GUARD_RULE_NONE,
    GUARD_RULE_FLOOR,     /* not below the guest's floor */
    GUARD_RULE_CEILING,   /* not above its full size; in distress not above what it may grow to */
    GUARD_RULE_OFF,       /* mode off: nothing is decided */
    GUARD_RULE_UNMOVABLE, /* a balloon would free nothing, or was seen to free nothing (then only not shrunk) */
    GUARD_RULE_BUSY,      /* paused, migrating, saving, shutting down: nothing is sent */
    GUARD_RULE_SQUEEZED, /* its balloon takes memory and lets go of it: no other move until the guest has its size */
    GUARD_RULE_STALLED,  /* the balloon doesn't move: no new move until the back-off is over */
    GUARD_RULE_STALE,    /* no fresh stats: not shrunk */
    GUARD_RULE_GRACE,    /* just booted, rebooted or released: not shrunk */
    GUARD_RULE_DISTRESS, /* in distress: not shrunk, and gets its ceiling, within room */
    GUARD_RULE_HURTING, /* began to hurt after a shrink: not shrunk, gets its earlier size back, within room */
    GUARD_RULE_PROTECTED, /* hurt when it was shrunk: not shrunk again for a while that grows */
    GUARD_RULE_NEEDED,    /* not below what it was found to need */
    GUARD_RULE_AGENTLESS, /* without an agent: gives at most a part of its available memory; without
                             stats nothing */
    GUARD_RULE_DONOR,     /* gives a guest in distress memory that it can spare */
    GUARD_RULE_REBOOT,    /* booted into a shrunken size: gets its full size first, within room */
    GUARD_RULE_AHEAD,     /* begins to use its memory: not shrunk, and gets its full size back, within room */
    GUARD_RULE_SWAPLESS,  /* without swap left it keeps swapless_ratio of its size available, ZFS's cache not
                             counted (swap that isn't known, or is kept in memory: none) */
    GUARD_RULE_COMMITTED, /* strict overcommit: its limit stays above what is committed */
    GUARD_RULE_STEP,      /* one move at a time, each no larger than its balloon manages in step_usec */
    GUARD_RULE_ROOM,      /* grows only by what the host has to give: guard_room() */
    GUARD_RULE_DEAD_BAND, /* too small a change to be worth a move */
    GUARD_RULE_SPARE,     /* hands back no more than it has */
    GUARD_RULE_OBSERVE,   /* mode observe: decided, not sent */
    GUARD_RULE_MAX,
    GUARD_RULE_INVALID = -EINVAL,
} GuardRule;

const char *guard_rule_to_string(GuardRule r); /* "dead-band" */
const char *guard_rule_describe(
    GuardRule r); /* a clause for people: "the change is too small to be worth a move" */

typedef struct GuardConfig {
    usec_t stale_usec;        /* stats older than this are stale */
    usec_t grace_usec;        /* after boot */
    usec_t step_usec;         /* how long one move may take at the measured rate */
    double step_rate_default; /* bytes per second, until one was measured */
    double dead_band_ratio;   /* of full */
    uint64_t dead_band_bytes; /* the larger of the two counts; a move to the full size, or one by the guard
                                  * itself, is never too small */
    double swapless_ratio;    /* of its size, below 1: a guest without swap keeps this much available. Above
                                  * the 10 % at which earlyoom kills by default */
    double critical_ratio;    /* of the host's total … */
    uint64_t critical_max_bytes; /* … and no more than this: the room rule keeps it free */
    double keep_ratio;           /* of its size: a donor keeps this much available */
    double donor_cache_ratio;    /* of full: page cache that a donor gives in one move */
    double agentless_ratio;      /* of its available memory: a guest without an agent may give this much */
} GuardConfig;

/* A step is never smaller than this, however slow the balloon: a move takes CPU in guest and host however
 * small it is. */
#define GUARD_STEP_MIN_RATIO  0.05
#define GUARD_STEP_MIN_BYTES  (UINT64_C(16) << 20)
/* A guest that takes memory and has less than this free soon lacks it. */
#define GUARD_AHEAD_RATIO     0.08
#define GUARD_AHEAD_MIN_BYTES (UINT64_C(32) << 20)
/* A guest with this share of its size free lacks no memory: a kernel that does uses free memory down to its
 * watermarks, some percent. What stalls in it then meets a limit of its own, such as a container's. As much as
 * a donor keeps. */
#define GUARD_PLENTY_RATIO    0.20
/* Of all its swap, zram included: a guest keeps this much free. With less than that, and as little memory available,
 * earlyoom and systemd-oomd kill by default. */
#define GUARD_SWAP_KEPT_RATIO 0.10

#define GUARD_CONFIG_DEFAULT                                               \
    ((GuardConfig){.stale_usec = 10 * USEC_PER_SEC,                        \
                   .grace_usec = 45 * USEC_PER_SEC,                        \
                   .step_usec = 2 * USEC_PER_SEC,                          \
                   .step_rate_default = 128.0 * 1024 * 1024,               \
                   .dead_band_ratio = 0.005,                               \
                   .dead_band_bytes = UINT64_C(4) * 1024 * 1024,           \
                   .swapless_ratio = 0.12,                                 \
                   .critical_ratio = 0.05,                                 \
                   .critical_max_bytes = UINT64_C(8) * 1024 * 1024 * 1024, \
                   .keep_ratio = 0.20,                                     \
                   .donor_cache_ratio = 0.10,                              \
                   .agentless_ratio = 0.5})

/* A guest's floor if none is configured: floor_ratio of full, and no less than the smallest size in which a
 * guest of that full size still works (Hyper-V's table: 512 MiB → 168, 2 GiB → 360, 8 GiB → 744, 32 GiB →
 * 1512 MiB; straight lines between, in proportion below 512 MiB, 1512 MiB above 32 GiB). Never above full. */
uint64_t guard_floor(uint64_t full_bytes, double floor_ratio);

/* The factor for the host's thresholds: 1 while the swap that is left is at least the critical threshold of a host
 * with swap, 2 without any, as the kernel then kills for the first page too many, and in a straight line between.
 * A host whose swap is not known is taken to have enough. */
double guard_caution(const GuardConfig *c, const HostFields *host);
/* The host's critical threshold: min(critical_ratio × total, critical_max_bytes) × guard_caution(), in bytes;
 * critical_max_bytes × guard_caution() if the total is not known. */
uint64_t guard_critical(const GuardConfig *c, const HostFields *host);
/* What growth always leaves available: that and an eighth of it as a margin, so that the host stays above the
 * threshold when guests use what they got. */
uint64_t guard_kept(const GuardConfig *c, const HostFields *host);
/* Whether the host is below its critical threshold. Then guests also give memory that they were found to need
 * (HURTING, PROTECTED and NEEDED do not count), so that the host does not swap. */
bool guard_is_critical(const Snapshot *s, const GuardConfig *c);

/* A guest's full size and floor in whole KiB: full is no more than its maximum, the floor no more than
 * full. */
uint64_t guard_full(const SnapshotGuest *g);
uint64_t guard_floor_of(const SnapshotGuest *g);
/* Whether a guest of this size has so much free that it lacks none, whatever else it reports. Windows counts
 * as free what it could use at once, so this holds there, too. */
bool guard_has_plenty(const GuestFields *f, uint64_t size_bytes);
/* Whether what it says of distress can't be: it has plenty, and that isn't gone in a moment, because it takes
 * memory or its balloon moves. Whoever makes a snapshot takes distress out of it then. */
bool guard_contradicts_distress(const SnapshotGuest *g);
/* Bytes that its swap can still take; 0 if it isn't known. GUARD_SWAP_KEPT_RATIO of it stays free, and swap that is kept
 * in memory (zram) doesn't count: it makes room by less than it takes, and memory that doesn't compress by nothing. */
uint64_t guard_swap_left(const GuestFields *f);
/* Whether its swap can take the smallest step of a balloon. */
bool guard_can_swap(const SnapshotGuest *g, const GuardConfig *c);
/* The most that it may have now: full, or in distress the size that it may grow to if that is more. */
uint64_t guard_ceiling(const SnapshotGuest *g);
/* A smaller change is not worth a move. */
uint64_t guard_dead_band(const GuardConfig *c, const SnapshotGuest *g);
/* The least that the largest move may be: max(GUARD_STEP_MIN_RATIO × full, GUARD_STEP_MIN_BYTES), or the dead
 * band if that is more. */
uint64_t guard_step_min(const GuardConfig *c, const SnapshotGuest *g);
/* Whether the guest's balloon holds memory and the guest begins to use its own: it takes memory, and has less
 * free than what it took at its fastest lately, or than GUARD_AHEAD_MIN_BYTES or GUARD_AHEAD_RATIO of
 * full. */
bool guard_is_ahead(const SnapshotGuest *g, const GuardConfig *c);

/* What the rules allow one guest: absolute sizes, least ≤ most. With least ≤ standing it may be shrunk that
 * far. A guest below its floor has least = floor: it must grow. A rule that forbids shrinking sets least =
 * standing, above full as well (then most = least). hold: the rule that forbids any move (then both are
 * standing), or NONE. A guest whose size is not known is held as stale.
 *
 * reclaim_bytes: the most that it may be asked to hand back while it keeps its size; 0 if a rule forbids it. */
typedef struct GuestBounds {
    uint64_t least_bytes, most_bytes;
    GuardRule least_rule, most_rule; /* the rule that set each */
    GuardRule hold;
    uint64_t reclaim_bytes;
    GuardRule reclaim_rule; /* that forbids it, or sets reclaim_bytes: spare, agentless, floor, swapless */
} GuestBounds;

/* Fills one GuestBounds for each guest. */
void guard_bounds(const Snapshot *s, const GuardConfig *c, GuestBounds *ret);

/* What a guest has at a target that it could hand back: idle memory and page cache; with anon also anonymous
 * memory that its swap can take. Without an agent, no more than it may be shrunk by. Without free page reporting a
 * balloon takes it, with *ret_way_bytes of free memory that the host doesn't hold: no more than it may take. Whole KiB;
 * *ret_rule is the rule that sets it. Both may be NULL. */
uint64_t guard_reclaimable(const SnapshotGuest *g, const GuardConfig *c, uint64_t target_bytes, bool anon,
                           uint64_t *ret_way_bytes, GuardRule *ret_rule);

/* The size that a policy sees: while its balloon moves, between the ends of that move. */
uint64_t guard_current(const SnapshotGuest *g);
/* The size that it has, as far as that is believed: a guest says itself how large it is, but can't have more than
 * when our move began (not known: than its full size). */
uint64_t guard_has(const SnapshotGuest *g);
/* What a shrink on its way still takes from it; no more than its QEMU holds, and nothing if the move is late. */
uint64_t guard_leaving(const SnapshotGuest *g);
/* How much larger the guest's target is than its size: growth on its way. No more than our move adds, whatever size the
 * guest says that it has, and nothing if the move is late. 0 for a guest that is squeezed: what its balloon lets go of is
 * not held by the host, and has been the guest's all the time. */
uint64_t guard_coming(const SnapshotGuest *g);
/* What it got and may take at any moment: the larger of the growth on its way and its outstanding memory. */
uint64_t guard_promised(const SnapshotGuest *g);
/* The part of the host's available memory that can't be given: guard_kept(), and guard_promised() of each guest. */
uint64_t guard_spoken_for(const Snapshot *s, const GuardConfig *c);
/* Bytes by which all guests together may grow in this cycle: available memory that is not spoken for. 0 if
 * that is negative. */
uint64_t guard_room(const Snapshot *s, const GuardConfig *c);
