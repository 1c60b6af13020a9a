/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Cuts the text of a policy into tokens, one at a time. */

#include "policy/ast.h"

#define POLICY_NAME_MAX    64U /* letters of a name */
#define POLICY_BECAUSE_MAX 60U /* letters of a because "…" */

typedef enum TokenType {
    TOKEN_END,
    TOKEN_BAD, /* reported already */
    TOKEN_NAME,
    TOKEN_LITERAL,
    TOKEN_TEXT,

    TOKEN_CONST,
    TOKEN_LET,
    TOKEN_FN,
    TOKEN_STATE,
    TOKEN_LOG,
    TOKEN_IF,
    TOKEN_THEN,
    TOKEN_ELSE,
    TOKEN_FOR,
    TOKEN_IN,
    TOKEN_GUESTS,
    TOKEN_WHERE,
    TOKEN_BY,
    TOKEN_ASC,
    TOKEN_DESC,
    TOKEN_BECAUSE,
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_NOT,

    TOKEN_ASSIGN,
    TOKEN_EQ,
    TOKEN_NE,
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_GT,
    TOKEN_GE,
    TOKEN_PLUS,
    TOKEN_MINUS,
    TOKEN_STAR,
    TOKEN_SLASH,
    TOKEN_DEFAULT,
    TOKEN_DOT,
    TOKEN_COMMA,
    TOKEN_SEMICOLON,
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
} TokenType;

typedef struct Token {
    TokenType type;
    Position at;
    bool newline; /* the first token of its line */
    const char *text;
    size_t length;
    Name *name;   /* NAME */
    double value; /* LITERAL */
    Kind kind;    /* LITERAL */
} Token;

typedef struct Lexer {
    Unit *unit;
    size_t offset, line_start;
    uint32_t line;
    bool quiet; /* nothing is reported: what is read is skipped after an error */
} Lexer;

#define LEXER_INIT(u) ((Lexer){.unit = (u), .line = 1})

/* Whether the word is a unit. A unit follows right after its number. */
bool lexer_is_unit(const char *text, size_t length);
/* Reads the next token; at the end always TOKEN_END. Returns 0 or -ENOMEM. */
int lexer_next(Lexer *l, Token *ret);
