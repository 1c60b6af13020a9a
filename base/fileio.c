/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads a whole file into memory; writes to the kernel's files, and files of our own. */
#include "base/fileio.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SIZE_MIN ((size_t) 4096)

static int grow(size_t max, char **buf, size_t *size)
{
    /* One byte more than max tells that there is more, and one is for the NUL. */
    size_t more = MIN(MAX(2 * *size, SIZE_MIN), max + 2);
    char *p = realloc(*buf, more);

    if (!p)
        return -ENOMEM;
    *buf = p;
    *size = more;
    return 0;
}

ssize_t fileio_read(int fd, bool from_start, size_t max, char **buf, size_t *size)
{
    size_t length = 0;
    int r;

    /* Of procfs a read gives at most what the kernel's own buffer holds, so only a read of nothing is the
     * end. Offset 0 makes the kernel produce the text again. */
    for (;;) {
        ssize_t n;

        if (length > max)
            return -EFBIG;
        if (length + 1 >= *size) {
            r = grow(max, buf, size);
            if (r < 0)
                return r;
        }
        n = from_start ? pread(fd, *buf + length, *size - length - 1, (off_t) length)
                       : read(fd, *buf + length, *size - length - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        length += (size_t) n;
    }
    (*buf)[length] = '\0';
    return (ssize_t) length;
}

static int read_regular(const char *path, int flags, size_t max, char **ret, size_t *ret_length)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
    _cleanup_free_ char *buf = NULL;
    size_t size = 0;
    struct stat st;
    ssize_t n;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode))
        return -EMEDIUMTYPE;
    n = fileio_read(fd, false, max, &buf, &size);
    if (n < 0)
        return (int) n;
    *ret = TAKE_PTR(buf);
    *ret_length = (size_t) n;
    return 0;
}

int fileio_read_regular(const char *path, size_t max, char **ret, size_t *ret_length)
{
    return read_regular(path, 0, max, ret, ret_length);
}

int fileio_read_saved(const char *path, size_t max, char **ret, size_t *ret_length)
{
    int r = read_regular(path, O_NOFOLLOW, max, ret, ret_length);

    return r == -ELOOP ? -EMEDIUMTYPE : r;
}

const char *fileio_strerror(int r)
{
    return r == -EMEDIUMTYPE ? "not a regular file" : strerror(-r);
}

static int write_text(int fd, const char *text)
{
    size_t length = strlen(text);
    ssize_t n = write(fd, text, length);

    return n < 0 ? -errno : (size_t) n < length ? -EIO : 0;
}

int fileio_write(const char *path, const char *text)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);

    return fd < 0 ? -errno : write_text(fd, text);
}

int fileio_save(const char *path, const char *text)
{
    _cleanup_free_ char *temporary = NULL;
    _cleanup_close_ int fd = -EBADF;
    int r;

    if (asprintf(&temporary, "%s.new", path) < 0) {
        temporary = NULL;
        return -ENOMEM;
    }
    /* A program that was killed may have left one. */
    if (unlink(temporary) < 0 && errno != ENOENT)
        return -errno;
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    r = write_text(fd, text);
    if (r >= 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0)
        (void) unlink(temporary);
    return r;
}
