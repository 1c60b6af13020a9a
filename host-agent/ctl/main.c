/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ballastctl: asks ballastd over D-Bus and prints its answers; it also checks and runs policies without a
 * daemon. This file parses its options. */

#include <getopt.h>
#include <string.h>

#include "base/nearest.h"
#include "host-agent/ctl/ctl.h"

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
    return false;
}

static void init_screen(Screen *screen, FILE *file, Colour colour)
{
    const char *no_color = getenv("NO_COLOR");

    screen->file = file;
    screen_measure(screen);
    screen->colour =
        colour == COLOUR_ALWAYS || (colour == COLOUR_AUTO && screen->terminal && (!no_color || !no_color[0]));
}

/* The options of set follow in the order of ctl_set_keys. */
enum {
    OPT_SESSION = 256,
    OPT_ALL,
    OPT_COLOR,
    OPT_NO_COLOUR,
    OPT_TOGETHER,
    OPT_TEXT,
    OPT_SNAPSHOT,
    OPT_CLEAR,
    OPT_WIDE,
    OPT_COLUMNS,
    OPT_SORT,
    OPT_NO_LEGEND,
    OPT_WATCH,
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
    {"wide", no_argument, NULL, OPT_WIDE},
    {"columns", required_argument, NULL, OPT_COLUMNS},
    {"sort", required_argument, NULL, OPT_SORT},
    {"no-legend", no_argument, NULL, OPT_NO_LEGEND},
    {"watch", optional_argument, NULL, OPT_WATCH},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {},
};

/* What the command line asks for, apart from the command. */
typedef struct CommandLine {
    Colour colour;
    const char *bad_colour; /* NULL: none */
    const char *bad_option; /* the first that getopt refused; NULL: none */
    int bad_value;          /* of that option in the table; 0: it isn't there */
    char bad_letter[3];     /* "-x", for an option of one letter */
    bool help, version;
} CommandLine;

static const struct option *find_option(int value)
{
    for (const struct option *o = options; o->name; o++)
        if (o->val == value)
            return o;
    return NULL;
}

static void note_bad(CommandLine *l, const char *word)
{
    if (l->bad_option)
        return;
    l->bad_option = word;
    if (find_option(optopt))
        l->bad_value = optopt;
    else if (optopt > 0) {
        l->bad_letter[0] = '-';
        l->bad_letter[1] = (char) optopt;
        l->bad_option = l->bad_letter;
    }
}

static void parse_list_option(Ctl *c, int o)
{
    CtlList *l = &c->list;

    c->given |= CTL_OPTION_LIST;
    switch (o) {
    case OPT_WIDE:
        l->wide = true;
        break;
    case OPT_COLUMNS:
        l->columns = optarg;
        break;
    case OPT_SORT:
        l->sort = optarg;
        break;
    case OPT_NO_LEGEND:
        l->no_legend = true;
        break;
    case OPT_WATCH:
        l->watch = true;
        l->interval = optarg;
        break;
    }
}

/* Reads all options, so that --json counts wherever it stands. */
static void parse_options(Ctl *c, int argc, char **argv, CommandLine *l)
{
    int o;

    opterr = 0;
    while ((o = getopt_long(argc, argv, "jhV", options, NULL)) >= 0) {
        switch (o) {
        case 'j':
            c->client.json = true;
            break;
        case OPT_SESSION:
            c->client.session = true;
            break;
        case OPT_ALL:
            c->given |= CTL_OPTION_ALL;
            break;
        case OPT_COLOR:
            if (!parse_colour(optarg, &l->colour))
                l->bad_colour = optarg;
            break;
        case OPT_NO_COLOUR:
            l->colour = COLOUR_NEVER;
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
        case OPT_WIDE ... OPT_WATCH:
            parse_list_option(c, o);
            break;
        case 'h':
            l->help = true;
            break;
        case 'V':
            l->version = true;
            break;
        default:
            note_bad(l, argv[optind - 1]);
        }
    }
}

/* The option that getopt refused: unknown, short for several, without its value, or with one that it doesn't take. */
static CtlExit refuse_option(const Ctl *c, const CommandLine *l, int n, char **words)
{
    const char *name = l->bad_option + strspn(l->bad_option, "-");
    size_t length = strcspn(name, "="), matches = 0;
    const struct option *known = l->bad_value > 0 ? find_option(l->bad_value) : NULL;
    Nearest near;

    if (known)
        return client_fail(&c->client, CLIENT_ERROR_USAGE, NULL, "option '--%s' %s", known->name,
                           known->has_arg == required_argument ? "needs a value" : "takes no value");
    nearest_init(&near, name, length);
    for (const struct option *o = options; o->name; o++) {
        matches += strncmp(o->name, name, length) == 0;
        nearest_offer(&near, o->name);
    }
    if (l->bad_letter[0])
        near.best = NULL;
    else if (matches > 1)
        return client_fail(&c->client, CLIENT_ERROR_UNKNOWN_OPTION, NULL,
                           "option '--%.*s' can mean several: write it in full", (int) length, name);
    return ctl_unknown_option(c, l->bad_option, near.best, n, words);
}

static CtlExit run(Ctl *c, const CommandLine *l, int n, char **words)
{
    if (l->bad_option)
        return refuse_option(c, l, n, words);
    if (l->bad_colour)
        return client_fail(&c->client, CLIENT_ERROR_BAD_VALUE, NULL,
                           "--color takes auto, always or never, not '%s'", l->bad_colour);
    if (l->version) {
        puts("ballastctl " BALLAST_VERSION);
        return CTL_EXIT_OK;
    }
    return ctl_run(c, l->help, n, words);
}

int main(int argc, char **argv)
{
    Ctl c = {.verbs = ctl_verbs, .n_verbs = ctl_n_verbs};
    CommandLine l = {};
    CtlExit e;

    text_set_locale();
    parse_options(&c, argc, argv, &l);
    init_screen(&c.screen, stdout, l.colour);
    init_screen(&c.client.errors, stderr, l.colour);
    e = run(&c, &l, argc - optind, argv + optind);
    client_done(&c.client);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        client_warn(&c.client, "cannot write to standard output: %m");
        return e != CTL_EXIT_OK ? e : CTL_EXIT_FAILED;
    }
    return e;
}
