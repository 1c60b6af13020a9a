/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Turns expressions into code. */

#include "policy/code.h"

/* Adds code that leaves the expression's value on the stack. */
void compile_expr(Code *c, const Expr *e);
/* Whether the expression, in a function's body, uses the parameter as a guest. */
bool compile_takes_guest(const Expr *e, const Symbol *parameter);
