/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Compacts and reclaims memory through the kernel's files. */

#include "guest-agent/lever-kernel.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/cgroupfs.h"
#include "base/fileio.h"
#include "base/log.h"
#include "base/procfs.h"
#include "base/units.h"
#include "guest-agent/mglru.h"
#include "guest-agent/page-lists.h"

/* Aging goes through the page tables of all processes, so it isn't done more often. */
#define AGING_INTERVAL_USEC (60 * USEC_PER_SEC)

/* A guest may have hundreds of memory cgroups. One reclaim request takes memory from so many lists. */
#define EVICTIONS_MAX 32U

static const usec_t age_usec[LEVER_AGE_MAX] = {10 * USEC_PER_SEC, 60 * USEC_PER_SEC, 600 * USEC_PER_SEC};

/* What the kernel allows at the moment. It is read again for each request: an administrator may add swap or turn the
 * multi-gen LRU on at any time. */
typedef struct KernelLevers {
    char reclaim_path[PATH_MAX]; /* memory.reclaim */
    ReclaimMethod method;
    bool can_compact, can_reclaim_anon, has_ages;
    const char *compact_missing, *reclaim_missing, *anon_missing; /* NULL: it isn't missing */
} KernelLevers;

int lever_kernel_init(LeverKernel *k, const char *proc_root, const char *sys_root, const char *run_folder)
{
    *k = (LeverKernel){.proc_root = proc_root,
                       .sys_root = sys_root,
                       .page_bytes = (uint64_t) sysconf(_SC_PAGESIZE),
                       .logged_method = -1};
    return swappiness_init(&k->swappiness, proc_root, run_folder);
}

void lever_kernel_done(LeverKernel *k)
{
    swappiness_done(&k->swappiness);
}

void lever_kernel_restore(LeverKernel *k)
{
    int r = swappiness_restore(&k->swappiness);

    if (r < 0)
        log_warning_errno(-r, "Cannot restore vm.swappiness from %s: %m", k->swappiness.note);
    else if (r > 0)
        log_notice("Restored vm.swappiness, which a helper that was killed had left at 0");
}

/* What follows are looks at what the kernel allows. */

static const char *reason(int error)
{
    switch (-error) {
    case ENOENT:
        return "not in this kernel";
    case EROFS:
        return "read-only (a container?)";
    case EACCES:
    case EPERM:
        return "denied";
    case EINVAL:
        return "refused (EINVAL)";
    default:
        return "failed";
    }
}

static char *lru_gen_path(const LeverKernel *k, char path[static PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/kernel/debug/lru_gen", k->sys_root);
    return path;
}

static int probe_file(const char *path, int flags)
{
    _cleanup_close_ int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);

    return fd < 0 ? -errno : 0;
}

static bool is_mglru_on(const LeverKernel *k)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    char path[PATH_MAX];

    /* A bit mask such as "0x0007"; the first bit is the LRU itself. */
    return proc_file_slurp(&f, k->sys_root, "kernel/mm/lru_gen/enabled") >= 0 &&
           strtoul(f.buf, NULL, 16) & 1 && probe_file(lru_gen_path(k, path), O_RDWR) >= 0;
}

/* Finds memory.reclaim of the root cgroup and fills ret_path. Returns NULL, or why it can't be used. */
static const char *find_reclaim(const LeverKernel *k, char ret_path[static PATH_MAX])
{
    CgroupMounts mounts;
    int r;

    r = cgroup_mounts_read(k->proc_root, &mounts);
    if (r < 0)
        return reason(r);
    if (!mounts.v2[0])
        return mounts.v1_memory[0] ? "needs cgroup v2" : "cgroup2 is not mounted";
    if (snprintf(ret_path, PATH_MAX, "%s/memory.reclaim", mounts.v2) >= PATH_MAX)
        return reason(-ENAMETOOLONG);
    /* "0" reclaims nothing. */
    r = fileio_write(ret_path, "0");
    if (r == -ENOENT)
        return mounts.v1_memory[0] ? "needs cgroup v2" : "needs Linux 5.19";
    return r < 0 ? reason(r) : NULL;
}

