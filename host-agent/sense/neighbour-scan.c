/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds other memory managers: momd and ksmtuned by their processes, ballastd by a lock. */

#include "host-agent/sense/neighbour-scan.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/crc32c.h"
#include "base/process.h"

/* Users below this are system users (SYS_UID_MAX of login.defs). */
#define SYSTEM_UID_END   1000U
#define COMM_MAX         16U
#define COMMAND_LINE_MAX 1024U /* the part that is searched for a script's name */
#define STATUS_MAX       1024U /* the users are among the first lines */
/* Connections that may wait: nobody accepts them, they only show others that this daemon lives. */
#define LOCK_BACKLOG     64

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
 * through a link, and then it runs as root. */
static bool process_counts(int proc_fd, pid_t pid, uid_t own_uid)
{
    char status[STATUS_MAX];
    uid_t uids[3];

    if (process_read(proc_fd, pid, "status", status, sizeof(status)) < 0 ||
        process_uids_parse(status, uids) < 0)
        return false;
    for (size_t i = 0; i < ELEMENTSOF(uids); i++)
        if (!user_counts(uids[i], own_uid))
            return false;
    return true;
}

static Neighbour neighbour_of_process(int proc_fd, pid_t pid, uid_t own_uid)
{
    char comm[COMM_MAX + 2];
    Neighbour found;

    if (process_read(proc_fd, pid, "comm", comm, sizeof(comm)) < 0)
        return NEIGHBOUR_INVALID;
    comm[strcspn(comm, "\n")] = '\0';
    found = is_interpreter(comm) ? neighbour_by_script(proc_fd, pid) : neighbour_called(comm);
    return found >= 0 && process_counts(proc_fd, pid, own_uid) ? found : NEIGHBOUR_INVALID;
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

/* "qemu:///session", "qemu:///session?socket=…", "qemu+unix:///session". */
static bool is_session(const char *uri)
{
    const char *path = strstr(uri, "://");

    path = path ? strchr(path + 3, '/') : NULL;
    return path && strncmp(path, "/session", 8) == 0 && (path[8] == '\0' || path[8] == '?');
}

/* The folder of libvirt's sockets for a user. */
static int session_folder(char **ret)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *cache = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    int n;

    if (runtime && runtime[0])
        n = asprintf(ret, "%s", runtime);
    else if (cache && cache[0])
        n = asprintf(ret, "%s", cache);
    else {
        const struct passwd *p = home && home[0] ? NULL : getpwuid(geteuid());

        n = asprintf(ret, "%s/.cache", home && home[0] ? home : p ? p->pw_dir : "");
    }
    if (n < 0)
        *ret = NULL;
    return n < 0 ? -ENOMEM : 0;
}

char *neighbour_lock_name(const char *uri, char *buf)
{
    char folder[64] = "";
    uint32_t crc;
    struct stat st;

    if (is_session(uri)) {
        _cleanup_free_ char *path = NULL;

        /* The folder's identity: one folder may have several paths, and one path may be another folder in a
         * container. */
        if (session_folder(&path) >= 0 && stat(path, &st) >= 0)
            snprintf(folder, sizeof(folder), "%lx:%lx", (unsigned long) st.st_dev, (unsigned long) st.st_ino);
        else
            snprintf(folder, sizeof(folder), "uid %u", geteuid());
    }
    /* A URI may be longer than a name and is cut off then: the checksum keeps names different. */
    crc = crc32c(uri, strlen(uri));
    snprintf(buf, NEIGHBOUR_LOCK_MAX, "org.ballast1:%08x:%s:%s", crc, folder, uri);
    return buf;
}

static socklen_t lock_address(const char *name, struct sockaddr_un *ret)
{
    size_t length = strlen(name);

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path + 1, name, length);
    return (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

/* Connects to the owner of the lock. */
static int ask_owner(int fd, const struct sockaddr_un *address, socklen_t length, struct ucred *ret)
{
    socklen_t size = sizeof(*ret);

    if (connect(fd, (const struct sockaddr *) address, length) < 0)
        return errno == ECONNREFUSED ? -EAGAIN : -errno;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &size) < 0 ? -errno : 0;
}

int neighbour_lock(const char *name, uid_t own_uid, NeighbourLock *ret)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;
    struct ucred owner;
    socklen_t length;
    int r;

    *ret = NEIGHBOUR_LOCK_INIT;
    if (fd < 0)
        return -errno;
    length = lock_address(name, &address);
    if (bind(fd, (const struct sockaddr *) &address, length) >= 0) {
        if (listen(fd, LOCK_BACKLOG) < 0)
            return -errno;
        ret->fd = TAKE_FD(fd);
        ret->ours = true;
        return 0;
    }
    if (errno != EADDRINUSE)
        return -errno;
    r = ask_owner(fd, &address, length, &owner);
    if (r < 0)
        return r;
    ret->uid = owner.uid;
    if (!user_counts(owner.uid, own_uid))
        return -EPERM;
    ret->pid = owner.pid;
    ret->fd = TAKE_FD(fd);
    return 0;
}

void neighbour_lock_done(NeighbourLock *l)
{
    closep(&l->fd);
    *l = NEIGHBOUR_LOCK_INIT;
}
