/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/check.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "policy/kinds.h"

/* A function's parameters have no declared kind. Its body is checked once where it is defined, with
 * parameters that fit everything, which finds wrong names; and once more for each combination of kinds that
 * it is called with. Functions are known only below their definition, so there is no recursion, and depth is
 * bounded by the chain of definitions. */

#define INSTANCES_MAX 32U /* combinations of kinds that a function is checked with */

typedef struct Checker {
    Unit *unit;
    Symbol *scope;          /* the newest that is visible */
    uint32_t n_loops, loop; /* loops seen; the one that is being read (0: none) */
    const Expr *call;       /* whose function is being checked for its arguments; NULL: none */
    bool constant;          /* reading the value of a const */
    unsigned call_depth;    /* the deepest chain of calls below the function being defined */
    int error;
} Checker;

static Kind check_expr(Checker *c, Expr *e);

static void error_at(Checker *c, Position at, const char *hint, const char *format, ...) _printf_(4, 5);

/* Adds an error. In the body of a function that is right in itself, it depends on the call. */
static void error_at(Checker *c, Position at, const char *hint, const char *format, ...)
{
    char message[160];
    va_list ap;

    va_start(ap, format);
    (void) vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    if (c->call)
        diagnostics_add(c->unit->diagnostics, at, hint, "%s (%s as called in line %u)", message,
                        c->call->name->text, c->call->at.line);
    else
        diagnostics_add(c->unit->diagnostics, at, hint, "%s", message);
}

/* ---- names ---- */

/* Where in the statements the name is declared: to say that it stands too low, or in a block that has ended.
 */
static const Statement *find_declaration(const Statement *s, const Name *name)
{
    for (; s; s = s->next) {
        const Statement *found;

        if (s->name == name && s->type != STATEMENT_ASSIGN && s->type != STATEMENT_IF)
            return s;
        found = find_declaration(s->body, name);
        if (!found)
            found = find_declaration(s->otherwise, name);
        if (found)
            return found;
    }
    return NULL;
}

/* "did you mean 'x'?" in buf, or NULL. */
static const char *suggestion(const Nearest *n, char *buf, size_t size)
{
    if (!n->best)
        return NULL;
    (void) snprintf(buf, size, "did you mean '%s'?", n->best);
    return buf;
}

static const char *suggest_name(Checker *c, const Name *name, bool call, char *buf, size_t size)
{
    Nearest n;

    nearest_init(&n, name->text, name->length);
    for (const Symbol *y = c->scope; y; y = y->outer)
        nearest_offer(&n, y->name->text);
    if (call)
        builtin_suggest(&n);
    else {
        static const char *const words[] = {"host", "true", "false"};

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
            nearest_offer(&n, words[i]);
    }
    return suggestion(&n, buf, size);
}

static void unknown_name(Checker *c, Name *name, Position at, bool call)
{
    const Statement *d;
    char hint[128];

    if (name->told)
        return;
    name->told = true;

    if (name_is(name, "host")) {
        error_at(c, at, "host.available", "'host' is read with the name of a stat");
        return;
    }
    if (builtin_from_name(name) != BUILTIN_NONE) {
        error_at(c, at, NULL, "'%s' is a function: its arguments go in parentheses", name->text);
        return;
    }
    d = find_declaration(c->unit->statements, name);
    if (d && d->type == STATEMENT_FUNCTION && d->name_at.line <= at.line)
        error_at(c, at, "there is no recursion, so every policy ends", "function '%s' calls itself",
                 name->text);
    else if (d &&
             (d->name_at.line > at.line || (d->name_at.line == at.line && d->name_at.column > at.column)))
        error_at(c, at, "a name is known below its declaration only",
                 "'%s' is declared further down, in line %u", name->text, d->name_at.line);
    else if (d && d->type != STATEMENT_FUNCTION && d->name_at.line != at.line)
        error_at(c, at, "a name is known up to the end of its block",
                 "'%s' is declared in a block that has ended (line %u)", name->text, d->name_at.line);
    else
        error_at(c, at, suggest_name(c, name, call, hint, sizeof(hint)), "unknown %s '%s'",
                 call ? "function" : "name", name->text);
}

