/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks the daemon over D-Bus, and says what is wrong where that fails. */

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "base/process.h"
#include "base/time-util.h"
#include "base/utf8.h"
#include "host-agent/ctl/client.h"
#include "host-agent/ctl/wrap.h"
#include "host-agent/show/api.h"

#define READ_TIMEOUT_USEC   (3 * USEC_PER_SEC)
/* ballastd itself gives libvirt 10 s to write what SetGuest sets. */
#define CHANGE_TIMEOUT_USEC (15 * USEC_PER_SEC)
/* On a terminal, a longer wait is shown. */
#define SHOW_WAIT_USEC      (2 * USEC_PER_SEC)

#define PREFIX "ballastctl: "

void client_done(Client *c)
{
    /* Every call was answered or given up: a flush could only wait for a bus that doesn't answer. */
    c->bus = sd_bus_close_unref(c->bus);
}

/* ---- Errors ---- */

static const struct {
    const char *code;
    CtlExit exit;
} errors[CLIENT_ERROR_MAX] = {
    [CLIENT_ERROR_FAILED] = {"failed", CTL_EXIT_FAILED},
    [CLIENT_ERROR_REFUSED] = {"refused", CTL_EXIT_FAILED},
    [CLIENT_ERROR_SHUT_OFF] = {"shut-off", CTL_EXIT_FAILED},
    [CLIENT_ERROR_DENIED] = {"denied", CTL_EXIT_FAILED},
    [CLIENT_ERROR_BAD_POLICY] = {"bad-policy", CTL_EXIT_FAILED},
    [CLIENT_ERROR_BAD_FILES] = {"bad-files", CTL_EXIT_FAILED},
    [CLIENT_ERROR_BAD_SNAPSHOT] = {"bad-snapshot", CTL_EXIT_FAILED},
    [CLIENT_ERROR_USAGE] = {"usage", CTL_EXIT_USAGE},
    [CLIENT_ERROR_UNKNOWN_COMMAND] = {"unknown-command", CTL_EXIT_USAGE},
    [CLIENT_ERROR_UNKNOWN_OPTION] = {"unknown-option", CTL_EXIT_USAGE},
    [CLIENT_ERROR_BAD_VALUE] = {"bad-value", CTL_EXIT_USAGE},
    [CLIENT_ERROR_NO_SUCH_GUEST] = {"no-such-guest", CTL_EXIT_NO_SUCH},
    [CLIENT_ERROR_AMBIGUOUS] = {"ambiguous", CTL_EXIT_NO_SUCH},
    [CLIENT_ERROR_NO_SUCH_FIELD] = {"no-such-field", CTL_EXIT_NO_SUCH},
    [CLIENT_ERROR_UNREACHABLE] = {"unreachable", CTL_EXIT_UNREACHABLE},
    [CLIENT_ERROR_NO_ANSWER] = {"no-answer", CTL_EXIT_UNREACHABLE},
};

static void print_text(const Client *c, const char *text)
{
    _cleanup_free_ char *clean = text ? text_clean(text) : NULL;

    fputs(PREFIX, c->errors.file);
    (void) wrap_put(&c->errors, STYLE_PLAIN, sizeof(PREFIX) - 1, clean ? clean : "out of memory");
}

/* A JSON text is UTF-8, whatever an argument or a file is. */
static json_object *new_text(const char *text)
{
    _cleanup_free_ char *valid = text ? strdup(text) : NULL;

    for (char *p = valid; p && *p;) {
        size_t n = utf8_length(p);

        if (n == 0)
            *p = '?';
        p += MAX(n, (size_t) 1);
    }
    return valid ? json_object_new_string(valid) : NULL;
}

static int print_json(ClientError error, const char *hint, const char *message)
{
    _cleanup_(json_putp) json_object *o = json_object_new_object();
    json_object *part = json_object_new_object();

    if (!o || !part || json_add(part, "code", json_object_new_string(errors[error].code)) < 0 ||
        json_add(part, "message", new_text(message)) < 0 || json_add(part, "hint", new_text(hint)) < 0) {
        json_putp(&part);
        return -ENOMEM;
    }
    if (json_add(o, "error", part) < 0)
        return -ENOMEM;
    return json_print(o);
}

