/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Turns a tree in which the checker found no error into code. p is empty but for its origin, text and number.
 * 0; -EINVAL with u->diagnostics where the policy takes too many operations; -ENOMEM. */

#include "policy/ast.h"
#include "policy/program.h"

int policy_compile(Unit *u, Program *p);
