/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds another ballastd on the same libvirt by a lock on a file. */

#include "host-agent/sense/neighbour-lock.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/crc32c.h"

/* How often it is tried again if the owner ends between two looks. */
#define LOCK_TRIES 3U

/* "qemu:///session", "qemu:///session?socket=…", "qemu+unix:///session". */
static bool is_session(const char *uri)
{
    const char *path = strstr(uri, "://");

    path = path ? strchr(path + 3, '/') : NULL;
    return path && strncmp(path, "/session", 8) == 0 && (path[8] == '\0' || path[8] == '?');
}

/* The value of a variable; NULL also if it is empty. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] ? value : NULL;
}

int neighbour_lock_path(const char *uri, char *buf, size_t size)
{
    const char *folder = variable("RUNTIME_DIRECTORY"), *below = "";

    if (is_session(uri)) {
        folder = variable("XDG_RUNTIME_DIR");
        below = "/ballast";
        if (!folder)
            folder = variable("XDG_CACHE_HOME");
        if (!folder) {
            folder = variable("HOME");
            below = "/.cache/ballast";
        }
        if (!folder)
            return -ENOENT;
    } else if (!folder)
        folder = "/run/ballast";
    return (size_t) snprintf(buf, size, "%s%s/lock", folder, below) < size ? 0 : -ENAMETOOLONG;
}

/* Opens the file, and makes it and its folder if they are missing. */
static int open_file(const char *path)
{
    int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, fd;
    char folder[PATH_MAX];
    struct stat st;

    snprintf(folder, sizeof(folder), "%.*s", (int) (strrchr(path, '/') - path), path);
    if (mkdir(folder, 0755) < 0 && errno != EEXIST)
        return -errno;
    fd = open(path, flags | O_CREAT | O_EXCL, 0600);
    if (fd >= 0) {
        /* The folder's owner, which is the service's user, must be able to open what root makes there. */
        if (geteuid() == 0 && stat(folder, &st) >= 0)
            (void) !fchown(fd, st.st_uid, st.st_gid);
        return fd;
    }
    if (errno == EEXIST)
        fd = open(path, flags);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) >= 0 && S_ISREG(st.st_mode))
        return fd;
    close(fd);
    return -EMEDIUMTYPE;
}

/* A URI may have any length: its checksum says which byte is about it. */
static struct flock byte_of(const char *uri)
{
    return (struct flock){
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t) crc32c(uri, strlen(uri)), .l_len = 1};
}

/* Kernels before Linux 5.3 have no pidfd. */
static int open_pid(pid_t pid)
{
    int fd = pid > 0 ? (int) syscall(SYS_pidfd_open, pid, 0) : -1;

    return fd < 0 ? -EBADF : fd;
}

int neighbour_lock(const char *uri, NeighbourLock *ret)
{
    _cleanup_close_ int fd = -EBADF;
    char path[PATH_MAX];
    int r;

    *ret = NEIGHBOUR_LOCK_INIT;
    r = neighbour_lock_path(uri, path, sizeof(path));
    if (r < 0)
        return r;
    fd = open_file(path);
    if (fd < 0)
        return fd;
    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        struct flock l = byte_of(uri);

        if (fcntl(fd, F_SETLK, &l) >= 0) {
            *ret = (NeighbourLock){.fd = TAKE_FD(fd), .ours = true};
            return 0;
        }
        if ((errno != EAGAIN && errno != EACCES) || fcntl(fd, F_GETLK, &l) < 0)
            return -errno;
        if (l.l_type != F_UNLCK) {
            *ret = (NeighbourLock){.fd = open_pid(l.l_pid), .pid = MAX(l.l_pid, 0)};
            return 0;
        }
    }
    return -EAGAIN;
}

void neighbour_lock_done(NeighbourLock *l)
{
    closep(&l->fd);
    *l = NEIGHBOUR_LOCK_INIT;
}
