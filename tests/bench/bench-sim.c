/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a host and its guests fare in 10,000 simulated seconds: left alone, under MOM's default policy, under
 * each of Ballast's. The same guests ask for the same memory in each.
 *
 * Then rows of make bench-overcommit on a simulated host that is too small, with what each rule did on real guests. */

#include <string.h>

#include "base/macro.h"
#include "tests/sim/figures.h"
#include "tests/sim/rows.h"

static bool print_rows(const SimCosts *costs, const char *source)
{
    int r;

    printf("\n");
    r = sim_rows_print(costs, source);
    if (r < 0)
        fprintf(stderr, "The policies in %s: %s\n", source, strerror(-r));
    return r == 0;
}

int main(void)
{
    const char *source = getenv("BALLAST_SOURCE");
    bool failed = false;

    sim_print_head();
    for (unsigned seed = 0; seed < SIM_SEEDS; seed++)
        for (int p = 0; p < SIM_POLICY_MAX; p++) {
            SimTrace trace = sim_trace(seed);
            SimFigures f;
            int r = sim_run(&trace, (SimPolicy) p, source ? source : ".", &f);

            if (r < 0) {
                fprintf(stderr, "The policies in %s: %s\n", source ? source : ".", strerror(-r));
                return EXIT_FAILURE;
            }
            sim_print(&trace, (SimPolicy) p, &f);
            if (f.checks.failures > 0) {
                fprintf(stderr, "%s (and %u more)\n", f.checks.text, f.checks.failures - 1);
                failed = true;
            }
        }
    failed = !print_rows(&sim_costs_tcg, source ? source : ".") || failed;
    failed = !print_rows(&sim_costs_kvm, source ? source : ".") || failed;
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
