/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Properties that hold for every policy and snapshot. Random guests, random hosts, and policies that ask for
 * anything. What holds is worked out here again from the snapshot, not taken from guard_bounds().
 *
 * BALLAST_SEED=n begins with another seed; a failure prints the one that brings it back. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host-agent/decide/evaluate.h"
#include "host-agent/decide/plan.h"
#include "tests/policy-load.h"
#include "tests/unit/decide-random.h"
#include "tests/unit/run.h"
#include "tests/unit/shipped.h"

#define ROUNDS case_count(20000)

static const GuardConfig config = GUARD_CONFIG_DEFAULT;

/* What is true of a guest, in words of the rules. */
static uint64_t full_of(const SnapshotGuest *g)
{
    return MIN(g->sizes.full_bytes, g->sizes.maximum_bytes) / KIB * KIB;
}

static uint64_t floor_of(const SnapshotGuest *g)
{
    return MIN((g->sizes.floor_bytes + KIB - 1) / KIB * KIB, full_of(g));
}

static uint64_t grown_of(const SnapshotGuest *g)
{
    return MAX(full_of(g), MIN(g->sizes.growth_bytes, g->sizes.maximum_bytes) / KIB * KIB);
}

static uint64_t ceiling_of(const SnapshotGuest *g)
{
    return g->judgement.distress ? grown_of(g) : full_of(g);
}

static double critical_of(const Snapshot *s)
{
    double total =
        host_fields_has(&s->host, HOST_FIELD_TOTAL) ? host_fields_get(&s->host, HOST_FIELD_TOTAL) : INFINITY;
    double critical = fmin(0.05 * total, 8.0 * GIB), swap = critical;

    if (host_fields_has(&s->host, HOST_FIELD_SWAP_TOTAL))
        swap = fmin(swap, host_fields_get(&s->host, HOST_FIELD_SWAP_TOTAL));
    if (host_fields_has(&s->host, HOST_FIELD_SWAP_FREE))
        swap = fmin(swap, host_fields_get(&s->host, HOST_FIELD_SWAP_FREE));

    return critical > 0 ? critical * (2 - fmax(0, swap) / critical) : 0;
}

static bool is_critical(const Snapshot *s)
{
    return host_fields_has(&s->host, HOST_FIELD_AVAILABLE) &&
           host_fields_get(&s->host, HOST_FIELD_AVAILABLE) < floor(critical_of(s));
}

static bool is_held(const SnapshotGuest *g)
{
    return g->mode == GUEST_MODE_OFF || g->unmovable || g->busy || g->sizes.current_bytes == 0 ||
           g->sizes.standing_bytes == 0 || full_of(g) == 0;
}

static bool is_kept(const SnapshotGuest *g, bool critical)
{
    return g->judgement.distress ||
           ((g->judgement.hurting || g->judgement.protected || g->growth.given_back) && !critical) ||
           g->released || g->reboot || g->judgement.ineffective || g->balloon.stalled || g->balloon.moving ||
           g->uptime_usec < config.grace_usec || g->source == GUEST_SOURCE_NONE ||
           g->age_usec > config.stale_usec;
}

static double field(const SnapshotGuest *g, GuestField f)
{
    double v = guest_fields_get(&g->fields, f);

    return v > 0 ? v : 0; /* NaN as 0 */
}

/* Where the guest can't swap at all: the least it needs. */
static double needs(const SnapshotGuest *g)
{
    GuestField f =
        guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE) ? GUEST_FIELD_AVAILABLE : GUEST_FIELD_FREE;

    if (field(g, GUEST_FIELD_SWAP_TOTAL) > 0)
        return 0;
    return fmax(0, (double) g->sizes.current_bytes - field(g, f)) / 0.88;
}

static uint64_t cost_of(const SnapshotGuest *g, const Decision *d, bool critical)
{
    bool suffers = g->judgement.distress || (g->judgement.hurting && !critical);
    uint64_t has = suffers ? MAX(g->sizes.standing_bytes, g->sizes.current_bytes) : g->sizes.standing_bytes;

    return LESS_BY(d->target_bytes, has);
}

