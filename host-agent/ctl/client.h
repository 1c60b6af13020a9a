/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls to the daemon, and errors as the user gets them. */

#include "host-agent/ctl/json.h"
#include "host-agent/ctl/text.h"
#include "policy/policy.h"

/* Exit statuses of ballastctl; documented in ballastctl(1). */
typedef enum CtlExit {
    CTL_EXIT_OK = 0,
    CTL_EXIT_FAILED = 1,  /* the daemon refused, a domain is shut off, a file is bad, or something failed */
    CTL_EXIT_USAGE = 2,   /* the command line, or a value that can't be read */
    CTL_EXIT_NO_SUCH = 3, /* nothing has this name, or more than one guest */
    CTL_EXIT_UNREACHABLE = 4, /* no daemon can be reached, or it doesn't answer */
} CtlExit;

/* Kinds of errors. Each has a code in JSON and an exit status, in the table of ballastctl(1). */
typedef enum ClientError {
    CLIENT_ERROR_FAILED,
    CLIENT_ERROR_REFUSED,
    CLIENT_ERROR_SHUT_OFF,
    CLIENT_ERROR_DENIED,
    CLIENT_ERROR_BAD_POLICY,
    CLIENT_ERROR_BAD_FILES,
    CLIENT_ERROR_BAD_SNAPSHOT,
    CLIENT_ERROR_USAGE,
    CLIENT_ERROR_UNKNOWN_COMMAND,
    CLIENT_ERROR_UNKNOWN_OPTION,
    CLIENT_ERROR_BAD_VALUE,
    CLIENT_ERROR_NO_SUCH_GUEST,
    CLIENT_ERROR_AMBIGUOUS,
    CLIENT_ERROR_NO_SUCH_FIELD,
    CLIENT_ERROR_UNREACHABLE,
    CLIENT_ERROR_NO_ANSWER,
    CLIENT_ERROR_MAX
} ClientError;

/* One of a{ss}. */
typedef struct ClientValue {
    const char *key, *text;
} ClientValue;

typedef struct Client {
    bool session;  /* the session bus */
    bool quiet;    /* prints nothing if the daemon can't be reached */
    bool json;     /* answers and errors are JSON, on standard output */
    sd_bus *bus;   /* opened by the first call */
    Screen errors; /* standard error */
} Client;

void client_done(Client *c);

/* Calls a method of the manager, with argument unless that is NULL. *ret (ret may be NULL) gets its answer,
 * NULL if it has none. A failure is printed. Never starts the daemon. A daemon that doesn't answer is waited for
 * for 3 s, or where the method changes something for 15 s. */
CtlExit client_call(Client *c, const char *method, const char *argument, json_object **ret);
/* The same, with n values after the argument. */
CtlExit client_call_values(Client *c, const char *method, const char *argument, const ClientValue *values,
                           size_t n, json_object **ret);
/* Sends the policy's texts: LoadPolicy. */
CtlExit client_load_policy(Client *c, const Policy *policy, json_object **ret);
/* Prints an error, with control characters made harmless: "ballastctl: message; hint", or in JSON {"error":
 * {"code": …, "message": …, "hint": …}}. hint: the way out, a clause; or NULL. Returns its exit status. */
CtlExit client_fail(const Client *c, ClientError error, const char *hint, const char *format, ...)
    _printf_(4, 5);
/* Mistakes in files. message: NULL, or what to say before the lines, which stay lines. */
CtlExit client_fail_lines(const Client *c, ClientError error, const char *message, const char *lines);
/* Prints "ballastctl: …" on standard error. */
void client_warn(const Client *c, const char *format, ...) _printf_(2, 3);
