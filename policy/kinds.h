/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The tables of the language: kinds of values, what operators make of them, functions, fields, words. */

#include "base/nearest.h"
#include "policy/ast.h"

#define KIND_INVALID ((Kind) -1) /* no such operation */

const char *kind_describe(Kind k); /* "a number", "bytes" */
Kind kind_from_unit(FieldUnit u);
/* Not of KIND_ANY and KIND_GUEST. */
FieldUnit kind_to_unit(Kind k);
/* The kind of the result; KIND_INVALID for an operation that does not exist. */
Kind kind_of_operation(Operator op, Kind a, Kind b);
/* A hint how to write what was probably meant by an operation on these two kinds; or NULL. */
const char *kind_hint(Kind a, Kind b);
const char *operator_to_string(Operator op);
bool kind_is_quantity(Kind k); /* can be summed and ordered; so can KIND_ANY */

Builtin builtin_from_name(const Name *name);
const char *builtin_to_string(Builtin b);
/* The number of arguments of a call; 0 and 0 if the function only goes over guests. */
void builtin_arity(Builtin b, unsigned *ret_least, unsigned *ret_most);
bool builtin_aggregates(Builtin b); /* can go over guests */
const char *builtin_usage(Builtin b);
void builtin_suggest(Nearest *n);

bool name_is(const Name *name, const char *word);
/* Names that have a meaning and can't be declared. (The lexer's keywords are not names.) */
bool name_is_reserved(const Name *name);

const char *field_name(bool host, int f);
/* HostField or GuestField; -1: no field has this name. */
int field_from_name(bool host, const Name *name);
