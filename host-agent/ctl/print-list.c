/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints the list of guests. One table has all its columns; guests are chosen and sorted here, too. */

#include <fnmatch.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/ctl/print-list.h"

typedef enum Kind { KIND_TEXT, KIND_FLAG, KIND_SIZE, KIND_TIME, KIND_STATE } Kind;

typedef struct Column {
    const char *title;
    Kind kind;
    const char *key;
    bool usual;                    /* printed unless columns are chosen */
    bool cut;                      /* if there is no room */
    bool empty;                    /* 0 and "none" print as "-" */
    Style (*style)(json_object *); /* NULL: plain */
} Column;

static Style style_name(json_object *guest)
{
    return STYLE_BOLD;
}

static Style style_mode(json_object *guest)
{
    return strcmp(json_text(guest, "mode") ?: "", "auto") == 0 ? STYLE_GREEN : STYLE_DIM;
}

static Style style_source(json_object *guest)
{
    return strcmp(json_text(guest, "source") ?: "", "none") == 0 ? STYLE_YELLOW : STYLE_PLAIN;
}

/* What is at work has a colour. */
static Style style_lever(json_object *guest)
{
    return json_find(guest, "lever_age_usec") && json_count(guest, "lever_age_usec") == 0 ? STYLE_CYAN
                                                                                          : STYLE_PLAIN;
}

/* The worst first. */
static const struct {
    const char *key; /* a flag, or a text that is the state */
    Style style;
} states[] = {
    {"stalled", STYLE_RED}, {"distress", STYLE_YELLOW}, {"hurting", STYLE_YELLOW}, {"moving", STYLE_CYAN},
    {"busy", STYLE_YELLOW}, {"unmovable", STYLE_DIM},   {"protected", STYLE_DIM},
};

/* After the worst. */
enum { STATE_STEADY = ELEMENTSOF(states), STATE_SHUT_OFF };

/* Its place in states, or one of the two above. */
static size_t state_of(json_object *guest)
{
    size_t i = 0;

    if (json_flag(guest, "shut_off"))
        return STATE_SHUT_OFF;
    while (i < ELEMENTSOF(states) && !json_flag(guest, states[i].key))
        i++;
    return i;
}

static Style style_state(json_object *guest)
{
    size_t state = state_of(guest);

    return state == STATE_SHUT_OFF ? STYLE_DIM : state == STATE_STEADY ? STYLE_PLAIN : states[state].style;
}

/* In the order of list --wide. */
static const Column columns[] = {
    {"NAME", KIND_TEXT, "name", .usual = true, .cut = true, .style = style_name},
    {"STATE", KIND_STATE, NULL, .usual = true, .style = style_state},
    {"MODE", KIND_TEXT, "mode", .style = style_mode},
    {"SOURCE", KIND_TEXT, "source", .style = style_source},
    {"AGE", KIND_TIME, "age_usec"},
    {"MAXIMUM", KIND_SIZE, "maximum_bytes"},
    {"FULL", KIND_SIZE, "full_bytes", .usual = true},
    {"CURRENT", KIND_SIZE, "current_bytes", .usual = true},
    {"TARGET", KIND_SIZE, "target_bytes"},
    {"FLOOR", KIND_SIZE, "floor_bytes"},
    {"RESIDENT", KIND_SIZE, "resident_bytes", .usual = true},
    {"RSS", KIND_SIZE, "rss_bytes"},
    {"IDLE", KIND_SIZE, "idle_bytes"},
    {"AVAIL", KIND_SIZE, "available_bytes", .usual = true},
    {"FREE", KIND_SIZE, "free_bytes"},
    {"CACHE", KIND_SIZE, "cache_bytes"},
    {"COLD", KIND_SIZE, "cold_bytes"},
    {"SWAP-IN", KIND_SIZE, "swap_in_bytes"},
    {"SWAP-OUT", KIND_SIZE, "swap_out_bytes"},
    {"RECLAIM", KIND_SIZE, "reclaim_bytes", .empty = true},
    {"LEVER", KIND_TEXT, "lever", .usual = true, .empty = true, .style = style_lever},
    {"LEVER-AGE", KIND_TIME, "lever_age_usec"},
    {"AGENT", KIND_TEXT, "agent_version", .cut = true},
    {"NODES", KIND_TEXT, "nodes"},
    {"BUSY", KIND_TEXT, "busy"},
    {"UNMOVABLE", KIND_TEXT, "unmovable", .cut = true},
    {"DISTRESS", KIND_FLAG, "distress"},
    {"HURTING", KIND_FLAG, "hurting"},
    {"PROTECTED", KIND_FLAG, "protected"},
    {"MOVING", KIND_FLAG, "moving"},
    {"STALLED", KIND_FLAG, "stalled"},
    {"UUID", KIND_TEXT, "uuid"},
    {"RULE", KIND_TEXT, "rule", .empty = true},
    {"REASON", KIND_TEXT, "reason", .usual = true, .cut = true},
};
_Static_assert(ELEMENTSOF(columns) <= LIST_COLUMNS_MAX, "LIST_COLUMNS_MAX is too small");

const char *list_title(unsigned i)
{
    return i < ELEMENTSOF(columns) ? columns[i].title : NULL;
}

void list_choose(ListView *v)
{
    v->n_columns = 0;
    for (unsigned i = 0; i < ELEMENTSOF(columns); i++)
        if (v->wide || columns[i].usual)
            v->columns[v->n_columns++] = i;
}

