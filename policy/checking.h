/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the checker share: statements (check.c), names (check-names.c), expressions
 * (check-expr.c), and calls with all that looks like one (check-call.c). */

#include "policy/kinds.h"

typedef struct Checker {
    Unit *unit;
    Symbol *scope;             /* the newest that is visible */
    uint32_t n_loops, loop;    /* loops seen; the one that is being read (0: none) */
    const Expr *call;          /* whose function is being checked for its arguments; NULL: none */
    const Expr *aggregate;     /* that is being read; NULL: none */
    const Statement *constant; /* const or state whose value is being read; NULL: none */
    bool aggregates;           /* the function being defined goes over guests */
    unsigned call_depth;       /* the deepest chain of calls below the function being defined */
    unsigned n_host_states;
    int error;
} Checker;

#define HINT_SQUARE "a policy's time must grow with the number of guests, not with its square"
#define HINT_ABOVE \
    "give it a name with let above: a policy's time must grow with the number of guests, not with its square"

/* Adds an error. In the body of a function that is right in itself, it says that it depends on the call. */
void check_error(Checker *c, Position at, const char *hint, const char *format, ...) _printf_(4, 5);
/* Tells that the value of c->constant can't depend on this. */
void check_not_constant(Checker *c, Position at, const char *what);

/* ---- names ---- */

/* What was looked for where a name was found that means nothing. */
typedef enum Unknown { UNKNOWN_VALUE, UNKNOWN_FUNCTION, UNKNOWN_VARIABLE } Unknown;

/* Tells why the name means nothing here. */
void check_unknown_name(Checker *c, Name *name, Position at, Unknown wanted);
/* The same of what stands behind "host." or "g.", to be read, or (control) assigned to. */
void check_unknown_field(Checker *c, const Name *field, Position at, bool host, bool control);
/* "you can assign to: target", in buf. */
const char *check_list_controls(bool host, char *buf, size_t size);
/* Makes the name known from here on to the end of its block. NULL where it can't be. */
Symbol *check_declare(Checker *c, SymbolType type, Name *name, Position at);
void check_leave_scope(Checker *c, Symbol *outer);
/* NULL: none of that name is known here. */
GuestState *check_find_guest_state(const Checker *c, const Name *name);

/* ---- expressions: each fills in e->kind and returns it ---- */

Kind check_expr(Checker *c, Expr *e);
/* A value that a variable, a control or an order takes. */
Kind check_value(Checker *c, Expr *e);
void check_condition(Checker *c, Expr *e);
Kind check_call(Checker *c, Expr *e);
Kind check_aggregate(Checker *c, Expr *e);
