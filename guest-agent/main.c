/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ballast-guestd, the guest agent: the command line. */

#include <getopt.h>
#include <string.h>

#include "base/log.h"
#include "base/macro.h"
#include "base/nearest.h"
#include "base/units.h"
#include "guest-agent/agent.h"
#include "guest-agent/collect.h"
#include "guest-agent/lever-helper.h"
#include "guest-agent/lever-wire.h"
#include "guest-agent/print.h"

#define EXIT_USAGE 2

enum {
    OPTION_PORT = 256,
    OPTION_ONCE,
    OPTION_JSON,
    OPTION_INTERVAL,
    OPTION_LEVER_HELPER,
    OPTION_NO_LEVERS,
    OPTION_PROC,
    OPTION_SYS,
    OPTION_RUN,
    OPTION_DEBUG,
};

static const struct option options[] = {
    {"port", required_argument, NULL, OPTION_PORT},
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"once", no_argument, NULL, OPTION_ONCE},
    {"json", no_argument, NULL, OPTION_JSON},
    {"lever-helper", no_argument, NULL, OPTION_LEVER_HELPER},
    {"no-levers", no_argument, NULL, OPTION_NO_LEVERS},
    {"proc", required_argument, NULL, OPTION_PROC},
    {"sys", required_argument, NULL, OPTION_SYS},
    {"run", required_argument, NULL, OPTION_RUN},
    {"debug", no_argument, NULL, OPTION_DEBUG},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {},
};

typedef struct Arguments {
    AgentOptions agent;
    bool once, json, lever_helper, debug;
} Arguments;

static void print_help(void)
{
    fputs("ballast-guestd [OPTIONS]\n"
          "Reports this guest's memory use to Ballast on the host, which then gives the guest the\n"
          "memory that it needs.\n\n"
          "      --port PATH          port of the channel to the host\n"
          "                           (default: /dev/virtio-ports/" CHANNEL_NAME ")\n"
          "      --interval DURATION  time between reports until the host sets it,\n"
          "                           100ms to 60s (default: 1s)\n"
          "      --once               print one report and exit; needs no channel\n"
          "      --json               with --once: print JSON, with units in the names\n"
          "      --no-levers          do not compact or reclaim memory for the hypervisor\n"
          "      --lever-helper       be the helper that compacts and reclaims memory when the\n"
          "                           hypervisor asks for it; needs root\n"
          "      --proc PATH          use PATH instead of /proc\n"
          "      --sys PATH           use PATH instead of /sys\n"
          "      --run PATH           folder of the helper's socket and of the history\n"
          "                           (default: " LEVER_RUN_FOLDER ")\n"
          "      --debug              log debug messages too\n"
          "  -h, --help               print this help\n"
          "  -V, --version            print the version\n\n"
          "Examples:\n"
          "  ballast-guestd --once                     print what the agent would report now\n"
          "  ballast-guestd --once --json | jq .mem_available_bytes\n"
          "  ballast-guestd --interval 500ms --debug   run in the foreground, with debug messages\n\n"
          "See ballast-guestd(8).\n",
          stdout);
}

static int usage_error(void)
{
    fputs("Try 'ballast-guestd --help'.\n", stderr);
    return EXIT_USAGE;
}

static int unknown_option(const char *argument)
{
    Nearest nearest;

    if (strncmp(argument, "--", 2) != 0) {
        fprintf(stderr, "ballast-guestd: unknown option '%s'.\n", argument);
        return usage_error();
    }
    nearest_init(&nearest, argument + 2, strcspn(argument + 2, "="));
    for (const struct option *o = options; o->name; o++)
        nearest_offer(&nearest, o->name);
    fprintf(stderr, "ballast-guestd: unknown option '%s'%s%s%s.\n", argument,
            nearest.best ? " (did you mean '--" : "", nearest.best ? nearest.best : "",
            nearest.best ? "'?)" : "");
    return usage_error();
}

