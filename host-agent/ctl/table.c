/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lays out text for a terminal: harmless, measured in columns, in tables. */

#include <locale.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "host-agent/ctl/table.h"

#define GAP      2U /* blanks between two columns */
#define ELLIPSIS "…"

typedef struct Cell {
    char *text;
    size_t width;
    Style style;
    bool missing; /* no value */
} Cell;

struct Table {
    const TableColumn *columns;
    size_t n_columns;
    Cell *cells;
    size_t n_cells, room;
    int error;
};

void text_set_locale(void)
{
    /* Names and reasons are UTF-8 whatever LANG says, and so are terminals. */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        (void) setlocale(LC_CTYPE, "");
}

/* Characters that change the direction of text can make a line look like another. */
static bool is_direction(wchar_t c)
{
    return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

char *text_clean(const char *s)
{
    size_t left = strlen(s), fill = 0;
    mbstate_t state = {};
    char *clean;

    clean = malloc(left + 1);
    if (!clean)
        return NULL;
    while (left > 0) {
        wchar_t c;
        size_t n = mbrtowc(&c, s, left, &state);

        if (n == 0 || n > left) { /* broken: skip a byte */
            memset(&state, 0, sizeof(state));
            n = 1;
            clean[fill++] = '?';
        } else if (!iswprint((wint_t) c) || wcwidth(c) < 0 || is_direction(c))
            clean[fill++] = '?';
        else {
            memcpy(clean + fill, s, n);
            fill += n;
        }
        s += n;
        left -= n;
    }
    clean[fill] = '\0';
    return clean;
}

bool text_is_utf8(const char *s, size_t length)
{
    mbstate_t state = {};

    while (length > 0) {
        size_t n = mbrtowc(NULL, s, length, &state);

        if (n == 0 || n > length)
            return false;
        s += n;
        length -= n;
    }
    return true;
}

/* Bytes of s that take at most so many columns; *ret_width: how many they do. */
static size_t fitting(const char *s, size_t columns, size_t *ret_width)
{
    size_t left = strlen(s), bytes = 0, width = 0;
    mbstate_t state = {};

    while (left > 0) {
        wchar_t c;
        size_t n = mbrtowc(&c, s + bytes, left, &state);
        int w;

        if (n == 0 || n > left)
            break;
        w = wcwidth(c);
        if (w > 0 && width + (size_t) w > columns)
            break;
        width += w > 0 ? (size_t) w : 0;
        bytes += n;
        left -= n;
    }
    *ret_width = width;
    return bytes;
}

size_t text_width(const char *s)
{
    size_t width;

    (void) fitting(s, SIZE_MAX, &width);
    return width;
}

char *text_cut(char *s, size_t columns)
{
    size_t width, bytes;
    char *longer;

    if (text_width(s) <= columns)
        return s;
    bytes = fitting(s, columns > 0 ? columns - 1 : 0, &width);
    while (bytes > 0 && s[bytes - 1] == ' ')
        bytes--;
    longer = realloc(s, bytes + sizeof(ELLIPSIS));
    if (!longer) {
        free(s);
        return NULL;
    }
    memcpy(longer + bytes, ELLIPSIS, sizeof(ELLIPSIS));
    return longer;
}

void screen_put(const Screen *screen, Style style, const char *text)
{
    static const char *const codes[STYLE_MAX] = {
        [STYLE_PLAIN] = "",    [STYLE_BOLD] = "1",   [STYLE_DIM] = "2",   [STYLE_GREEN] = "32",
        [STYLE_YELLOW] = "33", [STYLE_RED] = "1;31", [STYLE_CYAN] = "36",
    };

    if (screen->colour && style != STYLE_PLAIN)
        fprintf(screen->file, "\033[%sm%s\033[0m", codes[style], text);
    else
        fputs(text, screen->file);
}

/* A mistake starts at the margin; the policy's line and the caret below it are indented. */
int screen_diagnostics(const Screen *screen, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        _cleanup_free_ char *line = strndup(text, length), *clean = line ? text_clean(line) : NULL;
        bool caret = clean && clean[strspn(clean, " ")] == '^';

        if (!clean)
            return -ENOMEM;
        screen_put(screen, clean[0] != ' ' ? STYLE_BOLD : caret ? STYLE_RED : STYLE_PLAIN, clean);
        fputc('\n', screen->file);
        text += length + (text[length] == '\n');
    }
    return 0;
}

