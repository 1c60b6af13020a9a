/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/parser.h"

#include <string.h>

#include "policy/lexer.h"

/* A statement ends with its line, unless what follows can't begin one (an operator, 'else', 'by', '{' …):
 * then it goes on. So the parser takes whatever fits, and asks for a new line only between statements.
 *
 *   statement = "const" name "=" expr | "let" name "=" expr
 *             | "fn" name "(" [name {"," name}] ")" "=" expr
 *             | name "=" expr | name "." name "=" expr ["because" text]
 *             | "if" expr block {"else" "if" expr block} ["else" block]
 *             | "for" name "in" "guests" ["where" expr] ["by" key {"," key}] block
 *   key       = expr ("asc" | "desc")
 *   block     = "{" {statement} "}"
 *   expr      = "if" expr "then" expr "else" expr | operators over operands
 *   operand   = literal | name | name "." name ["??" ["-"] operand] | name "(" [expr {"," expr}] ")" | "("
 * expr ")"
 */

typedef struct Parser {
    Unit *unit;
    Lexer lexer;
    Token token;  /* the one to be read */
    Position end; /* just behind the one before */
    unsigned depth;
    int error; /* -ENOMEM: everything ends */
} Parser;

static Expr *parse_expr(Parser *p);
static Statement *parse_block(Parser *p, bool told);

static void advance(Parser *p)
{
    p->end = (Position){p->token.at.line, p->token.at.column + (uint32_t) p->token.length};
    if (p->error >= 0)
        p->error = lexer_next(&p->lexer, &p->token);
    if (p->error < 0 || diagnostics_full(p->unit->diagnostics))
        p->token.type = TOKEN_END;
}

static bool accept(Parser *p, TokenType type)
{
    if (p->token.type != type)
        return false;
    advance(p);
    return true;
}

/* Tells what was expected: where the line ends too early, behind its last token. */
static void expected(Parser *p, const char *what, const char *hint)
{
    const Token *t = &p->token;

    if (t->type == TOKEN_END || t->newline)
        diagnostics_add(p->unit->diagnostics, p->end.line ? p->end : t->at, hint,
                        "expected %s before the end of the line", what);
    else if (t->type == TOKEN_TEXT)
        diagnostics_add(p->unit->diagnostics, t->at, hint, "expected %s, found text", what);
    else
        diagnostics_add(p->unit->diagnostics, t->at, hint, "expected %s, found '%.*s'", what,
                        (int) MIN(t->length, (size_t) 40), t->text);
}

static bool expect(Parser *p, TokenType type, const char *what)
{
    if (accept(p, type))
        return true;
    expected(p, what, NULL);
    return false;
}

static bool deeper(Parser *p)
{
    if (p->depth >= POLICY_DEPTH_MAX) {
        diagnostics_add(p->unit->diagnostics, p->token.at, "name a part of it with let",
                        "this is nested more than %u deep", POLICY_DEPTH_MAX);
        return false;
    }
    p->depth++;
    return true;
}

/* ---- expressions: each function returns NULL where it can't go on and has told why ---- */

static Expr *new_expr(Parser *p, ExprType type, Position at)
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
static Expr *with_operands(Parser *p, Expr *e, Expr *a, Expr *b, Expr *c)
{
    if (!e)
        return NULL;
    e->a = a;
    e->b = b;
    e->c = c;
    e->height = 1 + MAX(a->height, MAX(b ? b->height : 0, c ? c->height : 0));
    if (e->height > POLICY_DEPTH_MAX) {
        diagnostics_add(p->unit->diagnostics, e->at, "name a part of it with let",
                        "this expression has more than %u operations in a row", POLICY_DEPTH_MAX);
        return NULL;
    }
    return e;
}

