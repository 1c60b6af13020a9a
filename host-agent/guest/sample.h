/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Samples of a guest's memory, from its agent or from libvirt's balloon stats, and the last few of them. */

#include "host-agent/decide/snapshot.h"
#include "proto/codec.h"

typedef struct Sample {
    usec_t at_usec; /* when it came, by the host's CLOCK_MONOTONIC */
    GuestSource source;
    Report report; /* libvirt's stats are put into the same fields */
} Sample;

/* Samples kept for each guest: enough for 10 s at the fastest pace (one each 250 ms, while a balloon moves),
 * and a few more. With 410 bytes each they are most of what a guest costs the daemon. */
#define HISTORY_MAX 42

/* A ring of samples. The newest is history_get(h, 0). */
typedef struct History {
    Sample samples[HISTORY_MAX];
    unsigned next, count;
} History;

void history_add(History *h, const Sample *s);
void history_clear(History *h);
/* The sample `back` steps before the newest; NULL where there is none. */
const Sample *history_get(const History *h, unsigned back);
/* How much a counter grew over at most the given time, and in how many seconds (perhaps 0), from samples of
 * one source. False if there aren't two samples, or if the counter went back between them. */
bool history_growth(const History *h, ReportField f, usec_t window_usec, uint64_t *ret_growth,
                    double *ret_seconds);
/* How fast a counter grows per second; false also if no time passed. */
bool history_rate(const History *h, ReportField f, usec_t window_usec, double *ret_per_sec);

/* What the host knows of a guest, independent of what the guest reports. */
typedef struct SampleHost {
    uint64_t current_bytes; /* the balloon's size: what the guest has */
    uint64_t maximum_bytes; /* … and the balloon together */
    bool balloon_in_total;  /* sample_balloon_in_total() */
} SampleHost;

/* Whether the guest's MemTotal includes what its balloon holds. In a Linux guest it doesn't: MemTotal shrinks
 * with the guest. But with deflate-on-oom (the domain's autodeflate), and on Windows, the balloon's memory
 * counts as used, and MemTotal doesn't change. MemTotal is the maximum or the current size, in either case
 * less what the kernel keeps for itself. That decides it only if the balloon holds clearly more than a kernel
 * may keep; otherwise autodeflate says which is more likely.
 *
 * Not for a balloon on its way, because the sample may be older than its size: the caller keeps the answer
 * from when the balloon last stood still. */
bool sample_balloon_in_total(const Sample *s, uint64_t current_bytes, uint64_t maximum_bytes,
                             bool autodeflate);

/* MemTotal, less what the balloon holds if the guest counts that: what the guest's kernel can use of its size.
 * current_bytes if the guest doesn't report it. */
uint64_t sample_total(const Sample *s, uint64_t current_bytes, uint64_t maximum_bytes, bool balloon_in_total);

/* The stats that a policy sees, from a sample (NULL: none) and the guest's size. Sets those fields and no others;
 * held.h has what follows from both sides. The values are the same whether or not the guest counts its balloon as used:
 *
 *   total          MemTotal, less what the balloon holds if the guest counts that
 *   available      MemAvailable; MemFree if the guest doesn't report it (Windows, Linux before 3.14); and ZFS's
 *                  cache above its minimum
 *   used           current − available. This includes what the kernel keeps for itself, so a guest of that
 *                  size could just live. It is never less than total − available, because the size may be
 *                  newer than the sample while the balloon inflates.
 *   cache          Buffers + Cached + SReclaimable − Shmem, and ZFS's cache above its minimum
 *   arc            ZFS's cache above its minimum */
void sample_fields(const Sample *s, const SampleHost *host, GuestFields *ret);
