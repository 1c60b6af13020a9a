/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Readers of /proc/<pid>. A process may end at any time, and anyone can give a process of his own any name and
 * any arguments.
 *
 * Its arguments (cmdline) and environment are in its own memory, and who reads them waits for the lock of its address
 * space. The process can keep that for ever: a thread that maps a file of a FUSE file system holds it until the user who
 * serves the file system answers. status, stat, comm, cgroup and ksm_merging_pages take no such lock. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macro.h"

/* Reads the beginning of <pid>/<file> below an open /proc, NUL-terminated. Returns its length, or -errno. */
ssize_t process_read(int proc_fd, pid_t pid, const char *file, char *buf, size_t size);

/* /proc/<pid>/status. */
typedef struct ProcessStatus {
    uint64_t rss_bytes;   /* VmRSS */
    uint64_t swap_bytes;  /* VmSwap: anonymous memory that was swapped out; shared memory isn't part of it */
    uint64_t shmem_bytes; /* RssShmem, part of VmRSS; 0 before Linux 4.5 */
    uid_t uids[3];        /* real, effective, saved */
} ProcessStatus;

/* 0; -EBADMSG also for a process without memory, such as a zombie. */
int process_status_parse(const char *text, ProcessStatus *ret);
/* Only the users, which every process has. 0 or -EBADMSG. */
int process_uids_parse(const char *text, uid_t ret[static 3]);

/* Of how many PID namespaces the process is part, from that of /proc inwards: 1 unless it is in a container. 0: the text
 * doesn't say, or was cut off before it does. */
unsigned process_namespaces_parse(const char *text);

/* /proc/<pid>/stat, of all threads together. */
typedef struct ProcessStat {
    uint64_t major_faults; /* cumulative */
    uint64_t cpu_ticks;    /* in the program and in the kernel; cumulative */
    uint64_t start_ticks;  /* when it began, after the host's boot */
    uint64_t rss_pages;    /* VmRSS; 0: it has no memory (any more) */
} ProcessStat;

/* 0 or -EBADMSG. */
int process_stat_parse(const char *text, ProcessStat *ret);
