/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connects to libvirt, handles the loss of the connection, and connects again. */

#include <string.h>

#include "base/log.h"
#include "host-agent/libvirt/virt-internal.h"

#define RETRY_FIRST_USEC \
    (500 * USEC_PER_MSEC) /* plus up to as much again, so that clients don't all come at once */
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
    Conn *events, *conns[SLOTS_MAX];
    Listed *listed;
    size_t n_listed;
    char *uri, *text;
    int error;
} Opening;

/* The opening of a new connection for one slot. */
typedef struct SlotOpening {
    Job job;
    Virt *virt;
    unsigned generation;
    Slot *slot;
    Conn *conn;
    char *text;
    int error;
} SlotOpening;

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

    r = conn_open(o->virt, o->generation, session_lost, &o->events, &o->text);
    if (r < 0)
        return r;
    r = events_register(o->events, &o->text);
    if (r < 0)
        return r;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        r = conn_open(o->virt, o->generation, session_lost, &o->conns[i], &o->text);
        if (r < 0)
            return r;
    }
    o->uri = virConnectGetURI(o->events->ptr);
    /* Only after the callbacks are registered: from then on an event reports each change. */
    return list_domains(o);
}

static void opening_run(Job *job)
{
    Opening *o = (Opening *) job;

    o->error = opening_connect(o);
}

static void retry_later(Virt *v)
{
    Session *s = &v->session;
    usec_t now = now_usec(CLOCK_MONOTONIC), wait = s->backoff_usec;

    if (wait == 0)
        wait = RETRY_FIRST_USEC + now % RETRY_FIRST_USEC;
    s->retry_usec = now + wait;
    s->backoff_usec = CLAMP(2 * s->backoff_usec, RETRY_MIN_USEC, RETRY_MAX_USEC);
    virt_need_tick(v);
}

static void report_lost(Virt *v, const char *why)
{
    Session *s = &v->session;

    if (s->lost_reported)
        return;
    s->lost_reported = true;
    virt_push(v, NULL, &(VirtEvent){.type = VIRT_DISCONNECTED, .error = -ENOTCONN, .text = why});
}

static void opening_failed(Opening *o, const char *why)
{
    Virt *v = o->virt;
    Session *s = &v->session;

    s->state = SESSION_CLOSED;
    conn_retire(o->events);
    for (size_t i = 0; i < SLOTS_MAX; i++)
        conn_retire(o->conns[i]);
    report_lost(v, why);
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
    domain_seen(d);
    domain_read(d);
}

static void count_places(Virt *v, LaneId lane)
{
    unsigned places = 0;

    for (size_t i = 0; i < SLOTS_MAX; i++)
        if (v->session.slots[i].lane == lane && v->session.slots[i].conn)
            places++;
    workers_set_places(v->workers, lane, places);
}

static void slot_fill(Virt *v, Slot *slot, Conn *conn)
{
    slot->conn = conn;
    slot->taken = false;
    count_places(v, slot->lane);
}

static void slot_empty(Virt *v, Slot *slot)
{
    conn_retire(TAKE_PTR(slot->conn));
    count_places(v, slot->lane);
}

static void opening_succeeded(Opening *o)
{
    Virt *v = o->virt;
    Session *s = &v->session;

    s->state = SESSION_OPEN;
    s->events = o->events;
    s->lost_reported = false;
    s->backoff_usec = 0;
    if (++s->number > 1)
        s->reconnects++;
    virt_push(v, NULL, &(VirtEvent){.type = VIRT_CONNECTED, .text = o->uri ? o->uri : v->uri});
    for (size_t i = 0; i < o->n_listed; i++)
        take_listed(v, &o->listed[i]);
    for (Domain *d = v->domains.first, *next; d; d = next) {
        next = d->next;
        if (d->generation != s->generation)
            domain_gone(d, "stopped while there was no connection to libvirt");
    }
    for (size_t i = 0; i < SLOTS_MAX; i++)
        slot_fill(v, &s->slots[i], o->conns[i]);
    domains_report_listed(v);
}

static bool opening_is_lost(const Opening *o)
{
    bool lost = o->events->lost;

    for (size_t i = 0; i < SLOTS_MAX; i++)
        lost = lost || o->conns[i]->lost;
    return lost;
}