static Expr *parse_if_expr(Parser *p)
{
    Position at = p->token.at;
    Expr *a, *b, *c;

    advance(p);
    a = parse_expr(p);
    if (!a || !expect(p, TOKEN_THEN, "'then'"))
        return NULL;
    b = parse_expr(p);
    if (!b || !expect(p, TOKEN_ELSE, "'else'"))
        return NULL;
    c = parse_expr(p);
    return c ? with_operands(p, new_expr(p, EXPR_IF, at), a, b, c) : NULL;
}

static Expr *parse_call(Parser *p, Name *name, Position at)
{
    Expr *e = new_expr(p, EXPR_CALL, at), **tail = e ? &e->a : NULL;

    advance(p);
    if (!e)
        return NULL;
    e->name = name;
    if (accept(p, TOKEN_RIGHT_PAREN))
        return e;
    do {
        *tail = parse_expr(p);
        if (!*tail)
            return NULL;
        e->height = MAX(e->height, (*tail)->height + 1);
        e->n_arguments++;
        tail = &(*tail)->next;
    } while (accept(p, TOKEN_COMMA));
    return expect(p, TOKEN_RIGHT_PAREN, "',' or ')'") ? e : NULL;
}

static Expr *parse_primary(Parser *p);
static Expr *parse_prefix(Parser *p);

static Expr *parse_field(Parser *p, Name *object, Position at)
{
    Expr *e, *fallback;

    advance(p);
    e = new_expr(p, EXPR_FIELD, at);
    if (!e)
        return NULL;
    e->name = object;
    e->field = p->token.name;
    e->field_at = p->token.at;
    if (!expect(p, TOKEN_NAME, "the name of a stat"))
        return NULL;

    at = p->token.at;
    if (!accept(p, TOKEN_DEFAULT))
        return e;
    fallback = !deeper(p) ? NULL : p->token.type == TOKEN_MINUS ? parse_prefix(p) : parse_primary(p);
    if (!fallback)
        return NULL;
    p->depth--;
    return with_operands(p, new_expr(p, EXPR_DEFAULT, at), e, fallback, NULL);
}

static Expr *parse_primary(Parser *p)
{
    Token t = p->token;
    Expr *e;

    switch (t.type) {
    case TOKEN_LITERAL:
        advance(p);
        e = new_expr(p, EXPR_LITERAL, t.at);
        if (e) {
            e->value = t.value;
            e->kind = t.kind;
        }
        return e;
    case TOKEN_NAME:
        advance(p);
        if (p->token.type == TOKEN_LEFT_PAREN && !p->token.newline)
            return parse_call(p, t.name, t.at);
        if (p->token.type == TOKEN_DOT)
            return parse_field(p, t.name, t.at);
        e = new_expr(p, EXPR_NAME, t.at);
        if (e)
            e->name = t.name;
        return e;
    case TOKEN_LEFT_PAREN:
        advance(p);
        e = parse_expr(p);
        return e && expect(p, TOKEN_RIGHT_PAREN, "')'") ? e : NULL;
    case TOKEN_GUESTS:
        diagnostics_add(p->unit->diagnostics, t.at, "for g in guests { ... }",
                        "'guests' goes into a for loop only");
        return NULL;
    default:
        expected(p, "a value", t.type == TOKEN_IF ? "put the 'if' and its values into parentheses" : NULL);
        return NULL;
    }
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

static Expr *parse_operators(Parser *p, unsigned level);

/* "not" and the sign, else an operand. */
static Expr *parse_prefix(Parser *p)
{
    Position at = p->token.at;
    Expr *e, *a;
    bool negation;

    if (p->token.type != TOKEN_NOT && p->token.type != TOKEN_MINUS)
        return parse_primary(p);

    negation = p->token.type == TOKEN_NOT;
    advance(p);
    if (!deeper(p))
        return NULL;
    a = parse_operators(p, negation ? LEVEL_NOT : LEVEL_NEGATE);
    p->depth--;
    if (!a)
        return NULL;
    e = new_expr(p, EXPR_UNARY, at);
    if (e)
        e->op = negation ? OPERATOR_NOT : OPERATOR_NEG;
    return with_operands(p, e, a, NULL, NULL);
}

/* Operators that bind at least as tightly as the level, from left to right. */
static Expr *parse_operators(Parser *p, unsigned level)
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
                diagnostics_add(p->unit->diagnostics, at, "a < b and b < c", "comparisons can't be chained");
                return NULL;
            }
            compared = true;
        } else
            compared = false;

        advance(p);
        right = parse_operators(p, binary_operators[i].level + 1);
        if (!right)
            return NULL;
        e = new_expr(p, EXPR_BINARY, at);
        if (e)
            e->op = binary_operators[i].op;
        left = with_operands(p, e, left, right, NULL);
    }
    return NULL;
}

