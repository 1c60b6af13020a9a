/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* "Did you mean …?": finds the known name nearest to an unknown one. Call nearest_init() with the unknown
 * name, nearest_offer() with each known one, and read best, which is NULL if none is near enough. Of several
 * equally near names the first wins. */

#include <stddef.h>

#define NEAREST_NAME_MAX 64U /* longer names are near to no other */

typedef struct Nearest {
    const char *name;  /* need not be NUL-terminated */
    size_t length;     /* of name */
    unsigned distance; /* of best */
    const char *best;  /* borrowed from what was offered, or NULL */
} Nearest;

/* How many letters must be inserted, removed, replaced, or swapped with the next one to turn one name into
 * the other, regardless of case (ASCII). UINT_MAX if one is longer than NEAREST_NAME_MAX. */
unsigned edit_distance(const char *a, size_t a_length, const char *b, size_t b_length);

void nearest_init(Nearest *n, const char *name, size_t length);
/* Keeps candidate if it is nearer than all before, and at most a third of the name (rounded up) differs. The
 * beginning of a name counts as the name: avail for available. */
void nearest_offer(Nearest *n, const char *candidate);
