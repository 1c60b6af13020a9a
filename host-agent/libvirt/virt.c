/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The interface of this folder: takes requests, delivers events and runs the timer.
 *
 * Libvirt must never hold up the daemon. Seen with libvirt 9.0:
 * - A call to a domain whose QEMU is stopped blocks until QEMU continues.
 * - Five such calls on one connection (max_client_requests) block the calls to every other domain on it.
 * - A thread that makes a call also runs event callbacks, so libvirt's event loop can't be part of an
 *   sd-event loop, which belongs to one thread.
 *
 * So libvirt's event loop has its own thread (loop.c), and workers make the calls (workers.c), one at a time
 * per connection and per domain. Both post events to the daemon's loop (queue.c). A domain that hasn't
 * answered for 2 s gets no call until it answers; it keeps the connection that its call is on, and a new
 * connection replaces that one for the other domains (session.c). Channel data that a guest doesn't read
 * would hold libvirtd's requests as well: see channel.c. */
#include "host-agent/libvirt/virt.h"

#include <libxml/parser.h>
#include <string.h>

#include "base/log.h"
#include "host-agent/libvirt/virt-internal.h"

/* Events handled at once; then the daemon's loop gets a chance to do other things. */
#define EVENTS_AT_ONCE 64U
#define STOP_USEC      (2 * USEC_PER_SEC)

static bool needs_tick(const Virt *v)
{
    if (v->session.state == SESSION_CLOSED || v->domains.any_due || workers_busy(v->workers))
        return true;
    for (size_t i = 0; i < SLOTS_MAX; i++)
        if (v->session.slots[i].retry_usec > 0)
            return true;
    return false;
}

static void arm_timer(Virt *v)
{
    bool start;

    pthread_mutex_lock(&v->lock);
    start = !v->stopped && !v->ticking && needs_tick(v);
    v->ticking = v->ticking || start;
    pthread_mutex_unlock(&v->lock);
    if (start && (sd_event_source_set_time_relative(v->timer, WORKERS_TICK_USEC) < 0 ||
                  sd_event_source_set_enabled(v->timer, SD_EVENT_ONESHOT) < 0))
        log_error("Cannot set the timer that watches calls to libvirt");
}

static void report_crowded(Virt *v)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    char lasted[UNITS_FORMAT_MAX];
    WorkersCounters counters;

    workers_counters(v->workers, &counters);
    if (counters.left_behind < CALLS_LEFT_BEHIND_MAX) {
        if (outage_over(&v->crowded, now, lasted))
            log_notice("Calls to domains aren't delayed any more, after %s", lasted);
    } else if (outage_failed(&v->crowded, now))
        log_warning("%u domains are not answering; calls to other domains may be delayed", counters.stuck);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    Virt *v = userdata;

    pthread_mutex_lock(&v->lock);
    v->ticking = false;
    workers_tick(v->workers, now);
    session_tick(v, now);
    domains_tick(v, now);
    report_crowded(v);
    pthread_mutex_unlock(&v->lock);
    arm_timer(v);
    return 0;
}

static int on_queue(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    _cleanup_(virt_unrefp) Virt *v = virt_ref(userdata); /* a handler may free it */

    for (unsigned i = 0; i < EVENTS_AT_ONCE && !v->stopped; i++) {
        _cleanup_(queue_item_freep) QueueItem *item = NULL;

        pthread_mutex_lock(&v->lock);
        item = queue_pop(v->queue);
        pthread_mutex_unlock(&v->lock);
        if (!item)
            break;
        v->handler(v->userdata, &item->event);
    }
    if (!v->stopped)
        arm_timer(v);
    return 0;
}

static int start(Virt *v, sd_event *event)
{
    int r;

    r = queue_new(&v->queue);
    if (r < 0)
        return r;
    r = workers_new(&v->lock, &call_ops, v, &v->workers);
    if (r < 0)
        return r;
    r = sd_event_add_io(event, &v->queue_source, queue_fd(v->queue), EPOLLIN, on_queue, v);
    if (r < 0)
        return r;
    r = sd_event_add_time_relative(event, &v->timer, CLOCK_MONOTONIC, WORKERS_TICK_USEC, 10 * USEC_PER_MSEC,
                                   on_timer, v);
    if (r < 0)
        return r;
    v->ticking = true; /* a new timer is enabled */
    return loop_new(channels_woken, v, &v->loop);
}

