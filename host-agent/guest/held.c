/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest holds of the host's memory, and how much of that it doesn't use. */

#include "host-agent/guest/held.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/macro.h"
#include "base/units.h"
#include "proto/limits.h"

/* A guest is calm if resident changed by no more than this in eight looks in a row. Otherwise what the guest said
 * before its memory went to the host would be compared with what is resident after it. The larger limit counts,
 * because a large guest is never quite still. */
#define CALM_BYTES     (8 * MIB)
#define CALM_PART      1024U
/* Idle is what so many looks agree on: a single report that is off would show idle memory for a moment, and a balloon
 * would go after it. */
#define IDLE_LOOKS     3U
#define RISE_BYTES     MIB /* in … */
#define RISE_USEC      (3600 * USEC_PER_SEC)
#define RECENT_USEC    (300 * USEC_PER_SEC)
#define STORE_BYTES    (4 * MIB)
#define STORE_USEC     (600 * USEC_PER_SEC)
#define RECLAIMS_USEC  (60 * USEC_PER_SEC)
/* CPU time is counted in hundredths of a second: over two seconds a share is right within 1 %. */
#define CPU_USEC       (2 * USEC_PER_SEC)
#define CPU_EARLY_USEC (100 * USEC_PER_MSEC)
#define BUSY_RATIO     0.25

const char *held_source_to_string(HeldSource s)
{
    static const char *const names[HELD_SOURCE_MAX] = {
        [HELD_SOURCE_NONE] = "none",
        [HELD_SOURCE_LIBVIRT] = "libvirt",
        [HELD_SOURCE_PROCESS] = "process",
    };

    return names[s];
}

void held_init(Held *h, uint64_t remembered_bytes)
{
    *h = (Held){.cpu = NAN, .faults = NAN};
    if (remembered_bytes == 0 || remembered_bytes > HELD_PROVEN_MAX_BYTES)
        return;
    h->learned = true;
    h->least_bytes = (int64_t) remembered_bytes;
    h->stored_bytes = remembered_bytes;
    if (remembered_bytes > HELD_OVERHEAD_MAX_BYTES)
        h->proven_bytes = remembered_bytes;
}

/* ---- QEMU's own memory ---- */

static int64_t most_overhead(const Held *h)
{
    return (int64_t) MAX(HELD_OVERHEAD_MAX_BYTES, h->proven_bytes);
}

/* What is subtracted from resident − used. */
static int64_t least(const Held *h)
{
    return h->learned ? MIN(h->least_bytes, most_overhead(h)) : most_overhead(h);
}

static uint64_t resident_bytes(const ProcessLook *l)
{
    return MIN(l->rss_bytes, GUEST_MEMORY_MAX_BYTES) + MIN(l->swap_bytes, GUEST_MEMORY_MAX_BYTES);
}

static bool is_within(uint64_t a, uint64_t b, uint64_t most)
{
    return (a > b ? a - b : b - a) <= most;
}

static int64_t difference_of(const HeldPoint *p)
{
    return (int64_t) p->resident_bytes - (int64_t) p->used_bytes;
}

/* Whether resident stands still. *ret: what the last differences prove. What a guest says is a little old and a little
 * wrong: the largest of them counts, and as much more as they differ. To take QEMU's own memory for smaller than it is
 * would be to see idle memory where there is none, each time that the guest's figures are off in that direction. */
static bool is_calm(const Held *h, uint64_t size_bytes, int64_t *ret)
{
    uint64_t most = MAX(CALM_BYTES, size_bytes / CALM_PART);
    int64_t largest = INT64_MIN, smallest = INT64_MAX;

    if (h->n_points < HELD_CALM_LOOKS)
        return false;
    for (size_t i = 0; i < HELD_CALM_LOOKS; i++) {
        const HeldPoint *p = &h->points[i];

        if (!is_within(p->resident_bytes, h->points[0].resident_bytes, most))
            return false;
        largest = MAX(largest, difference_of(p));
        smallest = MIN(smallest, difference_of(p));
    }
    *ret = largest + (largest - smallest);
    return true;
}

