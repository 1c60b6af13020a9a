/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Another process that takes a libvirt's lock. */

#include <check.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-agent/sense/neighbour-lock.h"

typedef struct Other {
    pid_t pid;
    int end; /* it ends when this is closed */
} Other;

/* It has the lock when this returns. */
static inline Other other_takes(const char *uri)
{
    int end[2], ready[2];
    char byte;
    Other o;

    ck_assert_int_eq(pipe(end), 0);
    ck_assert_int_eq(pipe(ready), 0);
    o = (Other){.pid = fork(), .end = end[1]};
    ck_assert_int_ge(o.pid, 0);
    if (o.pid == 0) {
        NeighbourLock l;

        close(end[1]);
        if (neighbour_lock(uri, &l) < 0 || !l.ours)
            _exit(1);
        if (write(ready[1], "x", 1) != 1 || read(end[0], &byte, 1) != 0)
            _exit(1);
        _exit(0);
    }
    close(end[0]);
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return o;
}

static inline void other_ends(const Other *o)
{
    int status;

    close(o->end);
    ck_assert_int_eq(waitpid(o->pid, &status, 0), o->pid);
    ck_assert_int_eq(status, 0);
}
