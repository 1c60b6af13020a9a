/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks calls and all that looks like one: functions, windows of history, aggregates. */

#include "policy/check.h"
#include "policy/checking.h"

/* A function's parameters have no declared kind. Its body is checked once where it is defined, with
 * parameters that fit everything, which finds wrong names; and once more for each combination of kinds that
 * it is called with. Functions are known only below their definition, so there is no recursion, and depth is
 * bounded by the chain of definitions. */

#define INSTANCES_MAX 32U /* combinations of kinds that a function is checked with */

/* ---- windows: avg(g.free, 30s) ---- */

void policy_check_window(Diagnostics *d, Position at, double usec)
{
    bool shorter = usec < (double) POLICY_WINDOW_MIN;

    if (shorter || usec > (double) POLICY_WINDOW_MAX)
        diagnostics_add(d, at, NULL, "this window is too %s: it must be %us to %umin long",
                        shorter ? "short" : "long", (unsigned) (POLICY_WINDOW_MIN / USEC_PER_SEC),
                        (unsigned) (POLICY_WINDOW_MAX / (60 * USEC_PER_SEC)));
}

/* The stat of a window. */
static void check_windowed(Checker *c, const Expr *call, const Expr *e)
{
    const FieldInfo *info;
    char hint[128];

    if (e->type != EXPR_FIELD) {
        check_error(c, e->at, "calculate with the results: avg(g.free, 30s) - avg(g.cache, 30s)",
                    "'%s' over a window needs a stat, not a calculated value", call->name->text);
        return;
    }
    if (e->state) {
        check_error(c, e->field_at, "only stats have a history",
                    "'%s' is a state variable: it has no history", e->field->text);
        return;
    }
    if (e->index < 0)
        return; /* told */
    info = e->host ? host_field_info((HostField) e->index) : guest_field_info((GuestField) e->index);
    if (info->kind == FIELD_KIND_CONTROL)
        check_error(c, e->field_at, "only stats have a history", "'%s' is a control: it has no history",
                    info->name);
    else if (info->unit == FIELD_UNIT_TEXT || info->unit == FIELD_UNIT_BOOLEAN)
        check_error(c, e->field_at, "only stats that are numbers, bytes or durations have a history",
                    "'%s' is %s: it has no history", info->name, kind_describe(kind_from_unit(info->unit)));
    else if (info->unit == FIELD_UNIT_RATE && call->builtin == BUILTIN_RATE) {
        (void) snprintf(hint, sizeof(hint), "for its mean, use avg(%s.%s, 30s)", e->name->text, info->name);
        check_error(c, e->field_at, hint, "'%s' is a rate already", info->name);
    } else if (info->kind == FIELD_KIND_COUNTER && call->builtin != BUILTIN_RATE) {
        (void) snprintf(hint, sizeof(hint), "for how fast it grows, use rate(%s.%s, 30s)", e->name->text,
                        info->name);
        check_error(c, e->field_at, hint, "'%s' only ever grows: its %s over a window means nothing",
                    info->name, call->name->text);
    }
}

static void check_window_length(Checker *c, const Expr *call, const Expr *e)
{
    static const char *const hint = "write a literal such as 30s, or the name of a const: const window = 30s";

    if (e->kind != KIND_DURATION && e->kind != KIND_ANY)
        check_error(c, e->at, builtin_usage(call->builtin), "a window must be a duration, but this is %s",
                    kind_describe(e->kind));
    else if (e->type == EXPR_LITERAL)
        policy_check_window(c->unit->diagnostics, e->at, e->value);
    else if (e->type != EXPR_NAME)
        check_error(c, e->at, hint, "a window must be known when the policy is loaded");
    else if (e->symbol && e->symbol->type != SYMBOL_CONST)
        check_error(c, e->at, hint, "a window must be known when the policy is loaded, but '%s' is not",
                    e->name->text);
}

