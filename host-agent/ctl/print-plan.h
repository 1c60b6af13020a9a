/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Prints a plan, and the policy that runs, as text or JSON. */

#include "host-agent/ctl/json.h"
#include "host-agent/ctl/text.h"
#include "host-agent/decide/decision.h"

/* The plan of policy for s, as `policy run --json` prints it. Returns 0 or -ENOMEM. The caller puts *ret. */
int plan_to_json(const Plan *p, const Snapshot *s, const Policy *policy, json_object **ret);
/* Prints that as tables and lines. Returns 0 or -ENOMEM. */
int print_plan(const Screen *screen, json_object *plan);
/* Prints the answer of GetPolicy. */
int print_policy(const Screen *screen, json_object *policy);
