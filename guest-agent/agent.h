/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The running agent: one epoll loop over the port, the PSI trigger, a timer and signals. */

#include <stdbool.h>

#include "base/time-util.h"

typedef struct AgentOptions {
    const char *port_path;
    const char *proc_root, *sys_root;
    const char *run_folder; /* where the lever helper's socket and the history are */
    bool levers;            /* whether the host may have memory compacted and reclaimed */
    usec_t interval_usec;   /* between reports, until the host configures another */
} AgentOptions;

/* Runs until SIGTERM or SIGINT. Returns 0, or -errno if it could not start or wait for events (logged). */
int agent_run(const AgentOptions *options);