static void opening_done(Job *job)
{
    Opening *o = (Opening *) job;
    Virt *v = o->virt;
    Session *s = &v->session;

    s->opening--;
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

/* Two connections set memory: one can hang while the other is being replaced. Stats calls are more frequent
 * and take 1.9 ms each, so queries have three. Channels are opened one at a time. */
void session_init(Virt *v)
{
    static const LaneId lanes[SLOTS_MAX] = {LANE_SET,   LANE_SET,   LANE_QUERY,
                                            LANE_QUERY, LANE_QUERY, LANE_CHANNEL};
    Session *s = &v->session;

    for (size_t i = 0; i < SLOTS_MAX; i++)
        s->slots[i].lane = lanes[i];
}

void session_open(Virt *v)
{
    Session *s = &v->session;
    Opening *o = calloc(1, sizeof(*o));

    s->retry_usec = 0;
    if (!o) {
        retry_later(v);
        return;
    }
    s->state = SESSION_OPENING;
    s->generation++;
    s->opening++;
    o->job = (Job){.run = opening_run, .done = opening_done};
    o->virt = v;
    o->generation = s->generation;
    workers_add_job(v->workers, &o->job);
}

void session_lost(Virt *v, const char *why)
{
    Session *s = &v->session;

    s->state = SESSION_CLOSED;
    conn_retire(TAKE_PTR(s->events));
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        slot_empty(v, &s->slots[i]);
        s->slots[i].retry_usec = 0;
    }
    for (Domain *d = v->domains.first; d; d = d->next)
        domain_lost(d);
    shut_offs_lost(v);
    report_lost(v, why);
    retry_later(v);
}

Conn *session_take(Virt *v, LaneId lane)
{
    Slot *slot = v->session.slots;

    /* One is free: the lane has as many places as connections. */
    while (slot->lane != lane || !slot->conn || slot->taken)
        slot++;
    slot->taken = true;
    conn_use(slot->conn);
    return slot->conn;
}

static Slot *slot_of(Virt *v, const Conn *conn)
{
    for (size_t i = 0; i < SLOTS_MAX; i++)
        if (v->session.slots[i].conn == conn)
            return &v->session.slots[i];
    return NULL;
}

void session_give_back(Virt *v, Conn *conn)
{
    Slot *slot = slot_of(v, conn);

    if (slot)
        slot->taken = false;
    conn_unuse(conn);
}

static void slot_opening_run(Job *job)
{
    SlotOpening *o = (SlotOpening *) job;

    o->error = conn_open(o->virt, o->generation, session_lost, &o->conn, &o->text);
}

static void slot_retry_later(Virt *v, Slot *slot)
{
    slot->retry_usec = now_usec(CLOCK_MONOTONIC) + RETRY_MIN_USEC;
    virt_need_tick(v);
}

static void slot_opening_done(Job *job)
{
    SlotOpening *o = (SlotOpening *) job;
    Virt *v = o->virt;
    Session *s = &v->session;

    s->opening--;
    pthread_cond_signal(&v->closed);
    if (v->stopped || s->state != SESSION_OPEN || o->generation != s->generation)
        conn_retire(o->conn);
    else if (o->conn && !o->conn->lost)
        slot_fill(v, o->slot, o->conn);
    else {
        log_warning("Cannot open another connection to libvirt: %s; trying again",
                    o->text ? o->text : strerror(-o->error));
        conn_retire(o->conn);
        slot_retry_later(v, o->slot);
    }
    free(o->text);
    free(o);
}

static void slot_open(Virt *v, Slot *slot)
{
    Session *s = &v->session;
    SlotOpening *o = calloc(1, sizeof(*o));

    slot->retry_usec = 0;
    if (!o) {
        slot_retry_later(v, slot);
        return;
    }
    o->job = (Job){.run = slot_opening_run, .done = slot_opening_done};
    o->virt = v;
    o->generation = s->generation;
    o->slot = slot;
    s->opening++;
    workers_add_job(v->workers, &o->job);
}

void session_replace(Virt *v, Conn *conn)
{
    Slot *slot = slot_of(v, conn);

    /* conn may be older than the last reconnection. */
    if (!slot || v->session.state != SESSION_OPEN)
        return;
    slot_empty(v, slot);
    slot_open(v, slot);
}

void session_tick(Virt *v, usec_t now_usec)
{
    if (v->session.state == SESSION_CLOSED && now_usec >= v->session.retry_usec)
        session_open(v);
    for (size_t i = 0; i < SLOTS_MAX; i++)
        if (v->session.slots[i].retry_usec > 0 && now_usec >= v->session.slots[i].retry_usec)
            slot_open(v, &v->session.slots[i]);
}
