/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The code of one file while it is being made: what compile.c (statements) and compile-expr.c (expressions) add
 * to. */

#include "policy/ast.h"
#include "policy/program.h"

typedef struct Code {
    Unit *unit;
    Program *program;
    uint32_t depth, deepest; /* of the stack, here and so far in this function or segment */
    uint64_t cost;           /* of this function so far */
    uint32_t fallback;       /* the ?? that is around; NO_FALLBACK: none */
    Loop *loop;              /* that is being compiled; NULL: none */
    uint32_t loop_number;
    bool costly; /* told */
    int error;
} Code;

/* Makes room for one more element of an array. */
bool code_reserve(Code *c, void **array, size_t n, size_t size);

/* Adds an element to a list. The element's number; 0 where there is no memory: see c->error. */
#define CODE_APPEND(c, l, ...)                                            \
    (code_reserve(c, (void **) &(l).list, (l).n, sizeof((l).list[0]))     \
         ? ((l).list[(l).n] = (typeof((l).list[0])) __VA_ARGS__, (l).n++) \
         : 0)

/* Adds a text that is not NUL-terminated. Its number; NO_TEXT on failure. */
uint32_t code_text(Code *c, const char *text, size_t length);
/* Adds an instruction. Returns its number, to patch a jump later. */
uint32_t code_emit(Code *c, Operation op, uint8_t field, uint32_t arg, Position at);
/* Lets the jump go to the next instruction. */
void code_land(Code *c, uint32_t jump);
/* An error where so far too many operations are needed. */
void code_check_cost(Code *c, Position at);
