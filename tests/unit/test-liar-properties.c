/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What one guest says of itself costs the others no more than the rules allow, whatever it says, with each policy that
 * is shipped. Guests as they are (plausible.h), of which one lies: about its memory, how it fares, and its balloon.
 * What the host itself sees and asks for (its full size, the beginning and the target of its move, what its QEMU holds)
 * stays as it is.
 *
 * BALLAST_SEED=n begins with another seed; a failure prints the one that brings it back. */

#include <string.h>

#include "host-agent/decide/evaluate.h"
#include "tests/unit/plausible.h"
#include "tests/unit/run.h"
#include "tests/unit/shipped.h"

#define ROUNDS case_count(1000)

static const GuardConfig config = GUARD_CONFIG_DEFAULT;

static double field(const SnapshotGuest *g, GuestField f)
{
    return guest_fields_get(&g->fields, f);
}

/* Any part of a whole, often none or all of it. */
static double some_of(Random *r, double whole)
{
    return one_in(r, 4) ? 0 : one_in(r, 4) ? whole : whole * random_share(r, 0, 1);
}

/* What the host sees of it, as far as its QEMU is known. */
static void look(Random *r, SnapshotGuest *g)
{
    uint64_t full = g->sizes.full_bytes;

    if (g->balloon.moving)
        g->sizes.from_bytes =
            g->sizes.floor_bytes + random_below(r, (full - g->sizes.floor_bytes) / KIB) * KIB;
    else
        g->sizes.from_bytes = g->sizes.standing_bytes;
    if (!one_in(r, 3))
        guest_fields_set(&g->fields, GUEST_FIELD_RESIDENT,
                         (double) g->sizes.current_bytes - field(g, GUEST_FIELD_FREE) +
                             field(g, GUEST_FIELD_IDLE));
}

/* What it says of its memory, as sample.c and held.c bound it: no part is larger than the whole, and no more of it is
 * idle than its QEMU holds. */
static void lie_about_memory(Random *r, SnapshotGuest *g)
{
    double total = field(g, GUEST_FIELD_TOTAL), free_bytes = some_of(r, total), idle = free_bytes,
           swap = some_of(r, 2 * total);

    if (guest_fields_has(&g->fields, GUEST_FIELD_RESIDENT))
        idle = fmin(idle, fmax(0, field(g, GUEST_FIELD_RESIDENT) - (total - free_bytes)));
    guest_fields_set(&g->fields, GUEST_FIELD_FREE, free_bytes);
    guest_fields_set(&g->fields, GUEST_FIELD_IDLE, idle);
    guest_fields_set(&g->fields, GUEST_FIELD_AVAILABLE, some_of(r, total));
    guest_fields_set(&g->fields, GUEST_FIELD_CACHE, some_of(r, total - free_bytes));
    guest_fields_set(&g->fields, GUEST_FIELD_COLD, some_of(r, field(g, GUEST_FIELD_CACHE)));
    guest_fields_set(&g->fields, GUEST_FIELD_FRAGMENTED, some_of(r, idle));
    guest_fields_set(&g->fields, GUEST_FIELD_LOW_WATERMARK, one_in(r, 4) ? some_of(r, total) : 0.01 * total);
    guest_fields_set(&g->fields, GUEST_FIELD_USED,
                     fmax(0, (double) g->sizes.current_bytes - field(g, GUEST_FIELD_AVAILABLE)));
    guest_fields_set(&g->fields, GUEST_FIELD_SWAP_TOTAL, swap);
    guest_fields_set(&g->fields, GUEST_FIELD_SWAP_FREE, some_of(r, swap));
    guest_fields_set(&g->fields, GUEST_FIELD_STALL, some_of(r, 1));
    guest_fields_set(&g->fields, GUEST_FIELD_PSI_MEMORY_SOME, some_of(r, 1));
    guest_fields_set(&g->fields, GUEST_FIELD_REPORTING, one_in(r, 2));
    guest_fields_set(&g->fields, GUEST_FIELD_HANDS_BACK, one_in(r, 2));
    guest_fields_set(&g->fields, GUEST_FIELD_SQUEEZABLE, one_in(r, 2));
    if (one_in(r, 4)) {
        guest_fields_set(&g->fields, GUEST_FIELD_COMMITTED, some_of(r, 2 * total));
        guest_fields_set(&g->fields, GUEST_FIELD_COMMIT_LIMIT, some_of(r, 2 * total));
    }
}