static void add_recent(Held *h, int64_t difference, usec_t now_usec)
{
    if (h->recent_usec == 0 || usec_since(h->recent_usec, now_usec) >= 2 * RECENT_USEC) {
        h->recent_bytes[0] = h->recent_bytes[1] = difference;
        h->recent_usec = now_usec;
    } else if (usec_since(h->recent_usec, now_usec) >= RECENT_USEC) {
        h->recent_bytes[1] = h->recent_bytes[0];
        h->recent_bytes[0] = difference;
        h->recent_usec = now_usec;
    } else
        h->recent_bytes[0] = MIN(h->recent_bytes[0], difference);
}

/* Takes a difference into account: a smaller one at once, a larger one slowly. */
static void learn(Held *h, int64_t difference, usec_t now_usec)
{
    int64_t rise = 0;

    if (h->learned && h->least_usec > 0)
        rise = (int64_t) ((double) usec_since(h->least_usec, now_usec) * (double) RISE_BYTES /
                          (double) RISE_USEC);
    h->least_bytes = h->learned ? MIN(h->least_bytes + rise, difference) : difference;
    h->least_bytes = MIN(h->least_bytes, most_overhead(h));
    h->least_usec = now_usec;
    h->learned = true;
    if (h->stored_usec == 0)
        h->stored_usec = now_usec;
    add_recent(h, difference, now_usec);
}

/* Limits what a guest says, so that sums can't overflow. */
static HeldGuest bounded(const HeldGuest *g)
{
    return (HeldGuest){.used_bytes = MIN(g->used_bytes, GUEST_MEMORY_MAX_BYTES),
                       .free_bytes = MIN(g->free_bytes, GUEST_MEMORY_MAX_BYTES),
                       .reserved_bytes = MIN(g->reserved_bytes, GUEST_MEMORY_MAX_BYTES)};
}

/* Adds a look at a guest at rest. What its kernel has reserved is perhaps not touched. */
static void add_point(Held *h, const HeldGuest *guest, usec_t now_usec)
{
    HeldGuest g = bounded(guest);
    int64_t difference;

    memmove(h->points + 1, h->points, sizeof(h->points) - sizeof(h->points[0]));
    h->points[0] = (HeldPoint){.resident_bytes = resident_bytes(&h->look), .used_bytes = g.used_bytes};
    h->n_points = MIN(h->n_points + 1, HELD_CALM_LOOKS);
    if (is_calm(h, g.used_bytes + g.free_bytes, &difference))
        learn(h, MAX(difference, -(int64_t) g.reserved_bytes), now_usec);
}

void held_reboot(Held *h)
{
    h->n_points = 0;
}

void held_prove(Held *h, uint64_t missing_bytes, uint64_t most_bytes)
{
    int64_t most = (int64_t) MIN(most_bytes, HELD_PROVEN_MAX_BYTES), proven;

    proven = MIN(least(h) + (int64_t) MIN(missing_bytes, HELD_PROVEN_MAX_BYTES), most);
    if (proven <= least(h))
        return;
    h->learned = true;
    h->least_bytes = proven;
    if (proven > (int64_t) HELD_OVERHEAD_MAX_BYTES)
        h->proven_bytes = MAX(h->proven_bytes, (uint64_t) proven);
}

uint64_t held_overhead(const Held *h)
{
    return (uint64_t) MAX(least(h), INT64_C(0));
}

uint64_t held_uncertainty(const Held *h)
{
    return h->recent_usec > 0
               ? (uint64_t) MAX(MIN(h->recent_bytes[0], h->recent_bytes[1]) - least(h), INT64_C(0))
               : 0;
}

/* An overhead of 0 can't be told from none; then it is learned again. */
uint64_t held_to_store(const Held *h)
{
    return h->learned ? held_overhead(h) : 0;
}

bool held_is_due(const Held *h, usec_t now_usec)
{
    uint64_t bytes = held_to_store(h);

    return bytes > 0 && !is_within(bytes, h->stored_bytes, STORE_BYTES) &&
           usec_since(h->stored_usec, now_usec) >= STORE_USEC;
}

void held_stored(Held *h, usec_t now_usec)
{
    h->stored_bytes = held_to_store(h);
    h->stored_usec = now_usec;
}

/* ---- CPU and faults ---- */