/* Negative where more is spoken for than there is. */
static double balance_of(const Snapshot *s)
{
    double room = host_fields_get(&s->host, HOST_FIELD_AVAILABLE) - critical_of(s) * 9 / 8;

    for (size_t i = 0; i < s->n_guests; i++) {
        const SnapshotGuest *g = s->guests + i;
        /* It says itself how large it is, but our move adds no more than from its beginning. */
        uint64_t has = MAX(g->sizes.current_bytes, MIN(g->sizes.from_bytes, g->sizes.standing_bytes)),
                 coming = g->sizes.current_bytes > 0 && !g->balloon.late
                              ? LESS_BY(g->sizes.standing_bytes, has)
                              : 0;

        room -= (double) MAX(coming, g->sizes.outstanding_bytes);
    }
    return room;
}

static const char *broken_shrink(const SnapshotGuest *g, uint64_t target, bool critical)
{
    GuestField f =
        guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE) ? GUEST_FIELD_AVAILABLE : GUEST_FIELD_FREE;
    double step = (g->balloon.shrink_rate > 0 ? g->balloon.shrink_rate : config.step_rate_default) * 2;
    double band = fmax(0.005 * (double) g->sizes.full_bytes, 4.0 * MIB);
    double most = fmax(step, fmax(0.05 * (double) g->sizes.full_bytes, 16.0 * MIB));
    double change = (double) (g->sizes.standing_bytes - target);

    if (is_kept(g, critical))
        return "shrunk though a rule forbids it";
    if (!critical && target < MIN(g->judgement.needed_bytes, grown_of(g)))
        return "shrunk below what it was found to need";
    if (g->source == GUEST_SOURCE_LIBVIRT &&
        (double) target < (double) g->sizes.current_bytes - 0.5 * field(g, f) - 1)
        return "shrunk by too much for one without agent";
    if (target < floor_of(g))
        return "shrunk below its floor";
    if (g->sizes.standing_bytes < floor_of(g))
        return "shrunk though it is below its floor";
    if ((double) target < needs(g) - 1)
        return "shrunk below what it needs without swap";
    if (change > most)
        return "shrunk by more than a step";
    if (change < floor(band) && target != full_of(g))
        return "a shrink that isn't worth it";
    return NULL;
}

static const char *broken_growth(const SnapshotGuest *g, const Decision *d)
{
    uint64_t target = d->target_bytes;
    double band = fmax(0.005 * (double) g->sizes.full_bytes, 4.0 * MIB);
    bool wanted_by_guard = g->judgement.distress || g->judgement.hurting || g->reboot || g->growth.growing ||
                           g->sizes.standing_bytes < floor_of(g);

    /* In one move, or not at all. */
    if (d->rule == GUARD_RULE_AHEAD && target != full_of(g) &&
        (double) (target - g->sizes.standing_bytes) <
            floor(fmax(0.05 * (double) g->sizes.full_bytes, 16.0 * MIB)))
        return "given back in dribbles";
    if (d->rule == GUARD_RULE_AHEAD && !g->growth.growing)
        return "given back though it takes nothing";
    if (target > ceiling_of(g))
        return "grown above what it may have";
    if ((double) (target - g->sizes.standing_bytes) < floor(band) && !wanted_by_guard && target != full_of(g))
        return "a growth that isn't worth it";
    return NULL;
}

static const char *broken_donor(const SnapshotGuest *g, const Decision *d)
{
    GuestField f =
        guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE) ? GUEST_FIELD_AVAILABLE : GUEST_FIELD_FREE;
    double left = field(g, f) - ((double) g->sizes.current_bytes - (double) d->target_bytes);

    if (d->target_bytes >= g->sizes.standing_bytes || !d->send)
        return "gives nothing";
    if (g->judgement.distress || g->judgement.hurting || g->judgement.protected)
        return "gives though it suffers itself";
    if (d->target_bytes < g->judgement.needed_bytes)
        return "gives what it was found to need";
    /* If its target is still below its size, more than that may be available. */
    if (left < 0.2 * (double) d->target_bytes - 1)
        return "gives more than it can spare";
    return NULL;
}

static const char *broken_guest(const SnapshotGuest *g, const Decision *d, bool critical)
{
    if (!d->reason[0])
        return "nothing is said";
    if (d->send != (d->target_bytes != g->sizes.standing_bytes && g->mode == GUEST_MODE_AUTO))
        return "sent, or not sent, against its mode";
    if (d->target_bytes == g->sizes.standing_bytes)
        return NULL;
    if (is_held(g))
        return "moved though a rule forbids it";
    if (d->target_bytes % KIB != 0 && d->target_bytes != g->sizes.current_bytes)
        return "not whole KiB";
    if (d->rule == GUARD_RULE_DONOR && broken_donor(g, d))
        return broken_donor(g, d);
    return d->target_bytes < g->sizes.standing_bytes ? broken_shrink(g, d->target_bytes, critical)
                                                     : broken_growth(g, d);
}

