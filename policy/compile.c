/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns statements into code. */
#include "policy/compile.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile-expr.h"
#include "policy/kinds.h"

static void compile_statements(Code *c, const Statement *s);

/* A function's code is where it is defined, with a jump over it. */
static void compile_function(Code *c, const Statement *s)
{
    Function *f = s->function;
    uint32_t over = code_emit(c, OP_JUMP, 0, 0, s->at), depth = c->depth, deepest = c->deepest;
    uint64_t cost = c->cost;

    c->depth = 0;
    c->deepest = 0;
    c->cost = 0;
    for (unsigned i = 0; i < f->n_parameters; i++) {
        f->guests[i] = compile_takes_guest(f->body, f->parameters[i]);
        if (!f->guests[i])
            f->parameters[i]->slot = f->n_values++;
    }
    f->entry = c->program->n_code;
    compile_expr(c, f->body);
    code_emit(c, OP_RETURN, (uint8_t) f->n_values, 0, s->at);
    f->n_stack = c->deepest;
    f->cost = c->cost;
    code_check_cost(c, s->name_at);
    code_land(c, over);

    c->depth = depth;
    c->deepest = deepest;
    c->cost = cost;
}

/* A turn that fails is undone, so an outer variable that it assigns to must be saved. */
static void save_slot(Code *c, Symbol *y)
{
    Program *p = c->program;

    if (!c->loop || y->loop != 0 || y->saved_by == c->loop_number)
        return;
    (void) CODE_APPEND(c, p->saved_slots, y->slot);
    y->saved_by = c->loop_number;
    c->loop->n_saved++;
}

/* ---- the variables of an assignment's expression ---- */

static void add_variable(Code *c, Assign *a, bool guest, uint32_t number, const Name *name, Kind kind)
{
    Program *p = c->program;
    Variable v = {.guest = guest, .number = number};

    if (a->n_variables >= POLICY_VALUES_MAX || kind == KIND_TEXT)
        return;
    for (uint32_t i = a->variables; i < p->variables.n; i++)
        if (p->variables.list[i].guest == guest && p->variables.list[i].number == number)
            return;
    v.unit = kind_to_unit(kind);
    v.name = code_text(c, name->text, name->length);
    (void) CODE_APPEND(c, p->variables, v);
    a->n_variables++;
}

/* Variables of an aggregate's guests have no single value. */
static void find_variables(Code *c, Assign *a, const Expr *e)
{
    if (!e || c->error < 0 || (e->type == EXPR_CALL && e->window))
        return;
    if (e->type == EXPR_NAME && (e->symbol->type == SYMBOL_LET || e->symbol->type == SYMBOL_STATE))
        add_variable(c, a, false, e->symbol->slot, e->name, e->symbol->kind);
    if (e->type == EXPR_FIELD && e->state && c->loop)
        add_variable(c, a, true, e->state->index, e->field, e->state->kind);
    for (const Expr *i = e->a; i; i = e->type == EXPR_CALL ? i->next : NULL)
        find_variables(c, a, i);
    find_variables(c, a, e->b);
    find_variables(c, a, e->c);
}

static void compile_control(Code *c, const Statement *s)
{
    Program *p = c->program;
    Assign a = {.because = NO_TEXT, .variables = p->variables.n};

    find_variables(c, &a, s->expr);
    if (s->because)
        a.because = code_text(c, s->because, s->because_length);
    code_emit(c, s->host ? OP_ASSIGN_HOST : OP_ASSIGN_GUEST, (uint8_t) s->index,
              CODE_APPEND(c, p->assigns, a), s->at);
    field_set_add(s->host ? &p->host_controls : &p->guest_controls, (int) s->index);
    if (c->loop)
        field_set_add(s->host ? &c->loop->host_controls : &c->loop->guest_controls, (int) s->index);
}

static void compile_assignment(Code *c, const Statement *s)
{
    compile_expr(c, s->expr);
    if (s->state) {
        code_emit(c, OP_SET_STATE, 0, s->state->index, s->at);
        c->loop->guest_states = true;
    } else if (s->field)
        compile_control(c, s);
    else {
        code_emit(c, OP_SET, 0, s->symbol->slot, s->at);
        save_slot(c, s->symbol);
    }
}

static void compile_log(Code *c, const Statement *s)
{
    Program *p = c->program;
    LogLine l = {.text = code_text(c, s->expr->text, s->expr->text_length)};
    unsigned n = 0;

    for (const Expr *e = s->expr->next; e; e = e->next) {
        compile_expr(c, e);
        l.units[n++] = kind_to_unit(e->kind);
    }
    code_emit(c, OP_LOG, (uint8_t) n, CODE_APPEND(c, p->logs, l), s->at);
}

static void compile_if(Code *c, const Statement *s)
{
    uint32_t otherwise, end;

    compile_expr(c, s->expr);
    otherwise = code_emit(c, OP_JUMP_UNLESS, 0, 0, s->at);
    compile_statements(c, s->body);
    if (!s->otherwise) {
        code_land(c, otherwise);
        return;
    }
    end = code_emit(c, OP_JUMP, 0, 0, s->at);
    code_land(c, otherwise);
    compile_statements(c, s->otherwise);
    code_land(c, end);
}

