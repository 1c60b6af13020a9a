/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/sense/host.h"

int host_sample_read(const char *root, usec_t now_usec, HostSample *ret)
{
    HostSample s = {.at_usec = now_usec};
    int r = meminfo_read(root, &s.meminfo);

    if (r < 0)
        return r;
    r = psi_read(root, "memory", &s.psi_memory);
    if (r < 0 && r != -ENOENT && r != -EOPNOTSUPP)
        return r;
    s.has_psi = r >= 0;
    *ret = s;
    return 0;
}

void host_sample_fields(const HostSample *s, uint64_t reserve_bytes, HostFields *ret)
{
    const Meminfo *m = &s->meminfo;
    uint64_t total = LESS_BY(m->total, m->hugetlb);

    *ret = (HostFields){0};
    host_set(ret, HOST_FIELD_TOTAL, (double) total);
    if (m->has_available)
        host_set(ret, HOST_FIELD_AVAILABLE, (double) MIN(LESS_BY(m->available, reserve_bytes), total));
    host_set(ret, HOST_FIELD_FREE, (double) m->free);
    host_set(ret, HOST_FIELD_RESERVE, (double) reserve_bytes);
    host_set(ret, HOST_FIELD_SWAP_TOTAL, (double) m->swap_total);
    host_set(ret, HOST_FIELD_SWAP_FREE, (double) m->swap_free);
    if (s->has_psi) {
        host_set(ret, HOST_FIELD_PSI_MEMORY_SOME, s->psi_memory.some.avg10);
        if (s->psi_memory.has_full)
            host_set(ret, HOST_FIELD_PSI_MEMORY_FULL, s->psi_memory.full.avg10);
    }
}
