/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was learnt of a guest's memory, from its agent or from libvirt's balloon stats, and the last few of
 * it. */

#include "host-agent/decide/snapshot.h"
#include "proto/codec.h"

typedef struct Sample {
    usec_t at_usec; /* host's CLOCK_MONOTONIC when it came */
    GuestSource source;
    Report report; /* libvirt's stats put into the same fields */
} Sample;

#define HISTORY_MAX 64 /* samples kept for each guest: about a minute */

/* A ring. The newest is history_get(h, 0). */
typedef struct History {
    Sample samples[HISTORY_MAX];
    unsigned next, count;
} History;

void history_add(History *h, const Sample *s);
void history_clear(History *h);
/* The sample `back` steps before the newest; NULL where there is none. */
const Sample *history_get(const History *h, unsigned back);
/* How much a counter grew over at most the given time, and in how many seconds (perhaps 0), from samples of
 * one source; false where there are not two of them, or the counter went back between them. */
bool history_growth(const History *h, ReportField f, usec_t window_usec, uint64_t *ret_growth,
                    double *ret_seconds);
/* Likewise how fast it grows per second; false also where no time passed. */
bool history_rate(const History *h, ReportField f, usec_t window_usec, double *ret_per_sec);

/* The stats that a policy sees, from a sample (NULL: none) and what the host knows of the guest: sets those
 * fields and no others. rss_bytes: 0 where not known. current_bytes: the balloon's size. cache = Buffers +
 * Cached + SReclaimable − Shmem; used = total − available; resident_free: of what is free in the guest, what
 * the host still holds: clamp(rss − (current − free), 0, free), or free where RSS isn't known. */
void sample_fields(const Sample *s, uint64_t current_bytes, uint64_t rss_bytes, GuestFields *ret);
