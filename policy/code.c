/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Adds instructions and jumps to code under construction, and counts their operations. */
#include "policy/code.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* An array is full with 16, 32, 64, … elements. */
bool code_reserve(Code *c, void **array, size_t n, size_t size)
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

/* By how many values the operation grows the stack. */
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

uint32_t code_emit(Code *c, Operation op, uint8_t field, uint32_t arg, Position at)
{
    Program *p = c->program;

    if (!code_reserve(c, (void **) &p->code, p->n_code, sizeof(*p->code)) ||
        !code_reserve(c, (void **) &p->sites, p->n_code, sizeof(*p->sites)))
        return 0;
    p->code[p->n_code] = (Instruction){.op = (uint8_t) op, .field = field, .arg = arg};
    p->sites[p->n_code] = (Site){.at = at, .fallback = c->fallback};

    c->depth = (uint32_t) ((int) c->depth + stack_effect(op, field));
    c->deepest = MAX(c->deepest, c->depth);
    c->cost++;
    return p->n_code++;
}

void code_land(Code *c, uint32_t jump)
{
    if (c->error >= 0)
        c->program->code[jump].arg = c->program->n_code;
}

void code_check_cost(Code *c, Position at)
{
    if (c->cost <= POLICY_COST_MAX || c->costly)
        return;
    c->costly = true;
    diagnostics_add(c->unit->diagnostics, at, "do less: it runs for every guest in every cycle",
                    "this takes more than %u operations", POLICY_COST_MAX);
    c->error = -EINVAL;
}

uint32_t code_text(Code *c, const char *text, size_t length)
{
    Program *p = c->program;
    char *copy;

    if (!code_reserve(c, (void **) &p->texts.list, p->texts.n, sizeof(*p->texts.list)))
        return NO_TEXT;
    copy = strndup(text, length);
    if (!copy) {
        c->error = -ENOMEM;
        return NO_TEXT;
    }
    p->texts.list[p->texts.n] = copy;
    return p->texts.n++;
}
