/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the command that is meant, and prints the help. */

#include <string.h>

#include "base/nearest.h"
#include "host-agent/ctl/ctl.h"
#include "host-agent/ctl/wrap.h"

/* The longest command with arguments that fits on a line of the help with its summary. */
#define USAGE_WIDTH 24
/* Columns of the help. */
#define HELP_WIDTH  80U

static const Verb *find_verb(const Verb *verbs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static CtlExit unknown_verb(const Ctl *c, const Verb *verbs, size_t n, const char *parent, const char *name)
{
    const char *blank = parent[0] ? " " : "";
    char hint[128];
    Nearest near;

    nearest_init(&near, name, strlen(name));
    for (size_t i = 0; i < n; i++)
        nearest_offer(&near, verbs[i].name);
    if (near.best)
        snprintf(hint, sizeof(hint), "did you mean '%s%s%s'?", parent, blank, near.best);
    else
        snprintf(hint, sizeof(hint), "ballastctl %s%s--help lists them", parent, blank);
    return client_fail(&c->client, CLIENT_ERROR_UNKNOWN_COMMAND, hint, "unknown command '%s%s%s'", parent,
                       blank, name);
}

/* ---- Help ---- */

/* Further lines begin below the last column of the first, or below its first letter. */
static void put_line(const Screen *screen, const char *line)
{
    size_t at = strspn(line, " ");
    _cleanup_free_ char *head = NULL;

    for (const char *gap = line + at; (gap = strstr(gap, "  ")); gap = line + at)
        at = (size_t) (gap - line) + strspn(gap, " ");
    head = strndup(line, at);
    fputs(head ?: "", screen->file);
    (void) wrap_put(screen, STYLE_PLAIN, head ? text_width(head) : 0, line + at);
}

/* Never wider than HELP_WIDTH. */
static void put_help(const Ctl *c, const char *text)
{
    Screen screen = c->screen;

    if (screen.width == 0 || screen.width > HELP_WIDTH)
        screen.width = HELP_WIDTH;
    while (*text) {
        size_t length = strcspn(text, "\n");
        _cleanup_free_ char *line = strndup(text, length);

        put_line(&screen, line ?: "out of memory");
        text += length + (text[length] == '\n');
    }
}

static void list_verbs(const Ctl *c, const Verb *verbs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const Verb *v = &verbs[i];
        int width = (int) (text_width(v->name) + 1 + text_width(v->arguments));
        char line[256];

        if (width > USAGE_WIDTH)
            snprintf(line, sizeof(line), "  %s %s\n%*s%s", v->name, v->arguments, USAGE_WIDTH + 3, "",
                     v->summary);
        else
            snprintf(line, sizeof(line), "  %s %s%*s%s", v->name, v->arguments, USAGE_WIDTH + 1 - width, "",
                     v->summary);
        put_help(c, line);
    }
}

static void usage(const Ctl *c)
{
    put_help(c, "Usage: ballastctl [OPTION…] COMMAND [ARGUMENT…]\n"
                "Show and control ballastd, which moves memory between the guests of this host.\n\n"
                "Commands:\n");
    list_verbs(c, c->verbs, c->n_verbs);
    put_help(
        c,
        "\nOptions:\n"
        "  -j, --json               print JSON instead of text, errors included\n"
        "      --session            talk to your own ballastd on the session bus\n"
        "      --all                with list: also domains that are shut off; with stats: everything\n"
        "                           known; with release: every guest\n"
        "      --wide, --columns=NAME,…, --sort=COLUMN, --no-legend, --watch[=SECONDS]\n"
        "                           with list: what it prints, and how often (ballastctl help list)\n"
        "      --min=SIZE, --full=SIZE, --max=SIZE, --shares=NUMBER, --mode=MODE, --clear\n"
        "                           with set: the values to set (ballastctl help set)\n"
        "      --together, --text, --snapshot=FILE\n"
        "                           with policy check, show and run (ballastctl help policy)\n"
        "      --color=WHEN         auto (the default: on a terminal, unless NO_COLOR is set), always, never\n"
        "      --no-colour          the same as --color=never\n"
        "  -h, --help               print this help; after a command, that command's\n"
        "  -V, --version            print the version of ballastctl\n\n"
        "Examples:\n"
        "  ballastctl status\n"
        "  ballastctl list\n"
        "  ballastctl stats web1\n"
        "  sudo ballastctl mode auto\n"
        "  sudo ballastctl set web1 --min 1GiB --shares 2000\n"
        "  ballastctl policy check my.policy\n"
        "  ballastctl --session list --json\n\n"
        "Exit status: 0 done; 1 refused or failed; 2 wrong usage, or a value that can't be read; 3 no such "
        "guest or stat, or several guests match; 4 ballastd can't be reached. See ballastctl(1).\n");
}

