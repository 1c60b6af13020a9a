/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ballastctl: asks ballastd over D-Bus, and tells people and programs. */

#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/nearest.h"
#include "base/units.h"
#include "host-agent/ctl/client.h"
#include "host-agent/ctl/view.h"

/* What `set` takes: keys of the entitlement, each an option of that name. */
static const char *const set_keys[] = {"min", "full", "max", "shares", "mode"};

typedef struct Ctl {
    Client client;
    Screen screen;
    bool json, all;
    bool clear, set;                          /* set: some of values is there */
    const char *values[ELEMENTSOF(set_keys)]; /* NULL: not given */
} Ctl;

typedef struct Verb {
    const char *name, *arguments, *summary;
    int min, max; /* arguments */
    CtlExit (*run)(Ctl *c, const char *argument);
    const char *help;
} Verb;

static CtlExit out_of_memory(void)
{
    client_error("out of memory");
    return CTL_EXIT_FAILED;
}

static CtlExit print_json(json_object *o)
{
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                             JSON_C_TO_STRING_NOSLASHESCAPE);

    if (!text)
        return out_of_memory();
    puts(text);
    return CTL_EXIT_OK;
}

static CtlExit show(Ctl *c, json_object *o, int (*view)(const Screen *, json_object *))
{
    if (c->json)
        return print_json(o);
    return view(&c->screen, o) < 0 ? out_of_memory() : CTL_EXIT_OK;
}

/* A text that the daemon, or we, have for the user. With --json: {"key": value, …}, NULL-terminated. */
static CtlExit say(Ctl *c, const char *text, const char *key, const char *value, ...) _sentinel_;

static CtlExit say(Ctl *c, const char *text, const char *key, const char *value, ...)
{
    _cleanup_(json_putp) json_object *o = NULL;
    _cleanup_free_ char *clean = NULL;
    va_list ap;

    if (!c->json) {
        clean = text_clean(text);
        if (!clean)
            return out_of_memory();
        puts(clean);
        return CTL_EXIT_OK;
    }
    o = json_object_new_object();
    va_start(ap, value);
    while (o && key) {
        if (json_object_object_add(o, key, value ? json_object_new_string(value) : NULL) < 0)
            break;
        key = va_arg(ap, const char *);
        value = key ? va_arg(ap, const char *) : NULL;
    }
    va_end(ap);
    return o && !key ? print_json(o) : out_of_memory();
}

static CtlExit get_status(Ctl *c, json_object **ret)
{
    CtlExit e = client_call(&c->client, "GetStatus", NULL, ret);

    if (e != CTL_EXIT_OK)
        return e;
    return json_complete_status(*ret) < 0 ? out_of_memory() : CTL_EXIT_OK;
}

static CtlExit verb_status(Ctl *c, const char *argument)
{
    _cleanup_(json_putp) json_object *status = NULL;
    CtlExit e = get_status(c, &status);

    return e != CTL_EXIT_OK ? e : show(c, status, view_status);
}

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

static CtlExit verb_list(Ctl *c, const char *argument)
{
    _cleanup_(json_putp) json_object *guests = NULL;
    CtlExit e = client_call(&c->client, "ListGuests", NULL, &guests);

    if (e != CTL_EXIT_OK)
        return e;
    return complete_all(guests) < 0 ? out_of_memory() : show(c, guests, view_list);
}

static CtlExit verb_stats(Ctl *c, const char *argument)
{
    _cleanup_(json_putp) json_object *guest = NULL;
    CtlExit e = client_call(&c->client, "GetGuest", argument, &guest);

    if (e != CTL_EXIT_OK)
        return e;
    return json_complete_guest(&guest) < 0 ? out_of_memory() : show(c, guest, view_tree);
}

static CtlExit verb_mode(Ctl *c, const char *argument)
{
    _cleanup_(json_putp) json_object *status = NULL;
    const char *before;
    char text[512];
    CtlExit e;

    e = get_status(c, &status);
    if (e != CTL_EXIT_OK)
        return e;
    before = json_text(status, "mode") ?: "unknown";
    if (!argument)
        return say(c, before, "mode", before, NULL);

    e = client_call(&c->client, "SetMode", argument, NULL);
    if (e != CTL_EXIT_OK)
        return e;
    if (strcmp(before, argument) == 0)
        snprintf(text, sizeof(text), "Mode: %s, as before", argument);
    else if (strcmp(argument, "auto") == 0)
        snprintf(
            text, sizeof(text),
            "Mode: %s → auto. From now on ballastd moves the balloons of its guests (%" PRIu64
            "; ballastctl list), until it stops. To keep it so: Mode=auto under [Daemon] in ballastd.conf",
            before, json_count(status, "guests"));
    else
        snprintf(text, sizeof(text),
                 "Mode: %s → %s. From now on nothing moves; balloons stay as they are "
                 "(ballastctl release --all gives the memory back)",
                 before, argument);
    return say(c, text, "mode", argument, "previous", before, NULL);
}

