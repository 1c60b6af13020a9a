/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first of two passes over the tree: gives each name its meaning, and sees that kinds, arguments and loops
 * fit. Here: statements.
 *
 * It goes on after a mistake, so that all are reported in one run; an expression in which one was found has
 * KIND_ANY, of which nothing more is said. Parameters have no declared kind: a function's body is checked once
 * for each combination of kinds that it is called with. Only a tree without mistakes goes to the second pass,
 * compile.c, which can fail on nothing but memory and the number of operations. */

#include "policy/check.h"

#include "policy/checking.h"

static void check_statements(Checker *c, Statement *s, bool top);

static void check_declaration(Checker *c, Statement *s, bool top)
{
    static const char *const thresholds[] = {"pressure_threshold", "critical_threshold", "relax_threshold"};
    Kind kind;

    if (s->type == STATEMENT_CONST && !top)
        check_error(c, s->at, "use let here", "const is only allowed at the top level of a policy");
    c->constant = s->type == STATEMENT_CONST ? s : NULL;
    kind = check_value(c, s->expr);
    c->constant = NULL;

    s->symbol = check_declare(c, s->type == STATEMENT_CONST ? SYMBOL_CONST : SYMBOL_LET, s->name, s->name_at);
    if (!s->symbol)
        return;
    s->symbol->kind = kind;
    s->symbol->slot = c->unit->n_slots++;
    if (!top || kind == KIND_BYTES || kind == KIND_ANY)
        return;
    for (size_t i = 0; i < ELEMENTSOF(thresholds); i++)
        if (name_is(s->name, thresholds[i]))
            check_error(c, s->name_at, kind_hint(KIND_BYTES, kind),
                        "'%s' is shown as a threshold of the host's memory: it must be bytes, but this is %s",
                        thresholds[i], kind_describe(kind));
}

static void declare_host_state(Checker *c, Statement *s, Kind kind)
{
    s->symbol = check_declare(c, SYMBOL_STATE, s->name, s->name_at);
    if (!s->symbol)
        return;
    if (++c->n_host_states > POLICY_STATE_MAX)
        check_error(c, s->name_at, NULL, "a policy has at most %u state variables", POLICY_STATE_MAX);
    s->symbol->kind = kind;
    s->symbol->slot = c->unit->n_slots++;
}

static void declare_guest_state(Checker *c, Statement *s, Kind kind)
{
    const GuestState *known = check_find_guest_state(c, s->field);
    GuestState *g, **tail = &c->unit->guest_states;

    if (field_from_name(false, s->field) >= 0) {
        check_error(c, s->field_at, "choose another name", "'%s' is a stat of guests", s->field->text);
        return;
    }
    if (known) {
        check_error(c, s->field_at, "choose another name: each has one meaning",
                    "'guest.%s' is already declared in line %u", s->field->text, known->at.line);
        return;
    }
    if (c->unit->n_guest_states >= POLICY_STATE_MAX) {
        check_error(c, s->field_at, NULL, "a guest has at most %u state variables", POLICY_STATE_MAX);
        return;
    }
    g = s->state = arena_alloc(&c->unit->arena, sizeof(*g));
    if (!g) {
        c->error = -ENOMEM;
        return;
    }
    *g = (GuestState){.name = s->field,
                      .kind = kind,
                      .at = s->field_at,
                      .initial = s->expr,
                      .index = c->unit->n_guest_states++};
    while (*tail)
        tail = &(*tail)->next;
    *tail = g;
}

static void check_state(Checker *c, Statement *s, bool top)
{
    Kind kind;

    if (!top)
        check_error(c, s->at, NULL, "state is only allowed at the top level of a policy");
    c->constant = s;
    kind = check_value(c, s->expr);
    c->constant = NULL;
    if (kind == KIND_TEXT) {
        check_error(
            c, s->expr->at, NULL,
            "a state variable must be a number, bytes, a duration, a rate or a boolean, but this is text");
        kind = KIND_ANY;
    }
    if (s->name)
        declare_host_state(c, s, kind);
    else if (s->field)
        declare_guest_state(c, s, kind);
}

