/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How the daemon was started. */

#include "host-agent/decide/snapshot.h"
#include "policy/values.h"

typedef struct ManagerOptions {
    const char *config_path; /* NULL: the default file, which may be missing */
    const char *policy_paths[POLICY_FILES_MAX];
    size_t n_policy_paths; /* 0: as the configuration says */
    const char *connect;   /* NULL: as the configuration says */
    const char *proc_root; /* "/proc" */
    const char *sys_root;  /* "/sys" */
    int log_level;         /* -1: as the configuration says */
    GuestMode mode;        /* GUEST_MODE_INVALID: as the configuration says */
    bool session;          /* the session bus and qemu:///session */
} ManagerOptions;