static Kind check_window(Checker *c, Expr *e)
{
    Kind of = e->a->kind;

    e->window = true;
    check_windowed(c, e, e->a);
    check_window_length(c, e, e->a->next);
    if (e->builtin != BUILTIN_RATE || of == KIND_ANY)
        return of;
    return of == KIND_BYTES ? KIND_RATE : KIND_NUMBER;
}

/* ---- functions of the language ---- */

static Kind check_matches(Checker *c, const Expr *e)
{
    const Expr *text = e->a, *pattern = e->a->next;

    if (text->kind != KIND_TEXT && text->kind != KIND_ANY)
        check_error(c, text->at, builtin_usage(e->builtin), "'matches' needs text, but this is %s",
                    kind_describe(text->kind));
    if (pattern->type != EXPR_TEXT)
        check_error(c, pattern->at, builtin_usage(e->builtin), "a pattern must be text in double quotes");
    return KIND_BOOLEAN;
}

/* Arguments of one kind, which is also the kind of the result. */
static Kind check_uniform(Checker *c, const Expr *e)
{
    Kind kind = KIND_ANY;

    for (const Expr *a = e->a; a; a = a->next) {
        Kind k = a->kind;

        if (!kind_is_quantity(k)) {
            check_error(c, a->at, NULL, "'%s' needs a number, bytes, a duration or a rate, but this is %s",
                        e->name->text, kind_describe(k));
            kind = KIND_INVALID;
        } else if (kind == KIND_ANY)
            kind = k;
        else if (kind != KIND_INVALID && k != KIND_ANY && k != kind) {
            check_error(c, a->at,
                        k == KIND_DURATION && e->n_arguments == 2 && builtin_aggregates(e->builtin)
                            ? "over a window it needs a stat: min(g.free, 30s)"
                            : kind_hint(kind, k),
                        "the arguments of '%s' must be of one kind, but this is %s and another is %s",
                        e->name->text, kind_describe(k), kind_describe(kind));
            kind = KIND_INVALID;
        }
    }
    return kind == KIND_INVALID ? KIND_ANY : kind;
}

/* avg and rate always have a window; min and max if a duration follows a bare stat that is not a duration. */
static bool is_window(const Expr *e)
{
    const Expr *a = e->a, *b = a->next;

    if (e->builtin == BUILTIN_AVG || e->builtin == BUILTIN_RATE)
        return true;
    return (e->builtin == BUILTIN_MIN || e->builtin == BUILTIN_MAX) && e->n_arguments == 2 &&
           a->type == EXPR_FIELD && a->kind != KIND_ANY && a->kind != KIND_DURATION &&
           b->kind == KIND_DURATION;
}

static Kind check_builtin(Checker *c, Expr *e)
{
    unsigned least, most;

    builtin_arity(e->builtin, &least, &most);
    if (most == 0 || (e->builtin == BUILTIN_AVG && e->n_arguments != 2)) {
        check_error(c, e->at, builtin_usage(e->builtin), "'%s' needs 'for ... in guests'%s", e->name->text,
                    most > 0 ? " or a window" : "");
        return KIND_ANY;
    }
    for (Expr *a = e->a; a; a = a->next)
        (void) check_expr(c, a);
    if (e->n_arguments < least || e->n_arguments > most) {
        check_error(c, e->at, builtin_usage(e->builtin), "'%s' does not take %u argument%s", e->name->text,
                    e->n_arguments, e->n_arguments == 1 ? "" : "s");
        return KIND_ANY;
    }
    if (e->builtin == BUILTIN_MATCHES)
        return check_matches(c, e);
    return is_window(e) ? check_window(c, e) : check_uniform(c, e);
}

/* ---- aggregates: sum(g.free for g in guests) ---- */

/* Whether an aggregate over all guests is allowed here. */
static bool check_apart(Checker *c, Position at, const char *name)
{
    if (c->constant) {
        check_not_constant(c, at, "guests");
        return false;
    }
    if (!c->aggregate && c->loop == 0)
        return true;
    check_error(c, at, HINT_ABOVE, "'%s' goes over all guests: it can't be inside %s", name,
                c->aggregate ? "another aggregate" : "a loop");
    return false;
}

