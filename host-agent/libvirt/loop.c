/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs libvirt's event loop in a thread. */
#include "host-agent/libvirt/loop.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "host-agent/libvirt/thread.h"

struct Loop {
    int fd, watch;
    void (*woken)(void *userdata);
    void *userdata;
    atomic_bool stopping;
    pthread_t thread;
};

/* By default libvirt writes each error to stderr. Here the caller reports it. */
static void keep_silent(void *userdata, virErrorPtr error)
{
}

static void on_wake(int watch, int fd, int events, void *userdata)
{
    Loop *l = userdata;
    eventfd_t value;

    (void) eventfd_read(fd, &value);
    if (!atomic_load(&l->stopping))
        l->woken(l->userdata);
}

static void *run(void *userdata)
{
    Loop *l = userdata;

    pthread_setname_np(pthread_self(), "virt-loop");
    while (!atomic_load(&l->stopping))
        if (virEventRunDefaultImpl() < 0)
            usleep(100 * USEC_PER_MSEC); /* poll() failed: don't spin */
    return NULL;
}

static Loop *loop_free(Loop *l)
{
    if (l->watch >= 0)
        virEventRemoveHandle(l->watch);
    closep(&l->fd);
    free(l);
    return NULL;
}
DEFINE_CLEANUP_FUNC(Loop, loop_free);

int loop_new(void (*woken)(void *userdata), void *userdata, Loop **ret)
{
    _cleanup_(loop_freep) Loop *l = NULL;
    int r;

    l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->watch = -1;
    l->woken = woken;
    l->userdata = userdata;
    l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->fd < 0)
        return -errno;
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
        return -EIO;
    virSetErrorFunc(NULL, keep_silent);
    l->watch = virEventAddHandle(l->fd, VIR_EVENT_HANDLE_READABLE, on_wake, l, NULL);
    if (l->watch < 0)
        return -ENOMEM;
    r = thread_start(run, l, &l->thread);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(l);
    return 0;
}

void loop_wake(Loop *l)
{
    (void) eventfd_write(l->fd, 1);
}

bool loop_stop(Loop *l, usec_t until_usec)
{
    struct timespec until = {.tv_sec = (time_t) (until_usec / USEC_PER_SEC),
                             .tv_nsec = (long) (until_usec % USEC_PER_SEC * NSEC_PER_USEC)};

    atomic_store(&l->stopping, true);
    loop_wake(l);
    if (pthread_clockjoin_np(l->thread, NULL, CLOCK_MONOTONIC, &until) != 0)
        return false;
    loop_free(l);
    return true;
}
