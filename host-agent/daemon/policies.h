/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The running policy: read from the configured files, or loaded over D-Bus. */

#include "host-agent/config/config.h"
#include "host-agent/daemon/file-mark.h"
#include "host-agent/daemon/findings.h"
#include "host-agent/daemon/guests.h"
#include "host-agent/daemon/node-keep.h"
#include "host-agent/daemon/options.h"
#include "policy/keep.h"

typedef struct RunningPolicy {
    Policy *policy;  /* NULL before the first one */
    char *origin;    /* where it comes from, for people */
    usec_t usec;     /* since when it runs */
    PolicyKeep keep; /* what it keeps about the host; the guests have what it keeps about them */
    NodeKeep nodes;  /* the same where guests are bound to nodes */
} RunningPolicy;

void running_policy_done(RunningPolicy *p);
/* Loads the files that the command line names, else those that the configuration names, and adds what is wrong to f.
 * Each file is marked before it is read. *ret_origin: who named the files, for people. The caller frees both results,
 * and the marks in any case. 0 or -errno. */
int policies_read(const ManagerOptions *o, const Config *c, Findings *f,
                  FileMark marks[static POLICY_FILES_MAX], Policy **ret, char **ret_origin);

#define POLICIES_HINT_MAX 512

/* The way out where there is no policy of this name: "; did you mean balloon.policy?" folder: of the installed ones;
 * whole: they are named with it, as on the command line. */
void policies_hint(const char *folder, const char *name, bool whole, char hint[static POLICIES_HINT_MAX]);
/* Runs another policy from now on, and takes over it and its origin. State variables and history that both
 * policies use are kept, for the host and for the guests. 0, or -ENOMEM: then nothing has changed. */
int running_policy_replace(RunningPolicy *p, Guests *guests, Policy **policy, char **origin);
/* Forgets the host's history, because another scope is watched now. */
void running_policy_forget_history(RunningPolicy *p);
/* After a cycle: keeps what the policy needs to know about the host in the next one. */
void running_policy_keep(RunningPolicy *p, const Snapshot *s, const Plan *plan);
/* The host's controls that the policy may change. */
FieldSet running_policy_controls(const RunningPolicy *p);
