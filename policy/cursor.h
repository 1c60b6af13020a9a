/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the parser is in the text. */

#include "policy/lexer.h"

typedef struct Cursor {
    Unit *unit;
    Lexer lexer;
    Token token;  /* the one to be read */
    Position end; /* just behind the one before */
    unsigned depth;
    int error; /* -ENOMEM: everything ends */
} Cursor;

void cursor_advance(Cursor *p);
bool cursor_accept(Cursor *p, TokenType type);
/* Tells what was expected: where the line ends too early, behind its last token. hint: NULL for the usual one
 * of what was found instead, "" for none. */
void cursor_expected(Cursor *p, const char *what, const char *hint);
bool cursor_expect(Cursor *p, TokenType type, const char *what);
/* Goes one level down, or tells that this is too deep. */
bool cursor_deeper(Cursor *p);
