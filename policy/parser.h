/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads a policy's text into u->statements. Mistakes go to u->diagnostics: EXPR_ERROR then replaces the
 * expression, and reading goes on at the next statement. Returns 0 or -ENOMEM. */

#include "policy/ast.h"

int policy_parse(Unit *u);
