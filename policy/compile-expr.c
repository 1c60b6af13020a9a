/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns expressions into code. */
#include "policy/compile-expr.h"

#include <assert.h>

#include "policy/kinds.h"

static void compile_constant(Code *c, double value, Position at)
{
    Program *p = c->program;

    code_emit(c, OP_CONSTANT, 0, CODE_APPEND(c, p->constants, value), at);
}

static void compile_name(Code *c, const Expr *e)
{
    const Symbol *y = e->symbol;

    if (e->kind == KIND_GUEST) /* passed to a function that does not use it */
        compile_constant(c, 0, e->at);
    else if (y->type == SYMBOL_PARAMETER)
        code_emit(c, OP_PARAMETER, 0, y->slot, e->at);
    else
        code_emit(c, OP_SLOT, 0, y->slot, e->at);
}

static void compile_field(Code *c, const Expr *e)
{
    const FieldInfo *info;
    Operation op;

    if (e->state) {
        code_emit(c, OP_GUEST_STATE, 0, e->state->index, e->field_at);
        return;
    }
    info = e->host ? host_field_info((HostField) e->index) : guest_field_info((GuestField) e->index);
    if (e->host)
        op = info->kind == FIELD_KIND_CONTROL ? OP_HOST_CONTROL : OP_HOST;
    else
        op = info->unit == FIELD_UNIT_TEXT      ? OP_GUEST_TEXT
             : info->kind == FIELD_KIND_CONTROL ? OP_GUEST_CONTROL
                                                : OP_GUEST;
    code_emit(c, op, (uint8_t) e->index, 0, e->field_at);
}

/* The code of the default follows a jump. A missing stat within the value finds it by the instruction's
 * site. */
static void compile_default(Code *c, const Expr *e)
{
    Program *p = c->program;
    uint32_t outer = c->fallback, jump, number = CODE_APPEND(c, p->fallbacks, (Fallback){.depth = c->depth});

    c->fallback = number;
    compile_expr(c, e->a);
    c->fallback = outer;
    jump = code_emit(c, OP_JUMP, 0, 0, e->at);
    c->depth--; /* only one of the two values is on the stack */
    if (c->error < 0)
        return;
    p->fallbacks.list[number].target = p->n_code;
    compile_expr(c, e->b);
    code_land(c, jump);
}

static void compile_window(Code *c, const Expr *e)
{
    static const SeriesFunction functions[] = {[BUILTIN_AVG] = SERIES_AVG,
                                               [BUILTIN_MIN] = SERIES_MIN,
                                               [BUILTIN_MAX] = SERIES_MAX,
                                               [BUILTIN_RATE] = SERIES_RATE};
    Program *p = c->program;
    const Expr *window = e->a->next;
    Window w = {.function = functions[e->builtin],
                .host = e->a->host,
                .field = e->a->index,
                .at = window->at,
                .slot = NO_SLOT};

    if (window->type == EXPR_LITERAL)
        w.usec = window->value;
    else
        w.slot = window->symbol->slot;
    code_emit(c, OP_WINDOW, 0, CODE_APPEND(c, p->windows, w), e->at);
    c->cost += POLICY_WINDOW_COST - 1;
}

static void compile_builtin(Code *c, const Expr *e)
{
    static const Operation builtins[] = {
        [BUILTIN_MIN] = OP_MIN, [BUILTIN_MAX] = OP_MAX,     [BUILTIN_CLAMP] = OP_CLAMP,
        [BUILTIN_ABS] = OP_ABS, [BUILTIN_ROUND] = OP_ROUND, [BUILTIN_MATCHES] = OP_MATCHES};
    bool fold = e->builtin == BUILTIN_MIN || e->builtin == BUILTIN_MAX;

    for (const Expr *a = e->a; a; a = a->next) {
        compile_expr(c, a);
        if (fold && a != e->a)
            code_emit(c, builtins[e->builtin], 0, 0, e->at);
    }
    if (!fold)
        code_emit(c, builtins[e->builtin], 0, 0, e->at);
}

bool compile_takes_guest(const Expr *e, const Symbol *parameter)
{
    const Function *f;
    unsigned n = 0;

    if (!e)
        return false;
    if (e->type == EXPR_FIELD)
        return e->symbol == parameter;
    f = e->type == EXPR_CALL && e->symbol ? e->symbol->function : NULL;
    for (const Expr *a = e->a; a; a = e->type == EXPR_CALL ? a->next : NULL, n++)
        if (f && f->guests[n] && a->type == EXPR_NAME ? a->symbol == parameter
                                                      : compile_takes_guest(a, parameter))
            return true;
    return compile_takes_guest(e->b, parameter) || compile_takes_guest(e->c, parameter);
}