static void check_function(Checker *c, Statement *s, bool top)
{
    Symbol *outer = c->scope;
    Function *f = arena_alloc(&c->unit->arena, sizeof(*f));
    bool good = true;

    if (!f) {
        c->error = -ENOMEM;
        return;
    }
    if (!top)
        check_error(c, s->at, NULL, "fn is only allowed at the top level of a policy");
    for (unsigned i = 0; i < s->n_parameters; i++) {
        Symbol *y = check_declare(c, SYMBOL_PARAMETER, s->parameters[i], s->parameters_at[i]);

        if (y)
            y->slot = i;
        good = good && y;
        f->parameters[i] = y;
    }
    f->n_parameters = s->n_parameters;
    f->body = s->expr;
    c->call_depth = 0;
    c->aggregates = false;
    check_value(c, s->expr); /* parameters are of KIND_ANY here */
    f->depth = c->call_depth + 1;
    f->aggregates = c->aggregates;
    if (f->depth > POLICY_DEPTH_MAX)
        check_error(c, s->name_at, NULL,
                    "functions call each other too deeply: at most %u levels are allowed", POLICY_DEPTH_MAX);
    check_leave_scope(c, outer);

    s->symbol = check_declare(c, SYMBOL_FUNCTION, s->name, s->name_at);
    s->function = f;
    if (s->symbol && good && f->depth <= POLICY_DEPTH_MAX)
        s->symbol->function = f; /* else its calls are not checked */
}

/* The value must be of the kind of the variable or control. */
static void check_assigned(Checker *c, const Statement *s, const Name *name, Kind to, Kind kind)
{
    if (kind != KIND_ANY && to != KIND_ANY && kind != to)
        check_error(c, s->expr->at, kind_hint(to, kind), "'%s' is %s, but this is %s", name->text,
                    kind_describe(to), kind_describe(kind));
}

static void assign_variable(Checker *c, Statement *s, Kind kind)
{
    static const char *const what[] = {[SYMBOL_CONST] = "a const",
                                       [SYMBOL_PARAMETER] = "a parameter",
                                       [SYMBOL_GUEST] = "a guest",
                                       [SYMBOL_FUNCTION] = "a function"};
    Symbol *y = s->symbol = s->name->symbol;

    if (name_is(s->name, "host")) {
        check_error(c, s->name_at, "assign to one of its controls: host.ksm_run = true",
                    "'host' can't be assigned to");
        return;
    }
    if (!y) {
        check_unknown_name(c, s->name, s->name_at, UNKNOWN_VARIABLE);
        return;
    }
    if (y->type != SYMBOL_LET && y->type != SYMBOL_STATE) {
        check_error(c, s->name_at, y->type == SYMBOL_CONST ? "declare it with let" : NULL,
                    "'%s' is %s: it can't be assigned to", s->name->text, what[y->type]);
        return;
    }
    check_assigned(c, s, s->name, y->kind, kind);
}

/* Checks an assignment to a name after "g." or "host.". */
static void assign_member(Checker *c, Statement *s, Kind kind)
{
    bool host = name_is(s->name, "host");
    const FieldInfo *info;
    char hint[128];

    s->host = host;
    s->symbol = s->name->symbol;
    if (!host && !s->symbol) {
        check_unknown_name(c, s->name, s->name_at, UNKNOWN_OBJECT);
        return;
    }
    if (!host && s->symbol->type != SYMBOL_GUEST) {
        check_error(c, s->name_at, NULL, "'%s' is not the guest of a loop: it has nothing to assign to",
                    s->name->text);
        return;
    }
    s->state = host ? NULL : check_find_guest_state(c, s->field);
    if (s->state) {
        if (s->because)
            check_error(c, s->because_at, NULL, "'because' is only allowed after an assignment to a control");
        check_assigned(c, s, s->field, s->state->kind, kind);
        return;
    }
    s->index = field_from_name(host, s->field);
    if (s->index < 0) {
        check_unknown_field(c, s->field, s->field_at, host, true);
        return;
    }
    info = host ? host_field_info((HostField) s->index) : guest_field_info((GuestField) s->index);
    if (info->kind != FIELD_KIND_CONTROL)
        check_error(c, s->field_at, check_list_controls(host, hint, sizeof(hint)),
                    "'%s' is a stat: it can be read, but not assigned to", info->name);
    else
        check_assigned(c, s, s->field, kind_from_unit(info->unit), kind);
}

