/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Prints guests as a table: which columns, in which order. */

#include "host-agent/ctl/json.h"
#include "host-agent/ctl/table.h"

#define LIST_COLUMNS_MAX 40U /* there are no more */

typedef struct ListView {
    unsigned columns[LIST_COLUMNS_MAX]; /* numbers of list_title() */
    size_t n_columns;
    bool chosen; /* else a column without any value may be left out */
    bool wide;   /* nothing is cut */
    bool no_titles;
    unsigned sort; /* by this column, then by name */
    bool descending;
    size_t max_rows; /* 0: all */
} ListView;

/* The title of column i; NULL if there are no more. */
const char *list_title(unsigned i);
/* The columns that are printed unless some are chosen. */
void list_choose(ListView *v);

/* Keeps the guests whose name matches one of n shell patterns, or whose UUID is one (all if n is 0), and
 * sorts them; guests without a value come last. Puts *guests and replaces it. *ret_unmatched: a pattern that
 * matches no guest, or NULL. 0 or -ENOMEM. */
int list_select(json_object **guests, const ListView *v, char *const *patterns, int n,
                const char **ret_unmatched);
/* Prints them in their order. 0 or -ENOMEM. */
int print_list(const Screen *screen, json_object *guests, const ListView *v);