static const char *broken_plan(const Snapshot *s, const Plan *p)
{
    bool distress_wants = false, others_grow = false;
    bool critical = is_critical(s);
    double growth = 0, refused = 0,
           others = p->in_force_bytes[POLICY_THRESHOLD_PRESSURE] - critical_of(s) * 9 / 8;
    uint64_t lacking = 0;
    size_t donors = 0;

    if (p->n_decisions != s->n_guests || !p->summary[0])
        return "no decision for each guest, or no summary";
    for (size_t i = 0; i < s->n_guests; i++) {
        const SnapshotGuest *g = s->guests + i;
        const Decision *d = p->decisions + i;

        growth += (double) cost_of(g, d, critical);
        if (g->judgement.grant_refused && d->rule == GUARD_RULE_DISTRESS)
            refused += (double) cost_of(g, d, critical);
        donors += d->rule == GUARD_RULE_DONOR;
        if (g->mode != GUEST_MODE_AUTO)
            continue;
        if (g->judgement.distress && !g->judgement.grant_refused && !is_held(g) &&
            d->target_bytes < ceiling_of(g)) {
            distress_wants = true;
            lacking += ceiling_of(g) - d->target_bytes;
        }
        /* Less than a KiB of room is no growth. */
        if (!g->judgement.distress && cost_of(g, d, critical) >= KIB)
            others_grow = true;
    }
    if (p->shortfall_bytes != lacking)
        return "not what those in distress lack";
    if (donors > 0 && lacking == 0)
        return "memory is taken, and no guest needs it";
    if (growth > fmax(balance_of(s), 0) + 1)
        return "grown by more than the host has room for";
    if (refused > fmax(balance_of(s) - fmax(others, 0), 0) + 1)
        return "a grant that is refused costs others";
    if (distress_wants && others_grow)
        return "others grow while one in distress lacks memory";
    return NULL;
}

static void check_plan(const Snapshot *s, const Plan *p, uint64_t seed, const char *what)
{
    const char *why = broken_plan(s, p);

    if (why)
        ck_abort_msg("BALLAST_SEED=%" PRIu64 ", %s: %s", seed, what, why);
    for (size_t i = 0; i < s->n_guests; i++) {
        why = broken_guest(s->guests + i, p->decisions + i, is_critical(s));
        if (why)
            ck_abort_msg("BALLAST_SEED=%" PRIu64 ", %s: guest %zu: %s (%" PRIu64 " → %" PRIu64
                         ", floor %" PRIu64 ", full %" PRIu64 "): %s",
                         seed, what, i, why, s->guests[i].sizes.standing_bytes, p->decisions[i].target_bytes,
                         floor_of(s->guests + i), full_of(s->guests + i), p->decisions[i].reason);
    }
}

static bool is_same(const Plan *a, const Plan *b)
{
    if (strcmp(a->summary, b->summary) != 0 || a->n_decisions != b->n_decisions)
        return false;
    for (size_t i = 0; i < a->n_decisions; i++)
        if (a->decisions[i].target_bytes != b->decisions[i].target_bytes ||
            a->decisions[i].send != b->decisions[i].send || a->decisions[i].rule != b->decisions[i].rule ||
            strcmp(a->decisions[i].reason, b->decisions[i].reason) != 0)
            return false;
    return true;
}

static double random_ask(Random *r, const SnapshotGuest *g)
{
    static const double odd[] = {NAN,  INFINITY, -INFINITY, 0,      -1,     0.5,    1024,
                                 1e15, 1e300,    -1e300,    1e-300, 0x1p63, 0x1p64, 0x1.fffffffffffffp62};

    if (one_in(r, 3))
        return odd[random_below(r, ELEMENTSOF(odd))];
    if (one_in(r, 4))
        return (double) g->sizes.standing_bytes + (double) random_below(r, 16 * MIB) - 8.0 * MIB;
    return (double) random_size(r, 2 * g->sizes.maximum_bytes) + (one_in(r, 4) ? 0.7 : 0);
}