/* {g.free} in a text is not replaced by the value. */
static void check_braces(Checker *c, Position at, const char *text, size_t length)
{
    for (size_t i = 0; i + 1 < length; i++) {
        size_t n = 0;

        if (text[i] != '{')
            continue;
        while (i + 1 + n < length && (text[i + 1 + n] == '_' || text[i + 1 + n] == '.' ||
                                      (text[i + 1 + n] >= 'a' && text[i + 1 + n] <= 'z')))
            n++;
        if (n > 0 && i + 1 + n < length && text[i + 1 + n] == '}') {
            diagnostics_warn(c->unit->diagnostics, at, "log(\"free is\", g.free) shows a value",
                             "'{%.*s}' in a text stays as it is", (int) MIN(n, 64U), text + i + 1);
            return;
        }
        i += n;
    }
}

static void check_log(Checker *c, Statement *s)
{
    Expr *e = s->expr;
    unsigned n = 0;

    if (e && e->type != EXPR_TEXT && e->type != EXPR_ERROR)
        check_error(c, e->at, "log(\"free is\", host.free)", "log must begin with text in double quotes");
    if (e && e->type == EXPR_TEXT)
        check_braces(c, e->at, e->text, e->text_length);
    for (; e; e = e->next) {
        check_value(c, e);
        if (n++ == POLICY_VALUES_MAX + 1)
            check_error(c, e->at, NULL, "log has at most %u values", POLICY_VALUES_MAX);
    }
}

static void check_for(Checker *c, Statement *s)
{
    Symbol *outer = c->scope;
    uint32_t loop = c->loop;

    if (loop)
        check_error(c, s->at, HINT_SQUARE, "a loop over guests can't be inside another one");
    c->loop = ++c->n_loops;
    s->symbol = check_declare(c, SYMBOL_GUEST, s->name, s->name_at);
    if (s->symbol)
        s->symbol->kind = KIND_GUEST;
    check_condition(c, s->where);
    for (const Key *k = s->by; k; k = k->next) {
        Kind kind = check_value(c, k->expr);

        if (!kind_is_quantity(kind))
            check_error(c, k->expr->at, kind == KIND_BOOLEAN ? "to select guests, use 'where'" : NULL,
                        "guests are ordered by a number, bytes, a duration or a rate, but this is %s",
                        kind_describe(kind));
    }
    check_statements(c, s->body, false);
    check_leave_scope(c, outer);
    c->loop = loop;
}

static void check_statements(Checker *c, Statement *s, bool top)
{
    Symbol *outer = c->scope;

    for (; s && c->error >= 0; s = s->next) {
        Kind kind;

        switch (s->type) {
        case STATEMENT_CONST:
        case STATEMENT_LET:
            check_declaration(c, s, top);
            break;
        case STATEMENT_FUNCTION:
            check_function(c, s, top);
            break;
        case STATEMENT_ASSIGN:
            kind = check_value(c, s->expr);
            if (!s->name)
                break;
            if (s->because)
                check_braces(c, s->because_at, s->because, s->because_length);
            if (s->field)
                assign_member(c, s, kind);
            else
                assign_variable(c, s, kind);
            break;
        case STATEMENT_IF:
            check_condition(c, s->expr);
            check_statements(c, s->body, false);
            check_statements(c, s->otherwise, false);
            break;
        case STATEMENT_FOR:
            check_for(c, s);
            break;
        case STATEMENT_STATE:
            check_state(c, s, top);
            break;
        case STATEMENT_LOG:
            check_log(c, s);
            break;
        }
    }
    check_leave_scope(c, outer);
}

int policy_check(Unit *u)
{
    Checker c = {.unit = u};

    check_statements(&c, u->statements, true);
    return c.error;
}
