/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens a connection to libvirt, watches it, and closes it once nothing uses it. */

#include <string.h>

#include "host-agent/libvirt/virt-internal.h"

/* Without an answer from libvirtd the connection is given up after 1 s × (19 + 1). The interval is short
 * because each keep-alive wakes libvirt's client up (see SLOTS_MAX). The time-out only hits a libvirtd that
 * hangs. */
#define KEEPALIVE_SEC   1
#define KEEPALIVE_COUNT 19

static void conn_ref(Conn *c)
{
    atomic_fetch_add(&c->refs, 1);
}

/* libvirt calls this when it drops a callback. Without the lock. */
static void conn_unref(void *userdata)
{
    Conn *c = userdata;

    if (atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    virt_unref(c->virt);
    free(c);
}

bool conn_is_current(const Conn *c)
{
    return !c->virt->stopped && c->generation == c->virt->session.generation &&
           c->virt->session.state != SESSION_CLOSED;
}

static const char *close_reason(int reason)
{
    switch (reason) {
    case VIR_CONNECT_CLOSE_REASON_EOF:
        return "libvirt closed the connection";
    case VIR_CONNECT_CLOSE_REASON_KEEPALIVE:
        return "libvirt doesn't answer";
    default:
        return "the connection to libvirt broke";
    }
}

/* Called in the thread that notices it. */
static void on_close(virConnectPtr ptr, int reason, void *userdata)
{
    Conn *c = userdata;
    Virt *v = c->virt;

    pthread_mutex_lock(&v->lock);
    c->lost = true;
    if (conn_is_current(c) && v->session.state == SESSION_OPEN)
        c->on_lost(v, close_reason(reason));
    pthread_mutex_unlock(&v->lock);
}

static void close_run(Job *job)
{
    Conn *c = (Conn *) ((char *) job - offsetof(Conn, job));

    for (size_t i = 0; i < c->n_callbacks; i++)
        (void) virConnectDomainEventDeregisterAny(c->ptr, c->callbacks[i]);
    if (c->watched)
        (void) virConnectUnregisterCloseCallback(c->ptr, on_close);
    (void) virConnectClose(c->ptr);
}

static void close_done(Job *job)
{
    Conn *c = (Conn *) ((char *) job - offsetof(Conn, job));
    Virt *v = c->virt;
    Connections *connections = &v->connections;

    connections->n--;
    pthread_cond_signal(&v->closed);
    /* This can't drop the last reference to Virt: this is a worker, and the workers hold one. */
    conn_unref(c);
}

int conn_open(Virt *v, unsigned generation, void (*on_lost)(Virt *v, const char *why), Conn **ret,
              char **ret_text)
{
    Connections *connections = &v->connections;
    Conn *c;
    int r;

    c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->ptr = virConnectOpen(v->uri);
    if (!c->ptr) {
        r = virt_last_error(ret_text);
        free(c);
        return r;
    }
    c->virt = virt_ref(v);
    c->generation = generation;
    c->on_lost = on_lost;
    c->job = (Job){.run = close_run, .done = close_done};
    atomic_init(&c->refs, 1);
    /* A driver without a daemon needs no keep-alive and can't lose its connection. It accepts a close
     * callback all the same, but never frees the callback's userdata. */
    if (virConnectSetKeepAlive(c->ptr, KEEPALIVE_SEC, KEEPALIVE_COUNT) == 0) {
        conn_ref(c);
        c->watched = virConnectRegisterCloseCallback(c->ptr, on_close, c, conn_unref) >= 0;
        if (!c->watched)
            conn_unref(c);
    }

    pthread_mutex_lock(&v->lock);
    connections->n++;
    pthread_mutex_unlock(&v->lock);
    *ret = c;
    return 0;
}

bool conn_subscribe(Conn *c, int event, virConnectDomainEventGenericCallback callback)
{
    int id;

    conn_ref(c);
    id = virConnectDomainEventRegisterAny(c->ptr, NULL, event, callback, c, conn_unref);
    if (id < 0) {
        conn_unref(c);
        return false;
    }
    c->callbacks[c->n_callbacks++] = id;
    return true;
}

static void close_if_unused(Conn *c)
{
    if (c->retired && c->uses == 0)
        workers_add_job(c->virt->workers, &c->job);
}

void conn_use(Conn *c)
{
    c->uses++;
}

void conn_unuse(Conn *c)
{
    c->uses--;
    close_if_unused(c);
}

void conn_retire(Conn *c)
{
    if (!c)
        return;
    c->retired = true;
    close_if_unused(c);
}
