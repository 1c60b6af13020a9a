/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The machine that runs programs: what eval.c (instructions), turn.c (loops and aggregates), tell.c (notes
 * and logs) and run.c (files) share. */

#include "policy/program.h"

typedef enum Failure {
    FAILURE_NONE,
    FAILURE_MISSING, /* a stat */
    FAILURE_ZERO,    /* division */
    FAILURE_STEP,    /* to round to */
    FAILURE_RANGE,   /* not finite */
    FAILURE_NEGATIVE,
    FAILURE_LARGE, /* above what a control can be */
} Failure;

/* A guest's place in a loop: ordered by its keys, then by UUID. */
typedef struct Place {
    double key;    /* the first; the others are in Machine.keys */
    uint32_t rank; /* in the order of UUIDs */
    uint32_t guest;
} Place;

/* What is restored if a turn fails, other than its variables and states. */
typedef struct Turn {
    PolicyAssignment guest[GUEST_CONTROL_MAX];
    PolicyAssignment host[HOST_FIELD_MAX];
    unsigned order[GUEST_CONTROL_MAX];
    size_t n_logs, logs_total;
} Turn;

typedef struct Machine {
    const Program *program;
    const PolicyInput *input;
    PolicyOutput *output;
    double *slots, *stack;
    double *guest_state; /* of all guests, of all files: n_guest_states for each */
    size_t n_guest_states;
    FieldSet host_read, guest_read;    /* stats, in this turn or file so far */
    uint32_t guest;                    /* the guest whose turn it is, or that is looked at */
    bool in_turn;                      /* in a loop's body */
    unsigned order[GUEST_CONTROL_MAX]; /* guests assigned to so far */
    Failure failure;
    uint32_t failed; /* the instruction */

    double *saved, *saved_state; /* the variables and the guest's states before this turn */
    Turn turn;                   /* the rest of the values before the turn */
    double *keys;                /* the n_more further keys of each guest, by rank */
    uint32_t n_more;
    Place *places;
    uint32_t *by_uuid; /* guests in the order of their UUIDs; NULL: as they are */
} Machine;

/* Runs from the instruction to the end of its segment; parameters are those of the function that the segment
 * is in. Returns whether it got there; else m->failure says why not. A value that the segment leaves is at
 * the bottom of the stack given. */
bool eval_segment(Machine *m, uint32_t at, double *stack, const double *parameters);

void turn_loop(Machine *m, const Loop *l);
/* The aggregate of the instruction. FAILURE_NONE with *ret; FAILURE_MISSING where there is no guest to take a
 * value from, or the host misses a stat that it needs; or FAILURE_RANGE. m->failed says where. */
Failure turn_aggregate(Machine *m, uint32_t at, double *stack, const double *parameters, double *ret);

/* The text of a value that is a text's number. */
const char *tell_text(const Machine *m, double value);

/* Writes a note why m->failed failed. guest: whose turn it was, or SIZE_MAX. */
void tell_describe(const Machine *m, size_t guest, PolicyNote *ret);
/* Adds such a note to the output. */
void tell_note(Machine *m, size_t guest);
/* Adds a line of log() to the output, with its n values. */
void tell_log(Machine *m, const LogLine *l, unsigned line, const double *values, unsigned n);

/* This file's part of the guest's states. */
static inline double *machine_guest_states(const Machine *m, size_t guest)
{
    return m->guest_state + guest * m->n_guest_states + m->program->guest_states.first;
}
