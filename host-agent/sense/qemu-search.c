/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Searches for QEMU processes in a thread. */

#include "host-agent/sense/qemu-search.h"

#include <stdatomic.h>
#include <string.h>

#include "host-agent/libvirt/thread.h"

enum { RUNNING, ENDED, ABANDONED };

/* The thread and its owner share it. Until it has ended, all but these two are the thread's. */
struct QemuSearch {
    _Atomic int state;
    _Atomic pid_t process;
    char *proc_root;
    QemuWanted *wanted;
    size_t n;
    int result;
};

static void destroy(QemuSearch *s)
{
    free(s->proc_root);
    free(s->wanted);
    free(s);
}

static void *run(void *userdata)
{
    QemuSearch *s = userdata;

    (void) pthread_setname_np(pthread_self(), "qemu-search");
    s->result = qemu_find(s->proc_root, s->wanted, s->n, &s->process);
    if (atomic_exchange(&s->state, ENDED) == ABANDONED)
        destroy(s);
    return NULL;
}

int qemu_search_start(const char *proc_root, const QemuWanted *wanted, size_t n, QemuSearch **ret)
{
    QemuSearch *s = calloc(1, sizeof(*s));
    int r = -ENOMEM;

    if (!s)
        return -ENOMEM;
    s->proc_root = strdup(proc_root);
    s->wanted = calloc(n, sizeof(*wanted));
    if (s->proc_root && s->wanted) {
        memcpy(s->wanted, wanted, n * sizeof(*wanted));
        s->n = n;
        r = thread_start(run, s, NULL);
    }
    if (r < 0) {
        destroy(s);
        return r;
    }
    *ret = s;
    return 0;
}

int qemu_search_result(const QemuSearch *s, const QemuWanted **ret, size_t *ret_n)
{
    if (atomic_load(&s->state) == RUNNING)
        return -EAGAIN;
    *ret = s->wanted;
    *ret_n = s->n;
    return s->result;
}

pid_t qemu_search_process(const QemuSearch *s)
{
    return atomic_load(&s->process);
}

QemuSearch *qemu_search_free(QemuSearch *s)
{
    if (s && atomic_exchange(&s->state, ABANDONED) == ENDED)
        destroy(s);
    return NULL;
}
