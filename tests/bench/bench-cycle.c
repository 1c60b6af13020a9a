/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What deciding costs: plan_make() over many guests with the shipped policy. One line for each figure,
 * "metric value unit". The machine's speed is taken out by sorting as many structs of the size of a guest's
 * stats in the same run: that ratio can be compared between machines.
 *
 * Fails where 1,000 guests take more than the 2 ms that they may take, unless BALLAST_BENCH_LENIENT is
 * set (a build with sanitizers, or a machine busy with other things). */

#include <stdlib.h>
#include <string.h>

#include "host-agent/decide/plan.h"
#include "tests/unit/decide-fixture.h"

#define BUDGET_USEC   2000.0
#define BUDGET_GUESTS 1000U
#define TURNS         31 /* the median of these counts */

static double now_exact_usec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
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
    Snapshot s;
} World;

/* Guests that differ in what they have to give, reproducibly, and have so little of it that most are asked.
 */
static void fill(World *w, unsigned n, double available_bytes, uint64_t standing_bytes,
                 unsigned distress_every)
{
    uint64_t x = 88172645463325252;

    w->s = (Snapshot){.guests = w->guests, .n_guests = n, .host = fixture_host(0)};
    host_set(&w->s.host, HOST_FIELD_TOTAL, 1.0 * (double) TIB);
    host_set(&w->s.host, HOST_FIELD_AVAILABLE, available_bytes);
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
        guest_set(&g->fields, GUEST_FIELD_FREE, free_bytes);
        guest_set(&g->fields, GUEST_FIELD_RESIDENT_FREE, free_bytes);
        guest_set(&g->fields, GUEST_FIELD_CACHE, 500.0 * MIB);
        guest_set(&g->fields, GUEST_FIELD_AVAILABLE, free_bytes + 450.0 * MIB);
        guest_set(&g->fields, GUEST_FIELD_STALL, 0);
        if (distress_every > 0 && i % distress_every == 0) {
            fixture_size(g, standing_bytes - 512 * MIB);
            g->distress = true;
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

static double time_cycle(World *w, const Policy *policy, size_t *ret_moves)
{
    const GuardConfig config = GUARD_CONFIG_DEFAULT;
    Plan p = {};
    double t = now_exact_usec();

    if (plan_make(&w->s, policy, &config, &p) < 0)
        abort();
    t = now_exact_usec() - t;
    *ret_moves = 0;
    for (size_t i = 0; i < p.n_decisions; i++)
        *ret_moves += p.decisions[i].send;
    plan_done(&p);
    return t;
}

typedef struct Figures {
    double cycle_usec, sort_usec;
    size_t moves;
} Figures;

static Figures measure(World *w, const Policy *policy)
{
    double cycles[TURNS], sorts[TURNS];
    Figures f;

    for (size_t i = 0; i < TURNS; i++) {
        sorts[i] = time_sort(w);
        cycles[i] = time_cycle(w, policy, &f.moves);
    }
    qsort(cycles, TURNS, sizeof cycles[0], compare_doubles);
    qsort(sorts, TURNS, sizeof sorts[0], compare_doubles);
    f.cycle_usec = cycles[TURNS / 2];
    f.sort_usec = sorts[TURNS / 2];
    return f;
}

static Policy *load(void)
{
    char path[4096];
    PolicyDiagnostics d = {};
    Policy *p = NULL;
    int r;

    snprintf(path, sizeof path, "%s/policy/balloon.policy", getenv("BALLAST_SOURCE") ?: ".");
    r = policy_load_files((const char *[]){path}, 1, &d, &p, NULL);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", path, d.text ?: strerror(-r));
    policy_diagnostics_done(&d);
    return p;
}

int main(void)
{
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
    _cleanup_(policy_freep) Policy *policy = load();
    _cleanup_free_ World *w = malloc(sizeof *w);
    bool slow = false;

    if (!policy || !w)
        return EXIT_FAILURE;
    for (size_t i = 0; i < ELEMENTSOF(loads); i++)
        for (size_t j = 0; j < ELEMENTSOF(counts); j++) {
            Figures f;

            fill(w, counts[j], loads[i].available, loads[i].standing, loads[i].distress_every);
            f = measure(w, policy);
            printf("cycle_%s_%u %.1f us\n", loads[i].name, counts[j], f.cycle_usec);
            printf("cycle_%s_%u_per_guest %.0f ns\n", loads[i].name, counts[j],
                   1000 * f.cycle_usec / counts[j]);
            printf("cycle_%s_%u_to_qsort %.2f ratio\n", loads[i].name, counts[j], f.cycle_usec / f.sort_usec);
            printf("cycle_%s_%u_moves %zu moves\n", loads[i].name, counts[j], f.moves);
            if (counts[j] == BUDGET_GUESTS && f.cycle_usec > BUDGET_USEC)
                slow = true;
        }
    if (slow)
        fprintf(stderr, "A cycle over %u guests takes more than %.0f us.\n", BUDGET_GUESTS, BUDGET_USEC);
    return slow && !getenv("BALLAST_BENCH_LENIENT") ? EXIT_FAILURE : EXIT_SUCCESS;
}
