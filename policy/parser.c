/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads statements. The grammar of the language is here. */
#include "policy/parser.h"

#include <string.h>

#include "policy/foreign.h"
#include "policy/kinds.h"
#include "policy/parse-expr.h"

/* A statement ends with its line, unless the next token can't begin one (an operator, 'else', 'by', '{' …):
 * then it goes on. So the parser takes every token that fits, and requires a new line only between statements.
 *
 *   statement = "const" name "=" expr | "let" name "=" expr
 *             | "state" ["guest" "."] name "=" expr
 *             | "fn" name "(" [name {"," name}] ")" "=" expr
 *             | name "=" expr | name "." name "=" expr ["because" text]
 *             | "log" "(" text {"," expr} ")"
 *             | "if" expr block {"else" "if" expr block} ["else" block]
 *             | "for" name "in" "guests" ["where" expr] ["by" key {"," key}] block
 *   key       = expr ("asc" | "desc")
 *   block     = "{" {statement} "}"
 *   expr      = "if" expr "then" expr "else" expr | operators over operands
 *   operand   = value ["??" ["-"] operand]
 *   value     = literal | text | name | name "." name | "(" expr ")"
 *             | name "(" [expr {"," expr}] ")"
 *             | name "(" expr "for" name "in" "guests" ["where" expr] ")"
 */

static Statement *parse_block(Cursor *p, bool told);

static bool begins_statement(const Token *t)
{
    switch (t->type) {
    case TOKEN_CONST:
    case TOKEN_LET:
    case TOKEN_FN:
    case TOKEN_STATE:
    case TOKEN_LOG:
    case TOKEN_IF:
    case TOKEN_FOR:
    case TOKEN_NAME:
        return true;
    default:
        return false;
    }
}

/* After an error: skips to where a statement can begin or its block ends, or (block) to the '{' of the
 * current statement. Blocks on the way are skipped whole. */
static void recover(Cursor *p, bool block)
{
    unsigned braces = 0;

    p->lexer.quiet = true;
    while (p->token.type != TOKEN_END) {
        const Token *t = &p->token;

        if (t->type == TOKEN_LEFT_BRACE) {
            if (block && braces == 0)
                break;
            braces++;
        } else if (t->type == TOKEN_RIGHT_BRACE) {
            if (braces == 0)
                break;
            braces--;
        } else if (braces == 0 && (t->type == TOKEN_SEMICOLON || (t->newline && begins_statement(t))))
            break;
        cursor_advance(p);
    }
    p->lexer.quiet = false;
}

/* An expression of a statement, with recovery (block: to the '{' of the statement). */
static Expr *statement_expr(Cursor *p, bool block)
{
    Position at = p->token.at;
    unsigned depth = p->depth;
    Expr *e;

    /* a missing value: the next line is not skipped */
    if (p->token.newline && begins_statement(&p->token) && p->token.type != TOKEN_NAME &&
        p->token.type != TOKEN_IF) {
        cursor_expected(p, "a value", NULL);
        return parse_new_expr(p, EXPR_ERROR, at);
    }
    e = parse_expr(p);
    if (e)
        return e;
    p->depth = depth;
    recover(p, block);
    return parse_new_expr(p, EXPR_ERROR, at);
}

/* "name = expr" after const and let. */
static void parse_declaration(Cursor *p, Statement *s)
{
    cursor_advance(p);
    s->name = p->token.name;
    s->name_at = p->token.at;
    if (!cursor_expect(p, TOKEN_NAME, "a name") || !cursor_expect(p, TOKEN_ASSIGN, "'='")) {
        recover(p, false);
        s->expr = parse_new_expr(p, EXPR_ERROR, s->at);
        return;
    }
    s->expr = statement_expr(p, false);
}

/* "name = expr" or "guest.name = expr" after state. */
static void parse_state(Cursor *p, Statement *s)
{
    cursor_advance(p);
    s->name = p->token.name;
    s->name_at = p->token.at;
    if (!cursor_expect(p, TOKEN_NAME, "a name"))
        goto bad;
    if (cursor_accept(p, TOKEN_DOT)) {
        if (!name_is(s->name, "guest"))
            diagnostics_add(p->unit->diagnostics, s->name_at,
                            "state guest.NAME belongs to each guest, state NAME to the policy",
                            "'%s' can't have a state variable", s->name->text);
        s->name = NULL;
        s->field = p->token.name;
        s->field_at = p->token.at;
        if (!cursor_expect(p, TOKEN_NAME, "a name"))
            goto bad;
    }
    if (!cursor_expect(p, TOKEN_ASSIGN, "'='"))
        goto bad;
    s->expr = statement_expr(p, false);
    return;
bad:
    recover(p, false);
    s->expr = parse_new_expr(p, EXPR_ERROR, s->at);
}