/* Assignments that no policy would make, numbers that aren't sizes among them. */
START_TEST(test_any_assignment)
{
    for (uint64_t seed = first_seed(), end = seed + ROUNDS; seed < end; seed++) {
        Random r = random_seeded(seed);
        PolicyAssignment assignments[GUESTS_MAX] = {};
        PolicyOutput output = {.assignments = {[GUEST_CONTROL_TARGET] = assignments},
                               .thresholds = {NAN, NAN, NAN}};
        _cleanup_(plan_done) Plan p = {}, again = {};
        World w;

        random_world(&r, &w);
        for (size_t i = 0; i < w.s.n_guests; i++)
            if (!one_in(&r, 5))
                assignments[i] = (PolicyAssignment){.value = random_ask(&r, w.guests + i),
                                                    .line = 1 + (unsigned) random_below(&r, 99),
                                                    .order = (unsigned) random_below(&r, 14)};
        if (plan_apply(&w.s, &config, NULL, (const char *[]){"x"}, &output, 0, &p) < 0 ||
            plan_apply(&w.s, &config, NULL, (const char *[]){"x"}, &output, 0, &again) < 0)
            ck_abort_msg("no memory");
        check_plan(&w.s, &p, seed, "any assignment");
        if (!is_same(&p, &again))
            ck_abort_msg("BALLAST_SEED=%" PRIu64 ": decided otherwise the second time", seed);
    }
}
END_TEST

static Policy *load(const char *text)
{
    PolicyDiagnostics d = {};
    Policy *p = NULL;

    if (policy_load(text, strlen(text), "hostile.policy", &d, &p) < 0)
        ck_abort_msg("%s", d.text);
    policy_diagnostics_done(&d);
    return p;
}

/* Policies as somebody could write them. */
static const char *const hostile[] = {
    "for g in guests { g.target = 1kB }",
    "for g in guests { g.target = 0B }",
    "for g in guests { g.target = 1024TiB }",
    "for g in guests { g.target = 0B - 1GiB }",
    "for g in guests { g.target = g.maximum }",
    "for g in guests { g.target = g.current * 3 / 7 }",
    "for g in guests { g.target = g.free }",
    "for g in guests where g.distress { g.target = 1kB }",
    "for g in guests by g.current asc { g.target = if g.current < 1GiB then 64TiB else 1B }",
    "for g in guests { g.target = g.available ?? 1B }",
    "for g in guests { g.target = 1B }\nlet x = host.psi_memory_some",
};

static void check_policy(const Policy *policy, const char *what)
{
    for (uint64_t seed = first_seed(), end = seed + ROUNDS / 10; seed < end; seed++) {
        Random r = random_seeded(seed);
        _cleanup_(plan_done) Plan p = {}, again = {};
        World w;

        random_world(&r, &w);
        if (plan_make(&w.s, policy, &config, &p) < 0 || plan_make(&w.s, policy, &config, &again) < 0)
            ck_abort_msg("no memory");
        check_plan(&w.s, &p, seed, what);
        if (!is_same(&p, &again))
            ck_abort_msg("BALLAST_SEED=%" PRIu64 ", %s: decided otherwise the second time", seed, what);
    }
}

START_TEST(test_hostile_policy)
{
    _cleanup_(policy_freep) Policy *p = load(hostile[_i]);

    check_policy(p, hostile[_i]);
}
END_TEST

START_TEST(test_shipped_policy)
{
    _cleanup_(policy_freep) Policy *p = load_shipped((size_t) _i);

    check_policy(p, shipped[_i].file);
}
END_TEST

START_TEST(test_no_policy)
{
    check_policy(NULL, "no policy");
}
END_TEST

/* What the host gets of a shrink from the size that guest i has after base: free memory that is resident
 * first, then free memory that isn't, then cache. */
static double gain_of(const SnapshotGuest *g, uint64_t from, uint64_t to)
{
    GuestField f = guest_fields_has(&g->fields, GUEST_FIELD_IDLE) ? GUEST_FIELD_IDLE : GUEST_FIELD_FREE;
    double taken = from < g->sizes.current_bytes ? (double) (g->sizes.current_bytes - from) : 0;
    double unused = fmax(field(g, GUEST_FIELD_FREE) - field(g, GUEST_FIELD_LOW_WATERMARK) - taken, 0);
    double resident = fmin(fmax(field(g, f) - taken, 0), unused), change = (double) from - (double) to;

    return fmin(change, resident) + fmax(change - unused, 0);
}

