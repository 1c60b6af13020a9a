/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tables, which libsmartcols draws. Cells are made harmless, and cut so that a row fits the screen. */

#include "host-agent/ctl/text.h"

typedef struct Table Table;

typedef struct TableColumn {
    const char *title;
    bool right;    /* numbers */
    bool optional; /* left out if no row has a value */
    bool cut;      /* cut if a row would be too wide */
} TableColumn;

typedef enum TableFlag {
    TABLE_NO_TITLES = 1 << 0,
    TABLE_DENSE = 1 << 1, /* one blank between columns, not two */
} TableFlag;

/* If a row is too wide, the last column that may be cut is cut first, then the one before it, and so on. None
 * is cut below TABLE_CUT_MIN columns, so that on a very narrow screen rows are too wide. */
#define TABLE_CUT_MIN 12U

/* flags: TableFlags. columns and their titles are borrowed. */
int table_new(const TableColumn *columns, size_t n, unsigned flags, Table **ret);
Table *table_free(Table *t);
DEFINE_CLEANUP_FUNC(Table, table_free);
/* The next cell, row by row; NULL prints as "-". The text is cleaned. The first failure sticks. */
void table_add(Table *t, Style style, const char *text);
/* Prints the titles and the rows, all of which are complete. 0, or the failure of an earlier table_add(). */
int table_print(Table *t, const Screen *screen);
