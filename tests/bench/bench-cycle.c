/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What deciding costs: plan_make() over many guests with each policy that is shipped, and, apart, what is
 * kept for the next cycle. One line for each figure, "metric value unit". The machine's speed is taken out by
 * sorting as many structs of the size of a guest's stats in the same run: that ratio can be compared between
 * machines.
 *
 * Fails where 1,000 guests take more than the 2 ms that they may take, or time grows faster with guests than
 * n log n, unless BALLAST_BENCH_LENIENT is set (a build with sanitizers, or a machine busy with other
 * things). */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host-agent/decide/evaluate.h"
#include "host-agent/decide/view.h"
#include "policy/keep.h"
#include "tests/unit/decide-fixture.h"

#define BUDGET_USEC   2000.0
#define BUDGET_GUESTS 1000U
#define TURNS         31 /* the median of these counts */
#define HISTORY_SEC   130
/* Time may grow so much faster than n log n, from GROWTH_GUESTS to the most of them: caches get too small.
 * (As their square it would grow 27 times as fast.) */
#define GROWTH_GUESTS 100U
#define GROWTH_SLACK  6.0

/* This program's own time: others may be busy, too. */
static double now_exact_usec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

typedef struct World {
    SnapshotGuest guests[FIXTURE_GUESTS_MAX];
    char uuids[FIXTURE_GUESTS_MAX][37];
    GuestFields sorted[FIXTURE_GUESTS_MAX];
    PolicyKeep keep, keeps[FIXTURE_GUESTS_MAX];
    Snapshot s;
} World;

static void keep_done(World *w)
{
    policy_keep_done(&w->keep);
    for (size_t i = 0; i < w->s.n_guests; i++)
        policy_keep_done(&w->keeps[i]);
}

/* As the daemon does after each cycle. */
static void keep_series(World *w)
{
    HostFields host;

    view_host_fields(&w->s, &host);
    series_set_add_host(&w->keep.history, w->s.now_usec, &host);
    for (size_t i = 0; i < w->s.n_guests; i++)
        if (w->keeps[i].history.n > 0) {
            GuestFields fields;

            view_guest_fields(&w->guests[i], &(GuestBounds){}, &fields);
            series_set_add_guest(&w->keeps[i].history, w->s.now_usec, &fields);
        }
    w->s.now_usec += USEC_PER_SEC;
}

static void keep_states(World *w, const Policy *policy, const Plan *p)
{
    size_t n;

    (void) policy_states(policy, false, &n);
    policy_keep_state(&w->keep, true, policy, p->state);
    for (size_t i = 0; i < w->s.n_guests && p->guest_state; i++)
        policy_keep_state(&w->keeps[i], false, policy, p->guest_state + i * n);
}

/* The policy's history is complete. */
static void keep_init(World *w, const Policy *policy)
{
    if (policy_keep_copy(&w->keep, true, &(PolicyKeep){}, policy, NULL) < 0)
        abort();
    w->s.history = &w->keep.history;
    w->s.state = w->keep.state;
    for (size_t i = 0; i < w->s.n_guests; i++) {
        if (policy_keep_copy(&w->keeps[i], false, &(PolicyKeep){}, policy, NULL) < 0)
            abort();
        w->guests[i].history = &w->keeps[i].history;
        w->guests[i].state = w->keeps[i].state;
    }
    for (unsigned i = 0; i < HISTORY_SEC; i++)
        keep_series(w);
}

/* Guests that differ in what they have to give, reproducibly, and have so little of it that most are
 * asked. */
