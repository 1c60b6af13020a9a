/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A policy as a tree: made by the parser, given meaning (symbols, kinds) by the checker, turned into code by
 * the compiler. All of it lives in one arena and is gone once the policy is loaded. */

#include "policy/arena.h"
#include "policy/diagnostics.h"
#include "policy/fields.h"

/* What a value is. Numbers are ratios and counts; the next three carry their unit. A rate is bytes per µs
 * inside, as a duration is µs: so arithmetic needs no factor, whatever the kinds, and one code of a function
 * does for all the kinds that it is called with. Only what makes a rate (rate()), shows or keeps one has to
 * multiply or divide by 10^6. */
typedef enum Kind {
    KIND_ANY, /* not known: an error was told, or a function is looked at without a call. Fits everything */
    KIND_NUMBER,
    KIND_BYTES,
    KIND_DURATION,
    KIND_RATE, /* "bytes per second" */
    KIND_BOOLEAN,
    KIND_TEXT,
    KIND_GUEST, /* a loop's guest, only to be handed to a function */
} Kind;

typedef struct Name Name;
typedef struct Symbol Symbol;
typedef struct Function Function;
typedef struct Expr Expr;
typedef struct Statement Statement;
typedef struct GuestState GuestState;

/* A word of the text. Each different word is one object, so what it means is found without a search. */
struct Name {
    Name *next; /* in the table of names */
    uint32_t hash;
    uint32_t length;
    const char *text;
    Symbol *symbol; /* what it means here; NULL: nothing */
    bool told;      /* that it isn't known */
};

typedef enum SymbolType {
    SYMBOL_CONST,
    SYMBOL_LET,
    SYMBOL_PARAMETER,
    SYMBOL_GUEST,
    SYMBOL_FUNCTION,
    SYMBOL_STATE, /* of the host: a variable that is kept from cycle to cycle */
} SymbolType;

struct Symbol {
    SymbolType type;
    Kind kind;
    Name *name;
    Position at;
    Symbol *outer;      /* declared before it */
    Function *function; /* SYMBOL_FUNCTION */
    uint32_t slot;      /* where its value is; a parameter: its number */
    uint32_t loop;      /* number of the loop that it is declared in; 0: none */
    uint32_t saved_by;  /* number of the last loop that saves it before each turn */
};

/* "state guest.NAME = …": a variable that each guest has, read and assigned as g.NAME. Its name is none of a
 * guest's stats. Known below its declaration. */
struct GuestState {
    GuestState *next; /* in the order of declarations */
    Name *name;
    Kind kind;
    Position at;
    Expr *initial;  /* constant */
    uint32_t index; /* 0, 1, … among those of this file */
};

/* The kinds that a function was checked with, and what it returns then. */
typedef struct Instance Instance;
struct Instance {
    Instance *next;
    uint32_t signature;
    Kind result;
};

#define FUNCTION_PARAMETERS_MAX 8U

struct Function {
    Symbol *parameters[FUNCTION_PARAMETERS_MAX];
    unsigned n_parameters;
    Expr *body;
    Instance *instances;
    unsigned n_instances;
    bool guests[FUNCTION_PARAMETERS_MAX]; /* which of the parameters are guests: there is but one at a time,
                                             so nothing is handed over */
    unsigned n_values;                    /* the others */
    unsigned depth;                       /* of calls below it, itself included */
    uint32_t entry;                       /* its first instruction */
    uint32_t n_stack;                     /* values that it puts on the stack at once */
    uint64_t cost;                        /* operations of a call, at most */
    bool aggregates;                      /* it goes over all guests itself, so it isn't called in a loop */
};

typedef enum Builtin {
    BUILTIN_NONE,
    BUILTIN_MIN,
    BUILTIN_MAX,
    BUILTIN_CLAMP,
    BUILTIN_ABS,
    BUILTIN_ROUND,
    BUILTIN_MATCHES, /* matches(g.name, "web*"): text, literal text (a pattern as of fnmatch(3)) */
    BUILTIN_AVG,     /* of a window, or over guests, as MIN and MAX can be, too */
    BUILTIN_RATE,    /* of a window only */
    BUILTIN_SUM,     /* over guests only, as the rest */
    BUILTIN_COUNT,
    BUILTIN_ANY,
    BUILTIN_ALL,
} Builtin;

typedef enum ExprType {
    EXPR_ERROR, /* stands where something couldn't be read: the error has been told */
    EXPR_LITERAL,
    EXPR_NAME,
    EXPR_FIELD,
    EXPR_CALL,
    EXPR_UNARY,
    EXPR_BINARY,
    EXPR_IF,
    EXPR_DEFAULT,   /* a ?? b: b where a stat that a needs is missing. a is anything but a literal, a variable
                       or a parameter, which are never missing */
    EXPR_TEXT,      /* "auto" */
    EXPR_AGGREGATE, /* sum(g.free for g in guests where g.free > 0B) */
} ExprType;

