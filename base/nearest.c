/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finds the known name that is nearest to an unknown one, for "did you mean". */

#include "base/nearest.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/macro.h"

#define SHORT_FORM_MIN 3U /* letters of a short form at least: avail, dist */

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

unsigned edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    /* Rows of the table of distances between the prefixes: this one and the two before it. */
    unsigned rows[3][NEAREST_NAME_MAX + 1];
    unsigned *row = rows[0], *above = rows[1], *above2 = rows[2];

    if (a_length > NEAREST_NAME_MAX || b_length > NEAREST_NAME_MAX)
        return UINT_MAX;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = (unsigned) j;
    for (size_t i = 1; i <= a_length; i++) {
        unsigned *recycled = above2;

        above2 = above;
        above = row;
        row = recycled;
        row[0] = (unsigned) i;
        for (size_t j = 1; j <= b_length; j++) {
            char x = fold(a[i - 1]), y = fold(b[j - 1]);

            row[j] = MIN(MIN(above[j] + 1, row[j - 1] + 1), above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == fold(b[j - 2]) && y == fold(a[i - 2]))
                row[j] = MIN(row[j], above2[j - 2] + 1);
        }
    }
    return row[b_length];
}

void nearest_init(Nearest *n, const char *name, size_t length)
{
    *n = (Nearest){.name = name, .length = length, .distance = UINT_MAX};
}

void nearest_offer(Nearest *n, const char *candidate)
{
    unsigned d = edit_distance(n->name, n->length, candidate, strlen(candidate));

    if (n->length >= SHORT_FORM_MIN && strncasecmp(n->name, candidate, n->length) == 0)
        d = MIN(d, (unsigned) (n->length + 2) / 3);
    /* A name of two letters would be near to half of all others. */
    if (d < n->distance && d <= (n->length + 2) / 3 && d < n->length) {
        n->distance = d;
        n->best = candidate;
    }
}