static void parse_log(Cursor *p, Statement *s)
{
    static const char usage[] = "log(\"free is\", host.free)";
    unsigned depth = p->depth;
    Expr **tail = &s->expr;

    cursor_advance(p);
    if (p->token.type != TOKEN_LEFT_PAREN) {
        cursor_expected(p, "'('", usage);
        goto bad;
    }
    cursor_advance(p);
    if (p->token.type == TOKEN_RIGHT_PAREN) {
        cursor_expected(p, "text", usage);
        goto bad;
    }
    do {
        *tail = parse_expr(p);
        if (!*tail)
            goto bad;
        tail = &(*tail)->next;
    } while (cursor_accept(p, TOKEN_COMMA));
    if (cursor_expect(p, TOKEN_RIGHT_PAREN, "',' or ')'"))
        return;
bad:
    p->depth = depth;
    recover(p, false);
    s->expr = parse_new_expr(p, EXPR_ERROR, s->at);
}

static bool parse_parameters(Cursor *p, Statement *s)
{
    if (cursor_accept(p, TOKEN_RIGHT_PAREN))
        return true;
    do {
        if (s->n_parameters >= FUNCTION_PARAMETERS_MAX) {
            diagnostics_add(p->unit->diagnostics, p->token.at, NULL, "a function has at most %u parameters",
                            FUNCTION_PARAMETERS_MAX);
            return false;
        }
        s->parameters[s->n_parameters] = p->token.name;
        s->parameters_at[s->n_parameters] = p->token.at;
        if (!cursor_expect(p, TOKEN_NAME, "the name of a parameter"))
            return false;
        s->n_parameters++;
    } while (cursor_accept(p, TOKEN_COMMA));
    return cursor_expect(p, TOKEN_RIGHT_PAREN, "',' or ')'");
}

static void parse_function(Cursor *p, Statement *s)
{
    cursor_advance(p);
    s->name = p->token.name;
    s->name_at = p->token.at;
    if (!cursor_expect(p, TOKEN_NAME, "a name") || !cursor_expect(p, TOKEN_LEFT_PAREN, "'('") ||
        !parse_parameters(p, s))
        goto bad;
    if (p->token.type == TOKEN_LEFT_BRACE) {
        cursor_expected(p, "'='", "a function is one expression: fn half(x) = x / 2");
        goto bad;
    }
    if (!cursor_expect(p, TOKEN_ASSIGN, "'='"))
        goto bad;
    s->expr = statement_expr(p, false);
    return;
bad:
    recover(p, false);
    s->expr = parse_new_expr(p, EXPR_ERROR, s->at);
}

static void parse_because(Cursor *p, Statement *s)
{
    Token t;

    cursor_advance(p);
    t = p->token;
    if (!cursor_expect(p, TOKEN_TEXT, "text in double quotes"))
        return;
    if (!s->field)
        diagnostics_add(p->unit->diagnostics, t.at, NULL,
                        "'because' is only allowed after an assignment to a control");
    else if (t.length > POLICY_BECAUSE_MAX || t.length == 0)
        diagnostics_add(p->unit->diagnostics, t.at, "it must fit into a line of the log",
                        "the text of 'because' must have 1 to %u letters", POLICY_BECAUSE_MAX);
    s->because_at = t.at;
    s->because = t.text;
    s->because_length = t.length;
    if (p->token.type == TOKEN_PLUS || p->token.type == TOKEN_COMMA) {
        cursor_expected(p, "the end of the statement",
                        "'because' takes one text; the values that were read are shown with it");
        recover(p, false);
    }
}

/* Reports a statement that begins with a word of another language. What it seems to declare is not reported
 * again. */
static bool refuse_word(Cursor *p, const Statement *s)
{
    const char *hint = s->field ? NULL : foreign_word(s->name->text, s->name->length);

    if (!hint)
        return false;
    diagnostics_add(p->unit->diagnostics, s->name_at, hint, "unexpected '%s'", s->name->text);
    if (p->token.type == TOKEN_NAME && !p->token.newline)
        p->token.name->told = true;
    p->headless = true;
    return true;
}

