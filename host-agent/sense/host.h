/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memory and the memory pressure that guests share: of the whole host, or of one memory cgroup. */

#include "base/procfs.h"
#include "host-agent/sense/cgroup.h"
#include "policy/fields.h"

typedef struct HostSample {
    usec_t at_usec;
    Meminfo meminfo;        /* of the whole host */
    SwapMemory swap_memory; /* likewise: the part of its swap that is in its own memory */
    uint64_t arc_bytes;     /* the part of ZFS's cache above its minimum; 0 for a cgroup */
    int arc_error;          /* 0, or -errno: ZFS has a cache, and its statistics can't be read */
    CgroupMemory cgroup;    /* without limits for the whole host */
    uint64_t swap_in_pages; /* cumulative; VMSTAT_MISSING: not counted */
    bool scoped;            /* it is a cgroup */
    Vmstat vmstat; /* of a cgroup only direct reclaim and OOM kills, as far as its kernel counts them */
    Psi psi_memory, psi_io;
    bool has_vmstat, has_psi, has_psi_io;
} HostSample;

/* Reads meminfo, swaps, vmstat, ZFS's cache and PSI below root ("/proc"); of a scope (NULL: the whole host)
 * meminfo, swaps and the cgroup's own files. has_psi and has_psi_io are false if the kernel has no PSI, and for a cgroup of
 * v1: the host's PSI would include others, as vmstat does. 0, or -errno if anything else can't be read. */
int host_sample_read(const char *root, const Cgroup *scope, usec_t now_usec, HostSample *ret);
/* MemTotal − huge page pools, and no more than the cgroup's limit. */
uint64_t host_sample_total(const HostSample *s);
/* The stats that a policy sees. Available memory is MemAvailable + ZFS's cache above its minimum, at most
 * what the cgroup has left and at most the total, minus reserve, and never below 0. Free memory and swap are
 * at most the cgroup's, too. Swap is what disks back: swap in memory makes room by less than it takes, and memory that
 * doesn't compress by nothing. For a cgroup, the stats that exist only for the whole host are missing. */
void host_sample_fields(const HostSample *s, uint64_t reserve_bytes, HostFields *ret);
