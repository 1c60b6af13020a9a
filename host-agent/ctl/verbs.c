/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The commands that ask the daemon, and the table of all. */

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "host-agent/ctl/ctl.h"
#include "host-agent/ctl/print.h"

const char *const ctl_set_keys[CTL_VALUES_MAX] = {"min", "full", "max", "shares", "mode"};

static CtlExit get_status(Ctl *c, json_object **ret)
{
    CtlExit e = client_call(&c->client, "GetStatus", NULL, ret);

    if (e != CTL_EXIT_OK)
        return e;
    return json_complete_status(*ret) < 0 ? ctl_out_of_memory(c) : CTL_EXIT_OK;
}

static CtlExit verb_status(Ctl *c, int n, char **arguments)
{
    _cleanup_(json_putp) json_object *status = NULL;
    CtlExit e = get_status(c, &status);

    return e != CTL_EXIT_OK ? e : ctl_show(c, status, print_status);
}

static CtlExit no_stats(const Ctl *c, json_object *domain)
{
    const char *name = json_text(domain, "name") ?: "-";
    _cleanup_free_ char *hint = NULL;

    if (asprintf(&hint, "ballastctl set '%s' shows what it is granted, and virsh start '%s' starts it", name,
                 name) < 0)
        hint = NULL;
    return client_fail(&c->client, CLIENT_ERROR_SHUT_OFF, hint, "%s is shut off, so it has no stats", name);
}

static CtlExit verb_stats(Ctl *c, int n, char **arguments)
{
    _cleanup_(json_putp) json_object *guest = NULL;
    CtlExit e = client_call(&c->client, "GetGuest", arguments[0], &guest);

    if (e != CTL_EXIT_OK)
        return e;
    if (json_flag(guest, "shut_off"))
        return no_stats(c, guest);
    return json_complete_guest(&guest) < 0
               ? ctl_out_of_memory(c)
               : ctl_show(c, guest, c->given & CTL_OPTION_ALL ? print_tree : print_guest);
}

static CtlExit verb_mode(Ctl *c, int n, char **arguments)
{
    const char *argument = n > 0 ? arguments[0] : NULL;
    _cleanup_(json_putp) json_object *status = NULL;
    const char *before;
    char text[512];
    CtlExit e;

    if (argument && strcmp(argument, "auto") != 0 && strcmp(argument, "observe") != 0)
        return client_fail(&c->client, CLIENT_ERROR_BAD_VALUE, NULL, "mode takes auto or observe, not '%s'",
                           argument);
    e = get_status(c, &status);
    if (e != CTL_EXIT_OK)
        return e;
    before = json_text(status, "mode") ?: "unknown";
    if (!argument)
        return ctl_say(c, before, "mode", before, NULL);

    e = client_call(&c->client, "SetMode", argument, NULL);
    if (e != CTL_EXIT_OK)
        return e;
    if (strcmp(before, argument) == 0)
        snprintf(text, sizeof(text), "Mode: %s, as before", argument);
    else if (strcmp(argument, "auto") == 0)
        snprintf(
            text, sizeof(text),
            "Mode: %s → auto. ballastd now moves the balloons of its guests (%" PRIu64
            "; see ballastctl list) until it stops. To keep this mode, set Mode=auto under [Daemon] in ballastd.conf",
            before, json_count(status, "guests"));
    else
        snprintf(
            text, sizeof(text),
            "Mode: %s → %s. Nothing moves from now on; balloons stay as they are (to give the memory back: ballastctl release --all)",
            before, argument);
    return ctl_say(c, text, "message", text, "mode", argument, "previous", before, NULL);
}

static CtlExit verb_release(Ctl *c, int n, char **arguments)
{
    const char *argument = n > 0 ? arguments[0] : NULL;
    bool all = c->given & CTL_OPTION_ALL;
    _cleanup_(json_putp) json_object *answer = NULL;
    CtlExit e;

    if (!argument == !all)
        return client_fail(&c->client, CLIENT_ERROR_USAGE, NULL, "%s",
                           argument ? "release takes a guest or --all, not both"
                                    : "release needs a guest's name or UUID, or --all for every guest");
    if (argument && !argument[0])
        return client_fail(&c->client, CLIENT_ERROR_NO_SUCH_GUEST, "--all releases every guest",
                           "a guest's name can't be empty");
    e = client_call(&c->client, "Release", argument ? argument : "", &answer);
    return e != CTL_EXIT_OK ? e : ctl_show_done(c, answer);
}

static CtlExit get_entitlement(Ctl *c, const char *pattern)
{
    _cleanup_(json_putp) json_object *guest = NULL, *entitlement = NULL;
    CtlExit e = client_call(&c->client, "GetGuest", pattern, &guest);

    if (e != CTL_EXIT_OK)
        return e;
    return json_entitlement(guest, &entitlement) < 0 ? ctl_out_of_memory(c)
                                                     : ctl_show(c, entitlement, print_entitlement);
}

