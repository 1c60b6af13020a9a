/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ballastctl list: its options, and printing it again and again. */

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/nearest.h"
#include "base/units.h"
#include "host-agent/ctl/ctl.h"
#include "host-agent/ctl/print-list.h"

#define WATCH_DEFAULT_USEC (2 * USEC_PER_SEC)
#define WATCH_MIN_USEC     (100 * USEC_PER_MSEC)
#define WATCH_MAX_USEC     (3600 * USEC_PER_SEC)
#define HEAD_MAX           512U

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

/* 0: only once. */
static CtlExit read_interval(const Ctl *c, usec_t *ret)
{
    const CtlList *o = &c->list;
    usec_t usec = o->watch ? WATCH_DEFAULT_USEC : 0;

    if (o->interval &&
        (parse_duration(o->interval, &usec) < 0 || usec < WATCH_MIN_USEC || usec > WATCH_MAX_USEC))
        return client_fail(&c->client, CLIENT_ERROR_BAD_VALUE, NULL,
                           "--watch takes a number of seconds from 0.1 to 3600, not '%s'", o->interval);
    *ret = usec;
    return CTL_EXIT_OK;
}

/* ---- The guests ---- */

typedef struct List {
    Ctl *c;
    ListView view;
    usec_t interval_usec; /* 0: printed only once */
    bool all;             /* also domains that are shut off */
    int n_patterns;
    char **patterns;
    bool printed; /* a table, so that the next one begins with an empty line */
    bool lost;    /* ballastd could not be reached in the last round */
} List;

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

static CtlExit get_guests(List *l, bool must_match, json_object **ret)
{
    _cleanup_(json_putp) json_object *answer = NULL, *guests = NULL;
    const Client *client = &l->c->client;
    CtlExit e = client_call(&l->c->client, l->all ? "ListDomains" : "ListGuests", NULL, &answer);
    const char *unmatched;

    if (e != CTL_EXIT_OK)
        return e;
    guests = l->all ? json_object_get(json_find(answer, "guests")) : TAKE_PTR(answer);
    if (json_count(answer, "guests_left_out") > 0)
        client_warn(client, "%" PRIu64 " domains that are shut off are left out: there are too many",
                    json_count(answer, "guests_left_out"));
    if (complete_all(guests) < 0 ||
        list_select(&guests, &l->view, l->patterns, l->n_patterns, &unmatched) < 0)
        return ctl_out_of_memory(l->c);
    if (must_match && unmatched)
        return client_fail(client, CLIENT_ERROR_NO_SUCH_GUEST, "ballastctl list --all shows all",
                           "no %s matches '%s'", l->all ? "guest, running or shut off," : "running guest",
                           unmatched);
    *ret = TAKE_PTR(guests);
    return CTL_EXIT_OK;
}

static CtlExit put_table(const List *l, json_object *guests)
{
    const Screen *screen = &l->c->screen;

    if (json_object_array_length(guests) > 0)
        return print_list(screen, guests, &l->view) < 0 ? ctl_out_of_memory(l->c) : CTL_EXIT_OK;
    fputs(l->n_patterns > 0 ? "No guest matches.\n"
          : l->all          ? "There is no guest, running or shut off.\n"
                            : "No guest is running.\n",
          screen->file);
    return CTL_EXIT_OK;
}

/* ---- Again and again ---- */

static void on_interrupt(int number)
{
    _exit(CTL_EXIT_OK);
}

/* Clears the screen, and prints time and host on its first line. */
static CtlExit put_head(const List *l)
{
    const Screen *screen = &l->c->screen;
    char when[32] = "", host[256] = "", interval[UNITS_FORMAT_MAX], text[HEAD_MAX];
    _cleanup_free_ char *head = NULL;
    time_t now = time(NULL);
    struct tm tm;

    if (localtime_r(&now, &tm))
        (void) strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
    (void) gethostname(host, sizeof(host) - 1);
    snprintf(text, sizeof(text), "%s  %s  every %s, until Ctrl-C", when, host,
             format_duration(interval, l->interval_usec));
    head = text_clean(text);
    if (head && screen->width > 0)
        head = text_cut(head, screen->width);
    if (!head)
        return ctl_out_of_memory(l->c);
    fputs("\033[H\033[2J", screen->file);
    screen_put(screen, STYLE_BOLD, head);
    fputc('\n', screen->file);
    return CTL_EXIT_OK;
}

