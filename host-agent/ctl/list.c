/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ballastctl list: its options, and which guests it shows. */

#include <string.h>

#include "base/nearest.h"
#include "host-agent/ctl/ctl.h"
#include "host-agent/ctl/print-list.h"

/* ---- Options ---- */

/* The number of the column with this title, whatever its case. */
static CtlExit find_column(const Ctl *c, const char *title, size_t length, unsigned *ret)
{
    char hint[1024] = "it has ";
    size_t fill = strlen(hint);
    Nearest near;

    nearest_init(&near, title, length);
    for (unsigned i = 0; list_title(i); i++) {
        if (strlen(list_title(i)) == length && strncasecmp(list_title(i), title, length) == 0) {
            *ret = i;
            return CTL_EXIT_OK;
        }
        nearest_offer(&near, list_title(i));
        fill += (size_t) snprintf(hint + fill, sizeof(hint) - fill, "%s%s", i > 0 ? ", " : "", list_title(i));
    }
    if (near.best)
        snprintf(hint + fill, sizeof(hint) - fill, "; did you mean %s?", near.best);
    return client_fail(&c->client, CLIENT_ERROR_BAD_VALUE, hint, "list has no column '%.*s'", (int) length,
                       title);
}

static CtlExit read_columns(const Ctl *c, const char *text, ListView *v)
{
    bool more = true;

    while (more) {
        size_t length = strcspn(text, ",");
        unsigned column;
        CtlExit e = find_column(c, text, length, &column);

        if (e != CTL_EXIT_OK)
            return e;
        for (size_t i = 0; i < v->n_columns; i++)
            if (v->columns[i] == column)
                return client_fail(&c->client, CLIENT_ERROR_BAD_VALUE, NULL, "--columns has %s twice",
                                   list_title(column));
        v->columns[v->n_columns++] = column;
        more = text[length] == ',';
        text += length + 1;
    }
    return CTL_EXIT_OK;
}

static CtlExit read_view(const Ctl *c, ListView *ret)
{
    const CtlList *o = &c->list;
    ListView v = {.wide = o->wide, .chosen = o->wide || o->columns, .no_titles = o->no_legend};
    const char *sort = o->sort;
    CtlExit e = CTL_EXIT_OK;

    if (o->columns)
        e = read_columns(c, o->columns, &v);
    else
        list_choose(&v);
    if (e == CTL_EXIT_OK && sort) {
        v.descending = sort[0] == '-';
        sort += v.descending ? 1 : 0;
        e = find_column(c, sort, strlen(sort), &v.sort);
    }
    if (e == CTL_EXIT_OK)
        *ret = v;
    return e;
}

/* ---- The guests ---- */

static int complete_all(json_object *guests)
{
    for (size_t i = 0; i < json_object_array_length(guests); i++) {
        json_object *guest = json_object_get(json_object_array_get_idx(guests, i));

        if (json_complete_guest(&guest) < 0 || json_object_array_put_idx(guests, i, guest) < 0) {
            json_object_put(guest);
            return -ENOMEM;
        }
    }
    return 0;
}

CtlExit ctl_list(Ctl *c, int n, char **arguments)
{
    _cleanup_(json_putp) json_object *guests = NULL;
    const char *unmatched;
    ListView v;
    CtlExit e = read_view(c, &v);

    if (e == CTL_EXIT_OK)
        e = client_call(&c->client, "ListGuests", NULL, &guests);
    if (e != CTL_EXIT_OK)
        return e;
    if (complete_all(guests) < 0 || list_select(&guests, &v, arguments, n, &unmatched) < 0)
        return ctl_out_of_memory(c);
    if (unmatched)
        return client_fail(&c->client, CLIENT_ERROR_NO_SUCH_GUEST, "ballastctl list shows all",
                           "no running guest matches '%s'", unmatched);
    if (c->client.json)
        return ctl_print_json(c, guests);
    if (json_object_array_length(guests) > 0)
        return print_list(&c->screen, guests, &v) < 0 ? ctl_out_of_memory(c) : CTL_EXIT_OK;
    fputs("No guest is running.\n", c->screen.file);
    return CTL_EXIT_OK;
}
