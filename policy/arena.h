/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory that is needed only while a policy is loaded: allocated in pieces, freed at once. */

#include <stddef.h>

typedef struct ArenaChunk ArenaChunk;

typedef struct Arena {
    ArenaChunk *chunks; /* the newest first */
} Arena;

/* Zeroed memory, aligned for any type used here; NULL without memory. */
void *arena_alloc(Arena *a, size_t size);
void arena_done(Arena *a);
