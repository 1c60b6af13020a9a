/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Gives the tree meaning: what each name is, and that names, kinds, arguments and loops fit. What is wrong
 * goes to u->diagnostics. 0 or -ENOMEM. */

#include "policy/ast.h"

int policy_check(Unit *u);

/* Tells where a window is too short or too long. policy_check() has done so with those that are literals;
 * those that are consts are known only once the constants are worked out. at: of the window. */
void policy_check_window(Diagnostics *d, Position at, double usec);