static bool has_swap(const LeverKernel *k)
{
    Meminfo m;

    return meminfo_read(k->proc_root, &m) < 0 || m.swap_total > 0;
}

static ReclaimMethod choose_method(const LeverKernel *k, const KernelLevers *l, bool swap)
{
    /* Kernels that don't know the argument refuse the write with EINVAL. */
    if (!l->reclaim_missing && fileio_write(l->reclaim_path, "0 swappiness=0") >= 0)
        return RECLAIM_METHOD_ARGUMENT;
    if (!l->reclaim_missing && !swap)
        return RECLAIM_METHOD_PLAIN;
    if (l->has_ages)
        return RECLAIM_METHOD_MGLRU;
    if (!l->reclaim_missing && swappiness_probe(&k->swappiness) >= 0)
        return RECLAIM_METHOD_SWAPPINESS;
    return RECLAIM_METHOD_NONE;
}

static void look(const LeverKernel *k, KernelLevers *ret)
{
    bool swap = has_swap(k);
    char path[PATH_MAX];
    int r;

    *ret = (KernelLevers){};
    snprintf(path, sizeof(path), "%s/sys/vm/compact_memory", k->proc_root);
    r = probe_file(path, O_WRONLY);
    ret->can_compact = r >= 0;
    ret->compact_missing = r < 0 ? reason(r) : NULL;

    ret->has_ages = is_mglru_on(k);
    ret->reclaim_missing = find_reclaim(k, ret->reclaim_path);
    ret->anon_missing = ret->reclaim_missing ? ret->reclaim_missing : swap ? NULL : "no swap";
    ret->can_reclaim_anon = !ret->anon_missing;
    ret->method = choose_method(k, ret, swap);
    if (ret->method != RECLAIM_METHOD_NONE)
        ret->reclaim_missing = NULL;
    else if (!ret->reclaim_missing)
        ret->reclaim_missing = "vm.swappiness is read-only";
}

static void add_missing(LeverAnswer *a, const char *lever, const char *why)
{
    size_t n = strlen(a->missing);
    int k;

    if (!why)
        return;
    k = snprintf(a->missing + n, sizeof(a->missing) - n, "%s%s: %s", n > 0 ? "; " : "", lever, why);
    if ((size_t) k >= sizeof(a->missing) - n)
        a->missing[n] = '\0'; /* rather none than half of it */
}

static void describe(const KernelLevers *l, LeverAnswer *a)
{
    a->levers = (l->can_compact ? (uint32_t) LEVER_CAN_COMPACT : 0) |
                (l->method != RECLAIM_METHOD_NONE ? (uint32_t) LEVER_CAN_RECLAIM_FILE : 0) |
                (l->can_reclaim_anon ? (uint32_t) LEVER_CAN_RECLAIM_ANON : 0) |
                (l->has_ages ? (uint32_t) LEVER_HAS_AGES : 0);
    add_missing(a, "reclaim", l->reclaim_missing);
    add_missing(a, "compact", l->compact_missing);
    add_missing(a, "anon", l->anon_missing);
}

static void log_method(LeverKernel *k, const KernelLevers *l)
{
    static const char *const methods[RECLAIM_METHOD_MAX] = {
        [RECLAIM_METHOD_NONE] = "not at all",
        [RECLAIM_METHOD_ARGUMENT] = "through memory.reclaim with swappiness=0",
        [RECLAIM_METHOD_PLAIN] = "through memory.reclaim, as the guest has no swap",
        [RECLAIM_METHOD_MGLRU] = "through the multi-gen LRU's eviction",
        [RECLAIM_METHOD_SWAPPINESS] = "through memory.reclaim, with vm.swappiness at 0 for each write",
    };

    if ((int) l->method == k->logged_method)
        return;
    k->logged_method = (int) l->method;
    log_info("Page cache can be reclaimed %s%s%s%s", methods[l->method], l->reclaim_missing ? " (" : "",
             l->reclaim_missing ? l->reclaim_missing : "", l->reclaim_missing ? ")" : "");
}

/* What follows carries out requests. */

static int write_reclaim(const char *path, uint64_t bytes, const char *argument)
{
    char text[64];
    int r;

    snprintf(text, sizeof(text), "%" PRIu64 "%s", bytes, argument);
    r = fileio_write(path, text);
    return r == -EAGAIN || r == -EINTR ? 0 : r;
}

