/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What each policy that is shipped must keep to, on random hosts with guests as they are (plausible.h):
 * bounds, the host's need, who gives first, and that it says and does nothing where nothing is to be done.
 * What no policy can bring about is in test-plan-properties, how hosts fare in time in test-balloon-sim.
 *
 * BALLAST_SEED=n begins with another seed; a failure prints the one that brings it back. */

#include <check.h>
#include <dirent.h>
#include <string.h>

#include "host-agent/decide/evaluate.h"
#include "host-agent/decide/view.h"
#include "tests/unit/plausible.h"
#include "tests/unit/run.h"
#include "tests/unit/shipped.h"

#define ROUNDS 3000U

#define KEEP_FREE 0.20 /* of its size: what a guest keeps in each of them, unless the host is critical */
#define RELAXED   (25 * GIB)
#define PRESSED   (20 * GIB)
#define CRITICAL  (5 * GIB)

static const GuardConfig config = GUARD_CONFIG_DEFAULT;

static double smallest(const SnapshotGuest *g)
{
    return fmax(0.006 * (double) g->sizes.full_bytes, 5.0 * MIB);
}

static double taken(const SnapshotGuest *g, double target)
{
    return (double) g->sizes.current_bytes - target;
}

static double free_left(const SnapshotGuest *g, double target)
{
    return fmax(0, guest_fields_get(&g->fields, GUEST_FIELD_FREE) -
                       guest_fields_get(&g->fields, GUEST_FIELD_LOW_WATERMARK) - taken(g, target));
}

static double idle_left(const SnapshotGuest *g, double target)
{
    return fmin(fmax(0, guest_fields_get(&g->fields, GUEST_FIELD_IDLE) - taken(g, target)),
                free_left(g, target));
}

static double spare_left(const SnapshotGuest *g, double target)
{
    return guest_fields_get(&g->fields, GUEST_FIELD_AVAILABLE) - taken(g, target) - KEEP_FREE * target;
}

/* The size that the policy asked for; else the one that stands. */
static double wanted(const SnapshotGuest *g, const Decision *d)
{
    return d->line > 0 ? (double) d->wanted_bytes : (double) g->sizes.standing_bytes;
}

/* How much the host gains; negative if the guest does. */
static double gain(const SnapshotGuest *g, const Decision *d)
{
    double from = (double) g->sizes.standing_bytes, change = from - wanted(g, d);

    if (change < 0)
        return change;
    return fmin(change, idle_left(g, from)) + fmax(0, change - free_left(g, from));
}

/* How much more it could give at no cost, after giving what it was asked for. A guest that is given memory
 * isn't asked for any. */
static double can_give(const SnapshotGuest *g, const Decision *d)
{
    double target = wanted(g, d), from = (double) g->sizes.standing_bytes;
    double spare = spare_left(g, from) - (from - target); /* as it was asked once */

    if (target > from)
        return 0;
    return fmin(fmin(idle_left(g, target), spare), target - (double) d->bounds.least_bytes);
}

/* Page cache that it could still give: who keeps enough available without it, waits for nothing, and gave
 * none yet. */
static double can_give_cache(const SnapshotGuest *g, const Decision *d)
{
    double target = wanted(g, d), way = free_left(g, target);
    double spare = fmin(spare_left(g, (double) g->sizes.standing_bytes) - taken(g, target),
                        target - (double) d->bounds.least_bytes);

    if (target > (double) g->sizes.standing_bytes ||
        guest_fields_get(&g->fields, GUEST_FIELD_STALL) >= 0.01 ||
        taken(g, target) > free_left(g, (double) g->sizes.current_bytes))
        return 0;
    return fmin(spare - way, guest_fields_get(&g->fields, GUEST_FIELD_CACHE));
}

/* How much could still be taken to keep the host from swapping: all that the host would gain from. */
static double can_give_at_last(const SnapshotGuest *g, const Decision *d)
{
    double target = wanted(g, d);

    return target - (double) d->bounds.least_bytes - (free_left(g, target) - idle_left(g, target));
}

static double cache_given(const SnapshotGuest *g, const Decision *d)
{
    double from = (double) g->sizes.standing_bytes;

    return from - wanted(g, d) - free_left(g, from);
}

