/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks the daemon over D-Bus, and says what is wrong where that fails. */

#include <stdarg.h>
#include <string.h>

#include "base/time-util.h"
#include "host-agent/ctl/client.h"
#include "host-agent/ctl/table.h"
#include "host-agent/show/api.h"

#define CALL_TIMEOUT_USEC (15 * USEC_PER_SEC)

void client_done(Client *c)
{
    c->bus = sd_bus_flush_close_unref(c->bus);
}

void client_error(const char *format, ...)
{
    _cleanup_free_ char *text = NULL, *clean = NULL;
    va_list ap;
    int r;

    va_start(ap, format);
    r = vasprintf(&text, format, ap);
    va_end(ap);
    if (r < 0)
        text = NULL;
    clean = text_clean(text ? text : "out of memory");
    fprintf(stderr, "ballastctl: %s\n", clean ? clean : "out of memory");
}

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
        way_out = "Is it running? Start it with: ballastd --session";
    else if (session_has_daemon())
        way_out = "One runs on your session bus: add --session";
    else
        way_out = "Is it running? systemctl status ballastd; for a user's own instance add --session";
    client_error("cannot reach ballastd on the %s bus: %s. %s", c->session ? "session" : "system", why,
                 way_out);
    return CTL_EXIT_UNREACHABLE;
}

static CtlExit connect_bus(Client *c)
{
    int r;

    if (c->bus)
        return CTL_EXIT_OK;
    r = c->session ? sd_bus_open_user(&c->bus) : sd_bus_open_system(&c->bus);
    if (r >= 0)
        r = sd_bus_set_method_call_timeout(c->bus, CALL_TIMEOUT_USEC);
    if (r >= 0)
        return CTL_EXIT_OK;
    return unreachable(c, r == -ENOENT || r == -ENOMEDIUM ? "this bus does not exist here" : strerror(-r));
}

/* A refusal by the daemon says what to do; one by the bus only quotes a bus rule. */
static CtlExit denied(const Client *c, const sd_bus_error *error)
{
    if (error->message && strstr(error->message, "that ballastd runs as"))
        client_error("%s", error->message);
    else
        client_error(
            "the %s bus does not let you talk to ballastd: only root and members of the group ballast may; try sudo",
            c->session ? "session" : "system");
    return CTL_EXIT_FAILED;
}

static CtlExit failed(const Client *c, const sd_bus_error *error, int r)
{
    static const char *const gone[] = {
        SD_BUS_ERROR_SERVICE_UNKNOWN,
        SD_BUS_ERROR_NAME_HAS_NO_OWNER,
        SD_BUS_ERROR_NO_SERVER,
        SD_BUS_ERROR_DISCONNECTED,
    };
    static const char *const silent[] = {SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT};

    for (size_t i = 0; i < ELEMENTSOF(gone); i++)
        if (sd_bus_error_has_name(error, gone[i]))
            return unreachable(c, "no program has the name " BUS_NAME " there");
    for (size_t i = 0; i < ELEMENTSOF(silent); i++)
        if (sd_bus_error_has_name(error, silent[i]))
            return unreachable(c, "it does not answer");
    if (r == -ENOENT || r == -ECONNREFUSED || r == -ECONNRESET || r == -ENOTCONN || r == -ETIMEDOUT)
        return unreachable(c, strerror(-r));
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
        return denied(c, error);

    if (sd_bus_error_has_name(error, BUS_ERROR_BAD_POLICY)) {
        client_error("ballastd, which may be of another version, refused the policy:");
        (void) screen_diagnostics(&c->errors, error->message);
        return CTL_EXIT_FAILED;
    }
    client_error("%s", error->message ? error->message : strerror(-r));
    if (sd_bus_error_has_name(error, BUS_ERROR_BAD_VALUE))
        return CTL_EXIT_USAGE;
    return sd_bus_error_has_name(error, BUS_ERROR_NO_SUCH_GUEST) ||
                   sd_bus_error_has_name(error, BUS_ERROR_AMBIGUOUS)
               ? CTL_EXIT_NO_GUEST
               : CTL_EXIT_FAILED;
}

typedef int (*Append)(sd_bus_message *call, const void *what);

static CtlExit call_method(Client *c, const char *method, Append append, const void *what, json_object **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
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
    if (r >= 0)
        r = sd_bus_call(c->bus, call, 0, &error, &reply);
    if (r < 0)
        return failed(c, &error, r);
    if (!ret)
        return CTL_EXIT_OK;
    *ret = NULL;
    r = json_from_message(reply, ret);
    if (r < 0 && r != -ENODATA) {
        client_error("cannot read ballastd's answer to %s: %s", method, strerror(-r));
        return CTL_EXIT_FAILED;
    }
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
