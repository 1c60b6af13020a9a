/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/compile.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compiler.h"
#include "policy/kinds.h"

/* ---- what is made ---- */

/* An array is full where it has 16, 32, 64, ... elements. */
bool compiler_reserve(Compiler *c, void **array, size_t n, size_t size)
{
    void *p;

    if (c->error < 0)
        return false;
    if (n > 0 && (n < 16 || (n & (n - 1)) != 0))
        return true;
    p = reallocarray(*array, n > 0 ? n * 2 : 16, size);
    if (!p) {
        c->error = -ENOMEM;
        return false;
    }
    *array = p;
    return true;
}

/* How many values the operation leaves on the stack more than it finds. */
static int stack_effect(Operation op, uint8_t field)
{
    switch (op) {
    case OP_CONSTANT:
    case OP_TEXT:
    case OP_SLOT:
    case OP_PARAMETER:
    case OP_HOST:
    case OP_HOST_CONTROL:
    case OP_GUEST:
    case OP_GUEST_CONTROL:
    case OP_GUEST_TEXT:
    case OP_GUEST_STATE:
    case OP_WINDOW:
    case OP_AGGREGATE:
        return 1;
    case OP_SET:
    case OP_SET_STATE:
    case OP_ASSIGN_HOST:
    case OP_ASSIGN_GUEST:
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_MIN:
    case OP_MAX:
    case OP_ROUND:
    case OP_MATCHES:
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE:
    case OP_EQ:
    case OP_NE:
    case OP_EQ_TEXT:
    case OP_NE_TEXT:
    case OP_JUMP_UNLESS:
    case OP_AND: /* where it doesn't jump; at its target the other value has been pushed, too */
    case OP_OR:
        return -1;
    case OP_CLAMP:
        return -2;
    case OP_CALL:
        return 1 - (int) field;
    case OP_LOG:
        return -(int) field;
    case OP_END:
    case OP_NEG:
    case OP_NOT:
    case OP_ABS:
    case OP_JUMP:
    case OP_RETURN:
    case OP_LOOP:
        return 0;
    }
    assert(false);
    return 0;
}

uint32_t emit(Compiler *c, Operation op, uint8_t field, uint32_t arg, Position at)
{
    Program *p = c->program;

    if (!compiler_reserve(c, (void **) &p->code, p->n_code, sizeof(*p->code)) ||
        !compiler_reserve(c, (void **) &p->sites, p->n_code, sizeof(*p->sites)))
        return 0;
    p->code[p->n_code] = (Instruction){.op = (uint8_t) op, .field = field, .arg = arg};
    p->sites[p->n_code] = (Site){.at = at, .fallback = c->fallback};

    c->depth = (uint32_t) ((int) c->depth + stack_effect(op, field));
    c->deepest = MAX(c->deepest, c->depth);
    c->cost++;
    return p->n_code++;
}

void land(Compiler *c, uint32_t jump)
{
    if (c->error >= 0)
        c->program->code[jump].arg = c->program->n_code;
}

void check_cost(Compiler *c, Position at)
{
    if (c->cost <= POLICY_COST_MAX || c->costly)
        return;
    c->costly = true;
    diagnostics_add(c->unit->diagnostics, at, "it has to be done for every guest in every cycle",
                    "this takes more than %u operations", POLICY_COST_MAX);
    c->error = -EINVAL;
}

uint32_t compiler_text(Compiler *c, const char *text, size_t length)
{
    Program *p = c->program;
    char *copy;

    if (!compiler_reserve(c, (void **) &p->texts, p->n_texts, sizeof(*p->texts)))
        return NO_TEXT;
    copy = strndup(text, length);
    if (!copy) {
        c->error = -ENOMEM;
        return NO_TEXT;
    }
    p->texts[p->n_texts] = copy;
    return p->n_texts++;
}

/* ---- statements ---- */

static void compile_statements(Compiler *c, const Statement *s);

