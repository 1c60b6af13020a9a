/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A checked policy as code for a small stack machine. All values are doubles; the checker has made
 * sure of their kinds. Constants, variables and the guest's fields are found by number, so a turn neither
 * allocates nor searches, and the depth of the stack is known before it runs.
 *
 * Inside, durations are µs and rates are bytes per µs: so arithmetic on any kinds needs no factor, and the
 * same code of a function works for all of them. A text is its number: first those of the program, then the
 * fields of each guest. */

#include "policy/diagnostics.h"
#include "policy/values.h"

/* The most operations that a policy may take for one guest (and once for the host), whatever its conditions:
 * functions that call each other twice could otherwise run practically for ever, even without recursion. */
#define POLICY_COST_MAX    100000U
/* A window reads up to SERIES_POINTS_MAX values. */
#define POLICY_WINDOW_COST 64U

typedef enum Operation {
    OP_END,           /* of a segment */
    OP_CONSTANT,      /* push constants[arg] */
    OP_TEXT,          /* push texts[arg] */
    OP_SLOT,          /* push slots[arg] */
    OP_SET,           /* slots[arg] = pop */
    OP_PARAMETER,     /* push the arg-th parameter of the function */
    OP_HOST,          /* push host.<field> */
    OP_HOST_CONTROL,  /* the same of a control */
    OP_GUEST,         /* push g.<field> */
    OP_GUEST_CONTROL, /* the same of a control */
    OP_GUEST_TEXT,    /* the same of a text */
    OP_GUEST_STATE,   /* push guest_states[arg] of the guest */
    OP_SET_STATE,     /* guest_states[arg] of the guest = pop */
    OP_WINDOW,        /* push windows[arg] */
    OP_ASSIGN_HOST,   /* host.<field> = pop, by assigns[arg] */
    OP_ASSIGN_GUEST,  /* g.<field> = pop, by assigns[arg] */
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MIN,
    OP_MAX,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_EQ,
    OP_NE,
    OP_EQ_TEXT,
    OP_NE_TEXT,
    OP_NEG,
    OP_NOT,
    OP_ABS,
    OP_CLAMP,
    OP_ROUND,
    OP_MATCHES,
    OP_JUMP,        /* to arg */
    OP_JUMP_UNLESS, /* pop; to arg where it is false */
    OP_AND,         /* where the top is false: jump to arg and keep it; else pop */
    OP_OR,          /* where the top is true: jump to arg and keep it; else pop */
    OP_CALL,        /* the function at arg, with field arguments on the stack */
    OP_RETURN,      /* replaces field arguments by the top */
    OP_AGGREGATE,   /* push aggregates[arg], and go on behind it */
    OP_LOOP,        /* loops[arg], and go on behind it */
    OP_LOG,         /* logs[arg], with field values on the stack */
} Operation;

#define NO_TEXT     UINT32_MAX
#define NO_CODE     UINT32_MAX
#define NO_SLOT     UINT32_MAX
#define NO_FALLBACK UINT32_MAX

typedef struct Instruction {
    uint8_t op; /* Operation */
    uint8_t field;
    uint32_t arg;
} Instruction;

/* Where an instruction comes from, and what to do if it finds a stat missing. */
typedef struct Site {
    Position at;
    uint32_t fallback; /* the innermost ?? around it, in the same function or segment; or NO_FALLBACK */
} Site;

/* x ?? d. If x is not missing it costs only a jump: only a failure searches for it. */
typedef struct Fallback {
    uint32_t target; /* the code of d */
    uint32_t depth;  /* of the stack there, above the function's parameters */
} Fallback;

/* Three segments of code, each up to its OP_END; where and by may be NO_CODE. by leaves n_keys values, the
 * smallest of which go first: where the order is descending, they have been negated. */
typedef struct Loop {
    uint32_t where, by, body;
    uint32_t next; /* the code behind the loop */
    uint32_t n_keys;
    /* Changed by a turn: */
    uint32_t saved, n_saved; /* in saved_slots: variables of outside */
    FieldSet host_controls, guest_controls;
    bool guest_states;
} Loop;

