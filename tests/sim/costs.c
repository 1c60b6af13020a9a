/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What moves cost: see costs.h. */

#include "tests/sim/costs.h"

/* The same with both. */
#define COMMON                                                                              \
    .fresh_cpu = 34.0 / 40 / 179e3, .read_cpu = 27.0 / 40 / 75e3, .read_pages = 78.1e3 / 2, \
    .fragments = 0.15, .touched = 0.5, .base = 0.05, .blind = 0.2, .report_sec = 6

const SimCosts sim_costs_tcg = {
    .name = "TCG",
    .inflate = 151,
    .deflate = 1320,
    .reclaim_cpu = 0.100 / 16,
    .compact_cpu = 0.177 / 128,
    COMMON,
};

const SimCosts sim_costs_kvm = {
    .name = "KVM",
    .inflate = 690,
    .deflate = 2500,
    .reclaim_cpu = 0.030 / 16,
    .compact_cpu = 0.078 / 128,
    COMMON,
};
