/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A memory cgroup, v1 or v2, in place of the host. Its own limit and those of all its parents apply: the
 * smallest limit is its total, and the smallest remainder below a limit is what it has available. */

#include "base/cgroupfs.h"
#include "base/procfs.h"

typedef struct Cgroup {
    char *path; /* its folder, without symlinks */
    bool v2;
} Cgroup;

/* name: an absolute path, or a relative one such as "machine.slice", which is searched in the v2 hierarchy
 * and then in v1's memory controller, as mounted in <proc_root>/mounts. -ENOENT: there is no such folder.
 * -ENODATA: the folder isn't a memory cgroup that can be limited (its controller is off, or it is the
 * root). */
int cgroup_find(const char *proc_root, const char *name, Cgroup **ret);
Cgroup *cgroup_free(Cgroup *c);
DEFINE_CLEANUP_FUNC(Cgroup, cgroup_free);

/* Each value is CGROUP_NO_LIMIT if nothing limits it. */
typedef struct CgroupMemory {
    uint64_t limit_bytes;
    uint64_t free_bytes; /* limit − usage */
    uint64_t
        available_bytes; /* limit − usage + page cache and slab that can be dropped without writing them */
    uint64_t swap_limit_bytes, swap_free_bytes;
} CgroupMemory;

/* 0; -ENOENT if the cgroup is gone; or another -errno. */
int cgroup_read(const Cgroup *c, CgroupMemory *ret);
