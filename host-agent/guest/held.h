/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a guest holds of the host's memory, and how much of that it doesn't use. All formulas are here.
 *
 *   resident   VmRSS + VmSwap of the guest's QEMU: what the host pays for, in memory or in swap. Of a guest whose
 *              memory is shared (memfd), its cgroup's figures where those are higher. Huge pages of a pool aren't
 *              part of it, nor of the host's total.
 *   used       current − free: what the guest's kernel uses or has reserved (the size as of when free was read)
 *   overhead   QEMU's own memory: the smallest resident − used that was seen while nothing moved. The guest's free
 *              memory isn't resident at most then, so what is left is QEMU's. As long as nothing proves more, it
 *              is at most 96 MiB: a guest that has touched all of its memory, and gave nothing back, was perhaps
 *              never seen otherwise. A shrink that brought less than it should proves more (gain.h). It rises by
 *              1 MiB an hour, as long as no look lies below it, because QEMU's own memory may grow.
 *   idle       clamp(resident − overhead − used, 0, free): free in the guest, and still held by the host, in each of
 *              the last three looks at rest. All free memory where resident isn't known. What KSM merged counts in
 *              VmRSS, but costs the host next to nothing: where it is known how much that is, idle is smaller by the
 *              same share.
 *   fragmented min(idle, free − free_blocks): the part of idle that free page reporting doesn't reach, because it
 *              lies in too small pieces. Missing unless the guest reports free pages.
 *   cold       page cache that wasn't used lately: cold_60s where the guest's kernel knows it (MGLRU), else
 *              inactive_file − dirty, of which reclaim_cost is taken off: that share was missed before. Never more
 *              than the cache.
 *   reclaim_cost  bytes read back per byte that reclaims took, in the last 5 minutes; 0 without reclaims
 *   cpu        share of one CPU that the QEMU used in the last 2 s (between the last looks, where they are further
 *              apart)
 *   rested     how long cpu has been below 25 %
 *   swapping   a page for each major fault of the QEMU, in the same 2 s. The host reads several at once where they lie
 *              side by side in its swap, so this is the least that it reads back.
 *
 * A kernel may reserve memory and never touch it (for a crash kernel): then resident − used lies below QEMU's own
 * memory, at most by what the kernel reserved. The smallest difference is therefore signed, and can be as far below
 * 0. The formulas use it as it is; as overhead 0 is shown then. */

#include "host-agent/guest/sample.h"

/* The largest overhead as long as no shrink has proved more, and ever. */
#define HELD_OVERHEAD_MAX_BYTES (UINT64_C(96) << 20)
#define HELD_PROVEN_MAX_BYTES   (UINT64_C(1) << 30)
/* A look that is older than this says nothing about now. */
#define HELD_STALE_USEC         (15 * USEC_PER_SEC)

typedef enum HeldSource {
    HELD_SOURCE_NONE,    /* nothing is known */
    HELD_SOURCE_LIBVIRT, /* only VmRSS, as libvirt reports it: what the host swapped out isn't known */
    HELD_SOURCE_PROCESS, /* the process itself was read */
    HELD_SOURCE_MAX,
} HeldSource;

const char *held_source_to_string(HeldSource s);

/* What the host sees of a guest's QEMU at one moment. Bytes. */
typedef struct ProcessLook {
    uint64_t rss_bytes, swap_bytes;
    uint64_t shmem_bytes;  /* the part of rss that is shared memory */
    uint64_t merged_bytes; /* the part of rss that KSM merged; 0 also where that isn't known */
    usec_t cpu_usec;       /* cumulative, of all threads */
    uint64_t major_faults; /* cumulative */
} ProcessLook;

/* What the guest says of its memory. All of it is of one moment, so that used is right also while a balloon moves:
 * the balloon's size is newer than what the guest says, and isn't used here. */
typedef struct HeldGuest {
    uint64_t used_bytes;     /* MemTotal − MemFree (without what the balloon holds) + reserved */
    uint64_t free_bytes;     /* MemFree */
    uint64_t reserved_bytes; /* by its kernel, and not in MemTotal */
} HeldGuest;

#define HELD_CALM_LOOKS   8U
#define HELD_COST_PERIODS 5U

