/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/compile.h"

#include <assert.h>
#include <string.h>

#include "policy/kinds.h"

typedef struct Compiler {
    Unit *unit;
    Program *program;
    size_t allocated_code, allocated_positions, allocated_constants, allocated_texts, allocated_loops,
        allocated_saved;
    uint32_t depth, deepest; /* of the stack, here and so far in this function */
    uint64_t cost;           /* of this function so far */
    unsigned n_parameters;   /* of the function that is being compiled */
    Loop *loop;              /* that is being compiled; NULL: none */
    uint32_t loop_number;
    bool costly; /* told */
    int error;
} Compiler;

static void compile_expr(Compiler *c, const Expr *e);

/* Makes room for one more element. */
static bool reserve(Compiler *c, void **array, size_t *allocated, size_t n, size_t size)
{
    size_t want = *allocated ? *allocated * 2 : 16;
    void *p;

    if (c->error < 0)
        return false;
    if (n < *allocated)
        return true;
    p = reallocarray(*array, want, size);
    if (!p) {
        c->error = -ENOMEM;
        return false;
    }
    *array = p;
    *allocated = want;
    return true;
}

#define RESERVE(c, array, allocated, n) reserve(c, (void **) &(array), &(c)->allocated, n, sizeof((array)[0]))

/* How many values the operation leaves on the stack more than it finds. */
static int stack_effect(Operation op, uint8_t field)
{
    switch (op) {
    case OP_CONSTANT:
    case OP_SLOT:
    case OP_PARAMETER:
    case OP_HOST:
    case OP_GUEST:
    case OP_CONTROL:
        return 1;
    case OP_SET:
    case OP_ASSIGN:
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_MIN:
    case OP_MAX:
    case OP_ROUND:
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE:
    case OP_EQ:
    case OP_NE:
    case OP_JUMP_UNLESS:
    case OP_AND:
    case OP_OR:
        return -1;
    case OP_CLAMP:
        return -2;
    case OP_CALL:
        return 1 - (int) field;
    case OP_END:
    case OP_HOST_OR: /* where it doesn't jump; at its target the default has been pushed, too */
    case OP_GUEST_OR:
    case OP_CONTROL_OR:
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

/* Adds an instruction. Returns its number, to patch a jump later. */
static uint32_t emit(Compiler *c, Operation op, uint8_t field, uint32_t arg, Position at)
{
    Program *p = c->program;

    if (!RESERVE(c, p->code, allocated_code, p->n_code) ||
        !RESERVE(c, p->positions, allocated_positions, p->n_code))
        return 0;
    p->code[p->n_code] = (Instruction){.op = (uint8_t) op, .field = field, .arg = arg};
    p->positions[p->n_code] = at;

    c->depth = (uint32_t) ((int) c->depth + stack_effect(op, field));
    c->deepest = MAX(c->deepest, c->depth);
    c->cost++;
    return p->n_code++;
}

/* Lets the jump go to the next instruction. */
static void land(Compiler *c, uint32_t jump)
{
    if (c->error >= 0)
        c->program->code[jump].arg = c->program->n_code;
}

static void check_cost(Compiler *c, Position at)
{
    if (c->cost <= POLICY_COST_MAX || c->costly)
        return;
    c->costly = true;
    diagnostics_add(c->unit->diagnostics, at, "it has to be done for every guest in every cycle",
                    "this takes more than %u operations", POLICY_COST_MAX);
    c->error = -EINVAL;
}

static void compile_constant(Compiler *c, double value, Position at)
{
    Program *p = c->program;

    if (!RESERVE(c, p->constants, allocated_constants, p->n_constants))
        return;
    p->constants[p->n_constants] = value;
    emit(c, OP_CONSTANT, 0, p->n_constants++, at);
}

static void compile_name(Compiler *c, const Expr *e)
{
    const Symbol *y = e->symbol;

    if (y->type == SYMBOL_PARAMETER)
        emit(c, OP_PARAMETER, (uint8_t) c->n_parameters, y->slot, e->at);
    else if (y->type == SYMBOL_GUEST)
        compile_constant(c, 0, e->at); /* there is but one guest at a time: nothing needs to be handed over */
    else
        emit(c, OP_SLOT, 0, y->slot, e->at);
}

static bool is_control(const Expr *e)
{
    return !e->host && guest_field_info((GuestField) e->index)->kind == FIELD_KIND_CONTROL;
}

static void compile_default(Compiler *c, const Expr *e)
{
    const Expr *f = e->a;
    uint32_t jump = emit(c,
                         f->host         ? OP_HOST_OR
                         : is_control(f) ? OP_CONTROL_OR
                                         : OP_GUEST_OR,
                         (uint8_t) f->index, 0, f->field_at);

    compile_expr(c, e->b);
    land(c, jump);
}

static void compile_call(Compiler *c, const Expr *e)
{
    static const Operation builtins[] = {[BUILTIN_MIN] = OP_MIN,
                                         [BUILTIN_MAX] = OP_MAX,
                                         [BUILTIN_CLAMP] = OP_CLAMP,
                                         [BUILTIN_ABS] = OP_ABS,
                                         [BUILTIN_ROUND] = OP_ROUND};
    const Function *f;
    bool fold = e->builtin == BUILTIN_MIN || e->builtin == BUILTIN_MAX;

    for (const Expr *a = e->a; a; a = a->next) {
        compile_expr(c, a);
        if (fold && a != e->a)
            emit(c, builtins[e->builtin], 0, 0, e->at);
    }
    if (fold)
        return;
    if (e->builtin != BUILTIN_NONE) {
        emit(c, builtins[e->builtin], 0, 0, e->at);
        return;
    }
    f = e->symbol->function;
    c->deepest = MAX(c->deepest, c->depth + f->n_stack);
    c->cost += f->cost;
    emit(c, OP_CALL, (uint8_t) f->n_parameters, f->entry, e->at);
    check_cost(c, e->at);
}

static void compile_binary(Compiler *c, const Expr *e)
{
    static const Operation operations[] = {
        [OPERATOR_EQ] = OP_EQ,   [OPERATOR_NE] = OP_NE,   [OPERATOR_LT] = OP_LT,   [OPERATOR_LE] = OP_LE,
        [OPERATOR_GT] = OP_GT,   [OPERATOR_GE] = OP_GE,   [OPERATOR_ADD] = OP_ADD, [OPERATOR_SUB] = OP_SUB,
        [OPERATOR_MUL] = OP_MUL, [OPERATOR_DIV] = OP_DIV,
    };

    compile_expr(c, e->a);
    if (e->op == OPERATOR_AND || e->op == OPERATOR_OR) {
        uint32_t jump = emit(c, e->op == OPERATOR_AND ? OP_AND : OP_OR, 0, 0, e->at);

        compile_expr(c, e->b);
        land(c, jump);
        return;
    }
    compile_expr(c, e->b);
    emit(c, operations[e->op], 0, 0, e->at);
}

static void compile_if_expr(Compiler *c, const Expr *e)
{
    uint32_t otherwise, end;

    compile_expr(c, e->a);
    otherwise = emit(c, OP_JUMP_UNLESS, 0, 0, e->at);
    compile_expr(c, e->b);
    end = emit(c, OP_JUMP, 0, 0, e->at);
    land(c, otherwise);
    c->depth--; /* only one of the two values is there */
    compile_expr(c, e->c);
    land(c, end);
}

static void compile_expr(Compiler *c, const Expr *e)
{
    if (c->error < 0)
        return;
    switch (e->type) {
    case EXPR_LITERAL:
        compile_constant(c, e->value, e->at);
        return;
    case EXPR_NAME:
        compile_name(c, e);
        return;
    case EXPR_FIELD:
        emit(c,
             e->host         ? OP_HOST
             : is_control(e) ? OP_CONTROL
                             : OP_GUEST,
             (uint8_t) e->index, 0, e->field_at);
        return;
    case EXPR_CALL:
        compile_call(c, e);
        return;
    case EXPR_UNARY:
        compile_expr(c, e->a);
        emit(c, e->op == OPERATOR_NOT ? OP_NOT : OP_NEG, 0, 0, e->at);
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
    case EXPR_ERROR:
    case EXPR_TEXT:
    case EXPR_AGGREGATE:
        break;
    }
    assert(false);
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
    c->n_parameters = f->n_parameters;
    f->entry = c->program->n_code;
    compile_expr(c, f->body);
    emit(c, OP_RETURN, (uint8_t) f->n_parameters, 0, s->at);
    f->n_stack = c->deepest;
    f->cost = c->cost;
    check_cost(c, s->name_at);
    land(c, over);

    c->depth = depth;
    c->deepest = deepest;
    c->cost = cost;
    c->n_parameters = 0;
}

/* A turn that fails gives back what it took: a variable of outside that it assigns to has to be saved. */
static void save_slot(Compiler *c, Symbol *y)
{
    Program *p = c->program;

    if (!c->loop || y->loop != 0 || y->saved_by == c->loop_number)
        return;
    if (!RESERVE(c, p->saved_slots, allocated_saved, p->n_saved_slots))
        return;
    p->saved_slots[p->n_saved_slots++] = y->slot;
    y->saved_by = c->loop_number;
    c->loop->n_saved++;
}

static uint32_t compile_because(Compiler *c, const Statement *s)
{
    Program *p = c->program;

    if (!s->because)
        return NO_TEXT;
    if (!RESERVE(c, p->texts, allocated_texts, p->n_texts))
        return NO_TEXT;
    p->texts[p->n_texts] = strndup(s->because, s->because_length);
    if (!p->texts[p->n_texts]) {
        c->error = -ENOMEM;
        return NO_TEXT;
    }
    return p->n_texts++;
}

static void compile_assignment(Compiler *c, const Statement *s)
{
    compile_expr(c, s->expr);
    if (s->field) {
        c->program->guest_controls |= UINT64_C(1) << s->index;
        emit(c, OP_ASSIGN, (uint8_t) s->index, compile_because(c, s), s->at);
    } else {
        emit(c, OP_SET, 0, s->symbol->slot, s->at);
        save_slot(c, s->symbol);
    }
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

    if (!RESERVE(c, p->loops, allocated_loops, p->n_loops))
        return;
    emit(c, OP_LOOP, 0, p->n_loops, s->at);
    c->loop = &loop;
    c->loop_number = p->n_loops + 1;
    compile_selection(c, s, &loop);
    loop.body = p->n_code;
    compile_statements(c, s->body);
    emit(c, OP_END, 0, 0, s->at);
    loop.next = p->n_code;
    c->loop = NULL;

    p->n_saved_max = MAX(p->n_saved_max, loop.n_saved);
    p->n_keys_max = MAX(p->n_keys_max, loop.n_keys);
    p->loops[p->n_loops++] = loop;
}

static void compile_statements(Compiler *c, const Statement *s)
{
    for (; s && c->error >= 0; s = s->next) {
        switch (s->type) {
        case STATEMENT_CONST: /* done before */
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
        case STATEMENT_STATE:
        case STATEMENT_LOG:
            break;
        }
        check_cost(c, s->at);
    }
}

static void find_marks(const Unit *u, Program *p)
{
    static const char *const names[POLICY_MARK_MAX] = {
        [POLICY_MARK_PRESSURE] = "pressure_mark",
        [POLICY_MARK_CRITICAL] = "critical_mark",
        [POLICY_MARK_RELAX] = "relax_mark",
    };

    for (size_t i = 0; i < POLICY_MARK_MAX; i++) {
        p->marks[i] = NO_SLOT;
        for (const Statement *s = u->statements; s; s = s->next)
            if ((s->type == STATEMENT_LET || s->type == STATEMENT_CONST) && name_is(s->name, names[i]))
                p->marks[i] = s->symbol->slot;
    }
}

int policy_compile(Unit *u, Program *p)
{
    Compiler c = {.unit = u, .program = p};

    for (const Statement *s = u->statements; s; s = s->next)
        if (s->type == STATEMENT_CONST) {
            compile_expr(&c, s->expr);
            emit(&c, OP_SET, 0, s->symbol->slot, s->expr->at);
        }
    emit(&c, OP_END, 0, 0, (Position){1, 1});
    p->main = p->n_code;
    c.cost = 0;
    compile_statements(&c, u->statements);
    emit(&c, OP_END, 0, 0, (Position){1, 1});
    if (c.error < 0)
        return c.error;

    p->n_stack = c.deepest;
    p->n_slots = u->n_slots;
    p->slots = calloc(MAX(p->n_slots, 1U), sizeof(*p->slots));
    if (!p->slots)
        return -ENOMEM;
    find_marks(u, p);
    return 0;
}