static void fill(World *w, unsigned n, double available_bytes, uint64_t standing_bytes,
                 unsigned distress_every)
{
    uint64_t x = 88172645463325252;

    w->s = (Snapshot){
        .now_usec = 3600 * USEC_PER_SEC, .guests = w->guests, .n_guests = n, .host = fixture_host(0)};
    host_fields_set(&w->s.host, HOST_FIELD_TOTAL, 1.0 * (double) TIB);
    host_fields_set(&w->s.host, HOST_FIELD_AVAILABLE, available_bytes);
    for (unsigned i = 0; i < n; i++) {
        SnapshotGuest *g = w->guests + i;
        double free_bytes;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        free_bytes = (double) ((64 + x % 32) * MIB);
        *g = fixture_guest();
        g->uuid = fixture_uuid(w->uuids[i], i);
        fixture_size(g, standing_bytes);
        guest_fields_set(&g->fields, GUEST_FIELD_FREE, free_bytes);
        guest_fields_set(&g->fields, GUEST_FIELD_IDLE, free_bytes);
        guest_fields_set(&g->fields, GUEST_FIELD_CACHE, 500.0 * MIB);
        guest_fields_set(&g->fields, GUEST_FIELD_AVAILABLE, free_bytes + 450.0 * MIB);
        guest_fields_set(&g->fields, GUEST_FIELD_STALL, 0);
        guest_fields_set(&g->fields, GUEST_FIELD_REFAULT_FILE, (double) GIB);
        guest_fields_set(&g->fields, GUEST_FIELD_SWAP_IN, 0);
        if (distress_every > 0 && i % distress_every == 0) {
            fixture_size(g, standing_bytes - 512 * MIB);
            g->judgement.distress = true;
        }
    }
}

static int by_free(const void *a, const void *b)
{
    return compare_doubles(&((const GuestFields *) a)->value[GUEST_FIELD_FREE],
                           &((const GuestFields *) b)->value[GUEST_FIELD_FREE]);
}

static double time_sort(World *w)
{
    double t;

    for (size_t i = 0; i < w->s.n_guests; i++)
        w->sorted[i] = w->guests[i].fields;
    t = now_exact_usec();
    qsort(w->sorted, w->s.n_guests, sizeof w->sorted[0], by_free);
    return now_exact_usec() - t;
}

static double time_cycle(World *w, const Policy *policy, double *ret_keep_usec, size_t *ret_moves)
{
    const GuardConfig config = GUARD_CONFIG_DEFAULT;
    Plan p = {};
    double t = now_exact_usec();

    if (plan_make(&w->s, policy, &config, &p) < 0)
        abort();
    t = now_exact_usec() - t;
    *ret_keep_usec = now_exact_usec();
    keep_states(w, policy, &p);
    keep_series(w);
    *ret_keep_usec = now_exact_usec() - *ret_keep_usec;
    *ret_moves = 0;
    for (size_t i = 0; i < p.n_decisions; i++)
        *ret_moves += p.decisions[i].send;
    plan_done(&p);
    return t;
}

typedef struct Figures {
    double cycle_usec, keep_usec, sort_usec;
    double least_usec; /* of all turns: with the least of what others do to the caches */
    size_t moves;
} Figures;

static Figures measure(World *w, const Policy *policy)
{
    double cycles[TURNS], keeps[TURNS], sorts[TURNS];
    Figures f;

    for (size_t i = 0; i < TURNS; i++) {
        sorts[i] = time_sort(w);
        cycles[i] = time_cycle(w, policy, &keeps[i], &f.moves);
    }
    qsort(cycles, TURNS, sizeof cycles[0], compare_doubles);
    qsort(keeps, TURNS, sizeof keeps[0], compare_doubles);
    qsort(sorts, TURNS, sizeof sorts[0], compare_doubles);
    f.cycle_usec = cycles[TURNS / 2];
    f.least_usec = cycles[0];
    f.keep_usec = keeps[TURNS / 2];
    f.sort_usec = sorts[TURNS / 2];
    return f;
}

typedef struct Set {
    const char *name;
    const char *files[3];
} Set;

static const Set sets[] = {
    {"balloon", {"balloon"}}, {"conservative", {"conservative"}},  {"dense", {"dense"}},
    {"shares", {"shares"}},   {"balloon_ksm", {"balloon", "ksm"}},
};

static Policy *load(const Set *set)
{
    char paths[ELEMENTSOF(set->files)][4096];
    const char *files[ELEMENTSOF(set->files)];
    PolicyDiagnostics d = {};
    Policy *p = NULL;
    size_t n = 0;
    int r;

    for (; n < ELEMENTSOF(set->files) && set->files[n]; n++) {
        snprintf(paths[n], sizeof paths[n], "%s/policy/%s.policy", getenv("BALLAST_SOURCE") ?: ".",
                 set->files[n]);
        files[n] = paths[n];
    }
    r = policy_load_files(files, n, &d, &p, NULL);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", set->name, d.text ?: strerror(-r));
    policy_diagnostics_done(&d);
    return p;
}

