/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A set of fields of fields.def, either of the host's or of the guests'. */

#include <stdbool.h>
#include <stdint.h>

#define FIELD_SET_WORDS 2
#define FIELD_SET_MAX   (64 * FIELD_SET_WORDS) /* fields */

typedef struct FieldSet {
    uint64_t words[FIELD_SET_WORDS];
} FieldSet;

static inline bool field_set_has(const FieldSet *s, int field)
{
    return s->words[field / 64] >> field % 64 & 1;
}

static inline void field_set_add(FieldSet *s, int field)
{
    s->words[field / 64] |= UINT64_C(1) << field % 64;
}

static inline void field_set_remove(FieldSet *s, int field)
{
    s->words[field / 64] &= ~(UINT64_C(1) << field % 64);
}

static inline bool field_set_is_empty(const FieldSet *s)
{
    for (int i = 0; i < FIELD_SET_WORDS; i++)
        if (s->words[i] != 0)
            return false;
    return true;
}

/* Adds all fields of another set. */
static inline void field_set_unite(FieldSet *s, const FieldSet *other)
{
    for (int i = 0; i < FIELD_SET_WORDS; i++)
        s->words[i] |= other->words[i];
}

/* The fields that both sets have. */
static inline FieldSet field_set_common(const FieldSet *a, const FieldSet *b)
{
    FieldSet common;

    for (int i = 0; i < FIELD_SET_WORDS; i++)
        common.words[i] = a->words[i] & b->words[i];
    return common;
}

/* The first field of the set from this one on; -1: there is none. */
static inline int field_set_next(const FieldSet *s, int from)
{
    for (int word = from / 64; word < FIELD_SET_WORDS; word++, from = 64 * word) {
        uint64_t rest = s->words[word] >> from % 64;

        if (rest != 0)
            return from + __builtin_ctzll(rest);
    }
    return -1;
}

#define FOREACH_FIELD(f, set) for (int f = field_set_next(set, 0); f >= 0; f = field_set_next(set, f + 1))
