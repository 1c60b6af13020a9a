/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Turns a tree without errors into code. p is empty but for its origin, text and number. Returns 0; -EINVAL
 * with u->diagnostics if the policy takes too many operations; or -ENOMEM. */

#include "policy/ast.h"
#include "policy/program.h"

int policy_compile(Unit *u, Program *p);
