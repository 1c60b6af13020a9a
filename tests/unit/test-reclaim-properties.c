/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What no policy and no snapshot may bring about with g.reclaim. Random guests, random hosts, and policies that
 * ask for anything. What holds is worked out here again from the snapshot, not taken from guard_bounds().
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

static bool is_critical(const Snapshot *s)
{
    double total =
        host_fields_has(&s->host, HOST_FIELD_TOTAL) ? host_fields_get(&s->host, HOST_FIELD_TOTAL) : INFINITY;
    double critical = fmin(0.05 * total, 8.0 * GIB), swap = critical;

    if (host_fields_has(&s->host, HOST_FIELD_SWAP_TOTAL))
        swap = fmin(swap, host_fields_get(&s->host, HOST_FIELD_SWAP_TOTAL));
    if (host_fields_has(&s->host, HOST_FIELD_SWAP_FREE))
        swap = fmin(swap, host_fields_get(&s->host, HOST_FIELD_SWAP_FREE));

    return host_fields_has(&s->host, HOST_FIELD_AVAILABLE) &&
           host_fields_get(&s->host, HOST_FIELD_AVAILABLE) < floor(critical * (2 - fmax(0, swap) / critical));
}

static double field(const SnapshotGuest *g, GuestField f)
{
    double v = guest_fields_get(&g->fields, f);

    return v > 0 ? v : 0; /* NaN as 0 */
}

/* Why it is left alone, whatever the host needs; NULL: it isn't. */
static const char *left_alone(const SnapshotGuest *g)
{
    if (g->mode == GUEST_MODE_OFF)
        return "off";
    if (g->busy || g->unmovable || g->judgement.ineffective)
        return "busy or unmovable";
    if (g->judgement.distress || g->judgement.hurting || g->judgement.protected)
        return "it suffers, or a shrink hurt it";
    if (g->released || g->reboot || g->uptime_usec < config.grace_usec)
        return "in its grace time";
    if (g->source == GUEST_SOURCE_NONE || g->age_usec > config.stale_usec)
        return "no fresh stats";
    if (g->growth.growing || g->growth.given_back)
        return "it takes memory";
    if (g->balloon.moving || g->sizes.standing_bytes > g->sizes.current_bytes)
        return "its balloon moves";
    if (g->sizes.current_bytes == 0 || g->sizes.standing_bytes == 0)
        return "its size isn't known";
    return NULL;
}

/* Free memory that the host still holds, and page cache. */
static double has(const SnapshotGuest *g)
{
    GuestField f = guest_fields_has(&g->fields, GUEST_FIELD_IDLE) ? GUEST_FIELD_IDLE : GUEST_FIELD_FREE;

    return fmin(field(g, f), field(g, GUEST_FIELD_FREE)) + field(g, GUEST_FIELD_CACHE);
}

static double can_swap_out(const SnapshotGuest *g)
{
    double swap = field(g, GUEST_FIELD_SWAP_TOTAL);
    double kept = 0.1 * (swap + field(g, GUEST_FIELD_SWAP_MEMORY));

    if (guest_fields_has(&g->fields, GUEST_FIELD_SWAP_FREE))
        swap = fmin(swap, field(g, GUEST_FIELD_SWAP_FREE));
    return fmin(field(g, GUEST_FIELD_ANON), fmax(0, swap - kept) + 1);
}

static const char *broken_bytes(const SnapshotGuest *g, const Decision *d, bool critical)
{
    const Reclaim *r = &d->reclaim;
    double bytes = (double) r->bytes, taken = (double) g->sizes.current_bytes - (double) d->target_bytes;

    if (left_alone(g))
        return left_alone(g);
    if (r->bytes > r->wanted_bytes)
        return "more than the policy wants";
    if (r->bytes % KIB != 0 || r->bytes < config.dead_band_bytes)
        return "no whole KiB, or too little to ask for";
    if (d->target_bytes > g->sizes.standing_bytes)
        return "asked while it grows";
    if (r->anon && !critical)
        return "anonymous memory though the host can wait";
    if (bytes > has(g) + (r->anon ? can_swap_out(g) : 0))
        return "more than it has";
    if (r->anon && bytes <= has(g) - fmax(taken, 0) - field(g, GUEST_FIELD_LOW_WATERMARK))
        return "anonymous memory though the rest is enough";
    if (!r->anon && bytes + fmax(taken, 0) > field(g, GUEST_FIELD_FREE) + field(g, GUEST_FIELD_CACHE))
        return "asked for what its shrink takes";
    if (g->source == GUEST_SOURCE_LIBVIRT) {
        GuestField f =
            guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE) ? GUEST_FIELD_AVAILABLE : GUEST_FIELD_FREE;

        if (bytes + fmax(taken, 0) > 0.5 * field(g, f) + 1)
            return "too much for a guest without an agent";
    }
    return NULL;
}

