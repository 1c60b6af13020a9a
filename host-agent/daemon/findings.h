/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is wrong with the configuration and the policy. It is collected while they are read, so that the log, the
 * answer to a reload and --check say the same. */

#include <stddef.h>

#include "base/macro.h"

#define FINDINGS_MAX 1000U /* further ones are only counted */

typedef struct Finding {
    int level; /* LOG_ERR: the files are refused; LOG_WARNING, LOG_NOTICE: something is not done as written */
    char *text;          /* one line, with file and line in front */
    char *file;          /* NULL: none */
    unsigned line;       /* 0: none */
    const char *message; /* the part of text without file and line */
} Finding;

typedef struct Findings {
    Finding *list;
    size_t n, left_out;
} Findings;

void findings_done(Findings *f);
/* path may be NULL, and line 0: then they are left out. */
void findings_add(Findings *f, int level, const char *path, unsigned line, const char *format, ...)
    _printf_(5, 6);
void findings_log(const Findings *f);
/* The first error, else the first of all; NULL: none. */
const char *findings_first(const Findings *f);
/* Writes the lines that fit into buf, errors first, and how many more there are. */
void findings_text(const Findings *f, char *buf, size_t size);
