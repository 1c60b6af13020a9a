/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the QEMU process of each guest, and reads what it holds of the host's memory. */

#include "host-agent/sense/qemu.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/proc-table.h"
#include "base/process.h"
#include "base/procfs.h"

/* A QEMU with a hundred disks has some 50 KiB of arguments; the UUID is among the first. */
#define ARGUMENTS_MAX   (128U * 1024)
/* Long enough also for a host with thousands of CPUs and NUMA nodes, whose masks are in status. */
#define STATUS_MAX      (8U * 1024)
#define STAT_MAX        1024U
#define NUMBER_MAX      32U
/* status costs the kernel twice as much as stat, and is read only if resident memory changed by so much since, or after
 * so many looks: without a change nothing was swapped out or in. */
#define CHANGE_BYTES    (UINT64_C(1) << 20)
#define LOOKS_WITHOUT   10U
/* Users below this are system users (SYS_UID_MAX of login.defs). */
#define SYSTEM_USER_END 1000U

void qemu_reader_init(QemuReader *r, const char *proc_root)
{
    *r = (QemuReader){.proc_root = proc_root, .proc_fd = -EBADF};
}

void qemu_reader_done(QemuReader *r)
{
    closep(&r->proc_fd);
    free(r->mounts);
    *r = (QemuReader){.proc_fd = -EBADF};
}

void qemu_process_done(QemuProcess *p)
{
    free(p->cgroup);
    *p = (QemuProcess){};
}

static int open_proc(QemuReader *r)
{
    if (r->proc_fd < 0)
        r->proc_fd = open(r->proc_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return r->proc_fd < 0 ? -errno : 0;
}

/* ---- Which process it is ---- */

/* A UUID, alone or before the next value of an option. */
static bool is_uuid(const char *s)
{
    for (size_t i = 0; i < QEMU_UUID_MAX - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s[i] != '-' : !isxdigit((unsigned char) s[i]))
            return false;
    }
    return s[QEMU_UUID_MAX - 1] == '\0' || s[QEMU_UUID_MAX - 1] == ',';
}

/* "type=1,manufacturer=…,uuid=…": what follows "uuid=", or NULL. A comma in a value is written twice. */
static const char *smbios_uuid(const char *option)
{
    const char *p = strncmp(option, "type=1,", 7) == 0 ? strstr(option, ",uuid=") : NULL;

    return p && p[-1] != ',' ? p + strlen(",uuid=") : NULL;
}

int qemu_uuid(const char *arguments, size_t length, char ret[static QEMU_UUID_MAX])
{
    const char *end = arguments + length, *before = "", *found;

    for (const char *p = arguments; p < end; before = p, p += strlen(p) + 1) {
        if (!memchr(p, '\0', (size_t) (end - p)))
            break;                                /* cut off */
        if (before[0] == '-' && before[1] == '-') /* QEMU takes both */
            before++;
        found = strcmp(before, "-uuid") == 0 ? p : strcmp(before, "-smbios") == 0 ? smbios_uuid(p) : NULL;
        if (!found || !is_uuid(found))
            continue;
        for (size_t i = 0; i < QEMU_UUID_MAX - 1; i++)
            ret[i] = (char) tolower((unsigned char) found[i]);
        ret[QEMU_UUID_MAX - 1] = '\0';
        return 0;
    }
    return -ENOENT;
}

static int compare(const void *uuid, const void *wanted)
{
    return strcmp(uuid, ((const QemuWanted *) wanted)->uuid);
}

static bool is_known_process(pid_t pid, const QemuWanted *wanted, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (wanted[i].pid == pid)
            return true;
    return false;
}

/* Real, effective and saved user must all be the domain's: anyone can start a set-user-ID program, which runs as
 * root then. */
static bool user_counts(const uid_t users[static 3], uid_t user)
{
    if (users[1] != users[0] || users[2] != users[0])
        return false;
    if (user != DOMAIN_USER_UNKNOWN)
        return users[0] == user;
    return users[0] < SYSTEM_USER_END || users[0] == geteuid();
}

static bool user_counts_for_any(const uid_t users[static 3], const QemuWanted *wanted, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (wanted[i].pid == 0 && user_counts(users, wanted[i].user))
            return true;
    return false;
}