static double expected_before(const Snapshot *s)
{
    HostFields host;

    view_host_fields(s, &host);
    return host_fields_get(&host, HOST_FIELD_AVAILABLE) + host_fields_get(&host, HOST_FIELD_PENDING);
}

/* ---- Each alone ---- */

static const char *broken_guest(const SnapshotGuest *g, const Decision *d)
{
    double target = wanted(g, d);

    if (d->line == 0)
        return NULL;
    if (g->mode == GUEST_MODE_OFF)
        return "is off, and was assigned to";
    /* Rounded to KiB by the guard. */
    if (target < (double) d->bounds.least_bytes - 1 || target < (double) g->sizes.floor_bytes - 1)
        return "is asked for more than the guard allows";
    if (target > (double) d->bounds.most_bytes + 1)
        return "is given more than the guard allows";
    if (!d->because || !d->because[0])
        return "has no reason";
    return NULL;
}

/* before and after: what the host is expected to have. critical: it has little also now, so that guests give what they
 * use. What was promised to others is no reason. */
static const char *broken_need(const Shipped *p, const SnapshotGuest *g, const Decision *d, double before,
                               double after, bool critical)
{
    if (!critical && wanted(g, d) < (double) g->sizes.standing_bytes && spare_left(g, wanted(g, d)) < -1)
        return "it is asked for what it should keep available";
    if (wanted(g, d) > (double) g->sizes.standing_bytes + p->return_step * (double) g->sizes.full_bytes + 1)
        return "it is given more than in one go";
    if (!critical &&
        cache_given(g, d) >
            fmax(p->cache_step * (double) g->sizes.full_bytes, smallest(g)) +
                (p->before_need ? fmax(p->pace * (double) g->sizes.full_bytes, smallest(g)) : 0) + 1)
        return "more page cache is taken of it than in one go";
    if (p->any_cache && before < (double) PRESSED && after < (double) PRESSED - 1 &&
        can_give_cache(g, d) > smallest(g) + 1)
        return "the host lacks memory, and it has page cache to spare";
    if (critical && after < (double) CRITICAL - 1 && can_give_at_last(g, d) > smallest(g) + 1)
        return "the host would swap, and it has memory";
    return NULL;
}

/* kept: what the policy kept of the cycles before may be a reason to spare some. */
static const char *broken_sum(const Shipped *p, const Snapshot *s, const Plan *plan, bool kept)
{
    double before = expected_before(s), after = before, most = 0, free_left_over = 0, given = 0, got = 0;

    for (size_t i = 0; i < s->n_guests; i++) {
        double n = gain(&s->guests[i], &plan->decisions[i]);

        after += n;
        *(n > 0 ? &given : &got) += fabs(n);
        most = fmax(most, smallest(&s->guests[i]));
        if (p->free_step > 0)
            most = fmax(most,
                        fmin(fmax(p->free_step * (double) s->guests[i].sizes.full_bytes, 16.0 * MIB), GIB));
        free_left_over += fmax(0, can_give(&s->guests[i], &plan->decisions[i]) - smallest(&s->guests[i]));
    }
    for (size_t i = 0; i < s->n_guests; i++) {
        const char *why =
            broken_need(p, &s->guests[i], &plan->decisions[i], before, after,
                        fmax(before, host_fields_get(&s->host, HOST_FIELD_AVAILABLE)) < (double) CRITICAL);

        if (why)
            return why;
    }
    if (before < (double) PRESSED && after < (double) PRESSED - 1 && free_left_over > 1 && !kept)
        return "the host lacks memory, and some have free memory to spare";
    if (before - (p->gives_back ? got : 0) >= (double) PRESSED && given > 0 && !p->before_need)
        return "something is taken, and nothing is lacking";
    if (before >= (double) CRITICAL && before < (double) PRESSED && !p->before_need &&
        given > (double) PRESSED - before + got + 2 * most)
        return "more is taken than is lacking";
    if (before > (double) RELAXED && got > before - (double) RELAXED + 1 && !p->gives_back)
        return "more is given than there is plenty of";
    if (got > fmax(0, before + given - (double) CRITICAL) + 1)
        return "more is given than the host has above its critical threshold";
    return NULL;
}