static void compile_call(Code *c, const Expr *e)
{
    const Function *f;
    unsigned n = 0;

    if (e->window) {
        compile_window(c, e);
        return;
    }
    if (e->builtin != BUILTIN_NONE) {
        compile_builtin(c, e);
        return;
    }
    f = e->symbol->function;
    for (const Expr *a = e->a; a; a = a->next)
        if (!f->guests[n++])
            compile_expr(c, a);
    c->deepest = MAX(c->deepest, c->depth + f->n_stack);
    c->cost += f->cost;
    code_emit(c, OP_CALL, (uint8_t) f->n_values, f->entry, e->at);
    code_check_cost(c, e->at);
}

/* A segment of code for each guest, whose stack begins above the current one. NO_CODE without an
 * expression. */
static uint32_t compile_segment(Code *c, const Expr *e)
{
    uint32_t begin = c->program->n_code;

    if (!e)
        return NO_CODE;
    compile_expr(c, e);
    code_emit(c, OP_END, 0, 0, e->at);
    c->depth = 0;
    return begin;
}

static void compile_aggregate(Code *c, const Expr *e)
{
    static const AggregateFunction functions[] = {
        [BUILTIN_SUM] = AGGREGATE_SUM, [BUILTIN_COUNT] = AGGREGATE_COUNT, [BUILTIN_ANY] = AGGREGATE_ANY,
        [BUILTIN_ALL] = AGGREGATE_ALL, [BUILTIN_MIN] = AGGREGATE_MIN,     [BUILTIN_MAX] = AGGREGATE_MAX,
        [BUILTIN_AVG] = AGGREGATE_AVG};
    Program *p = c->program;
    uint32_t depth = c->depth, deepest, fallback = c->fallback, number;
    Aggregate a = {.function = functions[e->builtin]};

    number = CODE_APPEND(c, p->aggregates, a);
    code_emit(c, OP_AGGREGATE, 0, number, e->at);
    deepest = c->deepest;

    c->depth = c->deepest = 0;
    c->fallback = NO_FALLBACK; /* a guest that lacks a stat is left out, whatever encloses this */
    a.where = compile_segment(c, e->b);
    a.value = compile_segment(c, e->counted ? NULL : e->a);
    a.next = p->n_code;

    c->deepest = MAX(deepest, depth + c->deepest);
    c->depth = depth + 1;
    c->fallback = fallback;
    if (c->error >= 0)
        p->aggregates.list[number] = a;
    code_check_cost(c, e->at);
}

static void compile_binary(Code *c, const Expr *e)
{
    static const Operation operations[] = {
        [OPERATOR_EQ] = OP_EQ,   [OPERATOR_NE] = OP_NE,   [OPERATOR_LT] = OP_LT,   [OPERATOR_LE] = OP_LE,
        [OPERATOR_GT] = OP_GT,   [OPERATOR_GE] = OP_GE,   [OPERATOR_ADD] = OP_ADD, [OPERATOR_SUB] = OP_SUB,
        [OPERATOR_MUL] = OP_MUL, [OPERATOR_DIV] = OP_DIV,
    };
    Operation op = operations[e->op];

    compile_expr(c, e->a);
    if (e->op == OPERATOR_AND || e->op == OPERATOR_OR) {
        uint32_t jump = code_emit(c, e->op == OPERATOR_AND ? OP_AND : OP_OR, 0, 0, e->at);

        compile_expr(c, e->b);
        code_land(c, jump);
        return;
    }
    compile_expr(c, e->b);
    if (e->compares == KIND_TEXT)
        op = op == OP_EQ ? OP_EQ_TEXT : OP_NE_TEXT;
    code_emit(c, op, 0, 0, e->at);
}

static void compile_if_expr(Code *c, const Expr *e)
{
    uint32_t otherwise, end;

    compile_expr(c, e->a);
    otherwise = code_emit(c, OP_JUMP_UNLESS, 0, 0, e->at);
    compile_expr(c, e->b);
    end = code_emit(c, OP_JUMP, 0, 0, e->at);
    code_land(c, otherwise);
    c->depth--; /* only one of the two values is on the stack */
    compile_expr(c, e->c);
    code_land(c, end);
}

void compile_expr(Code *c, const Expr *e)
{
    if (c->error < 0)
        return;
    switch (e->type) {
    case EXPR_LITERAL:
        compile_constant(c, e->value, e->at);
        return;
    case EXPR_TEXT:
        code_emit(c, OP_TEXT, 0, code_text(c, e->text, e->text_length), e->at);
        return;
    case EXPR_NAME:
        compile_name(c, e);
        return;
    case EXPR_FIELD:
        compile_field(c, e);
        return;
    case EXPR_CALL:
        compile_call(c, e);
        return;
    case EXPR_UNARY:
        compile_expr(c, e->a);
        code_emit(c, e->op == OPERATOR_NOT ? OP_NOT : OP_NEG, 0, 0, e->at);
        return;
    case EXPR_BINARY:
        compile_binary(c, e);
        return;
    case EXPR_IF:
        compile_if_expr(c, e);
        return;
    case EXPR_DEFAULT:
        compile_default(c, e);
        return;
    case EXPR_AGGREGATE:
        compile_aggregate(c, e);
        return;
    case EXPR_ERROR:
        break;
    }
    assert(false);
}
