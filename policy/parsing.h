/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the two halves of the parser share: statements (parser.c) and expressions (parse-expr.c). */

#include "policy/lexer.h"

typedef struct Parser {
    Unit *unit;
    Lexer lexer;
    Token token;  /* the one to be read */
    Position end; /* just behind the one before */
    unsigned depth;
    int error; /* -ENOMEM: everything ends */
} Parser;

void parser_advance(Parser *p);
bool parser_accept(Parser *p, TokenType type);
/* Tells what was expected: where the line ends too early, behind its last token. hint: NULL for the usual one
 * of what was found instead, "" for none. */
void parser_expected(Parser *p, const char *what, const char *hint);
bool parser_expect(Parser *p, TokenType type, const char *what);
/* Goes one level down, or tells that this is too deep. */
bool parser_deeper(Parser *p);

/* NULL: out of memory, and p->error is set. */
Expr *parser_expr(Parser *p, ExprType type, Position at);
/* "in" "guests", behind the name of the guest. */
bool parse_in_guests(Parser *p);
/* NULL where it can't go on and has told why; p->depth is to be restored then. */
Expr *parse_expr(Parser *p);
