/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads expressions. */

#include "policy/cursor.h"

/* NULL: out of memory, and p->error is set. */
Expr *parse_new_expr(Cursor *p, ExprType type, Position at);
/* "in" "guests", behind the name of the guest. */
bool parse_in_guests(Cursor *p);
/* NULL where it can't go on and has told why; p->depth is to be restored then. */
Expr *parse_expr(Cursor *p);
