/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text for a terminal: made harmless, measured in columns, cut and coloured. The locale must be UTF-8 (text_set_locale). */

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
    bool terminal;          /* that obeys escape sequences */
    unsigned width, height; /* columns and lines; 0: unlimited */
} Screen;

void text_set_locale(void);
/* A copy without anything that a terminal would obey: control characters, changes of direction and broken
 * UTF-8 become '?'. NULL without memory. */
char *text_clean(const char *s);
/* Whether these bytes are UTF-8 without NUL. */
bool text_is_utf8(const char *s, size_t length);
/* Columns that a clean text takes. */
size_t text_width(const char *s);
/* Cuts a clean text to a number of columns (at least 1), with "…" at its end: at a blank, unless its first
 * word is too long; in place if possible. Returns the text, which replaces s; NULL without memory (s is
 * freed). */
char *text_cut(char *s, size_t columns);
/* Finds out whether the screen is a terminal, and its size now. */
void screen_measure(Screen *screen);
/* The escape sequence that begins a style; NULL: none. */
const char *style_sequence(Style style);
/* Prints text in this style, if the screen has colours. */
void screen_put(const Screen *screen, Style style, const char *text);

/* A policy's diagnostics, line by line. 0 or -ENOMEM. */
int screen_diagnostics(const Screen *screen, const char *text);
