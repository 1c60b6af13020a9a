/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The input and output of a policy as plain values, and their limits. */

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"
#include "policy/fields.h"
#include "policy/series.h"

/* Limits on a policy, so that loading and running it is bounded. */
#define POLICY_FILES_MAX       16U
#define POLICY_SIZE_MAX        (256U * 1024U) /* bytes of text of one file */
#define POLICY_DEPTH_MAX       64U            /* nesting of expressions and blocks, depth of calls */
#define POLICY_TEXT_MAX        255U           /* letters of a text: one operation reads all of it */
#define POLICY_KEYS_MAX        8U             /* values that a loop's guests are ordered by */
#define POLICY_STATE_MAX       64U /* state variables of one file, of the host and of a guest each */
#define POLICY_WINDOW_MIN      (USEC_PER_SEC) /* of history: avg(g.free, 30s) */
#define POLICY_WINDOW_MAX      (600 * USEC_PER_SEC)
#define POLICY_VALUES_MAX      8U  /* of one log(); also variables that are recorded with an assignment */
#define POLICY_DIAGNOSTICS_MAX 20U /* errors reported in one run */
#define POLICY_NOTES_MAX       16U /* undone turns noted in one evaluation; the rest is counted */
#define POLICY_NOTE_MAX        160U
#define POLICY_LOGS_MAX        16U /* lines of log() in one evaluation; the rest is counted */
#define POLICY_LOG_MAX         200U

/* The mistakes in files as lines of text: "file:line:column: error: …", the line, a caret below it, and a
 * hint such as "did you mean 'available'?". */
/* One of them, as values. All texts are owned. */
typedef struct PolicyDiagnostic {
    char *file;            /* its origin */
    uint32_t line, column; /* both count from 1; columns are bytes */
    bool warning;          /* the policy can be used nevertheless */
    char *message;
    char *hint;   /* how to correct it; NULL: none */
    char *source; /* the part of the line that is shown, without control characters */
} PolicyDiagnostic;

typedef struct PolicyDiagnostics {
    char *text;    /* NUL-terminated, owned; NULL while there are none */
    size_t length; /* of text */
    unsigned count;
    PolicyDiagnostic *list; /* count of them, in the order of the text */
} PolicyDiagnostics;

void policy_diagnostics_done(PolicyDiagnostics *d);

/* A state variable. Its value is kept in arrays, by its number, in the unit of its kind. */
typedef struct PolicyState {
    const char *file; /* origin */
    const char *name;
    FieldUnit unit; /* any but TEXT */
    double initial;
} PolicyState;

/* A guest as input of the evaluation. */
typedef struct PolicyGuest {
    const char *uuid; /* orders guests that are otherwise equal */
    const GuestFields *fields;
    const SeriesSet *history; /* NULL: none; then a window has only the current value */
    const double *state;      /* NULL: initial */
} PolicyGuest;

typedef struct PolicyInput {
    usec_t now_usec; /* on the clock of the histories */
    const HostFields *host;
    const SeriesSet *history; /* of the host; as above */
    const double *state;      /* of the host; as above */
    const PolicyGuest *guests;
    size_t n_guests;
} PolicyInput;

/* An assignment to a control. line is 0 if nothing was assigned. */
typedef struct PolicyAssignment {
    double value;        /* in the control's unit: bytes, count, µs, 0 or 1 */
    unsigned file, line; /* of the last assignment; file as in policy_file() */
    unsigned order; /* 1, 2, …: the order in which guests' control was first assigned to; 0: not at all */
    const char *because; /* the text of the assignment's because "…" clause, owned by the policy; or NULL */
    /* What it read, for policy_reads(). */
    uint32_t at;
    FieldSet host_read, guest_read;
    double variables[POLICY_VALUES_MAX];
} PolicyAssignment;

/* A guest's turn, or the host's part of a policy file, that was undone. */
typedef struct PolicyNote {
    size_t guest; /* index, or SIZE_MAX: outside of a loop; then all that this file assigned is undone */
    unsigned file;
    unsigned line,
        column; /* of the expression that failed; in a loop's where or by: the guest was left out */
    char text[POLICY_NOTE_MAX]; /* "g.psi_memory_some is missing", "division by zero" */
} PolicyNote;

/* A line of log(). */
typedef struct PolicyLog {
    size_t guest; /* in whose turn; SIZE_MAX: outside of a loop */
    unsigned file, line;
    char text[POLICY_LOG_MAX]; /* values with their units, separated by one blank; cut if too long */
} PolicyLog;

/* A policy's thresholds: top-level lets (or consts) of the names pressure_threshold, critical_threshold and
 * relax_threshold, in bytes of host.available. They are only shown. NAN if no file has one of that name; of
 * several files the first counts. */
typedef enum PolicyThreshold {
    POLICY_THRESHOLD_PRESSURE,
    POLICY_THRESHOLD_CRITICAL,
    POLICY_THRESHOLD_RELAX,
    POLICY_THRESHOLD_MAX
} PolicyThreshold;

typedef struct PolicyOutput {
    /* Owned by the caller of policy_run(), overwritten. */
    PolicyAssignment *assignments[GUEST_CONTROL_MAX]; /* n_guests for each control of guests; NULL only where
                                                       * no file assigns to it (policy_controls()) */
    double *state;                                    /* the host's, after; NULL: not wanted */
    double *guest_state; /* n_guests times the states of a guest, after; NULL: not wanted */

    PolicyAssignment host[HOST_FIELD_MAX]; /* of the host's controls; others have line 0 */
    PolicyNote notes[POLICY_NOTES_MAX];
    size_t n_notes;     /* in notes */
    size_t notes_total; /* all */
    PolicyLog logs[POLICY_LOGS_MAX];
    size_t n_logs, logs_total; /* as with notes */
    unsigned failed;           /* files whose part outside of loops failed */
    double thresholds[POLICY_THRESHOLD_MAX];
} PolicyOutput;

/* A value that led to an assignment. */
typedef struct PolicyRead {
    const char *object; /* "g", "host"; NULL: a variable of the policy */
    const char *name;
    FieldUnit unit;
    double value;
} PolicyRead;
