/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Others that move the same guests' memory: beside one of them Ballast would undo its moves, and be undone.
 *
 * momd and ksmtuned are known by their processes; only those of root, of a system user and of our own user
 * count, for anybody may give a process a name. Another ballastd is known by a lock, an abstract unix socket
 * that ends with its process: its name tells which libvirt it is about, so that daemons on different ones
 * don't see each other, and the kernel tells whose process listens on it. */

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

/* Looks at the name of each process below proc_root (at most the first NEIGHBOUR_PROCESSES_MAX), and at an
 * interpreter's script. ret_pids: of each neighbour the first process found, or 0; BALLASTD is always 0. 0 or
 * -errno. */
#define NEIGHBOUR_PROCESSES_MAX 20000U
int neighbour_scan(const char *proc_root, uid_t own_uid, pid_t ret_pids[NEIGHBOUR_MAX]);

#define NEIGHBOUR_LOCK_MAX 100U /* of a name, with its NUL; the kernel takes 107 bytes */
/* The lock of a libvirt: by the URI as libvirt gives it; a session's daemon is told apart by the folder that
 * its socket is in (XDG_RUNTIME_DIR, else the user's cache folder). */
char *neighbour_lock_name(const char *uri, char *buf);

typedef struct NeighbourLock {
    int fd; /* ours: it listens; another's: connected to it, and hangs up when that ends */
    bool ours;
    pid_t pid; /* of the other; 0 where it is in a container that we don't see into */
    uid_t uid; /* of the other */
} NeighbourLock;

#define NEIGHBOUR_LOCK_INIT ((NeighbourLock){.fd = -EBADF})

/* Takes the lock, or finds who has it. -EPERM: an ordinary user has it, ret->uid, which is no neighbour (fd
 * is -EBADF); -EAGAIN: whoever has it can't be asked; or -errno. */
int neighbour_lock(const char *name, uid_t own_uid, NeighbourLock *ret);
void neighbour_lock_done(NeighbourLock *l);
