/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host's memory and pressure. */

#include "base/procfs.h"
#include "policy/fields.h"

typedef struct HostSample {
    usec_t at_usec;
    Meminfo meminfo;
    Psi psi_memory;
    bool has_psi;
} HostSample;

/* Reads meminfo and PSI below root ("/proc"). Without PSI in the kernel has_psi is false; anything else that
 * can't be read is -errno. */
int host_sample_read(const char *root, usec_t now_usec, HostSample *ret);
/* The stats that a policy sees: total = MemTotal − huge page pools; available = MemAvailable − reserve, never
 * below 0. */
void host_sample_fields(const HostSample *s, uint64_t reserve_bytes, HostFields *ret);
