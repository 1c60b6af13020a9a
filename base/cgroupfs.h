/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Readers of the kernel's files about memory cgroups. As in base/procfs.h they return 0 or -errno; -EBADMSG
 * for a file that they can't parse. */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

#define CGROUP_NO_LIMIT UINT64_MAX
#define CGROUP_NO_COUNT UINT64_MAX

/* A limit or a usage, such as "512\n" or "max\n" (CGROUP_NO_LIMIT). Values from 2^62 on are CGROUP_NO_LIMIT,
 * too: v1 writes one for no limit. */
int cgroup_number_parse(const char *text, uint64_t *ret_bytes);
int cgroup_number_read(const char *folder, const char *file, uint64_t *ret_bytes);

/* memory.stat of the cgroup and all below it. Values that this kernel lacks are 0. None but shmem itself includes
 * shmem. */
typedef struct CgroupStat {
    uint64_t active_file, inactive_file;
    uint64_t shmem;
    uint64_t swap;             /* v1 only; v2 has memory.swap.current */
    uint64_t slab_reclaimable; /* v2 only */
    uint64_t dirty, writeback; /* of the file pages */
    /* Cumulative; CGROUP_NO_COUNT: not counted. v2 counts what is swapped in since Linux 6.13. Refaults of anonymous
     * memory, which v1 and v2 count since Linux 5.9, stand in for it: those are pages swapped in, too. */
    uint64_t swap_in_pages, refault_anon_pages;
    uint64_t scan_direct_pages, steal_direct_pages; /* likewise; only v2 counts them */
} CgroupStat;

int cgroup_stat_parse(const char *text, bool v2, CgroupStat *ret);
int cgroup_stat_read(const char *folder, bool v2, CgroupStat *ret);

/* The OOM kills in a cgroup of v2 and all below it, from memory.events; -EBADMSG if its kernel doesn't count them. */
int cgroup_oom_kills_parse(const char *text, uint64_t *ret);
int cgroup_oom_kills_read(const char *folder, uint64_t *ret);

/* Where /proc/mounts says that the hierarchies are mounted; "" for one that is not. The first of each
 * counts. */
typedef struct CgroupMounts {
    char v2[PATH_MAX];
    char v1_memory[PATH_MAX]; /* the memory controller's */
} CgroupMounts;

void cgroup_mounts_parse(const char *text, CgroupMounts *ret);
int cgroup_mounts_read(const char *root, CgroupMounts *ret);
