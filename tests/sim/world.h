/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A simulated host and its guests: what they ask for in the course of time (the trace, which depends on the
 * seed alone, so that it is the same for whatever moves the balloons), what memory they get, how balloons
 * move, and what guests report. It knows nothing of policies. Sizes are bytes, in doubles. */

#include <stdbool.h>

#include "base/units.h"
#include "proto/codec.h"

#define SIM_TICK_USEC  (100 * USEC_PER_MSEC)
#define SIM_TICK_SEC   ((double) SIM_TICK_USEC / (double) USEC_PER_SEC)
#define SIM_SEEN_TICKS 3 /* a manager that looks five times a second has seen a size by then */
#define SIM_PHASE_USEC (1000 * USEC_PER_SEC) /* demand changes once in a phase … */
#define SIM_STIR_USEC \
    (60 * USEC_PER_SEC) /* … of each guest at a time of its own, within this from its begin */
#define SIM_GIFT_USEC  (30 * USEC_PER_SEC) /* what was given and isn't used by then is the guest's own */
#define SIM_GUESTS_MAX 24U
#define SIM_NOISE      0.03           /* of a guest's stats: wrong by up to this share, drawn each time */
#define SIM_READ_SPEED (150.0 * MIB)  /* bytes per second of what guests read from disk … */
#define SIM_HIT_SPEED  (1024.0 * MIB) /* … and of what they find in their page cache */

typedef enum SimSource { SIM_SOURCE_AGENT, SIM_SOURCE_LIBVIRT, SIM_SOURCE_NONE } SimSource;

/* What kinds of guests there are. Demand: shares of full, drawn between low and high, again in each phase
 * where it changes, once where not. */
typedef struct SimKind {
    const char *name;
    SimSource source;
    bool changes;      /* asks for something else in each phase */
    bool swapless;     /* what it uses can't be taken; what it lacks gets it killed */
    bool reports_free; /* free page reporting: what it frees is the host's at once, but for fragments */
    bool visits;       /* boots, stays for a phase or some, and goes */
    bool says_free;    /* a liar: reports that all its memory is free */
    bool cries;        /* a liar: says again and again that it is in distress */
    double used[2], hot[2], cold[2];
} SimKind;

/* current = kernel + used + hot_cached + cold_cached + backed + hollow: free memory is backed by the host, or
 * hollow (never touched, or reported free). */
typedef struct SimGuest {
    /* What it is. */
    char uuid[16];
    const SimKind *kind;
    double full, floor, kernel, low; /* low: what its kernel keeps free */
    double own;                      /* QEMU's own memory, which nobody outside knows */
    double shares;
    double speed;     /* of its balloon when it takes, bytes per second; it gives back twice as fast */
    usec_t slow_usec; /* how long it takes to set out */
    usec_t report_delay_usec;
    usec_t stir_usec;

    /* What it asks for in this phase: anonymous memory, cache that it reads all the time, cache of what it
     * once read. */
    int phase;
    bool present;
    usec_t boot_usec;
    double wants, hot, cold;

    /* What it has. */
    double asked; /* of wants, as far as it came */
    double used, swapped, hot_cached, cold_cached, backed, hollow, current;
    double hot_most; /* of hot, what was cached once: only that can be missed */
    double target;
    double lately[SIM_SEEN_TICKS]; /* its size before each of the last ticks, the newest first */
    usec_t sets_out_usec;
    double given; /* to grow by, lately (SIM_GIFT_USEC), and not touched yet */
    usec_t given_usec;

    /* Cumulative since its boot, but for stall (of the last tick) and stall_avg10. */
    double swap_in, swap_out, refaults, stall_usec, alloc_stalls, ooms;
    double stall, stall_avg10;
} SimGuest;

/* small.h */
typedef struct SimSmall SimSmall;

typedef struct SimWorld {
    SimSmall *small; /* borrowed; NULL: the host's swap is ideal, what is reported is the host's at once, and
                      * guests ask for what the trace says */
    uint64_t seed;
    SimGuest guests[SIM_GUESTS_MAX];
    size_t n;
    double total, overhead;
    int phases; /* demand changes so often, and then no more */
    usec_t now_usec;
    double swapped;     /* by the host, now */
    double swapped_out; /* by the host, cumulative */
    double demanded; /* cumulative: what guests touched beyond what was given lately, and the host itself */
} SimWorld;

/* seed decides everything but the load: what guests ask for at most in any of these phases, as a share of the
 * host. What they ask for in the last phase they go on asking for. */
void sim_init(SimWorld *w, uint64_t seed, double load, int phases);
void sim_tick(SimWorld *w);
/* As virDomainSetMemory(): 0, or -EIO where it is refused now. */
int sim_set_memory(SimWorld *w, size_t guest, double bytes);
double sim_available(const SimWorld *w);
/* Less available than this, of its total and in bytes at the most, and it is under pressure; critical. */
#define SIM_PRESSED_RATIO  0.20
#define SIM_PRESSED_MAX    (32.0 * (double) GIB)
#define SIM_CRITICAL_RATIO 0.05
#define SIM_CRITICAL_MAX   (8.0 * (double) GIB)
#define SIM_RELAXED_RATIO  0.25 /* more than this, and it has memory to spare */
#define SIM_RELAXED_MAX    (40.0 * (double) GIB)
double sim_pressed(const SimWorld *w);
double sim_relaxed(const SimWorld *w);
double sim_critical(const SimWorld *w);
/* Of its QEMU, as the host sees it: VmRSS, and VmSwap, which is what the host swapped out of it. */
double sim_rss(const SimWorld *w, const SimGuest *g);
double sim_swap(const SimWorld *w, const SimGuest *g);
/* CPU time that it used; cumulative. Only a small host counts it. */
usec_t sim_cpu(const SimWorld *w, const SimGuest *g);
/* Its stats now. */
void sim_report(const SimWorld *w, const SimGuest *g, Report *ret);
/* How fast it reads its hot cache, compared with how fast it would if all that was ever cached of
 * that still were: a page that it misses is read from disk. 1 for one without hot cache. */
double sim_throughput(const SimGuest *g);
/* It lacks memory that it uses. */
bool sim_is_starved(const SimGuest *g);
/* It says that it is in distress now, and isn't. */
bool sim_cries(const SimWorld *w, const SimGuest *g);
static inline bool sim_is_liar(const SimGuest *g)
{
    return g->kind->says_free || g->kind->cries;
}
static inline double sim_free(const SimGuest *g)
{
    return g->backed + g->hollow;
}
/* Uniform in [low, high), a pure function of the rest. */
double sim_random(uint64_t seed, uint64_t a, uint64_t b, double low, double high);
