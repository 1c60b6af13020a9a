/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The simulated host that is too small for its guests: what things cost there, and that rules rank as they do on the
 * real guests of make bench-overcommit. All of it takes two seconds. */

#include <check.h>
#include <math.h>

#include "base/macro.h"
#include "base/units.h"
#include "tests/sim/rows.h"
#include "tests/unit/run.h"

#define M       ((double) MIB)
#define SECONDS (USEC_PER_SEC / SIM_TICK_USEC) /* ticks */

/* ---- How rules rank ---- */

static double pages(SimRow row, SimRule rule, const SimCosts *costs)
{
    SimRowFigures f;

    ck_assert_int_eq(sim_row_run(row, rule, costs, getenv("BALLAST_SOURCE"), &f), 0);
    ck_assert_msg(f.checks.failures == 0, "%s, %s: %s (and %u more)", sim_row_to_string(row),
                  sim_rule_to_string(rule), f.checks.text, f.checks.failures - 1);
    return f.pages;
}

/* factor × less < more: or, where it is the other way round on real guests, the model is at fault. */
static void check_order(SimRow row, SimRule less, double factor, SimRule more, const SimCosts *costs)
{
    double a = pages(row, less, costs), b = pages(row, more, costs);

    ck_assert_msg(factor * a < b,
                  "%s, %s: %s gets %.0f pages/s, %s %.0f, and %s should get more than %.2f times %s (see "
                  "tests/sim/costs.h)",
                  sim_row_to_string(row), costs->name, sim_rule_to_string(less), a, sim_rule_to_string(more),
                  b, sim_rule_to_string(more), factor, sim_rule_to_string(less));
}

/* As measured on real guests; tests/sim/rows.c has the figures. The loop that reclaims cache at rest costs all. */
static const struct {
    SimRow row;
    SimRule less;
    double factor;
    SimRule more;
    bool dear; /* only where balloons are as dear as TCG's */
} orders[] = {
    {SIM_ROW_FREED, SIM_RULE_NOTHING, 1, SIM_RULE_FPR},
    {SIM_ROW_FREED, SIM_RULE_FPR, 0.95, SIM_RULE_BALLAST},
    {SIM_ROW_STALE, SIM_RULE_NOTHING, 1, SIM_RULE_FPR},
    {SIM_ROW_STALE, SIM_RULE_FPR, 1, SIM_RULE_BALLAST},
    {SIM_ROW_STALE, SIM_RULE_FPR, 1, SIM_RULE_RECLAIM},
    {SIM_ROW_STALE, SIM_RULE_FPR, 1, SIM_RULE_SCHEDULE},
    {SIM_ROW_STALE, SIM_RULE_SCHEDULE, 1, SIM_RULE_RECLAIM, true},
    {SIM_ROW_STALE, SIM_RULE_NOTHING, 1, SIM_RULE_SCHEDULE_OFF},
    {SIM_ROW_FRAGMENTS, SIM_RULE_FPR, 1, SIM_RULE_BALLAST},
    {SIM_ROW_FRAGMENTS, SIM_RULE_FPR, 1, SIM_RULE_COMPACT},
    {SIM_ROW_FRAGMENTS, SIM_RULE_SCHEDULE, 1, SIM_RULE_COMPACT, true},
    {SIM_ROW_REREAD, SIM_RULE_FPR, 0.95, SIM_RULE_BALLAST},
    {SIM_ROW_REREAD, SIM_RULE_FPR, 0.95, SIM_RULE_COMPACT},
    {SIM_ROW_REST, SIM_RULE_FPR, 0.95, SIM_RULE_BALLAST},
    {SIM_ROW_REST, SIM_RULE_FPR, 0.95, SIM_RULE_COMPACT},
    {SIM_ROW_REST, SIM_RULE_RECLAIM, 10, SIM_RULE_FPR},
};

START_TEST(test_order)
{
    check_order(orders[_i].row, orders[_i].less, orders[_i].factor, orders[_i].more, &sim_costs_tcg);
    if (!orders[_i].dear)
        check_order(orders[_i].row, orders[_i].less, orders[_i].factor, orders[_i].more, &sim_costs_kvm);
}
END_TEST

/* Nobody measured these: no order may depend on them. */
START_TEST(test_chosen)
{
    for (int twice = 0; twice < 2; twice++)
        for (size_t i = 0; i < ELEMENTSOF(orders); i++) {
            SimCosts c = sim_costs_tcg;
            double *chosen[] = {&c.fragments, &c.touched, &c.base, &c.blind, &c.report_sec};

            ck_assert_int_lt(_i, (int) ELEMENTSOF(chosen));
            *chosen[_i] *= twice ? 2 : 0.5;
            check_order(orders[i].row, orders[i].less, orders[i].factor, orders[i].more, &c);
        }
}
END_TEST