static void check_world(const Shipped *p, const Policy *policy, const Snapshot *s, bool kept, uint64_t seed)
{
    _cleanup_(plan_done) Plan plan = {};
    const char *why;

    ck_assert_int_eq(plan_make(s, policy, &config, &plan), 0);
    ck_assert_msg(plan.notes_total == 0, "BALLAST_SEED=%" PRIu64 ", %s:%u: %s", seed, p->file,
                  plan.notes[0].line, plan.notes[0].text);
    for (size_t i = 0; i < s->n_guests; i++) {
        why = broken_guest(&s->guests[i], &plan.decisions[i]);
        ck_assert_msg(!why, "BALLAST_SEED=%" PRIu64 ", %s: guest %zu %s: %s", seed, p->file, i, why,
                      plan.decisions[i].reason);
    }
    if (!p->moves)
        return;
    why = broken_sum(p, s, &plan, kept);
    ck_assert_msg(!why, "BALLAST_SEED=%" PRIu64 ", %s: %s: %s", seed, p->file, why, plan.summary);
}

START_TEST(test_bounds_and_sums)
{
    const Shipped *p = &shipped[_i];
    _cleanup_(policy_freep) Policy *policy = load_shipped((size_t) _i);

    for (uint64_t seed = first_seed(), end = seed + ROUNDS; seed < end; seed++) {
        Random r = random_seeded(seed);
        _cleanup_(plausible_done) Plausible w;

        plausible_world(&r, &w, policy, seed % 2, random_below(&r, 40 * GIB));
        check_world(p, policy, &w.s, seed % 2, seed);
    }
}
END_TEST

/* ---- Marks ---- */

/* Those of small and large hosts, with swap, without, and with little: the same with each that moves balloons. */
START_TEST(test_thresholds)
{
    static const struct {
        double total, swap, pressure, critical, relax; /* GiB */
    } table[] = {
        {4, 4, 0.8, 0.2, 1},  {100, 5, 20, 5, 25},   {160, 8, 32, 8, 40},
        {4096, 8, 32, 8, 40}, {4, 0, 1.6, 0.4, 2},   {100, 0, 40, 10, 50},
        {160, 0, 64, 16, 80}, {4096, 0, 64, 16, 80}, {8, 0.2, 2.4, 0.6, 3},
    };
    _cleanup_(policy_freep) Policy *policy = load_shipped((size_t) _i);

    for (size_t i = 0; i < ELEMENTSOF(table) && shipped[_i].moves; i++) {
        _cleanup_(plan_done) Plan plan = {};
        Snapshot s = {.now_usec = PLAUSIBLE_NOW, .host = fixture_host(0)};

        host_fields_set(&s.host, HOST_FIELD_TOTAL, table[i].total * GIB);
        host_fields_set(&s.host, HOST_FIELD_SWAP_TOTAL, table[i].swap * GIB);
        ck_assert_int_eq(plan_make(&s, policy, &config, &plan), 0);
        ck_assert_double_eq_tol(plan.pressure_threshold_bytes, table[i].pressure * GIB, 1);
        ck_assert_double_eq_tol(plan.critical_threshold_bytes, table[i].critical * GIB, 1);
        ck_assert_double_eq_tol(plan.relax_threshold_bytes, table[i].relax * GIB, 1);
    }
}
END_TEST

/* ---- A host that has enough ---- */

static double most_of_a_step(const Shipped *p, const SnapshotGuest *g)
{
    double cold =
        guest_fields_get(&g->fields, GUEST_FIELD_IDLE) + guest_fields_get(&g->fields, GUEST_FIELD_CACHE);

    return fmax(p->pace * cold, smallest(g)) + fmax(0, free_left(g, (double) g->sizes.current_bytes));
}

/* All have everything. Nothing is done; but a policy that takes before there is need asks for a little, of
 * guests that show no sign of want and keep enough. */