static void verb_help(const Ctl *c, const char *parent, const Verb *v)
{
    char head[512];

    snprintf(head, sizeof(head), "Usage: ballastctl [OPTION…] %s%s%s%s%s\n%c%s.\n\n%s", parent,
             parent[0] ? " " : "", v->name, v->arguments[0] ? " " : "", v->arguments,
             v->summary[0] - 'a' + 'A', v->summary + 1, v->n_verbs > 0 ? "Commands:\n" : "");
    put_help(c, head);
    if (v->n_verbs > 0) {
        list_verbs(c, v->verbs, v->n_verbs);
        put_help(c, "\n");
    }
    put_help(c, v->help);
}

/* ---- Commands ---- */

/* The command named by the first of n words; *ret_parent is "" or its parent command, *ret_words the number
 * of its words. A command that only has subcommands is found by itself. An unknown command is an error. */
static CtlExit find_command(const Ctl *c, int n, char **words, const Verb **ret, const char **ret_parent,
                            int *ret_words)
{
    const Verb *v = find_verb(c->verbs, c->n_verbs, words[0]);

    *ret_parent = "";
    *ret_words = 1;
    if (!v)
        return unknown_verb(c, c->verbs, c->n_verbs, "", words[0]);
    *ret = v;
    if (v->n_verbs == 0 || n < 2)
        return CTL_EXIT_OK;
    *ret_parent = v->name;
    *ret_words = 2;
    *ret = find_verb(v->verbs, v->n_verbs, words[1]);
    return *ret ? CTL_EXIT_OK : unknown_verb(c, v->verbs, v->n_verbs, v->name, words[1]);
}

static CtlExit wrong_usage(const Ctl *c, const char *parent, const Verb *v)
{
    const char *blank = parent[0] ? " " : "";
    char hint[128];

    snprintf(hint, sizeof(hint), "ballastctl %s%s%s --help explains it", parent, blank, v->name);
    return client_fail(&c->client, CLIENT_ERROR_USAGE, hint, "usage: ballastctl %s%s%s%s%s", parent, blank,
                       v->name, v->arguments[0] ? " " : "", v->arguments);
}

static CtlExit no_command(const Ctl *c, const char *parent)
{
    char hint[128];

    snprintf(hint, sizeof(hint), "ballastctl %s%s--help lists them", parent, parent[0] ? " " : "");
    return client_fail(&c->client, CLIENT_ERROR_USAGE, hint, "a command is missing");
}

CtlExit ctl_unknown_option(const Ctl *c, const char *option, const char *nearest, int n, char **words)
{
    const Verb *v = n > 0 ? find_verb(c->verbs, c->n_verbs, words[0]) : NULL, *sub = NULL;
    char hint[128];

    if (v && v->n_verbs > 0 && n > 1)
        sub = find_verb(v->verbs, v->n_verbs, words[1]);
    if (nearest)
        snprintf(hint, sizeof(hint), "did you mean '--%s'?", nearest);
    else
        snprintf(hint, sizeof(hint), "ballastctl %s%s%s%s--help lists the options", v ? v->name : "",
                 v ? " " : "", sub ? sub->name : "", sub ? " " : "");
    return client_fail(&c->client, CLIENT_ERROR_UNKNOWN_OPTION, hint, "unknown option '%s'", option);
}

CtlExit ctl_help(Ctl *c, int n, char **arguments)
{
    const char *parent;
    const Verb *v;
    CtlExit e;
    int words;

    if (n == 0) {
        usage(c);
        return CTL_EXIT_OK;
    }
    e = find_command(c, n, arguments, &v, &parent, &words);
    if (e != CTL_EXIT_OK)
        return e;
    if (words < n)
        return client_fail(&c->client, CLIENT_ERROR_UNKNOWN_COMMAND, NULL, "'%s' has no command '%s'",
                           v->name, arguments[words]);
    verb_help(c, parent, v);
    return CTL_EXIT_OK;
}

CtlExit ctl_run(Ctl *c, bool help, int n, char **arguments)
{
    const char *parent;
    const Verb *v;
    CtlExit e;
    int words;

    if (n == 0 && help)
        return ctl_help(c, 0, NULL);
    if (n == 0)
        return no_command(c, "");
    e = find_command(c, n, arguments, &v, &parent, &words);
    if (e != CTL_EXIT_OK)
        return e;
    if (help) {
        verb_help(c, parent, v);
        return CTL_EXIT_OK;
    }
    n -= words;
    if (!v->run)
        return no_command(c, v->name);
    if (n < v->min || n > v->max || (c->given & ~v->options))
        return wrong_usage(c, parent, v);
    return v->run(c, n, arguments + words);
}
