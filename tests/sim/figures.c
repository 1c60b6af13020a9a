/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/figures.h"

#include <math.h>

#include "base/log.h"
#include "base/macro.h"
#include "base/units.h"
#include "tests/sim/ballast.h"
#include "tests/sim/mom.h"

#define TICK_SEC ((double) SIM_TICK_USEC / (double) USEC_PER_SEC)
#define PHASES   ((int) (SIM_CYCLES * USEC_PER_SEC / SIM_PHASE_USEC) + 1)

const char *sim_policy_to_string(SimPolicy p)
{
    static const char *const names[SIM_POLICY_MAX] = {"none", "MOM", "Ballast"};

    return p >= 0 && p < SIM_POLICY_MAX ? names[p] : NULL;
}

/* From hosts with plenty to one that can't give everybody what it asks for, and a fifth of its size to spare.
 */
double sim_load(uint64_t seed)
{
    return 0.60 + 0.08 * (double) (seed % 4);
}

typedef struct Account {
    SimFigures figures;
    double starved[SIM_GUESTS_MAX], refaults[SIM_GUESTS_MAX];
} Account;

static void account(Account *a, const SimWorld *w)
{
    double available = sim_available(w);
    SimFigures *f = &a->figures;

    f->pressed_sec += available < sim_pressed(w) ? TICK_SEC : 0;
    f->critical_sec += available < sim_critical(w) ? TICK_SEC : 0;
    for (size_t i = 0; i < w->n; i++) {
        const SimGuest *g = &w->guests[i];

        /* Begins anew with each boot. */
        f->reread += g->refaults > a->refaults[i] ? g->refaults - a->refaults[i] : 0;
        a->refaults[i] = g->refaults;
        if (sim_is_liar(g) || !sim_is_starved(g))
            continue;
        f->starved_sec += TICK_SEC;
        f->killed_sec += g->kind->swapless ? TICK_SEC : 0;
        a->starved[i] += TICK_SEC;
        f->worst_sec = fmax(f->worst_sec, a->starved[i]);
    }
    f->host_swapped_out = w->swapped_out;
}

static int run_ballast(SimWorld *w, const char *source, bool lazy, Account *a)
{
    _cleanup_free_ Ballast *b = malloc(sizeof(Ballast));
    char path[4096];
    int r;

    if (!b)
        return -ENOMEM;
    log_set_level(LOG_CRIT); /* refusals, stalls and distress are what it is made of */
    (void) snprintf(path, sizeof(path), "%s/%s", source,
                    lazy ? "tests/sim/lazy.policy" : "policy/balloon.policy");
    r = ballast_init(b, w, path);
    b->checks.foreign_policy = lazy;
    for (unsigned t = 0; r >= 0 && t < SIM_CYCLES * (USEC_PER_SEC / SIM_TICK_USEC); t++) {
        sim_tick(w);
        ballast_tick(b);
        account(a, w);
    }
    ballast_done(b);
    a->figures.moved = b->moved;
    a->figures.checks = b->checks;
    return r;
}

int sim_run(uint64_t seed, SimPolicy policy, const char *source, SimFigures *ret)
{
    SimWorld w;
    Account a = {};
    Mom m = {};
    int r;

    sim_init(&w, seed, sim_load(seed), PHASES);
    if (policy == SIM_POLICY_BALLAST || policy == SIM_POLICY_LAZY) {
        r = run_ballast(&w, source, policy == SIM_POLICY_LAZY, &a);
        if (r < 0)
            return r;
    } else
        for (unsigned t = 0; t < SIM_CYCLES * (USEC_PER_SEC / SIM_TICK_USEC); t++) {
            sim_tick(&w);
            if (policy == SIM_POLICY_MOM)
                mom_tick(&m, &w);
            account(&a, &w);
        }
    if (policy == SIM_POLICY_MOM)
        a.figures.moved = m.moved;
    *ret = a.figures;
    return 0;
}

void sim_print_head(void)
{
    printf("%-5s %-5s %-8s %10s %10s %10s %10s %10s %10s %10s %10s\n", "trace", "load", "policy", "moved",
           "pressed", "critical", "starved", "worst", "killed", "re-read", "host swap");
    printf("%-5s %-5s %-8s %10s %10s %10s %10s %10s %10s %10s %10s\n", "", "", "", "GiB", "s", "s", "guest-s",
           "s", "guest-s", "GiB", "GiB");
}

void sim_print(uint64_t seed, SimPolicy policy, const SimFigures *f)
{
    printf("%-5u %3.0f %% %-8s %10.1f %10.1f %10.1f %10.1f %10.1f %10.1f %10.1f %10.1f\n", (unsigned) seed,
           100 * sim_load(seed), sim_policy_to_string(policy), f->moved / (double) GIB, f->pressed_sec,
           f->critical_sec, f->starved_sec, f->worst_sec, f->killed_sec, f->reread / (double) GIB,
           f->host_swapped_out / (double) GIB);
}
