/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host that is too small for its guests, as make bench-overcommit has one, in a SimWorld. Unlike the host in world.c
 * it swaps: what guests hold beyond its memory is swapped out, the oldest first. A guest that touches such memory
 * waits for the disk. Some seconds after blocks became free, free page reporting hands them back; free memory in
 * fragments stays until it is compacted. Page cache is stale or read again and again. All guests share the disk's
 * reads and two cores. costs.h has the figures.
 *
 * A guest asks for pages in random order. In a tick it gets as many as CPU and disk allow. A page costs a part of a
 * read if the host or the guest has swapped it out, or if the page cache lacks it. */

#include "tests/sim/costs.h"
#include "tests/sim/world.h"

#define SMALL_GUESTS 8U
#define SMALL_PAGE   4096.0

/* The parts of a guest's memory that the host holds. */
typedef enum SimPart {
    SIM_PART_BASE,      /* QEMU's own, the guest's kernel, and what runs at rest */
    SIM_PART_WORK,      /* anonymous memory of its work */
    SIM_PART_HOT,       /* page cache that is read again */
    SIM_PART_COLD,      /* page cache that isn't */
    SIM_PART_BLOCKS,    /* free, in blocks that can be reported */
    SIM_PART_FRAGMENTS, /* free, in smaller pieces */
    SIM_PART_MAX,
} SimPart;

typedef struct SimRegion {
    double bytes, out; /* out: the part of it that the host has swapped out */
    usec_t touched_usec;
} SimRegion;

/* What a guest's kernel works on, because its host or a program in it asked. */
typedef enum SimLever { SIM_LEVER_NONE, SIM_LEVER_COMPACT, SIM_LEVER_RECLAIM } SimLever;

typedef struct SmallTask {
    SimLever lever;
    uint32_t id;
    double wanted, got; /* bytes */
    double refaults;    /* of the guest when it began */
    usec_t cpu_usec;
    LeverEnd end; /* 0: it works; else why it ended, until sim_lever_result() takes it */
} SmallTask;

typedef struct SmallGuest {
    SimRegion parts[SIM_PART_MAX];
    bool worked;    /* in the last tick */
    double was_cut; /* part of its work's memory that came from fragments, and becomes fragments again */
    /* Memory in pieces that the host doesn't hold: in the balloon, and back from it. */
    double cut_balloon, cut_hollow;
    usec_t freed_usec; /* when blocks became free where there were none */
    double swapped_in; /* bytes, cumulative */
    double pages;      /* that its work got since counting began */
    usec_t cpu_usec;   /* cumulative */
    SmallTask task;
} SmallGuest;

typedef struct SmallScenario {
    const char *name;
    double blocks, fragments, cold, hot; /* MiB that a guest has when it begins */
    double work;                         /* MiB of anonymous memory that work takes, or 0: it reads hot */
    double total;                        /* MiB of the host, or 0: … */
    double available;                    /* this share of it is available when all have begun */
    bool before;                         /* guests work before counting begins, too */
} SmallScenario;

struct SimSmall {
    const SmallScenario *scenario;
    const SimCosts *costs;
    bool reporting; /* free page reporting is on */
    usec_t begin_usec;
    usec_t go_usec;  /* from then on pages count, and the disk is slow */
    double disk;     /* reads that are left in this tick … */
    double reads;    /* … and the part of them for the guest whose turn it is */
    double share;    /* of the CPU time that is wanted in this tick, which there is */
    double swapping; /* bytes per second that the host swaps in, over the last second or so */
    SmallGuest guests[SMALL_GUESTS];
};

/* All guests have begun, and the host has just become too small. The world borrows s. */
void small_init(SimWorld *w, SimSmall *s, const SmallScenario *scenario, const SimCosts *costs,
                bool reporting);
/* For sim_tick(). */
void small_tick(SimWorld *w);
/* Whether a guest works at that time. */
bool small_works(const SimWorld *w, size_t guest, usec_t at_usec);
/* Swapped out by the host. */
double small_out(const SimWorld *w);
double small_guest_out(const SmallGuest *g);
/* Swapped in; cumulative. */
double small_in(const SimSmall *s);
/* Stats that only guests on such a host have. */
void small_report(const SimWorld *w, const SimGuest *g, Report *r);
static inline SmallGuest *small_guest(const SimWorld *w, const SimGuest *g)
{
    return &w->small->guests[g - w->guests];
}

/* A guest's kernel begins to compact, or to reclaim that much page cache. -EBUSY if it works already. */
int sim_lever(SimWorld *w, size_t guest, SimLever lever, uint32_t id, double bytes);
/* Whether it has ended: then the answer. */
bool sim_lever_result(SimWorld *w, size_t guest, Message *ret);
void sim_lever_stop(SimWorld *w, size_t guest);

/* ---- host-swap.c ---- */

/* Swaps out what is beyond the host's memory. */
void swap_out(SimWorld *w);
/* Touches bytes of a part, picked at random, and swaps them in. Returns the reads that it takes. */
double swap_touch(SmallGuest *k, SimPart part, double bytes, double pages_per_read, usec_t now_usec);
/* Takes up to bytes from a part: memory that is swapped out comes first, or last. Returns what it took, and how much of
 * that is swapped out. */
double swap_take(SimRegion *r, double bytes, bool out_first, double *ret_out);
void swap_put(SimRegion *r, double bytes, double out, usec_t touched_usec);

/* ---- fpr.c ---- */

/* Blocks that became free go back to the host. */
void fpr_tick(const SimWorld *w, SimGuest *g, SmallGuest *k);
/* Memory becomes free, some of it in pieces. */
void fpr_free(const SimWorld *w, SmallGuest *k, double bytes, double out, double pieces);
/* Goes on with the task of the guest's kernel. */
void lever_tick(SimWorld *w, SimGuest *g, SmallGuest *k);
/* CPU time that it wants in a tick, seconds. */
double lever_cpu(const SimWorld *w, const SmallGuest *k);
/* How much of bytes a guest's kernel can handle in this tick: it touches memory of its own for each, and waits for the
 * disk if the host swapped that out. */
double lever_through(SimWorld *w, SmallGuest *k, double bytes);
