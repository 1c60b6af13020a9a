/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Gives the tree meaning: what each name is, and that names, kinds, arguments and loops fit. What is wrong
 * goes to u->diagnostics. 0 or -ENOMEM. */

#include "policy/ast.h"

int policy_check(Unit *u);