static Expr *parse_expr(Parser *p)
{
    Expr *e;

    if (!deeper(p))
        return NULL;
    e = p->token.type == TOKEN_IF ? parse_if_expr(p) : parse_operators(p, 1);
    p->depth--;
    return e;
}

/* ---- statements ---- */

static bool begins_statement(const Token *t)
{
    switch (t->type) {
    case TOKEN_CONST:
    case TOKEN_LET:
    case TOKEN_FN:
    case TOKEN_IF:
    case TOKEN_FOR:
    case TOKEN_NAME:
        return true;
    default:
        return false;
    }
}

/* After an error: goes on to where a statement can begin or its block ends, or (block) to the '{' of the
 * statement that is being read. Blocks on the way are skipped whole. */
static void recover(Parser *p, bool block)
{
    unsigned braces = 0;

    while (p->token.type != TOKEN_END) {
        const Token *t = &p->token;

        if (t->type == TOKEN_LEFT_BRACE) {
            if (block && braces == 0)
                return;
            braces++;
        } else if (t->type == TOKEN_RIGHT_BRACE) {
            if (braces == 0)
                return;
            braces--;
        } else if (braces == 0 && (t->type == TOKEN_SEMICOLON || (t->newline && begins_statement(t))))
            return;
        advance(p);
    }
}

/* An expression of a statement, with recovery (block: to the '{' of the statement). */
static Expr *statement_expr(Parser *p, bool block)
{
    Position at = p->token.at;
    unsigned depth = p->depth;
    Expr *e;

    /* a value that was forgotten: the line that follows is left alone */
    if (p->token.newline && begins_statement(&p->token) && p->token.type != TOKEN_NAME &&
        p->token.type != TOKEN_IF) {
        expected(p, "a value", NULL);
        return new_expr(p, EXPR_ERROR, at);
    }
    e = parse_expr(p);
    if (e)
        return e;
    p->depth = depth;
    recover(p, block);
    return new_expr(p, EXPR_ERROR, at);
}

/* "name = expr" behind const and let. */
static void parse_declaration(Parser *p, Statement *s)
{
    advance(p);
    s->name = p->token.name;
    s->name_at = p->token.at;
    if (!expect(p, TOKEN_NAME, "a name") || !expect(p, TOKEN_ASSIGN, "'='")) {
        recover(p, false);
        s->expr = new_expr(p, EXPR_ERROR, s->at);
        return;
    }
    s->expr = statement_expr(p, false);
}

static bool parse_parameters(Parser *p, Statement *s)
{
    if (accept(p, TOKEN_RIGHT_PAREN))
        return true;
    do {
        if (s->n_parameters >= FUNCTION_PARAMETERS_MAX) {
            diagnostics_add(p->unit->diagnostics, p->token.at, NULL, "a function has at most %u parameters",
                            FUNCTION_PARAMETERS_MAX);
            return false;
        }
        s->parameters[s->n_parameters] = p->token.name;
        s->parameters_at[s->n_parameters] = p->token.at;
        if (!expect(p, TOKEN_NAME, "the name of a parameter"))
            return false;
        s->n_parameters++;
    } while (accept(p, TOKEN_COMMA));
    return expect(p, TOKEN_RIGHT_PAREN, "',' or ')'");
}

