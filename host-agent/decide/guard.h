/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The safety rules. No policy and no setting switches them off. Before the policy runs, guard_bounds() works
 * out for each guest the lowest and the highest target that the rules allow; after it, plan_apply() clips to
 * them, and to the host's room, and a decision names the rule that changed it. */

#include "host-agent/decide/snapshot.h"

typedef enum GuardRule {
    GUARD_RULE_NONE,
    GUARD_RULE_FLOOR,     /* not below the guest's floor */
    GUARD_RULE_CEILING,   /* not above its full size; in distress not above what it may grow to */
    GUARD_RULE_OFF,       /* mode off: nothing is decided */
    GUARD_RULE_UNMOVABLE, /* a balloon would free nothing, or was seen to: then only not shrunk */
    GUARD_RULE_BUSY,      /* paused, migrating, saving, shutting down: nothing is sent */
    GUARD_RULE_STALLED,   /* the balloon doesn't move: not asked for more until the back-off is over */
    GUARD_RULE_STALE,     /* no fresh stats: not shrunk */
    GUARD_RULE_GRACE,     /* just booted, rebooted or released: not shrunk */
    GUARD_RULE_DISTRESS,  /* in distress: not shrunk, and gets its ceiling, within room */
    GUARD_RULE_HURTING, /* began to hurt after a shrink: not shrunk, goes back to where it was, within room */
    GUARD_RULE_PROTECTED, /* hurt when it was shrunk: not shrunk again for a while that grows */
    GUARD_RULE_NEEDED,    /* not below what it was found to need */
    GUARD_RULE_AGENTLESS, /* without agent: no more than a part of what it has available; without stats
                             nothing */
    GUARD_RULE_DONOR,     /* gives memory that it can spare to a guest in distress */
    GUARD_RULE_REBOOT,    /* booted into a shrunken size: gets its full size first, within room */
    GUARD_RULE_SWAPLESS,  /* not below what the guest uses + 10 % less what its swap can still take (unknown:
                             0) */
    GUARD_RULE_STEP,      /* one move at a time, each no larger than its balloon does in step_usec */
    GUARD_RULE_ROOM,      /* growth only from what the host has to give: guard_room() */
    GUARD_RULE_DEAD_BAND, /* too small a change to be worth a move */
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
    uint64_t dead_band_bytes; /* the larger of the two counts; reaching full is always worth a move, and so is
                               * what the guard itself asks for */
    double swapless_ratio;    /* above what is used: 0.1 */
    double critical_ratio;    /* of the host's total … */
    uint64_t critical_max_bytes; /* … and no more than this: the room rule keeps it free */
    double keep_ratio;        /* of its size: what a guest keeps available when it gives to one in distress */
    double donor_cache_ratio; /* of full: page cache that a guest gives to one in distress in one go */
    double agentless_ratio;   /* of what it has available: what a guest without agent may be asked for */
} GuardConfig;

#define GUARD_CONFIG_DEFAULT                                               \
    ((GuardConfig){.stale_usec = 10 * USEC_PER_SEC,                        \
                   .grace_usec = 45 * USEC_PER_SEC,                        \
                   .step_usec = 2 * USEC_PER_SEC,                          \
                   .step_rate_default = 128.0 * 1024 * 1024,               \
                   .dead_band_ratio = 0.005,                               \
                   .dead_band_bytes = UINT64_C(4) * 1024 * 1024,           \
                   .swapless_ratio = 0.10,                                 \
                   .critical_ratio = 0.05,                                 \
                   .critical_max_bytes = UINT64_C(8) * 1024 * 1024 * 1024, \
                   .keep_ratio = 0.20,                                     \
                   .donor_cache_ratio = 0.10,                              \
                   .agentless_ratio = 0.5})

/* What a guest keeps at the least where nothing is configured: floor_ratio of full, and no less than the
 * smallest size in which a guest of that full size still works (Hyper-V's table: 512 MiB → 168, 2 GiB → 360,
 * 8 GiB → 744, 32 GiB → 1512 MiB; straight lines between, in proportion below 512 MiB, 1512 MiB above 32
 * GiB). Never above full. */
uint64_t guard_floor(uint64_t full_bytes, double floor_ratio);

/* By how much the host's thresholds are raised: twice where it has no swap, for there the first page too many
 * kills. Where it isn't known whether it has, it is taken to have some. */
double guard_caution(const HostFields *host);
/* The host's critical threshold: min(critical_ratio × total, critical_max_bytes) × guard_caution(), bytes; where
 * the total isn't known, from critical_max_bytes. */
uint64_t guard_critical(const GuardConfig *c, const HostFields *host);
/* What growth always leaves: that and an eighth of it as a margin, so that a gift that is then used doesn't
 * leave the host on the wrong side of the threshold. */
uint64_t guard_kept(const GuardConfig *c, const HostFields *host);
/* Whether the host is below its critical threshold. Then guests give also what they were found to need (HURTING,
 * PROTECTED and NEEDED don't count), so that the host doesn't swap. */
bool guard_is_critical(const Snapshot *s, const GuardConfig *c);

/* What counts as a guest's full size and floor: whole KiB, full no more than its maximum, floor no more than
 * full. */
uint64_t guard_full(const SnapshotGuest *g);
uint64_t guard_floor_of(const SnapshotGuest *g);
/* What it may have at the most just now: full, or in distress what it may grow to, where that is more. */
uint64_t guard_ceiling(const SnapshotGuest *g);
/* A change smaller than this isn't worth a move. */
uint64_t guard_dead_band(const GuardConfig *c, const SnapshotGuest *g);

/* What the rules allow one guest. Both are absolute sizes, least ≤ most; least ≤ standing means it may be
 * shrunk that far; a guest below its floor has least = floor (it must grow). A rule that forbids shrinking
 * has least = standing, also above full (then most = least). hold: the rule that forbids any move at all
 * (then both are standing), or NONE; a guest whose size isn't known is held as stale. */
typedef struct GuestBounds {
    uint64_t least_bytes, most_bytes;
    GuardRule least_rule, most_rule; /* what set each */
    GuardRule hold;
} GuestBounds;

/* Fills one GuestBounds for each guest. */
void guard_bounds(const Snapshot *s, const GuardConfig *c, GuestBounds *ret);

/* What of the host's available memory isn't there to be given: guard_kept(), and for each guest the larger of
 * the growth on its way and what was outstanding and isn't used yet. */
uint64_t guard_spoken_for(const Snapshot *s, const GuardConfig *c);
/* Bytes by which guests may grow in this cycle, all together: what is available and isn't spoken for. 0 where
 * that is negative. */
uint64_t guard_room(const Snapshot *s, const GuardConfig *c);
