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

/* Samples kept for each guest: the 10 s that are looked back over when they come fastest, each 250 ms while a
 * balloon moves, and a little. It is most of what a guest costs: 300 bytes each. */
#define HISTORY_MAX 42

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

/* What the host knows of a guest, beside what the guest says. */
typedef struct SampleHost {
    uint64_t current_bytes;  /* the balloon's size: what the guest has */
    uint64_t maximum_bytes;  /* … and the balloon together */
    uint64_t rss_bytes;      /* of its QEMU; 0: not known */
    uint64_t overhead_bytes; /* of that, QEMU's own (gain_overhead()) */
    bool balloon_in_total;   /* sample_balloon_in_total() */
} SampleHost;

/* Whether the guest's MemTotal counts what its balloon holds. A Linux guest's doesn't: its MemTotal shrinks
 * with it. But with deflate-on-oom (the domain's autodeflate), and on Windows, what the balloon holds is used
 * memory, and MemTotal stands still. Recognised by MemTotal, which is the maximum or the size, in either case
 * less what the kernel keeps for itself. That tells them apart only where the balloon holds plainly more than
 * a kernel may keep; where it holds less, autodeflate says what it most likely is.
 *
 * Says nothing of a balloon that is on its way, for which the sample may be too old: then the caller goes by
 * what it was told while the balloon last stood still. */
bool sample_balloon_in_total(const Sample *s, uint64_t current_bytes, uint64_t maximum_bytes,
                             bool autodeflate);

/* The stats that a policy sees, from a sample (NULL: none) and what the host knows of the guest: sets those
 * fields and no others. They come out the same whether the guest counts its balloon as used or not:
 *
 *   total          MemTotal, less what the balloon holds where it is counted
 *   available      MemAvailable; of a guest that doesn't say it (Windows, Linux before 3.14), MemFree
 *   used           current − available: so what its kernel keeps for itself is used, too, and a guest of that
 *                  size could just live. While its balloon shrinks, the size may be newer than the sample:
 *                  never less than total − available.
 *   cache          Buffers + Cached + SReclaimable − Shmem
 *   resident_free  of what is free in the guest, what the host still holds (beyond what the guest uses and
 *                  QEMU's own): clamp(rss − overhead − (current − free), 0, free), or free where RSS isn't
 *                  known */
void sample_fields(const Sample *s, const SampleHost *host, GuestFields *ret);
