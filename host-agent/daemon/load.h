/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the daemon reads from files before it is put in force: the configuration, the scope that it names, and the
 * policy. */

#include "host-agent/config/config.h"
#include "host-agent/daemon/file-mark.h"
#include "host-agent/daemon/findings.h"
#include "host-agent/daemon/options.h"
#include "host-agent/sense/cgroup.h"
#include "policy/policy.h"

/* The files as they were read. */
typedef struct FileMarks {
    FileMark config;
    FileMark policies[POLICY_FILES_MAX];
} FileMarks;

typedef struct Loaded {
    Config *config;
    Cgroup *scope; /* NULL: the whole host */
    Policy *policy;
    char *origin; /* who named the policy's files, for people */
    FileMarks marks;
} Loaded;

void file_marks_done(FileMarks *m);
void loaded_done(Loaded *l);
/* Reads everything, and adds what is wrong to f. 0, or -errno if the daemon can't run with it. The caller calls
 * loaded_done() in any case. */
int load_files(const ManagerOptions *o, Findings *f, Loaded *ret);