/* As many guests as fit below the first line; the cursor ends on a line of its own. */
static CtlExit put_screen(List *l, json_object *guests)
{
    Screen *screen = &l->c->screen;
    size_t n, room;
    CtlExit e;

    screen_measure(screen);
    e = put_head(l);
    if (e != CTL_EXIT_OK)
        return e;
    if (!guests) {
        screen_put(screen, STYLE_YELLOW, "ballastd cannot be reached; waiting for it");
        fputc('\n', screen->file);
        return CTL_EXIT_OK;
    }
    n = json_object_array_length(guests);
    room = MAX(LESS_BY((size_t) screen->height, l->view.no_titles ? (size_t) 2 : (size_t) 3), (size_t) 2);
    l->view.max_rows = screen->height > 0 && n > room ? room - 1 : 0;
    e = put_table(l, guests);
    if (l->view.max_rows > 0)
        fprintf(screen->file, "… and %zu more; a taller terminal or a pattern shows them\n",
                n - l->view.max_rows);
    return e;
}

/* guests is NULL if ballastd can't be reached. */
static CtlExit put_round(List *l, json_object *guests)
{
    if (l->c->screen.terminal && !l->c->client.json)
        return put_screen(l, guests);
    if (!guests) {
        if (!l->lost)
            client_warn(&l->c->client, "ballastd cannot be reached; waiting for it");
        return CTL_EXIT_OK;
    }
    if (l->c->client.json) {
        puts(json_object_to_json_string_ext(guests, JSON_C_TO_STRING_NOSLASHESCAPE) ?: "[]");
        return CTL_EXIT_OK;
    }
    if (l->printed)
        putchar('\n');
    l->printed = true;
    return put_table(l, guests);
}

static CtlExit watch(List *l)
{
    struct timespec interval = {.tv_sec = (time_t) (l->interval_usec / USEC_PER_SEC),
                                .tv_nsec = (long) (l->interval_usec % USEC_PER_SEC * NSEC_PER_USEC)};
    sigset_t interrupt;

    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    (void) signal(SIGINT, on_interrupt);
    for (bool first = true;; first = false) {
        _cleanup_(json_putp) json_object *guests = NULL;
        CtlExit e = get_guests(l, first, &guests);

        if (e == CTL_EXIT_UNREACHABLE && !first)
            client_done(&l->c->client); /* the next call connects again */
        else if (e != CTL_EXIT_OK)
            return e;
        /* An interrupt ends this at once, except within a table. */
        (void) sigprocmask(SIG_BLOCK, &interrupt, NULL);
        e = put_round(l, guests);
        l->lost = !guests;
        if (e != CTL_EXIT_OK || fflush(stdout) != 0)
            return e;
        (void) sigprocmask(SIG_UNBLOCK, &interrupt, NULL);
        l->c->client.quiet = true;
        (void) nanosleep(&interval, NULL);
    }
}

CtlExit ctl_list(Ctl *c, int n, char **arguments)
{
    List l = {.c = c, .all = c->given & CTL_OPTION_ALL, .n_patterns = n, .patterns = arguments};
    _cleanup_(json_putp) json_object *guests = NULL;
    CtlExit e = read_view(c, &l.view);

    if (e == CTL_EXIT_OK)
        e = read_interval(c, &l.interval_usec);
    if (e == CTL_EXIT_OK && l.interval_usec > 0)
        return watch(&l);
    if (e == CTL_EXIT_OK)
        e = get_guests(&l, true, &guests);
    if (e != CTL_EXIT_OK)
        return e;
    return c->client.json ? ctl_print_json(c, guests) : put_table(&l, guests);
}
