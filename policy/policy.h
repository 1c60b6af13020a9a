/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A policy: loaded from text, checked whole before it may run, then evaluated as a pure function of its
 * input. */

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"
#include "policy/fields.h"

typedef struct Policy Policy;

/* Limits on a policy file, so that loading one is bounded too. */
#define POLICY_SIZE_MAX        (256U * 1024U) /* bytes of text */
#define POLICY_DEPTH_MAX       64U            /* nesting of expressions and blocks, depth of calls */
#define POLICY_KEYS_MAX        8U             /* values that a loop's guests are ordered by */
#define POLICY_DIAGNOSTICS_MAX 20U            /* errors told in one run */
#define POLICY_NOTES_MAX       16U            /* undone turns told in one evaluation; the rest is counted */
#define POLICY_NOTE_MAX        160U

/* What is wrong with a file, as lines of text: "file:line:column: error: …", the line, a caret below it, and
 * where one is near enough "did you mean 'available'?". */
typedef struct PolicyDiagnostics {
    char *text;    /* NUL-terminated, owned; NULL while there are none */
    size_t length; /* of text */
    unsigned count;
} PolicyDiagnostics;

void policy_diagnostics_done(PolicyDiagnostics *d);

/* Loads and checks a policy from text (need not be NUL-terminated). origin: the file's name for messages,
 * copied. Returns 0; -EINVAL with diagnostics where the text can't be a policy; -EFBIG; -ENOMEM. diagnostics
 * may be NULL. */
int policy_load(const char *text, size_t length, const char *origin, PolicyDiagnostics *diagnostics,
                Policy **ret);
/* Reads the file and loads it. Also -errno of reading. */
int policy_load_file(const char *path, PolicyDiagnostics *diagnostics, Policy **ret);
Policy *policy_free(Policy *p);
DEFINE_CLEANUP_FUNC(Policy, policy_free);

/* As it was given to policy_load(); of a file, its path. */
const char *policy_origin(const Policy *p);

/* A guest as the evaluation sees it. uuid decides the order among equals. */
typedef struct PolicyGuest {
    const char *uuid;
    const GuestFields *fields;
} PolicyGuest;

typedef struct PolicyInput {
    const HostFields *host;
    const PolicyGuest *guests;
    size_t n_guests;
} PolicyInput;

/* What was assigned to one guest. line is 0 where nothing was. */
typedef struct PolicyAssignment {
    double target_bytes;
    unsigned line;       /* of the assignment that stands last */
    unsigned order;      /* 1, 2, …: in which order guests were first assigned to; 0: not at all */
    const char *because; /* the text of the assignment's because "…" clause, owned by the policy; or NULL */
} PolicyAssignment;

/* A guest's turn, or the host's part of a policy, that was undone. */
typedef struct PolicyNote {
    size_t guest; /* index, or SIZE_MAX: outside of a loop; the whole evaluation is void then */
    unsigned line,
        column; /* of what couldn't be worked out; in a loop's where or by: the guest was left out */
    char text[POLICY_NOTE_MAX]; /* "g.psi_memory_some is missing", "division by zero" */
} PolicyNote;

/* A policy that works with marks says where they are by top-level lets (or consts) of these names, in bytes
 * of host.available: pressure_mark, critical_mark, relax_mark. They are for showing; NAN where the policy has
 * none of that name. */
typedef enum PolicyMark {
    POLICY_MARK_PRESSURE,
    POLICY_MARK_CRITICAL,
    POLICY_MARK_RELAX,
    POLICY_MARK_MAX
} PolicyMark;

typedef struct PolicyOutput {
    PolicyAssignment *assignments; /* n_guests of them, owned by the caller of policy_run(), overwritten */
    PolicyNote notes[POLICY_NOTES_MAX];
    size_t n_notes;     /* in notes */
    size_t notes_total; /* all */
    double marks[POLICY_MARK_MAX];
} PolicyOutput;

/* Evaluates p on input. Pure: no I/O, no clock, the same output for the same input. Returns 0, also where
 * turns were undone (see notes); -ENOMEM; -ECANCELED where the part outside of loops failed (one note; no
 * assignment stands). */
int policy_run(const Policy *p, const PolicyInput *input, PolicyOutput *output);
