/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Talks to the service manager: sd_notify(3) and sd_listen_fds(3) without libsystemd. */

#include "guest-agent/notify.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/macro.h"

int notify_send(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -EBADF;
    socklen_t length;
    size_t n;

    if (!path || !path[0])
        return 0;
    /* A path, or after an @ a name in the abstract namespace, which ends by its length, not by a NUL. */
    if (path[0] != '/' && path[0] != '@')
        return -EAFNOSUPPORT;
    n = strlen(path);
    if (n >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, n);
    length = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    else
        length++;

    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *) &address, length) < 0)
        return -errno;
    return 1;
}

/* The environment variable as a number; 0 if it is anything else. */
static uint64_t environment_number(const char *name)
{
    const char *s = getenv(name);
    unsigned long long v;
    char *end;

    if (!s || s[0] < '0' || s[0] > '9')
        return 0;
    errno = 0;
    v = strtoull(s, &end, 10);
    return errno || *end ? 0 : v;
}

usec_t notify_watchdog_usec(void)
{
    usec_t allowed = environment_number("WATCHDOG_USEC");

    /* WATCHDOG_PID: the variables may be meant for another process. */
    if (allowed == 0 || (getenv("WATCHDOG_PID") && environment_number("WATCHDOG_PID") != (uint64_t) getpid()))
        return USEC_INFINITY;
    return MAX(allowed / 2, (usec_t) 1);
}

int notify_listen_fd(void)
{
    enum { FIRST = 3 };

    if (environment_number("LISTEN_PID") != (uint64_t) getpid() || environment_number("LISTEN_FDS") != 1 ||
        fcntl(FIRST, F_SETFD, FD_CLOEXEC) < 0)
        return -EBADF;
    return FIRST;
}
