/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads a policy's text into u->statements; what is wrong goes to u->diagnostics. Where something can't be
 * read, reading goes on at the next statement, and EXPR_ERROR stands in its place. 0 or -ENOMEM. */

#include "policy/ast.h"

int policy_parse(Unit *u);
