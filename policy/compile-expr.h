/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Turns expressions into code. */

#include "policy/code.h"

/* Code that leaves the expression's value on the stack. */
void compile_expr(Code *c, const Expr *e);
/* Whether the expression, of a function's body, takes the parameter for a guest. */
bool compile_takes_guest(const Expr *e, const Symbol *parameter);
