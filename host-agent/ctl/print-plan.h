/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A plan, and the policy that runs, for people and programs. */

#include "host-agent/ctl/json.h"
#include "host-agent/ctl/table.h"
#include "host-agent/decide/decision.h"

/* What policy makes of s, as `policy run --json` prints it. 0 or -ENOMEM. The caller puts *ret. */
int plan_to_json(const Plan *p, const Snapshot *s, const Policy *policy, json_object **ret);
/* That, as tables and lines. 0 or -ENOMEM. */
int print_plan(const Screen *screen, json_object *plan);
/* GetPolicy: what runs. */
int print_policy(const Screen *screen, json_object *policy);
