/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host and three guests in time, for tests of what a shipped policy does: guests get what they are assigned at once,
 * one cycle a second. Guest 0 is the one that has something to give. */

#include <math.h>
#include <string.h>

#include "base/units.h"
#include "policy/keep.h"
#include "tests/unit/run.h"
#include "tests/unit/shipped.h"

#define GUESTS 3
#define FULL   (10.0 * GIB)

typedef struct Scene {
    Policy *policy;
    HostFields host;
    GuestFields guests[GUESTS];
    PolicyKeep keep, keeps[GUESTS];
    PolicyAssignment assignments[GUESTS], reclaims[GUESTS]; /* of the last cycle */
    usec_t now_usec;
    unsigned lever_sec; /* a guest that hands back is asked each so many seconds; 0: never */
} Scene;

/* A host of 100 GiB: thresholds at 20, 5 and 25 GiB. Guests use 2 GiB of 10, 2 are free, 6 are page cache. */
static inline void scene_init(Scene *s, const char *file, double available)
{
    *s = (Scene){.policy = load_policy("policy", file), .now_usec = 3600 * USEC_PER_SEC};
    host_fields_set(&s->host, HOST_FIELD_TOTAL, 100.0 * GIB);
    host_fields_set(&s->host, HOST_FIELD_AVAILABLE, available * GIB);
    host_fields_set(&s->host, HOST_FIELD_PENDING, 0);
    ck_assert_int_eq(policy_keep_copy(&s->keep, true, &(PolicyKeep){}, s->policy, NULL), 0);
    for (int i = 0; i < GUESTS; i++) {
        GuestFields *g = &s->guests[i];

        ck_assert_int_eq(policy_keep_copy(&s->keeps[i], false, &(PolicyKeep){}, s->policy, NULL), 0);
        guest_fields_set_text(g, GUEST_FIELD_MODE, "auto");
        guest_fields_set_text(g, GUEST_FIELD_SOURCE, "agent");
        guest_fields_set(g, GUEST_FIELD_TARGET, FULL);
        guest_fields_set(g, GUEST_FIELD_CURRENT, FULL);
        guest_fields_set(g, GUEST_FIELD_FULL, FULL);
        guest_fields_set(g, GUEST_FIELD_MOST, FULL);
        guest_fields_set(g, GUEST_FIELD_LEAST,
                         FULL); /* only those of which a scene is have something to give */
        guest_fields_set(g, GUEST_FIELD_SHARES, 1000);
        guest_fields_set(g, GUEST_FIELD_FREE, 2.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_IDLE, 2.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_CACHE, 6.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_AVAILABLE, 8.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_LOW_WATERMARK, 0);
        guest_fields_set(g, GUEST_FIELD_STALL, 0);
        guest_fields_set(g, GUEST_FIELD_REFAULT_FILE, 0);
        guest_fields_set(g, GUEST_FIELD_SWAP_IN, 0);
        guest_fields_set(g, GUEST_FIELD_DISTRESS, false);
        guest_fields_set(g, GUEST_FIELD_MOVING, false);
    }
}

static inline void scene_done(Scene *s)
{
    policy_keep_done(&s->keep);
    for (int i = 0; i < GUESTS; i++)
        policy_keep_done(&s->keeps[i]);
    policy_free(s->policy);
}

static inline double cache_of(const Scene *s, int i)
{
    return guest_fields_get(&s->guests[i], GUEST_FIELD_CACHE);
}

static inline double size_of(const Scene *s, int i)
{
    return guest_fields_get(&s->guests[i], GUEST_FIELD_CURRENT);
}

/* From now on its own kernel hands memory back. It is at rest, and the host holds none of its free memory. */
static inline void keeps_its_size(Scene *s, int i)
{
    GuestFields *g = &s->guests[i];

    s->lever_sec = 1;
    guest_fields_set(g, GUEST_FIELD_HANDS_BACK, true);
    guest_fields_set(g, GUEST_FIELD_RECLAIM, 0);
    guest_fields_set(g, GUEST_FIELD_RECLAIMABLE, FULL);
    guest_fields_set(g, GUEST_FIELD_IDLE, 0);
    guest_fields_set(g, GUEST_FIELD_FRAGMENTED, 0);
    guest_fields_set(g, GUEST_FIELD_COLD, guest_fields_get(g, GUEST_FIELD_CACHE));
    guest_fields_set(g, GUEST_FIELD_RESTED, (double) (3600 * USEC_PER_SEC));
}

/* As the daemon does it: memory in fragments if it is worth a compaction, else a step of what is wanted beyond idle
 * memory. */
static inline void hand_back(GuestFields *g, double bytes)
{
    double idle = guest_fields_get(g, GUEST_FIELD_IDLE), full = guest_fields_get(g, GUEST_FIELD_FULL);
    double fragments = guest_fields_get(g, GUEST_FIELD_FRAGMENTED);
    double cache = fmin(fmin(bytes - idle, full / 32), guest_fields_get(g, GUEST_FIELD_CACHE));

    if (fmin(bytes, fragments) >= full / 16) {
        guest_fields_set(g, GUEST_FIELD_IDLE, idle - fragments);
        guest_fields_set(g, GUEST_FIELD_FRAGMENTED, 0);
    } else if (cache > 0) {
        guest_fields_set(g, GUEST_FIELD_CACHE, guest_fields_get(g, GUEST_FIELD_CACHE) - cache);
        guest_fields_set(g, GUEST_FIELD_COLD, fmax(0, guest_fields_get(g, GUEST_FIELD_COLD) - cache));
        guest_fields_set(g, GUEST_FIELD_FREE, guest_fields_get(g, GUEST_FIELD_FREE) + cache);
    }
}

