/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps the known domains and sends the events that report on them. */

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "host-agent/libvirt/virt-internal.h"

/* The least time between two reads of a definition. With the timer's interval added, a change is still
 * reported within a second. */
#define READ_INTERVAL_USEC (900 * USEC_PER_MSEC)

static Domain **bucket_of(Virt *v, const char *uuid)
{
    uint32_t hash = 2166136261U; /* FNV-1a */

    for (; *uuid; uuid++)
        hash = (hash ^ (unsigned char) *uuid) * 16777619U;
    return &v->domains.hash[hash % DOMAINS_HASH];
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
    Domains *domains = &v->domains;
    Domain **bucket = bucket_of(v, uuid), *d;

    if (domains->n >= DOMAINS_MAX) {
        if (!domains->too_many)
            log_error("More than %u domains: not managing %s and further ones", DOMAINS_MAX, uuid);
        domains->too_many = true;
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
    d->next = domains->first;
    if (d->next)
        d->next->prev = d;
    domains->first = d;
    domains->n++;
    return d;
}

void domain_destroy(Domain *d)
{
    mailbox_leave(&d->box);
    channel_forget(d);
    free(d);
}

void domains_free(Virt *v)
{
    for (Domain *d = v->domains.first, *next; d; d = next) {
        next = d->next;
        domain_destroy(d);
    }
}

static void remove_from_table(Domain *d)
{
    Virt *v = d->virt;
    Domains *domains = &v->domains;
    Domain **link = bucket_of(v, d->uuid);

    while (*link != d)
        link = &(*link)->hash_next;
    *link = d->hash_next;
    *(d->prev ? &d->prev->next : &domains->first) = d->next;
    if (d->next)
        d->next->prev = d->prev;
    d->prev = d->next = d->hash_next = NULL;
    domains->n--;
}

void domain_gone(Domain *d, const char *why)
{
    Virt *v = d->virt;

    for (VirtEventType type = 0; type < VIRT_EVENT_TYPE_MAX; type++)
        queue_drop(v->queue, &d->box, type);
    if (d->reported_session > 0)
        virt_push(v, d, &(VirtEvent){.type = VIRT_DOMAIN_GONE, .text = why});
    (void) workers_cancel(v->workers, &d->caller, CALLS_ALL);
    if (d->channel.open)
        channel_end(d->channel.open);
    remove_from_table(d);
    /* A call under way keeps it until it returns. */
    if (d->caller.running)
        d->gone = true;
    else
        domain_destroy(d);
}

void domain_read(Domain *d)
{
    Domains *domains = &d->virt->domains;
    usec_t now = now_usec(CLOCK_MONOTONIC);
    bool too_soon = d->definition_usec > 0 && usec_since(d->definition_usec, now) < READ_INTERVAL_USEC;

    if (caller_waits(&d->caller, CALL_DEFINITION) ||
        (!too_soon && workers_ask(d->virt->workers, &d->caller, CALL_DEFINITION) >= 0))
        return;
    /* A call under way may have read the definition before it changed. */
    if (d->due_usec == 0)
        d->due_usec = (too_soon ? d->definition_usec : now) + READ_INTERVAL_USEC;
    domains->any_due = true;
    virt_need_tick(d->virt);
}

void domains_tick(Virt *v, usec_t now_usec)
{
    Domains *domains = &v->domains;

    if (!domains->any_due || v->session.state != SESSION_OPEN)
        return;
    domains->any_due = false;
    for (Domain *d = domains->first; d; d = d->next) {
        if (d->due_usec == 0)
            continue;
        if (now_usec >= d->due_usec) {
            d->due_usec = 0;
            domain_read(d);
        } else
            domains->any_due = true;
    }
}

void domain_reading(Domain *d)
{
    d->definition_usec = now_usec(CLOCK_MONOTONIC);
    d->due_usec = 0;
}

void domain_seen(Domain *d)
{
    d->generation = d->virt->session.generation;
}

void domain_set_running(Domain *d, bool paused, bool shutting_down)
{
    d->busy.paused = paused;
    d->busy.shutting_down = shutting_down;
    d->busy.changes++;
}

void domain_set_stuck(Domain *d, bool stuck)
{
    d->busy.stuck = stuck;
}

int domain_ask_stats(Domain *d, unsigned period_sec)
{
    d->asked.period_sec = period_sec;
    return workers_ask(d->virt->workers, &d->caller, CALL_STATS);
}

int domain_ask_set(Domain *d, const DomainState *state)
{
    if (caller_has(&d->caller, CALL_SET))
        return -EBUSY;
    d->asked.state = *state;
    return workers_ask(d->virt->workers, &d->caller, CALL_SET);
}

int domain_ask_remember(Domain *d, uint64_t overhead_bytes)
{
    if (caller_has(&d->caller, CALL_REMEMBER))
        return -EBUSY;
    d->asked.overhead_bytes = overhead_bytes;
    return workers_ask(d->virt->workers, &d->caller, CALL_REMEMBER);
}

int domain_ask_entitle(Domain *d, const EntitlementChange *change)
{
    if (caller_has(&d->caller, CALL_ENTITLE))
        return -EBUSY;
    d->asked.entitling = *change;
    return workers_ask(d->virt->workers, &d->caller, CALL_ENTITLE);
}

void domain_close_channel(Domain *d)
{
    Virt *v = d->virt;

    (void) workers_cancel(v->workers, &d->caller, 1U << CALL_CHANNEL);
    d->channel_unwanted = d->caller.running && d->caller.kind == CALL_CHANNEL;
    if (d->channel.open)
        channel_end(d->channel.open);
    queue_drop(v->queue, &d->box, VIRT_CHANNEL_OPENED);
    queue_drop(v->queue, &d->box, VIRT_CHANNEL_DATA);
    queue_drop(v->queue, &d->box, VIRT_CHANNEL_CLOSED);
}

void domain_report_busy(Domain *d)
{
    const char *busy = d->busy.stuck           ? "no answer"
                       : d->busy.job           ? d->busy.job
                       : d->busy.shutting_down ? "shutting down"
                       : d->busy.paused        ? "paused"
                                               : NULL;

    if (d->reported_session == 0 || d->gone || busy == d->busy.reported)
        return;
    d->busy.reported = busy;
    virt_push(d->virt, d, &(VirtEvent){.type = VIRT_DOMAIN_BUSY, .text = busy});
}

/* Sends the event that answers a dropped call. */
static void call_dropped(Domain *d, CallKind kind, int error, const char *text)
{
    static const VirtEventType types[CALL_KIND_MAX] = {
        [CALL_SET] = VIRT_SET_DONE,
        [CALL_ENTITLE] = VIRT_ENTITLE_DONE,
        [CALL_DEFINITION] = VIRT_EVENT_TYPE_MAX, /* nobody outside asked for it */
        [CALL_REMEMBER] = VIRT_EVENT_TYPE_MAX,   /* nobody outside waits for it */
        [CALL_STATS] = VIRT_STATS,
        [CALL_CHANNEL] = VIRT_CHANNEL_CLOSED,
        [CALL_FIND] = VIRT_EVENT_TYPE_MAX, /* no domain has such a call */
    };

    if (types[kind] != VIRT_EVENT_TYPE_MAX)
        virt_push(d->virt, d,
                  &(VirtEvent){.type = types[kind],
                               .error = error,
                               .text = text,
                               .bytes = kind == CALL_SET ? d->asked.state.sent_bytes : 0});
}

static void done_remember(Domain *d)
{
    const Call *call = &d->call;
    Domains *domains = &d->virt->domains;

    if (call->remembered)
        d->remembered = call->state;
    if (call->forgetful && !domains->forgetful) {
        domains->forgetful = true;
        log_warning(
            "libvirt cannot store metadata with a domain; after a restart ballastd will treat sizes that it set itself as set by an administrator");
    }
}

static void done_set(Domain *d)
{
    const Call *call = &d->call;

    done_remember(d);
    virt_push(d->virt, d,
              &(VirtEvent){.type = VIRT_SET_DONE,
                           .error = call->error,
                           .bytes = call->state.sent_bytes,
                           .text = call->text});
}

static void done_entitle(Domain *d)
{
    const Call *call = &d->call;

    virt_push(d->virt, d, &(VirtEvent){.type = VIRT_ENTITLE_DONE, .error = call->error, .text = call->text});
    /* At once, and even after an error: libvirt may have changed the guest and failed on the definition
     * only. */
    d->definition_usec = 0;
    domain_read(d);
}

static void done_stats(Domain *d)
{
    const Call *call = &d->call;

    d->has_period = d->has_period || call->period_sec > 0;
    virt_push(d->virt, d,
              &(VirtEvent){.type = VIRT_STATS,
                           .error = call->error,
                           .text = call->text,
                           .stats = call->error == 0 ? &call->stats : NULL});
}

static void definition_failed(Domain *d)
{
    const Call *call = &d->call;

    if (d->virt->session.state != SESSION_OPEN || call->conn->lost)
        return; /* the reconnection reads it again */
    if (!d->unreadable)
        log_warning("Domain %s: not managing it: %s", d->uuid,
                    call->text ? call->text : strerror(-call->error));
    d->unreadable = true;
    /* A definition that can't be parsed is read again only when it changes. */
    if (call->error != -EBADMSG)
        domain_read(d);
}

static void done_definition(Domain *d)
{
    const Call *call = &d->call;
    Virt *v = d->virt;
    bool again = d->reported_session == v->session.number;

    if (call->error < 0) {
        definition_failed(d);
        return;
    }
    /* The domain was started again in the meantime; an event reports that. */
    if (call->info->id != d->id || v->session.state != SESSION_OPEN)
        return;
    d->unreadable = d->vanished = false;
    d->has_period = d->has_period || call->info->stats_period_sec > 0;
    d->remembered = call->info->remembered;
    if (call->changes == d->busy.changes) {
        d->busy.paused = call->paused;
        d->busy.shutting_down = call->shutting_down;
    } else
        domain_read(d);
    d->reported_session = v->session.number;
    virt_push(v, d,
              &(VirtEvent){.type = again ? VIRT_DOMAIN_CHANGED : VIRT_DOMAIN_ADDED, .info = call->info});
    if (!again)
        d->busy.reported = NULL;
}

void domains_report_listed(Virt *v)
{
    Domains *domains = &v->domains;

    if (v->session.state != SESSION_OPEN || domains->listed_session == v->session.number)
        return;
    for (const Domain *d = domains->first; d; d = d->next)
        if (d->reported_session != v->session.number && !d->unreadable)
            return;
    domains->listed_session = v->session.number;
    virt_push(v, NULL, &(VirtEvent){.type = VIRT_LISTED});
}

static void done_channel(Domain *d)
{
    const Call *call = &d->call;
    bool wanted = !d->channel_unwanted && !d->gone;

    d->channel_unwanted = false;
    if (call->channel)
        channel_adopt(call->channel, d, wanted);
    else if (wanted)
        call_dropped(d, CALL_CHANNEL, call->error, call->text);
}

bool domain_call_done(Domain *d, CallKind kind)
{
    const Call *call = &d->call;
    Domains *domains = &d->virt->domains;

    if (call->error < 0)
        domains->failures++;
    if (call->job_known)
        d->busy.job = call->job;
    if (kind == CALL_DEFINITION && call->vanished && !d->gone) {
        bool again = d->vanished;

        /* An event says why, and may come a moment later. Only if none has come until the next read was it missed. */
        d->vanished = true;
        if (!again)
            domain_read(d);
        return !again;
    }
    if (d->gone && kind != CALL_CHANNEL)
        return true;
    switch (kind) {
    case CALL_SET:
        done_set(d);
        break;
    case CALL_ENTITLE:
        done_entitle(d);
        break;
    case CALL_REMEMBER:
        done_remember(d);
        break;
    case CALL_STATS:
        done_stats(d);
        break;
    case CALL_DEFINITION:
        done_definition(d);
        domains_report_listed(d->virt);
        break;
    case CALL_CHANNEL:
        done_channel(d);
        break;
    case CALL_FIND:
    case CALL_KIND_MAX:
        break;
    }
    return true;
}

void domain_lost(Domain *d)
{
    uint32_t dropped = workers_cancel(d->virt->workers, &d->caller, CALLS_ALL);

    for (CallKind kind = 0; kind < CALL_KIND_MAX; kind++)
        if (dropped & (1U << kind))
            call_dropped(d, kind, -ENOTCONN, "the connection to libvirt was lost");
    if (d->channel.open)
        channel_fail(d->channel.open, -ENOTCONN, "the connection to libvirt was lost");
}