/* The size that it is believed to have, and what a shrink on its way still takes from it: a guest says itself how large
 * it is, but can't have grown since the move began, and its QEMU can't let go of more than it holds. */
static uint64_t has_of(const SnapshotGuest *g)
{
    return MIN(g->sizes.current_bytes,
               g->sizes.from_bytes > 0 ? g->sizes.from_bytes : MAX(full_of(g), g->sizes.standing_bytes));
}

static double leaving_of(const SnapshotGuest *g)
{
    double leaving = g->balloon.late ? 0 : (double) LESS_BY(has_of(g), g->sizes.standing_bytes);

    return guest_fields_has(&g->fields, GUEST_FIELD_RESIDENT) ? fmin(leaving, field(g, GUEST_FIELD_RESIDENT))
                                                              : leaving;
}

/* How much is to be taken for guests in distress, compared with a plan that takes nothing for them. */
static double lack_of(const Snapshot *s, const Plan *without)
{
    double lack = -balance_of(s);

    for (size_t i = 0; i < s->n_guests; i++) {
        const SnapshotGuest *g = s->guests + i;
        uint64_t target =
            g->mode == GUEST_MODE_AUTO ? without->decisions[i].target_bytes : g->sizes.standing_bytes;

        if (g->mode == GUEST_MODE_AUTO && g->judgement.distress && !is_held(g) && !g->judgement.grant_refused)
            lack += (double) LESS_BY(ceiling_of(g), target);
        if (target < g->sizes.standing_bytes)
            lack -= leaving_of(g) + gain_of(g, g->sizes.standing_bytes, target);
        else {
            lack -= fmax(leaving_of(g) - (double) (target - g->sizes.standing_bytes), 0);
            lack += (double) LESS_BY(target, MAX(g->sizes.standing_bytes, has_of(g)));
        }
    }
    return lack;
}

/* Beside the same world where each guest keeps all that it has: only who gives is decided otherwise, and all
 * of them together give what is lacking, and no more than the smallest move beyond it. */
static const char *broken_gift(const Snapshot *s, const Plan *p, const Plan *without, size_t *ret_donors)
{
    double lack = lack_of(s, without), given = 0, smallest = 0;
    size_t donors = 0;

    for (size_t i = 0; i < s->n_guests; i++) {
        const SnapshotGuest *g = s->guests + i;
        uint64_t target = p->decisions[i].target_bytes, before = without->decisions[i].target_bytes;

        if (without->decisions[i].rule == GUARD_RULE_DONOR)
            return "somebody gives what it keeps";
        if (target != before && p->decisions[i].rule != GUARD_RULE_DONOR)
            return "decided otherwise, and gives nothing";
        if (p->decisions[i].rule != GUARD_RULE_DONOR)
            continue;
        if (target >= before)
            return "gives no more than it would anyway";
        donors++;
        given += gain_of(g, before, target);
        smallest = fmax(smallest, fmax(0.005 * (double) g->sizes.full_bytes, 4.0 * MIB) + KIB);
    }
    *ret_donors += donors;
    if (donors > 0 && lack <= 0)
        return "somebody gives, and enough is there or on its way";
    if (given > fmax(lack, 0) + smallest)
        return "more is taken than is lacking";
    return NULL;
}

START_TEST(test_gifts)
{
    size_t donors = 0;

    for (uint64_t seed = first_seed(), end = seed + ROUNDS; seed < end; seed++) {
        Random r = random_seeded(seed);
        _cleanup_(plan_done) Plan p = {}, without = {}, refused = {};
        GuardConfig keeping = config;
        World w;
        const char *why;

        random_world(&r, &w);
        if (!host_fields_has(&w.s.host, HOST_FIELD_AVAILABLE))
            continue;
        /* The memory that guests keep is checked also if they come down to their full size. */
        for (size_t i = 0; i < w.s.n_guests; i++)
            if (!w.guests[i].judgement.distress) {
                w.guests[i].sizes.entitled_full = false;
                w.guests[i].sizes.growth_bytes = 0;
            }
        keeping.keep_ratio = 1;
        ck_assert_int_eq(plan_make(&w.s, NULL, &keeping, &without), 0);
        ck_assert_int_eq(plan_make(&w.s, NULL, &config, &p), 0);
        /* w is checked for grants that aren't refused, so the other world is a copy. */
        {
            SnapshotGuest copies[GUESTS_MAX];
            Snapshot other = w.s;

            memcpy(copies, w.guests, sizeof copies);
            other.guests = copies;
            for (size_t i = 0; i < other.n_guests; i++)
                copies[i].judgement.grant_refused = "refused";
            ck_assert_int_eq(plan_make(&other, NULL, &config, &refused), 0);
            ck_assert_uint_eq(refused.shortfall_bytes, 0);
            for (size_t i = 0; i < other.n_guests; i++)
                ck_assert_int_ne(refused.decisions[i].rule, GUARD_RULE_DONOR);
        }
        why = broken_gift(&w.s, &p, &without, &donors);
        if (why)
            ck_abort_msg("BALLAST_SEED=%" PRIu64 ": %s: %s", seed, why, p.summary);
    }
    ck_assert_uint_gt(donors, ROUNDS / 100);
}
END_TEST