/* Makes the name known from here on to the end of its block. NULL where it can't be. */
static Symbol *declare(Checker *c, SymbolType type, Name *name, Position at)
{
    Symbol *y;

    if (!name)
        return NULL;
    if (name->symbol) {
        error_at(c, at, "each name has one meaning", "'%s' is declared already, in line %u", name->text,
                 name->symbol->at.line);
        return NULL;
    }
    if (name_is_reserved(name)) {
        error_at(c, at, NULL, "'%s' is a word of the language: choose another name", name->text);
        return NULL;
    }
    y = arena_alloc(&c->unit->arena, sizeof(*y));
    if (!y) {
        c->error = -ENOMEM;
        return NULL;
    }
    *y = (Symbol){.type = type, .name = name, .at = at, .outer = c->scope, .loop = c->loop};
    name->symbol = y;
    c->scope = y;
    return y;
}

static void leave_scope(Checker *c, Symbol *outer)
{
    while (c->scope != outer) {
        c->scope->name->symbol = NULL;
        c->scope = c->scope->outer;
    }
}

/* ---- expressions ---- */

static Kind check_name(Checker *c, Expr *e)
{
    if (!e->symbol)
        e->symbol = e->name->symbol;
    if (!e->symbol) {
        unknown_name(c, e->name, e->at, false);
        return KIND_ANY;
    }
    if (e->symbol->type == SYMBOL_FUNCTION) {
        error_at(c, e->at, NULL, "'%s' is a function: its arguments go in parentheses", e->name->text);
        return KIND_ANY;
    }
    if (c->constant && e->symbol->type != SYMBOL_CONST) {
        error_at(c, e->at, "declare it with let", "a const can't depend on '%s', which is no const",
                 e->name->text);
        return KIND_ANY;
    }
    return e->symbol->kind;
}

static void unknown_field(Checker *c, const Name *field, Position at, bool host)
{
    int other = field_from_name(!host, field);
    char hint[128];
    const char *h = hint;
    Nearest n;

    nearest_init(&n, field->text, field->length);
    for (int f = 0; f < (host ? (int) HOST_FIELD_MAX : (int) GUEST_FIELD_MAX); f++)
        nearest_offer(&n, field_name(host, f));
    if (other >= 0)
        (void) snprintf(hint, sizeof(hint), "%s has it: %s.%s", host ? "a guest" : "the host",
                        host ? "g" : "host", field_name(!host, other));
    else
        h = suggestion(&n, hint, sizeof(hint));
    error_at(c, at, h, "%s has no stat '%s'", host ? "the host" : "a guest", field->text);
}

static Kind check_field(Checker *c, Expr *e)
{
    const FieldInfo *info;

    if (name_is(e->name, "host"))
        e->host = true;
    else {
        if (!e->symbol)
            e->symbol = e->name->symbol;
        if (!e->symbol) {
            unknown_name(c, e->name, e->at, false);
            return KIND_ANY;
        }
        if (e->symbol->kind != KIND_GUEST && e->symbol->kind != KIND_ANY) {
            error_at(c, e->at, "only host and a loop's guest have stats", "'%s' is %s: it has no stats",
                     e->name->text, kind_describe(e->symbol->kind));
            return KIND_ANY;
        }
        if (e->symbol->type != SYMBOL_GUEST && e->symbol->type != SYMBOL_PARAMETER)
            return KIND_ANY; /* its declaration was in error */
    }
    if (c->constant) {
        error_at(c, e->at, "declare it with let", "a const can't depend on a stat");
        return KIND_ANY;
    }
    e->index = field_from_name(e->host, e->field);
    if (e->index < 0) {
        unknown_field(c, e->field, e->field_at, e->host);
        return KIND_ANY;
    }
    info = e->host ? host_field_info((HostField) e->index) : guest_field_info((GuestField) e->index);
    return kind_from_unit(info->unit);
}

static Kind check_builtin(Checker *c, Expr *e)
{
    Kind kind = KIND_ANY;
    unsigned least, most;

    builtin_arity(e->builtin, &least, &most);
    if (e->n_arguments < least || e->n_arguments > most) {
        error_at(c, e->at, builtin_usage(e->builtin), "'%s' can't have %u argument%s", e->name->text,
                 e->n_arguments, e->n_arguments == 1 ? "" : "s");
        kind = KIND_INVALID;
    }
    for (Expr *a = e->a; a; a = a->next) {
        Kind k = check_expr(c, a);

        if (k == KIND_BOOLEAN || k == KIND_GUEST) {
            error_at(c, a->at, NULL, "'%s' works on numbers, bytes and durations, and this is %s",
                     e->name->text, kind_describe(k));
            kind = KIND_INVALID;
        } else if (kind == KIND_ANY)
            kind = k;
        else if (kind != KIND_INVALID && k != KIND_ANY && k != kind) {
            error_at(c, a->at, kind_hint(kind, k),
                     "the arguments of '%s' are of one kind, but this is %s beside %s", e->name->text,
                     kind_describe(k), kind_describe(kind));
            kind = KIND_INVALID;
        }
    }
    return kind == KIND_INVALID ? KIND_ANY : kind;
}