static void print_error(const Client *c, ClientError error, const char *hint, const char *message)
{
    _cleanup_free_ char *text = NULL;

    if (c->json && print_json(error, hint, message) >= 0)
        return;
    if (asprintf(&text, "%s%s%s", message, hint ? "; " : "", hint ?: "") < 0)
        text = NULL;
    print_text(c, text);
}

CtlExit client_fail(const Client *c, ClientError error, const char *hint, const char *format, ...)
{
    _cleanup_free_ char *message = NULL;
    va_list ap;
    int r;

    va_start(ap, format);
    r = vasprintf(&message, format, ap);
    va_end(ap);
    if (r < 0)
        message = NULL;
    print_error(c, error, hint, message ? message : "out of memory");
    return errors[error].exit;
}

CtlExit client_fail_lines(const Client *c, ClientError error, const char *message, const char *lines)
{
    _cleanup_free_ char *all = NULL;

    if (c->json) {
        if (asprintf(&all, "%s%s%s", message ?: "", message ? "\n" : "", lines) < 0)
            all = NULL;
        if (all && strlen(all) > 0 && all[strlen(all) - 1] == '\n')
            all[strlen(all) - 1] = '\0';
        print_error(c, error, NULL, all ? all : "out of memory");
    } else {
        if (message)
            print_text(c, message);
        (void) screen_diagnostics(&c->errors, lines);
    }
    return errors[error].exit;
}

void client_warn(const Client *c, const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list ap;

    va_start(ap, format);
    if (vasprintf(&text, format, ap) < 0)
        text = NULL;
    va_end(ap);
    print_text(c, text);
}

/* ---- A daemon that can't be reached ---- */

/* Whether a daemon answers on the session bus: a user who asked for the system bus may have meant that
 * one. */
static bool session_has_daemon(void)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;

    return sd_bus_open_user(&bus) >= 0 && sd_bus_set_method_call_timeout(bus, USEC_PER_SEC) >= 0 &&
           sd_bus_get_name_creds(bus, BUS_NAME, 0, NULL) >= 0;
}

static CtlExit unreachable(const Client *c, const char *why)
{
    const char *way_out;

    if (c->quiet)
        return CTL_EXIT_UNREACHABLE;
    if (c->session)
        way_out = "is it running? Start it with: ballastd --session";
    else if (session_has_daemon())
        way_out = "one runs on your session bus: add --session";
    else
        way_out =
            "see systemctl status ballastd, and start it with systemctl start ballastd; for a user's own instance add --session";
    return client_fail(c, CLIENT_ERROR_UNREACHABLE, way_out, "cannot reach ballastd on the %s bus: %s",
                       c->session ? "session" : "system", why);
}

/* The process that has the daemon's name; 0: none, or the bus doesn't answer either. */
static pid_t find_daemon(sd_bus *bus)
{
    _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
    pid_t pid;

    return sd_bus_is_ready(bus) > 0 && sd_bus_set_method_call_timeout(bus, USEC_PER_SEC) >= 0 &&
                   sd_bus_get_name_creds(bus, BUS_NAME, SD_BUS_CREDS_PID, &creds) >= 0 &&
                   sd_bus_creds_get_pid(creds, &pid) >= 0
               ? pid
               : 0;
}

/* By a signal, or by a debugger. */
static bool is_stopped(pid_t pid)
{
    _cleanup_close_ int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char status[512];
    const char *state;

    if (proc < 0 || process_read(proc, pid, "status", status, sizeof(status)) < 0)
        return false;
    state = strstr(status, "\nState:\t");
    return state && (state[8] == 'T' || state[8] == 't');
}

static CtlExit silent(const Client *c, usec_t waited_usec)
{
    const char *look = c->session ? "see its log, or end it and start it again"
                                  : "see journalctl -u ballastd, or restart it: systemctl restart ballastd";
    char hint[128];
    pid_t pid;

    if (c->quiet)
        return CTL_EXIT_UNREACHABLE;
    pid = find_daemon(c->bus);
    if (pid <= 0)
        return client_fail(c, CLIENT_ERROR_NO_ANSWER,
                           c->session ? "see whether its dbus-daemon is stopped"
                                      : "systemctl status dbus ballastd shows whether they run",
                           "the %s bus has not answered for %" PRIu64 " s", c->session ? "session" : "system",
                           waited_usec / USEC_PER_SEC);
    if (is_stopped(pid)) {
        snprintf(hint, sizeof(hint), "to let it go on: kill -CONT %d%s", (int) pid,
                 c->session ? "" : "; to restart it: systemctl restart ballastd");
        return client_fail(
            c, CLIENT_ERROR_NO_ANSWER, hint,
            "ballastd does not answer: its process, %d, is stopped (by a signal or a debugger)", (int) pid);
    }
    return client_fail(c, CLIENT_ERROR_NO_ANSWER, look,
                       "ballastd has not answered for %" PRIu64 " s, although its process, %d, runs",
                       waited_usec / USEC_PER_SEC, (int) pid);
}

