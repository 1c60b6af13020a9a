/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parser's position in the text, and its errors about unexpected tokens. */
#include "policy/cursor.h"

#include "policy/foreign.h"

void cursor_advance(Cursor *p)
{
    uint32_t quotes = p->token.type == TOKEN_TEXT ? 2 : 0;

    p->end = (Position){p->token.at.line, p->token.at.column + (uint32_t) p->token.length + quotes};
    if (p->error >= 0)
        p->error = lexer_next(&p->lexer, &p->token);
    if (p->error < 0 || diagnostics_full(p->unit->diagnostics))
        p->token.type = TOKEN_END;
}

bool cursor_accept(Cursor *p, TokenType type)
{
    if (p->token.type != type)
        return false;
    cursor_advance(p);
    return true;
}

/* What was meant with a token that doesn't belong here. NULL: not known. */
static const char *usual_hint(const Token *t)
{
    switch (t->type) {
    case TOKEN_ASSIGN:
        return "to compare, write ==";
    case TOKEN_IN:
        return "compare with each value: x == 1 or x == 2; for names, use matches(g.name, \"web*\")";
    case TOKEN_THEN:
        return "a block is in braces: if a < b { ... }; 'then' is for values: let x = if a < b then a else b";
    case TOKEN_NAME:
        if (lexer_is_unit(t->text, t->length))
            return "write a number and its unit as one word: 64MiB, 10s";
        return foreign_word(t->text, t->length);
    default:
        return NULL;
    }
}

void cursor_expected(Cursor *p, const char *what, const char *hint)
{
    const Token *t = &p->token;

    if (!hint && !t->newline)
        hint = usual_hint(t);
    if (t->type == TOKEN_END || t->newline)
        diagnostics_add(p->unit->diagnostics, p->end.line ? p->end : t->at, hint,
                        "expected %s before the end of the line", what);
    else if (t->type == TOKEN_TEXT)
        diagnostics_add(p->unit->diagnostics, t->at, hint, "expected %s, found text", what);
    else
        diagnostics_add(p->unit->diagnostics, t->at, hint, "expected %s, found '%.*s'", what,
                        (int) MIN(t->length, (size_t) 40), t->text);
}

bool cursor_expect(Cursor *p, TokenType type, const char *what)
{
    bool word =
        type == TOKEN_NAME && !p->token.newline && p->token.type >= TOKEN_CONST && p->token.type <= TOKEN_NOT;

    if (cursor_accept(p, type))
        return true;
    cursor_expected(p, what,
                    word                 ? "this is a word of the language: choose another name"
                    : type == TOKEN_NAME ? ""
                                         : NULL);
    return false;
}

bool cursor_deeper(Cursor *p)
{
    if (p->depth >= POLICY_DEPTH_MAX) {
        diagnostics_add(p->unit->diagnostics, p->token.at, "give a part of it a name with let",
                        "this is nested too deeply: at most %u levels are allowed", POLICY_DEPTH_MAX);
        return false;
    }
    p->depth++;
    return true;
}