/* How it fares, as guest-judge.c takes it from its reports. */
static void lie_about_itself(Random *r, SnapshotGuest *g)
{
    double most = (double) MAX(g->sizes.full_bytes, MIN(g->sizes.growth_bytes, g->sizes.maximum_bytes));

    g->growth.growing = one_in(r, 3);
    g->growth.fastest_bytes = (uint64_t) some_of(r, most);
    g->judgement.hurting = one_in(r, 4);
    g->judgement.restore_bytes = (uint64_t) some_of(r, most);
    g->judgement.protected = one_in(r, 4);
    g->judgement.needed_bytes = (uint64_t) some_of(r, most);
    g->judgement.distress = one_in(r, 2);
    if (guard_contradicts_distress(g))
        g->judgement.distress = false;
    if (one_in(r, 8))
        g->age_usec = USEC_INFINITY;
}

/* held: a size that isn't ours was seen just now. */
static void lie_about_size(Random *r, SnapshotGuest *g, bool held)
{
    g->sizes.current_bytes = MAX(KIB, (uint64_t) some_of(r, (double) g->sizes.maximum_bytes));
    guest_fields_set(&g->fields, GUEST_FIELD_CURRENT, (double) g->sizes.current_bytes);
    if (!g->balloon.moving && held)
        g->busy = "somebody else is moving its balloon";
}

/* It has nothing to give, asks for nothing, and is left alone; a move of its own that takes from it brings nothing, and
 * one that gives has all still to give. */
static void has_nothing(SnapshotGuest *g)
{
    static const GuestField fields[] = {GUEST_FIELD_FREE,  GUEST_FIELD_IDLE,       GUEST_FIELD_AVAILABLE,
                                        GUEST_FIELD_CACHE, GUEST_FIELD_FRAGMENTED, GUEST_FIELD_COLD,
                                        GUEST_FIELD_STALL, GUEST_FIELD_HANDS_BACK, GUEST_FIELD_SQUEEZABLE};

    for (size_t i = 0; i < ELEMENTSOF(fields); i++)
        guest_fields_set(&g->fields, fields[i], 0);
    g->busy = "paused";
    if (g->sizes.from_bytes > g->sizes.standing_bytes)
        g->balloon.late = true;
    else
        g->sizes.current_bytes = MIN(g->sizes.from_bytes, g->sizes.standing_bytes);
}

/* Another guest is at most brought to where it still has what each guest keeps. */
static bool keeps_its_share(const SnapshotGuest *g, uint64_t target)
{
    double left = field(g, GUEST_FIELD_AVAILABLE) - ((double) g->sizes.current_bytes - (double) target);

    return left >= config.keep_ratio * (double) target - 1;
}

/* What the liar gives, or doesn't, changes what is left for the last guest to give, and that is rounded up to a move that
 * is worth making. */
static const char *broken_other(const SnapshotGuest *g, const Decision *lie, const Decision *without)
{
    uint64_t smallest = MAX(5 * MIB, (uint64_t) (0.006 * (double) g->sizes.full_bytes));

    if (lie->target_bytes + smallest >= MIN(without->target_bytes, g->sizes.standing_bytes))
        return NULL;
    return keeps_its_share(g, lie->target_bytes)
               ? NULL
               : "shrunk further than if the liar had nothing, and below what it keeps";
}

static const char *broken_liar(const SnapshotGuest *g, const Decision *d)
{
    uint64_t most = g->sizes.full_bytes;

    if (g->judgement.distress)
        most = MAX(most, MIN(g->sizes.growth_bytes, g->sizes.maximum_bytes));
    return d->send && d->target_bytes > g->sizes.standing_bytes && d->target_bytes > most
               ? "the liar gets more than it is entitled to"
               : NULL;
}

static size_t liar_of(Random *r, const Plausible *w)
{
    return random_below(r, w->s.n_guests);
}

static void begin(Random *r, Plausible *w, const Policy *policy, uint64_t seed)
{
    plausible_world(r, w, policy, seed % 2, random_below(r, 40 * GIB));
    for (size_t i = 0; i < w->s.n_guests; i++) {
        w->guests[i].sizes.growth_bytes = one_in(r, 4) ? w->guests[i].sizes.full_bytes : 0;
        w->guests[i].sizes.maximum_bytes *= one_in(r, 4) ? 2 : 1;
        if (w->guests[i].sizes.growth_bytes > 0)
            w->guests[i].sizes.growth_bytes = w->guests[i].sizes.maximum_bytes;
        look(r, &w->guests[i]);
    }
}

