/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ballastd: reads its arguments, makes its objects, and adds the listeners for notices. */

#include <getopt.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "host-agent/config/config-settings.h"
#include "host-agent/show/bus.h"
#include "host-agent/show/journal.h"

static void help(FILE *f)
{
    fprintf(
        f,
        "Usage: ballastd [OPTION]...\n"
        "Moves memory between the guests of a KVM host, with their balloons, so that the host needn't swap.\n"
        "\n"
        "  -c, --connect URI     libvirt to connect to (default: qemu:///system, or qemu:///session with\n"
        "                        --session)\n"
        "      --config FILE     configuration (default: " BALLAST_CONFIG_FILE ")\n"
        "      --policy FILE     policy (default: as the configuration says, else " BALLAST_POLICY_DIR "/\n"
        "                        balloon.policy); several of these run together, in this order\n"
        "  -m, --mode MODE       observe: decide and log, move nothing (the default); auto: move balloons\n"
        "      --session         use the session bus and qemu:///session (the default unless root)\n"
        "      --system          use the system bus and qemu:///system (the default for root)\n"
        "      --check           check configuration and policy, and exit: with 1 if ballastd would refuse them, or\n"
        "                        not do all that they say\n"
        "      --log-level L     error, warning, notice, info or debug\n"
        "      --proc DIR        read the host's memory from DIR instead of /proc\n"
        "      --sys DIR         read and set KSM below DIR instead of /sys\n"
        "  -h, --help            this help\n"
        "  -V, --version         the version\n"
        "\n"
        "Signals: SIGHUP reads configuration and policy again. SIGTERM stops ballastd: balloons stay as\n"
        "they are, or all guests get their memory back, as [Balloon] OnStop= says.\n"
        "\n"
        "Examples:\n"
        "  ballastd                              try it, on your own guests unless root; it moves nothing\n"
        "  ballastd --mode auto                  let it move balloons\n"
        "  ballastd --check                      check the configuration, and the policy that it names\n"
        "\n"
        "See ballastd(8), ballastd.conf(5), ballast-policy(7), ballastctl(1).\n");
}

enum { ARG_CONFIG = 256, ARG_POLICY, ARG_SESSION, ARG_SYSTEM, ARG_CHECK, ARG_LOG_LEVEL, ARG_PROC, ARG_SYS };

static const struct option long_options[] = {
    {"connect", required_argument, NULL, 'c'},
    {"config", required_argument, NULL, ARG_CONFIG},
    {"policy", required_argument, NULL, ARG_POLICY},
    {"mode", required_argument, NULL, 'm'},
    {"session", no_argument, NULL, ARG_SESSION},
    {"system", no_argument, NULL, ARG_SYSTEM},
    {"check", no_argument, NULL, ARG_CHECK},
    {"log-level", required_argument, NULL, ARG_LOG_LEVEL},
    {"proc", required_argument, NULL, ARG_PROC},
    {"sys", required_argument, NULL, ARG_SYS},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {},
};

static int bad_usage(const char *what, const char *value, const char *takes)
{
    fprintf(stderr, "ballastd: %s '%s': %s\n", what, value, takes);
    return -EINVAL;
}

/* Returns 1 to go on, 0 when the program is done, -EINVAL for a bad argument. */
static int parse_argv(int argc, char **argv, ManagerOptions *o, bool *ret_check)
{
    int c;

    while ((c = getopt_long(argc, argv, "c:m:hV", long_options, NULL)) >= 0)
        switch (c) {
        case 'c':
            o->connect = optarg;
            break;
        case ARG_CONFIG:
            o->config_path = optarg;
            break;
        case ARG_POLICY:
            if (o->n_policy_paths == POLICY_FILES_MAX)
                return bad_usage("--policy", optarg, "too many policies");
            o->policy_paths[o->n_policy_paths++] = optarg;
            break;
        case 'm':
            o->mode = guest_mode_from_string(optarg);
            if (o->mode != GUEST_MODE_AUTO && o->mode != GUEST_MODE_OBSERVE)
                return bad_usage("--mode", optarg, "must be 'observe' or 'auto'");
            break;
        case ARG_SESSION:
            o->session = true;
            break;
        case ARG_SYSTEM:
            o->session = false;
            break;
        case ARG_CHECK:
            *ret_check = true;
            break;
        case ARG_LOG_LEVEL:
            o->log_level = config_parse_log_level(optarg);
            if (o->log_level < 0)
                return bad_usage("--log-level", optarg,
                                 "must be 'error', 'warning', 'notice', 'info' or 'debug'");
            break;
        case ARG_PROC:
            o->proc_root = optarg;
            break;
        case ARG_SYS:
            o->sys_root = optarg;
            break;
        case 'h':
            help(stdout);
            return 0;
        case 'V':
            puts("ballastd " BALLAST_VERSION);
            return 0;
        default:
            fprintf(stderr, "Try 'ballastd --help'.\n");
            return -EINVAL;
        }
    if (optind < argc)
        return bad_usage("unexpected argument", argv[optind], "try 'ballastd --help'");
    return 1;
}

/* The kernel counts all that is mapped against the limit, also what is never used, and refuses memory above it: with any
 * limit, memory is better not locked. CAP_IPC_LOCK lifts the limit. */
static bool may_lock_all(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {};
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) >= 0 && limit.rlim_cur == RLIM_INFINITY)
        return true;
    return syscall(SYS_capget, &header, caps) >= 0 &&
           (caps[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK));
}

/* The daemon that is to end a shortage of memory must not wait for its own pages then: those that it has used stay in
 * memory. */
static void lock_memory(void)
{
    if (!may_lock_all())
        errno = EPERM;
    else if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) >= 0)
        return;
    log_full_errno(
        LOG_INFO, errno,
        "Cannot keep ballastd in memory: %m; where the host swaps, ballastd may be late when it is needed most. Run it without a limit on locked memory: LimitMEMLOCK=infinity in its unit, or ulimit -l unlimited");
}

int main(int argc, char **argv)
{
    ManagerOptions options = {.proc_root = "/proc",
                              .sys_root = "/sys",
                              .mode = GUEST_MODE_INVALID,
                              .log_level = -1,
                              .session = geteuid() != 0};
    _cleanup_(manager_freep) Manager *m = NULL;
    _cleanup_(bus_freep) Bus *bus = NULL;
    bool check = false;
    int r;

    log_open(LOG_INFO);
    /* Don't die when nobody reads the log any more. */
    (void) signal(SIGPIPE, SIG_IGN);
    r = parse_argv(argc, argv, &options, &check);
    if (r <= 0)
        return r < 0 ? 2 : EXIT_SUCCESS;
    if (check)
        return manager_check(&options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    r = manager_new(&options, &m);
    if (r < 0)
        return EXIT_FAILURE;
    /* The journal listens first, so that its line comes before the signal on the bus. */
    audience_add(&m->audience, journal_hear, NULL);
    r = bus_new(m, &bus);
    if (r >= 0)
        r = manager_start(m);
    if (r < 0)
        return EXIT_FAILURE;
    lock_memory();
    r = manager_run(m);
    if (r < 0)
        log_error_errno(-r, "The event loop failed: %m");
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
