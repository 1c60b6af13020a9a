/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The lever helper's process: its socket, and a loop that answers one request after the other. */

#include "guest-agent/lever-helper.h"

#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/macro.h"
#include "base/time-util.h"
#include "guest-agent/lever-kernel.h"
#include "guest-agent/notify.h"

/* The agent connects for each task and is the only client; an administrator's tool may come besides. */
#define CLIENTS_MAX 4U

/* When the service manager starts the helper for the first request, the helper ends when none has come for so
 * long. */
#define IDLE_USEC (60 * USEC_PER_SEC)

/* Who may ask, besides root. */
#define AGENT_GROUP "ballast-guest"

typedef struct LeverHelper {
    LeverKernel kernel;
    int signal_fd, listen_fd;
    int client[CLIENTS_MAX];
    unsigned n_clients;
    char *path;     /* of a socket that the helper made itself; else NULL */
    usec_t idle_at; /* when it ends if no request comes */
} LeverHelper;

#define LEVER_HELPER_INIT ((LeverHelper){.signal_fd = -EBADF, .listen_fd = -EBADF, .idle_at = USEC_INFINITY})

static void lever_helper_done(LeverHelper *h)
{
    while (h->n_clients > 0)
        close(h->client[--h->n_clients]);
    if (h->path)
        (void) unlink(h->path);
    free(h->path);
    closep(&h->listen_fd);
    closep(&h->signal_fd);
    lever_kernel_done(&h->kernel);
}

static int open_signals(LeverHelper *h)
{
    sigset_t mask;

    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGHUP, SIG_IGN);
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    /* They stay blocked while the kernel works: a setting that was changed for that is put back before the
     * helper ends. */
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return -errno;
    h->signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    return h->signal_fd < 0 ? -errno : 0;
}

/* Nobody but root and we may replace what is in the folder of the socket and the notes. */
static int make_folder(const char *path)
{
    struct stat st;

    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return -errno;
    if (lstat(path, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & 022) ? 0
                                                                                                    : -EPERM;
}

static int make_socket(LeverHelper *h, const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct sockaddr *a = (const struct sockaddr *) &address;
    _cleanup_close_ int fd = -EBADF, other = -EBADF;
    const struct group *group;

    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/" LEVER_SOCKET_NAME, folder) >=
        (int) sizeof(address.sun_path))
        return -ENAMETOOLONG;

    other = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (other < 0 || fd < 0)
        return -errno;
    if (connect(other, a, sizeof(address)) >= 0 || errno == EAGAIN)
        return -EADDRINUSE;
    if (unlink(address.sun_path) < 0 && errno != ENOENT)
        return -errno;

    if (bind(fd, a, sizeof(address)) < 0)
        return -errno;
    h->path = strdup(address.sun_path);
    if (!h->path)
        return -ENOMEM;
    /* Without that group the agent runs as root, or it is somebody else's business to let it in. */
    group = getgrnam(AGENT_GROUP);
    if (group && lchown(h->path, (uid_t) -1, group->gr_gid) < 0)
        return -errno;
    if (chmod(h->path, group ? 0660 : 0600) < 0 || listen(fd, CLIENTS_MAX) < 0)
        return -errno;
    h->listen_fd = TAKE_FD(fd);
    return 0;
}

static int open_socket(LeverHelper *h, const char *folder)
{
    int r;

    r = make_folder(folder);
    if (r < 0)
        return log_error_errno(-r, "Cannot use %s, which must be a folder that only root can change: %m",
                               folder);
    h->listen_fd = notify_listen_fd();
    if (h->listen_fd >= 0) {
        h->idle_at = now_usec(CLOCK_BOOTTIME) + IDLE_USEC;
        return 0;
    }
    r = make_socket(h, folder);
    if (r < 0)
        return log_error_errno(-r, "Cannot listen on %s/" LEVER_SOCKET_NAME ": %m", folder);
    log_info("Listening on %s", h->path);
    return 0;
}

static void accept_client(LeverHelper *h)
{
    int fd = accept4(h->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    if (h->n_clients == CLIENTS_MAX)
        close(fd);
    else
        h->client[h->n_clients++] = fd;
}

/* Reads one request and answers it. Returns false when the client is done, or not one of ours. */
static bool serve_client(LeverHelper *h, int fd)
{
    LeverRequest request;
    LeverAnswer answer;
    ssize_t n;

    n = recv(fd, &request, sizeof(request), MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n != (ssize_t) sizeof(request))
        return false;
    lever_kernel_serve(&h->kernel, &request, &answer);
    if (h->idle_at != USEC_INFINITY)
        h->idle_at = now_usec(CLOCK_BOOTTIME) + IDLE_USEC;
    return send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) == (ssize_t) sizeof(answer);
}

/* Answers one client that is ready. Only one, because the caller looks at the signals after each request. That client
 * comes last in the next round. */
static void serve_one(LeverHelper *h, const struct pollfd *p)
{
    for (unsigned i = 0; i < h->n_clients; i++)
        if (p[i].revents) {
            int fd = h->client[i];

            memmove(&h->client[i], &h->client[i + 1], (h->n_clients - i - 1) * sizeof(fd));
            if (serve_client(h, fd))
                h->client[h->n_clients - 1] = fd;
            else {
                close(fd);
                h->n_clients--;
            }
            return;
        }
}

static int wait_msec(const LeverHelper *h)
{
    usec_t now = now_usec(CLOCK_BOOTTIME);

    if (h->idle_at == USEC_INFINITY)
        return -1;
    return h->idle_at <= now ? 0 : (int) ((h->idle_at - now) / USEC_PER_MSEC) + 1;
}

static int loop(LeverHelper *h)
{
    for (;;) {
        struct pollfd p[2 + CLIENTS_MAX] = {{.fd = h->signal_fd, .events = POLLIN},
                                            {.fd = h->listen_fd, .events = POLLIN}};
        unsigned n = h->n_clients;
        int r;

        for (unsigned i = 0; i < n; i++)
            p[2 + i] = (struct pollfd){.fd = h->client[i], .events = POLLIN};
        r = poll(p, 2 + n, wait_msec(h));
        if (r < 0 && errno != EINTR)
            return log_error_errno(errno, "Cannot wait for events: %m");
        if (r == 0)
            return 0;
        if (r < 0)
            continue;
        if (p[0].revents)
            return 0;

        serve_one(h, p + 2);
        if (p[1].revents)
            accept_client(h);
    }
}

int lever_helper_run(const LeverHelperOptions *options)
{
    _cleanup_(lever_helper_done) LeverHelper h = LEVER_HELPER_INIT;
    int r;

    r = lever_kernel_init(&h.kernel, options->proc_root, options->sys_root, options->run_folder);
    if (r >= 0)
        r = open_signals(&h);
    if (r < 0)
        return log_error_errno(-r, "Cannot set up the lever helper: %m");
    r = open_socket(&h, options->run_folder);
    if (r < 0)
        return r;
    lever_kernel_restore(&h.kernel);
    return loop(&h);
}
