/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Random guests on a random host, the same for the same seed: sizes that agree and sizes that don't, stats
 * that are missing or no numbers, and any mixture of what may be the matter with a guest. */

#include <math.h>
#include <stdlib.h>

#include "tests/unit/decide-fixture.h"

#define GUESTS_MAX 12U

/* xorshift64* */
typedef struct Random {
    uint64_t state;
} Random;

static inline uint64_t random_next(Random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(0x2545F4914F6CDD1D);
}

static inline uint64_t random_below(Random *r, uint64_t n)
{
    return (random_next(r) >> 11) % n;
}

/* True once in n times. */
static inline bool one_in(Random *r, uint64_t n)
{
    return random_below(r, n) == 0;
}

static inline uint64_t first_seed(void)
{
    const char *s = getenv("BALLAST_SEED");

    return s ? strtoull(s, NULL, 0) : 1;
}

static inline Random random_seeded(uint64_t seed)
{
    Random r = {.state = seed * UINT64_C(0x9E3779B97F4A7C15) | 1};

    random_next(&r);
    return r;
}

/* A size around max: mostly below it, sometimes at an edge, sometimes no whole KiB. */
static inline uint64_t random_size(Random *r, uint64_t max)
{
    if (one_in(r, 8))
        return max;
    return one_in(r, 4) ? random_below(r, max + 1) : random_below(r, max / KIB + 1) * KIB;
}

static inline void random_stat(Random *r, SnapshotGuest *g, GuestField f)
{
    if (one_in(r, 6))
        field_set_remove(&g->fields.present, f);
    else
        guest_fields_set(&g->fields, f,
                         one_in(r, 50) ? NAN : (double) random_size(r, g->sizes.maximum_bytes));
}

static inline SnapshotGuest random_guest(Random *r)
{
    static const char *const busy[] = {"paused", "migrating"};
    static const uint64_t maxima[] = {64 * MIB, 512 * MIB, 2 * GIB, 32 * GIB, TIB};
    SnapshotGuest g = fixture_guest();

    g.sizes.maximum_bytes = maxima[random_below(r, ELEMENTSOF(maxima))];
    g.sizes.full_bytes = one_in(r, 3) ? random_size(r, g.sizes.maximum_bytes) : g.sizes.maximum_bytes;
    if (one_in(r, 40))
        g.sizes.full_bytes = 2 * g.sizes.maximum_bytes;
    g.sizes.floor_bytes =
        one_in(r, 10) ? random_size(r, 2 * g.sizes.full_bytes + 1) : guard_floor(g.sizes.full_bytes, 0.25);
    g.sizes.current_bytes = one_in(r, 3) ? g.sizes.full_bytes : random_size(r, g.sizes.maximum_bytes);
    g.sizes.standing_bytes = one_in(r, 3) ? random_size(r, g.sizes.maximum_bytes) : g.sizes.current_bytes;
    if (one_in(r, 40))
        g.sizes.current_bytes = 0;
    g.balloon.moving = g.sizes.standing_bytes != g.sizes.current_bytes ? !one_in(r, 4) : one_in(r, 6);
    g.mode = one_in(r, 6) ? (GuestMode) random_below(r, GUEST_MODE_MAX) : GUEST_MODE_AUTO;
    g.source = (GuestSource) (one_in(r, 10) ? GUEST_SOURCE_NONE : 1 + random_below(r, 2));
    g.age_usec = one_in(r, 20) ? USEC_INFINITY : random_below(r, 11 * USEC_PER_SEC);
    g.uptime_usec = one_in(r, 8) ? random_below(r, 45 * USEC_PER_SEC) : 3600 * USEC_PER_SEC;
    g.busy = one_in(r, 12) ? busy[random_below(r, 2)] : NULL;
    g.unmovable = one_in(r, 12) ? "hostdev" : NULL;
    g.judgement.ineffective = one_in(r, 12) ? "RSS didn't fall" : NULL;
    g.judgement.distress = one_in(r, 6);
    g.released = one_in(r, 12);
    g.reboot = one_in(r, 10);
    g.balloon.stalled = one_in(r, 10);
    g.sizes.outstanding_bytes = one_in(r, 4) ? random_size(r, g.sizes.maximum_bytes) : 0;
    g.judgement.hurting = one_in(r, 10);
    g.judgement.restore_bytes = random_size(r, 2 * g.sizes.maximum_bytes);
    g.judgement.protected = one_in(r, 10);
    g.judgement.needed_bytes = one_in(r, 4) ? random_size(r, 2 * g.sizes.maximum_bytes) : 0;
    g.judgement.grant_refused = one_in(r, 8) ? "it claimed too much" : NULL;
    g.growth.growing = one_in(r, 6);
    g.growth.given_back = one_in(r, 10);
    g.growth.fastest_bytes = one_in(r, 3) ? random_size(r, 2 * g.sizes.maximum_bytes) : 0;
    g.sizes.growth_bytes = one_in(r, 4) ? random_size(r, 2 * g.sizes.maximum_bytes) : 0;
    g.sizes.entitled_full = one_in(r, 4);
    g.shares = one_in(r, 3) ? (double) (1 + random_below(r, 5000)) : 0;
    g.balloon.shrink_rate = one_in(r, 2) ? 0 : (double) random_size(r, 4 * GIB);
    random_stat(r, &g, GUEST_FIELD_AVAILABLE);
    random_stat(r, &g, GUEST_FIELD_FREE);
    random_stat(r, &g, GUEST_FIELD_CACHE);
    random_stat(r, &g, GUEST_FIELD_IDLE);
    random_stat(r, &g, GUEST_FIELD_STALL);
    random_stat(r, &g, GUEST_FIELD_SWAP_TOTAL);
    random_stat(r, &g, GUEST_FIELD_SWAP_FREE);
    if (one_in(r, 3))
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_TOTAL, 0),
            guest_fields_set(&g.fields, GUEST_FIELD_SWAP_FREE, 0);
    return g;
}

typedef struct World {
    SnapshotGuest guests[GUESTS_MAX];
    char uuids[GUESTS_MAX][37];
    Snapshot s;
} World;

static inline void random_world(Random *r, World *w)
{
    w->s = (Snapshot){.guests = w->guests, .n_guests = random_below(r, GUESTS_MAX + 1)};
    w->s.host = fixture_host(random_size(r, one_in(r, 2) ? 12 * GIB : HOST_TOTAL));
    if (one_in(r, 4))
        host_fields_set(&w->s.host, HOST_FIELD_SWAP_TOTAL, 0);
    if (one_in(r, 20))
        for (int f = 0; f < (int) HOST_FIELD_MAX; f++)
            if (one_in(r, 2))
                field_set_remove(&w->s.host.present, f);
    for (unsigned i = 0; i < w->s.n_guests; i++) {
        w->guests[i] = random_guest(r);
        w->guests[i].uuid = fixture_uuid(w->uuids[i], i);
    }
}
