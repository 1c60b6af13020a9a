/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds other memory managers by their processes: momd and ksmtuned. */

#include "host-agent/sense/neighbour-scan.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "base/process.h"

/* Users below this are system users (SYS_UID_MAX of login.defs). */
#define SYSTEM_UID_END   1000U
#define COMM_MAX         16U
#define COMMAND_LINE_MAX 1024U /* the part that is searched for a script's name */
/* A process may be in 65,536 groups, of ten digits each, and they come before its namespaces. */
#define STATUS_MAX       (1024U * 1024)

/* The process names of neighbours. */
static const char *const processes[NEIGHBOUR_MAX] = {
    [NEIGHBOUR_MOMD] = "momd",
    [NEIGHBOUR_KSMTUNED] = "ksmtuned",
};

const char *neighbour_to_string(Neighbour n)
{
    static const char *const names[NEIGHBOUR_MAX] = {
        [NEIGHBOUR_MOMD] = "momd",
        [NEIGHBOUR_KSMTUNED] = "ksmtuned",
        [NEIGHBOUR_BALLASTD] = "another ballastd",
    };

    return n >= 0 && n < NEIGHBOUR_MAX ? names[n] : "unknown";
}

static bool user_counts(uid_t uid, uid_t own_uid)
{
    return uid < SYSTEM_UID_END || uid == own_uid;
}

static Neighbour neighbour_called(const char *name)
{
    for (Neighbour n = 0; n < NEIGHBOUR_MAX; n++)
        if (processes[n] && strcmp(processes[n], name) == 0)
            return n;
    return NEIGHBOUR_INVALID;
}

static bool is_interpreter(const char *comm)
{
    static const char *const shells[] = {"sh", "bash", "dash", "ksh"};

    for (size_t i = 0; i < ELEMENTSOF(shells); i++)
        if (strcmp(shells[i], comm) == 0)
            return true;
    return strncmp(comm, "python", 6) == 0;
}

/* "python3 -u /usr/sbin/momd -c …": the first argument that is no option is the script. A script that was
 * started by its own name has that name as a process. */
static Neighbour neighbour_by_script(int proc_fd, pid_t pid)
{
    char line[COMMAND_LINE_MAX];
    ssize_t n = process_read(proc_fd, pid, "cmdline", line, sizeof(line));
    const char *end, *slash;

    if (n <= 0)
        return NEIGHBOUR_INVALID;
    end = line + n;
    for (const char *p = line + strlen(line) + 1; p < end; p += strlen(p) + 1)
        if (*p != '-') {
            slash = strrchr(p, '/');
            return neighbour_called(slash ? slash + 1 : p);
        }
    return NEIGHBOUR_INVALID;
}

/* Real, effective and saved user must all count: anyone can start a set-user-ID program under any name,
 * through a link, and then it runs as root. A process of a container doesn't count: it manages nothing on this host,
 * and the container's root may be anyone.
 *
 * A script counts only if it is root's or our own, because its arguments must be read, and a stranger's may never come
 * (base/process.h). A system user may be a stranger, too: a guest that has broken out of a QEMU that such a user runs. */
static bool process_counts(int proc_fd, pid_t pid, uid_t own_uid, bool script)
{
    _cleanup_free_ char *status = malloc(STATUS_MAX);
    uid_t uids[3];

    if (!status || process_read(proc_fd, pid, "status", status, STATUS_MAX) < 0 ||
        process_uids_parse(status, uids) < 0 || process_namespaces_parse(status) != 1)
        return false;
    for (size_t i = 0; i < ELEMENTSOF(uids); i++)
        if (script ? uids[i] != 0 && uids[i] != own_uid : !user_counts(uids[i], own_uid))
            return false;
    return true;
}

static Neighbour neighbour_of_process(int proc_fd, pid_t pid, uid_t own_uid)
{
    Neighbour found = NEIGHBOUR_INVALID;
    char comm[COMM_MAX + 2];
    bool script;

    if (process_read(proc_fd, pid, "comm", comm, sizeof(comm)) < 0)
        return NEIGHBOUR_INVALID;
    comm[strcspn(comm, "\n")] = '\0';
    script = is_interpreter(comm);
    if (!script)
        found = neighbour_called(comm);
    if ((!script && found < 0) || !process_counts(proc_fd, pid, own_uid, script))
        return NEIGHBOUR_INVALID;
    return script ? neighbour_by_script(proc_fd, pid) : found;
}

static void closedirp(DIR **d)
{
    if (*d)
        closedir(*d);
}

int neighbour_scan(const char *proc_root, uid_t own_uid, pid_t ret_pids[NEIGHBOUR_MAX])
{
    _cleanup_(closedirp) DIR *d = opendir(proc_root);
    pid_t pids[NEIGHBOUR_MAX] = {};
    unsigned looked = 0;
    struct dirent *e;

    if (!d)
        return -errno;
    while (looked < NEIGHBOUR_PROCESSES_MAX && (errno = 0, e = readdir(d))) {
        Neighbour n;
        pid_t pid;

        if (strspn(e->d_name, "0123456789") != strlen(e->d_name) || strlen(e->d_name) > 10)
            continue;
        looked++;
        pid = (pid_t) strtol(e->d_name, NULL, 10);
        n = neighbour_of_process(dirfd(d), pid, own_uid);
        if (n >= 0 && pids[n] == 0)
            pids[n] = pid;
    }
    if (looked < NEIGHBOUR_PROCESSES_MAX && errno != 0)
        return -errno;
    memcpy(ret_pids, pids, sizeof(pids));
    return 0;
}