static void ended(Virt *v)
{
    domains_free(v);
    shut_offs_free(v);
}

int virt_new(sd_event *event, const char *uri, VirtHandler handler, void *userdata, Virt **ret)
{
    _cleanup_(virt_unrefp) Virt *v = NULL;
    int r;

    xmlInitParser(); /* must come before the first thread */
    v = calloc(1, sizeof(*v));
    if (!v)
        return -ENOMEM;
    atomic_init(&v->refs, 1);
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->closed, NULL);
    v->ended = ended;
    v->handler = handler;
    v->userdata = userdata;
    session_init(v);
    shut_offs_init(v);
    v->uri = strdup(uri);
    if (!v->uri)
        return -ENOMEM;
    r = start(v, event);
    if (r < 0) {
        sd_event_source_unref(v->queue_source);
        sd_event_source_unref(v->timer);
        return r;
    }
    /* One reference for the workers and one for the loop. */
    virt_ref(v);
    virt_ref(v);
    pthread_mutex_lock(&v->lock);
    session_open(v);
    pthread_mutex_unlock(&v->lock);
    *ret = TAKE_PTR(v);
    return 0;
}

/* Waits until streams and connections are closed and attempts to connect have ended. */
static void wait_closed(Virt *v, usec_t until_usec)
{
    struct timespec until = {.tv_sec = (time_t) (until_usec / USEC_PER_SEC),
                             .tv_nsec = (long) (until_usec % USEC_PER_SEC * NSEC_PER_USEC)};

    while (v->connections.n > 0 || v->session.opening > 0)
        if (pthread_cond_clockwait(&v->closed, &v->lock, CLOCK_MONOTONIC, &until) != 0)
            break;
}

Virt *virt_free(Virt *v)
{
    usec_t until = now_usec(CLOCK_MONOTONIC) + STOP_USEC;
    bool ended;

    if (!v)
        return NULL;
    sd_event_source_disable_unref(v->queue_source);
    sd_event_source_disable_unref(v->timer);
    pthread_mutex_lock(&v->lock);
    v->stopped = true;
    session_lost(v, NULL);
    wait_closed(v, until);
    ended = workers_stop(v->workers, until);
    pthread_mutex_unlock(&v->lock);
    if (ended)
        virt_unref(v);
    if (loop_stop(v->loop, until))
        virt_unref(v);
    return virt_unref(v);
}

/* Finds a domain that was reported and can be called. */
static int find(Virt *v, const char *uuid, Domain **ret)
{
    Domain *d;

    if (v->session.state != SESSION_OPEN)
        return -ENOTCONN;
    d = domain_find(v, uuid);
    if (!d || d->reported_session == 0)
        return -ENOENT;
    *ret = d;
    return 0;
}

int virt_request_stats(Virt *v, const char *uuid, unsigned period_sec)
{
    Domain *d;
    int r;

    pthread_mutex_lock(&v->lock);
    r = find(v, uuid, &d);
    if (r >= 0)
        r = domain_ask_stats(d, period_sec);
    pthread_mutex_unlock(&v->lock);
    return r;
}

int virt_set_memory(Virt *v, const char *uuid, const DomainState *state)
{
    Domain *d;
    int r;

    pthread_mutex_lock(&v->lock);
    r = find(v, uuid, &d);
    if (r >= 0)
        r = domain_ask_set(d, state);
    pthread_mutex_unlock(&v->lock);
    return r;
}

int virt_remember(Virt *v, const char *uuid, uint64_t overhead_bytes)
{
    Domain *d;
    int r;

    pthread_mutex_lock(&v->lock);
    r = find(v, uuid, &d);
    if (r >= 0)
        r = domain_ask_remember(d, overhead_bytes);
    pthread_mutex_unlock(&v->lock);
    return r;
}

