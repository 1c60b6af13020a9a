/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls to the daemon, and messages to the user if they fail. */

#include "host-agent/ctl/json.h"
#include "host-agent/ctl/table.h"
#include "policy/policy.h"

/* Exit statuses of ballastctl; documented in ballastctl(1). */
typedef enum CtlExit {
    CTL_EXIT_OK = 0,
    CTL_EXIT_FAILED = 1,      /* the daemon refused, or something failed */
    CTL_EXIT_USAGE = 2,       /* the command line */
    CTL_EXIT_NO_GUEST = 3,    /* no such guest, or more than one */
    CTL_EXIT_UNREACHABLE = 4, /* no daemon can be reached */
} CtlExit;

/* One of a{ss}. */
typedef struct ClientValue {
    const char *key, *text;
} ClientValue;

typedef struct Client {
    bool session;  /* the session bus */
    bool quiet;    /* prints nothing if the daemon can't be reached */
    sd_bus *bus;   /* opened by the first call */
    Screen errors; /* where a policy's mistakes are printed */
} Client;

void client_done(Client *c);

/* Calls a method of the manager, with argument unless that is NULL. *ret (ret may be NULL) gets its answer,
 * NULL if it has none. A failure is printed. Never starts the daemon. */
CtlExit client_call(Client *c, const char *method, const char *argument, json_object **ret);
/* The same, with n values after the argument. */
CtlExit client_call_values(Client *c, const char *method, const char *argument, const ClientValue *values,
                           size_t n, json_object **ret);
/* Sends the policy's texts: LoadPolicy. */
CtlExit client_load_policy(Client *c, const Policy *policy, json_object **ret);
/* Prints "ballastctl: …", with control characters made harmless. */
void client_error(const char *format, ...) _printf_(1, 2);