static CtlExit verb_release(Ctl *c, const char *argument)
{
    _cleanup_(json_putp) json_object *answer = NULL;
    const char *text;
    CtlExit e;

    if (!argument == !c->all) {
        client_error(argument ? "release takes a guest or --all, not both"
                              : "release needs a guest's name or UUID, or --all for every guest");
        return CTL_EXIT_USAGE;
    }
    if (argument && !argument[0]) {
        client_error("a guest's name can't be empty; --all releases every guest");
        return CTL_EXIT_USAGE;
    }
    e = client_call(&c->client, "Release", argument ? argument : "", &answer);
    if (e != CTL_EXIT_OK)
        return e;
    text = json_object_is_type(answer, json_type_string) ? json_object_get_string(answer) : "done";
    return say(c, text, "message", text, NULL);
}

static CtlExit print_entitlement(Ctl *c, const char *pattern)
{
    _cleanup_(json_putp) json_object *guest = NULL, *entitlement = NULL;
    CtlExit e = client_call(&c->client, "GetGuest", pattern, &guest);

    if (e != CTL_EXIT_OK)
        return e;
    return json_entitlement(guest, &entitlement) < 0 ? out_of_memory()
                                                     : show(c, entitlement, view_entitlement);
}

static CtlExit verb_set(Ctl *c, const char *argument)
{
    _cleanup_(json_putp) json_object *answer = NULL;
    ClientValue values[ELEMENTSOF(set_keys)];
    const char *text;
    size_t n = 0;
    CtlExit e;

    if (!c->set && !c->clear)
        return print_entitlement(c, argument);
    for (size_t i = 0; i < ELEMENTSOF(set_keys); i++) {
        const char *value = c->values[i];

        if (value || c->clear)
            values[n++] = (ClientValue){set_keys[i], !value || strcmp(value, "default") == 0 ? "" : value};
    }
    e = client_call_values(&c->client, "SetGuest", argument, values, n, &answer);
    if (e != CTL_EXIT_OK)
        return e;
    text = json_object_is_type(answer, json_type_string) ? json_object_get_string(answer) : "done";
    return say(c, text, "message", text, NULL);
}

static CtlExit verb_reload(Ctl *c, const char *argument)
{
    CtlExit e = client_call(&c->client, "Reload", NULL, NULL);
    const char *text = "Configuration and policy were read again";

    return e != CTL_EXIT_OK ? e : say(c, text, "message", text, NULL);
}

static CtlExit verb_dump(Ctl *c, const char *argument)
{
    _cleanup_(json_putp) json_object *dump = NULL;
    CtlExit e = client_call(&c->client, "Dump", NULL, &dump);

    return e != CTL_EXIT_OK ? e : show(c, dump, view_tree);
}

static CtlExit verb_version(Ctl *c, const char *argument)
{
    _cleanup_(json_putp) json_object *status = NULL;
    const char *daemon = NULL;
    char text[256];

    c->client.quiet = true;
    if (client_call(&c->client, "GetStatus", NULL, &status) == CTL_EXIT_OK)
        daemon = json_text(status, "version");
    snprintf(text, sizeof(text), "ballastctl %s\nballastd %s", BALLAST_VERSION, daemon ?: "not reachable");
    if (c->json)
        return say(c, text, "ballastctl", BALLAST_VERSION, "ballastd", daemon, NULL);
    puts(text);
    return CTL_EXIT_OK;
}

static CtlExit verb_help(Ctl *c, const char *argument);