START_TEST(test_enough)
{
    const Shipped *p = &shipped[_i];
    _cleanup_(policy_freep) Policy *policy = load_shipped((size_t) _i);
    unsigned moves = 0;

    for (uint64_t seed = first_seed(), end = seed + ROUNDS / 3; seed < end; seed++) {
        Random r = random_seeded(seed);
        _cleanup_(plausible_done) Plausible w;
        _cleanup_(plan_done) Plan plan = {};

        plausible_world(&r, &w, policy, one_in(&r, 2), 40 * GIB);
        for (size_t i = 0; i < w.s.n_guests; i++) {
            fixture_size(&w.guests[i], w.guests[i].sizes.full_bytes);
            w.guests[i].balloon.moving = false;
        }
        ck_assert_int_eq(plan_make(&w.s, policy, &config, &plan), 0);
        for (size_t i = 0; i < w.s.n_guests; i++) {
            const SnapshotGuest *g = &w.guests[i];
            const Decision *d = &plan.decisions[i];

            if (d->line == 0)
                continue;
            moves++;
            ck_assert_msg(p->before_need, "BALLAST_SEED=%" PRIu64 ", %s: %s", seed, p->file, d->reason);
            ck_assert_double_lt(guest_fields_get(&g->fields, GUEST_FIELD_STALL), 0.005);
            ck_assert_double_ge(spare_left(g, wanted(g, d)), -1);
            ck_assert_double_le((double) g->sizes.standing_bytes - wanted(g, d), most_of_a_step(p, g) + 1);
        }
    }
    ck_assert(p->before_need == (moves > 0));
}
END_TEST

/* ---- Who gives first ---- */

/* Nine guests that differ only in what is set here; some of them have to give. */
static void make_alike(Plausible *w, Random *r, const Policy *policy, uint64_t shortfall_bytes)
{
    plausible_world(r, w, policy, false, PRESSED - shortfall_bytes);
    for (size_t i = 0; i < w->s.n_guests; i++)
        policy_keep_done(&w->keeps[i]);
    w->s.n_guests = 9;
    for (unsigned i = 0; i < 9; i++) {
        w->guests[i] = fixture_guest();
        w->guests[i].uuid = fixture_uuid(w->uuids[i], i);
        w->guests[i].balloon.shrink_rate = 64.0 * GIB;
        guest_fields_set(&w->guests[i].fields, GUEST_FIELD_AVAILABLE, 1.6 * GIB);
    }
}

static void set_free(SnapshotGuest *g, uint64_t bytes)
{
    guest_fields_set(&g->fields, GUEST_FIELD_FREE, (double) bytes);
    guest_fields_set(&g->fields, GUEST_FIELD_IDLE, (double) bytes);
}

/* key: who has less of it gives first. */
static void check_order(const Shipped *p, const Snapshot *s, const Plan *plan, const double *key,
                        uint64_t seed, unsigned *gave, unsigned *kept)
{
    double last = -INFINITY, first = INFINITY;

    for (size_t i = 0; i < s->n_guests; i++)
        if (wanted(&s->guests[i], &plan->decisions[i]) < (double) s->guests[i].sizes.standing_bytes) {
            last = fmax(last, key[i]);
            ++*gave;
        } else {
            first = fmin(first, key[i]);
            ++*kept;
        }
    ck_assert_msg(last <= first && isfinite(last),
                  "BALLAST_SEED=%" PRIu64 ", %s: one with %g gives, one with %g doesn't: %s", seed, p->file,
                  last, first, plan->summary);
}

static void check_who_gives(const Shipped *p, bool by_shares)
{
    _cleanup_(policy_freep) Policy *policy = load_policy("policy", p->file);
    unsigned gave = 0, kept = 0;

    for (uint64_t seed = first_seed(), end = seed + ROUNDS / 3; seed < end; seed++) {
        Random r = random_seeded(seed);
        _cleanup_(plausible_done) Plausible w;
        _cleanup_(plan_done) Plan plan = {};
        double key[9];

        make_alike(&w, &r, policy, 16 * MIB + random_below(&r, 768) * MIB);
        for (unsigned i = 0; i < 9; i++)
            if (by_shares) {
                set_free(&w.guests[i], GIB);
                key[i] = w.guests[i].shares = (double) (100 + random_below(&r, 100000));
            } else {
                uint64_t free_bytes = (600 + random_below(&r, 900)) * MIB;

                set_free(&w.guests[i], free_bytes);
                /* A little more or less doesn't count. */
                key[i] = -round((double) (free_bytes - 16 * MIB) / (256.0 * MIB));
            }
        ck_assert_int_eq(plan_make(&w.s, policy, &config, &plan), 0);
        check_order(p, &w.s, &plan, key, seed, &gave, &kept);
    }
    /* Both kinds were there. */
    ck_assert_uint_ge(gave, ROUNDS / 3);
    ck_assert_uint_ge(kept, ROUNDS / 3);
}

