/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parser's position in the text. */

#include "policy/lexer.h"

typedef struct Cursor {
    Unit *unit;
    Lexer lexer;
    Token token;  /* the next token */
    Position end; /* the end of the token before */
    unsigned depth;
    bool headless; /* a statement with blocks had an error: an 'else' further down may be its own */
    int error;     /* -ENOMEM: parsing stops */
} Cursor;

void cursor_advance(Cursor *p);
bool cursor_accept(Cursor *p, TokenType type);
/* Reports what was expected; if the line ended too early, at the end of its last token. hint: NULL for the
 * usual hint about the token found, "" for none. */
void cursor_expected(Cursor *p, const char *what, const char *hint);
bool cursor_expect(Cursor *p, TokenType type, const char *what);
/* Goes one level down, or reports that the text is nested too deeply. */
bool cursor_deeper(Cursor *p);
