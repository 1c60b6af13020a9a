/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks expressions, but for calls. */

#include <assert.h>

#include "policy/checking.h"

void check_not_constant(Checker *c, Position at, const char *what)
{
    if (c->constant->type == STATEMENT_CONST)
        check_error(c, at, "declare it with let instead", "a const can't depend on %s", what);
    else
        check_error(c, at, "start with a constant, and assign to it further down",
                    "the initial value of a state variable can't depend on %s", what);
}

static Kind check_name(Checker *c, Expr *e)
{
    char what[100]; /* a name has 64 letters */

    if (!e->symbol)
        e->symbol = e->name->symbol;
    if (!e->symbol) {
        check_unknown_name(c, e->name, e->at, UNKNOWN_VALUE);
        return KIND_ANY;
    }
    if (e->symbol->type == SYMBOL_FUNCTION) {
        check_error(c, e->at, NULL, "'%s' is a function: call it with its arguments in parentheses",
                    e->name->text);
        return KIND_ANY;
    }
    if (c->constant && e->symbol->type != SYMBOL_CONST) {
        (void) snprintf(what, sizeof(what), "'%s', which is not a const", e->name->text);
        check_not_constant(c, e->at, what);
        return KIND_ANY;
    }
    return e->symbol->kind;
}

/* Checks the name after "g." where g is a guest, or after "host.". */
static Kind check_member(Checker *c, Expr *e)
{
    const FieldInfo *info;

    if (!e->state && !e->host)
        e->state = check_find_guest_state(c, e->field);
    if (e->state)
        return e->state->kind;
    e->index = field_from_name(e->host, e->field);
    if (e->index < 0) {
        check_unknown_field(c, e->field, e->field_at, e->host, false);
        return KIND_ANY;
    }
    info = e->host ? host_field_info((HostField) e->index) : guest_field_info((GuestField) e->index);
    return kind_from_unit(info->unit);
}

static Kind check_field(Checker *c, Expr *e)
{
    bool function;

    e->host = name_is(e->name, "host");
    if (!e->host) {
        if (!e->symbol)
            e->symbol = e->name->symbol;
        if (!e->symbol) {
            check_unknown_name(c, e->name, e->at, UNKNOWN_OBJECT);
            return KIND_ANY;
        }
        function = e->symbol->type == SYMBOL_FUNCTION;
        if (function || (e->symbol->kind != KIND_GUEST && e->symbol->kind != KIND_ANY)) {
            check_error(c, e->at, "only host and the guest of a loop have stats",
                        "'%s' is %s: it has no stats", e->name->text,
                        function ? "a function" : kind_describe(e->symbol->kind));
            return KIND_ANY;
        }
        if (e->symbol->type != SYMBOL_GUEST && e->symbol->type != SYMBOL_PARAMETER)
            return KIND_ANY; /* its declaration had an error */
    }
    if (c->constant) {
        check_not_constant(c, e->at, "a stat");
        return KIND_ANY;
    }
    return check_member(c, e);
}

static Kind check_unary(Checker *c, Expr *e)
{
    Kind k = check_expr(c, e->a);

    if (e->op == OPERATOR_NOT) {
        if (k != KIND_BOOLEAN && k != KIND_ANY)
            check_error(c, e->at, NULL, "'not' needs a boolean, but this is %s", kind_describe(k));
        return KIND_BOOLEAN;
    }
    if (!kind_is_quantity(k)) {
        check_error(c, e->at, NULL, "'-' needs a number, bytes, a duration or a rate, but this is %s",
                    kind_describe(k));
        return KIND_ANY;
    }
    return k;
}

/* g.mode == auto: a word compared with text was meant as text. */
static void check_bare_word(Checker *c, const Expr *text, Expr *word)
{
    char hint[128];

    if (text->kind != KIND_TEXT || word->type != EXPR_NAME || word->symbol || word->name->symbol ||
        word->name->told)
        return;
    (void) snprintf(hint, sizeof(hint), "write text in double quotes: \"%s\"", word->name->text);
    check_error(c, word->at, hint, "unknown name '%s'", word->name->text);
    word->name->told = true;
}

/* Text is compared by different code, and a function has the same code for all its calls. */
static void check_comparison(Checker *c, Expr *e, Kind k)
{
    if (k == KIND_ANY)
        return;
    if (e->compares == KIND_ANY)
        e->compares = k;
    else if ((e->compares == KIND_TEXT) != (k == KIND_TEXT))
        check_error(c, e->at, "write one function for text and another for the rest",
                    "'%s' compares text in one call and something else in another",
                    operator_to_string(e->op));
}

