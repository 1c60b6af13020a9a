/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The default balloon policy of MOM, the Memory Overcommitment Manager, as its documentation and its
 * behaviour show it: collectors each 5 s, averages over ten samples, a decision each 10 s. Host memory counts
 * as free as MemFree + Buffers + Cached, a guest's as unused as MemFree. Each guest is held above the floor
 * that Ballast gives it, too. */

#include "tests/sim/world.h"

#define MOM_SAMPLES 10U

typedef struct MomSeries {
    double values[MOM_SAMPLES];
    unsigned count;
} MomSeries;

typedef struct Mom {
    MomSeries host_free, current[SIM_GUESTS_MAX], unused[SIM_GUESTS_MAX];
    usec_t boot_usec[SIM_GUESTS_MAX];
    double moved;
} Mom;

/* The target for one guest, or NAN: it isn't moved. host_free: a ratio; averages where named so. */
double mom_target(double host_free, double current, double average_current, double average_unused,
                  double minimum, double maximum);
/* To be called after each tick of the world. */
void mom_tick(Mom *m, SimWorld *w);
