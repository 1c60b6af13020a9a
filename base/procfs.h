/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Readers of the kernel's files about memory. Every reader takes the root of procfs ("/proc", or a fixture's
 * folder) and returns 0 or -errno: -ENOENT without the file (such as a kernel without PSI), -EOPNOTSUPP if
 * the feature is turned off, -EBADMSG if a value that every kernel has is missing, or a value is no number or
 * was cut off.
 *
 * To read the same file repeatedly without opening it each time, keep a ProcFile. */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"
#include "base/time-util.h"

/* A procfs file kept open between reads. buf grows to what the file needs, up to 2 MiB (then -EFBIG). */
typedef struct ProcFile {
    int fd;
    char *buf;
    size_t size;
} ProcFile;

#define PROC_FILE_INIT ((ProcFile){.fd = -EBADF})

/* Fills *f, which may be uninitialized, on failure too. */
int proc_file_open(ProcFile *f, const char *root, const char *name);
/* Reads the file from its start into f->buf, NUL-terminated. Returns its length or -errno. */
ssize_t proc_file_read(ProcFile *f);
/* Both, for a file that is read once. The caller calls proc_file_done(), on failure too. */
int proc_file_slurp(ProcFile *f, const char *root, const char *name);
void proc_file_done(ProcFile *f);

/* /proc/meminfo, all in bytes. */
typedef struct Meminfo {
    uint64_t total, free, available, buffers, cached, swap_cached, sreclaimable, shmem, anon_pages, dirty,
        mlocked;
    uint64_t swap_total, swap_free;
    uint64_t hugetlb; /* all pools together; 0 if the kernel doesn't report it */
    uint64_t active_file, inactive_file, active_anon, inactive_anon;
    bool has_available;
    bool has_lists; /* the four lists of pages */
} Meminfo;

int meminfo_parse(const char *text, Meminfo *ret);
int meminfo_read(const char *root, Meminfo *ret);
/* CommitLimit and Committed_AS of /proc/meminfo, in bytes: what strict overcommit allows, and what is taken of it. An
 * administrator can set the limit to more than fits a number: then -EBADMSG. */
int meminfo_parse_commit(const char *text, uint64_t *ret_limit, uint64_t *ret_committed);

/* /proc/vmstat: cumulative since boot; swap, refault, scan and steal in pages, the others in events. A
 * counter that this kernel doesn't have is VMSTAT_MISSING. Counters that kernels keep per zone are summed. */
#define VMSTAT_MISSING UINT64_MAX
typedef struct Vmstat {
    uint64_t pswpin, pswpout, pgmajfault, pgfault;
    uint64_t refault_anon, refault_file; /* kernels before 5.9 have one workingset_refault: counted as file */
    uint64_t scan_direct, scan_kswapd, steal_direct, steal_kswapd;
    uint64_t allocstall, oom_kill;
    uint64_t steal_anon, steal_file; /* by whomever; since 5.8 */
} Vmstat;

int vmstat_parse(const char *text, Vmstat *ret);
int vmstat_read(const char *root, Vmstat *ret);

/* Sum of the zones' low watermarks of /proc/zoneinfo, in pages. */
int zoneinfo_parse_low(const char *text, uint64_t *ret_pages);
int zoneinfo_read_low(const char *root, uint64_t *ret_pages);

/* One CPU's list of free pages of one zone in /proc/zoneinfo. high: with more pages the kernel takes some back, batch at a
 * time or more. high_min: what the kernel lets high fall to (since 6.7; else 0, and high stays as it is). */
typedef struct PageList {
    uint32_t cpu, pages, high, batch, high_min;
} PageList;

/* Parses the next list, and moves *text past it. Returns 1, 0 if there is none, or -EBADMSG. */
int zoneinfo_next_list(const char **text, PageList *ret);

/* Free memory in blocks of 2^order pages or larger, all zones of /proc/buddyinfo together, in pages. If the kernel has
 * no blocks so large, its largest count. */
int buddyinfo_parse(const char *text, unsigned order, uint64_t *ret_pages);

/* The swap areas of /proc/swaps that are in memory themselves (zram): their size, and what is free of it, in bytes. Swap
 * makes room only where a disk backs it. */
typedef struct SwapMemory {
    uint64_t total, free;
} SwapMemory;

int swaps_parse_memory(const char *text, SwapMemory *ret);
int swaps_read_memory(const char *root, SwapMemory *ret);

/* One line of /proc/pressure/<resource>. */
typedef struct PsiLine {
    double avg10;      /* ratio 0 … 1 */
    double avg60;      /* ratio 0 … 1 */
    usec_t total_usec; /* cumulative stall time */
} PsiLine;

typedef struct Psi {
    PsiLine some, full;
    bool has_full; /* cpu had no full line before 5.13 */
} Psi;

int psi_parse(const char *text, Psi *ret);
/* folder and name: "/proc" and "pressure/memory", or a cgroup's folder and "memory.pressure". */
int psi_read(const char *folder, const char *name, Psi *ret);

/* ZFS's cache (ARC), in bytes, from <root>/spl/kstat/zfs/arcstats. */
typedef struct Arcstats {
    uint64_t size, minimum; /* the minimum may be above the size */
} Arcstats;

int arcstats_parse(const char *text, Arcstats *ret);
int arcstats_read(const char *root, Arcstats *ret);
