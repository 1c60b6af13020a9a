/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks names: what each means, and what was probably meant where it means nothing. */

#include <stdarg.h>

#include "policy/checking.h"
#include "policy/foreign.h"
#include "policy/lexer.h"

void check_error(Checker *c, Position at, const char *hint, const char *format, ...)
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

/* Finds the name's declaration, to report that it comes too late, or is in a block that has ended. */
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

static const char *suggest_name(const Checker *c, const Name *name, Unknown wanted, char *buf, size_t size)
{
    const char *foreign = foreign_word(name->text, name->length);
    Nearest n;

    if (foreign)
        return foreign;
    if (check_find_guest_state(c, name)) {
        (void) snprintf(buf, size, "the guest of a loop has it: g.%s", name->text);
        return buf;
    }
    if (wanted == UNKNOWN_VALUE && (field_from_name(true, name) >= 0 || field_from_name(false, name) >= 0)) {
        (void) snprintf(buf, size, "a stat of %s is read as %s.%s",
                        field_from_name(false, name) >= 0 ? "the guest of a loop" : "the host",
                        field_from_name(false, name) >= 0 ? "g" : "host", name->text);
        return buf;
    }
    nearest_init(&n, name->text, name->length);
    for (const Symbol *y = c->scope; y; y = y->outer)
        nearest_offer(&n, y->name->text);
    if (wanted == UNKNOWN_FUNCTION)
        builtin_suggest(&n);
    else {
        static const char *const words[] = {"host", "true", "false"};

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
            nearest_offer(&n, words[i]);
    }
    if (!n.best && wanted == UNKNOWN_VARIABLE)
        return "declare a variable with let";
    if (!n.best && wanted == UNKNOWN_VALUE && lexer_is_unit(name->text, name->length))
        return "a rate is bytes divided by a duration: 0B / 1s";
    if (!n.best && (wanted == UNKNOWN_OBJECT || name_is(name, "g")))
        return "a guest has its name only in a loop: for g in guests { ... g.free ... }";
    return suggestion(&n, buf, size);
}

/* Words of the language in places where they have no meaning. */
static bool word_out_of_place(Checker *c, const Name *name, Position at)
{
    if (name_is(name, "host"))
        check_error(c, at, "such as host.available", "'host' needs the name of a stat");
    else if (name_is(name, "guest"))
        check_error(c, at, "for g in guests { ... g.free ... }",
                    "'guest' is not a guest: a loop names its own");
    else if (builtin_from_name(name) != BUILTIN_NONE)
        check_error(c, at, builtin_usage(builtin_from_name(name)),
                    "'%s' is a function: call it with its arguments in parentheses", name->text);
    else
        return false;
    return true;
}

void check_unknown_name(Checker *c, Name *name, Position at, Unknown wanted)
{
    const Statement *d;
    char hint[128];

    /* What is looked through below is as long as the policy. */
    if (name->told || diagnostics_full(c->unit->diagnostics))
        return;
    name->told = true;
    if (word_out_of_place(c, name, at))
        return;

    d = find_declaration(c->unit->statements, name);
    if (d && d->type == STATEMENT_FUNCTION && d->name_at.line <= at.line)
        check_error(c, at, "every policy must end, so functions can't be recursive",
                    "function '%s' calls itself", name->text);
    else if (d &&
             (d->name_at.line > at.line || (d->name_at.line == at.line && d->name_at.column > at.column)))
        check_error(c, at, "a name is known only below its declaration: move that up",
                    "'%s' is declared further down, in line %u", name->text, d->name_at.line);
    else if (d && d->type != STATEMENT_FUNCTION && d->name_at.line != at.line)
        check_error(c, at, "a name is known only up to the end of its block: declare it before the block",
                    "'%s' is declared in a block that has ended (line %u)", name->text, d->name_at.line);
    else
        check_error(c, at, suggest_name(c, name, wanted, hint, sizeof(hint)), "unknown %s '%s'",
                    wanted == UNKNOWN_FUNCTION ? "function" : "name", name->text);
}

GuestState *check_find_guest_state(const Checker *c, const Name *name)
{
    for (GuestState *g = c->unit->guest_states; g; g = g->next)
        if (g->name == name)
            return g;
    return NULL;
}

static bool is_control(bool host, int f)
{
    return (host ? host_field_info((HostField) f) : guest_field_info((GuestField) f))->kind ==
           FIELD_KIND_CONTROL;
}

/* A state variable of guests that is declared too late. */
static const Statement *find_later_state(const Checker *c, const Name *field)
{
    for (const Statement *s = c->unit->statements; s; s = s->next)
        if (s->type == STATEMENT_STATE && s->field == field)
            return s;
    return NULL;
}

const char *check_list_controls(bool host, char *buf, size_t size)
{
    int n_fields = host ? (int) HOST_FIELD_MAX : (int) GUEST_FIELD_MAX, n = 0;

    for (int f = 0; f < n_fields; f++) {
        const FieldInfo *info = host ? host_field_info((HostField) f) : guest_field_info((GuestField) f);

        if (info->kind == FIELD_KIND_CONTROL && n < (int) size)
            n += snprintf(buf + n, size - (size_t) n, "%s%s", n == 0 ? "you can assign to: " : ", ",
                          info->name);
    }
    return buf;
}

void check_unknown_field(Checker *c, const Name *field, Position at, bool host, bool control)
{
    int other = field_from_name(!host, field), n_fields = host ? (int) HOST_FIELD_MAX : (int) GUEST_FIELD_MAX;
    const Statement *later;
    char hint[128];
    const char *h = hint;
    Nearest n;

    if (diagnostics_full(c->unit->diagnostics))
        return;
    later = host ? NULL : find_later_state(c, field);
    if (later) {
        check_error(c, at, "a name is known only below its declaration: move that up",
                    "'guest.%s' is declared further down, in line %u", field->text, later->field_at.line);
        return;
    }
    nearest_init(&n, field->text, field->length);
    for (int f = 0; f < n_fields; f++)
        if (!control || is_control(host, f))
            nearest_offer(&n, field_name(host, f));
    for (const GuestState *g = host ? NULL : c->unit->guest_states; g; g = g->next)
        nearest_offer(&n, g->name->text);
    if (other >= 0 && (!control || is_control(!host, other)))
        (void) snprintf(hint, sizeof(hint), "%s has it: %s.%s", host ? "a guest" : "the host",
                        host ? "g" : "host", field_name(!host, other));
    else if (n.best || !control)
        h = suggestion(&n, hint, sizeof(hint));
    else
        h = check_list_controls(host, hint, sizeof(hint));
    check_error(c, at, h, "%s has no %s '%s'", host ? "the host" : "a guest", control ? "control" : "stat",
                field->text);
}

Symbol *check_declare(Checker *c, SymbolType type, Name *name, Position at)
{
    Symbol *y;

    if (!name)
        return NULL;
    if (name->symbol) {
        check_error(c, at, "choose another name: each has one meaning", "'%s' is already declared in line %u",
                    name->text, name->symbol->at.line);
        return NULL;
    }
    if (name_is_reserved(name)) {
        check_error(c, at, NULL, "'%s' is a word of the language: choose another name", name->text);
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

void check_leave_scope(Checker *c, Symbol *outer)
{
    while (c->scope != outer) {
        c->scope->name->symbol = NULL;
        c->scope = c->scope->outer;
    }
}