/* A function's code goes where it is defined, out of the way. */
static void compile_function(Compiler *c, const Statement *s)
{
    Function *f = s->function;
    uint32_t over = emit(c, OP_JUMP, 0, 0, s->at), depth = c->depth, deepest = c->deepest;
    uint64_t cost = c->cost;

    c->depth = 0;
    c->deepest = 0;
    c->cost = 0;
    for (unsigned i = 0; i < f->n_parameters; i++) {
        f->guests[i] = takes_guest(f->body, f->parameters[i]);
        if (!f->guests[i])
            f->parameters[i]->slot = f->n_values++;
    }
    f->entry = c->program->n_code;
    compile_expr(c, f->body);
    emit(c, OP_RETURN, (uint8_t) f->n_values, 0, s->at);
    f->n_stack = c->deepest;
    f->cost = c->cost;
    check_cost(c, s->name_at);
    land(c, over);

    c->depth = depth;
    c->deepest = deepest;
    c->cost = cost;
}

/* A turn that fails gives back what it took: a variable of outside that it assigns to has to be saved. */
static void save_slot(Compiler *c, Symbol *y)
{
    Program *p = c->program;

    if (!c->loop || y->loop != 0 || y->saved_by == c->loop_number)
        return;
    (void) APPEND(c, p->saved_slots, p->n_saved_slots, y->slot);
    y->saved_by = c->loop_number;
    c->loop->n_saved++;
}

/* ---- the variables of an assignment's expression ---- */

static void add_variable(Compiler *c, Assign *a, bool guest, uint32_t number, const Name *name, Kind kind)
{
    Program *p = c->program;
    Variable v = {.guest = guest, .number = number};

    if (a->n_variables >= POLICY_VALUES_MAX || kind == KIND_TEXT)
        return;
    for (uint32_t i = a->variables; i < p->n_variables; i++)
        if (p->variables[i].guest == guest && p->variables[i].number == number)
            return;
    v.unit = unit_from_kind(kind);
    v.name = compiler_text(c, name->text, name->length);
    (void) APPEND(c, p->variables, p->n_variables, v);
    a->n_variables++;
}

/* Those of an aggregate's guests have no one value. */
static void find_variables(Compiler *c, Assign *a, const Expr *e)
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

static void compile_control(Compiler *c, const Statement *s)
{
    Program *p = c->program;
    uint64_t bit = UINT64_C(1) << s->index;
    Assign a = {.because = NO_TEXT, .variables = p->n_variables};

    find_variables(c, &a, s->expr);
    if (s->because)
        a.because = compiler_text(c, s->because, s->because_length);
    emit(c, s->host ? OP_ASSIGN_HOST : OP_ASSIGN_GUEST, (uint8_t) s->index,
         APPEND(c, p->assigns, p->n_assigns, a), s->at);
    if (!s->host)
        p->guest_controls |= bit;
    else {
        p->host_controls |= bit;
        if (c->loop)
            c->loop->host_controls |= bit;
    }
}

static void compile_assignment(Compiler *c, const Statement *s)
{
    compile_expr(c, s->expr);
    if (s->state) {
        emit(c, OP_SET_STATE, 0, s->state->index, s->at);
        c->loop->guest_states = true;
    } else if (s->field)
        compile_control(c, s);
    else {
        emit(c, OP_SET, 0, s->symbol->slot, s->at);
        save_slot(c, s->symbol);
    }
}

static void compile_log(Compiler *c, const Statement *s)
{
    Program *p = c->program;
    LogLine l = {.text = compiler_text(c, s->expr->text, s->expr->text_length)};
    unsigned n = 0;

    for (const Expr *e = s->expr->next; e; e = e->next) {
        compile_expr(c, e);
        l.units[n++] = unit_from_kind(e->kind);
    }
    emit(c, OP_LOG, (uint8_t) n, APPEND(c, p->logs, p->n_logs, l), s->at);
}

static void compile_if(Compiler *c, const Statement *s)
{
    uint32_t otherwise, end;

    compile_expr(c, s->expr);
    otherwise = emit(c, OP_JUMP_UNLESS, 0, 0, s->at);
    compile_statements(c, s->body);
    if (!s->otherwise) {
        land(c, otherwise);
        return;
    }
    end = emit(c, OP_JUMP, 0, 0, s->at);
    land(c, otherwise);
    compile_statements(c, s->otherwise);
    land(c, end);
}

