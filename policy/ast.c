/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names, and the memory that a tree lives in. */

#include "policy/ast.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a */
static uint32_t hash_text(const char *text, size_t length)
{
    uint32_t h = 2166136261U;

    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char) text[i]) * 16777619U;
    return h;
}

static int grow_buckets(Unit *u)
{
    uint32_t n = u->n_buckets ? u->n_buckets * 4 : 64;
    Name **buckets = calloc(n, sizeof(*buckets));

    if (!buckets)
        return -ENOMEM;
    for (uint32_t i = 0; i < u->n_buckets; i++)
        for (Name *name = u->buckets[i], *next; name; name = next) {
            next = name->next;
            name->next = buckets[name->hash % n];
            buckets[name->hash % n] = name;
        }
    free(u->buckets);
    u->buckets = buckets;
    u->n_buckets = n;
    return 0;
}

Name *unit_name(Unit *u, const char *text, size_t length)
{
    uint32_t h = hash_text(text, length);
    Name *name;
    char *copy;

    if (u->n_names >= u->n_buckets && grow_buckets(u) < 0)
        return NULL;
    for (name = u->buckets[h % u->n_buckets]; name; name = name->next)
        if (name->hash == h && name->length == length && memcmp(name->text, text, length) == 0)
            return name;

    name = arena_alloc(&u->arena, sizeof(*name));
    copy = arena_alloc(&u->arena, length + 1);
    if (!name || !copy)
        return NULL;
    memcpy(copy, text, length);
    *name =
        (Name){.next = u->buckets[h % u->n_buckets], .hash = h, .length = (uint32_t) length, .text = copy};
    u->buckets[h % u->n_buckets] = name;
    u->n_names++;
    return name;
}

void unit_done(Unit *u)
{
    free(u->buckets);
    arena_done(&u->arena);
    *u = (Unit){};
}
