/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fills a table of libsmartcols with harmless texts, and cuts them to the width of the screen. */

#include <libsmartcols.h>
#include <string.h>

#include "host-agent/ctl/table.h"

struct Table {
    struct libscols_table *table;
    struct libscols_line *line; /* the last row */
    const TableColumn *columns;
    size_t n_columns, next; /* the next cell's column */
    size_t gap;             /* blanks between two columns */
    size_t *widths;         /* of each column */
    bool *used;             /* a row has a value */
    int error;
};

static int add_column(Table *t, size_t column)
{
    const TableColumn *c = &t->columns[column];
    struct libscols_column *new =
        scols_table_new_column(t->table, c->title, 0, c->right ? SCOLS_FL_RIGHT : 0);

    if (!new)
        return -ENOMEM;
    t->widths[column] = text_width(c->title);
    return scols_cell_set_color(scols_column_get_header(new), style_sequence(STYLE_BOLD));
}

int table_new(const TableColumn *columns, size_t n, unsigned flags, Table **ret)
{
    _cleanup_(table_freep) Table *t = calloc(1, sizeof(Table));
    int r = 0;

    if (!t)
        return -ENOMEM;
    t->table = scols_new_table();
    t->widths = calloc(n, sizeof(size_t));
    t->used = calloc(n, sizeof(bool));
    if (!t->table || !t->widths || !t->used)
        return -ENOMEM;
    t->columns = columns;
    t->n_columns = n;
    t->gap = flags & TABLE_DENSE ? 1 : 2;
    /* Texts are clean, and cut here: libsmartcols would cut words, and doesn't show that it did. */
    (void) scols_table_enable_noencoding(t->table, true);
    (void) scols_table_set_termforce(t->table, SCOLS_TERMFORCE_NEVER);
    (void) scols_table_enable_noheadings(t->table, flags & TABLE_NO_TITLES ? 1 : 0);
    if (t->gap > 1)
        r = scols_table_set_column_separator(t->table, "  ");
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = add_column(t, i);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(t);
    return 0;
}

Table *table_free(Table *t)
{
    if (!t)
        return NULL;
    scols_unref_table(t->table);
    free(t->widths);
    free(t->used);
    free(t);
    return NULL;
}

static int add_cell(Table *t, Style style, const char *text)
{
    bool known = text && text[0];
    char *clean;
    int r;

    if (t->next == 0) {
        t->line = scols_table_new_line(t->table, NULL);
        if (!t->line)
            return -ENOMEM;
    }
    clean = text_clean(known ? text : "-");
    if (!clean)
        return -ENOMEM;
    t->widths[t->next] = MAX(t->widths[t->next], text_width(clean));
    t->used[t->next] |= known;
    r = scols_line_refer_data(t->line, t->next, clean);
    if (r < 0) {
        free(clean);
        return r;
    }
    if (style != STYLE_PLAIN)
        r = scols_cell_set_color(scols_line_get_cell(t->line, t->next), style_sequence(style));
    t->next = (t->next + 1) % t->n_columns;
    return r;
}

void table_add(Table *t, Style style, const char *text)
{
    if (t->error >= 0)
        t->error = add_cell(t, style, text);
}

static int cut_column(Table *t, size_t column, size_t columns)
{
    for (size_t i = 0; i < scols_table_get_nlines(t->table); i++) {
        struct libscols_cell *cell = scols_line_get_cell(scols_table_get_line(t->table, i), column);
        const char *text = scols_cell_get_data(cell);
        char *cut;

        if (text_width(text) <= columns)
            continue;
        cut = strdup(text);
        cut = cut ? text_cut(cut, columns) : NULL;
        if (!cut)
            return -ENOMEM;
        if (scols_cell_refer_data(cell, cut) < 0) {
            free(cut);
            return -ENOMEM;
        }
    }
    return 0;
}

/* Hides empty columns that may be left out, and cuts others until a row fits. */
static int fit(Table *t, size_t width)
{
    size_t total = 0;
    int r = 0;

    for (size_t i = 0; i < t->n_columns; i++)
        if (t->columns[i].optional && !t->used[i])
            r = scols_column_set_flags(scols_table_get_column(t->table, i), SCOLS_FL_HIDDEN);
        else
            total += t->widths[i] + (total > 0 ? t->gap : 0);
    for (size_t i = t->n_columns; width > 0 && r >= 0 && i-- > 0;) {
        size_t room = MAX(LESS_BY(t->widths[i], LESS_BY(total, width)), (size_t) TABLE_CUT_MIN);

        if (!t->columns[i].cut || room >= t->widths[i])
            continue;
        r = cut_column(t, i, room);
        total -= t->widths[i] - room;
    }
    return r;
}

int table_print(Table *t, const Screen *screen)
{
    int r = t->error;

    if (r >= 0)
        r = fit(t, screen->width);
    if (r >= 0)
        r = scols_table_set_stream(t->table, screen->file);
    if (r >= 0)
        r = scols_table_enable_colors(t->table, screen->colour);
    return r < 0 ? r : scols_print_table(t->table);
}