static CtlExit verb_set(Ctl *c, int n, char **arguments)
{
    _cleanup_(json_putp) json_object *answer = NULL;
    ClientValue values[CTL_VALUES_MAX];
    size_t n_values = 0;
    CtlExit e;

    if (!(c->given & CTL_OPTION_SET))
        return get_entitlement(c, arguments[0]);
    for (size_t i = 0; i < CTL_VALUES_MAX; i++) {
        const char *value = c->values[i];

        if (value || c->clear)
            values[n_values++] =
                (ClientValue){ctl_set_keys[i], !value || strcmp(value, "default") == 0 ? "" : value};
    }
    e = client_call_values(&c->client, "SetGuest", arguments[0], values, n_values, &answer);
    if (e != CTL_EXIT_OK)
        return e;
    return json_complete_change(answer) < 0 ? ctl_out_of_memory(c) : ctl_show_done(c, answer);
}

/* "file:line: message", as the log has it. */
static void put_finding(const Screen *screen, json_object *finding)
{
    const char *file = json_text(finding, "file");
    char line[32] = "";
    _cleanup_free_ char *text = NULL;

    if (json_find(finding, "line"))
        snprintf(line, sizeof(line), ":%" PRIu64, json_count(finding, "line"));
    if (asprintf(&text, "%s%s%s%s", file ?: "", line, file ? ": " : "",
                 json_text(finding, "message") ?: "-") >= 0)
        (void) screen_diagnostics(screen, text);
    else
        text = NULL;
}

static CtlExit verb_reload(Ctl *c, int n, char **arguments)
{
    static const char *const keys[] = {"file", "line"};
    _cleanup_(json_putp) json_object *answer = NULL;
    CtlExit e = client_call(&c->client, "Reload", NULL, &answer);
    json_object *findings = json_find(answer, "findings");
    size_t n_findings = findings ? json_object_array_length(findings) : 0;

    if (e != CTL_EXIT_OK)
        return e;
    for (size_t i = 0; i < n_findings; i++)
        if (json_complete(json_object_array_get_idx(findings, i), keys, ELEMENTSOF(keys)) < 0)
            return ctl_out_of_memory(c);
    if (n_findings > 0 && !c->client.json) {
        client_warn(&c->client, "not everything is done as the files say:");
        for (size_t i = 0; i < n_findings; i++)
            put_finding(&c->client.errors, json_object_array_get_idx(findings, i));
        if (json_count(answer, "findings_left_out") > 0)
            client_warn(&c->client, "%" PRIu64 " more are left out", json_count(answer, "findings_left_out"));
    }
    return ctl_show_done(c, answer);
}

static CtlExit verb_dump(Ctl *c, int n, char **arguments)
{
    _cleanup_(json_putp) json_object *dump = NULL;
    CtlExit e = client_call(&c->client, "Dump", NULL, &dump);

    return e != CTL_EXIT_OK ? e : ctl_show(c, dump, print_tree);
}

static CtlExit verb_version(Ctl *c, int n, char **arguments)
{
    _cleanup_(json_putp) json_object *status = NULL;
    const char *daemon = NULL;
    char text[256];

    c->client.quiet = true;
    if (client_call(&c->client, "GetStatus", NULL, &status) == CTL_EXIT_OK)
        daemon = json_text(status, "version");
    snprintf(text, sizeof(text), "ballastctl %s\nballastd %s", BALLAST_VERSION, daemon ?: "not reachable");
    if (c->client.json)
        return ctl_say(c, text, "ballastctl", BALLAST_VERSION, "ballastd", daemon, NULL);
    puts(text);
    return CTL_EXIT_OK;
}