static void see_rates(Held *h, usec_t now_usec)
{
    usec_t passed = usec_since(h->cpu_at_usec, now_usec);
    const ProcessLook *l = &h->look;

    if (h->cpu_at_usec > 0 && l->cpu_usec >= h->cpu_usec && l->major_faults >= h->major_faults) {
        if (passed + CPU_EARLY_USEC < CPU_USEC)
            return;
        h->cpu = (double) (l->cpu_usec - h->cpu_usec) / (double) passed;
        h->faults = (double) (l->major_faults - h->major_faults) * (double) USEC_PER_SEC / (double) passed;
        if (h->cpu >= BUSY_RATIO)
            h->busy_usec = now_usec;
    } else { /* it is another process */
        h->cpu = h->faults = NAN;
        h->busy_usec = now_usec;
    }
    h->cpu_usec = l->cpu_usec;
    h->major_faults = l->major_faults;
    h->cpu_at_usec = now_usec;
}

static bool has_rates(const Held *h, usec_t now_usec)
{
    return h->cpu_at_usec > 0 && !isnan(h->cpu) && usec_since(h->cpu_at_usec, now_usec) <= HELD_STALE_USEC;
}

double held_swapping(const Held *h, usec_t now_usec)
{
    return has_rates(h, now_usec) ? h->faults * (double) sysconf(_SC_PAGESIZE) : NAN;
}

/* ---- Looks ---- */

bool held_is_known(const Held *h, usec_t now_usec)
{
    return h->look_usec > 0 && usec_since(h->look_usec, now_usec) <= HELD_STALE_USEC;
}

void held_look(Held *h, const ProcessLook *look, HeldSource source, const HeldGuest *guest, usec_t now_usec)
{
    if (source < h->source && held_is_known(h, now_usec))
        return;
    /* libvirt's figures and the process's own don't belong together. */
    if (source != h->source || !guest)
        h->n_points = 0;
    h->source = source;
    h->look = *look;
    h->look_usec = now_usec;
    if (guest)
        add_point(h, guest, now_usec);
    if (source == HELD_SOURCE_PROCESS)
        see_rates(h, now_usec);
}

uint64_t held_resident(const Held *h, usec_t now_usec)
{
    return held_is_known(h, now_usec) ? resident_bytes(&h->look) : 0;
}

uint64_t held_idle(const Held *h, const HeldGuest *guest, usec_t now_usec)
{
    HeldGuest g = bounded(guest);
    int64_t idle;

    if (!held_is_known(h, now_usec))
        return g.free_bytes;
    idle = (int64_t) resident_bytes(&h->look) - (int64_t) g.used_bytes;
    for (unsigned i = 0; i < MIN(h->n_points, IDLE_LOOKS); i++)
        idle = MIN(idle, difference_of(&h->points[i]));
    idle -= least(h);
    if (h->look.merged_bytes > 0)
        idle = (int64_t) ((double) idle *
                          (1 - (double) h->look.merged_bytes / (double) resident_bytes(&h->look)));
    return (uint64_t) CLAMP(idle, INT64_C(0), (int64_t) g.free_bytes);
}

/* ---- What reclaims cost ---- */

/* Begins a new minute if it is time. */
static void turn_reclaims(Held *h, usec_t now_usec)
{
    usec_t passed = usec_since(h->reclaims_usec, now_usec) / RECLAIMS_USEC;

    if (h->reclaims_usec == 0)
        h->reclaims_usec = now_usec;
    else {
        h->reclaims_usec += passed * RECLAIMS_USEC;
        for (usec_t i = 0; i < MIN(passed, (usec_t) HELD_COST_PERIODS); i++) {
            memmove(h->reclaims + 1, h->reclaims, sizeof(h->reclaims) - sizeof(h->reclaims[0]));
            h->reclaims[0] = (HeldReclaims){};
        }
    }
}

static bool took_lately(const Held *h)
{
    for (size_t i = 0; i < HELD_COST_PERIODS; i++)
        if (h->reclaims[i].taken_bytes > 0)
            return true;
    return false;
}