static const Verb verbs[] = {
    {"status", "", "how the host is doing, and why nothing moves or what does", 0, 0, verb_status,
     "Prints the mode, the host's memory and its marks, pressure, guests by where their stats come from,\n"
     "libvirt, the policy in force, and in one sentence what is being done or why nothing is.\n\n"
     "  ballastctl status\n"
     "  ballastctl status --json | jq .host.available_bytes\n"},
    {"list", "", "all guests, a line each", 0, 0, verb_list,
     "FULL is what a guest has when nothing is taken from it, CURRENT its balloon now, TARGET what was "
     "decided\n"
     "last (in mode observe: what would be set), AGE how old its stats are. REASON is cut to the "
     "terminal.\n\n"
     "  ballastctl list\n"
     "  ballastctl list --json | jq -r '.[] | select(.source == \"none\") | .name'\n"},
    {"stats", "VM", "all that is known of one guest", 1, 1, verb_stats,
     "VM is a name, a UUID, or the beginning of one that no other guest shares.\n\n"
     "  ballastctl stats web1\n"
     "  ballastctl stats 6695eb01 --json\n"},
    {"mode", "[auto|observe]", "print or set what ballastd does with its decisions", 0, 1, verb_mode,
     "auto moves balloons; observe decides, logs and explains, and moves nothing. It holds until ballastd "
     "stops;\n"
     "Mode= in ballastd.conf says what it starts with. Setting it is for root.\n\n"
     "  ballastctl mode\n"
     "  sudo ballastctl mode auto\n"},
    {"release", "VM | --all", "give a guest, or all of them, their memory back", 0, 1, verb_release,
     "The guest gets its full size as far as the host has room, and isn't shrunk for the grace time. A size "
     "that\n"
     "was set live (virsh setmem) is forgotten. Works in mode observe too. For root.\n\n"
     "  sudo ballastctl release web1\n"
     "  sudo ballastctl release --all\n"},
    {"set", "VM [VALUES]", "grant a guest memory and shares, or print what it is granted", 1, 1, verb_set,
     "  --min SIZE       the least that it keeps\n"
     "  --full SIZE      what it has when nothing is taken from it\n"
     "  --max SIZE       how far it may grow above full while it is in distress\n"
     "  --shares NUMBER  how it stands beside others, which have 1000\n"
     "  --mode MODE      auto, observe or off (left alone); where the daemon's mode is stricter, that "
     "counts\n"
     "  --clear          takes all back that isn't given beside it\n\n"
     "A SIZE is as 1536MiB or 4GiB. A value of '' or default takes that one back. They are kept in the "
     "domain's\n"
     "metadata, live and in its definition, and count from the next cycle; what isn't said there, the "
     "configuration\n"
     "says ([Guest PATTERN]). Either all values given are taken, or none. Without any, prints what is set, "
     "where it\n"
     "comes from, and what is in force. Setting is for root.\n\n"
     "  ballastctl set web1\n"
     "  sudo ballastctl set web1 --min 1GiB --full 4GiB --shares 2000 --mode auto\n"
     "  sudo ballastctl set web1 --min default\n"
     "  sudo ballastctl set web1 --clear\n"},
    {"reload", "", "have ballastd read its configuration and policy again", 0, 0, verb_reload,
     "A bad file is refused whole, the old one runs on, and ballastd's log says what is wrong. For root.\n\n"
     "  sudo ballastctl reload || journalctl -u ballastd -n 20\n"},
    {"dump", "", "the daemon's whole state", 0, 0, verb_dump,
     "Status, configuration in force, and every guest with all its parts: what to attach to a bug report.\n\n"
     "  ballastctl dump --json > ballast.json\n"},
    {"version", "", "the versions of ballastctl and of the daemon that it talks to", 0, 0, verb_version,
     "  ballastctl version\n"},
    {"help", "[COMMAND]", "this text, or that of one command", 0, 1, verb_help,
     "  ballastctl help release\n"},
};

static const Verb *find_verb(const char *name)
{
    Nearest near;

    for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    nearest_init(&near, name, strlen(name));
    for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
        nearest_offer(&near, verbs[i].name);
    if (near.best)
        client_error("there is no command '%s'; did you mean '%s'?", name, near.best);
    else
        client_error("there is no command '%s'; ballastctl --help lists them", name);
    return NULL;
}

static void print_usage(FILE *f)
{
    fputs("Usage: ballastctl [OPTION…] COMMAND [ARGUMENT]\n"
          "Ask ballastd how the host and its guests are doing, and tell it what to do.\n\n"
          "Commands:\n",
          f);
    for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
        fprintf(f, "  %s %-*s %s\n", verbs[i].name, (int) (23 - strlen(verbs[i].name)), verbs[i].arguments,
                verbs[i].summary);
    fputs("\nOptions:\n"
          "  -j, --json               print JSON instead of text for people\n"
          "      --session            talk to your own ballastd, on the session bus\n"
          "      --all                with release: every guest\n"
          "      --min=SIZE, --full=SIZE, --max=SIZE, --shares=NUMBER, --mode=MODE, --clear\n"
          "                           with set: what the guest is granted (ballastctl help set)\n"
          "      --color=WHEN         auto (the default: on a terminal, unless NO_COLOR is set), always, "
          "never\n"
          "      --no-colour          the same as --color=never\n"
          "  -h, --help               this text; behind a command, that command's\n"
          "  -V, --version            the version of ballastctl\n\n"
          "Examples:\n"
          "  ballastctl status\n"
          "  ballastctl list\n"
          "  ballastctl stats web1\n"
          "  sudo ballastctl mode auto\n"
          "  sudo ballastctl set web1 --min 1GiB --shares 2000\n"
          "  ballastctl --session list --json\n\n"
          "Exit status: 0 done; 1 refused or failed; 2 wrong usage; 3 no such guest, or more than one;\n"
          "4 ballastd can't be reached. See ballastctl(1).\n",
          f);
}