const Verb ctl_verbs[] = {
    {"status", "", "print the host's state and what Ballast does now", 0, 0, verb_status,
     "Prints the mode, the host's memory, the policy's thresholds for it, its PSI, the guests by the source of "
     "their stats, libvirt, the policy, and in one sentence what Ballast does now or why nothing moves.\n\n"
     "  ballastctl status\n"
     "  ballastctl status --json | jq .host.available_bytes\n"},
    {"list", "[PATTERN…]", "list all guests, one on each line", 0, INT_MAX, ctl_list,
     "Lists the guests whose name matches one of the patterns (such as 'web*') or whose UUID it is, or all.\n\n"
     "  --all              also the domains that are shut off\n"
     "  --wide             all columns; nothing is cut\n"
     "  --columns=NAME,…   these columns, in this order\n"
     "  --sort=COLUMN      sorts by a column; -COLUMN: the largest first. Default: NAME\n"
     "  --no-legend        no line with the titles\n"
     "  --watch[=SECONDS]  prints the list again and again, until Ctrl-C; default: every 2 s\n\n"
     "STATE is steady while a guest's balloon does not move and it is well. FULL is its size when nothing is "
     "taken from it, CURRENT its size now, RESIDENT what its QEMU holds of the host, AVAIL what is available "
     "in the guest. LEVER is by which means the host got memory back last; it is missing if no guest has one. "
     "REASON is why its size is what it is, cut to the width of the terminal. In sizes, K, M, G and T stand "
     "for KiB, MiB, GiB and TiB; JSON has bytes. ballastctl(1) explains all columns.\n\n"
     "  ballastctl list\n"
     "  ballastctl list --sort=-RESIDENT 'web*'\n"
     "  ballastctl list --columns=name,mode,target,reason\n"
     "  ballastctl list --watch=1\n"
     "  ballastctl list --json | jq -r '.[] | select(.source == \"none\") | .name'\n",
     .options = CTL_OPTION_LIST | CTL_OPTION_ALL},
    {"stats", "VM [--all]", "print what counts of one guest", 1, 1, verb_stats,
     "Prints its state with the reason, its sizes, what it holds of the host, its memory and swap, and by which "
     "lever the host got memory back. With --all or --json, everything known. VM is a name, a UUID, or the "
     "beginning of one that no other guest has.\n\n"
     "  ballastctl stats web1\n"
     "  ballastctl stats web1 --all\n"
     "  ballastctl stats 6695eb01 --json\n",
     .options = CTL_OPTION_ALL},
    {"mode", "[auto|observe]", "print the mode, or set it", 0, 1, verb_mode,
     "In mode auto ballastd moves balloons; in mode observe it only decides and logs. The mode lasts until ballastd "
     "stops, or reloads a configuration with another mode than before. Mode= in ballastd.conf sets the mode that it "
     "starts in. Only root may set it.\n\n"
     "  ballastctl mode\n"
     "  sudo ballastctl mode auto\n"},
    {"release", "VM | --all", "give one guest or all guests their memory back", 0, 1, verb_release,
     "The guest gets its full size, as far as the host has room, and is not shrunk for the grace time. A size set "
     "live (virsh setmem) no longer counts. This works in mode observe too. Only root may do it.\n\n"
     "  sudo ballastctl release web1\n"
     "  sudo ballastctl release --all\n",
     .options = CTL_OPTION_ALL},
    {"set", "VM [VALUES]", "set a guest's memory limits and shares, or print them", 1, 1, verb_set,
     "  --min SIZE       the size that it always keeps\n"
     "  --full SIZE      its size when nothing is taken from it\n"
     "  --max SIZE       the size up to which it may grow while it is in distress\n"
     "  --shares NUMBER  its weight against other guests; default 1000\n"
     "  --mode MODE      auto, observe or off (left alone); the daemon's mode counts where it is stricter\n"
     "  --clear          removes all values but those given with it\n\n"
     "A SIZE has a unit, such as 1536MiB or 4GiB. The value '' or default removes a value. Values are kept in the "
     "domain's metadata, live and in its definition, and take effect in the next cycle; of a domain that is shut off, "
     "in its definition, and they take effect when it starts. Values that are missing there come from [Guest PATTERN] sections of ballastd.conf, or are defaults. All values given are set, or "
     "none if one is not valid. Without values, prints what is set, where it comes from, and what is in force. "
     "Only root may set values.\n\n"
     "  ballastctl set web1\n"
     "  sudo ballastctl set web1 --min 1GiB --full 4GiB --shares 2000 --mode auto\n"
     "  sudo ballastctl set web1 --min default\n"
     "  sudo ballastctl set web1 --clear\n",
     .options = CTL_OPTION_SET},
    {"policy", "COMMAND", "check, show, load and try out policies", 0, 0, NULL,
     "  ballastctl policy check my.policy\n"
     "  ballastctl policy show\n"
     "  ballastctl help policy run\n",
     .verbs = ctl_policy_verbs, .n_verbs = CTL_N_POLICY_VERBS},
    {"reload", "", "make ballastd read its configuration and policy again", 0, 0, verb_reload,
     "If a file has a mistake, ballastd keeps what it runs with. What is wrong is printed with file and line, and "
     "logged, and so is what is not done as written, such as a misspelt setting. The configured policy replaces one "
     "that was loaded with ballastctl policy load. Only root may do this.\n\n"
     "  sudo ballastctl reload\n"},
    {"dump", "", "print the daemon's whole state", 0, 0, verb_dump,
     "Prints the status, the configuration in force, and every guest with all details: attach it to a bug report. "
     "Its snapshot has everything that decisions are made from; ballastctl policy run can read it.\n\n"
     "  ballastctl dump --json > ballast.json\n"},
    {"version", "", "print the versions of ballastctl and of the daemon", 0, 0, verb_version,
     "  ballastctl version\n"},
    {"help", "[COMMAND]", "print this help, or that of one command", 0, 2, ctl_help,
     "  ballastctl help release\n"
     "  ballastctl help policy check\n"},
};

const size_t ctl_n_verbs = ELEMENTSOF(ctl_verbs);
