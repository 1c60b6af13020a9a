/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Simulated hosts with guests of all kinds, of those that tell lies, too: 10,000 cycles on each trace with
 * each policy that is shipped, in which what tests/sim/checks.h says must hold at each moment. On the same
 * trace MOM's default policy, for comparison: with Ballast guests lack memory for no longer, and the host is
 * short of it for no longer. The figures are printed by tests/bench/bench-sim.c. */

#include <check.h>
#include <math.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/decide/decision.h"
#include "tests/sim/figures.h"
#include "tests/sim/mom.h"
#include "tests/unit/run.h"

static void run(const SimTrace *trace, SimPolicy policy, SimFigures *ret)
{
    ck_assert_int_eq(sim_run(trace, policy, getenv("BALLAST_SOURCE"), ret), 0);
    ck_assert_msg(ret->checks.failures == 0, "%s: %s (and %u more)", sim_policy_to_string(policy),
                  ret->checks.text, ret->checks.failures - 1);
}

static void check_beside_mom(const SimTrace *trace, SimPolicy policy, const SimFigures *moms)
{
    SimFigures ours;

    run(trace, policy, &ours);
    /* If guests use more than that leaves, only starving them keeps the host above its threshold. */
    if (trace->load + SIM_PRESSED_RATIO < 1)
        ck_assert_double_le(ours.pressed_sec, moms->pressed_sec);
    ck_assert_double_le(ours.critical_sec, moms->critical_sec);
    ck_assert_double_le(ours.starved_sec, moms->starved_sec);
    ck_assert_double_le(ours.worst_sec, moms->worst_sec);
    ck_assert_double_le(ours.host_swapped_out, moms->host_swapped_out);
    /* If the host gets critical, cache in use is taken, too, so that it doesn't swap. */
    if (policy == SIM_POLICY_CONSERVATIVE)
        ck_assert_double_ge(ours.throughput, ours.critical_sec > 0 ? 0.90 : 0.98);
}

START_TEST(test_trace)
{
    SimTrace trace = sim_trace((uint64_t) _i);
    SimFigures moms, ours;

    /* More traces are for what must hold in all of them. On one or another MOM does better by a little. */
    if (_i >= (int) SIM_SEEDS) {
        for (SimPolicy p = SIM_POLICY_BALLOON; p < SIM_POLICY_MAX; p++)
            run(&trace, p, &ours);
        return;
    }
    run(&trace, SIM_POLICY_MOM, &moms);
    for (SimPolicy p = SIM_POLICY_BALLOON; p < SIM_POLICY_MAX; p++)
        check_beside_mom(&trace, p, &moms);
}
END_TEST

/* How often one guest's target may turn round in the 5,000 s in which demand is steady, and what may be moved
 * in that time, as a share of the host's memory: hot caches are tried once an hour, so twice. One that is cautious takes ever so little, and looks again
 * from time to time whether it is missed. */
static const struct {
    unsigned turns;
    double moved;
} at_rest[] = {
    [SIM_POLICY_BALLOON] = {4, 0.012},
    [SIM_POLICY_CONSERVATIVE] = {6, 0.12},
    [SIM_POLICY_DENSE] = {6, 0.12},
    [SIM_POLICY_SHARES] = {4, 0.012},
};

/* Nobody asks for anything else any more: nor is anything taken and given back for ever. */
START_TEST(test_comes_to_rest)
{
    SimTrace trace = sim_trace(1 + 4 * (uint64_t) _i);
    SimFigures f;

    trace.settles = true;
    for (SimPolicy p = SIM_POLICY_BALLOON; p < SIM_POLICY_MAX; p++) {
        run(&trace, p, &f);
        ck_assert_uint_le(f.checks.most_settled_turns, at_rest[p].turns);
        ck_assert_double_le(f.checks.settled_moved, at_rest[p].moved * f.total);
    }
}
END_TEST

/* On a host that has enough for all: idle guests' memory is taken nevertheless, others hardly notice. */
START_TEST(test_dense)
{
    SimTrace trace = {.seed = (uint64_t) _i, .load = 0.30};
    SimFigures dense, balloon;

    run(&trace, SIM_POLICY_DENSE, &dense);
    run(&trace, SIM_POLICY_BALLOON, &balloon);
    ck_assert_double_ge(dense.idle_taken, balloon.idle_taken + 0.2);
    ck_assert_double_le(dense.starved_sec, 0.002 * dense.guest_sec);
    ck_assert_double_ge(dense.throughput, 0.95);
}
END_TEST

/* A policy that leaves the host no room: who is in distress lives on what others release. */
START_TEST(test_fed_by_others)
{
    SimTrace trace = sim_trace((uint64_t) _i);
    SimFigures f;

    run(&trace, SIM_POLICY_LAZY, &f);
    if (_i == 1)
        ck_assert_uint_gt(f.checks.donations, 100);
}
END_TEST

/* The traces contain everything that is checked: otherwise a simulation without events would pass. */
START_TEST(test_traces_have_it_all)
{
    unsigned served = 0, donations = 0, gifts = 0, turns = 0;
    double starved = 0, reread = 0, critical = 0;

    for (uint64_t seed = 1; seed < 4; seed++) {
        SimTrace trace = sim_trace(seed);
        SimFigures f;

        run(&trace, SIM_POLICY_BALLOON, &f);
        served += f.checks.served;
        donations += f.checks.donations;
        gifts += f.checks.gifts;
        turns = MAX(turns, f.checks.most_turns);
        starved += f.starved_sec;
        reread += f.reread;
        critical += f.critical_sec;
    }
    ck_assert_uint_gt(served, 100);
    ck_assert_uint_gt(donations, 20);
    ck_assert_uint_gt(gifts, 100);
    ck_assert_uint_gt(turns, 2);
    ck_assert_double_gt(starved, 0);
    ck_assert_double_gt(reread, 0);
    ck_assert_double_gt(critical, 0);
}
END_TEST

/* Seen with MOM itself (KiB). */
START_TEST(test_mom)
{
    static const struct {
        double host_free, current, unused, target;
    } vectors[] = {
        {.19, 4194304, 3000000, 3984588.8},
        {.10, 4194304, 400000, NAN},
        {.04, 4194304, 100000, 4052360.96},
        {.30, 2097152, 2000000, 2202009.6},
    };
    double target = mom_target(vectors[_i].host_free, vectors[_i].current, vectors[_i].current,
                               vectors[_i].unused, 0, 4194304);

    if (isnan(vectors[_i].target))
        ck_assert_double_nan(target);
    else
        ck_assert_double_eq_tol(target, vectors[_i].target, 0.01);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("balloon-sim");

    tcase_add_loop_test(t, test_trace, 0, (int) case_count(TEST_SANITIZED ? 1 : SIM_SEEDS));
    tcase_add_loop_test(t, test_comes_to_rest, 0, TEST_SANITIZED ? 0 : 2);
    tcase_add_loop_test(t, test_dense, 0, TEST_SANITIZED ? 1 : 2);
    tcase_add_loop_test(t, test_fed_by_others, 0, (int) case_count(TEST_SANITIZED ? 2 : SIM_SEEDS));
    if (!TEST_SANITIZED)
        tcase_add_test(t, test_traces_have_it_all);
    tcase_add_loop_test(t, test_mom, 0, 4);
    tcase_set_timeout(t, 120); /* with sanitizers; 4 s without */
    return run_tests(t);
}
