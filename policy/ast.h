/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A policy as a tree: the parser makes it, the checker resolves its symbols and kinds, the compiler turns it
 * into code. It is allocated in one arena, which is freed once the policy is loaded. */

#include "policy/arena.h"
#include "policy/diagnostics.h"
#include "policy/fields.h"

/* The kinds of values. Numbers are ratios and counts; the next three have a unit. Inside, a rate is bytes per
 * µs, as a duration is µs: so arithmetic on any kinds needs no factor, and the same code of a function works
 * for all kinds that it is called with. Only code that makes a rate (rate()), shows one or stores one
 * multiplies or divides by 10^6. */
typedef enum Kind {
    KIND_ANY, /* not known: after an error, or in a function checked without a call. Fits everything */
    KIND_NUMBER,
    KIND_BYTES,
    KIND_DURATION,
    KIND_RATE, /* "bytes per second" */
    KIND_BOOLEAN,
    KIND_TEXT,
    KIND_GUEST, /* the guest of a loop; can only be passed to a function */
} Kind;

typedef struct Name Name;
typedef struct Symbol Symbol;
typedef struct Function Function;
typedef struct Expr Expr;
typedef struct Statement Statement;
typedef struct GuestState GuestState;

/* A word of the text. Each different word is one object, so its meaning is found without a search. */
struct Name {
    Name *next; /* in the table of names */
    uint32_t hash;
    uint32_t length;
    const char *text;
    Symbol *symbol; /* its meaning here; NULL: none */
    bool told;      /* an error said that it is unknown */
};

typedef enum SymbolType {
    SYMBOL_CONST,
    SYMBOL_LET,
    SYMBOL_PARAMETER,
    SYMBOL_GUEST,
    SYMBOL_FUNCTION,
    SYMBOL_STATE, /* of the host: a variable kept from cycle to cycle */
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

/* Kinds of arguments that a function was checked with, and the kind that it then returns. */
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
    /* Which of the parameters are guests. Only one guest has its turn at a time, so none is passed. */
    bool guests[FUNCTION_PARAMETERS_MAX];
    unsigned n_values; /* the others */
    unsigned depth;    /* of calls below it, itself included */
    uint32_t entry;    /* its first instruction */
    uint32_t n_stack;  /* values that it puts on the stack at most */
    uint64_t cost;     /* operations of a call, at most */
    bool aggregates;   /* it goes over all guests itself, so it can't be called in a loop */
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
    EXPR_ERROR, /* replaces text that could not be parsed; the error was reported */
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
    Kind kind;            /* its kind; in a function's body: in the last call that was checked */
    Kind compares; /* BINARY EQ, NE: KIND_TEXT between texts, another kind between others; KIND_ANY in a
                      function that is never called. One of a function doesn't compare texts in one call
                      and numbers in another: that is an error */
};

/* A value that the guests of a loop are ordered by. */
typedef struct Key Key;
struct Key {
    Key *next; /* compared when this is equal */
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

/* Everything that is needed while a policy is loaded. */
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

/* The object of this word. NULL: out of memory. */
Name *unit_name(Unit *u, const char *text, size_t length);
void unit_done(Unit *u);
