/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text for a terminal: made harmless, measured in columns, laid out in tables. The locale must be UTF-8
 * (text_set_locale). */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/macro.h"

typedef enum Style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_GREEN,
    STYLE_YELLOW,
    STYLE_RED,
    STYLE_CYAN,
    STYLE_MAX
} Style;

/* Where to print, and how. */
typedef struct Screen {
    FILE *file;
    bool colour;
    unsigned width; /* columns; 0: unlimited */
} Screen;

void text_set_locale(void);
/* A copy without anything that a terminal would obey: control characters, changes of direction and broken
 * UTF-8 become '?'. NULL without memory. */
char *text_clean(const char *s);
/* Whether these bytes are UTF-8 without NUL. */
bool text_is_utf8(const char *s, size_t length);
/* Columns that a clean text takes. */
size_t text_width(const char *s);
/* Cuts a clean text to a number of columns (at least 1), with "…" at its end; in place if possible. Returns
 * the text, which replaces s; NULL without memory (s is freed). */
char *text_cut(char *s, size_t columns);
/* Prints text in this style, if the screen has colours. */
void screen_put(const Screen *screen, Style style, const char *text);

/* A policy's diagnostics, line by line. 0 or -ENOMEM. */
int screen_diagnostics(const Screen *screen, const char *text);

typedef struct Table Table;

typedef struct TableColumn {
    const char *title;
    bool right;    /* numbers */
    bool optional; /* left out if no row has a value; not the first or the last */
} TableColumn;

/* The last column is cut so that a row fits the screen, though never below TABLE_LAST_MIN columns. */
#define TABLE_LAST_MIN 12U

int table_new(const TableColumn *columns, size_t n, Table **ret);
Table *table_free(Table *t);
DEFINE_CLEANUP_FUNC(Table, table_free);
/* The next cell, row by row; NULL prints as "-". The text is cleaned. The first failure sticks. */
void table_add(Table *t, Style style, const char *text);
/* Prints the titles and the rows that are complete. 0, or the failure of an earlier table_add(). */
int table_print(Table *t, const Screen *screen);
