/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the memory and the memory pressure of the host, or of one memory cgroup. */

#include "host-agent/sense/host.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* resource: "memory" or "io". */
static int read_psi(const char *root, const Cgroup *scope, const char *resource, Psi *psi, bool *ret_has)
{
    char name[32];
    int r;

    if (scope && !scope->v2)
        return 0;
    snprintf(name, sizeof(name), scope ? "%s.pressure" : "pressure/%s", resource);
    r = psi_read(scope ? scope->path : root, name, psi);
    if (r < 0 && r != -ENOENT && r != -EOPNOTSUPP)
        return r;
    *ret_has = r >= 0;
    return 0;
}

_Static_assert(CGROUP_NO_COUNT == VMSTAT_MISSING, "a count that is missing in one is in the other");

/* What the scope's kernel counts since the scope began. A count that can't be read is missing. */
static void read_scope_counts(const Cgroup *scope, HostSample *s)
{
    CgroupStat stat;

    memset(&s->vmstat, 0xff, sizeof(s->vmstat)); /* VMSTAT_MISSING */
    s->has_vmstat = true;
    s->swap_in_pages = VMSTAT_MISSING;
    if (cgroup_stat_read(scope->path, scope->v2, &stat) >= 0) {
        s->swap_in_pages = stat.swap_in_pages;
        s->vmstat.scan_direct = stat.scan_direct_pages;
        s->vmstat.steal_direct = stat.steal_direct_pages;
    }
    if (scope->v2)
        (void) cgroup_oom_kills_read(scope->path, &s->vmstat.oom_kill);
}

/* A kernel without swap has no such file. */
static int read_swap_memory(const char *root, SwapMemory *ret)
{
    int r = swaps_read_memory(root, ret);

    return r == -ENOENT ? 0 : r;
}

/* Reads what exists only for the whole host. */
static int read_whole(const char *root, HostSample *s)
{
    Arcstats arc = {};
    int r = vmstat_read(root, &s->vmstat);

    if (r < 0 && r != -ENOENT)
        return r;
    s->has_vmstat = r >= 0;
    s->swap_in_pages = s->has_vmstat ? s->vmstat.pswpin : VMSTAT_MISSING;
    r = arcstats_read(root, &arc);
    s->arc_bytes = LESS_BY(arc.size, arc.minimum);
    s->arc_error = r == -ENOENT || r >= 0 ? 0 : r;
    return 0;
}

int host_sample_read(const char *root, const Cgroup *scope, usec_t now_usec, HostSample *ret)
{
    HostSample s = {
        .at_usec = now_usec,
        .cgroup = {CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT},
        .scoped = scope};
    int r = meminfo_read(root, &s.meminfo);

    if (r >= 0)
        r = read_swap_memory(root, &s.swap_memory);
    if (r >= 0)
        r = scope ? cgroup_read(scope, &s.cgroup) : read_whole(root, &s);
    if (scope && r >= 0)
        read_scope_counts(scope, &s);
    if (r >= 0)
        r = read_psi(root, scope, "memory", &s.psi_memory, &s.has_psi);
    if (r >= 0)
        r = read_psi(root, scope, "io", &s.psi_io, &s.has_psi_io);
    if (r < 0)
        return r;
    *ret = s;
    return 0;
}

uint64_t host_sample_total(const HostSample *s)
{
    return MIN(LESS_BY(s->meminfo.total, s->meminfo.hugetlb), s->cgroup.limit_bytes);
}

static uint64_t available(const HostSample *s)
{
    uint64_t bytes;

    if (__builtin_add_overflow(s->meminfo.available, s->arc_bytes, &bytes))
        bytes = s->meminfo.available;
    return MIN(MIN(bytes, s->cgroup.available_bytes), host_sample_total(s));
}

/* What disks back of the swap. */
static uint64_t swap_total(const HostSample *s)
{
    return LESS_BY(s->meminfo.swap_total, s->swap_memory.total);
}

/* The kernel fills the areas by their priorities: what is free may be in memory, or on disks. */
static uint64_t swap_free(const HostSample *s)
{
    return MIN(LESS_BY(s->meminfo.swap_free, s->swap_memory.free), swap_total(s));
}

static void set_psi(HostFields *h, HostField some, HostField full, HostField some_total, HostField full_total,
                    const Psi *p)
{
    host_fields_set(h, some, p->some.avg10);
    host_fields_set(h, some_total, (double) p->some.total_usec);
    if (!p->has_full)
        return;
    host_fields_set(h, full, p->full.avg10);
    host_fields_set(h, full_total, (double) p->full.total_usec);
}