typedef enum Operator {
    OPERATOR_NONE,
    OPERATOR_OR,
    OPERATOR_AND,
    OPERATOR_EQ,
    OPERATOR_NE,
    OPERATOR_LT,
    OPERATOR_LE,
    OPERATOR_GT,
    OPERATOR_GE,
    OPERATOR_ADD,
    OPERATOR_SUB,
    OPERATOR_MUL,
    OPERATOR_DIV,
    OPERATOR_NOT,
    OPERATOR_NEG,
} Operator;

struct Expr {
    ExprType type;
    Position at; /* of a binary operator: the operator */
    unsigned height;
    Expr *next; /* among the arguments of a call */

    Operator op;       /* UNARY, BINARY */
    Expr *a, *b, *c;   /* operands; IF: condition, then, else; CALL: a is the first argument; AGGREGATE:
                          a what is gathered, b the filter or NULL */
    Name *name;        /* NAME, CALL; FIELD: the object; AGGREGATE: the guest */
    Position name_at;  /* AGGREGATE: of that name; at is that of the function */
    Name *field;       /* FIELD */
    Position field_at; /* FIELD */
    Symbol *symbol; /* NAME, CALL of a function, FIELD of a guest: once looked up; AGGREGATE: the guest's */
    GuestState *state; /* FIELD of a guest that is a state variable: once looked up; index is -1 then */
    Builtin builtin;   /* CALL, AGGREGATE */
    bool window;       /* CALL of AVG, MIN, MAX, RATE: a is a FIELD (no text, boolean or state), its next the
                          window: a LITERAL, or the NAME of a const, of KIND_DURATION */
    bool counted;      /* AGGREGATE of COUNT whose a is the guest itself */
    const char *text;  /* TEXT, in the source */
    size_t text_length;
    unsigned n_arguments; /* CALL */
    int index;            /* FIELD: HostField or GuestField once looked up; -1 before */
    bool host;            /* FIELD: of the host */
    double value;         /* LITERAL */
    Kind kind;     /* what it was found to be; in a function's body: in the last call that was checked */
    Kind compares; /* BINARY EQ, NE: KIND_TEXT between texts, another kind between others; KIND_ANY in a
                      function that is never called. One of a function doesn't compare texts in one call
                      and numbers in another: that is an error */
};

/* One of the values that a loop's guests are ordered by. */
typedef struct Key Key;
struct Key {
    Key *next; /* decides between equals */
    Expr *expr;
    bool descending;
};

typedef enum StatementType {
    STATEMENT_CONST,
    STATEMENT_LET,
    STATEMENT_FUNCTION,
    STATEMENT_ASSIGN,
    STATEMENT_IF,
    STATEMENT_FOR,
    STATEMENT_STATE, /* "state NAME = expr", "state guest.NAME = expr": constant, top level only */
    STATEMENT_LOG,   /* log("free is", host.free): expr is the first value, its next the others */
} StatementType;

struct Statement {
    StatementType type;
    Position at;
    Statement *next;

    Name *name; /* declared or assigned to; the object of a control; FOR: the guest; IF: NULL */
    Position name_at;
    Name *field; /* ASSIGN to a control or to a guest's state; STATE of guests: its name, and name is NULL */
    Position field_at;
    bool host;           /* ASSIGN to a control: one of the host */
    int index;           /* ASSIGN to a control: the HostField or GuestField */
    GuestState *state;   /* STATE of guests, ASSIGN to one */
    Symbol *symbol;      /* of name */
    Expr *expr;          /* value, condition, function's body */
    const char *because; /* in the source, or NULL */
    size_t because_length;
    Position because_at;
    Expr *where;                 /* FOR; may be NULL */
    Key *by;                     /* FOR; may be NULL */
    Statement *body, *otherwise; /* IF, FOR */
    Function *function;
    Name *parameters[FUNCTION_PARAMETERS_MAX];
    Position parameters_at[FUNCTION_PARAMETERS_MAX];
    unsigned n_parameters;
};

/* Everything that loading a policy works on. */
typedef struct Unit {
    const Source *source;
    Diagnostics *diagnostics;
    Arena arena;
    Name **buckets;
    uint32_t n_buckets, n_names;
    Statement *statements;
    GuestState *guest_states; /* in the order of declarations */
    uint32_t n_guest_states;
    uint32_t n_slots; /* variables, constants, state variables of the host */
} Unit;

/* The one object of that word. NULL: out of memory. */
Name *unit_name(Unit *u, const char *text, size_t length);
void unit_done(Unit *u);
