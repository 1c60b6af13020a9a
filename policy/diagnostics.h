/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The mistakes in a policy: collected while it is parsed and checked, printed at the end in the order of the
 * text. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/values.h"

typedef struct Source {
    const char *text;
    size_t length;
    const char *origin;
} Source;

/* Both count from 1; columns are bytes. */
typedef struct Position {
    uint32_t line, column;
} Position;

typedef struct Diagnostic {
    Position at;
    char message[200];
    char hint[128]; /* empty: none */
    bool warning;
} Diagnostic;

typedef struct Diagnostics {
    const Source *source;
    Diagnostic list[2 * POLICY_DIAGNOSTICS_MAX];
    unsigned n, n_errors; /* n_errors of n; the others are warnings */
} Diagnostics;

/* Adds an error. hint may be NULL. A second error at the same place is dropped, and so are errors beyond
 * POLICY_DIAGNOSTICS_MAX. */
void diagnostics_add(Diagnostics *d, Position at, const char *hint, const char *format, ...) _printf_(4, 5);
/* The same for something that is no error, but can't be meant. */
void diagnostics_warn(Diagnostics *d, Position at, const char *hint, const char *format, ...) _printf_(4, 5);
/* Whether there are so many errors that no more are kept. */
bool diagnostics_full(const Diagnostics *d);
/* Adds all of them to ret. Returns 0 or -ENOMEM. */
int diagnostics_render(Diagnostics *d, PolicyDiagnostics *ret);