static int parse_interval(const char *s, usec_t *ret)
{
    usec_t v;

    if (parse_duration(s, &v) < 0 || v < REPORT_INTERVAL_MIN_USEC || v > REPORT_INTERVAL_MAX_USEC) {
        fprintf(stderr, "ballast-guestd: --interval takes a duration from 100ms to 60s, not '%s'.\n", s);
        return -EINVAL;
    }
    *ret = v;
    return 0;
}

/* Returns -1 to go on, else the exit code. argument: as it stands on the command line. */
static int take_option(int c, const char *argument, Arguments *a)
{
    switch (c) {
    case OPTION_PORT:
        a->agent.port_path = optarg;
        return -1;
    case OPTION_INTERVAL:
        return parse_interval(optarg, &a->agent.interval_usec) < 0 ? usage_error() : -1;
    case OPTION_ONCE:
        a->once = true;
        return -1;
    case OPTION_JSON:
        a->json = true;
        return -1;
    case OPTION_LEVER_HELPER:
        a->lever_helper = true;
        return -1;
    case OPTION_NO_LEVERS:
        a->agent.levers = false;
        return -1;
    case OPTION_PROC:
        a->agent.proc_root = optarg;
        return -1;
    case OPTION_SYS:
        a->agent.sys_root = optarg;
        return -1;
    case OPTION_RUN:
        a->agent.run_folder = optarg;
        return -1;
    case OPTION_DEBUG:
        a->debug = true;
        return -1;
    case 'h':
        print_help();
        return EXIT_SUCCESS;
    case 'V':
        puts("ballast-guestd " BALLAST_VERSION);
        return EXIT_SUCCESS;
    case ':':
        fprintf(stderr, "ballast-guestd: option '%s' needs a value.\n", argument);
        return usage_error();
    default:
        return unknown_option(argument);
    }
}

/* Returns -1 if the agent is to run, else the exit code. */
static int parse_arguments(int argc, char *argv[], Arguments *a)
{
    opterr = 0;
    for (;;) {
        const char *argument = argv[optind];
        int r, c = getopt_long(argc, argv, ":hV", options, NULL);

        if (c < 0)
            break;
        r = take_option(c, argument, a);
        if (r >= 0)
            return r;
    }

    if (optind < argc) {
        fprintf(stderr, "ballast-guestd: unexpected argument '%s': all values belong to an option.\n",
                argv[optind]);
        return usage_error();
    }
    if (a->json && !a->once) {
        fputs("ballast-guestd: --json needs --once.\n", stderr);
        return usage_error();
    }
    if (a->lever_helper && a->once) {
        fputs("ballast-guestd: --lever-helper and --once exclude each other.\n", stderr);
        return usage_error();
    }
    return -1;
}

static int print_once(const Arguments *a)
{
    _cleanup_(collector_done) Collector c = COLLECTOR_INIT;
    Report report;
    int r;

    r = collector_open(&c, a->agent.proc_root, a->agent.sys_root);
    if (r >= 0)
        r = collector_read(&c, &report);
    if (r < 0)
        return log_error_errno(-r, "Cannot read %s/meminfo: %m", a->agent.proc_root);

    (a->json ? report_print_json : report_print_text)(stdout, &report);
    if (fflush(stdout) != 0 || ferror(stdout))
        return log_error_errno(errno, "Cannot write the report: %m");
    return 0;
}

int main(int argc, char *argv[])
{
    Arguments a = {.agent = {.port_path = "/dev/virtio-ports/" CHANNEL_NAME,
                             .proc_root = "/proc",
                             .sys_root = "/sys",
                             .run_folder = LEVER_RUN_FOLDER,
                             .levers = true,
                             .interval_usec = REPORT_INTERVAL_DEFAULT_USEC}};
    int r;

    r = parse_arguments(argc, argv, &a);
    if (r >= 0)
        return r;

    log_open(a.debug ? LOG_DEBUG : LOG_INFO);
    if (a.lever_helper)
        r = lever_helper_run(&(LeverHelperOptions){
            .proc_root = a.agent.proc_root, .sys_root = a.agent.sys_root, .run_folder = a.agent.run_folder});
    else
        r = a.once ? print_once(&a) : agent_run(&a.agent);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