/* A balloon takes free memory first. What is given is free. */
static inline void resize(GuestFields *g, double to)
{
    double change = to - guest_fields_get(g, GUEST_FIELD_CURRENT),
           free_bytes = guest_fields_get(g, GUEST_FIELD_FREE) + change;

    guest_fields_set(g, GUEST_FIELD_TARGET, to);
    guest_fields_set(g, GUEST_FIELD_CURRENT, to);
    guest_fields_set(g, GUEST_FIELD_FREE, fmax(0, free_bytes));
    guest_fields_set(g, GUEST_FIELD_IDLE, fmin(fmax(0, free_bytes), guest_fields_get(g, GUEST_FIELD_IDLE)));
    guest_fields_set(g, GUEST_FIELD_CACHE, guest_fields_get(g, GUEST_FIELD_CACHE) + fmin(0, free_bytes));
    guest_fields_set(g, GUEST_FIELD_AVAILABLE, guest_fields_get(g, GUEST_FIELD_AVAILABLE) + change);
}

static inline void cycle(Scene *s)
{
    static const char *const uuids[GUESTS] = {"a", "b", "c"};
    PolicyGuest guests[GUESTS];
    PolicyInput input = {.now_usec = s->now_usec,
                         .host = &s->host,
                         .history = &s->keep.history,
                         .state = s->keep.state,
                         .guests = guests,
                         .n_guests = GUESTS};
    double state[POLICY_STATE_MAX], guest_state[GUESTS * POLICY_STATE_MAX];
    PolicyOutput output = {
        .assignments = {[GUEST_CONTROL_TARGET] = s->assignments, [GUEST_CONTROL_RECLAIM] = s->reclaims},
        .state = state,
        .guest_state = guest_state};
    size_t n;

    host_fields_set(&s->host, HOST_FIELD_UPTIME, (double) s->now_usec);
    for (int i = 0; i < GUESTS; i++)
        guests[i] = (PolicyGuest){.uuid = uuids[i],
                                  .fields = &s->guests[i],
                                  .history = &s->keeps[i].history,
                                  .state = s->keeps[i].state};
    ck_assert_int_eq(policy_run(s->policy, &input, &output), 0);
    ck_assert_msg(output.notes_total == 0, "%u: %s", output.notes[0].line, output.notes[0].text);
    policy_keep_state(&s->keep, true, s->policy, state);
    series_set_add_host(&s->keep.history, s->now_usec, &s->host);
    (void) policy_states(s->policy, false, &n);
    for (int i = 0; i < GUESTS; i++) {
        policy_keep_state(&s->keeps[i], false, s->policy, guest_state + (size_t) i * n);
        series_set_add_guest(&s->keeps[i].history, s->now_usec, &s->guests[i]);
        if (s->assignments[i].line > 0)
            resize(&s->guests[i], s->assignments[i].value);
        if (s->reclaims[i].line > 0 && s->lever_sec > 0 && s->now_usec / USEC_PER_SEC % s->lever_sec == 0)
            hand_back(&s->guests[i], s->reclaims[i].value);
    }
    s->now_usec += USEC_PER_SEC;
}

/* What it is asked to hand back in this cycle; 0: nothing. */
static inline double asked(const Scene *s, int i)
{
    return s->reclaims[i].line > 0 ? s->reclaims[i].value : 0;
}

/* How often guest 0 gave in so many seconds. */
static inline unsigned cycles(Scene *s, unsigned seconds)
{
    unsigned gave = 0;

    for (unsigned i = 0; i < seconds; i++) {
        double before = size_of(s, 0);

        cycle(s);
        gave += size_of(s, 0) < before;
    }
    return gave;
}

/* Until it gives; returns after how many seconds. */
static inline unsigned until_it_gives(Scene *s, unsigned most)
{
    unsigned n = 0;

    while (cycles(s, 1) == 0)
        ck_assert_uint_lt(++n, most);
    return n;
}

static inline void read_back(Scene *s, double bytes)
{
    guest_fields_set(&s->guests[0], GUEST_FIELD_REFAULT_FILE,
                     guest_fields_get(&s->guests[0], GUEST_FIELD_REFAULT_FILE) + bytes);
}

/* Guest 0 has page cache to give, and nothing free. */
static inline void has_cache_only(Scene *s)
{
    guest_fields_set(&s->guests[0], GUEST_FIELD_LEAST, 2.0 * GIB);
    guest_fields_set(&s->guests[0], GUEST_FIELD_FREE, 0);
    guest_fields_set(&s->guests[0], GUEST_FIELD_IDLE, 0);
    guest_fields_set(&s->guests[0], GUEST_FIELD_CACHE, 8.0 * GIB);
}
