/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Random guests that don't lie (unlike those of decide-random.h): their memory adds up, and no stat is
 * missing. The same for the same seed. */

#include "policy/keep.h"
#include "tests/unit/decide-random.h"

#define PLAUSIBLE_NOW (1000 * USEC_PER_SEC)

typedef struct Plausible {
    SnapshotGuest guests[GUESTS_MAX];
    char uuids[GUESTS_MAX][37];
    PolicyKeep keep, keeps[GUESTS_MAX];
    Snapshot s;
} Plausible;

static inline double random_share(Random *r, double low, double high)
{
    return low + (high - low) * (double) random_below(r, 1U << 20) / (double) (1U << 20);
}

/* An agent's stats that libvirt doesn't have. */
static inline void plausible_agent(Random *r, SnapshotGuest *g, double full)
{
    guest_fields_set(&g->fields, GUEST_FIELD_LOW_WATERMARK, 0.01 * full);
    guest_fields_set(&g->fields, GUEST_FIELD_STALL, one_in(r, 4) ? random_share(r, 0, 0.05) : 0);
    guest_fields_set(&g->fields, GUEST_FIELD_SWAP_TOTAL, one_in(r, 3) ? 0 : full);
    guest_fields_set(&g->fields, GUEST_FIELD_SWAP_FREE,
                     guest_fields_get(&g->fields, GUEST_FIELD_SWAP_TOTAL) * random_share(r, 0, 1));
    guest_fields_set(&g->fields, GUEST_FIELD_REFAULT_FILE, (double) random_below(r, GIB));
    guest_fields_set(&g->fields, GUEST_FIELD_REFAULT_ANON, (double) random_below(r, GIB));
}

static inline SnapshotGuest plausible_guest(Random *r)
{
    static const uint64_t sizes[] = {128 * MIB, 512 * MIB, GIB, 2 * GIB, 8 * GIB, 32 * GIB};
    SnapshotGuest g = fixture_guest();
    uint64_t full = sizes[random_below(r, ELEMENTSOF(sizes))];
    double current, left, free_bytes, cache;

    g.sizes.maximum_bytes = g.sizes.full_bytes = full;
    g.sizes.floor_bytes = guard_floor(full, 0.25);
    fixture_size(&g, one_in(r, 2)
                         ? full
                         : g.sizes.floor_bytes + random_below(r, (full - g.sizes.floor_bytes) / KIB) * KIB);
    if (one_in(r, 8)) {
        g.sizes.standing_bytes =
            g.sizes.floor_bytes + random_below(r, (full - g.sizes.floor_bytes) / KIB) * KIB;
        g.balloon.moving = true;
    }
    g.mode = one_in(r, 8) ? GUEST_MODE_OFF : GUEST_MODE_AUTO;
    g.source = one_in(r, 6) ? GUEST_SOURCE_LIBVIRT : GUEST_SOURCE_AGENT;
    g.shares = one_in(r, 2) ? 0 : (double) (1 + random_below(r, 5000));
    g.balloon.shrink_rate = one_in(r, 2) ? 0 : 64.0 * GIB;
    current = (double) g.sizes.current_bytes;
    left = 0.97 * current * random_share(r, 0.05, 1); /* that is used as cache only */
    free_bytes = left * random_share(r, 0, 1);
    cache = left - free_bytes;
    g.fields = (GuestFields){};
    guest_fields_set(&g.fields, GUEST_FIELD_TOTAL, 0.97 * current);
    guest_fields_set(&g.fields, GUEST_FIELD_FREE, free_bytes);
    guest_fields_set(&g.fields, GUEST_FIELD_CACHE, cache);
    guest_fields_set(&g.fields, GUEST_FIELD_AVAILABLE,
                     fmax(0, free_bytes + cache * random_share(r, 0.5, 1) - 0.02 * current));
    guest_fields_set(&g.fields, GUEST_FIELD_IDLE, free_bytes * (one_in(r, 2) ? 1 : random_share(r, 0, 1)));
    guest_fields_set(&g.fields, GUEST_FIELD_USED,
                     current - guest_fields_get(&g.fields, GUEST_FIELD_AVAILABLE));
    guest_fields_set(&g.fields, GUEST_FIELD_SWAP_IN, (double) random_below(r, GIB));
    guest_fields_set(&g.fields, GUEST_FIELD_SWAP_OUT, (double) random_below(r, GIB));
    guest_fields_set(&g.fields, GUEST_FIELD_MAJOR_FAULTS, (double) random_below(r, 100000));
    if (g.source == GUEST_SOURCE_AGENT)
        plausible_agent(r, &g, (double) full);
    else
        guest_fields_set(&g.fields, GUEST_FIELD_LOW_WATERMARK, 0);
    return g;
}

