/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asking the daemon, and what to tell the user where that fails. */

#include "host-agent/ctl/json.h"
#include "host-agent/ctl/table.h"
#include "policy/policy.h"

/* What ballastctl exits with; documented in ballastctl(1). */
typedef enum CtlExit {
    CTL_EXIT_OK = 0,
    CTL_EXIT_FAILED = 1,      /* the daemon refused, or something failed */
    CTL_EXIT_USAGE = 2,       /* the command line */
    CTL_EXIT_NO_GUEST = 3,    /* no such guest, or more than one */
    CTL_EXIT_UNREACHABLE = 4, /* no daemon there */
} CtlExit;

/* One of a{ss}. */
typedef struct ClientValue {
    const char *key, *text;
} ClientValue;

typedef struct Client {
    bool session;  /* the session bus */
    bool quiet;    /* says nothing where the daemon can't be reached */
    sd_bus *bus;   /* opened by the first call */
    Screen errors; /* where a policy's are told */
} Client;

void client_done(Client *c);

/* Calls a method of the manager, with argument unless it is NULL, and gives its answer (NULL where it has
 * none) to *ret, unless ret is NULL. On failure the user was told. Never starts the daemon. */
CtlExit client_call(Client *c, const char *method, const char *argument, json_object **ret);
/* The same, with n values behind the argument. */
CtlExit client_call_values(Client *c, const char *method, const char *argument, const ClientValue *values,
                           size_t n, json_object **ret);
/* Sends the policy's texts: LoadPolicy. */
CtlExit client_load_policy(Client *c, const Policy *policy, json_object **ret);
/* "ballastctl: …", control characters made harmless. */
void client_error(const char *format, ...) _printf_(1, 2);