static void parse_assignment(Cursor *p, Statement *s)
{
    s->name = p->token.name;
    s->name_at = p->token.at;
    cursor_advance(p);
    if (cursor_accept(p, TOKEN_DOT)) {
        s->field = p->token.name;
        s->field_at = p->token.at;
        if (!cursor_expect(p, TOKEN_NAME, "the name of a control")) {
            s->field = NULL;
            goto bad;
        }
    }
    if (!cursor_accept(p, TOKEN_ASSIGN)) {
        if (!refuse_word(p, s))
            cursor_expected(p, "'='",
                            p->token.type == TOKEN_MINUS ? "write x = x - 1"
                            : s->field
                                ? NULL
                                : "a statement is const, let, state, fn, if, for, log, or an assignment");
        goto bad;
    }
    s->expr = statement_expr(p, false);
    if (p->token.type == TOKEN_BECAUSE)
        parse_because(p, s);
    return;
bad:
    s->name = NULL; /* what was meant is not known */
    recover(p, false);
    s->expr = parse_new_expr(p, EXPR_ERROR, s->at);
}

/* A condition before a block, or before "by". What doesn't go on as it must makes it EXPR_ERROR: what was
 * meant is not known. */
static Expr *parse_condition(Cursor *p, bool by)
{
    Position at = p->token.at;
    Expr *e = statement_expr(p, true);

    if (!e || e->type == EXPR_ERROR || p->token.type == TOKEN_LEFT_BRACE || (by && p->token.type == TOKEN_BY))
        return e;
    cursor_expected(p, "'{'", NULL);
    recover(p, true);
    return parse_new_expr(p, EXPR_ERROR, at);
}

static void parse_if(Cursor *p, Statement *s)
{
    cursor_advance(p);
    s->expr = parse_condition(p, false);
    s->body = parse_block(p, !s->expr || s->expr->type == EXPR_ERROR);
    if (!cursor_accept(p, TOKEN_ELSE))
        return;
    if (p->token.type != TOKEN_IF) {
        s->otherwise = parse_block(p, false);
        return;
    }
    s->otherwise = arena_alloc(&p->unit->arena, sizeof(*s->otherwise));
    if (!s->otherwise) {
        p->error = -ENOMEM;
        p->token.type = TOKEN_END;
        return;
    }
    s->otherwise->type = STATEMENT_IF;
    s->otherwise->at = p->token.at;
    if (!cursor_deeper(p)) {
        recover(p, false);
        s->otherwise = NULL;
        return;
    }
    parse_if(p, s->otherwise);
    p->depth--;
}

/* The values after "by". Returns whether they could be parsed. */
static bool parse_keys(Cursor *p, Key **tail)
{
    unsigned n = 0;

    do {
        Key *k = arena_alloc(&p->unit->arena, sizeof(*k));

        if (!k) {
            p->error = -ENOMEM;
            p->token.type = TOKEN_END;
            return false;
        }
        if (n++ >= POLICY_KEYS_MAX) {
            diagnostics_add(p->unit->diagnostics, p->token.at, NULL,
                            "guests can be ordered by at most %u values", POLICY_KEYS_MAX);
            recover(p, true);
            return false;
        }
        *tail = k;
        tail = &k->next;
        k->expr = statement_expr(p, true);
        if (!k->expr || k->expr->type == EXPR_ERROR)
            return false;
        k->descending = p->token.type == TOKEN_DESC;
        if (!cursor_accept(p, TOKEN_DESC) && !cursor_accept(p, TOKEN_ASC)) {
            cursor_expected(p, "'asc' or 'desc'",
                            "the largest first: by g.free desc; the smallest first: asc");
            recover(p, true);
            return false;
        }
    } while (cursor_accept(p, TOKEN_COMMA));
    return true;
}

/* "where" and "by" of a loop. Returns whether they could be parsed. */
static bool parse_selection(Cursor *p, Statement *s)
{
    if (cursor_accept(p, TOKEN_WHERE)) {
        s->where = parse_condition(p, true);
        if (!s->where || s->where->type == EXPR_ERROR)
            return false;
    }
    if (cursor_accept(p, TOKEN_BY) && !parse_keys(p, &s->by))
        return false;
    if (p->token.type == TOKEN_LEFT_BRACE)
        return true;
    cursor_expected(p, "'{'", p->token.type == TOKEN_IF ? "to select guests, use 'where'" : NULL);
    recover(p, true);
    return false;
}

/* "(g in guests)", "(let i = 0; i < 5; i++)": reported, and skipped to its block. The names in it are not
 * reported again. */
static void refuse_parentheses(Cursor *p, Statement *s)
{
    cursor_expected(p, "a name for the guest", "for g in guests { ... }");
    p->lexer.quiet = true;
    cursor_advance(p);
    s->name = p->token.name;
    s->name_at = p->token.at;
    while (p->token.type != TOKEN_LEFT_BRACE && p->token.type != TOKEN_END && !p->token.newline) {
        if (p->token.type == TOKEN_NAME)
            p->token.name->told = true;
        cursor_advance(p);
    }
    p->lexer.quiet = false;
}