static void print_verb_help(const Verb *v)
{
    printf("Usage: ballastctl [OPTION…] %s %s\n%c%s.\n\n%s", v->name, v->arguments, v->summary[0] - 'a' + 'A',
           v->summary + 1, v->help);
}

static CtlExit verb_help(Ctl *c, const char *argument)
{
    const Verb *v;

    if (!argument) {
        print_usage(stdout);
        return CTL_EXIT_OK;
    }
    v = find_verb(argument);
    if (!v)
        return CTL_EXIT_USAGE;
    print_verb_help(v);
    return CTL_EXIT_OK;
}

typedef enum Colour { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER } Colour;

static void init_screen(Screen *screen, Colour colour)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    struct winsize size;

    screen->file = stdout;
    screen->colour = colour == COLOUR_ALWAYS;
    if (!isatty(STDOUT_FILENO))
        return;
    if (colour == COLOUR_AUTO)
        screen->colour = (!no_color || !no_color[0]) && (!term || strcmp(term, "dumb") != 0);
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) >= 0)
        screen->width = size.ws_col;
}

static CtlExit run(Ctl *c, bool help, int n, char **arguments)
{
    const Verb *v;

    if (n == 0) {
        if (help)
            print_usage(stdout);
        else
            client_error("which command? ballastctl --help lists them");
        return help ? CTL_EXIT_OK : CTL_EXIT_USAGE;
    }
    v = find_verb(arguments[0]);
    if (!v)
        return CTL_EXIT_USAGE;
    if (help) {
        print_verb_help(v);
        return CTL_EXIT_OK;
    }
    n--;
    if (n < v->min || n > v->max || (c->all && v->run != verb_release) ||
        ((c->set || c->clear) && v->run != verb_set)) {
        client_error("usage: ballastctl %s %s (ballastctl help %s tells more)", v->name, v->arguments,
                     v->name);
        return CTL_EXIT_USAGE;
    }
    if (v->run == verb_mode && n == 1 && strcmp(arguments[1], "auto") != 0 &&
        strcmp(arguments[1], "observe") != 0) {
        client_error("mode is auto or observe, not '%s'", arguments[1]);
        return CTL_EXIT_USAGE;
    }
    return v->run(c, n > 0 ? arguments[1] : NULL);
}

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

/* Returns false, and the exit status, where nothing is left to do. */
static bool parse_options(Ctl *c, int argc, char **argv, bool *ret_help, CtlExit *ret_exit)
{
    /* Those of set follow in the order of set_keys. */
    enum { OPT_SESSION = 256, OPT_ALL, OPT_COLOR, OPT_NO_COLOUR, OPT_CLEAR, OPT_SET };
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"session", no_argument, NULL, OPT_SESSION},
        {"all", no_argument, NULL, OPT_ALL},
        {"color", required_argument, NULL, OPT_COLOR},
        {"colour", required_argument, NULL, OPT_COLOR},
        {"no-color", no_argument, NULL, OPT_NO_COLOUR},
        {"no-colour", no_argument, NULL, OPT_NO_COLOUR},
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
            c->all = true;
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
        case OPT_CLEAR:
            c->clear = true;
            break;
        case OPT_SET ... OPT_SET + (int) ELEMENTSOF(set_keys) - 1:
            c->set = true;
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
    init_screen(&c->screen, colour);
    return true;
}

int main(int argc, char **argv)
{
    CtlExit e = CTL_EXIT_OK;
    bool help = false;
    Ctl c = {};

    text_init();
    if (parse_options(&c, argc, argv, &help, &e))
        e = run(&c, help, argc - optind, argv + optind);
    client_done(&c.client);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        client_error("cannot write: %m");
        return e != CTL_EXIT_OK ? e : CTL_EXIT_FAILED;
    }
    return e;
}
