/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From those who can spare it to those in distress, in the same cycle. What guests in distress want and the
 * host has no room for, others release for them: first free memory that the host really gets, from who has
 * most of it; then page cache, from who has most of that, a part at a time. Each keeps keep_ratio of its size
 * available, and no rule of the guard is bent for it. What they released becomes room, which the next cycles
 * give to who is in distress: nothing is outstanding before it is there.
 *
 * Internal to decide/. Pure. */

#include "host-agent/decide/reason.h"

/* A guest that waits for memory for this part of its time gives no page cache: it may live off it. */
#define DONOR_STALL_RATIO 0.01

/* What a guest has to spare at a target. Its stats were collected at its current size, so what is taken
 * between that and the target comes off first. */
typedef struct Spare {
    uint64_t free_bytes;   /* above its low watermark */
    uint64_t backed_bytes; /* of that, what the host gets; the rest is in the way to its cache */
    uint64_t cache_bytes;
    uint64_t give_bytes; /* how far it may be shrunk while it keeps keep_ratio of its size available */
} Spare;

void spare_at(const SnapshotGuest *g, const GuardConfig *c, uint64_t target_bytes, Spare *ret);

/* Lowers the targets of guests that give to those in distress, after all else was decided, and says in their
 * wishes what of. 0 or -ENOMEM. */
int donors_ask(const Snapshot *s, const GuardConfig *c, Wish *wishes, Decision *decisions, Requests *ret);
