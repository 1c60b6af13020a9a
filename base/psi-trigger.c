/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Registers a PSI trigger with the kernel. */

#include "base/psi-trigger.h"

#include <fcntl.h>

#include "base/macro.h"

#define WINDOW_MIN_USEC   (USEC_PER_SEC / 2)
#define WINDOW_MAX_USEC   (10 * USEC_PER_SEC)
#define UNPRIVILEGED_USEC (2 * USEC_PER_SEC)

static int write_trigger(int fd, const char *level, usec_t stall_usec, usec_t window_usec)
{
    char text[64];
    ssize_t n;
    int length;

    length = snprintf(text, sizeof(text), "%s %" PRIu64 " %" PRIu64, level, stall_usec, window_usec);
    if (length < 0 || (size_t) length >= sizeof(text))
        return -EINVAL;

    do
        n = write(fd, text, (size_t) length + 1); /* the kernel ends at the NUL */
    while (n < 0 && errno == EINTR);

    return n < 0 ? -errno : 0;
}

int psi_trigger_open(const char *path, const char *level, usec_t stall_usec, usec_t window_usec,
                     usec_t *ret_window_usec)
{
    _cleanup_close_ int fd = -EBADF;
    int r;

    if (window_usec < WINDOW_MIN_USEC || window_usec > WINDOW_MAX_USEC)
        return -EINVAL;
    if (stall_usec == 0 || stall_usec > window_usec)
        return -EINVAL;

    fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;

    r = write_trigger(fd, level, stall_usec, window_usec);
    if (r == -EINVAL && window_usec % UNPRIVILEGED_USEC != 0) {
        usec_t rounded = (window_usec / UNPRIVILEGED_USEC + 1) * UNPRIVILEGED_USEC;

        stall_usec = stall_usec * rounded / window_usec;
        window_usec = rounded;
        r = write_trigger(fd, level, stall_usec, window_usec);
    }
    if (r < 0)
        return r;

    if (ret_window_usec)
        *ret_window_usec = window_usec;
    return TAKE_FD(fd);
}
