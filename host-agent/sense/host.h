/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memory and the pressure of what guests share: the whole host, or a memory cgroup of it. */

#include "base/procfs.h"
#include "host-agent/sense/cgroup.h"
#include "policy/fields.h"

typedef struct HostSample {
    usec_t at_usec;
    Meminfo meminfo;     /* of the whole host */
    uint64_t arc_bytes;  /* of ZFS's cache, what is above its minimum; 0 for a cgroup */
    int arc_error;       /* 0, or -errno: ZFS tells of its cache, and it can't be understood */
    CgroupMemory cgroup; /* without any limit for the whole host */
    bool scoped;         /* it is a cgroup */
    Vmstat vmstat;       /* of the whole host */
    Psi psi_memory, psi_io;
    bool has_vmstat, has_psi, has_psi_io;
} HostSample;

/* Reads meminfo, vmstat, ZFS's cache and PSI below root ("/proc"), or meminfo and the scope's own (NULL: the
 * whole host). Without PSI in the kernel, or for a cgroup of v1, has_psi and has_psi_io are false: the host's
 * would speak of others, as vmstat does. Anything else that can't be read is -errno. */
int host_sample_read(const char *root, const Cgroup *scope, usec_t now_usec, HostSample *ret);
/* MemTotal − huge page pools, and no more than the cgroup's limit. */
uint64_t host_sample_total(const HostSample *s);
/* The stats that a policy sees: available = MemAvailable + ZFS's cache above its minimum, no more than the
 * cgroup has left, nor than the total; − reserve, never below 0. Free memory and swap likewise no more than
 * the cgroup's. Of a cgroup, what is known of the whole host only is missing. */
void host_sample_fields(const HostSample *s, uint64_t reserve_bytes, HostFields *ret);
