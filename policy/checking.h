/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the parts of the checker: statements (check.c), names (check-names.c), expressions
 * (check-expr.c), and calls and aggregates (check-call.c). */

#include "policy/kinds.h"

typedef struct Checker {
    Unit *unit;
    Symbol *scope;             /* the newest visible symbol */
    uint32_t n_loops, loop;    /* loops so far; the current one (0: none) */
    const Expr *call;          /* the call for whose arguments a function is being checked; NULL: none */
    const Expr *aggregate;     /* the current aggregate; NULL: none */
    const Statement *constant; /* the const or state whose value is being checked; NULL: none */
    bool aggregates;           /* the function being defined goes over guests */
    unsigned call_depth;       /* the deepest chain of calls below the function being defined */
    unsigned n_host_states;
    int error;
} Checker;

#define HINT_SQUARE "a policy's time must grow with the number of guests, not with its square"
#define HINT_ABOVE \
    "give it a name with let above: a policy's time must grow with the number of guests, not with its square"

/* Adds an error. In the body of a function that is correct by itself, the message names the call that causes
 * it. */
void check_error(Checker *c, Position at, const char *hint, const char *format, ...) _printf_(4, 5);
/* Reports that the value of c->constant can't depend on this. */
void check_not_constant(Checker *c, Position at, const char *what);

/* ---- names ---- */

/* What was expected where a name without meaning was found. */
typedef enum Unknown { UNKNOWN_VALUE, UNKNOWN_OBJECT, UNKNOWN_FUNCTION, UNKNOWN_VARIABLE } Unknown;

/* Reports why the name has no meaning here. */
void check_unknown_name(Checker *c, Name *name, Position at, Unknown wanted);
/* The same for a name after "host." or "g.", which is read, or assigned to (control). */
void check_unknown_field(Checker *c, const Name *field, Position at, bool host, bool control);
/* "you can assign to: target", in buf. */
const char *check_list_controls(bool host, char *buf, size_t size);
/* Declares the name from here to the end of its block. NULL if that is an error. */
Symbol *check_declare(Checker *c, SymbolType type, Name *name, Position at);
void check_leave_scope(Checker *c, Symbol *outer);
/* NULL: no state variable of this name is known here. */
GuestState *check_find_guest_state(const Checker *c, const Name *name);

/* ---- expressions: each fills in e->kind and returns it ---- */

Kind check_expr(Checker *c, Expr *e);
/* Checks a value for a variable, a control or an order. */
Kind check_value(Checker *c, Expr *e);
void check_condition(Checker *c, Expr *e);
Kind check_call(Checker *c, Expr *e);
Kind check_aggregate(Checker *c, Expr *e);