/* Checks the body of the function for these kinds of arguments, unless that was done. */
static Kind check_instance(Checker *c, const Expr *call, Function *f, const Kind *kinds)
{
    Kind saved[FUNCTION_PARAMETERS_MAX], result;
    const Expr *outer = c->call;
    uint32_t signature = 0;
    Instance *i;

    for (unsigned n = 0; n < f->n_parameters; n++)
        signature = signature * 8 + (uint32_t) kinds[n];
    for (i = f->instances; i; i = i->next)
        if (i->signature == signature)
            return i->result;

    if (f->n_instances >= INSTANCES_MAX) {
        error_at(c, call->at, NULL, "'%s' is called with more than %u combinations of kinds",
                 call->name->text, INSTANCES_MAX);
        return KIND_ANY;
    }
    f->n_instances++;

    for (unsigned n = 0; n < f->n_parameters; n++) {
        saved[n] = f->parameters[n]->kind;
        f->parameters[n]->kind = kinds[n];
    }
    if (!outer)
        c->call = call;
    result = check_expr(c, f->body);
    c->call = outer;
    for (unsigned n = 0; n < f->n_parameters; n++)
        f->parameters[n]->kind = saved[n];

    i = arena_alloc(&c->unit->arena, sizeof(*i));
    if (!i) {
        c->error = -ENOMEM;
        return KIND_ANY;
    }
    *i = (Instance){.next = f->instances, .signature = signature, .result = result};
    f->instances = i;
    return result;
}

static Kind check_call(Checker *c, Expr *e)
{
    Kind kinds[FUNCTION_PARAMETERS_MAX] = {};
    Function *f;
    unsigned n = 0;

    if (!e->symbol)
        e->symbol = e->name->symbol;
    if (!e->symbol) {
        e->builtin = builtin_from_name(e->name);
        if (e->builtin != BUILTIN_NONE)
            return check_builtin(c, e);
        unknown_name(c, e->name, e->at, true);
    } else if (e->symbol->type != SYMBOL_FUNCTION)
        error_at(c, e->at, NULL, "'%s' is no function", e->name->text);
    else if (c->constant)
        error_at(c, e->at, "declare it with let", "a const can't depend on a function of the policy");

    for (Expr *a = e->a; a; a = a->next) {
        Kind k = check_expr(c, a);

        if (n < FUNCTION_PARAMETERS_MAX)
            kinds[n] = k;
        n++;
    }
    f = e->symbol ? e->symbol->function : NULL;
    if (!f || c->constant)
        return KIND_ANY;
    if (n != f->n_parameters) {
        error_at(c, e->at, NULL, "'%s' has %u parameter%s, but %u argument%s given", e->name->text,
                 f->n_parameters, f->n_parameters == 1 ? "" : "s", n, n == 1 ? " is" : "s are");
        return KIND_ANY;
    }
    c->call_depth = MAX(c->call_depth, f->depth);
    return check_instance(c, e, f, kinds);
}

static Kind check_unary(Checker *c, Expr *e)
{
    Kind k = check_expr(c, e->a);

    if (k == KIND_ANY)
        return e->op == OPERATOR_NOT ? KIND_BOOLEAN : KIND_ANY;
    if (e->op == OPERATOR_NOT) {
        if (k != KIND_BOOLEAN)
            error_at(c, e->at, NULL, "'not' goes before a boolean, and this is %s", kind_describe(k));
        return KIND_BOOLEAN;
    }
    if (k == KIND_BOOLEAN || k == KIND_GUEST) {
        error_at(c, e->at, NULL, "'-' can't go before %s", kind_describe(k));
        return KIND_ANY;
    }
    return k;
}

