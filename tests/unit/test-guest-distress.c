/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When a guest counts as in distress although its kernel has no PSI trigger. */

#include <stdlib.h>

#include "base/macro.h"
#include "base/units.h"
#include "guest-agent/trigger.h"
#include "tests/unit/run.h"

#define NO UINT64_MAX /* this kernel hasn't got the counter */

typedef struct Growth {
    const char *what;
    double seconds;
    bool prompt;
    uint64_t psi_usec, swap_in_bytes, stalls, oom_kills;
    int expected;
} Growth;

static const Growth growths[] = {
    {"nothing happens", 1, false, 0, 0, 0, 0, 0},
    {"nothing happens, no PSI", 1, false, NO, 0, 0, 0, 0},
    {"a kernel that counts nothing", 1, false, NO, NO, NO, NO, 0},

    {"stalled for 8 % of the time", 1, false, 80000, 0, 0, 0, DISTRESS_PSI},
    {"stalled for 7 % of the time", 1, false, 70000, 0, 0, 0, 0},
    {"8 % over two seconds", 2, false, 160000, 0, 0, 0, DISTRESS_PSI},
    {"4 % over two seconds", 2, false, 80000, 0, 0, 0, 0},
    {"8 % over half a second", 0.5, false, 40000, 0, 0, 0, DISTRESS_PSI},
    {"swap-in that no task waits for", 1, false, 0, GIB, 0, 0, 0},
    {"reclaim that no task waits for long", 1, false, 0, 0, 1000, 0, 0},

    {"swaps in, no PSI", 1, false, NO, 2 * MIB, 0, 0, DISTRESS_SWAP_IN},
    {"swaps in a little, no PSI", 1, false, NO, MIB / 2, 0, 0, 0},
    {"as much, but over ten seconds", 10, false, NO, 2 * MIB, 0, 0, 0},
    {"direct reclaim, no PSI", 1, false, NO, 0, 12, 0, DISTRESS_STALL},
    {"a little direct reclaim, no PSI", 1, false, NO, 0, 3, 0, 0},
    {"direct reclaim on a kernel without swap counters", 1, false, NO, NO, 12, NO, DISTRESS_STALL},

    {"an OOM kill", 1, false, 0, 0, 0, 1, DISTRESS_OOM},
    {"an OOM kill, no PSI", 1, false, NO, 0, 0, 1, DISTRESS_OOM},
    {"an OOM kill is worse than stalls", 1, false, 500000, 0, 0, 1, DISTRESS_OOM},
    {"an OOM kill a minute ago", 60, true, 0, 0, 0, 1, DISTRESS_OOM},
    {"stalls are left to the trigger", 1, true, 500000, GIB, 1000, 0, 0},

    {"looks too close together", 0.4, false, 500000, GIB, 1000, 1, -EAGAIN},
};

static void fill(Report *r, ReportField f, uint64_t growth, uint64_t base)
{
    if (growth != NO)
        report_set(r, f, base + growth);
}

START_TEST(a_guest_is_in_distress)
{
    const Growth *g = &growths[_i];
    Report reports[2] = {};

    for (int i = 0; i < 2; i++) {
        Report *r = &reports[i];

        r->at_usec = 100 * USEC_PER_SEC + (usec_t) (i * g->seconds * (double) USEC_PER_SEC);
        report_set(r, REPORT_MEM_TOTAL, GIB);
        fill(r, REPORT_PSI_MEMORY_SOME_TOTAL, g->psi_usec == NO ? NO : g->psi_usec * (uint64_t) i, 1234567);
        fill(r, REPORT_SWAP_IN, g->swap_in_bytes == NO ? NO : g->swap_in_bytes * (uint64_t) i, 5 * GIB);
        fill(r, REPORT_ALLOC_STALLS, g->stalls == NO ? NO : g->stalls * (uint64_t) i, 777);
        fill(r, REPORT_OOM_KILLS, g->oom_kills == NO ? NO : g->oom_kills * (uint64_t) i, 3);
    }
    ck_assert_msg(distress_judge(&reports[0], &reports[1], g->prompt) == g->expected, "%s: %d instead of %d",
                  g->what, distress_judge(&reports[0], &reports[1], g->prompt), g->expected);
}
END_TEST

/* No trigger may be asked for from a folder of files: it would be written over one of them. */
START_TEST(a_fixture_has_no_trigger)
{
    Trigger t;

    ck_assert_int_eq(trigger_open(&t, getenv("BALLAST_SOURCE")), -EOPNOTSUPP);
    ck_assert_int_lt(t.fd, 0);
    ck_assert(!t.prompt);
    trigger_done(&t);
    ck_assert_int_eq(trigger_open(&t, "/nonexistent"), -ENOENT);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("distress");

    tcase_add_loop_test(c, a_guest_is_in_distress, 0, ELEMENTSOF(growths));
    tcase_add_test(c, a_fixture_has_no_trigger);
    return run_tests(c);
}
