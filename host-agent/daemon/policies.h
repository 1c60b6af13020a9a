/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which policy runs: read from the configured files, or loaded over the bus. */

#include "host-agent/config/config.h"
#include "policy/keep.h"

typedef struct Manager Manager;
typedef struct ManagerOptions ManagerOptions;

/* Loads the policy that the command line, else the configuration says. What is wrong is logged. *ret_origin:
 * which of them said so, for people; the caller frees both. 0 or -errno. */
int policies_read(const ManagerOptions *o, const Config *c, const char *config_path, Policy **ret,
                  char **ret_origin);
/* Lets another policy run from now on, and takes it and its origin over. State variables and history that
 * both know are kept. -ENOMEM: nothing changed. */
int policies_replace(Manager *m, Policy **policy, char **origin);
/* Checks texts and lets them run until the next reload. by: who wants it, for people ("user 0, over the
 * bus"). 0; -EINVAL with diagnostics; -EFBIG, -ENOMEM; then nothing changed. */
int manager_load_policy(Manager *m, const PolicySource *sources, size_t n, const char *by,
                        PolicyDiagnostics *diagnostics);
