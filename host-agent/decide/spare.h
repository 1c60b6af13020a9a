/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memory that a guest can spare. Internal to decide/. */

#include "host-agent/decide/guard.h"

/* What a guest can spare at a target. Its stats were collected at its current size, so memory taken between
 * that and the target is subtracted. */
typedef struct Spare {
    uint64_t free_bytes;   /* above its low watermark */
    uint64_t backed_bytes; /* the part of that which the host gets; the rest goes before page cache */
    uint64_t cache_bytes;
    uint64_t give_bytes; /* how far it may be shrunk while it keeps keep_ratio of its size available */
} Spare;

void spare_at(const SnapshotGuest *g, const GuardConfig *c, uint64_t target_bytes, Spare *ret);
/* What the host gains from a further shrink by bytes. */
uint64_t spare_gain(const Spare *s, uint64_t bytes);

/* The part of what the guest's QEMU holds that the host has in memory, and has not swapped out: 0 … 1. */
double spare_in_ram(const SnapshotGuest *g);
