/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ballastctl: asks ballastd over D-Bus and prints its answers; it also checks and runs policies without a
 * daemon. This file parses its options. */

#include <getopt.h>
#include <string.h>
#include <sys/ioctl.h>

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
    client_error("--color takes auto, always or never, not '%s'", text);
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

/* Returns false with the exit status if nothing is left to do. */
static bool parse_options(Ctl *c, int argc, char **argv, bool *ret_help, CtlExit *ret_exit)
{
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
    Ctl c = {.verbs = ctl_verbs, .n_verbs = ctl_n_verbs};

    text_set_locale();
    if (parse_options(&c, argc, argv, &help, &e))
        e = ctl_run(&c, help, argc - optind, argv + optind);
    client_done(&c.client);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        client_error("cannot write to standard output: %m");
        return e != CTL_EXIT_OK ? e : CTL_EXIT_FAILED;
    }
    return e;
}