static CtlExit connect_bus(Client *c)
{
    int r;

    if (c->bus)
        return CTL_EXIT_OK;
    r = c->session ? sd_bus_open_user(&c->bus) : sd_bus_open_system(&c->bus);
    if (r >= 0)
        return CTL_EXIT_OK;
    return unreachable(c, r == -ENOENT || r == -ENOMEDIUM ? "this bus does not exist here" : strerror(-r));
}

/* ---- Calls ---- */

/* A refusal by the daemon says what to do; one by the bus only quotes a bus rule. */
static CtlExit denied(const Client *c, const sd_bus_error *error)
{
    if (error->message && strstr(error->message, "that ballastd runs as"))
        return client_fail(c, CLIENT_ERROR_DENIED, NULL, "%s", error->message);
    return client_fail(c, CLIENT_ERROR_DENIED, "only root and members of the group ballast may; try sudo",
                       "the %s bus does not let you talk to ballastd", c->session ? "session" : "system");
}

/* What the daemon, or the bus, answered. */
static CtlExit refused(const Client *c, const sd_bus_error *error)
{
    static const struct {
        const char *name;
        ClientError error;
    } names[] = {
        {BUS_ERROR_NO_SUCH_GUEST, CLIENT_ERROR_NO_SUCH_GUEST},
        {BUS_ERROR_AMBIGUOUS, CLIENT_ERROR_AMBIGUOUS},
        {BUS_ERROR_BAD_MODE, CLIENT_ERROR_BAD_VALUE},
        {BUS_ERROR_BAD_VALUE, CLIENT_ERROR_BAD_VALUE},
        {BUS_ERROR_REFUSED, CLIENT_ERROR_REFUSED},
        {BUS_ERROR_SHUT_OFF, CLIENT_ERROR_SHUT_OFF},
    };
    static const char *const gone[] = {
        SD_BUS_ERROR_SERVICE_UNKNOWN,
        SD_BUS_ERROR_NAME_HAS_NO_OWNER,
        SD_BUS_ERROR_NO_SERVER,
        SD_BUS_ERROR_DISCONNECTED,
    };
    const char *message = error->message ?: error->name;

    for (size_t i = 0; i < ELEMENTSOF(gone); i++)
        if (sd_bus_error_has_name(error, gone[i]))
            return unreachable(c, "no program has the name " BUS_NAME " there");
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
        return unreachable(c, "it ended, or lost the bus, before it answered");
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
        return denied(c, error);
    if (sd_bus_error_has_name(error, BUS_ERROR_BAD_POLICY))
        return client_fail_lines(c, CLIENT_ERROR_BAD_POLICY,
                                 "ballastd, which may be of another version, refused the policy:", message);
    if (sd_bus_error_has_name(error, BUS_ERROR_BAD_FILES))
        return client_fail_lines(c, CLIENT_ERROR_BAD_FILES,
                                 "ballastd refused the reload, and keeps what it runs with:", message);
    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (sd_bus_error_has_name(error, names[i].name))
            return client_fail(c, names[i].error, NULL, "%s", message);
    return client_fail(c, CLIENT_ERROR_FAILED, NULL, "%s", message);
}

static bool only_reads(const char *method)
{
    static const char *const reads[] = {"GetStatus", "ListGuests", "ListDomains",
                                        "GetGuest",  "GetPolicy",  "Dump"};

    for (size_t i = 0; i < ELEMENTSOF(reads); i++)
        if (strcmp(reads[i], method) == 0)
            return true;
    return false;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    *(sd_bus_message **) userdata = sd_bus_message_ref(reply);
    return 1;
}

