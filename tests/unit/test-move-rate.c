/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The rate that is read from a balloon's moves, small and large, seen on their way or not. */

#include <math.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/move-rate.h"
#include "tests/unit/decide-random.h"
#include "tests/unit/run.h"

/* A move in one direction: its size, how long it took, and what was seen on its way. Sizes in MiB, times in
 * ms since it was sent; 0: not seen. */
typedef struct RateStep {
    unsigned size, took, first, first_at, last, last_at;
} RateStep;

static const struct {
    const char *what;
    RateStep steps[10];
    double least, most; /* the rate afterwards, in MiB per second */
} cases[] = {
    {"one move that was over at once, dominated by latency: not measured", {{64, 800}}, 0, 0},
    {"one large move that was over at once: at least this fast", {{512, 2000}}, 256, 256},
    {"moves of one size, each dominated by latency", {{26, 500}, {26, 600}, {26, 400}, {26, 900}}, 0, 0},
    {"two sizes: 0.5 s of latency, then 150 MiB/s", {{75, 1000}, {300, 2500}}, 150, 150},
    {"a small and a large one show it, too", {{30, 700}, {300, 2500}}, 150, 150},
    {"one move seen on its way, and its end seen late", {{300, 4000, 50, 1000, 275, 2500}}, 150, 150},
    {"one look on its way: its end counts", {{300, 4000, 100, 3000}}, 200, 200},
    {"a look near the end says nothing", {{300, 4000, 290, 3000}}, 0, 0},
    {"small moves that come later don't lower it",
     {{75, 1000}, {300, 2500}, {20, 900}, {25, 2000}, {30, 3000}, {9, 5000}},
     150,
     500},
    {"nor when nothing else is remembered",
     {{75, 1000},
      {300, 2500},
      {20, 2000},
      {20, 2000},
      {20, 2000},
      {20, 2000},
      {20, 2000},
      {20, 2000},
      {20, 2000},
      {20, 2000}},
     150,
     150},
    {"a small one raises it: a slow balloon that is fast again",
     {{256, 26000, 6, 1000, 206, 21000}, {26, 260}},
     100,
     110},
    {"one odd move among many",
     {{64, 900}, {128, 1300}, {256, 2200}, {200, 9000}, {100, 1100}, {300, 2500}},
     120,
     180},
    {"a balloon that became slow",
     {{75, 1000}, {300, 2500}, {300, 30500, 10, 1500, 290, 29500}, {75, 8000}, {150, 15500}, {225, 23000}},
     8,
     20},
};

START_TEST(test_cases)
{
    MoveRate r = {};
    usec_t now = USEC_PER_SEC;

    for (const RateStep *s = cases[_i].steps; s < cases[_i].steps + 10 && s->size > 0; s++) {
        move_rate_begin(&r);
        if (s->first > 0)
            move_rate_progress(&r, 4096 * MIB - s->first * MIB, now + s->first_at * USEC_PER_MSEC);
        if (s->last > 0)
            move_rate_progress(&r, 4096 * MIB - s->last * MIB, now + s->last_at * USEC_PER_MSEC);
        move_rate_arrive(&r, 4096 * MIB, now, 4096 * MIB - s->size * MIB, false,
                         now + s->took * USEC_PER_MSEC);
        now += 60 * USEC_PER_SEC;
    }
    ck_assert_msg(r.shrink >= cases[_i].least * MIB - 1 && r.shrink <= cases[_i].most * MIB + 1,
                  "%s: %.1f MiB/s", cases[_i].what, r.shrink / MIB);
    ck_assert(r.grow == 0);
}
END_TEST

/* Whatever came before, a small move never lowers the rate. */
START_TEST(test_small_moves_never_lower)
{
    Random random = random_seeded(1);

    for (unsigned round = 0; round < 2000; round++) {
        MoveRate r = {};

        for (unsigned i = 0; i < 20; i++) {
            uint64_t size = (1 + random_below(&random, one_in(&random, 2) ? 31 : 1024)) * MIB;
            usec_t sent = USEC_PER_SEC * (1 + i), took = random_below(&random, 30 * USEC_PER_SEC);
            double before = r.shrink;

            move_rate_begin(&r);
            if (one_in(&random, 3))
                move_rate_progress(&r, 4096 * MIB - size / 2, sent + took / 2);
            move_rate_arrive(&r, 4096 * MIB, sent, 4096 * MIB - size, false, sent + took);
            ck_assert(isfinite(r.shrink) && r.shrink >= 0 && r.grow == 0);
            ck_assert_msg(size >= MOVE_RATE_SPAN_BYTES || r.shrink >= before, "%.1f to %.1f MiB/s",
                          before / MIB, r.shrink / MIB);
        }
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("move-rate");

    tcase_add_loop_test(t, test_cases, 0, (int) ELEMENTSOF(cases));
    tcase_add_test(t, test_small_moves_never_lower);
    return run_tests(t);
}
