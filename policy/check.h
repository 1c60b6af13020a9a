/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Checks the tree: resolves each name, and checks kinds, arguments and loops. Mistakes go to u->diagnostics.
 * Returns 0 or -ENOMEM. */

#include "policy/ast.h"

int policy_check(Unit *u);

/* Reports a window that is too short or too long. policy_check() did that for literals; consts are known only
 * after the constants were calculated. at: the position of the window. */
void policy_check_window(Diagnostics *d, Position at, double usec);