START_TEST(test_same_again)
{
    for (SimRule rule = 0; rule < SIM_RULE_MAX; rule++)
        ck_assert_double_eq(pages(SIM_ROW_STALE, rule, &sim_costs_tcg),
                            pages(SIM_ROW_STALE, rule, &sim_costs_tcg));
}
END_TEST

/* ---- What things cost ---- */

typedef struct Host {
    SimWorld world;
    SimSmall small;
} Host;

static void host_init(Host *h, const SmallScenario *sc, const SimCosts *costs, bool reporting)
{
    small_init(&h->world, &h->small, sc, costs, reporting);
}

static void ticks(Host *h, uint64_t n)
{
    while (n-- > 0)
        sim_tick(&h->world);
}

/* Ticks until its kernel has done what it was asked for. */
static unsigned finish(Host *h, Message *ret)
{
    for (unsigned n = 1;; n++) {
        ck_assert_uint_lt(n, 600);
        ticks(h, 1);
        if (sim_lever_result(&h->world, 0, ret))
            return n;
    }
}

static const SimCosts *const both[] = {&sim_costs_tcg, &sim_costs_kvm};

/* What work frees is the host's some seconds later. */
START_TEST(test_reporting)
{
    static const SmallScenario sc = {.work = 256, .total = 8192};
    Host h;
    SmallGuest *k = &h.small.guests[0];
    double at_work;

    host_init(&h, &sc, &sim_costs_tcg, true);
    h.small.go_usec = h.world.now_usec;
    ticks(&h, 5 * SECONDS - 1);
    at_work = k->parts[SIM_PART_WORK].bytes;
    ck_assert_double_gt(at_work, 0.8 * 256 * M);
    ticks(&h, 2 * SECONDS);
    ck_assert_double_gt(k->parts[SIM_PART_BLOCKS].bytes, 0.99 * at_work);
    /* Before it works again. */
    ticks(&h, 12 * SECONDS);
    ck_assert_double_lt(k->parts[SIM_PART_BLOCKS].bytes, 0.25 * at_work);

    host_init(&h, &sc, &sim_costs_tcg, false);
    h.small.go_usec = h.world.now_usec;
    ticks(&h, 19 * SECONDS);
    ck_assert_double_gt(k->parts[SIM_PART_BLOCKS].bytes, 0.99 * at_work);
}
END_TEST

START_TEST(test_compaction)
{
    static const SmallScenario sc = {.work = 256, .total = 8192, .fragments = 128};
    Host h;
    SmallGuest *k = &h.small.guests[0];
    double before;
    Message m;

    host_init(&h, &sc, both[_i], true);
    before = k->parts[SIM_PART_FRAGMENTS].bytes;
    ticks(&h, 60 * SECONDS);
    ck_assert_double_eq(k->parts[SIM_PART_FRAGMENTS].bytes, before);
    ck_assert_int_eq(sim_lever(&h.world, 0, SIM_LEVER_COMPACT, 7, 0), 0);
    ck_assert_int_eq(sim_lever(&h.world, 0, SIM_LEVER_COMPACT, 8, 0), -EBUSY);
    (void) finish(&h, &m);
    ck_assert_int_eq(m.why, LEVER_END_DONE);
    ck_assert_uint_eq(m.id, 7);
    ck_assert_double_ge((double) m.cpu_usec, 70e3);
    ck_assert_double_le((double) m.cpu_usec, 276e3);
    ck_assert_double_ge((double) m.bytes, 0.9 * before);
    ticks(&h, 30 * SECONDS);
    ck_assert_double_lt(k->parts[SIM_PART_FRAGMENTS].bytes + k->parts[SIM_PART_BLOCKS].bytes, 0.1 * before);
}
END_TEST

START_TEST(test_reclaim)
{
    static const SmallScenario sc = {.work = 256, .total = 8192, .cold = 24};
    Host h;
    Message m;
    unsigned n;

    host_init(&h, &sc, both[_i], true);
    ck_assert_int_eq(sim_lever(&h.world, 0, SIM_LEVER_RECLAIM, 1, 16 * M), 0);
    n = finish(&h, &m);
    ck_assert_int_eq(m.why, LEVER_END_DONE);
    ck_assert_uint_ge(n, 2);
    ck_assert_uint_le(n, 3);
    ck_assert_double_ge((double) m.cpu_usec, 29e3);
    ck_assert_double_le((double) m.cpu_usec, 170e3);
    ck_assert_int_eq(sim_lever(&h.world, 0, SIM_LEVER_RECLAIM, 2, 16 * M), 0);
    (void) finish(&h, &m);
    ck_assert_int_eq(m.why, LEVER_END_NO_MORE);
    ck_assert_double_eq_tol((double) m.bytes, 8 * M, 1);
}
END_TEST