/* NULL: the guest has none. */
static json_object *value_of(const Column *c, json_object *guest)
{
    json_object *value = json_find(guest, c->key);
    const char *text = json_text(guest, c->key);

    if (c->empty && (text ? strcmp(text, "none") == 0 : json_object_get_uint64(value) == 0))
        return NULL;
    return value;
}

/* As short as a size can be: "1.46G", "512M", "0". */
static const char *short_size(char *buf, uint64_t bytes)
{
    char *unit;

    format_size(buf, bytes);
    unit = strchr(buf, ' ');
    unit[0] = unit[1] == 'B' ? '\0' : unit[1];
    unit[1] = '\0';
    return buf;
}

static const char *cell_text(char *buf, const Column *c, json_object *guest)
{
    json_object *value = c->key ? value_of(c, guest) : NULL;
    size_t state;

    switch (c->kind) {
    case KIND_TEXT:
        return value ? json_object_get_string(value) : NULL;
    case KIND_FLAG:
        return !value ? NULL : json_object_get_boolean(value) ? "yes" : "no";
    case KIND_SIZE:
        return value ? short_size(buf, json_object_get_uint64(value)) : NULL;
    case KIND_TIME:
        return value ? format_duration(buf, json_object_get_uint64(value)) : NULL;
    case KIND_STATE:
        state = state_of(guest);
        return state == STATE_SHUT_OFF                  ? "shut off"
               : state == STATE_STEADY                  ? "steady"
               : strcmp(states[state].key, "busy") == 0 ? json_text(guest, "busy")
                                                        : states[state].key;
    }
    return NULL;
}

/* ---- Which guests, in which order ---- */

static int compare_names(json_object *a, json_object *b)
{
    return strcmp(json_text(a, "name") ?: "", json_text(b, "name") ?: "");
}

static int compare_counts(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare(const void *x, const void *y, void *view)
{
    json_object *a = *(json_object *const *) x, *b = *(json_object *const *) y, *p, *q;
    const ListView *v = view;
    const Column *c = &columns[v->sort];
    int order;

    if (c->kind == KIND_STATE)
        order = compare_counts(state_of(a), state_of(b));
    else {
        p = value_of(c, a);
        q = value_of(c, b);
        if (!p || !q)
            return p ? -1 : q ? 1 : compare_names(a, b);
        order = c->kind == KIND_TEXT ? strcmp(json_object_get_string(p), json_object_get_string(q))
                                     : compare_counts(json_object_get_uint64(p), json_object_get_uint64(q));
    }
    if (order == 0)
        return compare_names(a, b);
    return v->descending ? -order : order;
}

static bool is_match(json_object *guest, const char *pattern)
{
    const char *name = json_text(guest, "name"), *uuid = json_text(guest, "uuid");

    return (name && fnmatch(pattern, name, 0) == 0) || (uuid && strcasecmp(pattern, uuid) == 0);
}

int list_select(json_object **guests, const ListView *v, char *const *patterns, int n,
                const char **ret_unmatched)
{
    _cleanup_(json_putp) json_object *selected = json_object_new_array();
    size_t n_guests = json_object_array_length(*guests), n_rows = 0;
    _cleanup_free_ json_object **rows = calloc(MAX(n_guests, (size_t) 1), sizeof(json_object *));
    _cleanup_free_ bool *used = calloc((size_t) n + 1, sizeof(bool));

    if (!selected || !rows || !used)
        return -ENOMEM;
    for (size_t i = 0; i < n_guests; i++) {
        json_object *guest = json_object_array_get_idx(*guests, i);
        bool keep = n == 0;

        for (int p = 0; p < n; p++)
            if (is_match(guest, patterns[p]))
                keep = used[p] = true;
        if (keep)
            rows[n_rows++] = guest;
    }
    qsort_r(rows, n_rows, sizeof(json_object *), compare, (void *) v);
    for (size_t i = 0; i < n_rows; i++)
        if (json_object_array_add(selected, json_object_get(rows[i])) < 0) {
            json_object_put(rows[i]);
            return -ENOMEM;
        }
    *ret_unmatched = NULL;
    for (int p = n; p-- > 0;)
        if (!used[p])
            *ret_unmatched = patterns[p];
    json_object_put(*guests);
    *guests = TAKE_PTR(selected);
    return 0;
}

int print_list(const Screen *screen, json_object *guests, const ListView *v)
{
    size_t n = json_object_array_length(guests);
    TableColumn shown[LIST_COLUMNS_MAX];
    _cleanup_(table_freep) Table *t = NULL;
    char buf[UNITS_FORMAT_MAX];
    int r;

    for (size_t i = 0; i < v->n_columns; i++) {
        const Column *c = &columns[v->columns[i]];

        shown[i] = (TableColumn){.title = c->title,
                                 .right = c->kind == KIND_SIZE || c->kind == KIND_TIME,
                                 .optional = c->empty && !v->chosen,
                                 .cut = c->cut && !v->wide};
    }
    r = table_new(shown, v->n_columns, TABLE_DENSE | (v->no_titles ? TABLE_NO_TITLES : 0), &t);
    if (r < 0)
        return r;
    if (v->max_rows > 0)
        n = MIN(n, v->max_rows);
    for (size_t row = 0; row < n; row++) {
        json_object *guest = json_object_array_get_idx(guests, row);

        for (size_t i = 0; i < v->n_columns; i++) {
            const Column *c = &columns[v->columns[i]];

            table_add(t, c->style ? c->style(guest) : STYLE_PLAIN, cell_text(buf, c, guest));
        }
    }
    return table_print(t, screen);
}
