/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Texts of /proc and of cgroups, through every reader. */

#include <string.h>

#include "base/cgroupfs.h"
#include "base/procfs.h"
#include "tests/fuzz/fuzz.h"

static void check_line(const PsiLine *l)
{
    assert(l->avg10 >= 0 && l->avg10 <= 1);
    assert(l->avg60 >= 0 && l->avg60 <= 1);
}

static void check_cgroup(const char *text)
{
    static CgroupMounts mounts; /* too large for a stack that sanitizers make larger */
    uint64_t bytes;
    CgroupStat s;

    if (cgroup_number_parse(text, &bytes) >= 0)
        assert(bytes == CGROUP_NO_LIMIT || bytes < UINT64_C(1) << 62);
    if (cgroup_stat_parse(text, true, &s) >= 0)
        assert(strstr(text, "active_file "));
    if (cgroup_stat_parse(text, false, &s) >= 0)
        assert(strstr(text, "total_active_file ") && s.slab_reclaimable == 0);
    if (cgroup_oom_kills_parse(text, &bytes) >= 0)
        assert(strstr(text, "oom_kill "));
    memset(&mounts, 0x55, sizeof(mounts));
    cgroup_mounts_parse(text, &mounts);
    assert(strlen(mounts.v2) < PATH_MAX && strlen(mounts.v1_memory) < PATH_MAX);
    assert(!mounts.v2[0] || strstr(text, "cgroup2"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = malloc(size + 1);
    uint64_t low, limit, committed, free, all;
    SwapMemory swap;
    Arcstats arc;
    Meminfo m;
    PageList list;
    Vmstat v;
    Psi psi;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';

    if (meminfo_parse(text, &m) >= 0) {
        assert(m.has_available || m.available == 0);
        assert(m.total % 1024 == 0 && m.hugetlb % 1024 == 0);
        assert(!m.has_lists || strstr(text, "Inactive(file):"));
    }
    if (meminfo_parse_commit(text, &limit, &committed) >= 0)
        assert(limit % 1024 == 0 && committed % 1024 == 0);
    if (buddyinfo_parse(text, 0, &all) >= 0)
        assert(buddyinfo_parse(text, 9, &free) >= 0 && free <= all);
    if (swaps_parse_memory(text, &swap) >= 0)
        assert(swap.free <= swap.total && swap.total % 1024 == 0 &&
               (swap.total == 0 || strstr(text, "/dev/zram")));
    if (vmstat_parse(text, &v) >= 0)
        assert(strstr(text, "pgfault "));
    if (zoneinfo_parse_low(text, &low) >= 0)
        assert(strstr(text, "low "));
    for (const char *at = text, *last = at; zoneinfo_next_list(&at, &list) > 0; last = at)
        assert(at > last && strstr(last, "cpu: "));
    if (psi_parse(text, &psi) >= 0) {
        check_line(&psi.some);
        check_line(&psi.full);
    }
    if (arcstats_parse(text, &arc) >= 0)
        assert(strstr(text, "c_min "));
    check_cgroup(text);

    return 0;
}