static Kind check_binary(Checker *c, Expr *e)
{
    Kind a = check_expr(c, e->a), b = check_expr(c, e->b);
    Kind result = kind_of_operation(e->op, a, b);

    if (result != KIND_INVALID)
        return result;
    if (e->op == OPERATOR_AND || e->op == OPERATOR_OR)
        error_at(c, e->at, NULL, "'%s' goes between booleans, and this is %s", operator_to_string(e->op),
                 kind_describe(a != KIND_BOOLEAN && a != KIND_ANY ? a : b));
    else
        error_at(c, e->at, kind_hint(a, b), "'%s' doesn't go between %s and %s", operator_to_string(e->op),
                 kind_describe(a), kind_describe(b));
    return kind_of_operation(e->op, KIND_ANY, KIND_ANY);
}

/* Two values of which one is taken: they are of one kind. */
static Kind check_either(Checker *c, const Expr *e, Kind a, Kind b, const char *what)
{
    if (a == KIND_GUEST || b == KIND_GUEST || (a != b && a != KIND_ANY && b != KIND_ANY)) {
        error_at(c, e->at, kind_hint(a, b), "%s are of one kind, but these are %s and %s", what,
                 kind_describe(a), kind_describe(b));
        return KIND_ANY;
    }
    return a == KIND_ANY ? b : a;
}

static void check_condition(Checker *c, Expr *e)
{
    Kind k = e ? check_expr(c, e) : KIND_ANY;

    if (k != KIND_BOOLEAN && k != KIND_ANY)
        error_at(c, e->at, NULL, "a condition is a boolean, and this is %s", kind_describe(k));
}

static Kind check_expr(Checker *c, Expr *e)
{
    Kind a, b;

    if (!e || c->error < 0 || diagnostics_full(c->unit->diagnostics))
        return KIND_ANY;
    switch (e->type) {
    case EXPR_ERROR:
        return KIND_ANY;
    case EXPR_LITERAL:
        return e->kind;
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
        check_condition(c, e->a);
        a = check_expr(c, e->b);
        b = check_expr(c, e->c);
        return check_either(c, e, a, b, "the values behind 'then' and 'else'");
    case EXPR_DEFAULT:
        a = check_expr(c, e->a);
        b = check_expr(c, e->b);
        return check_either(c, e, a, b, "a stat and its default");
    case EXPR_TEXT:
    case EXPR_AGGREGATE:
        break;
    }
    assert(false);
    return KIND_ANY;
}

/* A value that a variable, a control or an order takes. */
static Kind check_value(Checker *c, Expr *e)
{
    Kind k = check_expr(c, e);

    if (k == KIND_GUEST) {
        error_at(c, e->at, "take one of its stats", "a guest is no value");
        return KIND_ANY;
    }
    return k;
}

/* ---- statements ---- */

static void check_statements(Checker *c, Statement *s, bool top);

static void check_declaration(Checker *c, Statement *s, bool top)
{
    static const char *const marks[] = {"pressure_mark", "critical_mark", "relax_mark"};
    Kind kind;

    if (s->type == STATEMENT_CONST && !top)
        error_at(c, s->at, "use let here", "const goes to the top level of the policy");
    c->constant = s->type == STATEMENT_CONST;
    kind = check_value(c, s->expr);
    c->constant = false;

    s->symbol = declare(c, s->type == STATEMENT_CONST ? SYMBOL_CONST : SYMBOL_LET, s->name, s->name_at);
    if (!s->symbol)
        return;
    s->symbol->kind = kind;
    s->symbol->slot = c->unit->n_slots++;
    if (!top || kind == KIND_BYTES || kind == KIND_ANY)
        return;
    for (size_t i = 0; i < ELEMENTSOF(marks); i++)
        if (name_is(s->name, marks[i]))
            error_at(c, s->name_at, NULL,
                     "'%s' is shown as a mark of the host's memory: it is bytes, and this is %s", marks[i],
                     kind_describe(kind));
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
        error_at(c, s->at, NULL, "fn goes to the top level of the policy");
    for (unsigned i = 0; i < s->n_parameters; i++) {
        Symbol *y = declare(c, SYMBOL_PARAMETER, s->parameters[i], s->parameters_at[i]);

        if (y)
            y->slot = i;
        good = good && y;
        f->parameters[i] = y;
    }
    f->n_parameters = s->n_parameters;
    f->body = s->expr;
    c->call_depth = 0;
    check_value(c, s->expr); /* parameters are of KIND_ANY here */
    f->depth = c->call_depth + 1;
    if (f->depth > POLICY_DEPTH_MAX)
        error_at(c, s->name_at, NULL, "functions call each other more than %u deep", POLICY_DEPTH_MAX);
    leave_scope(c, outer);

    s->symbol = declare(c, SYMBOL_FUNCTION, s->name, s->name_at);
    s->function = f;
    if (s->symbol && good && f->depth <= POLICY_DEPTH_MAX)
        s->symbol->function = f; /* else calls of it are not looked into */
}

