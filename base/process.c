/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads what /proc says of one process. */

#include "base/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/proc-table.h"

/* Fields of stat, counted from 1 as in proc(5). The second is the process's name. */
enum {
    STAT_STATE = 3,
    STAT_MAJFLT = 12,
    STAT_UTIME = 14,
    STAT_STIME = 15,
    STAT_STARTTIME = 22,
    STAT_RSS = 24
};

ssize_t process_read(int proc_fd, pid_t pid, const char *file, char *buf, size_t size)
{
    _cleanup_close_ int fd = -EBADF;
    char path[64];
    ssize_t n;

    (void) snprintf(path, sizeof(path), "%d/%s", (int) pid, file);
    fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = read(fd, buf, size - 1);
    if (n < 0)
        return -errno;
    buf[n] = '\0';
    return n;
}

int process_uids_parse(const char *text, uid_t ret[static 3])
{
    const char *p = strstr(text, "\nUid:");
    uint64_t number;

    if (!p)
        return -EBADMSG;
    p += strlen("\nUid:");
    for (int i = 0; i < 3; i++) {
        p = proc_parse_number(proc_skip_blanks(p), &number);
        if (!p || number > UINT32_MAX)
            return -EBADMSG;
        ret[i] = (uid_t) number;
    }
    return 0;
}

unsigned process_namespaces_parse(const char *text)
{
    static const char key[] = "\nNSpid:";
    const char *p = strstr(text, key);
    uint64_t number;
    unsigned n = 0;

    if (!p)
        return 0;
    for (p = proc_skip_blanks(p + strlen(key)); *p != '\n'; p = proc_skip_blanks(p), n++) {
        p = proc_parse_number(p, &number);
        if (!p)
            return 0;
    }
    return n;
}

int process_status_parse(const char *text, ProcessStatus *ret)
{
    static const ProcKey keys[] = {
        PROC_KEY("VmRSS", ProcessStatus, rss_bytes, .required = true),
        PROC_KEY("VmSwap", ProcessStatus, swap_bytes),
        PROC_KEY("RssShmem", ProcessStatus, shmem_bytes),
    };
    ProcessStatus s = {};
    uint32_t found;
    int r;

    r = proc_parse_table(text, ':', "kB", 1024, keys, ELEMENTSOF(keys), &s, &found);
    if (r >= 0)
        r = process_uids_parse(text, s.uids);
    if (r < 0)
        return r;
    *ret = s;
    return 0;
}

/* "4711 (any name) S 1 4711 …": the name may hold parentheses and blanks, too. */
int process_stat_parse(const char *text, ProcessStat *ret)
{
    const char *p = strrchr(text, ')');
    uint64_t value[STAT_RSS + 1] = {};

    if (!p || p[1] != ' ' || !p[2] || p[3] != ' ')
        return -EBADMSG;
    p += strlen(") S");
    for (int i = STAT_STATE + 1; i <= STAT_RSS; i++) {
        bool negative;

        p = proc_skip_blanks(p);
        negative = *p == '-'; /* tpgid, priority and nice may be */
        p = proc_parse_number(p + negative, &value[i]);
        if (!p || (*p != ' ' && *p != '\n'))
            return -EBADMSG;
    }
    if (__builtin_add_overflow(value[STAT_UTIME], value[STAT_STIME], &ret->cpu_ticks))
        return -EBADMSG;
    ret->major_faults = value[STAT_MAJFLT];
    ret->start_ticks = value[STAT_STARTTIME];
    ret->rss_pages = value[STAT_RSS];
    return 0;
}