START_TEST(test_a1_a_liar_costs_the_others_no_more_than_they_can_spare)
{
    _cleanup_(policy_freep) Policy *policy = load_shipped((size_t) _i);
    unsigned worse = 0;

    for (uint64_t seed = first_seed(), end = seed + ROUNDS; seed < end; seed++) {
        Random r = random_seeded(seed);
        _cleanup_(plan_done) Plan lie = {}, without = {};
        SnapshotGuest honest;
        const char *why;
        Plausible w;
        size_t liar;

        begin(&r, &w, policy, seed);
        liar = liar_of(&r, &w);
        honest = w.guests[liar];
        has_nothing(&w.guests[liar]);
        ck_assert_int_eq(plan_make(&w.s, policy, &config, &without), 0);
        w.guests[liar] = honest;
        if (!one_in(&r, 4))
            lie_about_memory(&r, &w.guests[liar]);
        if (!one_in(&r, 4))
            lie_about_itself(&r, &w.guests[liar]);
        if (one_in(&r, 2))
            lie_about_size(&r, &w.guests[liar], one_in(&r, 2));
        ck_assert_int_eq(plan_make(&w.s, policy, &config, &lie), 0);

        why = broken_liar(&w.guests[liar], &lie.decisions[liar]);
        for (size_t i = 0; i < w.s.n_guests && !why; i++)
            if (i != liar) {
                worse += lie.decisions[i].target_bytes < without.decisions[i].target_bytes;
                why = broken_other(&w.guests[i], &lie.decisions[i], &without.decisions[i]);
                if (why)
                    ck_abort_msg("BALLAST_SEED=%" PRIu64 ", %s: guest %zu beside liar %zu: %s (%" PRIu64
                                 " → %" PRIu64 " MiB instead of %" PRIu64 "): %s; liar: %s",
                                 seed, shipped[_i].file, i, liar, why, w.guests[i].sizes.standing_bytes / MIB,
                                 lie.decisions[i].target_bytes / MIB, without.decisions[i].target_bytes / MIB,
                                 lie.decisions[i].reason, lie.decisions[liar].reason);
            }
        if (why)
            ck_abort_msg("BALLAST_SEED=%" PRIu64 ", %s: %s: %s", seed, shipped[_i].file, why,
                         lie.decisions[liar].reason);
        plausible_done(&w);
    }
    /* Some guest did give, or wasn't given, something for a liar in distress. */
    ck_assert_uint_gt(worse, 0);
}
END_TEST

static bool is_same(const Decision *a, const Decision *b)
{
    return a->target_bytes == b->target_bytes && a->send == b->send && a->rule == b->rule &&
           a->line == b->line && strcmp(a->reason, b->reason) == 0 && a->reclaim.bytes == b->reclaim.bytes &&
           a->reclaim.send == b->reclaim.send && strcmp(a->reclaim.reason, b->reclaim.reason) == 0;
}

/* A size counts for no more than the nearest one that our own move explains. At rest a policy reads the size as the guest
 * says it, as part of what is idle in the guest: then only the guard is tested. */
START_TEST(test_a1_a_size_that_is_only_said_moves_nobody_else)
{
    _cleanup_(policy_freep) Policy *policy = load_shipped((size_t) _i);

    for (uint64_t seed = first_seed(), end = seed + ROUNDS; seed < end; seed++) {
        Random r = random_seeded(seed);
        _cleanup_(plan_done) Plan lie = {}, truth = {};
        SnapshotGuest *g;
        SnapshotSizes *s;
        Plausible w;
        size_t liar;

        begin(&r, &w, policy, seed);
        liar = liar_of(&r, &w);
        g = &w.guests[liar];
        s = &g->sizes;
        g->balloon.late = g->balloon.moving && one_in(&r, 4);
        lie_about_itself(&r, g);
        lie_about_size(&r, g, true);
        ck_assert_int_eq(plan_make(&w.s, g->balloon.moving ? policy : NULL, &config, &lie), 0);
        s->current_bytes = CLAMP(s->current_bytes, MIN(s->from_bytes, s->standing_bytes),
                                 MAX(s->from_bytes, s->standing_bytes));
        guest_fields_set(&g->fields, GUEST_FIELD_CURRENT, (double) s->current_bytes);
        ck_assert_int_eq(plan_make(&w.s, g->balloon.moving ? policy : NULL, &config, &truth), 0);
        for (size_t i = 0; i < w.s.n_guests; i++)
            if (i != liar && !is_same(&lie.decisions[i], &truth.decisions[i]))
                ck_abort_msg("BALLAST_SEED=%" PRIu64
                             ", %s: guest %zu beside liar %zu: %s; without the lie: %s; liar: %s",
                             seed, shipped[_i].file, i, liar, lie.decisions[i].reason,
                             truth.decisions[i].reason, lie.decisions[liar].reason);
        plausible_done(&w);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("liar-properties");

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_a1_a_liar_costs_the_others_no_more_than_they_can_spare, 0,
                        (int) ELEMENTSOF(shipped));
    tcase_add_loop_test(t, test_a1_a_size_that_is_only_said_moves_nobody_else, 0, (int) ELEMENTSOF(shipped));
    return run_tests(t);
}
