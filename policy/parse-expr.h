/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads expressions. */

#include "policy/cursor.h"

/* NULL: out of memory, and p->error is set. */
Expr *parse_new_expr(Cursor *p, ExprType type, Position at);
/* Reads "in" "guests", after the name of the guest. */
bool parse_in_guests(Cursor *p);
/* Returns NULL after an error was reported; the caller then restores p->depth. */
Expr *parse_expr(Cursor *p);