/* It ends when the guest reads back what was taken. */
START_TEST(test_refaults)
{
    static const SmallScenario sc = {.hot = 150, .available = 0.5, .before = true};
    Host h;
    Message m;

    host_init(&h, &sc, &sim_costs_tcg, true);
    ck_assert_int_eq(sim_lever(&h.world, 0, SIM_LEVER_RECLAIM, 1, 150 * M), 0);
    (void) finish(&h, &m);
    ck_assert_int_eq(m.why, LEVER_END_REFAULTS);
    ck_assert_double_lt((double) m.bytes, 32 * M);
}
END_TEST

START_TEST(test_balloon)
{
    static const SmallScenario sc = {.work = 256, .total = 8192, .blocks = 410};
    double speed = both[_i]->inflate * M, rss;
    Host h;
    SimGuest *g = &h.world.guests[0];

    host_init(&h, &sc, both[_i], false);
    rss = sim_rss(&h.world, g);
    ck_assert_int_eq(sim_set_memory(&h.world, 0, 212 * M), 0);
    ticks(&h, 13);
    ck_assert_double_eq_tol(g->full - g->current, fmin(300 * M, speed), 0.15 * speed);
    ticks(&h, 2 * SECONDS);
    ck_assert_double_eq_tol(g->current, 212 * M, 1);
    ck_assert_double_eq_tol(rss - sim_rss(&h.world, g), 300 * M, 1);

    /* The host had already got all of that. */
    host_init(&h, &sc, both[_i], true);
    rss = sim_rss(&h.world, g);
    ck_assert_int_eq(sim_set_memory(&h.world, 0, 212 * M), 0);
    ticks(&h, 4 * SECONDS);
    ck_assert_double_eq_tol(g->current, 212 * M, 1);
    ck_assert_double_eq_tol(rss, sim_rss(&h.world, g), 1);
}
END_TEST

/* What the host has swapped out comes in before the balloon takes it. */
START_TEST(test_late_balloon)
{
    static const SmallScenario sc = {.work = 256, .total = 2048, .blocks = 410};
    double speed = COSTS_READS * COSTS_READ_SCATTER * 4096;
    Host h;
    SimGuest *g = &h.world.guests[2];

    host_init(&h, &sc, &sim_costs_kvm, false);
    h.small.go_usec = h.world.now_usec;
    ck_assert_int_eq(sim_set_memory(&h.world, 2, 212 * M), 0);
    ticks(&h, 4 * SECONDS);
    ck_assert_double_lt(g->current, g->full);
    ck_assert_double_ge(g->current, g->full - 4 * speed);
}
END_TEST

/* The host never holds more than it has, and the disk brings no more than it can. */
START_TEST(test_swap)
{
    static const SmallScenario sc = {.work = 256, .total = 2048, .blocks = 380};
    double in = 0, most = SIM_TICK_USEC * COSTS_READS * COSTS_READ_BLOCKS * 4096 / USEC_PER_SEC;
    Host h;

    host_init(&h, &sc, &sim_costs_tcg, false);
    h.small.go_usec = h.world.now_usec;
    for (uint64_t t = 0; t < 40 * SECONDS; t++) {
        double before = in, rss = h.world.overhead;

        ticks(&h, 1);
        in = 0;
        for (size_t i = 0; i < h.world.n; i++) {
            rss += sim_rss(&h.world, &h.world.guests[i]);
            in += h.small.guests[i].swapped_in;
        }
        ck_assert_double_le(rss, h.world.total + M);
        ck_assert_double_le(in - before, most + M);
    }
    ck_assert_double_gt(in, 100 * M);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("sim-rows");

    tcase_add_loop_test(t, test_order, 0, (int) ELEMENTSOF(orders));
    tcase_add_loop_test(t, test_chosen, 0, 5);
    tcase_add_test(t, test_same_again);
    tcase_add_test(t, test_reporting);
    tcase_add_loop_test(t, test_compaction, 0, 2);
    tcase_add_loop_test(t, test_reclaim, 0, 2);
    tcase_add_test(t, test_refaults);
    tcase_add_loop_test(t, test_balloon, 0, 2);
    tcase_add_test(t, test_late_balloon);
    tcase_add_test(t, test_swap);
    return run_tests(t);
}
