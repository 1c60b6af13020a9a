/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads expressions. Their grammar is in parser.c. Each function returns NULL after an error that it
 * reported. */
#include "policy/parse-expr.h"

#include <string.h>

#include "policy/kinds.h"

Expr *parse_new_expr(Cursor *p, ExprType type, Position at)
{
    Expr *e = arena_alloc(&p->unit->arena, sizeof(*e));

    if (!e) {
        p->error = -ENOMEM;
        p->token.type = TOKEN_END;
        return NULL;
    }
    *e = (Expr){.type = type, .at = at, .height = 1, .index = -1};
    return e;
}

/* Sets the operands. A long chain (a + b + c + …) makes a tall tree, too. */
static Expr *with_operands(Cursor *p, Expr *e, Expr *a, Expr *b, Expr *c)
{
    if (!e)
        return NULL;
    e->a = a;
    e->b = b;
    e->c = c;
    e->height = 1 + MAX(a->height, MAX(b ? b->height : 0, c ? c->height : 0));
    if (e->height > POLICY_DEPTH_MAX) {
        diagnostics_add(p->unit->diagnostics, e->at, "give a part of it a name with let",
                        "this expression has more than %u operations in a row", POLICY_DEPTH_MAX);
        return NULL;
    }
    return e;
}

static Expr *parse_if_expr(Cursor *p)
{
    Position at = p->token.at;
    Expr *a, *b, *c;

    cursor_advance(p);
    a = parse_expr(p);
    if (!a || !cursor_expect(p, TOKEN_THEN, "'then'"))
        return NULL;
    b = parse_expr(p);
    if (!b || !cursor_expect(p, TOKEN_ELSE, "'else'"))
        return NULL;
    c = parse_expr(p);
    return c ? with_operands(p, parse_new_expr(p, EXPR_IF, at), a, b, c) : NULL;
}

bool parse_in_guests(Cursor *p)
{
    if (!cursor_expect(p, TOKEN_IN, "'in'"))
        return false;
    if (cursor_accept(p, TOKEN_GUESTS))
        return true;
    cursor_expected(p, "'guests'", "the only loop is over guests: for g in guests { ... }");
    return false;
}

/* Reads "for g in guests where …)" after "function(value". */
static Expr *parse_aggregate(Cursor *p, Expr *e, Name *function)
{
    Expr *where = NULL;

    e->type = EXPR_AGGREGATE;
    e->n_arguments = 0;
    e->builtin = builtin_from_name(function);
    if (!builtin_aggregates(e->builtin)) {
        diagnostics_add(p->unit->diagnostics, e->at, "use one of sum, count, any, all, min, max, avg",
                        "'%s' can't go over guests", function->text);
        e->type = EXPR_ERROR;
    }
    cursor_advance(p);
    e->name = p->token.name;
    e->name_at = p->token.at;
    if (!cursor_expect(p, TOKEN_NAME, "a name for the guest") || !parse_in_guests(p))
        return NULL;
    if (cursor_accept(p, TOKEN_WHERE)) {
        where = parse_expr(p);
        if (!where)
            return NULL;
    }
    if (!cursor_accept(p, TOKEN_RIGHT_PAREN)) {
        cursor_expected(p, where ? "')'" : "'where' or ')'",
                        p->token.type == TOKEN_BY   ? "only a loop can order guests"
                        : p->token.type == TOKEN_IF ? "to select guests, use 'where'"
                                                    : NULL);
        return NULL;
    }
    return with_operands(p, e, e->a, where, NULL);
}

static Expr *parse_call(Cursor *p, Name *name, Position at)
{
    Expr *e = parse_new_expr(p, EXPR_CALL, at), **tail = e ? &e->a : NULL;

    cursor_advance(p);
    if (!e)
        return NULL;
    e->name = name;
    if (cursor_accept(p, TOKEN_RIGHT_PAREN))
        return e;
    do {
        *tail = parse_expr(p);
        if (!*tail)
            return NULL;
        e->height = MAX(e->height, (*tail)->height + 1);
        e->n_arguments++;
        tail = &(*tail)->next;
    } while (cursor_accept(p, TOKEN_COMMA));
    if (p->token.type == TOKEN_FOR && e->n_arguments == 1)
        return parse_aggregate(p, e, name);
    return cursor_expect(p, TOKEN_RIGHT_PAREN, "',' or ')'") ? e : NULL;
}

static Expr *parse_field(Cursor *p, Name *object, Position at)
{
    Expr *e;

    cursor_advance(p);
    e = parse_new_expr(p, EXPR_FIELD, at);
    if (!e)
        return NULL;
    e->name = object;
    e->field = p->token.name;
    e->field_at = p->token.at;
    return cursor_expect(p, TOKEN_NAME, "the name of a stat") ? e : NULL;
}

/* A hint for a token that can't begin a value. */
static const char *value_hint(TokenType found)
{
    switch (found) {
    case TOKEN_IF:
        return "write the whole 'if' in parentheses";
    case TOKEN_FOR:
        return "write the value first: count(g for g in guests)";
    case TOKEN_LOG:
        return "log(...) is a statement, not a value";
    default:
        return NULL;
    }
}

