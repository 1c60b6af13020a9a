/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads limits, usage and mounts of memory cgroups. */

#include "base/cgroupfs.h"

#include <string.h>

#include "base/proc-table.h"
#include "base/procfs.h"

#define LIMIT_MAX (UINT64_C(1) << 62)

int cgroup_number_parse(const char *text, uint64_t *ret_bytes)
{
    uint64_t bytes;
    int r;

    if (strcmp(text, "max\n") == 0)
        bytes = CGROUP_NO_LIMIT;
    else {
        r = proc_parse_value(text, "", 1, &bytes);
        if (r < 0)
            return r;
        if (bytes >= LIMIT_MAX)
            bytes = CGROUP_NO_LIMIT;
    }
    *ret_bytes = bytes;
    return 0;
}

int cgroup_number_read(const char *folder, const char *file, uint64_t *ret_bytes)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r;

    r = proc_file_slurp(&f, folder, file);
    return r < 0 ? r : cgroup_number_parse(f.buf, ret_bytes);
}

int cgroup_stat_parse(const char *text, bool v2, CgroupStat *ret)
{
    static const ProcKey keys_v2[] = {
        PROC_KEY("file_dirty", CgroupStat, dirty),
        PROC_KEY("file_writeback", CgroupStat, writeback),
        PROC_KEY("inactive_file", CgroupStat, inactive_file, .required = true),
        PROC_KEY("active_file", CgroupStat, active_file, .required = true),
        PROC_KEY("slab_reclaimable", CgroupStat, slab_reclaimable),
        PROC_KEY("shmem", CgroupStat, shmem),
        PROC_KEY("pswpin", CgroupStat, swap_in_pages),
        PROC_KEY("workingset_refault_anon", CgroupStat, refault_anon_pages),
        PROC_KEY("pgscan_direct", CgroupStat, scan_direct_pages),
        PROC_KEY("pgsteal_direct", CgroupStat, steal_direct_pages),
    };
    /* Without "total_" they are of the cgroup alone. */
    static const ProcKey keys_v1[] = {
        PROC_KEY("total_dirty", CgroupStat, dirty),
        PROC_KEY("total_writeback", CgroupStat, writeback),
        PROC_KEY("total_inactive_file", CgroupStat, inactive_file, .required = true),
        PROC_KEY("total_active_file", CgroupStat, active_file, .required = true),
        PROC_KEY("total_shmem", CgroupStat, shmem),
        PROC_KEY("total_swap", CgroupStat, swap),
        PROC_KEY("total_workingset_refault_anon", CgroupStat, refault_anon_pages),
    };
    CgroupStat s = {.swap_in_pages = CGROUP_NO_COUNT,
                    .refault_anon_pages = CGROUP_NO_COUNT,
                    .scan_direct_pages = CGROUP_NO_COUNT,
                    .steal_direct_pages = CGROUP_NO_COUNT};
    uint32_t found;
    int r;

    if (v2)
        r = proc_parse_table(text, ' ', "", 1, keys_v2, ELEMENTSOF(keys_v2), &s, &found);
    else
        r = proc_parse_table(text, ' ', "", 1, keys_v1, ELEMENTSOF(keys_v1), &s, &found);
    if (r < 0)
        return r;
    if (s.swap_in_pages == CGROUP_NO_COUNT)
        s.swap_in_pages = s.refault_anon_pages;
    *ret = s;
    return 0;
}

int cgroup_stat_read(const char *folder, bool v2, CgroupStat *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r;

    r = proc_file_slurp(&f, folder, "memory.stat");
    return r < 0 ? r : cgroup_stat_parse(f.buf, v2, ret);
}

int cgroup_oom_kills_parse(const char *text, uint64_t *ret)
{
    typedef struct Events {
        uint64_t oom_kills;
    } Events;
    static const ProcKey keys[] = {PROC_KEY("oom_kill", Events, oom_kills, .required = true)};
    uint32_t found;
    Events e;
    int r;

    r = proc_parse_table(text, ' ', "", 1, keys, ELEMENTSOF(keys), &e, &found);
    if (r < 0)
        return r;
    *ret = e.oom_kills;
    return 0;
}

int cgroup_oom_kills_read(const char *folder, uint64_t *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r;

    r = proc_file_slurp(&f, folder, "memory.events");
    return r < 0 ? r : cgroup_oom_kills_parse(f.buf, ret);
}

/* A field of a line, up to a blank or the line's end. Returns what follows. */
static const char *next_field(const char *p, const char **ret, size_t *ret_length)
{
    p = proc_skip_blanks(p);
    *ret = p;
    *ret_length = strcspn(p, " \t\n");
    return p + *ret_length;
}

static bool field_is(const char *field, size_t length, const char *text)
{
    return strlen(text) == length && memcmp(field, text, length) == 0;
}

/* Whether a list with commas has it. */
static bool list_has(const char *list, size_t length, const char *text)
{
    for (const char *end = list + length; list < end;) {
        const char *comma = memchr(list, ',', (size_t) (end - list)) ?: end;

        if (field_is(list, (size_t) (comma - list), text))
            return true;
        list = comma + 1;
    }
    return false;
}

static bool is_octal(const char *p)
{
    for (int i = 0; i < 3; i++)
        if (p[i] < '0' || p[i] > '7')
            return false;
    return p[0] <= '3';
}

/* A path with its blanks, newlines and backslashes as \040; one that is too long isn't taken. */
static void take_path(const char *field, size_t length, char *ret)
{
    size_t n = 0;

    if (ret[0] || length >= PATH_MAX)
        return;
    for (size_t i = 0; i < length; i++)
        if (field[i] == '\\' && length - i > 3 && is_octal(field + i + 1)) {
            ret[n++] = (char) ((field[i + 1] - '0') << 6 | (field[i + 2] - '0') << 3 | (field[i + 3] - '0'));
            i += 3;
        } else
            ret[n++] = field[i];
    ret[n] = '\0';
}

/* "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0" */
static void take_mount(const char *line, CgroupMounts *m)
{
    const char *device, *path, *type, *options;
    size_t device_length, path_length, type_length, options_length;

    line = next_field(line, &device, &device_length);
    line = next_field(line, &path, &path_length);
    line = next_field(line, &type, &type_length);
    (void) next_field(line, &options, &options_length);
    if (field_is(type, type_length, "cgroup2"))
        take_path(path, path_length, m->v2);
    else if (field_is(type, type_length, "cgroup") && list_has(options, options_length, "memory"))
        take_path(path, path_length, m->v1_memory);
}

void cgroup_mounts_parse(const char *text, CgroupMounts *ret)
{
    ret->v2[0] = ret->v1_memory[0] = '\0';
    for (const char *p = text; *p; p = *p ? p + 1 : p) {
        take_mount(p, ret);
        p = strchrnul(p, '\n');
    }
}

/* A line at a time: users may mount, too (fusermount), a thousand times and with long names, and would make the text
 * longer than what is read of other files. */
int cgroup_mounts_read(const char *root, CgroupMounts *ret)
{
    _cleanup_free_ char *path = NULL, *line = NULL;
    _cleanup_fclose_ FILE *f = NULL;
    size_t size = 0;

    if (asprintf(&path, "%s/mounts", root) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    f = fopen(path, "re");
    if (!f)
        return -errno;
    ret->v2[0] = ret->v1_memory[0] = '\0';
    errno = 0;
    while (getline(&line, &size, f) >= 0)
        take_mount(line, ret);
    return feof(f) ? 0 : errno > 0 ? -errno : -EIO;
}