/* A look with what the guest said then. */
typedef struct HeldPoint {
    uint64_t resident_bytes, used_bytes;
} HeldPoint;

/* Reclaims of one minute. */
typedef struct HeldReclaims {
    uint64_t taken_bytes, refaulted_bytes;
} HeldReclaims;

typedef struct Held {
    HeldSource source;
    ProcessLook look; /* the last one … */
    usec_t look_usec; /* … and when it was taken; 0: none was */

    /* QEMU's own memory. */
    bool learned;                      /* least_bytes is known */
    int64_t least_bytes;               /* the smallest difference */
    usec_t least_usec;                 /* until when it has risen */
    uint64_t proven_bytes;             /* as much a shrink has proved; 0: none has */
    uint64_t stored_bytes;             /* the overhead that is stored with the domain; 0: none is … */
    usec_t stored_usec;                /* … and since when, or when it was first learned */
    HeldPoint points[HELD_CALM_LOOKS]; /* the last looks in a row with nothing moving, the newest first */
    unsigned n_points;
    int64_t recent_bytes[2]; /* the smallest difference of this period, and of the one before */
    usec_t recent_usec;      /* when this period began; 0: no difference was seen yet */

    /* CPU time and major faults: the look that the next rates begin at. */
    usec_t cpu_usec, cpu_at_usec; /* at 0: none */
    uint64_t major_faults;
    double cpu, faults; /* NAN: not known */
    usec_t busy_usec;   /* when it was last busy, or its first look */

    HeldReclaims reclaims[HELD_COST_PERIODS]; /* the newest first */
    usec_t reclaims_usec;                     /* when the newest began */
} Held;

/* remembered_bytes: the overhead that an earlier daemon learned; 0: none. */
void held_init(Held *h, uint64_t remembered_bytes);
/* A look at the QEMU. guest: what the guest says, if nothing moves: the balloon is at rest, the guest's stats
 * are fresh, and the look includes what the host swapped out (or it swaps nothing); else NULL. A look of libvirt
 * is ignored while there are newer ones of the process. */
void held_look(Held *h, const ProcessLook *look, HeldSource source, const HeldGuest *guest, usec_t now_usec);
/* The guest rebooted: its memory is other memory, but the QEMU is the same. */
void held_reboot(Held *h);
/* A shrink brought less than it should, by so much: QEMU's own memory is that much larger, but not larger than
 * most_bytes, what resident is above used now. */
void held_prove(Held *h, uint64_t missing_bytes, uint64_t most_bytes);
/* Whether the overhead should be stored with the domain: it has changed, and was stored long enough ago. And it was
 * stored, perhaps along with something else. */
bool held_is_due(const Held *h, usec_t now_usec);
void held_stored(Held *h, usec_t now_usec);
/* What is to be stored; 0: nothing. */
uint64_t held_to_store(const Held *h);
/* A reclaim took memory, and part of what reclaims took was read back. */
void held_reclaimed(Held *h, uint64_t taken_bytes, uint64_t refaulted_bytes, usec_t now_usec);

/* Whether the last look says something about now. */
bool held_is_known(const Held *h, usec_t now_usec);
/* 0: not known. */
uint64_t held_resident(const Held *h, usec_t now_usec);
uint64_t held_overhead(const Held *h);
/* How far the smallest difference of the last 5 to 10 minutes lay above the overhead: QEMU's own memory may be
 * that much larger. 0 if no difference was seen yet. */
uint64_t held_uncertainty(const Held *h);
uint64_t held_idle(const Held *h, const HeldGuest *guest, usec_t now_usec);
/* Bytes per second; NAN: not known. */
double held_swapping(const Held *h, usec_t now_usec);
/* 0 where it isn't known. */
usec_t held_rested(const Held *h, usec_t now_usec);
double held_reclaim_cost(const Held *h, usec_t now_usec);

/* Sets the stats that follow from it: those above, rss, and reporting where the guest does not say. fields already has what the guest reports; r: its
 * report, guest: what that says, NULL: nothing. offers: the balloon device offers free page reporting. */
void held_fields(const Held *h, const Report *r, const HeldGuest *guest, bool offers, usec_t now_usec,
                 GuestFields *fields);
