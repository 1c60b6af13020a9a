/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernel's memory figures as a Report, in bytes. Fields that this kernel does not have are left out. */

#include "base/procfs.h"
#include "proto/codec.h"

typedef struct Collector {
    const char *root; /* borrowed: "/proc", or a fixture's folder */
    ProcFile meminfo, vmstat, psi_memory, psi_io;
    uint64_t page_bytes;
    uint64_t low_bytes; /* sum of the zones' low watermarks; 0: not known */
    usec_t low_usec;    /* when low_bytes was read */
} Collector;

#define COLLECTOR_INIT                         \
    ((Collector){.meminfo = PROC_FILE_INIT,    \
                 .vmstat = PROC_FILE_INIT,     \
                 .psi_memory = PROC_FILE_INIT, \
                 .psi_io = PROC_FILE_INIT,     \
                 .low_usec = USEC_INFINITY})

/* Opens the files of root and keeps them open. Only meminfo is required. Returns 0 or -errno. */
int collector_open(Collector *c, const char *root);
void collector_done(Collector *c);
/* Fills *ret with the current figures; at_usec is CLOCK_BOOTTIME. Returns 0, or -errno if meminfo can't be
 * read. */
int collector_read(Collector *c, Report *ret);

/* The guest's boot id: 36 characters and NUL. Returns 0, or -errno (-EBADMSG: not a UUID's length). */
int read_boot_id(const char *root, char ret[static 37]);
