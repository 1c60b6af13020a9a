/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which policy runs: read from the configured files, or loaded over the bus. */

#include "host-agent/config/config.h"
#include "host-agent/daemon/guests.h"
#include "policy/keep.h"

typedef struct RunningPolicy {
    Policy *policy;  /* NULL before the first */
    char *origin;    /* for people: where it comes from */
    usec_t usec;     /* since when it runs */
    PolicyKeep keep; /* what it remembers of the host; of a guest, that is with the guest */
} RunningPolicy;

void running_policy_done(RunningPolicy *p);
/* Loads the files whose paths are given, else those that the configuration names. What is wrong is logged.
 * *ret_origin: who named them, for people; the caller frees both. 0 or -errno. */
int policies_read(const char *const *paths, size_t n_paths, const Config *c, const char *config_path,
                  Policy **ret, char **ret_origin);
/* Lets another policy run from now on, and takes it and its origin over. State variables and history that both
 * know are kept, of the host and of the guests. -ENOMEM: nothing changed. */
int running_policy_replace(RunningPolicy *p, Guests *guests, Policy **policy, char **origin);
/* The host's history says nothing any more: what it was of is another. */
void running_policy_forget_history(RunningPolicy *p);
/* After a cycle: keeps for the policy what that needs of the host in the next. */
void running_policy_keep(RunningPolicy *p, const Snapshot *s, const Plan *plan);
/* The host's controls that its files may change (bits 1 << HostField). */
uint64_t running_policy_controls(const RunningPolicy *p);
