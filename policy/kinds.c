/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of the language: kinds, operators, functions, words. */

#include "policy/kinds.h"

#include <assert.h>
#include <string.h>

#define ARGUMENTS_MAX 16U

const char *kind_describe(Kind k)
{
    static const char *const names[] = {
        [KIND_ANY] = "anything",          [KIND_NUMBER] = "a number",   [KIND_BYTES] = "bytes",
        [KIND_DURATION] = "a duration",   [KIND_BOOLEAN] = "a boolean", [KIND_GUEST] = "a guest",
        [KIND_RATE] = "bytes per second", [KIND_TEXT] = "text",
    };

    return names[k];
}

Kind kind_from_unit(FieldUnit u)
{
    switch (u) {
    case FIELD_UNIT_NUMBER:
        return KIND_NUMBER;
    case FIELD_UNIT_BYTES:
        return KIND_BYTES;
    case FIELD_UNIT_DURATION:
        return KIND_DURATION;
    case FIELD_UNIT_RATE:
        return KIND_RATE;
    case FIELD_UNIT_BOOLEAN:
        return KIND_BOOLEAN;
    case FIELD_UNIT_TEXT:
        return KIND_TEXT;
    case FIELD_UNIT_MAX:
    case FIELD_UNIT_INVALID:
        break;
    }
    assert(false);
    return KIND_INVALID;
}

FieldUnit kind_to_unit(Kind k)
{
    switch (k) {
    case KIND_NUMBER:
        return FIELD_UNIT_NUMBER;
    case KIND_BYTES:
        return FIELD_UNIT_BYTES;
    case KIND_DURATION:
        return FIELD_UNIT_DURATION;
    case KIND_RATE:
        return FIELD_UNIT_RATE;
    case KIND_BOOLEAN:
        return FIELD_UNIT_BOOLEAN;
    case KIND_TEXT:
        return FIELD_UNIT_TEXT;
    case KIND_ANY:
    case KIND_GUEST:
        break;
    }
    assert(false);
    return FIELD_UNIT_INVALID;
}

bool kind_is_quantity(Kind k)
{
    return k == KIND_ANY || k == KIND_NUMBER || k == KIND_BYTES || k == KIND_DURATION || k == KIND_RATE;
}

static bool are(Kind a, Kind b, Kind one, Kind other)
{
    return (a == one && b == other) || (a == other && b == one);
}

static Kind kind_of_product(Kind a, Kind b)
{
    if (a == KIND_ANY || b == KIND_ANY)
        return KIND_ANY;
    if (are(a, b, KIND_RATE, KIND_DURATION))
        return KIND_BYTES;
    return a == KIND_NUMBER ? b : b == KIND_NUMBER ? a : KIND_INVALID;
}

static Kind kind_of_quotient(Kind a, Kind b)
{
    if (a == KIND_ANY || b == KIND_ANY)
        return KIND_ANY;
    if (a == KIND_BYTES && (b == KIND_DURATION || b == KIND_RATE))
        return b == KIND_DURATION ? KIND_RATE : KIND_DURATION;
    return b == KIND_NUMBER ? a : a == b ? KIND_NUMBER : KIND_INVALID;
}

Kind kind_of_operation(Operator op, Kind a, Kind b)
{
    bool same = a == b || a == KIND_ANY || b == KIND_ANY,
         quantities = kind_is_quantity(a) && kind_is_quantity(b);

    switch (op) {
    case OPERATOR_OR:
    case OPERATOR_AND:
        return (a == KIND_BOOLEAN || a == KIND_ANY) && (b == KIND_BOOLEAN || b == KIND_ANY) ? KIND_BOOLEAN
                                                                                            : KIND_INVALID;
    case OPERATOR_EQ:
    case OPERATOR_NE:
        return same && a != KIND_GUEST && b != KIND_GUEST ? KIND_BOOLEAN : KIND_INVALID;
    case OPERATOR_LT:
    case OPERATOR_LE:
    case OPERATOR_GT:
    case OPERATOR_GE:
        return same && quantities ? KIND_BOOLEAN : KIND_INVALID;
    case OPERATOR_ADD:
    case OPERATOR_SUB:
        return !same || !quantities ? KIND_INVALID : a == KIND_ANY ? b : a;
    case OPERATOR_MUL:
        return quantities ? kind_of_product(a, b) : KIND_INVALID;
    case OPERATOR_DIV:
        return quantities ? kind_of_quotient(a, b) : KIND_INVALID;
    case OPERATOR_NONE:
    case OPERATOR_NOT:
    case OPERATOR_NEG:
        break;
    }
    assert(false);
    return KIND_INVALID;
}

