/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The base of this folder: references to Virt, events to the daemon's loop, and libvirt's errors as errno. */

#include <string.h>

#include "base/log.h"
#include "host-agent/libvirt/virt-internal.h"

Virt *virt_ref(Virt *v)
{
    atomic_fetch_add(&v->refs, 1);
    return v;
}

Virt *virt_unref(Virt *v)
{
    if (atomic_fetch_sub(&v->refs, 1) > 1)
        return NULL;
    v->ended(v);
    queue_free(v->queue);
    workers_free(v->workers);
    pthread_cond_destroy(&v->closed);
    pthread_mutex_destroy(&v->lock);
    free(v->uri);
    free(v);
    return NULL;
}

int virt_last_error(char **ret_text)
{
    virErrorPtr error = virGetLastError();

    if (ret_text) {
        free(*ret_text);
        *ret_text = strdup(error && error->message ? error->message : "libvirt gave no reason");
    }
    switch (error ? error->code : VIR_ERR_OK) {
    case VIR_ERR_NO_MEMORY:
        return -ENOMEM;
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_OPERATION_INVALID: /* the domain doesn't run */
        return -ENOENT;
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_CANCELLED:
    case VIR_ERR_AUTH_UNAVAILABLE:
    case VIR_ERR_ACCESS_DENIED:
    case VIR_ERR_OPERATION_DENIED:
        return -EACCES;
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_OPERATION_UNSUPPORTED:
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_ARGUMENT_UNSUPPORTED:
        return -EOPNOTSUPP;
    case VIR_ERR_INVALID_ARG:
        return -EINVAL;
    case VIR_ERR_OPERATION_TIMEOUT:
        return -ETIMEDOUT;
    default:
        return -EIO;
    }
}

void virt_push(Virt *v, Domain *d, const VirtEvent *event)
{
    VirtEvent e = *event;

    if (v->stopped)
        return;
    if (d)
        e.uuid = d->uuid;
    if (queue_push(v->queue, d ? &d->box : NULL, &e) < 0)
        log_oom();
}

void virt_need_tick(Virt *v)
{
    if (!v->ticking)
        queue_wake(v->queue);
}
