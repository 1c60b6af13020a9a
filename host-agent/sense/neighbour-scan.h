/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Other programs that move the same guests' memory. Ballast and such a program would undo each other's moves.
 *
 * momd and ksmtuned are recognised by their processes. Since anyone can give a process any name, only
 * processes of root, of a system user and of our own user count. Another ballastd is recognised by a lock: an
 * abstract unix socket that ends with its process. The socket's name says which libvirt it is about, so
 * daemons on different ones don't see each other; the kernel says whose process listens on it. */

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

#define NEIGHBOUR_LOCK_MAX 100U /* of a name, with its NUL; the kernel allows 107 bytes */
/* The name of the lock for a libvirt, in buf (NEIGHBOUR_LOCK_MAX). uri: as libvirt reports it. Session
 * daemons differ by the folder of their socket (XDG_RUNTIME_DIR, else the user's cache folder). Returns
 * buf. */
char *neighbour_lock_name(const char *uri, char *buf);

typedef struct NeighbourLock {
    int fd; /* ours: the listening socket; otherwise a connection to the owner, which hangs up when that ends */
    bool ours;
    pid_t pid; /* of the other owner; 0 if it is in a container that we can't look into */
    uid_t uid; /* of the other owner */
} NeighbourLock;

#define NEIGHBOUR_LOCK_INIT ((NeighbourLock){.fd = -EBADF})

/* Takes the lock, or finds who has it. -EPERM: an ordinary user (ret->uid) has it, who is no neighbour; fd is
 * -EBADF then. -EAGAIN: the owner can't be asked. Or another -errno. */
int neighbour_lock(const char *name, uid_t own_uid, NeighbourLock *ret);
void neighbour_lock_done(NeighbourLock *l);