static Kind check_gathered(Checker *c, Expr *e, Kind k)
{
    const char *what = builtin_to_string(e->builtin);

    switch (e->builtin) {
    case BUILTIN_COUNT:
        e->counted = e->a->type == EXPR_NAME && e->symbol && e->a->symbol == e->symbol;
        if (!e->counted && k != KIND_BOOLEAN && k != KIND_ANY)
            check_error(c, e->a->at, builtin_usage(e->builtin),
                        "'count' needs a guest or a boolean, but this is %s", kind_describe(k));
        return KIND_NUMBER;
    case BUILTIN_ANY:
    case BUILTIN_ALL:
        if (k != KIND_BOOLEAN && k != KIND_ANY)
            check_error(c, e->a->at, builtin_usage(e->builtin), "'%s' needs a boolean, but this is %s", what,
                        kind_describe(k));
        return KIND_BOOLEAN;
    default:
        if (kind_is_quantity(k))
            return k;
        check_error(
            c, e->a->at,
            k == KIND_BOOLEAN ? "for the number of guests for which it is true, use count(...)" : NULL,
            "'%s' needs a number, bytes, a duration or a rate, but this is %s", what, kind_describe(k));
        return KIND_ANY;
    }
}

Kind check_aggregate(Checker *c, Expr *e)
{
    Symbol *outer = c->scope;
    Kind k;

    if (!check_apart(c, e->at, builtin_to_string(e->builtin)))
        return KIND_ANY;
    c->aggregates = true;
    if (!e->symbol) { /* else this function was checked before, and its names are resolved */
        e->symbol = check_declare(c, SYMBOL_GUEST, e->name, e->name_at);
        if (!e->symbol)
            return KIND_ANY;
        e->symbol->kind = KIND_GUEST;
    }
    c->aggregate = e;
    k = check_expr(c, e->a);
    check_condition(c, e->b);
    c->aggregate = NULL;
    check_leave_scope(c, outer);
    return check_gathered(c, e, k);
}

/* ---- functions of the policy ---- */

/* Checks the body of the function for these kinds of arguments, unless that was done before. */
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
        check_error(c, call->at, "write a function for each kind of value",
                    "'%s' is called with more than %u combinations of kinds", call->name->text,
                    INSTANCES_MAX);
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

/* The function called. NULL, with an error, if that is not a function of the policy. */
static Function *check_callee(Checker *c, Expr *e)
{
    Function *f;

    if (!e->symbol) {
        check_unknown_name(c, e->name, e->at, UNKNOWN_FUNCTION);
        return NULL;
    }
    if (e->symbol->type != SYMBOL_FUNCTION) {
        check_error(c, e->at, NULL, "'%s' is not a function", e->name->text);
        return NULL;
    }
    if (c->constant) {
        check_not_constant(c, e->at, "a function of the policy");
        return NULL;
    }
    f = e->symbol->function;
    if (!f || !f->aggregates)
        return f;
    c->aggregates = true;
    return check_apart(c, e->at, e->name->text) ? f : NULL;
}

Kind check_call(Checker *c, Expr *e)
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
    }
    f = check_callee(c, e);
    for (Expr *a = e->a; a; a = a->next) {
        Kind k = check_expr(c, a);

        if (n < FUNCTION_PARAMETERS_MAX)
            kinds[n] = k;
        n++;
    }
    if (!f)
        return KIND_ANY;
    if (n != f->n_parameters) {
        check_error(c, e->at, NULL, "'%s' has %u parameter%s, but %u argument%s given", e->name->text,
                    f->n_parameters, f->n_parameters == 1 ? "" : "s", n, n == 1 ? " is" : "s are");
        return KIND_ANY;
    }
    c->call_depth = MAX(c->call_depth, f->depth);
    return check_instance(c, e, f, kinds);
}
