/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ballastctl: asks ballastd over D-Bus, and tells people and programs; and tries policies without one. Here:
 * its options, its help, and which command is meant. */

#include <getopt.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/nearest.h"
#include "host-agent/ctl/ctl.h"

/* The longest command with its arguments that stands in one line of the help with what it does. */
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
        client_error("there is no command '%s%s%s'; did you mean '%s%s%s'?", parent, blank, name, parent,
                     blank, near.best);
    else
        client_error("there is no command '%s%s%s'; ballastctl %s%s--help lists them", parent, blank, name,
                     parent, blank);
    return NULL;
}

static void print_verbs(FILE *f, const Verb *verbs, size_t n)
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

static void print_usage(FILE *f)
{
    fputs("Usage: ballastctl [OPTION…] COMMAND [ARGUMENT…]\n"
          "Ask ballastd how the host and its guests are doing, and tell it what to do.\n\n"
          "Commands:\n",
          f);
    print_verbs(f, ctl_verbs, ctl_n_verbs);
    fputs(
        "\nOptions:\n"
        "  -j, --json               print JSON instead of text for people\n"
        "      --session            talk to your own ballastd, on the session bus\n"
        "      --all                with release: every guest\n"
        "      --min=SIZE, --full=SIZE, --max=SIZE, --shares=NUMBER, --mode=MODE, --clear\n"
        "                           with set: what the guest is granted (ballastctl help set)\n"
        "      --together, --text, --snapshot=FILE\n"
        "                           with policy check, show and run (ballastctl help policy)\n"
        "      --color=WHEN         auto (the default: on a terminal, unless NO_COLOR is set), always, never\n"
        "      --no-colour          the same as --color=never\n"
        "  -h, --help               this text; behind a command, that command's\n"
        "  -V, --version            the version of ballastctl\n\n"
        "Examples:\n"
        "  ballastctl status\n"
        "  ballastctl list\n"
        "  ballastctl stats web1\n"
        "  sudo ballastctl mode auto\n"
        "  sudo ballastctl set web1 --min 1GiB --shares 2000\n"
        "  ballastctl policy check my.policy\n"
        "  ballastctl --session list --json\n\n"
        "Exit status: 0 done; 1 refused or failed; 2 wrong usage; 3 no such guest, or more than one;\n"
        "4 ballastd can't be reached. See ballastctl(1).\n",
        f);
}

static void print_verb_help(const char *parent, const Verb *v)
{
    printf("Usage: ballastctl [OPTION…] %s%s%s%s%s\n%c%s.\n\n", parent, parent[0] ? " " : "", v->name,
           v->arguments[0] ? " " : "", v->arguments, v->summary[0] - 'a' + 'A', v->summary + 1);
    if (v->n_verbs > 0) {
        puts("Commands:");
        print_verbs(stdout, v->verbs, v->n_verbs);
        putchar('\n');
    }
    fputs(v->help, stdout);
}

/* The command that the first of n words name; *ret_parent is "" or the one that it belongs to, *ret_words how
 * many words that took. NULL: there is none, and it was told. One that only chooses is found by itself. */
static const Verb *find_command(int n, char **words, const char **ret_parent, int *ret_words)
{
    const Verb *v = find_verb(ctl_verbs, ctl_n_verbs, "", words[0]);

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

    client_error("usage: ballastctl %s%s%s%s%s (ballastctl help %s%s%s tells more)", parent, blank, v->name,
                 v->arguments[0] ? " " : "", v->arguments, parent, blank, v->name);
    return CTL_EXIT_USAGE;
}

CtlExit ctl_help(Ctl *c, int n, char **arguments)
{
    const char *parent;
    const Verb *v;
    int words;

    if (n == 0) {
        print_usage(stdout);
        return CTL_EXIT_OK;
    }
    v = find_command(n, arguments, &parent, &words);
    if (!v)
        return CTL_EXIT_USAGE;
    if (words < n) {
        client_error("'%s' has no command '%s'", v->name, arguments[words]);
        return CTL_EXIT_USAGE;
    }
    print_verb_help(parent, v);
    return CTL_EXIT_OK;
}