/* The loop's segments that select and order guests; the loop takes the values that they leave on the
 * stack. */
static void compile_selection(Code *c, const Statement *s, Loop *loop)
{
    Program *p = c->program;
    uint32_t depth = c->depth;

    loop->where = s->where ? p->n_code : NO_CODE;
    if (s->where) {
        compile_expr(c, s->where);
        code_emit(c, OP_END, 0, 0, s->where->at);
    }
    c->depth = depth;
    loop->by = s->by ? p->n_code : NO_CODE;
    for (const Key *k = s->by; k; k = k->next) {
        compile_expr(c, k->expr);
        if (k->descending)
            code_emit(c, OP_NEG, 0, 0, k->expr->at);
        loop->n_keys++;
    }
    if (s->by)
        code_emit(c, OP_END, 0, 0, s->by->expr->at);
    c->depth = depth;
}

static void compile_for(Code *c, const Statement *s)
{
    Program *p = c->program;
    Loop loop = {.saved = p->saved_slots.n};
    uint32_t number = CODE_APPEND(c, p->loops, loop);

    code_emit(c, OP_LOOP, 0, number, s->at);
    c->loop = &loop;
    c->loop_number = number + 1;
    compile_selection(c, s, &loop);
    loop.body = p->n_code;
    compile_statements(c, s->body);
    code_emit(c, OP_END, 0, 0, s->at);
    loop.next = p->n_code;
    c->loop = NULL;

    p->loops.n_saved_max = MAX(p->loops.n_saved_max, loop.n_saved);
    p->loops.n_keys_max = MAX(p->loops.n_keys_max, loop.n_keys);
    if (c->error >= 0)
        p->loops.list[number] = loop;
}

static void compile_statements(Code *c, const Statement *s)
{
    for (; s && c->error >= 0; s = s->next) {
        switch (s->type) {
        case STATEMENT_CONST: /* done before */
        case STATEMENT_STATE:
            break;
        case STATEMENT_LET:
            compile_expr(c, s->expr);
            code_emit(c, OP_SET, 0, s->symbol->slot, s->at);
            break;
        case STATEMENT_FUNCTION:
            compile_function(c, s);
            break;
        case STATEMENT_ASSIGN:
            compile_assignment(c, s);
            break;
        case STATEMENT_IF:
            compile_if(c, s);
            break;
        case STATEMENT_FOR:
            compile_for(c, s);
            break;
        case STATEMENT_LOG:
            compile_log(c, s);
            break;
        }
        code_check_cost(c, s->at);
    }
}

static void find_thresholds(const Unit *u, Program *p)
{
    static const char *const names[POLICY_THRESHOLD_MAX] = {
        [POLICY_THRESHOLD_PRESSURE] = "pressure_threshold",
        [POLICY_THRESHOLD_CRITICAL] = "critical_threshold",
        [POLICY_THRESHOLD_RELAX] = "relax_threshold",
    };

    for (size_t i = 0; i < POLICY_THRESHOLD_MAX; i++) {
        p->thresholds[i] = NO_SLOT;
        for (const Statement *s = u->statements; s; s = s->next)
            if ((s->type == STATEMENT_LET || s->type == STATEMENT_CONST) && name_is(s->name, names[i]))
                p->thresholds[i] = s->symbol->slot;
    }
}

/* Code that runs once, at load: constants and initial values of states. */
static void compile_initial(Code *c, const Statement *s)
{
    Program *p = c->program;
    State state;

    if (s->type != STATEMENT_CONST && s->type != STATEMENT_STATE)
        return;
    compile_expr(c, s->expr);
    if (s->type == STATEMENT_CONST) {
        code_emit(c, OP_SET, 0, s->symbol->slot, s->expr->at);
        return;
    }
    if (s->state)
        state = (State){.name = code_text(c, s->field->text, s->field->length),
                        .unit = kind_to_unit(s->state->kind),
                        .slot = c->unit->n_slots + s->state->index};
    else
        state = (State){.name = code_text(c, s->name->text, s->name->length),
                        .unit = kind_to_unit(s->symbol->kind),
                        .slot = s->symbol->slot};
    code_emit(c, OP_SET, 0, state.slot, s->expr->at);
    if (s->state)
        (void) CODE_APPEND(c, p->guest_states, state);
    else
        (void) CODE_APPEND(c, p->host_states, state);
}

int policy_compile(Unit *u, Program *p)
{
    Code c = {.unit = u, .program = p, .fallback = NO_FALLBACK};

    for (const Statement *s = u->statements; s; s = s->next)
        compile_initial(&c, s);
    code_emit(&c, OP_END, 0, 0, (Position){1, 1});
    p->main = p->n_code;
    c.cost = 0;
    compile_statements(&c, u->statements);
    code_emit(&c, OP_END, 0, 0, (Position){1, 1});
    if (c.error < 0)
        return c.error;

    p->n_stack = c.deepest;
    p->slots.n = u->n_slots + p->guest_states.n;
    p->slots.list = calloc(MAX(p->slots.n, 1U), sizeof(*p->slots.list));
    if (!p->slots.list)
        return -ENOMEM;
    find_thresholds(u, p);
    return 0;
}
