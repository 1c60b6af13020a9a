/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The domains that are known, and what is reported of them. */

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "host-agent/libvirt/virt-internal.h"

/* A definition that changes again and again is read once in this time: with the clock's tick, a change is
 * told within a second. */
#define READ_INTERVAL_USEC (900 * USEC_PER_MSEC)

static Domain **bucket_of(Virt *v, const char *uuid)
{
    uint32_t hash = 2166136261U; /* FNV-1a */

    for (; *uuid; uuid++)
        hash = (hash ^ (unsigned char) *uuid) * 16777619U;
    return &v->hash[hash % DOMAINS_HASH];
}

Domain *domain_find(Virt *v, const char *uuid)
{
    Domain *d = *bucket_of(v, uuid);

    while (d && strcmp(d->uuid, uuid) != 0)
        d = d->hash_next;
    return d;
}

Domain *domain_add(Virt *v, const char *uuid, int id)
{
    Domain **bucket = bucket_of(v, uuid), *d;

    if (v->n_domains >= DOMAINS_MAX) {
        if (!v->too_many)
            log_error("More than %u domains: %s and further ones are left alone", DOMAINS_MAX, uuid);
        v->too_many = true;
        return NULL;
    }
    d = calloc(1, sizeof(*d));
    if (!d) {
        log_oom();
        return NULL;
    }
    caller_init(&d->caller);
    d->virt = v;
    snprintf(d->uuid, sizeof(d->uuid), "%s", uuid);
    d->id = id;
    d->hash_next = *bucket;
    *bucket = d;
    d->next = v->domains;
    if (d->next)
        d->next->prev = d;
    v->domains = d;
    v->n_domains++;
    return d;
}

void domain_destroy(Domain *d)
{
    mailbox_leave(&d->box);
    if (d->ending)
        d->ending->domain = NULL;
    free(d);
}

void domains_free(Virt *v)
{
    for (Domain *d = v->domains, *next; d; d = next) {
        next = d->next;
        domain_destroy(d);
    }
}

static void remove_from_table(Domain *d)
{
    Virt *v = d->virt;
    Domain **link = bucket_of(v, d->uuid);

    while (*link != d)
        link = &(*link)->hash_next;
    *link = d->hash_next;
    *(d->prev ? &d->prev->next : &v->domains) = d->next;
    if (d->next)
        d->next->prev = d->prev;
    d->prev = d->next = d->hash_next = NULL;
    v->n_domains--;
}

void domain_gone(Domain *d, const char *why)
{
    Virt *v = d->virt;

    for (VirtEventType type = 0; type < VIRT_EVENT_TYPE_MAX; type++)
        queue_drop(v->queue, &d->box, type);
    if (d->told_session > 0)
        virt_push(v, d, &(VirtEvent){.type = VIRT_DOMAIN_GONE, .text = why});
    (void) workers_cancel(v->workers, &d->caller, CALLS_ALL);
    if (d->channel)
        channel_end(d->channel);
    remove_from_table(d);
    /* A call under way keeps it until it returns. */
    if (d->caller.running)
        d->gone = true;
    else
        domain_destroy(d);
}

void domain_read(Domain *d)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    bool too_soon = d->definition_usec > 0 && usec_since(d->definition_usec, now) < READ_INTERVAL_USEC;

    if (caller_waits(&d->caller, CALL_DEFINITION) ||
        (!too_soon && workers_ask(d->virt->workers, &d->caller, CALL_DEFINITION) >= 0))
        return;
    /* One that is under way may have been read before the change. */
    if (d->due_usec == 0)
        d->due_usec = (too_soon ? d->definition_usec : now) + READ_INTERVAL_USEC;
    d->virt->any_due = true;
    virt_need_tick(d->virt);
}

void domains_tick(Virt *v, usec_t now_usec)
{
    if (!v->any_due || v->state != SESSION_OPEN)
        return;
    v->any_due = false;
    for (Domain *d = v->domains; d; d = d->next) {
        if (d->due_usec == 0)
            continue;
        if (now_usec >= d->due_usec) {
            d->due_usec = 0;
            domain_read(d);
        } else
            v->any_due = true;
    }
}

void domain_tell_busy(Domain *d)
{
    const char *busy = d->stuck           ? "no answer"
                       : d->job           ? d->job
                       : d->shutting_down ? "shutting down"
                       : d->paused        ? "paused"
                                          : NULL;

    if (d->told_session == 0 || d->gone || busy == d->busy)
        return;
    d->busy = busy;
    virt_push(d->virt, d, &(VirtEvent){.type = VIRT_DOMAIN_BUSY, .text = busy});
}

void domain_call_dropped(Domain *d, CallKind kind, int error, const char *text)
{
    static const VirtEventType types[CALL_KIND_MAX] = {
        [CALL_SET] = VIRT_SET_DONE,
        [CALL_ENTITLE] = VIRT_ENTITLE_DONE,
        [CALL_DEFINITION] = VIRT_EVENT_TYPE_MAX, /* asked for by nobody outside */
        [CALL_STATS] = VIRT_STATS,
        [CALL_CHANNEL] = VIRT_CHANNEL_CLOSED,
    };

    if (types[kind] != VIRT_EVENT_TYPE_MAX)
        virt_push(d->virt, d,
                  &(VirtEvent){.type = types[kind],
                               .error = error,
                               .text = text,
                               .bytes = kind == CALL_SET ? d->state.sent_bytes : 0});
}

void domain_lost(Domain *d)
{
    uint32_t dropped = workers_cancel(d->virt->workers, &d->caller, CALLS_ALL);

    for (CallKind kind = 0; kind < CALL_KIND_MAX; kind++)
        if (dropped & (1U << kind))
            domain_call_dropped(d, kind, -ENOTCONN, "the connection to libvirt was lost");
    if (d->channel)
        channel_fail(d->channel, -ENOTCONN, "the connection to libvirt was lost");
}
