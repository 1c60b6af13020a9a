/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts a thread that receives no signals. */
#include "host-agent/libvirt/thread.h"

#include <signal.h>
#include <stddef.h>

/* libvirt keeps large data on the heap. The kernel allocates only stack pages that are touched. */
#define STACK_SIZE ((size_t) 512 * 1024)

int thread_start(void *(*function)(void *), void *userdata, pthread_t *ret_thread)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    int r;

    r = pthread_attr_init(&attr);
    if (r != 0)
        return -r;
    (void) pthread_attr_setstacksize(&attr, STACK_SIZE);
    if (!ret_thread)
        (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&thread, &attr, function, userdata);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (r != 0)
        return -r;
    if (ret_thread)
        *ret_thread = thread;
    return 0;
}