int virt_read_definition(Virt *v, const char *uuid)
{
    Domain *d;
    int r;

    pthread_mutex_lock(&v->lock);
    r = find(v, uuid, &d);
    if (r >= 0)
        domain_read(d);
    pthread_mutex_unlock(&v->lock);
    return r;
}

int virt_entitle(Virt *v, const char *uuid, const EntitlementChange *change)
{
    Domain *d;
    int r;

    pthread_mutex_lock(&v->lock);
    r = find(v, uuid, &d);
    if (r >= 0)
        r = domain_ask_entitle(d, change);
    pthread_mutex_unlock(&v->lock);
    return r;
}

static int ask_shut_off(Virt *v, ShutOff *request, unsigned *ret_number)
{
    _cleanup_(shut_off_freep) ShutOff *s = request;
    int r = -ENOTCONN;

    pthread_mutex_lock(&v->lock);
    if (v->session.state == SESSION_OPEN)
        r = shut_off_ask(v, s);
    if (r >= 0)
        *ret_number = TAKE_PTR(s)->number;
    pthread_mutex_unlock(&v->lock);
    return r;
}

int virt_find_shut_off(Virt *v, const char *pattern, unsigned *ret_number)
{
    _cleanup_(shut_off_freep) ShutOff *s = calloc(1, sizeof(*s));

    if (s && pattern)
        s->pattern = strdup(pattern);
    if (!s || (pattern && !s->pattern))
        return -ENOMEM;
    return ask_shut_off(v, TAKE_PTR(s), ret_number);
}

int virt_entitle_shut_off(Virt *v, const char *uuid, const EntitlementChange *change)
{
    ShutOff *s = calloc(1, sizeof(*s));
    unsigned number;

    if (!s)
        return -ENOMEM;
    snprintf(s->uuid, sizeof(s->uuid), "%s", uuid);
    s->change = *change;
    return ask_shut_off(v, s, &number);
}

ShutOff *virt_take_shut_off(Virt *v)
{
    ShutOff *s;

    pthread_mutex_lock(&v->lock);
    s = shut_off_take(v);
    pthread_mutex_unlock(&v->lock);
    return s;
}

int virt_channel_open(Virt *v, const char *uuid)
{
    Domain *d;
    int r;

    pthread_mutex_lock(&v->lock);
    r = find(v, uuid, &d);
    if (r >= 0)
        r = d->channel.open ? -EBUSY : workers_ask(v->workers, &d->caller, CALL_CHANNEL);
    pthread_mutex_unlock(&v->lock);
    return r;
}

int virt_channel_send(Virt *v, const char *uuid, const uint8_t *data, size_t length)
{
    Domain *d;
    int r;

    pthread_mutex_lock(&v->lock);
    r = find(v, uuid, &d);
    if (r >= 0)
        r = d->channel.open ? channel_send(d->channel.open, data, length) : -ENOTCONN;
    pthread_mutex_unlock(&v->lock);
    return r;
}

void virt_channel_was_read(Virt *v, const char *uuid)
{
    Domain *d;

    pthread_mutex_lock(&v->lock);
    d = domain_find(v, uuid);
    if (d && d->channel.open)
        channel_was_read(d->channel.open);
    pthread_mutex_unlock(&v->lock);
}

void virt_channel_close(Virt *v, const char *uuid)
{
    Domain *d;

    pthread_mutex_lock(&v->lock);
    d = domain_find(v, uuid);
    if (d)
        domain_close_channel(d);
    pthread_mutex_unlock(&v->lock);
}

void virt_counters(const Virt *v, VirtCounters *ret)
{
    Virt *w = (Virt *) v;
    WorkersCounters workers;

    pthread_mutex_lock(&w->lock);
    workers_counters(w->workers, &workers);
    *ret = (VirtCounters){
        .calls = workers.calls,
        .failures = w->domains.failures,
        .reconnects = w->session.reconnects,
        .outstanding = workers.outstanding,
        .stuck = workers.stuck,
        .connections = w->connections.n,
        .queue_peak = queue_peak(w->queue),
    };
    pthread_mutex_unlock(&w->lock);
}