void held_reclaimed(Held *h, uint64_t taken_bytes, uint64_t refaulted_bytes, usec_t now_usec)
{
    turn_reclaims(h, now_usec);
    /* What is read back before anything was taken is the guest's own doing. */
    if (taken_bytes == 0 && !took_lately(h))
        return;
    h->reclaims[0].taken_bytes += MIN(taken_bytes, GUEST_MEMORY_MAX_BYTES);
    h->reclaims[0].refaulted_bytes += MIN(refaulted_bytes, GUEST_MEMORY_MAX_BYTES);
}

double held_reclaim_cost(const Held *h, usec_t now_usec)
{
    double taken = 0, refaulted = 0;

    for (usec_t i = 0; i < HELD_COST_PERIODS; i++) {
        if (usec_since(h->reclaims_usec, now_usec) + i * RECLAIMS_USEC >= HELD_COST_PERIODS * RECLAIMS_USEC)
            break;
        taken += (double) h->reclaims[i].taken_bytes;
        refaulted += (double) h->reclaims[i].refaulted_bytes;
    }
    /* Without a byte taken there is nothing that was missed. */
    return taken > 0 ? refaulted / taken : 0;
}

/* ---- Stats ---- */

usec_t held_rested(const Held *h, usec_t now_usec)
{
    return has_rates(h, now_usec) ? usec_since(h->busy_usec, now_usec) : 0;
}

static void set_cpu(const Held *h, usec_t now_usec, GuestFields *f)
{
    if (!has_rates(h, now_usec))
        return;
    guest_fields_set(f, GUEST_FIELD_CPU, h->cpu);
    guest_fields_set(f, GUEST_FIELD_RESTED, (double) held_rested(h, now_usec));
    guest_fields_set(f, GUEST_FIELD_SWAPPING, held_swapping(h, now_usec));
}

/* Where no agent says more: Linux uses what the device offers since 5.7. */
static void set_fragmented(const Report *r, bool offers, GuestFields *f)
{
    double free_bytes = guest_fields_get(f, GUEST_FIELD_FREE), idle = guest_fields_get(f, GUEST_FIELD_IDLE);

    if (!guest_fields_has(f, GUEST_FIELD_REPORTING))
        guest_fields_set(f, GUEST_FIELD_REPORTING, offers);
    if (r && guest_fields_get(f, GUEST_FIELD_REPORTING) != 0 && report_has(r, REPORT_FREE_BLOCKS))
        guest_fields_set(f, GUEST_FIELD_FRAGMENTED,
                         fmin(idle, fmax(0, free_bytes - (double) report_get(r, REPORT_FREE_BLOCKS))));
}

static void set_cold(const Held *h, const Report *r, usec_t now_usec, GuestFields *f)
{
    double cost = held_reclaim_cost(h, now_usec), cold;

    guest_fields_set(f, GUEST_FIELD_RECLAIM_COST, cost);
    if (!r)
        return;
    if (report_has(r, REPORT_COLD_60S))
        cold = (double) report_get(r, REPORT_COLD_60S);
    else if (report_has(r, REPORT_INACTIVE_FILE))
        cold = (1 - fmin(cost, 1)) * fmax(0, guest_fields_get(f, GUEST_FIELD_INACTIVE_FILE) -
                                                 guest_fields_get(f, GUEST_FIELD_DIRTY));
    else
        return;
    guest_fields_set(f, GUEST_FIELD_COLD, fmin(cold, guest_fields_get(f, GUEST_FIELD_CACHE)));
}

void held_fields(const Held *h, const Report *r, const HeldGuest *guest, bool offers, usec_t now_usec,
                 GuestFields *f)
{
    if (held_is_known(h, now_usec)) {
        guest_fields_set(f, GUEST_FIELD_RSS, (double) h->look.rss_bytes);
        guest_fields_set(f, GUEST_FIELD_RESIDENT, (double) held_resident(h, now_usec));
        if (h->source == HELD_SOURCE_PROCESS)
            guest_fields_set(f, GUEST_FIELD_SWAPPED,
                             (double) MIN(h->look.swap_bytes, GUEST_MEMORY_MAX_BYTES));
    }
    if (guest)
        guest_fields_set(f, GUEST_FIELD_IDLE, (double) held_idle(h, guest, now_usec));
    set_fragmented(r, offers, f);
    set_cold(h, r, now_usec, f);
    set_cpu(h, now_usec, f);
}
