/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "host-agent/show/describe.h"

/* All that a policy sees of it, and what was made of that. */
static void describe_host(Dict *d, const Manager *m, usec_t now_usec)
{
    dict_text(d, "scope", m->scope ? m->scope->path : "system");
    if (m->host_valid) {
        for (HostField f = 0; f < HOST_FIELD_MAX; f++)
            if (f != HOST_FIELD_PENDING && f != HOST_FIELD_KSM_PROFIT && host_fields_has(&m->host, f))
                describe_field(d, host_field_info(f), host_fields_get(&m->host, f));
        if (host_fields_has(&m->host, HOST_FIELD_KSM_PROFIT))
            dict_signed(d, "ksm_profit_bytes", host_fields_get(&m->host, HOST_FIELD_KSM_PROFIT));
        dict_count(d, "uptime_usec", now_usec);
        dict_text(d, "pressure", host_pressure_to_string(m->plan.pressure));
        dict_signed(d, "pending_bytes", m->plan.pending_bytes);
        dict_count(d, "shortfall_bytes", m->plan.shortfall_bytes);
        dict_bytes(d, "pressure_threshold_bytes", m->plan.pressure_threshold_bytes);
        dict_bytes(d, "critical_threshold_bytes", m->plan.critical_threshold_bytes);
        dict_bytes(d, "relax_threshold_bytes", m->plan.relax_threshold_bytes);
    }
}

static void describe_counts(Dict *d, const Manager *m, usec_t now_usec)
{
    uint64_t by_source[GUEST_SOURCE_MAX] = {}, moving = 0, stalled = 0, distress = 0, hurting = 0, stale = 0;

    for (size_t i = 0; i < m->n_guests; i++) {
        const Guest *g = m->guests[i];
        usec_t age = guest_age(g, now_usec);

        by_source[guest_source(g, now_usec)]++;
        moving += g->balloon.moving || g->setting;
        stalled += balloon_is_stalled(&g->balloon, now_usec);
        distress += guest_in_distress(g, now_usec);
        hurting += guest_is_hurting(g, now_usec);
        stale += age != USEC_INFINITY && age > m->config->guard.stale_usec;
    }
    dict_count(d, "guests", m->n_guests);
    dict_count(d, "guests_agent", by_source[GUEST_SOURCE_AGENT]);
    dict_count(d, "guests_libvirt", by_source[GUEST_SOURCE_LIBVIRT]);
    dict_count(d, "guests_none", by_source[GUEST_SOURCE_NONE]);
    dict_count(d, "guests_stale", stale);
    dict_count(d, "guests_moving", moving);
    dict_count(d, "guests_stalled", stalled);
    dict_count(d, "guests_distress", distress);
    dict_count(d, "guests_hurting", hurting);
}

void describe_status(Dict *d, const Manager *m, usec_t now_usec)
{
    char why[DICT_TEXT_MAX], neighbours[NEIGHBOURS_TEXT_MAX];

    manager_why(m, why, sizeof(why));
    neighbours_text(m, neighbours, sizeof(neighbours));
    dict_text(d, "version", BALLAST_VERSION);
    dict_text(d, "mode", guest_mode_to_string(m->mode));
    dict_text(d, "why", why);
    dict_text(d, "neighbours", neighbours);
    dict_age(d, "uptime_usec", m->started_usec, now_usec);

    dict_open(d, "host");
    describe_host(d, m, now_usec);
    dict_close(d);

    dict_open(d, "ksm");
    describe_ksm(d, m);
    dict_close(d);

    describe_counts(d, m, now_usec);

    dict_open(d, "policy");
    describe_policy(d, m);
    dict_close(d);

    dict_open(d, "libvirt");
    dict_text(d, "uri", m->uri);
    dict_bool(d, "connected", m->connected);
    if (!m->connected)
        dict_known(d, "why", m->disconnected_why);
    dict_close(d);

    dict_open(d, "cycle");
    dict_count(d, "count", m->cycles);
    dict_age(d, "age_usec", m->cycle_usec, now_usec);
    dict_count(d, "took_usec", m->cycle_took_usec);
    dict_count(d, "interval_usec", m->config->interval_usec);
    dict_close(d);
}

/* What the next cycle would decide from. None where the host's memory can't be read: then nothing is. */
static void put_snapshot(Dict *d, const Manager *m, usec_t now_usec)
{
    _cleanup_free_ SnapshotGuest *guests = calloc(m->n_guests + 1, sizeof(SnapshotGuest));
    Snapshot s = {.now_usec = now_usec,
                  .mode = m->mode,
                  .host = m->host,
                  .history = &m->keep.history,
                  .state = m->keep.state,
                  .guests = guests,
                  .n_guests = m->n_guests};

    if (!guests)
        d->error = MIN(d->error, -ENOMEM);
    if (!guests || !m->host_valid)
        return;
    for (size_t i = 0; i < m->n_guests; i++)
        guest_snapshot(m->guests[i], now_usec, &guests[i]);
    dict_open(d, "snapshot");
    describe_snapshot(d, &s, &m->config->guard, m->policy, DUMP_GUESTS_MAX);
    dict_close(d);
}

void describe_dump(Dict *d, const Manager *m, usec_t now_usec)
{
    size_t told = MIN(m->n_guests, (size_t) DUMP_GUESTS_MAX);
    VirtCounters virt = {};

    dict_open(d, "status");
    describe_status(d, m, now_usec);
    dict_close(d);

    describe_config(d, m);

    if (m->virt)
        virt_counters(m->virt, &virt);
    dict_open(d, "libvirt");
    dict_count(d, "calls", virt.calls);
    dict_count(d, "failures", virt.failures);
    dict_count(d, "reconnects", virt.reconnects);
    dict_count(d, "outstanding", virt.outstanding);
    dict_count(d, "stuck", virt.stuck);
    dict_count(d, "connections", virt.connections);
    dict_count(d, "queue_peak", virt.queue_peak);
    dict_close(d);

    dict_list_open(d, "guests", "aa{sv}");
    for (size_t i = 0; i < told; i++) {
        dict_begin(d);
        describe_guest(d, m->guests[i], now_usec);
        dict_end(d);
    }
    dict_list_close(d);
    if (told < m->n_guests)
        dict_count(d, "guests_left_out", m->n_guests - told);

    put_snapshot(d, m, now_usec);
}
