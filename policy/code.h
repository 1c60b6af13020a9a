/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The code of one file under construction. compile.c (statements) and compile-expr.c (expressions) add to
 * it. */

#include "policy/ast.h"
#include "policy/program.h"

typedef struct Code {
    Unit *unit;
    Program *program;
    uint32_t depth, deepest; /* of the stack, here and so far in this function or segment */
    uint64_t cost;           /* of this function so far */
    uint32_t fallback;       /* the enclosing ??; NO_FALLBACK: none */
    Loop *loop;              /* the loop being compiled; NULL: none */
    uint32_t loop_number;
    bool costly; /* an error said that it costs too much */
    int error;
} Code;

/* Makes room for one more element in an array. */
bool code_reserve(Code *c, void **array, size_t n, size_t size);

/* Adds an element to a list. Returns its number; 0 without memory: see c->error. */
#define CODE_APPEND(c, l, ...)                                            \
    (code_reserve(c, (void **) &(l).list, (l).n, sizeof((l).list[0]))     \
         ? ((l).list[(l).n] = (typeof((l).list[0])) __VA_ARGS__, (l).n++) \
         : 0)

/* Adds a text that is not NUL-terminated. Returns its number; NO_TEXT on failure. */
uint32_t code_text(Code *c, const char *text, size_t length);
/* Adds an instruction. Returns its number, to patch a jump later. */
uint32_t code_emit(Code *c, Operation op, uint8_t field, uint32_t arg, Position at);
/* Makes the jump go to the next instruction. */
void code_land(Code *c, uint32_t jump);
/* Reports an error if the code so far takes too many operations. */
void code_check_cost(Code *c, Position at);