static void set_meminfo(HostFields *h, const HostSample *s)
{
    const Meminfo *m = &s->meminfo;
    uint64_t cache = MIN(LESS_BY(m->buffers + m->cached + m->sreclaimable, m->shmem), m->total);

    host_fields_set(h, HOST_FIELD_CACHE, (double) cache);
    host_fields_set(h, HOST_FIELD_BUFFERS, (double) m->buffers);
    host_fields_set(h, HOST_FIELD_CACHED, (double) m->cached);
    host_fields_set(h, HOST_FIELD_SRECLAIMABLE, (double) m->sreclaimable);
    host_fields_set(h, HOST_FIELD_ANON, (double) m->anon_pages);
    host_fields_set(h, HOST_FIELD_SHMEM, (double) m->shmem);
    host_fields_set(h, HOST_FIELD_DIRTY, (double) m->dirty);
    host_fields_set(h, HOST_FIELD_MLOCKED, (double) m->mlocked);
    host_fields_set(h, HOST_FIELD_HUGETLB, (double) m->hugetlb);
    host_fields_set(h, HOST_FIELD_SWAP_USED, (double) LESS_BY(swap_total(s), swap_free(s)));
    host_fields_set(h, HOST_FIELD_SWAP_MEMORY, (double) s->swap_memory.total);
}

/* Some counters are pages, others events. */
static void set_vmstat(HostFields *h, const Vmstat *v)
{
    const double page = (double) sysconf(_SC_PAGESIZE);
    const struct {
        HostField field;
        uint64_t count;
        double unit;
    } counters[] = {
        {HOST_FIELD_SWAP_IN, v->pswpin, page},
        {HOST_FIELD_SWAP_OUT, v->pswpout, page},
        {HOST_FIELD_FAULTS, v->pgfault, 1},
        {HOST_FIELD_MAJOR_FAULTS, v->pgmajfault, 1},
        {HOST_FIELD_REFAULT_ANON, v->refault_anon, page},
        {HOST_FIELD_REFAULT_FILE, v->refault_file, page},
        {HOST_FIELD_SCAN_DIRECT, v->scan_direct, page},
        {HOST_FIELD_SCAN_KSWAPD, v->scan_kswapd, page},
        {HOST_FIELD_STEAL_DIRECT, v->steal_direct, page},
        {HOST_FIELD_STEAL_KSWAPD, v->steal_kswapd, page},
        {HOST_FIELD_ALLOC_STALLS, v->allocstall, 1},
        {HOST_FIELD_OOM_KILLS, v->oom_kill, 1},
    };

    for (size_t i = 0; i < ELEMENTSOF(counters); i++)
        if (counters[i].count != VMSTAT_MISSING)
            host_fields_set(h, counters[i].field, (double) counters[i].count * counters[i].unit);
}

void host_sample_fields(const HostSample *s, uint64_t reserve_bytes, HostFields *ret)
{
    const Meminfo *m = &s->meminfo;
    const CgroupMemory *c = &s->cgroup;

    *ret = (HostFields){0};
    host_fields_set(ret, HOST_FIELD_TOTAL, (double) host_sample_total(s));
    if (m->has_available)
        host_fields_set(ret, HOST_FIELD_AVAILABLE, (double) LESS_BY(available(s), reserve_bytes));
    host_fields_set(ret, HOST_FIELD_FREE, (double) MIN(m->free, c->free_bytes));
    host_fields_set(ret, HOST_FIELD_RESERVE, (double) reserve_bytes);
    host_fields_set(ret, HOST_FIELD_SWAP_TOTAL, (double) MIN(swap_total(s), c->swap_limit_bytes));
    host_fields_set(ret, HOST_FIELD_SWAP_FREE, (double) MIN(swap_free(s), c->swap_free_bytes));
    if (s->has_vmstat)
        set_vmstat(ret, &s->vmstat);
    if (!s->scoped) {
        set_meminfo(ret, s);
        if (s->arc_error >= 0)
            host_fields_set(ret, HOST_FIELD_ARC, (double) s->arc_bytes);
    }
    if (s->has_psi)
        set_psi(ret, HOST_FIELD_PSI_MEMORY_SOME, HOST_FIELD_PSI_MEMORY_FULL, HOST_FIELD_PSI_MEMORY_SOME_TOTAL,
                HOST_FIELD_PSI_MEMORY_FULL_TOTAL, &s->psi_memory);
    if (s->has_psi_io)
        set_psi(ret, HOST_FIELD_PSI_IO_SOME, HOST_FIELD_PSI_IO_FULL, HOST_FIELD_PSI_IO_SOME_TOTAL,
                HOST_FIELD_PSI_IO_FULL_TOTAL, &s->psi_io);
}