static void assign_variable(Checker *c, Statement *s, Kind kind)
{
    static const char *const what[] = {[SYMBOL_CONST] = "a const",
                                       [SYMBOL_PARAMETER] = "a parameter",
                                       [SYMBOL_GUEST] = "a guest",
                                       [SYMBOL_FUNCTION] = "a function"};
    Symbol *y = s->symbol = s->name->symbol;
    char hint[128];

    if (name_is(s->name, "host")) {
        error_at(c, s->name_at, NULL, "'host' can't be assigned to");
        return;
    }
    if (!y) {
        if (!s->name->told && !find_declaration(c->unit->statements, s->name)) {
            const char *near = suggest_name(c, s->name, false, hint, sizeof(hint));

            error_at(c, s->name_at, near ? near : "a variable is declared with let", "unknown name '%s'",
                     s->name->text);
            s->name->told = true;
        } else
            unknown_name(c, s->name, s->name_at, false);
        return;
    }
    if (y->type != SYMBOL_LET) {
        error_at(c, s->name_at, y->type == SYMBOL_CONST ? "declare it with let" : NULL,
                 "'%s' is %s: it can't be assigned to", s->name->text, what[y->type]);
        return;
    }
    if (kind != KIND_ANY && y->kind != KIND_ANY && kind != y->kind)
        error_at(c, s->expr->at, kind_hint(y->kind, kind), "'%s' is %s, and this is %s", s->name->text,
                 kind_describe(y->kind), kind_describe(kind));
}

static void assign_control(Checker *c, Statement *s, Kind kind)
{
    bool host = name_is(s->name, "host");
    const FieldInfo *info;

    s->symbol = s->name->symbol;
    if (!host && !s->symbol) {
        unknown_name(c, s->name, s->name_at, false);
        return;
    }
    if (!host && s->symbol->type != SYMBOL_GUEST) {
        error_at(c, s->name_at, NULL, "'%s' is no guest of a loop: it has no controls", s->name->text);
        return;
    }
    s->index = field_from_name(host, s->field);
    if (s->index < 0) {
        unknown_field(c, s->field, s->field_at, host);
        return;
    }
    info = host ? host_field_info((HostField) s->index) : guest_field_info((GuestField) s->index);
    if (info->kind != FIELD_KIND_CONTROL)
        error_at(c, s->field_at, host ? NULL : "a guest's control is g.target",
                 "'%s' is a stat: it is read, and can't be assigned to", info->name);
    else if (kind != KIND_ANY && kind != kind_from_unit(info->unit))
        error_at(c, s->expr->at, kind_hint(kind_from_unit(info->unit), kind), "'%s' is %s, and this is %s",
                 info->name, kind_describe(kind_from_unit(info->unit)), kind_describe(kind));
}

static void check_for(Checker *c, Statement *s)
{
    Symbol *outer = c->scope;
    uint32_t loop = c->loop;

    if (loop)
        error_at(c, s->at, "so a policy's time grows with the guests, not with their square",
                 "a loop over guests can't be inside of another one");
    c->loop = ++c->n_loops;
    s->symbol = declare(c, SYMBOL_GUEST, s->name, s->name_at);
    if (s->symbol)
        s->symbol->kind = KIND_GUEST;
    check_condition(c, s->where);
    for (const Key *k = s->by; k; k = k->next)
        if (check_value(c, k->expr) == KIND_BOOLEAN)
            error_at(c, k->expr->at, "'where' selects guests",
                     "guests are ordered by a number, bytes or a duration");
    check_statements(c, s->body, false);
    leave_scope(c, outer);
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
            if (s->field)
                assign_control(c, s, kind);
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
        case STATEMENT_LOG:
            break;
        }
    }
    leave_scope(c, outer);
}

int policy_check(Unit *u)
{
    Checker c = {.unit = u};

    check_statements(&c, u->statements, true);
    return c.error;
}