static Expr *parse_value(Cursor *p)
{
    Token t = p->token;
    Expr *e;

    switch (t.type) {
    case TOKEN_LITERAL:
        cursor_advance(p);
        e = parse_new_expr(p, EXPR_LITERAL, t.at);
        if (e) {
            e->value = t.value;
            e->kind = t.kind;
        }
        return e;
    case TOKEN_TEXT:
        cursor_advance(p);
        e = parse_new_expr(p, EXPR_TEXT, t.at);
        if (e) {
            e->text = t.text;
            e->text_length = t.length;
        }
        return e;
    case TOKEN_NAME:
        cursor_advance(p);
        if (p->token.type == TOKEN_LEFT_PAREN && !p->token.newline)
            return parse_call(p, t.name, t.at);
        if (p->token.type == TOKEN_DOT)
            return parse_field(p, t.name, t.at);
        e = parse_new_expr(p, EXPR_NAME, t.at);
        if (e)
            e->name = t.name;
        return e;
    case TOKEN_LEFT_PAREN:
        cursor_advance(p);
        e = parse_expr(p);
        return e && cursor_expect(p, TOKEN_RIGHT_PAREN, "')'") ? e : NULL;
    case TOKEN_GUESTS:
        diagnostics_add(p->unit->diagnostics, t.at, "for g in guests { ... }, or sum(g.free for g in guests)",
                        "'guests' is only allowed after 'in'");
        return NULL;
    default:
        cursor_expected(p, "a value", value_hint(t.type));
        return NULL;
    }
}

static Expr *parse_prefix(Cursor *p);

/* A value, and its default if a stat is missing. */
static Expr *parse_operand(Cursor *p)
{
    Expr *e = parse_value(p), *fallback;
    Position at = p->token.at;

    if (!e || !cursor_accept(p, TOKEN_DEFAULT))
        return e;
    fallback = !cursor_deeper(p) ? NULL : p->token.type == TOKEN_MINUS ? parse_prefix(p) : parse_operand(p);
    if (!fallback)
        return NULL;
    p->depth--;
    return with_operands(p, parse_new_expr(p, EXPR_DEFAULT, at), e, fallback, NULL);
}

static const struct {
    TokenType token;
    Operator op;
    unsigned level; /* binds tighter the higher it is */
} binary_operators[] = {
    {TOKEN_OR, OPERATOR_OR, 1},     {TOKEN_AND, OPERATOR_AND, 2},  {TOKEN_EQ, OPERATOR_EQ, 4},
    {TOKEN_NE, OPERATOR_NE, 4},     {TOKEN_LT, OPERATOR_LT, 4},    {TOKEN_LE, OPERATOR_LE, 4},
    {TOKEN_GT, OPERATOR_GT, 4},     {TOKEN_GE, OPERATOR_GE, 4},    {TOKEN_PLUS, OPERATOR_ADD, 5},
    {TOKEN_MINUS, OPERATOR_SUB, 5}, {TOKEN_STAR, OPERATOR_MUL, 6}, {TOKEN_SLASH, OPERATOR_DIV, 6},
};
#define LEVEL_NOT     3U
#define LEVEL_COMPARE 4U
#define LEVEL_NEGATE  7U

static Expr *parse_operators(Cursor *p, unsigned level);

/* "not" and the sign, else an operand. */
static Expr *parse_prefix(Cursor *p)
{
    Position at = p->token.at;
    Expr *e, *a;
    bool negation;

    if (p->token.type != TOKEN_NOT && p->token.type != TOKEN_MINUS)
        return parse_operand(p);

    negation = p->token.type == TOKEN_NOT;
    cursor_advance(p);
    if (!cursor_deeper(p))
        return NULL;
    a = parse_operators(p, negation ? LEVEL_NOT : LEVEL_NEGATE);
    p->depth--;
    if (!a)
        return NULL;
    e = parse_new_expr(p, EXPR_UNARY, at);
    if (e)
        e->op = negation ? OPERATOR_NOT : OPERATOR_NEG;
    return with_operands(p, e, a, NULL, NULL);
}

/* Operators that bind at least as tightly as the level, from left to right. */
static Expr *parse_operators(Cursor *p, unsigned level)
{
    Expr *left = parse_prefix(p);
    bool compared = false;

    while (left) {
        Position at = p->token.at;
        Expr *e, *right;
        size_t i;

        for (i = 0; i < ELEMENTSOF(binary_operators); i++)
            if (binary_operators[i].token == p->token.type)
                break;
        if (i == ELEMENTSOF(binary_operators) || binary_operators[i].level < level)
            return left;
        if (binary_operators[i].level == LEVEL_COMPARE) {
            if (compared) {
                diagnostics_add(p->unit->diagnostics, at, "write a < b and b < c",
                                "comparisons can't be chained");
                return NULL;
            }
            compared = true;
        } else
            compared = false;

        cursor_advance(p);
        right = parse_operators(p, binary_operators[i].level + 1);
        if (!right)
            return NULL;
        e = parse_new_expr(p, EXPR_BINARY, at);
        if (e)
            e->op = binary_operators[i].op;
        left = with_operands(p, e, left, right, NULL);
    }
    return NULL;
}

Expr *parse_expr(Cursor *p)
{
    Expr *e;

    if (!cursor_deeper(p))
        return NULL;
    e = p->token.type == TOKEN_IF ? parse_if_expr(p) : parse_operators(p, 1);
    p->depth--;
    return e;
}
