/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Flushes the kernel's per-CPU lists of free pages (free_unref_page_commit() in mm/page_alloc.c). */

#include "guest-agent/page-lists.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/macro.h"
#include "base/procfs.h"
#include "base/units.h"

/* Fewer pages than this in a list aren't worth it. */
#define LIST_MIN_PAGES 32U

/* What the kernel calls much is a batch (6.7), or one and half of high_min (6.16), but it counts no further than 32. */
#define BATCHES_COUNTED 32U

/* So many blocks are freed one after the other. Since Linux 6.7 the first one only makes the kernel attentive, and each of
 * the others takes up to 32 batches. */
#define BLOCKS 8U

/* A long list is flushed again as long as that makes it noticeably shorter. */
#define ROUNDS 4U

/* The kernel keeps the slots of a pipe of this size in one block of four pages. */
#define PIPE_BYTES (1024 * 1024)

#define FLUSH_MAX_BYTES (64 * MIB)
#define FREE_PART       4U

/* Takes so much memory in single pages, and frees it at once. */
static int churn(uint64_t bytes, uint64_t page_bytes)
{
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return -errno;
    /* A kernel without huge pages refuses this, and needs it not. */
    (void) madvise(p, bytes, MADV_NOHUGEPAGE);
    for (uint64_t at = 0; at < bytes; at += page_bytes)
        *(volatile char *) (p + at) = 1;
    return munmap(p, bytes) < 0 ? -errno : 0;
}

/* The blocks are taken before, as the kernel forgets at each page that is taken how much was freed. */
static int flush(uint64_t bytes, uint64_t page_bytes)
{
    int fds[BLOCKS][2], r = 0;
    unsigned n = 0;

    while (n < BLOCKS && r >= 0) {
        r = pipe2(fds[n], O_CLOEXEC) < 0 ? -errno : 0;
        if (r >= 0 && fcntl(fds[n++][0], F_SETPIPE_SZ, PIPE_BYTES) < 0)
            r = -errno;
    }
    if (r >= 0)
        r = churn(bytes, page_bytes);
    while (n > 0) {
        close(fds[--n][0]);
        close(fds[n][1]);
    }
    return r;
}

static void flush_on(unsigned cpu, uint64_t bytes, uint64_t page_bytes)
{
    cpu_set_t only;
    int r;

    CPU_ZERO(&only);
    CPU_SET(cpu, &only);
    r = sched_setaffinity(0, sizeof(only), &only) < 0 ? -errno : flush(bytes, page_bytes);
    if (r < 0)
        log_debug_errno(-r, "Cannot flush the list of free pages of CPU %u: %m", cpu);
}

/* So many pages must be freed at once: before 6.7, so many that the list overflows. */
static uint64_t pages_to_free(const PageList *l)
{
    uint64_t batch = l->batch;

    return l->high_min == 0 ? l->high + 2 * batch
                            : MIN(2 * batch + l->high_min / 2, (BATCHES_COUNTED + 1) * batch);
}

/* What has to be freed on each CPU, and what is in all the lists. */
typedef struct Flush {
    uint64_t cpu[CPU_SETSIZE]; /* pages; 0: nothing */
    uint64_t pages;
} Flush;

static int plan(const char *proc_root, Flush *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    const char *at;
    PageList l;
    int r;

    *ret = (Flush){};
    r = proc_file_slurp(&f, proc_root, "zoneinfo");
    if (r < 0)
        return r;
    for (at = f.buf; (r = zoneinfo_next_list(&at, &l)) > 0; ret->pages += l.pages)
        if (l.cpu < CPU_SETSIZE && l.pages >= LIST_MIN_PAGES)
            ret->cpu[l.cpu] += pages_to_free(&l);
    return r;
}

int page_lists_flush(const char *proc_root, uint64_t page_bytes)
{
    uint64_t before = UINT64_MAX, most;
    cpu_set_t affinity;
    Meminfo m;
    Flush f;
    int r;

    r = meminfo_read(proc_root, &m);
    if (r < 0)
        return r;
    if (sched_getaffinity(0, sizeof(affinity), &affinity) < 0)
        return -errno;

    most = MIN(FLUSH_MAX_BYTES, m.free / FREE_PART) / page_bytes;
    for (unsigned round = 0; round < ROUNDS; round++) {
        r = plan(proc_root, &f);
        if (r < 0 || f.pages > before / 4 * 3)
            break;
        before = f.pages;
        for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (f.cpu[cpu] > 0 && f.cpu[cpu] <= most)
                flush_on(cpu, f.cpu[cpu] * page_bytes, page_bytes);
    }
    if (sched_setaffinity(0, sizeof(affinity), &affinity) < 0)
        return -errno;
    return r;
}