static Kind check_binary(Checker *c, Expr *e)
{
    bool equality = e->op == OPERATOR_EQ || e->op == OPERATOR_NE;
    Kind a = check_expr(c, e->a), b, result;

    if (equality)
        check_bare_word(c, e->a, e->b);
    b = check_expr(c, e->b);
    result = kind_of_operation(e->op, a, b);
    if (equality && result != KIND_INVALID)
        check_comparison(c, e, a == KIND_ANY ? b : a);
    if (result != KIND_INVALID)
        return result;
    if (e->op == OPERATOR_AND || e->op == OPERATOR_OR)
        check_error(c, e->at, NULL, "'%s' needs booleans on both sides, but this is %s",
                    operator_to_string(e->op), kind_describe(a != KIND_BOOLEAN && a != KIND_ANY ? a : b));
    else
        check_error(c, e->at, kind_hint(a, b), "'%s' can't combine %s and %s", operator_to_string(e->op),
                    kind_describe(a), kind_describe(b));
    return kind_of_operation(e->op, KIND_ANY, KIND_ANY);
}

/* Two values of which one is used: they must be of one kind. */
static Kind check_either(Checker *c, const Expr *e, Kind a, Kind b, const char *what)
{
    if (a == KIND_GUEST || b == KIND_GUEST || (a != b && a != KIND_ANY && b != KIND_ANY)) {
        check_error(c, e->at, kind_hint(a, b), "%s must be of one kind, but these are %s and %s", what,
                    kind_describe(a), kind_describe(b));
        return KIND_ANY;
    }
    return a == KIND_ANY ? b : a;
}

/* A default for a value that is never missing does nothing: the author meant something else. */
static void check_may_be_missing(Checker *c, const Expr *e)
{
    const Expr *a = e->a;

    if (a->type == EXPR_LITERAL || a->type == EXPR_TEXT)
        check_error(c, e->at, NULL, "a literal is never missing: remove the '\?\?'");
    else if (a->type == EXPR_FIELD && a->state)
        check_error(c, e->at, NULL, "a state variable is never missing: remove the '\?\?'");
    else if (a->type == EXPR_NAME && a->symbol)
        check_error(c, e->at, "write it right after the stat: host.swap_free ?? 0B",
                    "'%s' has its value already: '\?\?' comes too late", a->name->text);
}

static Kind check_default(Checker *c, Expr *e)
{
    Kind a = check_expr(c, e->a), b = check_expr(c, e->b);

    check_may_be_missing(c, e);
    if (a == KIND_RATE && b == KIND_BYTES) { /* it binds tighter than the division by a duration */
        check_error(c, e->at, "write a rate after it in parentheses: \?\? (0B / 1s)",
                    "a value and its default must be of one kind, but these are %s and %s", kind_describe(a),
                    kind_describe(b));
        return KIND_ANY;
    }
    return check_either(c, e, a, b, "a value and its default");
}

static Kind check_if(Checker *c, Expr *e)
{
    Kind a, b;

    check_condition(c, e->a);
    a = check_expr(c, e->b);
    b = check_expr(c, e->c);
    return check_either(c, e, a, b, "the values after 'then' and 'else'");
}

static Kind find_kind(Checker *c, Expr *e)
{
    switch (e->type) {
    case EXPR_ERROR:
        return KIND_ANY;
    case EXPR_LITERAL:
        return e->kind;
    case EXPR_TEXT:
        return KIND_TEXT;
    case EXPR_NAME:
        return check_name(c, e);
    case EXPR_FIELD:
        return check_field(c, e);
    case EXPR_CALL:
        return check_call(c, e);
    case EXPR_UNARY:
        return check_unary(c, e);
    case EXPR_BINARY:
        return check_binary(c, e);
    case EXPR_IF:
        return check_if(c, e);
    case EXPR_DEFAULT:
        return check_default(c, e);
    case EXPR_AGGREGATE:
        return check_aggregate(c, e);
    }
    assert(false);
    return KIND_ANY;
}

Kind check_expr(Checker *c, Expr *e)
{
    if (!e || c->error < 0 || diagnostics_full(c->unit->diagnostics))
        return KIND_ANY;
    return e->kind = find_kind(c, e);
}

Kind check_value(Checker *c, Expr *e)
{
    Kind k = check_expr(c, e);

    if (k == KIND_GUEST) {
        check_error(c, e->at, "use one of its stats: g.free", "a guest is not a value");
        return KIND_ANY;
    }
    return k;
}

void check_condition(Checker *c, Expr *e)
{
    Kind k = e ? check_expr(c, e) : KIND_ANY;

    if (k != KIND_BOOLEAN && k != KIND_ANY)
        check_error(c, e->at, NULL, "a condition must be a boolean, but this is %s", kind_describe(k));
}