/* While vm.swappiness is 0. */
static int reclaim_unswappy(LeverKernel *k, const char *path, uint64_t bytes)
{
    int r, q;

    r = swappiness_lower(&k->swappiness);
    if (r < 0)
        return r;
    r = write_reclaim(path, bytes, "");
    q = swappiness_restore(&k->swappiness);
    return r < 0 ? r : MIN(q, 0);
}

/* Pages reclaimed since boot, of page cache, and of anonymous memory as well if anon. */
static int count_reclaimed(const LeverKernel *k, bool anon, uint64_t *ret_pages)
{
    Vmstat v;
    int r;

    r = vmstat_read(k->proc_root, &v);
    if (r < 0)
        return r;
    if (v.steal_file == VMSTAT_MISSING)
        return -ENODATA;
    *ret_pages = v.steal_file + (anon && v.steal_anon != VMSTAT_MISSING ? v.steal_anon : 0);
    return 0;
}

typedef struct Victim {
    MglruList list;
    unsigned i; /* the generation */
} Victim;

static bool is_same(const Victim *a, const Victim *b)
{
    return a->list.memcg == b->list.memcg && a->list.node == b->list.node && a->i == b->i;
}

/* The oldest generation with page cache of all lists in text, those in tried aside. */
static bool find_oldest(const char *text, const Victim *tried, unsigned n_tried, Victim *ret)
{
    usec_t oldest = 0;
    uint64_t memcg = 0;
    bool found = false;
    Victim v;

    while (mglru_next(&text, &memcg, &v.list) > 0)
        for (v.i = 0; v.i < v.list.n; v.i++) {
            usec_t age = v.list.generation[v.i].age_usec;
            unsigned t = 0;

            if (!mglru_may_evict(&v.list, v.i) || (found && age <= oldest))
                continue;
            while (t < n_tried && !is_same(&tried[t], &v))
                t++;
            if (t < n_tried)
                continue;
            *ret = v;
            oldest = age;
            found = true;
        }
    return found;
}

static int reclaim_mglru(const LeverKernel *k, uint64_t bytes)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    char path[PATH_MAX], command[MGLRU_COMMAND_MAX];
    uint64_t wanted = bytes / k->page_bytes, began = 0, now;
    Victim tried[EVICTIONS_MAX];
    int r;

    r = proc_file_slurp(&f, k->sys_root, "kernel/debug/lru_gen");
    if (r >= 0)
        r = count_reclaimed(k, false, &began);
    now = began;
    for (unsigned n = 0; r >= 0 && n < EVICTIONS_MAX && now - began < wanted; n++) {
        if (!find_oldest(f.buf, tried, n, &tried[n]))
            break;
        r = fileio_write(lru_gen_path(k, path),
                         mglru_evict_command(command, &tried[n].list, tried[n].i, wanted - (now - began)));
        /* The generation may have gone since the file was read. */
        if (r == -EINVAL || r == -ERANGE || r == -EINTR)
            r = 0;
        if (r >= 0)
            r = count_reclaimed(k, false, &now);
    }
    return r;
}

static int reclaim_by(LeverKernel *k, const KernelLevers *l, uint64_t bytes)
{
    switch (l->method) {
    case RECLAIM_METHOD_ARGUMENT:
        return write_reclaim(l->reclaim_path, bytes, " swappiness=0");
    case RECLAIM_METHOD_PLAIN:
        return write_reclaim(l->reclaim_path, bytes, "");
    case RECLAIM_METHOD_MGLRU:
        return reclaim_mglru(k, bytes);
    case RECLAIM_METHOD_SWAPPINESS:
        return reclaim_unswappy(k, l->reclaim_path, bytes);
    case RECLAIM_METHOD_NONE:
    case RECLAIM_METHOD_MAX:
        break;
    }
    return -EOPNOTSUPP;
}

