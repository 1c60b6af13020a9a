/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the command that is meant, and prints the help. */

#include <string.h>

#include "base/nearest.h"
#include "host-agent/ctl/ctl.h"

/* The longest command with arguments that fits on a line of the help with its summary. */
#define USAGE_WIDTH 24

static const Verb *find_verb(const Verb *verbs, size_t n, const char *parent, const char *name)
{
    const char *blank = parent[0] ? " " : "";
    Nearest near;

    for (size_t i = 0; i < n; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    nearest_init(&near, name, strlen(name));
    for (size_t i = 0; i < n; i++)
        nearest_offer(&near, verbs[i].name);
    if (near.best)
        client_error("unknown command '%s%s%s'; did you mean '%s%s%s'?", parent, blank, name, parent, blank,
                     near.best);
    else
        client_error("unknown command '%s%s%s'; ballastctl %s%s--help lists them", parent, blank, name,
                     parent, blank);
    return NULL;
}

static void list_verbs(FILE *f, const Verb *verbs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int width = (int) (text_width(verbs[i].name) + 1 + text_width(verbs[i].arguments));

        fprintf(f, "  %s %s", verbs[i].name, verbs[i].arguments);
        if (width > USAGE_WIDTH)
            fprintf(f, "\n%*s", USAGE_WIDTH + 3, "");
        else
            fprintf(f, "%*s", USAGE_WIDTH + 1 - width, "");
        fprintf(f, "%s\n", verbs[i].summary);
    }
}

static void usage(const Ctl *c, FILE *f)
{
    fputs("Usage: ballastctl [OPTION…] COMMAND [ARGUMENT…]\n"
          "Show and control ballastd, which moves memory between the guests of this host.\n\n"
          "Commands:\n",
          f);
    list_verbs(f, c->verbs, c->n_verbs);
    fputs(
        "\nOptions:\n"
        "  -j, --json               print JSON instead of text\n"
        "      --session            talk to your own ballastd on the session bus\n"
        "      --all                with release: every guest\n"
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
        "Exit status: 0 done; 1 refused or failed; 2 wrong usage; 3 no such guest, or several match;\n"
        "4 ballastd can't be reached. See ballastctl(1).\n",
        f);
}

static void verb_help(const char *parent, const Verb *v)
{
    printf("Usage: ballastctl [OPTION…] %s%s%s%s%s\n%c%s.\n\n", parent, parent[0] ? " " : "", v->name,
           v->arguments[0] ? " " : "", v->arguments, v->summary[0] - 'a' + 'A', v->summary + 1);
    if (v->n_verbs > 0) {
        puts("Commands:");
        list_verbs(stdout, v->verbs, v->n_verbs);
        putchar('\n');
    }
    fputs(v->help, stdout);
}

/* The command named by the first of n words; *ret_parent is "" or its parent command, *ret_words the number
 * of its words. NULL: unknown command, with an error. A command that only has subcommands is found by
 * itself. */
static const Verb *find_command(const Ctl *c, int n, char **words, const char **ret_parent, int *ret_words)
{
    const Verb *v = find_verb(c->verbs, c->n_verbs, "", words[0]);

    *ret_parent = "";
    *ret_words = 1;
    if (!v || v->n_verbs == 0 || n < 2)
        return v;
    *ret_parent = v->name;
    *ret_words = 2;
    return find_verb(v->verbs, v->n_verbs, v->name, words[1]);
}

static CtlExit wrong_usage(const char *parent, const Verb *v)
{
    const char *blank = parent[0] ? " " : "";

    client_error("usage: ballastctl %s%s%s%s%s (ballastctl help %s%s%s explains it)", parent, blank, v->name,
                 v->arguments[0] ? " " : "", v->arguments, parent, blank, v->name);
    return CTL_EXIT_USAGE;
}

CtlExit ctl_help(Ctl *c, int n, char **arguments)
{
    const char *parent;
    const Verb *v;
    int words;

    if (n == 0) {
        usage(c, stdout);
        return CTL_EXIT_OK;
    }
    v = find_command(c, n, arguments, &parent, &words);
    if (!v)
        return CTL_EXIT_USAGE;
    if (words < n) {
        client_error("'%s' has no command '%s'", v->name, arguments[words]);
        return CTL_EXIT_USAGE;
    }
    verb_help(parent, v);
    return CTL_EXIT_OK;
}

CtlExit ctl_run(Ctl *c, bool help, int n, char **arguments)
{
    const char *parent;
    const Verb *v;
    int words;

    if (n == 0) {
        if (help)
            usage(c, stdout);
        else
            client_error("which command? ballastctl --help lists them");
        return help ? CTL_EXIT_OK : CTL_EXIT_USAGE;
    }
    v = find_command(c, n, arguments, &parent, &words);
    if (!v)
        return CTL_EXIT_USAGE;
    if (help) {
        verb_help(parent, v);
        return CTL_EXIT_OK;
    }
    n -= words;
    if (!v->run) {
        client_error("which command? ballastctl help %s lists them", v->name);
        return CTL_EXIT_USAGE;
    }
    if (n < v->min || n > v->max || (c->given & ~v->options))
        return wrong_usage(parent, v);
    return v->run(c, n, arguments + words);
}
