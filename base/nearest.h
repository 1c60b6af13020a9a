/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* "Did you mean …?": the known name nearest to one that isn't known. Set up with the name, offer the known
 * ones, and read best, which is NULL where none is near enough. Among equals the first offered wins. */

#include <stddef.h>

#define NEAREST_NAME_MAX 64U /* longer names are near to nothing */

typedef struct Nearest {
    const char *name;  /* need not be NUL-terminated */
    size_t length;     /* of name */
    unsigned distance; /* of best */
    const char *best;  /* borrowed from what was offered, or NULL */
} Nearest;

/* How many letters have to be put in, left out, exchanged, or swapped with their neighbour to get from one to
 * the other, whatever their case (ASCII). UINT_MAX where one is longer than NEAREST_NAME_MAX. */
unsigned edit_distance(const char *a, size_t a_length, const char *b, size_t b_length);

void nearest_init(Nearest *n, const char *name, size_t length);
/* Keeps candidate if it is nearer than what was offered before: at most a third of the name (rounded up) may
 * differ. A name's beginning is taken for the name: avail for available. */
void nearest_offer(Nearest *n, const char *candidate);