static void parse_for(Cursor *p, Statement *s)
{
    bool good = false;

    cursor_advance(p);
    s->name = p->token.name;
    s->name_at = p->token.at;
    if (p->token.type == TOKEN_LEFT_PAREN)
        refuse_parentheses(p, s);
    else if (cursor_expect(p, TOKEN_NAME, "a name for the guest") && parse_in_guests(p))
        good = parse_selection(p, s);
    else
        recover(p, true);
    if (s->name && p->token.type != TOKEN_LEFT_BRACE)
        s->name->told = true; /* its block is not known, so its uses can't be judged */
    s->body = parse_block(p, !good);
}

static Statement *parse_statement(Cursor *p)
{
    static const struct {
        TokenType token;
        StatementType type;
        void (*parse)(Cursor *p, Statement *s);
    } statements[] = {
        {TOKEN_CONST, STATEMENT_CONST, parse_declaration},
        {TOKEN_LET, STATEMENT_LET, parse_declaration},
        {TOKEN_STATE, STATEMENT_STATE, parse_state},
        {TOKEN_FN, STATEMENT_FUNCTION, parse_function},
        {TOKEN_NAME, STATEMENT_ASSIGN, parse_assignment},
        {TOKEN_LOG, STATEMENT_LOG, parse_log},
        {TOKEN_IF, STATEMENT_IF, parse_if},
        {TOKEN_FOR, STATEMENT_FOR, parse_for},
    };
    Statement *s = arena_alloc(&p->unit->arena, sizeof(*s));

    if (!s) {
        p->error = -ENOMEM;
        p->token.type = TOKEN_END;
        return NULL;
    }
    s->at = p->token.at;
    s->index = -1;
    for (size_t i = 0; i < ELEMENTSOF(statements); i++)
        if (statements[i].token == p->token.type) {
            s->type = statements[i].type;
            statements[i].parse(p, s);
            return s;
        }
    if (!p->headless || (p->token.type != TOKEN_ELSE && p->token.type != TOKEN_THEN))
        cursor_expected(p, "a statement", NULL);
    recover(p, false);
    return NULL;
}

/* Statements up to the '}' of their block, or to the end of the text. */
static Statement *parse_statements(Cursor *p, bool block)
{
    Statement *first = NULL, **tail = &first;

    while (p->token.type != TOKEN_END) {
        Statement *s;

        if (cursor_accept(p, TOKEN_SEMICOLON))
            continue;
        if (p->token.type == TOKEN_RIGHT_BRACE) {
            if (block)
                break;
            diagnostics_add(p->unit->diagnostics, p->token.at, NULL, "this '}' has no '{'");
            cursor_advance(p);
            continue;
        }
        s = parse_statement(p);
        if (s) {
            *tail = s;
            tail = &s->next;
        }
        if (p->token.type != TOKEN_SEMICOLON && p->token.type != TOKEN_RIGHT_BRACE &&
            p->token.type != TOKEN_END && !p->token.newline) {
            cursor_expected(p, "a new line or ';'", NULL);
            recover(p, false);
            if (s && s->expr && !s->body)
                s->expr = parse_new_expr(p, EXPR_ERROR, s->at); /* there was more of it */
        }
    }
    return first;
}

/* told: the statement's head had an error, so a missing '{' is not reported. */
static Statement *parse_block(Cursor *p, bool told)
{
    Position at = p->token.at;
    Statement *first;

    if (!cursor_accept(p, TOKEN_LEFT_BRACE)) {
        if (!told)
            cursor_expected(p, "'{'", NULL);
        p->headless = true;
        recover(p, false);
        return NULL;
    }
    if (!cursor_deeper(p)) {
        unsigned braces = 1;

        while (braces > 0 && p->token.type != TOKEN_END) {
            braces += p->token.type == TOKEN_LEFT_BRACE;
            braces -= p->token.type == TOKEN_RIGHT_BRACE;
            cursor_advance(p);
        }
        return NULL;
    }
    first = parse_statements(p, true);
    p->depth--;
    if (!cursor_accept(p, TOKEN_RIGHT_BRACE))
        diagnostics_add(p->unit->diagnostics, at, NULL, "this '{' has no '}'");
    return first;
}

int policy_parse(Unit *u)
{
    Cursor p = {.unit = u, .lexer = LEXER_INIT(u)};

    cursor_advance(&p);
    p.end = (Position){};
    u->statements = parse_statements(&p, false);
    return p.error;
}