/* Sends the call and waits for the reply. -ETIMEDOUT: none came in this time. */
static int wait_reply(sd_bus *bus, sd_bus_message *call, usec_t timeout_usec, sd_bus_message **ret)
{
    _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
    sd_bus_message *reply = NULL;
    usec_t began = now_usec(CLOCK_MONOTONIC);
    bool shown = !isatty(STDERR_FILENO);
    int r;

    r = sd_bus_call_async(bus, &slot, call, on_reply, &reply, UINT64_MAX);
    while (r >= 0 && !reply) {
        usec_t waited = usec_since(began, now_usec(CLOCK_MONOTONIC));

        r = sd_bus_process(bus, NULL);
        if (r != 0)
            continue;
        if (waited >= timeout_usec)
            return -ETIMEDOUT;
        if (!shown && waited >= SHOW_WAIT_USEC) {
            shown = true;
            fputs(PREFIX "waiting for ballastd to answer\n", stderr);
        }
        r = sd_bus_wait(bus, (shown ? timeout_usec : SHOW_WAIT_USEC) - waited);
        if (r == -EINTR)
            r = 0;
    }
    if (reply)
        *ret = reply;
    return reply ? 0 : r;
}

typedef int (*Append)(sd_bus_message *call, const void *what);

static CtlExit call_method(Client *c, const char *method, Append append, const void *what, json_object **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    usec_t timeout = only_reads(method) ? READ_TIMEOUT_USEC : CHANGE_TIMEOUT_USEC;
    CtlExit e;
    int r;

    e = connect_bus(c);
    if (e != CTL_EXIT_OK)
        return e;
    r = sd_bus_message_new_method_call(c->bus, &call, BUS_NAME, BUS_PATH, BUS_MANAGER_IFC, method);
    if (r >= 0)
        r = sd_bus_message_set_auto_start(call, false);
    if (r >= 0)
        r = append(call, what);
    if (r == -EINVAL)
        return client_fail(c, CLIENT_ERROR_BAD_VALUE, NULL, "an argument is not UTF-8 text");
    if (r >= 0)
        r = wait_reply(c->bus, call, timeout, &reply);
    if (r == -ETIMEDOUT)
        return silent(c, timeout);
    if (r == -ENOENT || r == -ECONNREFUSED || r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE)
        return unreachable(c, strerror(-r));
    if (r < 0)
        return client_fail(c, CLIENT_ERROR_FAILED, NULL, "%s", strerror(-r));
    if (sd_bus_message_is_method_error(reply, NULL))
        return refused(c, sd_bus_message_get_error(reply));
    if (!ret)
        return CTL_EXIT_OK;
    *ret = NULL;
    r = json_from_message(reply, ret);
    if (r < 0 && r != -ENODATA)
        return client_fail(c, CLIENT_ERROR_FAILED, NULL, "cannot read ballastd's answer to %s: %s", method,
                           strerror(-r));
    return CTL_EXIT_OK;
}

static int append_argument(sd_bus_message *call, const void *argument)
{
    return argument ? sd_bus_message_append(call, "s", argument) : 0;
}

CtlExit client_call(Client *c, const char *method, const char *argument, json_object **ret)
{
    return call_method(c, method, append_argument, argument, ret);
}

typedef struct Values {
    const char *argument;
    const ClientValue *values;
    size_t n;
} Values;

static int append_values(sd_bus_message *call, const void *what)
{
    const Values *v = what;
    int r;

    r = sd_bus_message_append(call, "s", v->argument);
    if (r >= 0)
        r = sd_bus_message_open_container(call, 'a', "{ss}");
    for (size_t i = 0; r >= 0 && i < v->n; i++)
        r = sd_bus_message_append(call, "{ss}", v->values[i].key, v->values[i].text);
    return r < 0 ? r : sd_bus_message_close_container(call);
}

CtlExit client_call_values(Client *c, const char *method, const char *argument, const ClientValue *values,
                           size_t n, json_object **ret)
{
    return call_method(c, method, append_values, &(Values){argument, values, n}, ret);
}

static int append_policy(sd_bus_message *call, const void *what)
{
    const Policy *p = what;
    int r = sd_bus_message_open_container(call, 'a', "(ss)");

    for (size_t i = 0; r >= 0 && i < policy_n_files(p); i++) {
        PolicyFile file = policy_file(p, i);

        r = sd_bus_message_append(call, "(ss)", file.origin, file.text);
    }
    return r < 0 ? r : sd_bus_message_close_container(call);
}

CtlExit client_load_policy(Client *c, const Policy *policy, json_object **ret)
{
    return call_method(c, "LoadPolicy", append_policy, policy, ret);
}