static CtlExit run(Ctl *c, bool help, int n, char **arguments)
{
    const char *parent;
    const Verb *v;
    int words;

    if (n == 0) {
        if (help)
            print_usage(stdout);
        else
            client_error("which command? ballastctl --help lists them");
        return help ? CTL_EXIT_OK : CTL_EXIT_USAGE;
    }
    v = find_command(n, arguments, &parent, &words);
    if (!v)
        return CTL_EXIT_USAGE;
    if (help) {
        print_verb_help(parent, v);
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

typedef enum Colour { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER } Colour;

static bool parse_colour(const char *text, Colour *ret)
{
    static const char *const names[] = {
        [COLOUR_AUTO] = "auto", [COLOUR_ALWAYS] = "always", [COLOUR_NEVER] = "never"};

    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (strcmp(names[i], text) == 0) {
            *ret = (Colour) i;
            return true;
        }
    client_error("--color is auto, always or never, not '%s'", text);
    return false;
}

static void init_screen(Screen *screen, FILE *file, Colour colour)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    struct winsize size;

    screen->file = file;
    screen->colour = colour == COLOUR_ALWAYS;
    if (!isatty(fileno(file)))
        return;
    if (colour == COLOUR_AUTO)
        screen->colour = (!no_color || !no_color[0]) && (!term || strcmp(term, "dumb") != 0);
    if (ioctl(fileno(file), TIOCGWINSZ, &size) >= 0)
        screen->width = size.ws_col;
}

/* Returns false, and the exit status, where nothing is left to do. */
static bool parse_options(Ctl *c, int argc, char **argv, bool *ret_help, CtlExit *ret_exit)
{
    /* Those of set follow in the order of ctl_set_keys. */
    enum {
        OPT_SESSION = 256,
        OPT_ALL,
        OPT_COLOR,
        OPT_NO_COLOUR,
        OPT_TOGETHER,
        OPT_TEXT,
        OPT_SNAPSHOT,
        OPT_CLEAR,
        OPT_SET
    };
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"session", no_argument, NULL, OPT_SESSION},
        {"all", no_argument, NULL, OPT_ALL},
        {"color", required_argument, NULL, OPT_COLOR},
        {"colour", required_argument, NULL, OPT_COLOR},
        {"no-color", no_argument, NULL, OPT_NO_COLOUR},
        {"no-colour", no_argument, NULL, OPT_NO_COLOUR},
        {"together", no_argument, NULL, OPT_TOGETHER},
        {"text", no_argument, NULL, OPT_TEXT},
        {"snapshot", required_argument, NULL, OPT_SNAPSHOT},
        {"min", required_argument, NULL, OPT_SET},
        {"full", required_argument, NULL, OPT_SET + 1},
        {"max", required_argument, NULL, OPT_SET + 2},
        {"shares", required_argument, NULL, OPT_SET + 3},
        {"mode", required_argument, NULL, OPT_SET + 4},
        {"clear", no_argument, NULL, OPT_CLEAR},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {},
    };
    Colour colour = COLOUR_AUTO;
    int o;

    while ((o = getopt_long(argc, argv, "jhV", options, NULL)) >= 0) {
        switch (o) {
        case 'j':
            c->json = true;
            break;
        case OPT_SESSION:
            c->client.session = true;
            break;
        case OPT_ALL:
            c->given |= CTL_OPTION_ALL;
            break;
        case OPT_COLOR:
            if (!parse_colour(optarg, &colour)) {
                *ret_exit = CTL_EXIT_USAGE;
                return false;
            }
            break;
        case OPT_NO_COLOUR:
            colour = COLOUR_NEVER;
            break;
        case OPT_TOGETHER:
            c->given |= CTL_OPTION_TOGETHER;
            break;
        case OPT_TEXT:
            c->given |= CTL_OPTION_TEXT;
            break;
        case OPT_SNAPSHOT:
            c->given |= CTL_OPTION_SNAPSHOT;
            c->snapshot = optarg;
            break;
        case OPT_CLEAR:
            c->given |= CTL_OPTION_SET;
            c->clear = true;
            break;
        case OPT_SET ... OPT_SET + CTL_VALUES_MAX - 1:
            c->given |= CTL_OPTION_SET;
            c->values[o - OPT_SET] = optarg;
            break;
        case 'h':
            *ret_help = true;
            break;
        case 'V':
            puts("ballastctl " BALLAST_VERSION);
            *ret_exit = CTL_EXIT_OK;
            return false;
        default:
            *ret_exit = CTL_EXIT_USAGE;
            return false;
        }
    }
    init_screen(&c->screen, stdout, colour);
    init_screen(&c->client.errors, stderr, colour);
    return true;
}

int main(int argc, char **argv)
{
    CtlExit e = CTL_EXIT_OK;
    bool help = false;
    Ctl c = {};

    text_set_locale();
    if (parse_options(&c, argc, argv, &help, &e))
        e = run(&c, help, argc - optind, argv + optind);
    client_done(&c.client);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        client_error("cannot write: %m");
        return e != CTL_EXIT_OK ? e : CTL_EXIT_FAILED;
    }
    return e;
}