/* Guests that differ only in how much is free in them, and less is asked for than they have to spare: who
 * gives has more free memory than all who don't. */
static void check_most_free_gives_first(const Policy *policy, uint64_t available_bytes, bool starved)
{
    unsigned gave = 0, kept = 0;

    for (uint64_t seed = first_seed(), end = seed + ROUNDS / 10; seed < end; seed++) {
        Random r = random_seeded(seed);
        _cleanup_(plan_done) Plan p = {};
        World w = {.s = {.guests = w.guests, .n_guests = 9}};
        double least_free_of_givers = INFINITY, most_free_of_others = 0;

        w.s.host = fixture_host(available_bytes - 16 * MIB - random_below(&r, 768) * MIB);
        for (unsigned i = 0; i < 9; i++) {
            double free_bytes = (double) ((600 + random_below(&r, 900)) * MIB);

            w.guests[i] = fixture_guest();
            w.guests[i].uuid = fixture_uuid(w.uuids[i], i);
            guest_fields_set(&w.guests[i].fields, GUEST_FIELD_FREE, free_bytes);
            guest_fields_set(&w.guests[i].fields, GUEST_FIELD_IDLE, free_bytes);
            guest_fields_set(&w.guests[i].fields, GUEST_FIELD_AVAILABLE, free_bytes + 256.0 * MIB);
        }
        if (starved) {
            fixture_size(w.guests + 8, 2 * GIB - 16 * MIB);
            w.guests[8].judgement.distress = true;
        }
        ck_assert_int_eq(plan_make(&w.s, policy, &config, &p), 0);
        for (unsigned i = 0; i < (starved ? 8U : 9U); i++) {
            double free_bytes = guest_fields_get(&w.guests[i].fields, GUEST_FIELD_FREE);

            if (p.decisions[i].target_bytes < w.guests[i].sizes.standing_bytes) {
                least_free_of_givers = fmin(least_free_of_givers, free_bytes);
                gave++;
            } else {
                most_free_of_others = fmax(most_free_of_others, free_bytes);
                kept++;
            }
        }
        if (least_free_of_givers < most_free_of_others || isinf(least_free_of_givers))
            ck_abort_msg("BALLAST_SEED=%" PRIu64 ": one with %.0f MiB free gives, one with %.0f doesn't: %s",
                         seed, least_free_of_givers / MIB, most_free_of_others / MIB, p.summary);
    }
    /* Both kinds were there. */
    ck_assert_uint_gt(gave, ROUNDS / 10);
    ck_assert_uint_gt(kept, ROUNDS / 10);
}

START_TEST(test_most_free_gives_first)
{
    _cleanup_(policy_freep) Policy *policy = load_policy("policy", "balloon.policy");

    check_most_free_gives_first(policy, 20 * GIB, false);
}
END_TEST

/* The same to one in distress, of which the host is short of up to 768 MiB. */
START_TEST(test_most_free_gives_first_to_distress)
{
    check_most_free_gives_first(NULL, 5 * GIB + 640 * MIB, true);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("plan-properties");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_any_assignment);
    tcase_add_loop_test(t, test_hostile_policy, 0, (int) ELEMENTSOF(hostile));
    tcase_add_loop_test(t, test_shipped_policy, 0, (int) ELEMENTSOF(shipped));
    tcase_add_test(t, test_no_policy);
    tcase_add_test(t, test_gifts);
    tcase_add_test(t, test_most_free_gives_first);
    tcase_add_test(t, test_most_free_gives_first_to_distress);
    return run_tests(t);
}
