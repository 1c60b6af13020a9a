/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernel's memory figures as a Report, in bytes. Fields that this kernel does not have are left out. The report is
 * possible in the sense of report_check(), also if the kernel's figures aren't quite. */

#include "base/procfs.h"
#include "proto/codec.h"

/* What changes seldom, and is read seldom. */
typedef struct Seldom {
    usec_t read_usec;   /* USEC_INFINITY: not yet */
    uint64_t low_bytes; /* sum of the zones' low watermarks; 0: not known */
    int reporting;      /* whether free page reporting is on; negative: not known */
    unsigned order;     /* from which on it reports blocks */
    bool strict;        /* overcommit is */
    bool has_arc;       /* there is ZFS */
    int swap_error;     /* negative: swap_memory isn't known */
    SwapMemory swap_memory;
    uint64_t swap_total_bytes; /* when swap_memory was read */
} Seldom;

typedef struct Collector {
    const char *root, *sys_root; /* borrowed: "/proc" and "/sys", or a fixture's folders */
    ProcFile meminfo, vmstat, buddyinfo, psi_memory, psi_io;
    uint64_t page_bytes;
    Seldom seldom;
    bool has_cold;
    uint64_t cold_bytes[3];
} Collector;

#define COLLECTOR_INIT                         \
    ((Collector){.meminfo = PROC_FILE_INIT,    \
                 .vmstat = PROC_FILE_INIT,     \
                 .buddyinfo = PROC_FILE_INIT,  \
                 .psi_memory = PROC_FILE_INIT, \
                 .psi_io = PROC_FILE_INIT,     \
                 .seldom.read_usec = USEC_INFINITY})

/* Opens the files of root and keeps them open. Only meminfo is required. Returns 0 or -errno. */
int collector_open(Collector *c, const char *root, const char *sys_root);
void collector_done(Collector *c);
/* Fills *ret with the current figures; at_usec is CLOCK_BOOTTIME. Returns 0, or -errno if meminfo can't be
 * read. */
int collector_read(Collector *c, Report *ret);
/* The same with the counters of /proc/vmstat and memory pressure only, for less CPU: what a reclaim is paced by. */
void collector_read_counters(Collector *c, Report *ret);
/* Page cache of files that wasn't used for 10 s, 60 s and 600 s: what the next reports say. NULL: not known. */
void collector_set_cold(Collector *c, const uint64_t *cold_bytes);

/* The guest's boot id: 36 characters and NUL. Returns 0, or -errno (-EBADMSG: not a UUID's length). */
int read_boot_id(const char *root, char ret[static 37]);