static const char *broken_guest(const SnapshotGuest *g, const Decision *d, bool critical)
{
    const Reclaim *r = &d->reclaim;
    char rule[64];

    if (r->line == 0)
        return r->wanted_bytes + r->bytes == 0 && !r->anon && !r->send && r->rule == GUARD_RULE_NONE &&
                       !r->file && !r->because && r->n_reads == 0 && !r->reason[0]
                   ? NULL
                   : "something of nothing";
    if (!r->reason[0])
        return "nothing is said";
    if (r->send != (r->bytes > 0 && g->mode == GUEST_MODE_AUTO))
        return "sent, or not sent, against its mode";
    if (r->bytes < r->wanted_bytes / KIB * KIB && r->rule == GUARD_RULE_NONE)
        return "less than is wanted, and no rule says why";
    snprintf(rule, sizeof rule, "(%s)", guard_rule_to_string(r->rule));
    if (r->rule != GUARD_RULE_NONE && !strstr(r->reason, rule))
        return "the reason names another rule";
    return r->bytes > 0 ? broken_bytes(g, d, critical) : NULL;
}

static size_t check_plan(const Snapshot *s, const Plan *p, uint64_t seed, const char *what)
{
    size_t n = 0;

    ck_assert_uint_eq(p->n_decisions, s->n_guests);
    for (size_t i = 0; i < s->n_guests; i++) {
        const Decision *d = p->decisions + i;
        const char *why = broken_guest(s->guests + i, d, is_critical(s));

        if (why)
            ck_abort_msg("BALLAST_SEED=%" PRIu64 ", %s: guest %zu: %s (%" PRIu64 " of %" PRIu64
                         ", beside %" PRIu64 " → %" PRIu64 "): %s",
                         seed, what, i, why, d->reclaim.bytes, d->reclaim.wanted_bytes,
                         s->guests[i].sizes.standing_bytes, d->target_bytes, d->reclaim.reason);
        n += d->reclaim.bytes > 0;
    }
    return n;
}

static void reclaim_world(Random *r, World *w)
{
    random_world(r, w);
    for (size_t i = 0; i < w->s.n_guests; i++)
        random_stat(r, w->guests + i, GUEST_FIELD_ANON);
}

static double random_ask(Random *r, const SnapshotGuest *g)
{
    static const double odd[] = {NAN,  INFINITY, -INFINITY, 0,      -1,     0.5,    1024,
                                 1e15, 1e300,    -1e300,    1e-300, 0x1p63, 0x1p64, 0x1.fffffffffffffp62};

    return one_in(r, 4) ? odd[random_below(r, ELEMENTSOF(odd))]
                        : (double) random_size(r, g->sizes.maximum_bytes) + (one_in(r, 4) ? 0.7 : 0);
}

static void random_assignments(Random *r, const World *w, PolicyAssignment *ret)
{
    for (size_t i = 0; i < w->s.n_guests; i++)
        ret[i] = one_in(r, 5) ? (PolicyAssignment){}
                              : (PolicyAssignment){.value = random_ask(r, w->guests + i),
                                                   .line = 1 + (unsigned) random_below(r, 99),
                                                   .order = (unsigned) random_below(r, 14)};
}

static void apply(const Snapshot *s, PolicyAssignment *targets, PolicyAssignment *reclaims, Plan *ret)
{
    PolicyOutput output = {
        .assignments = {[GUEST_CONTROL_TARGET] = targets, [GUEST_CONTROL_RECLAIM] = reclaims},
        .thresholds = {NAN, NAN, NAN}};

    ck_assert_int_eq(plan_apply(s, &config, NULL, (const char *[]){"x"}, &output, 0, ret), 0);
}

/* Assignments that no policy would make, to both controls or to one; and whatever is asked to be handed back, sizes
 * are decided as if it weren't. */