typedef enum AggregateFunction {
    AGGREGATE_SUM,
    AGGREGATE_COUNT,
    AGGREGATE_ANY,
    AGGREGATE_ALL,
    AGGREGATE_MIN,
    AGGREGATE_MAX,
    AGGREGATE_AVG,
} AggregateFunction;

/* Two segments of code; where may be NO_CODE, and value, too: guests are counted. */
typedef struct Aggregate {
    AggregateFunction function;
    uint32_t where, value;
    uint32_t next; /* the code behind it */
} Aggregate;

/* avg(g.free, 30s) */
typedef struct Window {
    SeriesFunction function;
    bool host;
    int field;
    Position at;   /* of the window */
    uint32_t slot; /* of the constant that says it, or NO_SLOT */
    double usec;   /* else here; once constants are calculated, in any case */
} Window;

/* A variable of an assignment's expression. */
typedef struct Variable {
    bool guest;      /* a guest's state */
    uint32_t number; /* slot, or which state */
    uint32_t name;   /* in texts */
    FieldUnit unit;
} Variable;

/* An assignment to a control. */
typedef struct Assign {
    uint32_t because; /* in texts; NO_TEXT: none */
    uint32_t variables, n_variables;
} Assign;

typedef struct LogLine {
    uint32_t text;
    FieldUnit units[POLICY_VALUES_MAX]; /* of the values behind it */
} LogLine;

/* A variable kept from cycle to cycle. */
typedef struct State {
    uint32_t name; /* in texts */
    FieldUnit unit;
    uint32_t slot; /* its own (of the host); that of its initial value (of guests) */
} State;

/* A list of elements and their number. */
#define LIST_OF(type) \
    struct {          \
        type *list;   \
        uint32_t n;   \
    }

typedef struct LoopList {
    Loop *list;
    uint32_t n;
    uint32_t n_keys_max, n_saved_max; /* of one loop */
} LoopList;

typedef struct StateList {
    State *list;
    uint32_t n;
    uint32_t first; /* its number among the policy's */
} StateList;

/* The file that a program was compiled from. */
typedef struct ProgramSource {
    char *origin, *text;
    size_t length;
} ProgramSource;

/* The code of one file. */
typedef struct Program {
    ProgramSource source;
    FieldSet host_controls, guest_controls; /* that it assigns to */
    uint32_t file;                          /* its number among the policy's */

    Instruction *code;
    Site *sites; /* one for each instruction */
    uint32_t n_code;
    uint32_t main; /* start of the policy; the code before it calculates the constants */

    LIST_OF(double) constants;
    LIST_OF(char *) texts;
    LIST_OF(Fallback) fallbacks;
    LoopList loops;
    LIST_OF(uint32_t) saved_slots; /* of all loops */
    LIST_OF(Aggregate) aggregates;
    LIST_OF(Window) windows;
    LIST_OF(Assign) assigns;
    LIST_OF(Variable) variables;
    LIST_OF(LogLine) logs;
    StateList host_states, guest_states;
    LIST_OF(double) slots; /* their values at the start: constants calculated, variables 0 */
    uint32_t n_stack;
    uint32_t thresholds[POLICY_THRESHOLD_MAX]; /* slot, or NO_SLOT */
} Program;

/* The states of all programs. */
typedef struct PolicyStateList {
    PolicyState *list;
    size_t n;
} PolicyStateList;

struct Policy {
    Program *programs;
    size_t n_programs;
    char *name;
    SeriesNeed *needs; /* of all programs, each stat once */
    size_t n_needs;
    PolicyStateList host_states, guest_states;
    PolicyDiagnostics warnings;
};

/* Calculates the constants into p->slots. On failure it reports why and where. Returns 0, -EINVAL or
 * -ENOMEM. */
int program_init_constants(Program *p, PolicyNote *ret);

/* Converts a value to its outside unit, and back. */
static inline double value_to_unit(double value, FieldUnit unit)
{
    return unit == FIELD_UNIT_RATE ? value * USEC_PER_SEC : value;
}

static inline double value_from_unit(double value, FieldUnit unit)
{
    return unit == FIELD_UNIT_RATE ? value / USEC_PER_SEC : value;
}
