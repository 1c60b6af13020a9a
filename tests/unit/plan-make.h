/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes a plan from a snapshot and the text of a policy. */

#include <string.h>

#include "host-agent/decide/evaluate.h"
#include "host-agent/decide/plan.h"
#include "tests/policy-load.h"
#include "tests/unit/decide-fixture.h"
#include "tests/unit/run.h"

static const GuardConfig config = GUARD_CONFIG_DEFAULT;

static inline Policy *load(const char *text)
{
    PolicyDiagnostics d = {};
    Policy *p = NULL;

    if (!text)
        return NULL;
    if (policy_load(text, strlen(text), "/etc/ballast/test.policy", &d, &p) < 0)
        ck_abort_msg("%s", d.text);
    policy_diagnostics_done(&d);
    return p;
}

/* Into a plan that is empty or was made before. */
static inline void make(const Snapshot *s, const char *text, Plan *ret)
{
    _cleanup_(policy_freep) Policy *p = load(text);

    plan_done(ret);
    ck_assert_int_eq(plan_make(s, p, &config, ret), 0);
    /* Texts borrowed from the policy are freed with it. */
    for (size_t i = 0; i < ret->n_decisions; i++)
        ret->decisions[i].because = ret->decisions[i].reclaim.because = NULL;
}

/* A policy that asks for one size. */
#define ASK(size) "for g in guests { g.target = " size " }"
#define THRESHOLDS                                                                                                      \
    "let pressure_threshold = 20% * host.total; let critical_threshold = 5% * host.total; let relax_threshold = 25% * " \
    "host.total\n"
#define NOTHING THRESHOLDS