/* Returns whether the process is one that is wanted. */
static bool take_process(int proc_fd, pid_t pid, QemuWanted *wanted, size_t n, char *buf)
{
    char uuid[QEMU_UUID_MAX];
    uid_t users[3];
    ssize_t length;
    ProcessStat s;
    QemuWanted *w;

    if (is_known_process(pid, wanted, n))
        return false;
    if (process_read(proc_fd, pid, "status", buf, STATUS_MAX) < 0 || process_uids_parse(buf, users) < 0 ||
        !user_counts_for_any(users, wanted, n))
        return false;
    length = process_read(proc_fd, pid, "cmdline", buf, ARGUMENTS_MAX);
    if (length <= 0 || qemu_uuid(buf, (size_t) length + 1, uuid) < 0)
        return false;
    w = bsearch(uuid, wanted, n, sizeof(*wanted), compare);
    if (!w || w->pid > 0 || !user_counts(users, w->user))
        return false;
    if (process_read(proc_fd, pid, "stat", buf, STAT_MAX) < 0 || process_stat_parse(buf, &s) < 0)
        return false;
    w->pid = pid;
    w->start_ticks = s.start_ticks;
    return true;
}

static void closedirp(DIR **d)
{
    if (*d)
        closedir(*d);
}

int qemu_find(const char *proc_root, QemuWanted *wanted, size_t n, _Atomic pid_t *at)
{
    _cleanup_(closedirp) DIR *d = opendir(proc_root);
    _cleanup_free_ char *buf = malloc(ARGUMENTS_MAX);
    unsigned looked = 0;
    size_t missing = 0;
    int found = 0;
    struct dirent *entry;

    if (!d)
        return -errno;
    if (!buf)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        missing += wanted[i].pid == 0;
    while ((size_t) found < missing && looked < QEMU_PROCESSES_MAX && (errno = 0, entry = readdir(d))) {
        if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name) || strlen(entry->d_name) > 9)
            continue;
        looked++;
        *at = (pid_t) strtol(entry->d_name, NULL, 10);
        found += take_process(dirfd(d), *at, wanted, n, buf);
    }
    return (size_t) found < missing && looked < QEMU_PROCESSES_MAX && errno != 0 ? -errno : found;
}

/* ---- Its memory cgroup ---- */

static bool begins(const char *p, size_t length, const char *text)
{
    return length >= strlen(text) && memcmp(p, text, strlen(text)) == 0;
}

static bool ends(const char *p, size_t length, const char *text)
{
    size_t n = strlen(text);

    return length >= n && memcmp(p + length - n, text, n) == 0;
}

size_t qemu_cgroup_length(const char *path, size_t length)
{
    for (size_t at = 0, next; at < length; at = next + 1) {
        const char *slash = memchr(path + at, '/', length - at), *part = path + at;
        size_t n = slash ? (size_t) (slash - part) : length - at;

        next = at + n;
        /* By systemd-machined, and without it. */
        if ((begins(part, n, "machine-qemu") && ends(part, n, ".scope")) || ends(part, n, ".libvirt-qemu"))
            return next;
    }
    return 0;
}

/* The line of /proc/<pid>/cgroup about a hierarchy: "0::/path", or "9:memory:/path" where v1 is mounted. Returns
 * the path and its length; NULL: there is none. */
static const char *cgroup_line(const char *text, bool v2, size_t *ret_length)
{
    const char *mark = v2 ? "0::" : ":memory:";

    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t length = strcspn(line, "\n"), number = strspn(line, "0123456789");
        const char *at = v2 ? line : line + number;

        if (!begins(at, length - (size_t) (at - line), mark))
            continue;
        at += strlen(mark);
        *ret_length = length - (size_t) (at - line);
        return at;
    }
    return NULL;
}

static char *find_cgroup(QemuReader *r, const char *text, bool v2)
{
    const char *mount = v2 ? r->mounts->v2 : r->mounts->v1_memory, *path;
    size_t length;
    char *folder;

    if (!mount[0])
        return NULL;
    path = cgroup_line(text, v2, &length);
    length = path ? qemu_cgroup_length(path, length) : 0;
    if (length == 0 || asprintf(&folder, "%s%.*s", mount, (int) length, path) < 0)
        return NULL;
    return folder;
}

/* Finds the memory cgroup that the process has to itself, "" for none. */
static int look_for_cgroup(QemuReader *r, QemuProcess *p)
{
    char text[STATUS_MAX];

    if (!r->mounts) {
        r->mounts = malloc(sizeof(*r->mounts));
        if (!r->mounts)
            return -ENOMEM;
        if (cgroup_mounts_read(r->proc_root, r->mounts) < 0)
            r->mounts->v2[0] = r->mounts->v1_memory[0] = '\0';
    }
    if (process_read(r->proc_fd, p->pid, "cgroup", text, sizeof(text)) >= 0) {
        p->cgroup = find_cgroup(r, text, true);
        p->cgroup_v2 = p->cgroup != NULL;
        if (!p->cgroup)
            p->cgroup = find_cgroup(r, text, false);
    }
    if (!p->cgroup)
        p->cgroup = strdup("");
    return p->cgroup ? 0 : -ENOMEM;
}

