/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A checked policy as code for a small stack machine. All values are doubles; what kind each is was settled
 * by the checker. Constants, variables and the guest's fields are found by number, so a turn allocates
 * nothing and searches nothing, and the deepest stack that can be needed is known before it runs. */

#include "policy/diagnostics.h"
#include "policy/policy.h"

/* Operations that a policy does for one guest (and once for the host), at most, whatever its conditions say:
 * functions that call each other twice over could otherwise take for ever without recursion. */
#define POLICY_COST_MAX 100000U

typedef enum Operation {
    OP_END,        /* of a segment */
    OP_CONSTANT,   /* push constants[arg] */
    OP_SLOT,       /* push slots[arg] */
    OP_SET,        /* slots[arg] = pop */
    OP_PARAMETER,  /* push the arg-th of the field parameters of the function */
    OP_HOST,       /* push host.<field> */
    OP_GUEST,      /* push g.<field> */
    OP_CONTROL,    /* push g.<field>, a control */
    OP_HOST_OR,    /* where host.<field> is there: push it and jump to arg */
    OP_GUEST_OR,   /* where g.<field> is there: push it and jump to arg */
    OP_CONTROL_OR, /* the same with a control */
    OP_ASSIGN,     /* g.<field> = pop, because texts[arg] (NO_TEXT: none) */
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
    OP_NEG,
    OP_NOT,
    OP_ABS,
    OP_CLAMP,
    OP_ROUND,
    OP_JUMP,        /* to arg */
    OP_JUMP_UNLESS, /* pop; to arg where it is false */
    OP_AND,         /* where the top is false: jump to arg and keep it; else pop */
    OP_OR,          /* where the top is true: jump to arg and keep it; else pop */
    OP_CALL,        /* the function at arg, with field arguments on the stack */
    OP_RETURN,      /* replaces field arguments by the top */
    OP_LOOP,        /* loops[arg] */
} Operation;

#define NO_TEXT UINT32_MAX
#define NO_CODE UINT32_MAX
#define NO_SLOT UINT32_MAX

typedef struct Instruction {
    uint8_t op; /* Operation */
    uint8_t field;
    uint32_t arg;
} Instruction;

/* Three segments of code, each up to its OP_END; where and by may be NO_CODE. by leaves n_keys values, the
 * smallest of which go first: where the order is descending, they have been negated. */
typedef struct Loop {
    uint32_t where, by, body;
    uint32_t next; /* the code behind the loop */
    uint32_t n_keys;
    uint32_t saved, n_saved; /* in saved_slots: the variables of outside that a turn may change */
} Loop;

/* One file. */
typedef struct Program {
    char *origin, *text;
    size_t length;
    uint64_t host_controls, guest_controls; /* bits of those that it assigns to */
    uint32_t file;                          /* its number among the policy's */
    Instruction *code;
    Position *positions; /* one for each instruction */
    uint32_t n_code;
    uint32_t main; /* where the policy begins; from 0 to there the constants are worked out */
    double *constants;
    uint32_t n_constants;
    char **texts;
    uint32_t n_texts;
    Loop *loops;
    uint32_t n_loops;
    uint32_t n_keys_max; /* of one loop */
    uint32_t *saved_slots;
    uint32_t n_saved_slots, n_saved_max; /* all; of one loop */
    double *slots;                       /* as they are when it begins: constants worked out, variables 0 */
    uint32_t n_slots, n_stack;
    uint32_t marks[POLICY_MARK_MAX]; /* slot, or NO_SLOT */
} Program;

struct Policy {
    Program *programs;
    size_t n_programs;
    char *name;
    SeriesNeed *needs; /* of all programs, each stat once */
    size_t n_needs;
    PolicyState *host_states, *guest_states; /* of all programs */
    size_t n_host_states, n_guest_states;
};

/* Works out the constants into p->slots. Where that fails, says why and where. 0, -EINVAL or -ENOMEM. */
int program_init_constants(Program *p, PolicyNote *ret);