static int reclaim(LeverKernel *k, const KernelLevers *l, uint64_t bytes, bool anon, uint64_t *ret_bytes)
{
    uint64_t before, after;
    int r;

    if (bytes < k->page_bytes || bytes > LEVER_RECLAIM_MAX_BYTES)
        return -EINVAL;
    if (anon && !l->can_reclaim_anon)
        return -EOPNOTSUPP;
    r = count_reclaimed(k, anon, &before);
    if (r < 0)
        return r;
    r = anon ? write_reclaim(l->reclaim_path, bytes, "") : reclaim_by(k, l, bytes);
    if (r < 0)
        return r;
    r = count_reclaimed(k, anon, &after);
    if (r < 0)
        return r;
    *ret_bytes = LESS_BY(after, before) * k->page_bytes;
    return 0;
}

static int compact(const LeverKernel *k, const KernelLevers *l)
{
    char path[PATH_MAX];
    int r;

    if (!l->can_compact)
        return -EOPNOTSUPP;
    snprintf(path, sizeof(path), "%s/sys/vm/compact_memory", k->proc_root);
    r = fileio_write(path, "1");
    if (r < 0)
        return r;
    /* Without this a block stays in pieces that is free but for a page in such a list. */
    r = page_lists_flush(k->proc_root, k->page_bytes);
    if (r < 0)
        log_debug_errno(-r, "Cannot flush the per-CPU lists of free pages: %m");
    return 0;
}

static int age(const LeverKernel *k)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    char path[PATH_MAX], command[MGLRU_COMMAND_MAX];
    uint64_t memcg = 0;
    const char *at;
    MglruList l;
    int r;

    r = proc_file_slurp(&f, k->sys_root, "kernel/debug/lru_gen");
    if (r < 0)
        return r;
    for (at = f.buf; (r = mglru_next(&at, &memcg, &l)) > 0;)
        if (l.n > 0 && l.generation[l.n - 1].age_usec >= AGING_INTERVAL_USEC)
            /* A cgroup that has ended is no failure. */
            (void) fileio_write(lru_gen_path(k, path), mglru_age_command(command, &l));
    return r;
}

static int read_ages(const LeverKernel *k, const KernelLevers *l, uint64_t cold_bytes[static LEVER_AGE_MAX])
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    uint64_t memcg = 0;
    MglruList list;
    const char *at;
    int r;

    if (!l->has_ages)
        return -EOPNOTSUPP;
    r = age(k);
    if (r >= 0)
        r = proc_file_slurp(&f, k->sys_root, "kernel/debug/lru_gen");
    if (r < 0)
        return r;
    for (at = f.buf; (r = mglru_next(&at, &memcg, &list)) > 0;)
        for (int i = 0; i < LEVER_AGE_MAX; i++)
            cold_bytes[i] += mglru_cold_pages(&list, age_usec[i]) * k->page_bytes;
    return r;
}

static int carry_out(LeverKernel *k, const KernelLevers *l, const LeverRequest *q, LeverAnswer *a)
{
    switch ((LeverVerb) q->verb) {
    case LEVER_PROBE:
        return 0;
    case LEVER_COMPACT:
        return compact(k, l);
    case LEVER_RECLAIM_FILE:
        return reclaim(k, l, q->bytes, false, &a->got_bytes);
    case LEVER_RECLAIM_ANON:
        return reclaim(k, l, q->bytes, true, &a->got_bytes);
    case LEVER_AGES:
        return read_ages(k, l, a->cold_bytes);
    case LEVER_VERB_MAX:
        break;
    }
    return -EINVAL;
}

void lever_kernel_serve(LeverKernel *k, const LeverRequest *q, LeverAnswer *ret)
{
    usec_t began = now_usec(CLOCK_PROCESS_CPUTIME_ID);
    LeverAnswer a = {};
    KernelLevers l;

    look(k, &l);
    log_method(k, &l);
    describe(&l, &a);
    a.error = carry_out(k, &l, q, &a);
    a.cpu_usec = usec_since(began, now_usec(CLOCK_PROCESS_CPUTIME_ID));
    if (a.error < 0 && a.error != k->logged_error)
        log_warning_errno(-a.error, "Request %" PRIu32 " for %" PRIu64 " bytes failed: %m", q->verb,
                          q->bytes);
    k->logged_error = a.error;
    *ret = a;
}
