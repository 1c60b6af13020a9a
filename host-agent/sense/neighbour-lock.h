/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The lock by which the ballastds of one libvirt find each other. It is a lock (fcntl(2)) on one byte of a file in
 * a folder that other users can't write to; which byte follows from libvirt's URI. The lock ends with its process,
 * and the kernel says whose it is. */

#include <sys/types.h>

#include "base/macro.h"

typedef struct NeighbourLock {
    int fd; /* ours: the file; otherwise a pidfd of the owner, readable when it ends. -EBADF: neither */
    bool ours;
    pid_t pid; /* of the other owner; 0 if it is in a container that we can't look into */
} NeighbourLock;

#define NEIGHBOUR_LOCK_INIT ((NeighbourLock){.fd = -EBADF})

/* The path of the file, in buf. uri: as libvirt reports it. It is $RUNTIME_DIRECTORY/lock, or else
 * /run/ballast/lock. For a user's own libvirt it is below the folder of that libvirt's sockets: XDG_RUNTIME_DIR,
 * else the user's cache folder. 0; -ENOENT if neither is known; -ENAMETOOLONG. */
int neighbour_lock_path(const char *uri, char *buf, size_t size);
/* Takes the lock, or finds who has it. -EACCES: this user may not open the file; or another -errno. Then nobody knows
 * whether another ballastd has the lock. A process must not call it again while the lock is its own. */
int neighbour_lock(const char *uri, NeighbourLock *ret);
void neighbour_lock_done(NeighbourLock *l);