int table_new(const TableColumn *columns, size_t n, Table **ret)
{
    Table *t = calloc(1, sizeof(Table));

    if (!t)
        return -ENOMEM;
    t->columns = columns;
    t->n_columns = n;
    *ret = t;
    return 0;
}

Table *table_free(Table *t)
{
    if (!t)
        return NULL;
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i].text);
    free(t->cells);
    free(t);
    return NULL;
}

void table_add(Table *t, Style style, const char *text)
{
    bool missing = !text || !text[0];
    char *clean;

    if (t->error < 0)
        return;
    if (t->n_cells == t->room) {
        size_t room = MAX(2 * t->room, 16 * t->n_columns);
        Cell *cells = reallocarray(t->cells, room, sizeof(Cell));

        if (!cells) {
            t->error = -ENOMEM;
            return;
        }
        t->cells = cells;
        t->room = room;
    }
    clean = text_clean(missing ? "-" : text);
    if (!clean) {
        t->error = -ENOMEM;
        return;
    }
    t->cells[t->n_cells++] =
        (Cell){.text = clean, .width = text_width(clean), .style = style, .missing = missing};
}

static void put_spaces(const Screen *screen, size_t n)
{
    fprintf(screen->file, "%*s", (int) n, "");
}

static void put_cell(const Table *t, const Screen *screen, size_t column, const char *text, size_t width,
                     Style style, size_t columns)
{
    size_t gap = columns > width ? columns - width : 0;

    if (columns == 0)
        return;
    if (column > 0)
        put_spaces(screen, GAP);
    if (t->columns[column].right)
        put_spaces(screen, gap);
    screen_put(screen, style, text);
    if (column + 1 == t->n_columns)
        fputc('\n', screen->file);
    else if (!t->columns[column].right)
        put_spaces(screen, gap);
}

/* How wide a column is; 0: it is left out. */
static size_t column_width(const Table *t, size_t column)
{
    size_t width = text_width(t->columns[column].title);
    bool empty = true;

    for (size_t i = column; i < t->n_cells; i += t->n_columns) {
        width = MAX(width, t->cells[i].width);
        empty = empty && t->cells[i].missing;
    }
    return empty && t->columns[column].optional ? 0 : width;
}

/* Cuts the last column to the space that the others leave on the screen. */
static int fit(Table *t, const Screen *screen, const size_t *widths)
{
    size_t used = 0, room;

    if (screen->width == 0)
        return 0;
    for (size_t i = 0; i + 1 < t->n_columns; i++)
        used += widths[i] > 0 ? widths[i] + GAP : 0;
    room = MAX(LESS_BY((size_t) screen->width, used), (size_t) TABLE_LAST_MIN);
    for (size_t i = t->n_columns - 1; i < t->n_cells; i += t->n_columns) {
        t->cells[i].text = text_cut(t->cells[i].text, room);
        if (!t->cells[i].text)
            return -ENOMEM;
        t->cells[i].width = text_width(t->cells[i].text);
    }
    return 0;
}

int table_print(Table *t, const Screen *screen)
{
    size_t n_rows = t->n_cells / t->n_columns;
    _cleanup_free_ size_t *widths = NULL;
    int r;

    if (t->error < 0)
        return t->error;
    widths = calloc(t->n_columns, sizeof(size_t));
    if (!widths)
        return -ENOMEM;
    for (size_t c = 0; c < t->n_columns; c++)
        widths[c] = column_width(t, c);
    r = fit(t, screen, widths);
    if (r < 0)
        return r;
    for (size_t c = 0; c < t->n_columns; c++)
        put_cell(t, screen, c, t->columns[c].title, text_width(t->columns[c].title), STYLE_BOLD, widths[c]);
    for (size_t row = 0; row < n_rows; row++)
        for (size_t c = 0; c < t->n_columns; c++) {
            const Cell *cell = &t->cells[row * t->n_columns + c];

            put_cell(t, screen, c, cell->text, cell->width, cell->style, widths[c]);
        }
    return 0;
}
