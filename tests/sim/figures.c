/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Figures of a simulated run: what was moved, and what the guests suffered. */

#include "tests/sim/figures.h"

#include <math.h>

#include "base/log.h"
#include "base/macro.h"
#include "base/units.h"
#include "tests/sim/ballast.h"
#include "tests/sim/mom.h"

#define PHASES         ((int) (SIM_CYCLES * USEC_PER_SEC / SIM_PHASE_USEC) + 1)
#define PHASES_SETTLED 4 /* and some time for balloons to follow */

static const struct {
    const char *name, *path;
} policies[SIM_POLICY_MAX + 1] = {
    [SIM_POLICY_NONE] = {"none", NULL},
    [SIM_POLICY_MOM] = {"MOM", NULL},
    [SIM_POLICY_BALLOON] = {"balloon", "policy/balloon.policy"},
    [SIM_POLICY_CONSERVATIVE] = {"conservative", "policy/conservative.policy"},
    [SIM_POLICY_DENSE] = {"dense", "policy/dense.policy"},
    [SIM_POLICY_SHARES] = {"shares", "policy/shares.policy"},
    [SIM_POLICY_LAZY] = {"lazy", "tests/sim/lazy.policy"},
};

const char *sim_policy_to_string(SimPolicy p)
{
    return p >= 0 && p <= SIM_POLICY_LAZY ? policies[p].name : NULL;
}

SimTrace sim_trace(uint64_t seed)
{
    return (SimTrace){.seed = seed, .load = 0.60 + 0.08 * (double) (seed % 4)};
}

typedef struct Account {
    SimFigures figures;
    double starved[SIM_GUESTS_MAX], refaults[SIM_GUESTS_MAX];
    double throughput[SIM_GUESTS_MAX], present[SIM_GUESTS_MAX]; /* summed over time; s */
    double idle_full, idle_taken;
} Account;

static bool lives_off_cache(const SimGuest *g)
{
    return g->kind->hot[0] > 0;
}

static bool is_idle(const SimGuest *g)
{
    return !g->kind->changes && !lives_off_cache(g) && !sim_is_liar(g);
}

static void account_guest(Account *a, const SimWorld *w, size_t i)
{
    const SimGuest *g = &w->guests[i];
    SimFigures *f = &a->figures;

    /* Begins again with each boot. */
    f->reread += g->refaults > a->refaults[i] ? g->refaults - a->refaults[i] : 0;
    a->refaults[i] = g->refaults;
    if (!g->present || sim_is_liar(g))
        return;
    f->guest_sec += SIM_TICK_SEC;
    a->present[i] += SIM_TICK_SEC;
    a->throughput[i] += SIM_TICK_SEC * sim_throughput(g);
    if (is_idle(g) && w->now_usec >= SIM_SETTLED_USEC) {
        a->idle_full += g->full;
        a->idle_taken += g->full - g->current;
    }
    if (!sim_is_starved(g))
        return;
    f->starved_sec += SIM_TICK_SEC;
    f->killed_sec += g->kind->swapless ? SIM_TICK_SEC : 0;
    a->starved[i] += SIM_TICK_SEC;
    f->worst_sec = fmax(f->worst_sec, a->starved[i]);
}

static void account(Account *a, const SimWorld *w)
{
    double available = sim_available(w);

    a->figures.pressed_sec += available < sim_pressed(w) ? SIM_TICK_SEC : 0;
    a->figures.critical_sec += available < sim_critical(w) ? SIM_TICK_SEC : 0;
    for (size_t i = 0; i < w->n; i++)
        account_guest(a, w, i);
}

static void account_end(Account *a, const SimWorld *w)
{
    SimFigures *f = &a->figures;

    f->host_swapped_out = w->swapped_out;
    f->total = w->total;
    f->idle_taken = a->idle_full > 0 ? a->idle_taken / a->idle_full : 0;
    f->throughput = 1;
    for (size_t i = 0; i < w->n; i++)
        if (lives_off_cache(&w->guests[i]) && a->present[i] > 0)
            f->throughput = fmin(f->throughput, a->throughput[i] / a->present[i]);
}

static int run_ballast(SimWorld *w, const SimTrace *trace, const char *source, SimPolicy policy, Account *a)
{
    _cleanup_free_ Ballast *b = malloc(sizeof(Ballast));
    char path[4096];
    int r;

    if (!b)
        return -ENOMEM;
    log_set_level(LOG_CRIT); /* refusals, stalls and distress are what it is made of */
    (void) snprintf(path, sizeof(path), "%s/%s", source, policies[policy].path);
    r = ballast_init(b, w, path);
    b->checks.foreign_policy = policy == SIM_POLICY_LAZY;
    b->checks.keeps_plenty = policy == SIM_POLICY_DENSE;
    b->checks.paced = policy != SIM_POLICY_BALLOON;
    b->checks.settled_usec = trace->settles ? SIM_SETTLED_USEC : 0;
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

int sim_run(const SimTrace *trace, SimPolicy policy, const char *source, SimFigures *ret)
{
    SimWorld w;
    Account a = {};
    Mom m = {};
    int r;

    sim_init(&w, trace->seed, trace->load, trace->settles ? PHASES_SETTLED : PHASES);
    if (policy >= SIM_POLICY_BALLOON) {
        r = run_ballast(&w, trace, source, policy, &a);
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
    account_end(&a, &w);
    *ret = a.figures;
    return 0;
}

void sim_print_head(void)
{
    printf("%-5s %-5s %-12s %9s %9s %9s %9s %9s %9s %9s %9s %10s %10s\n", "trace", "load", "policy", "moved",
           "pressed", "critical", "starved", "worst", "killed", "re-read", "hot cache", "idle taken",
           "host swap");
    printf("%-5s %-5s %-12s %9s %9s %9s %9s %9s %9s %9s %9s %10s %10s\n", "", "", "", "GiB", "s", "s",
           "guest-s", "s", "guest-s", "GiB", "speed", "%", "GiB");
}

void sim_print(const SimTrace *trace, SimPolicy policy, const SimFigures *f)
{
    printf("%-5u %3.0f %% %-12s %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f %9.3f %10.1f %10.1f\n",
           (unsigned) trace->seed, 100 * trace->load, sim_policy_to_string(policy), f->moved / (double) GIB,
           f->pressed_sec, f->critical_sec, f->starved_sec, f->worst_sec, f->killed_sec,
           f->reread / (double) GIB, f->throughput, 100 * f->idle_taken, f->host_swapped_out / (double) GIB);
}