START_TEST(test_most_free_gives_first)
{
    if (shipped[_i].by_free)
        check_who_gives(&shipped[_i], false);
}
END_TEST

/* Between guests that are equal in all else; where shares come first, anyway. */
START_TEST(test_fewest_shares_give_first)
{
    if (shipped[_i].moves)
        check_who_gives(&shipped[_i], true);
}
END_TEST

/* ---- The files ---- */

static void for_each_policy(const char *folder, void (*check)(const char *folder, const char *name))
{
    char path[4096];
    struct dirent *e;
    unsigned n = 0;
    DIR *d;

    (void) snprintf(path, sizeof(path), "%s/%s", getenv("BALLAST_SOURCE") ?: ".", folder);
    d = opendir(path);
    ck_assert_msg(d, "can't open %s", path);
    while ((e = readdir(d)))
        if (strlen(e->d_name) > 7 && strcmp(e->d_name + strlen(e->d_name) - 7, ".policy") == 0) {
            check(folder, e->d_name);
            n++;
        }
    closedir(d);
    ck_assert_uint_gt(n, 0);
}

static void check_listed(const char *folder, const char *name)
{
    for (size_t i = 0; i < ELEMENTSOF(shipped); i++)
        if (strcmp(shipped[i].file, name) == 0)
            return;
    ck_abort_msg("policy/%s isn't in tests/unit/shipped.h, so nothing of it is tested", name);
}

START_TEST(test_all_are_listed)
{
    for_each_policy("policy", check_listed);
}
END_TEST

/* Its first paragraphs, before anything is done, say who it is for; and it assigns to what it is there
 * for. */
START_TEST(test_file)
{
    const Shipped *p = &shipped[_i];
    _cleanup_(policy_freep) Policy *policy = load_shipped((size_t) _i);
    PolicyFile file = policy_file(policy, 0);
    const char *line = file.text, *who = strstr(file.text, "# WHO IT IS FOR: ");

    ck_assert_msg(who, "%s doesn't say who it is for", p->file);
    while (*line == '#')
        line = strchr(line, '\n') + 1;
    ck_assert_msg(who < line, "%s doesn't begin with who it is for", p->file);
    ck_assert(p->moves == !field_set_is_empty(&file.guest_controls));
    ck_assert(p->host_control == !field_set_is_empty(&file.host_controls));
}
END_TEST

#define EXAMPLE_LINES_MAX 40U

/* An example is short, loads, breaks no bound, and has nothing undone, also on its first cycle and for guests
 * without agent. */
static void check_example(const char *folder, const char *name)
{
    _cleanup_(policy_freep) Policy *policy = load_policy(folder, name);
    Shipped p = {.file = name};
    unsigned lines = 0;

    for (const char *s = policy_file(policy, 0).text; *s; s++)
        lines += *s == '\n';
    ck_assert_msg(lines <= EXAMPLE_LINES_MAX, "%s has %u lines", name, lines);
    ck_assert_msg(policy_file(policy, 0).text[0] == '#', "%s doesn't begin with what it is", name);
    for (uint64_t seed = first_seed(), end = seed + ROUNDS / 10; seed < end; seed++) {
        Random r = random_seeded(seed);
        _cleanup_(plausible_done) Plausible w;

        plausible_world(&r, &w, policy, seed % 2, random_below(&r, 40 * GIB));
        check_world(&p, policy, &w.s, seed % 2, seed);
    }
}

START_TEST(test_examples)
{
    for_each_policy("policy/examples", check_example);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("shipped-policies");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_all_are_listed);
    tcase_add_loop_test(t, test_file, 0, (int) ELEMENTSOF(shipped));
    tcase_add_loop_test(t, test_bounds_and_sums, 0, (int) ELEMENTSOF(shipped));
    tcase_add_loop_test(t, test_thresholds, 0, (int) ELEMENTSOF(shipped));
    tcase_add_loop_test(t, test_enough, 0, (int) ELEMENTSOF(shipped));
    tcase_add_loop_test(t, test_most_free_gives_first, 0, (int) ELEMENTSOF(shipped));
    tcase_add_loop_test(t, test_fewest_shares_give_first, 0, (int) ELEMENTSOF(shipped));
    tcase_add_test(t, test_examples);
    return run_tests(t);
}
