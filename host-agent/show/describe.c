/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The status and the dump, as dictionaries. */

#include <string.h>

#include "host-agent/guest/guest-judge.h"
#include "host-agent/show/describe.h"

/* The host as a policy sees it, and what the plan made of that. */
static void describe_host(Dict *d, const Manager *m, usec_t now_usec)
{
    dict_text(d, "scope", m->watch.scope ? m->watch.scope->path : "system");
    dict_text(d, "psi_trigger", host_trigger_to_string(m->watch.trigger));
    if (m->watch.valid) {
        for (HostField f = 0; f < HOST_FIELD_MAX; f++)
            if (f != HOST_FIELD_PENDING && f != HOST_FIELD_KSM_PROFIT && host_fields_has(&m->watch.fields, f))
                describe_field(d, host_field_info(f), host_fields_get(&m->watch.fields, f));
        if (host_fields_has(&m->watch.fields, HOST_FIELD_KSM_PROFIT))
            dict_signed(d, "ksm_profit_bytes", host_fields_get(&m->watch.fields, HOST_FIELD_KSM_PROFIT));
        dict_count(d, "uptime_usec", now_usec);
        if (m->watch.oom.killed_usec > 0) {
            dict_count(d, "oom_kills_seen", m->watch.oom.kills);
            dict_age(d, "oom_kill_age_usec", m->watch.oom.killed_usec, now_usec);
        }
        dict_text(d, "pressure", host_pressure_to_string(m->cycle.plan.pressure));
        dict_signed(d, "pending_bytes", m->cycle.plan.pending_bytes);
        dict_count(d, "shortfall_bytes", m->cycle.plan.shortfall_bytes);
        dict_bytes(d, "pressure_threshold_bytes", m->cycle.plan.pressure_threshold_bytes);
        dict_bytes(d, "critical_threshold_bytes", m->cycle.plan.critical_threshold_bytes);
        dict_bytes(d, "relax_threshold_bytes", m->cycle.plan.relax_threshold_bytes);
        describe_nodes(d, nodes_known(&m->watch.nodes));
    }
}

static void describe_counts(Dict *d, const Manager *m, usec_t now_usec)
{
    uint64_t by_source[GUEST_SOURCE_MAX] = {}, moving = 0, stalled = 0, distress = 0, hurting = 0, stale = 0;

    for (size_t i = 0; i < m->guests.n; i++) {
        const Guest *g = m->guests.entries[i].guest;
        usec_t age = guest_age(g, now_usec);

        by_source[guest_source(g, now_usec)]++;
        moving += g->balloon.moving || g->sending.setting;
        stalled += balloon_is_stalled(&g->balloon, now_usec);
        distress += guest_in_distress(g, now_usec);
        hurting += guest_is_hurting(g, now_usec);
        stale += age != USEC_INFINITY && age > m->config->guard.stale_usec;
    }
    dict_count(d, "guests", m->guests.n);
    dict_count(d, "guests_agent", by_source[GUEST_SOURCE_AGENT]);
    dict_count(d, "guests_libvirt", by_source[GUEST_SOURCE_LIBVIRT]);
    dict_count(d, "guests_none", by_source[GUEST_SOURCE_NONE]);
    dict_count(d, "guests_stale", stale);
    dict_count(d, "guests_moving", moving);
    dict_count(d, "guests_stalled", stalled);
    dict_count(d, "guests_distress", distress);
    dict_count(d, "guests_hurting", hurting);
}

/* Whether the files on disk are those that run. */
static void describe_files(Dict *d, const Manager *m, usec_t now_usec)
{
    dict_known(d, "file", m->config->path);
    dict_bool(d, "changed", file_mark_changed(&m->marks.config));
    if (m->refused) {
        dict_text(d, "refused", m->refused);
        dict_age(d, "refused_age_usec", m->refused_usec, now_usec);
    }
}

void describe_status(Dict *d, const Manager *m, usec_t now_usec)
{
    char why[DICT_TEXT_MAX], neighbours[NEIGHBOURS_TEXT_MAX];

    manager_why(m, why, sizeof(why));
    neighbours_text(&m->neighbours, neighbours, sizeof(neighbours));
    dict_text(d, "version", BALLAST_VERSION);
    dict_text(d, "mode", guest_mode_to_string(m->guest_host.mode));
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

    dict_open(d, "config");
    describe_files(d, m, now_usec);
    dict_close(d);

    dict_open(d, "policy");
    describe_policy(d, m);
    dict_close(d);

    dict_open(d, "libvirt");
    dict_text(d, "uri", m->libvirt.uri);
    dict_bool(d, "connected", m->libvirt.connected);
    if (!m->libvirt.connected)
        dict_known(d, "why", m->libvirt.lost_why);
    dict_close(d);

    dict_open(d, "cycle");
    dict_count(d, "count", m->cycle.count);
    dict_age(d, "age_usec", m->cycle.began_usec, now_usec);
    dict_count(d, "took_usec", m->cycle.took_usec);
    dict_count(d, "interval_usec", m->config->interval_usec);
    dict_close(d);
}

/* What the next cycle would decide from. None where the host's memory can't be read: then nothing is. */
static void put_snapshot(Dict *d, const Manager *m, usec_t now_usec)
{
    _cleanup_free_ SnapshotGuest *guests = NULL;
    Snapshot s = {.now_usec = now_usec,
                  .mode = m->guest_host.mode,
                  .host = m->watch.fields,
                  .history = &m->policy.keep.history,
                  .state = m->policy.keep.state,
                  .n_guests = m->guests.n,
                  .nodes = nodes_known(&m->watch.nodes),
                  .node_states = m->policy.nodes.states,
                  .n_node_states = m->policy.nodes.n};
    int r;

    if (!m->watch.valid)
        return;
    r = guests_snapshot(&m->guests, now_usec, &guests);
    if (r < 0) {
        d->error = MIN(d->error, r);
        return;
    }
    s.guests = guests;
    dict_open(d, "snapshot");
    describe_snapshot(d, &s, &m->config->guard, m->policy.policy, DUMP_GUESTS_MAX);
    dict_close(d);
}

void describe_dump(Dict *d, const Manager *m, usec_t now_usec)
{
    size_t shown = MIN(m->guests.n, (size_t) DUMP_GUESTS_MAX);
    VirtCounters virt = {};

    dict_open(d, "status");
    describe_status(d, m, now_usec);
    dict_close(d);

    describe_config(d, m);

    if (m->libvirt.virt)
        virt_counters(m->libvirt.virt, &virt);
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
    for (size_t i = 0; i < shown; i++) {
        dict_begin(d);
        describe_guest(d, &m->guests.entries[i], now_usec);
        dict_end(d);
    }
    dict_list_close(d);
    if (shown < m->guests.n)
        dict_count(d, "guests_left_out", m->guests.n - shown);

    put_snapshot(d, m, now_usec);
}
