/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A memory cgroup, v1 or v2, as the host that guests share. What binds it are its own limit and those of all
 * that it is in: the smallest limit is its total, the least that one of them has left is what it has
 * available. */

#include "base/cgroupfs.h"
#include "base/procfs.h"

typedef struct Cgroup {
    char *path; /* its folder, without symlinks */
    bool v2;
} Cgroup;

/* name: an absolute path, or a path such as "machine.slice" that is looked for in the v2 hierarchy, then in
 * v1's memory controller, where <proc_root>/mounts says they are. -ENOENT: there is no such folder; -ENODATA:
 * it is there, and no memory cgroup that can be limited (the controller is off for it, or it is the root). */
int cgroup_find(const char *proc_root, const char *name, Cgroup **ret);
Cgroup *cgroup_free(Cgroup *c);
DEFINE_CLEANUP_FUNC(Cgroup, cgroup_free);

/* Each CGROUP_NO_LIMIT where nothing limits it. */
typedef struct CgroupMemory {
    uint64_t limit_bytes;
    uint64_t free_bytes; /* limit − usage */
    uint64_t
        available_bytes; /* limit − usage + page cache and slab that can be dropped without being written */
    uint64_t swap_limit_bytes, swap_free_bytes;
} CgroupMemory;

/* 0; -ENOENT where it went; or -errno. */
int cgroup_read(const Cgroup *c, CgroupMemory *ret);