/* The history of the last minutes: a guest at ease, or one that reads back dropped cache. */
static inline void plausible_history(Random *r, const SnapshotGuest *g, PolicyKeep *k)
{
    double rate = one_in(r, 3) ? random_share(r, 0, 4.0 * MIB) : 0;

    for (unsigned ago = 120; ago > 0; ago--) {
        GuestFields f = g->fields;

        if (guest_fields_has(&f, GUEST_FIELD_REFAULT_FILE))
            guest_fields_set(&f, GUEST_FIELD_REFAULT_FILE,
                             fmax(0, guest_fields_get(&f, GUEST_FIELD_REFAULT_FILE) - rate * ago));
        series_set_add_guest(&k->history, PLAUSIBLE_NOW - ago * USEC_PER_SEC, &f);
    }
}

/* A value that a policy might have kept of a guest: any of the right kind. */
static inline double random_state(Random *r, const PolicyState *s)
{
    switch (s->unit) {
    case FIELD_UNIT_BYTES:
        return (double) random_below(r, 4 * GIB);
    case FIELD_UNIT_DURATION:
        return (double) random_below(r, one_in(r, 2) ? 100 * USEC_PER_SEC : 2 * PLAUSIBLE_NOW);
    case FIELD_UNIT_BOOLEAN:
        return (double) random_below(r, 2);
    default:
        return s->initial;
    }
}

static inline void random_states(Random *r, const Policy *policy, bool host, PolicyKeep *k)
{
    size_t n;
    const PolicyState *states = policy_states(policy, host, &n);

    for (size_t i = 0; i < n; i++)
        k->state[i] = random_state(r, &states[i]);
}

/* keeps: with what the policy might have kept; else it begins. */
static inline void plausible_world(Random *r, Plausible *w, const Policy *policy, bool keeps,
                                   uint64_t available_bytes)
{
    *w = (Plausible){.s = {.now_usec = PLAUSIBLE_NOW,
                           .guests = w->guests,
                           .n_guests = 1 + random_below(r, GUESTS_MAX),
                           .host = fixture_host(available_bytes)}};
    if (policy_keep_copy(&w->keep, true, &(PolicyKeep){}, policy, NULL) < 0)
        abort();
    if (keeps)
        random_states(r, policy, true, &w->keep);
    w->s.history = &w->keep.history;
    w->s.state = w->keep.state;
    for (unsigned i = 0; i < w->s.n_guests; i++) {
        SnapshotGuest *g = &w->guests[i];
        PolicyKeep *k = &w->keeps[i];

        *g = plausible_guest(r);
        g->uuid = fixture_uuid(w->uuids[i], i);
        if (policy_keep_copy(k, false, &(PolicyKeep){}, policy, NULL) < 0)
            abort();
        if (keeps) {
            plausible_history(r, g, k);
            random_states(r, policy, false, k);
        }
        g->history = &k->history;
        g->state = k->state;
    }
}

static inline void plausible_done(Plausible *w)
{
    policy_keep_done(&w->keep);
    for (size_t i = 0; i < GUESTS_MAX; i++)
        policy_keep_done(&w->keeps[i]);
}