/* Of a guest whose memory is shared (memfd, a file in /dev/shm) VmRSS holds only what QEMU itself touched, and
 * VmSwap nothing. Its cgroup knows all of it. */
static void look_at_cgroup(QemuReader *r, QemuProcess *p, ProcessLook *l)
{
    uint64_t swap = 0;
    CgroupStat s;

    if (!p->cgroup && look_for_cgroup(r, p) < 0)
        return;
    if (!p->cgroup[0] || cgroup_stat_read(p->cgroup, p->cgroup_v2, &s) < 0)
        return;
    if (p->cgroup_v2 && cgroup_number_read(p->cgroup, "memory.swap.current", &swap) < 0)
        swap = 0;
    if (!p->cgroup_v2)
        swap = s.swap;
    if (s.shmem > l->shmem_bytes) {
        l->rss_bytes += s.shmem - l->shmem_bytes;
        l->shmem_bytes = s.shmem;
    }
    l->swap_bytes = MAX(l->swap_bytes, swap);
}

/* ---- What it holds ---- */

/* Only a process's own user and root may read this. */
static uint64_t merged_bytes(const QemuReader *r, const QemuProcess *p)
{
    char text[NUMBER_MAX];
    uint64_t pages, bytes;

    if (process_read(r->proc_fd, p->pid, "ksm_merging_pages", text, sizeof(text)) < 0 ||
        proc_parse_value(text, "", 1, &pages) < 0 ||
        __builtin_mul_overflow(pages, (uint64_t) sysconf(_SC_PAGESIZE), &bytes))
        return 0;
    return bytes;
}

/* The process may be gone. */
static int read_of(const QemuReader *r, const QemuProcess *p, const char *file, char *buf, size_t size)
{
    ssize_t n = process_read(r->proc_fd, p->pid, file, buf, size);

    if (n == -ENOENT || n == 0)
        return -ESRCH;
    return n < 0 ? (int) n : 0;
}

static bool is_known(const QemuProcess *p, uint64_t rss_bytes)
{
    uint64_t known = p->known.rss_bytes;

    if (known == 0 || p->since >= LOOKS_WITHOUT || p->known.shmem_bytes > known / 2)
        return false;
    return (rss_bytes > known ? rss_bytes - known : known - rss_bytes) < CHANGE_BYTES;
}

/* Reads what stat doesn't say. */
static int look_closely(QemuReader *r, QemuProcess *p, char *text)
{
    ProcessStatus status;
    int e = read_of(r, p, "status", text, STATUS_MAX);

    if (e < 0)
        return e;
    /* A process that ends has no memory any more. */
    if (process_status_parse(text, &status) < 0)
        return -ESRCH;
    p->known = (ProcessLook){.rss_bytes = status.rss_bytes,
                             .swap_bytes = status.swap_bytes,
                             .shmem_bytes = MIN(status.shmem_bytes, status.rss_bytes)};
    p->since = 0;
    if (p->known.shmem_bytes > p->known.rss_bytes / 2)
        look_at_cgroup(r, p, &p->known);
    return 0;
}

int qemu_look(QemuReader *r, QemuProcess *p, bool merged, ProcessLook *ret)
{
    char text[STATUS_MAX];
    ProcessStat stat;
    uint64_t rss;
    int e;

    e = open_proc(r);
    if (e >= 0)
        e = read_of(r, p, "stat", text, sizeof(text));
    if (e >= 0)
        e = process_stat_parse(text, &stat);
    if (e >= 0 && (stat.start_ticks != p->start_ticks || stat.rss_pages == 0))
        e = -ESRCH;
    if (e < 0)
        return e;
    rss = stat.rss_pages * (uint64_t) sysconf(_SC_PAGESIZE);
    p->since++;
    if (!is_known(p, rss)) {
        e = look_closely(r, p, text);
        if (e < 0)
            return e;
        rss = p->known.rss_bytes;
    }
    *ret = p->known;
    ret->rss_bytes = rss;
    ret->cpu_usec = stat.cpu_ticks * USEC_PER_SEC / (usec_t) sysconf(_SC_CLK_TCK);
    ret->major_faults = stat.major_faults;
    if (merged)
        ret->merged_bytes = MIN(merged_bytes(r, p), rss);
    return 0;
}
