/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Other programs that move the same guests' memory. Ballast and such a program would undo each other's moves.
 *
 * momd and ksmtuned are recognised by their processes. Since anyone can give a process any name, only
 * processes of root, of a system user and of our own user count, and none of a container. Where it is an interpreter's
 * argument that has the name, a system user's process doesn't count. Another ballastd is recognised by its lock
 * (neighbour-lock.h). */

#include <sys/types.h>

#include "base/macro.h"

typedef enum Neighbour {
    NEIGHBOUR_MOMD,
    NEIGHBOUR_KSMTUNED,
    NEIGHBOUR_BALLASTD,
    NEIGHBOUR_MAX,
    NEIGHBOUR_INVALID = -EINVAL,
} Neighbour;

const char *neighbour_to_string(Neighbour n); /* "momd", "another ballastd" */

/* Checks the name of each process below proc_root (at most the first NEIGHBOUR_PROCESSES_MAX), and of the
 * script that an interpreter runs. ret_pids: the first process found of each neighbour, or 0; always 0 for
 * BALLASTD. 0 or -errno. */
#define NEIGHBOUR_PROCESSES_MAX 20000U
int neighbour_scan(const char *proc_root, uid_t own_uid, pid_t ret_pids[NEIGHBOUR_MAX]);
