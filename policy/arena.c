/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that is handed out in pieces and freed at once. */

#include "policy/arena.h"

#include <stdlib.h>

#include "base/macro.h"

#define CHUNK_SIZE ((size_t) 16 * 1024)
#define ALIGNMENT  ((size_t) 16)

struct ArenaChunk {
    ArenaChunk *next;
    size_t used, size;
    _Alignas(16) unsigned char data[];
};

void *arena_alloc(Arena *a, size_t size)
{
    ArenaChunk *c = a->chunks;
    void *p;

    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (!c || c->size - c->used < size) {
        size_t capacity = MAX(size, CHUNK_SIZE);

        c = calloc(1, sizeof(*c) + capacity);
        if (!c)
            return NULL;
        c->size = capacity;
        c->next = a->chunks;
        a->chunks = c;
    }
    p = c->data + c->used;
    c->used += size;
    return p;
}

void arena_done(Arena *a)
{
    while (a->chunks) {
        ArenaChunk *next = a->chunks->next;

        free(a->chunks);
        a->chunks = next;
    }
}
