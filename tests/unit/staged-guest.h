/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One guest on a stage, for tests that set the clock. */

#include "host-agent/guest/guest-events.h"
#include "tests/unit/clock.h"
#include "tests/unit/guest-stage.h"

/* Begins a stage and the clock, with a guest of 4 GiB that has all of it. */
static inline void stage_init_guest(Stage *t, Guest **ret)
{
    Entitlement nothing = stage_entitlement();
    DomainInfo info = stage_domain(1, 4 * GIB);

    clock_usec = 1000 * SEC;
    stage_init(t);
    ck_assert_int_eq(guest_new(&t->host, &info, &nothing, clock_usec, ret), 0);
    guest_balloon_seen(*ret, 4 * GIB, clock_usec);
}