static void parse_function(Parser *p, Statement *s)
{
    advance(p);
    s->name = p->token.name;
    s->name_at = p->token.at;
    if (!expect(p, TOKEN_NAME, "a name") || !expect(p, TOKEN_LEFT_PAREN, "'('") || !parse_parameters(p, s))
        goto bad;
    if (p->token.type == TOKEN_LEFT_BRACE) {
        expected(p, "'='", "a function is one expression: fn half(x) = x / 2");
        goto bad;
    }
    if (!expect(p, TOKEN_ASSIGN, "'='"))
        goto bad;
    s->expr = statement_expr(p, false);
    return;
bad:
    recover(p, false);
    s->expr = new_expr(p, EXPR_ERROR, s->at);
}

static void parse_because(Parser *p, Statement *s)
{
    Token t;

    advance(p);
    t = p->token;
    if (!expect(p, TOKEN_TEXT, "text in double quotes"))
        return;
    if (!s->field)
        diagnostics_add(p->unit->diagnostics, t.at, NULL,
                        "only what is assigned to a control has a 'because'");
    else if (t.length > POLICY_BECAUSE_MAX || t.length == 0)
        diagnostics_add(p->unit->diagnostics, t.at, "it has to fit into a line of the log",
                        "the text of 'because' has 1 to %u letters", POLICY_BECAUSE_MAX);
    s->because = t.text;
    s->because_length = t.length;
}

static void parse_assignment(Parser *p, Statement *s)
{
    s->name = p->token.name;
    s->name_at = p->token.at;
    advance(p);
    if (accept(p, TOKEN_DOT)) {
        s->field = p->token.name;
        s->field_at = p->token.at;
        if (!expect(p, TOKEN_NAME, "the name of a control")) {
            s->field = NULL;
            goto bad;
        }
    }
    if (!accept(p, TOKEN_ASSIGN)) {
        expected(p, "'='", s->field ? NULL : "a statement is const, let, fn, if, for, or an assignment");
        goto bad;
    }
    s->expr = statement_expr(p, false);
    if (p->token.type == TOKEN_BECAUSE)
        parse_because(p, s);
    return;
bad:
    s->name = NULL; /* what it was meant to be isn't known */
    recover(p, false);
    s->expr = new_expr(p, EXPR_ERROR, s->at);
}

static void parse_if(Parser *p, Statement *s)
{
    advance(p);
    s->expr = statement_expr(p, true);
    if (p->token.type == TOKEN_ASSIGN) {
        expected(p, "'{'", "to compare, write ==");
        recover(p, true);
    }
    s->body = parse_block(p, !s->expr || s->expr->type == EXPR_ERROR);
    if (!accept(p, TOKEN_ELSE))
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
    if (!deeper(p)) {
        recover(p, false);
        s->otherwise = NULL;
        return;
    }
    parse_if(p, s->otherwise);
    p->depth--;
}

/* The values behind "by". Returns whether they could be read. */
static bool parse_keys(Parser *p, Key **tail)
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
                            "guests are ordered by at most %u values", POLICY_KEYS_MAX);
            recover(p, true);
            return false;
        }
        *tail = k;
        tail = &k->next;
        k->expr = statement_expr(p, true);
        if (!k->expr || k->expr->type == EXPR_ERROR)
            return false;
        k->descending = p->token.type == TOKEN_DESC;
        if (!accept(p, TOKEN_DESC) && !accept(p, TOKEN_ASC)) {
            expected(p, "'asc' or 'desc'", NULL);
            recover(p, true);
            return false;
        }
    } while (accept(p, TOKEN_COMMA));
    return true;
}

/* "where" and "by" of a loop. Returns whether they could be read. */
static bool parse_selection(Parser *p, Statement *s)
{
    if (accept(p, TOKEN_WHERE)) {
        s->where = statement_expr(p, true);
        if (!s->where || s->where->type == EXPR_ERROR)
            return false;
    }
    return !accept(p, TOKEN_BY) || parse_keys(p, &s->by);
}