START_TEST(test_any_assignment)
{
    size_t n = 0;

    for (uint64_t seed = first_seed(), end = seed + ROUNDS; seed < end; seed++) {
        Random r = random_seeded(seed);
        PolicyAssignment targets[GUESTS_MAX] = {}, reclaims[GUESTS_MAX];
        _cleanup_(plan_done) Plan p = {}, without = {};
        World w;

        reclaim_world(&r, &w);
        random_assignments(&r, &w, reclaims);
        if (!one_in(&r, 3))
            random_assignments(&r, &w, targets);
        apply(&w.s, targets, reclaims, &p);
        apply(&w.s, targets, NULL, &without);
        n += check_plan(&w.s, &p, seed, "any assignment");
        (void) check_plan(&w.s, &without, seed, "targets alone");
        ck_assert_uint_eq(p.shortfall_bytes, without.shortfall_bytes);
        for (size_t i = 0; i < w.s.n_guests; i++) {
            const Decision *d = p.decisions + i, *o = without.decisions + i;

            if (d->target_bytes != o->target_bytes || d->wanted_bytes != o->wanted_bytes ||
                d->send != o->send)
                ck_abort_msg("BALLAST_SEED=%" PRIu64 ": guest %zu gets another size", seed, i);
            /* One in distress is told whether others give, and that they hand memory back, too. */
            if ((d->line > 0 || d->send) && (d->rule != o->rule || (!w.s.guests[i].judgement.distress &&
                                                                    strcmp(d->reason, o->reason) != 0)))
                ck_abort_msg("BALLAST_SEED=%" PRIu64 ": guest %zu: '%s' became '%s'", seed, i, o->reason,
                             d->reason);
        }
    }
    ck_assert_uint_gt(n, ROUNDS / 10);
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

static size_t check_policy(const Policy *policy, const char *what)
{
    size_t n = 0;

    for (uint64_t seed = first_seed(), end = seed + ROUNDS / 10; seed < end; seed++) {
        Random r = random_seeded(seed);
        _cleanup_(plan_done) Plan p = {};
        World w;

        reclaim_world(&r, &w);
        ck_assert_int_eq(plan_make(&w.s, policy, &config, &p), 0);
        n += check_plan(&w.s, &p, seed, what);
    }
    return n;
}

/* Policies as somebody could write them. */
static const char *const hostile[] = {
    "for g in guests { g.reclaim = 1024TiB }",
    "for g in guests { g.reclaim = 5MiB }",
    "for g in guests { g.reclaim = g.current }",
    "for g in guests { g.reclaim = g.maximum; g.target = 1kB }",
    "for g in guests { g.reclaim = g.free ?? 1GiB; g.target = g.maximum }",
    "for g in guests { g.target = g.current * 6 / 7; g.reclaim = g.current / 7 }",
    "for g in guests where g.distress or g.hurting or g.busy or g.age > 10s { g.reclaim = 1GiB }",
    "for g in guests { g.reclaim = g.reclaimable + 1B; g.reclaim = g.reclaim * 2 }",
};

START_TEST(test_hostile_policy)
{
    _cleanup_(policy_freep) Policy *p = load(hostile[_i]);

    (void) check_policy(p, hostile[_i]);
}
END_TEST

/* A policy that asks for no more than the guard allows gets all of it. */
START_TEST(test_reclaimable_is_kept)
{
    _cleanup_(policy_freep) Policy *policy = load("for g in guests { g.reclaim = g.reclaimable }");
    size_t n = 0;

    for (uint64_t seed = first_seed(), end = seed + ROUNDS; seed < end; seed++) {
        Random r = random_seeded(seed);
        _cleanup_(plan_done) Plan p = {};
        World w;

        reclaim_world(&r, &w);
        ck_assert_int_eq(plan_make(&w.s, policy, &config, &p), 0);
        for (size_t i = 0; i < w.s.n_guests; i++) {
            const Decision *d = p.decisions + i;

            if (d->target_bytes != w.guests[i].sizes.standing_bytes ||
                d->reclaim.rule == GUARD_RULE_DEAD_BAND)
                continue;
            if (d->reclaim.bytes != d->reclaim.wanted_bytes)
                ck_abort_msg("BALLAST_SEED=%" PRIu64 ": guest %zu: allowed %" PRIu64 ", and not given: %s",
                             seed, i, d->reclaim.wanted_bytes, d->reclaim.reason);
            n += d->reclaim.bytes > 0;
        }
    }
    ck_assert_uint_gt(n, ROUNDS / 10);
}
END_TEST

/* Policies that know nothing of it ask nothing of anybody. */
START_TEST(test_policies_of_targets_alone)
{
    _cleanup_(policy_freep) Policy *mom = load_policy("tests/fixtures", "mom.policy");

    ck_assert_uint_eq(check_policy(mom, "mom.policy"), 0);
    ck_assert_uint_eq(check_policy(NULL, "no policy"), 0);
    for (size_t i = 0; i < ELEMENTSOF(shipped); i++) {
        _cleanup_(policy_freep) Policy *p = load_shipped(i);
        FieldSet controls = policy_controls(p, false);

        if (!field_set_has(&controls, GUEST_FIELD_RECLAIM))
            ck_assert_uint_eq(check_policy(p, shipped[i].file), 0);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("reclaim-properties");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_any_assignment);
    tcase_add_loop_test(t, test_hostile_policy, 0, (int) ELEMENTSOF(hostile));
    tcase_add_test(t, test_reclaimable_is_kept);
    tcase_add_test(t, test_policies_of_targets_alone);
    return run_tests(t);
}
