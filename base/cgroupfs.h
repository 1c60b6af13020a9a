/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Readers for what the kernel says about memory cgroups. As those of base/procfs.h: 0, or -errno, -EBADMSG
 * for what can't be understood. */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

#define CGROUP_NO_LIMIT UINT64_MAX

/* A limit or a usage, as "512\n" or "max\n" (CGROUP_NO_LIMIT). What no machine has (from 2^62 on), which is
 * how v1 says that there is no limit, is one, too. */
int cgroup_number_parse(const char *text, uint64_t *ret_bytes);
int cgroup_number_read(const char *folder, const char *file, uint64_t *ret_bytes);

/* memory.stat: of the cgroup and all below it. What this kernel doesn't tell is 0; shmem is in none of
 * these. */
typedef struct CgroupStat {
    uint64_t active_file, inactive_file;
    uint64_t slab_reclaimable; /* v2 only */
    uint64_t dirty, writeback; /* of the file pages */
} CgroupStat;

int cgroup_stat_parse(const char *text, bool v2, CgroupStat *ret);
int cgroup_stat_read(const char *folder, bool v2, CgroupStat *ret);

/* Where the hierarchies are mounted, by /proc/mounts; "" where one isn't. The first of each counts. */
typedef struct CgroupMounts {
    char v2[PATH_MAX];
    char v1_memory[PATH_MAX]; /* the memory controller's */
} CgroupMounts;

void cgroup_mounts_parse(const char *text, CgroupMounts *ret);
int cgroup_mounts_read(const char *root, CgroupMounts *ret);
