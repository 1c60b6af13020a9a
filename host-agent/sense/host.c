/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/sense/host.h"

static int read_psi(const char *root, const Cgroup *scope, HostSample *s)
{
    int r;

    if (scope && !scope->v2)
        return 0;
    r = scope ? psi_read(scope->path, "memory.pressure", &s->psi_memory)
              : psi_read(root, "pressure/memory", &s->psi_memory);
    if (r < 0 && r != -ENOENT && r != -EOPNOTSUPP)
        return r;
    s->has_psi = r >= 0;
    return 0;
}

int host_sample_read(const char *root, const Cgroup *scope, usec_t now_usec, HostSample *ret)
{
    HostSample s = {
        .at_usec = now_usec,
        .cgroup = {CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT}};
    int r = meminfo_read(root, &s.meminfo);

    if (r >= 0 && scope)
        r = cgroup_read(scope, &s.cgroup);
    if (r >= 0)
        r = read_psi(root, scope, &s);
    if (r < 0)
        return r;
    if (!scope) {
        r = arcstats_read(root, &s.arc_bytes);
        s.arc_error = r == -ENOENT || r >= 0 ? 0 : r;
    }
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

void host_sample_fields(const HostSample *s, uint64_t reserve_bytes, HostFields *ret)
{
    const Meminfo *m = &s->meminfo;
    const CgroupMemory *c = &s->cgroup;

    *ret = (HostFields){0};
    host_set(ret, HOST_FIELD_TOTAL, (double) host_sample_total(s));
    if (m->has_available)
        host_set(ret, HOST_FIELD_AVAILABLE, (double) LESS_BY(available(s), reserve_bytes));
    host_set(ret, HOST_FIELD_FREE, (double) MIN(m->free, c->free_bytes));
    host_set(ret, HOST_FIELD_RESERVE, (double) reserve_bytes);
    host_set(ret, HOST_FIELD_SWAP_TOTAL, (double) MIN(m->swap_total, c->swap_limit_bytes));
    host_set(ret, HOST_FIELD_SWAP_FREE, (double) MIN(m->swap_free, c->swap_free_bytes));
    if (s->has_psi) {
        host_set(ret, HOST_FIELD_PSI_MEMORY_SOME, s->psi_memory.some.avg10);
        if (s->psi_memory.has_full)
            host_set(ret, HOST_FIELD_PSI_MEMORY_FULL, s->psi_memory.full.avg10);
    }
}
