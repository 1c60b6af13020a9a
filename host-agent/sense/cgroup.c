/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads a memory cgroup, v1 or v2, with the limits of its parents. */

#include "host-agent/sense/cgroup.h"

#include <string.h>

/* The file that every memory cgroup has, except v2's root, which has no limit. */
static const char *const usage_file[] = {"memory.usage_in_bytes", "memory.current"};

static int look(const char *folder, bool v2)
{
    _cleanup_free_ char *path = NULL;

    if (asprintf(&path, "%s/%s", folder, usage_file[v2]) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    return access(path, F_OK) < 0 ? -errno : 0;
}

/* Looks for a cgroup of v1 or v2, or of either, at <mount>/<name>. */
static int find_at(const char *mount, const char *name, bool v1, bool v2, Cgroup **ret)
{
    _cleanup_(cgroup_freep) Cgroup *c = NULL;
    _cleanup_free_ char *path = NULL;

    if (asprintf(&path, "%s/%s", mount, name) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->path = realpath(path, NULL);
    if (!c->path)
        return -errno;
    if (v2 && look(c->path, true) >= 0)
        c->v2 = true;
    else if (!v1 || look(c->path, false) < 0)
        return -ENODATA;
    *ret = TAKE_PTR(c);
    return 0;
}

int cgroup_find(const char *proc_root, const char *name, Cgroup **ret)
{
    _cleanup_free_ CgroupMounts *mounts = NULL;
    int r;

    if (name[0] == '/')
        return find_at("", name, true, true, ret);
    mounts = malloc(sizeof(*mounts));
    if (!mounts)
        return -ENOMEM;
    r = cgroup_mounts_read(proc_root, mounts);
    if (r < 0)
        return r;
    r = -ENOENT;
    if (mounts->v2[0])
        r = find_at(mounts->v2, name, false, true, ret);
    /* On a hybrid system v2 mostly has the same folders as v1, but without the memory controller. */
    if ((r == -ENOENT || r == -ENODATA) && mounts->v1_memory[0]) {
        int r1 = find_at(mounts->v1_memory, name, true, false, ret);

        r = r1 == -ENOENT ? r : r1;
    }
    return r;
}

Cgroup *cgroup_free(Cgroup *c)
{
    if (!c)
        return NULL;
    free(c->path);
    free(c);
    return NULL;
}

/* Applies the limit of one cgroup: what it leaves. */
static int take_memory(const char *folder, bool v2, uint64_t limit, CgroupMemory *m)
{
    uint64_t usage, reclaimable;
    CgroupStat stat;
    int r;

    m->limit_bytes = MIN(m->limit_bytes, limit);
    r = cgroup_number_read(folder, usage_file[v2], &usage);
    if (r >= 0)
        r = cgroup_stat_read(folder, v2, &stat);
    if (r < 0)
        return r;
    /* These sums never overflow on a sane kernel; an overflow must not look like memory. */
    if (__builtin_add_overflow(stat.active_file, stat.inactive_file, &reclaimable))
        return -EBADMSG;
    /* Pages that must be written first aren't available at once. */
    reclaimable = LESS_BY(LESS_BY(reclaimable, stat.dirty), stat.writeback);
    if (__builtin_add_overflow(reclaimable, stat.slab_reclaimable, &reclaimable))
        return -EBADMSG;
    m->free_bytes = MIN(m->free_bytes, LESS_BY(limit, usage));
    m->available_bytes = MIN(m->available_bytes, LESS_BY(limit, LESS_BY(usage, reclaimable)));
    return 0;
}

static void take_swap(CgroupMemory *m, uint64_t limit, uint64_t usage)
{
    m->swap_limit_bytes = MIN(m->swap_limit_bytes, limit);
    m->swap_free_bytes = MIN(m->swap_free_bytes, LESS_BY(limit, usage));
}

/* The file is missing if the kernel doesn't account swap. */
static int read_swap_number(const char *folder, const char *file, uint64_t *ret_bytes)
{
    int r = cgroup_number_read(folder, file, ret_bytes);

    if (r == -ENOENT || r == -EOPNOTSUPP) {
        *ret_bytes = CGROUP_NO_LIMIT;
        return 0;
    }
    return r;
}

static int read_v2(const char *folder, CgroupMemory *m)
{
    uint64_t max, high, swap_max, swap;
    int r;

    r = cgroup_number_read(folder, "memory.max", &max);
    /* Above memory.high the kernel slows down whoever allocates, until usage is below it again. */
    if (r >= 0)
        r = cgroup_number_read(folder, "memory.high", &high);
    if (r >= 0 && MIN(max, high) != CGROUP_NO_LIMIT)
        r = take_memory(folder, true, MIN(max, high), m);
    if (r >= 0)
        r = read_swap_number(folder, "memory.swap.max", &swap_max);
    if (r < 0 || swap_max == CGROUP_NO_LIMIT)
        return r;
    r = cgroup_number_read(folder, "memory.swap.current", &swap);
    if (r >= 0)
        take_swap(m, swap_max, swap);
    return r;
}

/* v1 limits and counts memory, and memory and swap together. */
static int read_v1(const char *folder, CgroupMemory *m)
{
    uint64_t limit, both_limit, usage, both;
    int r;

    r = cgroup_number_read(folder, "memory.limit_in_bytes", &limit);
    if (r >= 0 && limit != CGROUP_NO_LIMIT)
        r = take_memory(folder, false, limit, m);
    if (r >= 0)
        r = read_swap_number(folder, "memory.memsw.limit_in_bytes", &both_limit);
    if (r < 0 || both_limit == CGROUP_NO_LIMIT)
        return r;
    r = cgroup_number_read(folder, "memory.memsw.usage_in_bytes", &both);
    if (r >= 0)
        r = cgroup_number_read(folder, "memory.usage_in_bytes", &usage);
    if (r >= 0)
        take_swap(m, LESS_BY(both_limit, limit), LESS_BY(both, usage));
    return r;
}

int cgroup_read(const Cgroup *c, CgroupMemory *ret)
{
    CgroupMemory m = {CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT, CGROUP_NO_LIMIT};
    _cleanup_free_ char *folder = strdup(c->path);
    int r;

    if (!folder)
        return -ENOMEM;
    /* Go up to the first folder that isn't a cgroup with limits. */
    for (bool first = true; first || look(folder, c->v2) >= 0; first = false) {
        r = c->v2 ? read_v2(folder, &m) : read_v1(folder, &m);
        if (r < 0)
            return r;
        *strrchr(folder, '/') = '\0';
    }
    *ret = m;
    return 0;
}
