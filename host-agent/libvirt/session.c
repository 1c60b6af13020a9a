/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "base/log.h"
#include "host-agent/libvirt/virt-internal.h"

#define RETRY_FIRST_USEC \
    (500 * USEC_PER_MSEC) /* and up to as much again, so that not all clients come at once */
#define RETRY_MIN_USEC USEC_PER_SEC
#define RETRY_MAX_USEC (30 * USEC_PER_SEC)

typedef struct Listed {
    char uuid[VIR_UUID_STRING_BUFLEN];
    int id;
} Listed;

/* An attempt to connect. */
typedef struct Opening {
    Job job;
    Virt *virt;
    unsigned generation;
    Conn *events, *lanes[LANE_MAX];
    Listed *listed;
    size_t n_listed;
    char *uri, *text;
    int error;
} Opening;

/* A fresh connection for one lane. */
typedef struct LaneOpening {
    Job job;
    Virt *virt;
    unsigned generation;
    LaneId lane;
    Conn *conn;
    char *text;
    int error;
} LaneOpening;

static int list_domains(Opening *o)
{
    virDomainPtr *domains = NULL;
    int n, r = 0;

    n = virConnectListAllDomains(o->events->ptr, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    if (n < 0)
        return virt_last_error(&o->text);
    o->listed = calloc((size_t) n + 1, sizeof(*o->listed));
    if (!o->listed)
        r = -ENOMEM;
    for (int i = 0; i < n; i++) {
        if (o->listed && virDomainGetUUIDString(domains[i], o->listed[o->n_listed].uuid) >= 0)
            o->listed[o->n_listed++].id = (int) virDomainGetID(domains[i]);
        virDomainFree(domains[i]);
    }
    free(domains);
    return r;
}

static int opening_connect(Opening *o)
{
    int r;

    r = conn_open(o->virt, o->generation, &o->events, &o->text);
    if (r < 0)
        return r;
    r = events_register(o->events, &o->text);
    if (r < 0)
        return r;
    for (size_t i = 0; i < LANE_MAX; i++) {
        r = conn_open(o->virt, o->generation, &o->lanes[i], &o->text);
        if (r < 0)
            return r;
    }
    o->uri = virConnectGetURI(o->events->ptr);
    /* After the events: what changes from here on is told by one. */
    return list_domains(o);
}

static void opening_run(Job *job)
{
    Opening *o = (Opening *) job;

    o->error = opening_connect(o);
}

static void retry_later(Virt *v)
{
    usec_t now = now_usec(CLOCK_MONOTONIC), wait = v->backoff_usec;

    if (wait == 0)
        wait = RETRY_FIRST_USEC + now % RETRY_FIRST_USEC;
    v->retry_usec = now + wait;
    v->backoff_usec = CLAMP(2 * v->backoff_usec, RETRY_MIN_USEC, RETRY_MAX_USEC);
    virt_need_tick(v);
}

static void tell_lost(Virt *v, const char *why)
{
    if (v->told_lost)
        return;
    v->told_lost = true;
    virt_push(v, NULL, &(VirtEvent){.type = VIRT_DISCONNECTED, .error = -ENOTCONN, .text = why});
}

static void opening_failed(Opening *o, const char *why)
{
    Virt *v = o->virt;

    v->state = SESSION_CLOSED;
    conn_retire(o->events);
    for (size_t i = 0; i < LANE_MAX; i++)
        conn_retire(o->lanes[i]);
    tell_lost(v, why);
    retry_later(v);
}

static void take_listed(Virt *v, const Listed *l)
{
    Domain *d = domain_find(v, l->uuid);

    if (d && d->id != l->id) {
        domain_gone(d, "stopped and started again");
        d = NULL;
    }
    if (!d)
        d = domain_add(v, l->uuid, l->id);
    if (!d)
        return;
    d->generation = v->generation;
    domain_read(d);
}

static void opening_succeeded(Opening *o)
{
    Virt *v = o->virt;

    v->state = SESSION_OPEN;
    v->events = o->events;
    v->told_lost = false;
    v->backoff_usec = 0;
    if (++v->session > 1)
        v->reconnects++;
    for (size_t i = 0; i < LANE_MAX; i++)
        v->lanes[i] = o->lanes[i];
    virt_push(v, NULL, &(VirtEvent){.type = VIRT_CONNECTED, .text = o->uri ? o->uri : v->uri});
    for (size_t i = 0; i < o->n_listed; i++)
        take_listed(v, &o->listed[i]);
    for (Domain *d = v->domains, *next; d; d = next) {
        next = d->next;
        if (d->generation != v->generation)
            domain_gone(d, "it stopped while libvirt was away");
    }
    for (size_t i = 0; i < LANE_MAX; i++)
        workers_open_lane(v->workers, (unsigned) i, true);
}

static bool opening_is_lost(const Opening *o)
{
    bool lost = o->events->lost;

    for (size_t i = 0; i < LANE_MAX; i++)
        lost = lost || o->lanes[i]->lost;
    return lost;
}

static void opening_done(Job *job)
{
    Opening *o = (Opening *) job;
    Virt *v = o->virt;

    v->opening--;
    pthread_cond_signal(&v->closed);
    if (o->error < 0 || v->stopped)
        opening_failed(o, o->text ? o->text : strerror(-o->error));
    else if (opening_is_lost(o))
        opening_failed(o, "libvirt closed the connection");
    else
        opening_succeeded(o);
    free(o->listed);
    free(o->uri);
    free(o->text);
    free(o);
}

void session_open(Virt *v)
{
    Opening *o = calloc(1, sizeof(*o));

    v->retry_usec = 0;
    if (!o) {
        retry_later(v);
        return;
    }
    v->state = SESSION_OPENING;
    v->generation++;
    v->opening++;
    o->job = (Job){.run = opening_run, .done = opening_done};
    o->virt = v;
    o->generation = v->generation;
    workers_add_job(v->workers, &o->job);
}

void session_lost(Virt *v, const char *why)
{
    v->state = SESSION_CLOSED;
    conn_retire(TAKE_PTR(v->events));
    for (size_t i = 0; i < LANE_MAX; i++) {
        workers_open_lane(v->workers, (unsigned) i, false);
        conn_retire(TAKE_PTR(v->lanes[i]));
        v->lane_opening[i] = false;
        v->lane_retry_usec[i] = 0;
    }
    for (Domain *d = v->domains; d; d = d->next)
        domain_lost(d);
    tell_lost(v, why);
    retry_later(v);
}

static void lane_opening_run(Job *job)
{
    LaneOpening *o = (LaneOpening *) job;

    o->error = conn_open(o->virt, o->generation, &o->conn, &o->text);
}

static void lane_opening_done(Job *job)
{
    LaneOpening *o = (LaneOpening *) job;
    Virt *v = o->virt;

    v->opening--;
    pthread_cond_signal(&v->closed);
    if (v->stopped || v->state != SESSION_OPEN || o->generation != v->generation)
        conn_retire(o->conn);
    else {
        v->lane_opening[o->lane] = false;
        if (o->conn && !o->conn->lost) {
            v->lanes[o->lane] = o->conn;
            workers_open_lane(v->workers, o->lane, true);
        } else {
            log_warning("Cannot open another connection to libvirt: %s; trying again",
                        o->text ? o->text : strerror(-o->error));
            conn_retire(o->conn);
            v->lane_retry_usec[o->lane] = now_usec(CLOCK_MONOTONIC) + RETRY_MIN_USEC;
            virt_need_tick(v);
        }
    }
    free(o->text);
    free(o);
}

static void lane_open(Virt *v, LaneId lane)
{
    LaneOpening *o = calloc(1, sizeof(*o));

    v->lane_retry_usec[lane] = 0;
    if (!o) {
        v->lane_retry_usec[lane] = now_usec(CLOCK_MONOTONIC) + RETRY_MIN_USEC;
        return;
    }
    o->job = (Job){.run = lane_opening_run, .done = lane_opening_done};
    o->virt = v;
    o->generation = v->generation;
    o->lane = lane;
    v->lane_opening[lane] = true;
    v->opening++;
    workers_add_job(v->workers, &o->job);
}

void session_replace(Virt *v, LaneId lane, Conn *held)
{
    /* What is held may be on a connection that was replaced before. */
    if (v->state != SESSION_OPEN || v->lanes[lane] != held)
        return;
    workers_open_lane(v->workers, lane, false);
    conn_retire(TAKE_PTR(v->lanes[lane]));
    lane_open(v, lane);
}

void session_tick(Virt *v, usec_t now_usec)
{
    if (v->state == SESSION_CLOSED && now_usec >= v->retry_usec)
        session_open(v);
    for (LaneId i = 0; i < LANE_MAX; i++)
        if (v->lane_retry_usec[i] > 0 && now_usec >= v->lane_retry_usec[i])
            lane_open(v, i);
}