static const unsigned counts[] = {10, 100, 1000, 5000};

static const struct {
    const char *name;
    double available;
    uint64_t standing;
    unsigned distress_every;
} loads[] = {
    {"rest", 500.0 * GIB, 2 * GIB},       /* all at full, nothing to take */
    {"pressure", 9.0 * GIB, 2 * GIB},     /* below 32 GiB: free memory and cache are asked for */
    {"distress", 9.0 * GIB, 2 * GIB, 20}, /* the same, and one in 20 takes from the others */
    {"critical", 0, 2 * GIB},             /* all stages */
    {"return", 900.0 * GIB, 3 * GIB / 2}  /* all grow */
};

/* Beside n log n; 1: as fast as that. */
static double growth(unsigned from, double from_usec, unsigned to, double to_usec)
{
    return to_usec / from_usec * (from * log2(from)) / (to * log2(to));
}

/* Returns whether it is as fast as it must be. */
static bool measure_load(World *w, const Policy *policy, const char *name, size_t load)
{
    double base = 0;
    bool fast = true;

    for (size_t j = 0; j < ELEMENTSOF(counts); j++) {
        unsigned n = counts[j];
        Figures f;

        fill(w, n, loads[load].available, loads[load].standing, loads[load].distress_every);
        keep_init(w, policy);
        f = measure(w, policy);
        /* A neighbour that fills the caches is no reason to fail: one that is always there is. */
        for (int i = 0; i < 2 && n == BUDGET_GUESTS && f.cycle_usec > BUDGET_USEC; i++)
            f = measure(w, policy);
        keep_done(w);
        printf("cycle_%s_%s_%u %.1f us\n", name, loads[load].name, n, f.cycle_usec);
        printf("cycle_%s_%s_%u_per_guest %.0f ns\n", name, loads[load].name, n, 1000 * f.cycle_usec / n);
        printf("cycle_%s_%s_%u_to_qsort %.2f ratio\n", name, loads[load].name, n, f.cycle_usec / f.sort_usec);
        printf("cycle_%s_%s_%u_keep %.1f us\n", name, loads[load].name, n, f.keep_usec);
        printf("cycle_%s_%s_%u_moves %zu moves\n", name, loads[load].name, n, f.moves);
        if (n == BUDGET_GUESTS && f.cycle_usec > BUDGET_USEC) {
            fprintf(stderr, "%s, %s: a cycle over %u guests takes more than %.0f us.\n", name,
                    loads[load].name, n, BUDGET_USEC);
            fast = false;
        }
        if (n == GROWTH_GUESTS)
            base = f.least_usec;
        if (n > GROWTH_GUESTS) {
            double g = growth(GROWTH_GUESTS, base, n, f.least_usec);

            printf("cycle_%s_%s_%u_growth %.2f of_n_log_n\n", name, loads[load].name, n, g);
            if (g > GROWTH_SLACK) {
                fprintf(stderr, "%s, %s: from %u to %u guests a cycle's time grows faster than n log n.\n",
                        name, loads[load].name, GROWTH_GUESTS, n);
                fast = false;
            }
        }
    }
    return fast;
}

int main(void)
{
    _cleanup_free_ World *w = calloc(1, sizeof *w);
    bool fast = true;

    if (!w)
        return EXIT_FAILURE;
    for (size_t i = 0; i < ELEMENTSOF(sets); i++) {
        _cleanup_(policy_freep) Policy *policy = load(&sets[i]);

        if (!policy)
            return EXIT_FAILURE;
        for (size_t j = 0; j < ELEMENTSOF(loads); j++)
            fast = measure_load(w, policy, sets[i].name, j) && fast;
    }
    return fast || getenv("BALLAST_BENCH_LENIENT") ? EXIT_SUCCESS : EXIT_FAILURE;
}