/* The loop's segments that select and order guests; what they leave on the stack is taken by the loop. */
static void compile_selection(Compiler *c, const Statement *s, Loop *loop)
{
    Program *p = c->program;
    uint32_t depth = c->depth;

    loop->where = s->where ? p->n_code : NO_CODE;
    if (s->where) {
        compile_expr(c, s->where);
        emit(c, OP_END, 0, 0, s->where->at);
    }
    c->depth = depth;
    loop->by = s->by ? p->n_code : NO_CODE;
    for (const Key *k = s->by; k; k = k->next) {
        compile_expr(c, k->expr);
        if (k->descending)
            emit(c, OP_NEG, 0, 0, k->expr->at);
        loop->n_keys++;
    }
    if (s->by)
        emit(c, OP_END, 0, 0, s->by->expr->at);
    c->depth = depth;
}

static void compile_for(Compiler *c, const Statement *s)
{
    Program *p = c->program;
    Loop loop = {.saved = p->n_saved_slots};
    uint32_t number = APPEND(c, p->loops, p->n_loops, loop);

    emit(c, OP_LOOP, 0, number, s->at);
    c->loop = &loop;
    c->loop_number = number + 1;
    compile_selection(c, s, &loop);
    loop.body = p->n_code;
    compile_statements(c, s->body);
    emit(c, OP_END, 0, 0, s->at);
    loop.next = p->n_code;
    c->loop = NULL;

    p->n_saved_max = MAX(p->n_saved_max, loop.n_saved);
    p->n_keys_max = MAX(p->n_keys_max, loop.n_keys);
    if (c->error >= 0)
        p->loops[number] = loop;
}

static void compile_statements(Compiler *c, const Statement *s)
{
    for (; s && c->error >= 0; s = s->next) {
        switch (s->type) {
        case STATEMENT_CONST: /* done before */
        case STATEMENT_STATE:
            break;
        case STATEMENT_LET:
            compile_expr(c, s->expr);
            emit(c, OP_SET, 0, s->symbol->slot, s->at);
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
        check_cost(c, s->at);
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

/* What is worked out once, at load: constants and what states begin with. */
static void compile_initial(Compiler *c, const Statement *s)
{
    Program *p = c->program;
    State state;

    if (s->type != STATEMENT_CONST && s->type != STATEMENT_STATE)
        return;
    compile_expr(c, s->expr);
    if (s->type == STATEMENT_CONST) {
        emit(c, OP_SET, 0, s->symbol->slot, s->expr->at);
        return;
    }
    if (s->state)
        state = (State){.name = compiler_text(c, s->field->text, s->field->length),
                        .unit = unit_from_kind(s->state->kind),
                        .slot = c->unit->n_slots + s->state->index};
    else
        state = (State){.name = compiler_text(c, s->name->text, s->name->length),
                        .unit = unit_from_kind(s->symbol->kind),
                        .slot = s->symbol->slot};
    emit(c, OP_SET, 0, state.slot, s->expr->at);
    if (s->state)
        (void) APPEND(c, p->guest_states, p->n_guest_states, state);
    else
        (void) APPEND(c, p->host_states, p->n_host_states, state);
}

int policy_compile(Unit *u, Program *p)
{
    Compiler c = {.unit = u, .program = p, .fallback = NO_FALLBACK};

    for (const Statement *s = u->statements; s; s = s->next)
        compile_initial(&c, s);
    emit(&c, OP_END, 0, 0, (Position){1, 1});
    p->main = p->n_code;
    c.cost = 0;
    compile_statements(&c, u->statements);
    emit(&c, OP_END, 0, 0, (Position){1, 1});
    if (c.error < 0)
        return c.error;

    p->n_stack = c.deepest;
    p->n_slots = u->n_slots + p->n_guest_states;
    p->slots = calloc(MAX(p->n_slots, 1U), sizeof(*p->slots));
    if (!p->slots)
        return -ENOMEM;
    find_thresholds(u, p);
    return 0;
}
