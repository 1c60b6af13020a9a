/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The tables of the language: kinds of values and what operators make of them, functions, fields, words. */

#include "base/nearest.h"
#include "policy/ast.h"

#define KIND_INVALID ((Kind) -1) /* no such operation */

const char *kind_describe(Kind k); /* "a number", "bytes" */
Kind kind_from_unit(FieldUnit u);
/* Not of KIND_ANY and KIND_GUEST. */
FieldUnit kind_to_unit(Kind k);
/* What the operation yields; KIND_INVALID where there is none. */
Kind kind_of_operation(Operator op, Kind a, Kind b);
/* How to write what two kinds beside each other were probably meant to be; or NULL. */
const char *kind_hint(Kind a, Kind b);
const char *operator_to_string(Operator op);
bool kind_is_quantity(Kind k); /* can be added up and put in order; KIND_ANY is */

Builtin builtin_from_name(const Name *name);
const char *builtin_to_string(Builtin b);
/* Arguments of a call; 0 and 0 where it only goes over guests. */
void builtin_arity(Builtin b, unsigned *ret_least, unsigned *ret_most);
bool builtin_aggregates(Builtin b); /* can go over guests */
const char *builtin_usage(Builtin b);
void builtin_suggest(Nearest *n);

bool name_is(const Name *name, const char *word);
/* Words that have a meaning and can't be declared; the lexer's own are no names at all. */
bool name_is_reserved(const Name *name);

const char *field_name(bool host, int f);
/* HostField or GuestField; -1: none of that name. */
int field_from_name(bool host, const Name *name);
