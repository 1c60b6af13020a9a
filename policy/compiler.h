/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What compile.c (statements) and compile-expr.c (expressions) share. */

#include "policy/ast.h"
#include "policy/program.h"

typedef struct Compiler {
    Unit *unit;
    Program *program;
    uint32_t depth, deepest; /* of the stack, here and so far in this function or segment */
    uint64_t cost;           /* of this function so far */
    uint32_t fallback;       /* the ?? that is around; NO_FALLBACK: none */
    Loop *loop;              /* that is being compiled; NULL: none */
    uint32_t loop_number;
    bool costly; /* told */
    int error;
} Compiler;

/* Makes room for one more element of an array. */
bool compiler_reserve(Compiler *c, void **array, size_t n, size_t size);

/* Adds an element to an array of n. The element's number; 0 where there is no memory: see c->error. */
#define APPEND(c, array, n, ...)                                             \
    (compiler_reserve(c, (void **) &(array), n, sizeof((array)[0]))          \
         ? ((array)[n] = (typeof((array)[0])) __VA_ARGS__, (uint32_t) (n)++) \
         : 0)

/* Adds a text that is not NUL-terminated. Its number; NO_TEXT on failure. */
uint32_t compiler_text(Compiler *c, const char *text, size_t length);
/* Adds an instruction. Returns its number, to patch a jump later. */
uint32_t emit(Compiler *c, Operation op, uint8_t field, uint32_t arg, Position at);
/* Lets the jump go to the next instruction. */
void land(Compiler *c, uint32_t jump);
/* An error where so far too many operations are needed. */
void check_cost(Compiler *c, Position at);

/* Code that leaves the expression's value on the stack. */
void compile_expr(Compiler *c, const Expr *e);
/* Whether the expression, of a function's body, takes the parameter for a guest. */
bool takes_guest(const Expr *e, const Symbol *parameter);
FieldUnit unit_from_kind(Kind k);