const char *kind_hint(Kind a, Kind b)
{
    if (are(a, b, KIND_BYTES, KIND_NUMBER))
        return "a size needs a unit (0B, 64MiB); a part of a size is a product (20% * host.total)";
    if (are(a, b, KIND_DURATION, KIND_NUMBER))
        return "a duration needs a unit: 0s, 10s, 5min";
    if (are(a, b, KIND_RATE, KIND_NUMBER))
        return "a rate is bytes divided by a duration: 0B / 1s, 10MiB / 1s";
    if (are(a, b, KIND_RATE, KIND_BYTES))
        return "bytes divided by a duration are a rate (10MiB / 1s); a rate times a duration is bytes";
    if (a == KIND_TEXT && b == KIND_TEXT)
        return "text can only be compared with == and !=";
    return NULL;
}

const char *operator_to_string(Operator op)
{
    static const char *const names[] = {
        [OPERATOR_NONE] = "", [OPERATOR_OR] = "or",   [OPERATOR_AND] = "and", [OPERATOR_EQ] = "==",
        [OPERATOR_NE] = "!=", [OPERATOR_LT] = "<",    [OPERATOR_LE] = "<=",   [OPERATOR_GT] = ">",
        [OPERATOR_GE] = ">=", [OPERATOR_ADD] = "+",   [OPERATOR_SUB] = "-",   [OPERATOR_MUL] = "*",
        [OPERATOR_DIV] = "/", [OPERATOR_NOT] = "not", [OPERATOR_NEG] = "-",
    };

    return names[op];
}

static const struct {
    const char *name;
    unsigned least, most; /* arguments of a call; 0 if the function only goes over guests */
    bool aggregates;
    const char *usage;
} builtins[] = {
    [BUILTIN_NONE] = {},
    [BUILTIN_MIN] = {"min", 2, ARGUMENTS_MAX, true, "min(a, b, ...): the smallest of 2 to 16 values"},
    [BUILTIN_MAX] = {"max", 2, ARGUMENTS_MAX, true, "max(a, b, ...): the largest of 2 to 16 values"},
    [BUILTIN_CLAMP] = {"clamp", 3, 3, false, "clamp(x, low, high): x, but at least low and at most high"},
    [BUILTIN_ABS] = {"abs", 1, 1, false, "abs(x): x without its sign"},
    [BUILTIN_ROUND] = {"round", 2, 2, false, "round(x, step): the multiple of step that is nearest to x"},
    [BUILTIN_MATCHES] = {"matches", 2, 2, false,
                         "matches(g.name, \"web*\"): whether the text matches the pattern"},
    [BUILTIN_AVG] = {"avg", 2, 2, true,
                     "over time avg(g.free, 30s), over guests avg(g.free for g in guests)"},
    [BUILTIN_RATE] = {"rate", 2, 2, false, "rate(g.swap_in, 30s): its growth per second"},
    [BUILTIN_SUM] = {"sum", 0, 0, true, "sum(g.free for g in guests)"},
    [BUILTIN_COUNT] = {"count", 0, 0, true, "count(g for g in guests where g.free > 64MiB)"},
    [BUILTIN_ANY] = {"any", 0, 0, true, "any(g.distress for g in guests)"},
    [BUILTIN_ALL] = {"all", 0, 0, true, "all(g.moving for g in guests)"},
};

Builtin builtin_from_name(const Name *name)
{
    for (size_t i = BUILTIN_NONE + 1; i < ELEMENTSOF(builtins); i++)
        if (name_is(name, builtins[i].name))
            return (Builtin) i;
    return BUILTIN_NONE;
}

const char *builtin_to_string(Builtin b)
{
    return builtins[b].name;
}

void builtin_arity(Builtin b, unsigned *ret_least, unsigned *ret_most)
{
    *ret_least = builtins[b].least;
    *ret_most = builtins[b].most;
}

bool builtin_aggregates(Builtin b)
{
    return builtins[b].aggregates;
}

const char *builtin_usage(Builtin b)
{
    return builtins[b].usage;
}

void builtin_suggest(Nearest *n)
{
    for (size_t i = BUILTIN_NONE + 1; i < ELEMENTSOF(builtins); i++)
        nearest_offer(n, builtins[i].name);
}

bool name_is(const Name *name, const char *word)
{
    return strlen(word) == name->length && memcmp(name->text, word, name->length) == 0;
}

bool name_is_reserved(const Name *name)
{
    return name_is(name, "host") || name_is(name, "guest") || builtin_from_name(name) != BUILTIN_NONE;
}

const char *field_name(bool host, int f)
{
    return host ? host_field_info((HostField) f)->name : guest_field_info((GuestField) f)->name;
}

int field_from_name(bool host, const Name *name)
{
    for (int f = 0; f < (host ? (int) HOST_FIELD_MAX : (int) GUEST_FIELD_MAX); f++)
        if (name_is(name, field_name(host, f)))
            return f;
    return -1;
}