static void parse_for(Parser *p, Statement *s)
{
    bool good = false;

    advance(p);
    s->name = p->token.name;
    s->name_at = p->token.at;
    if (!expect(p, TOKEN_NAME, "a name for the guest") || !expect(p, TOKEN_IN, "'in'"))
        recover(p, true);
    else if (!accept(p, TOKEN_GUESTS)) {
        expected(p, "'guests'", "the only loop is over guests: for g in guests { ... }");
        recover(p, true);
    } else
        good = parse_selection(p, s);
    s->body = parse_block(p, !good);
}

static Statement *parse_statement(Parser *p)
{
    Statement *s = arena_alloc(&p->unit->arena, sizeof(*s));

    if (!s) {
        p->error = -ENOMEM;
        p->token.type = TOKEN_END;
        return NULL;
    }
    s->at = p->token.at;
    s->index = -1;
    switch (p->token.type) {
    case TOKEN_CONST:
        s->type = STATEMENT_CONST;
        parse_declaration(p, s);
        return s;
    case TOKEN_LET:
        s->type = STATEMENT_LET;
        parse_declaration(p, s);
        return s;
    case TOKEN_FN:
        s->type = STATEMENT_FUNCTION;
        parse_function(p, s);
        return s;
    case TOKEN_NAME:
        s->type = STATEMENT_ASSIGN;
        parse_assignment(p, s);
        return s;
    case TOKEN_IF:
        s->type = STATEMENT_IF;
        parse_if(p, s);
        return s;
    case TOKEN_FOR:
        s->type = STATEMENT_FOR;
        parse_for(p, s);
        return s;
    default:
        expected(p, "a statement", NULL);
        recover(p, false);
        return NULL;
    }
}

/* Statements up to the '}' of their block, or to the end of the text. */
static Statement *parse_statements(Parser *p, bool block)
{
    Statement *first = NULL, **tail = &first;

    while (p->token.type != TOKEN_END) {
        Statement *s;

        if (accept(p, TOKEN_SEMICOLON))
            continue;
        if (p->token.type == TOKEN_RIGHT_BRACE) {
            if (block)
                break;
            diagnostics_add(p->unit->diagnostics, p->token.at, NULL, "there is no '{' to this '}'");
            advance(p);
            continue;
        }
        s = parse_statement(p);
        if (s) {
            *tail = s;
            tail = &s->next;
        }
        if (p->token.type != TOKEN_SEMICOLON && p->token.type != TOKEN_RIGHT_BRACE &&
            p->token.type != TOKEN_END && !p->token.newline) {
            expected(p, "a new line or ';'", NULL);
            recover(p, false);
        }
    }
    return first;
}

/* told: the statement's head couldn't be read, so no more is said where there is no '{'. */
static Statement *parse_block(Parser *p, bool told)
{
    Position at = p->token.at;
    Statement *first;

    if (!accept(p, TOKEN_LEFT_BRACE)) {
        if (!told)
            expected(p, "'{'", NULL);
        recover(p, false);
        return NULL;
    }
    if (!deeper(p)) {
        unsigned braces = 1;

        while (braces > 0 && p->token.type != TOKEN_END) {
            braces += p->token.type == TOKEN_LEFT_BRACE;
            braces -= p->token.type == TOKEN_RIGHT_BRACE;
            advance(p);
        }
        return NULL;
    }
    first = parse_statements(p, true);
    p->depth--;
    if (!accept(p, TOKEN_RIGHT_BRACE))
        diagnostics_add(p->unit->diagnostics, at, NULL, "there is no '}' to this '{'");
    return first;
}

int policy_parse(Unit *u)
{
    Parser p = {.unit = u, .lexer = LEXER_INIT(u)};

    advance(&p);
    p.end = (Position){};
    u->statements = parse_statements(&p, false);
    return p.error;
}
