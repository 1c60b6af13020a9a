/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What things cost on a small host (small.h), with where each figure comes from. "Bench" is make bench-overcommit
 * (doc/overcommit.md); "lab" is a day of tries by hand on the same real guests: eight of 512 MiB under TCG, kernel
 * 6.1, 2 GiB for all, two cores, 1000 reads per second. Figures that nobody measured are called chosen: they are
 * round, and tests/unit/test-sim-rows.c shows that rules rank the same with half of each, and with twice as much. */

/* MiB, seconds, pages of 4 KiB. */
typedef struct SimCosts {
    const char *name;
    double inflate, deflate;    /* of a balloon: MiB per second */
    double reclaim_cpu;         /* seconds of CPU per MiB of page cache that a guest's kernel reclaims */
    double compact_cpu;         /* … and per MiB of fragments that it compacts */
    double fresh_cpu, read_cpu; /* … and per page of work: in anonymous memory, in page cache */
    double read_pages;          /* pages of page cache that one guest gets in a second, at most */

    /* Chosen. Part of the page cache that is reclaimed: in pieces too small to be reported. */
    double fragments;
    /* Part of the memory that was always free: it was used while the guest booted, so the host holds it unless it was
     * reported. */
    double touched;
    /* Part of a page's accesses: each touches a page of the guest's kernel or its QEMU, too. A guest that was swapped
     * out whole wakes slowly. */
    double base;
    /* Part of the memory that the host swaps out: it isn't the oldest, because the host knows ages only roughly. */
    double blind;
    /* In this time free page reporting gets 63 % of what is left. The lab saw it take up to 30 s. */
    double report_sec;
} SimCosts;

/* TCG: raw balloon of the machine that made the bench's figures; 16 MiB of reclaim took 30–170 ms of CPU, 128 MiB
 * of fragments 78–276 ms: the middle of both. Work: the guests' CPU time in the lab, 34 s for 40 s at 179,000 pages
 * per second, and 27 s at 75,000; two guests read 78,100 pages per second with all of them cached.
 * KVM: an earlier machine's raw balloon, close to what is published of KVM hosts (860 and 2,100); else the lowest
 * that was measured. */
extern const SimCosts sim_costs_tcg, sim_costs_kvm;

#define COSTS_CORES         2.0
#define COSTS_READS         1000.0 /* per second, of the host's disk: the bench's throttle */
/* Pages that one read brings. Swap: page-cluster is 3, so 8 at the best; free memory in blocks is touched in order and
 * gets that. Scattered pages (in fragments, of a kernel, of a QEMU) come one by one. Page cache lies partly in order:
 * the bench's FPR rows with stale cache (7,800–25,700 pages per second, 22,500 the median) mean 3–8. A guest that
 * lost page cache reads it back page by page: the bench's loop that takes all of it leaves 1,100 pages per second. */
#define COSTS_READ_BLOCKS   8.0
#define COSTS_READ_SCATTER  1.0
#define COSTS_READ_CACHE    4.0
#define COSTS_READ_FILE     1.0
/* A balloon that moves keeps its guest's CPU and QEMU's main thread busy: the schedule's took 62–79 of 80 s of CPU for
 * 6 GiB, and everything else 10–19. */
#define COSTS_BALLOON_CORES 2.0
/* A balloon sets out after that (lab: virsh setmem takes effect in 0.3 s). */
#define COSTS_SET_OUT_SEC   0.3
/* A step of 16 MiB took 0.2–0.3 s with its waits. */
#define COSTS_RECLAIM_SPEED 64.0 /* MiB per second */
/* Pages of its own kernel that a guest touches for each MiB that it moves, reclaims or compacts: 4 of page structs
 * and one of others. A kernel that the host swapped out waits for each. */
#define COSTS_KERNEL_PAGES  5.0
/* Compaction moves the page that lies between two free pieces: bench, work.c: one of 64. */
#define COSTS_MOVED_PART    (1.0 / 64)

/* Free page reporting: 2 s after blocks became free the kernel begins (page_reporting.c, PAGE_REPORTING_DELAY). */
#define COSTS_REPORT_DELAY_SEC 2.0

/* Sizes, MiB. Lab: a QEMU has 74 of its own; a guest of 512 sees 470. At rest it can be shrunk to 144 (bench,
 * BASE_MIB), 40 of them kept available by whoever does that. */
#define COSTS_GUEST  512.0
#define COSTS_QEMU   74.0
#define COSTS_KERNEL 42.0
#define COSTS_BASE   60.0
#define COSTS_LOW    8.0 /* what a guest's kernel keeps free: its low watermarks (chosen) */
