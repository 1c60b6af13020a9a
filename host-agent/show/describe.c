/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "host-agent/show/describe.h"

/* A policy's own variables may be negative. */
static void put_whole(Dict *d, const char *name, const char *suffix, double value)
{
    char key[DESCRIBE_KEY_MAX];

    snprintf(key, sizeof(key), "%s%s", name, suffix);
    if (value < 0)
        dict_signed(d, key, value);
    else
        dict_bytes(d, key, value);
}

void describe_field(Dict *d, const FieldInfo *info, double value)
{
    char key[DESCRIBE_KEY_MAX];

    switch (info->unit) {
    case FIELD_UNIT_BYTES:
        put_whole(d, info->name, "_bytes", value);
        break;
    case FIELD_UNIT_DURATION:
        put_whole(d, info->name, "_usec", value);
        break;
    case FIELD_UNIT_BOOLEAN:
        dict_bool(d, info->name, value != 0);
        break;
    case FIELD_UNIT_NUMBER:
        dict_real(d, info->name, value);
        break;
    case FIELD_UNIT_RATE:
        snprintf(key, sizeof(key), "%s_bytes_per_sec", info->name);
        dict_real(d, key, value);
        break;
    case FIELD_UNIT_TEXT: /* told by other keys */
    case FIELD_UNIT_MAX:
    case FIELD_UNIT_INVALID:
        break;
    }
}

/* All that a policy sees of it, and what was made of that. */
static void describe_host(Dict *d, const Manager *m, usec_t now_usec)
{
    dict_text(d, "scope", m->scope ? m->scope->path : "system");
    if (m->host_valid) {
        for (HostField f = 0; f < HOST_FIELD_MAX; f++)
            if (f != HOST_FIELD_PENDING && f != HOST_FIELD_KSM_PROFIT && host_has(&m->host, f))
                describe_field(d, host_field_info(f), host_get(&m->host, f));
        if (host_has(&m->host, HOST_FIELD_KSM_PROFIT))
            dict_signed(d, "ksm_profit_bytes", host_get(&m->host, HOST_FIELD_KSM_PROFIT));
        dict_count(d, "uptime_usec", now_usec);
        dict_text(d, "pressure", host_pressure_to_string(m->plan.pressure));
        dict_signed(d, "pending_bytes", m->plan.pending_bytes);
        dict_count(d, "lacking_bytes", m->plan.lacking_bytes);
        dict_bytes(d, "pressure_mark_bytes", m->plan.pressure_mark_bytes);
        dict_bytes(d, "critical_mark_bytes", m->plan.critical_mark_bytes);
        dict_bytes(d, "relax_mark_bytes", m->plan.relax_mark_bytes);
    }
}

static const char *short_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The files that run, and who said so. */
static void describe_files(Dict *d, const Manager *m)
{
    char text[DICT_TEXT_MAX] = "";

    for (size_t i = 0; i < policy_n_files(m->policy); i++) {
        size_t fill = strlen(text);

        snprintf(text + fill, sizeof(text) - fill, "%s%s", i > 0 ? ", " : "",
                 policy_file(m->policy, i).origin);
    }
    dict_text(d, "file", text);
    dict_text(d, "origin", m->policy_origin);
}

/* "balloon.policy:41:5: web1: g.psi_memory_some is missing". The plan knows guests by their place: that of
 * now, unless some came or went since. */
static void describe_notes(Dict *d, const Manager *m)
{
    const Plan *p = &m->plan;
    char text[DICT_TEXT_MAX];

    dict_list_open(d, "notes", "as");
    for (size_t i = 0; i < p->n_notes; i++) {
        const PolicyNote *n = &p->notes[i];
        bool named = p->n_decisions == m->n_guests && n->guest < m->n_guests;

        snprintf(text, sizeof(text), "%s:%u:%u: %s%s%s", short_name(policy_file(m->policy, n->file).origin),
                 n->line, n->column, named ? m->guests[n->guest]->info.name : "", named ? ": " : "", n->text);
        dict_item(d, text);
    }
    dict_list_close(d);
    dict_count(d, "notes_total", p->notes_total);
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
    describe_files(d, m);
    if (m->plan.policy_error < 0)
        dict_text(d, "error", strerror(-m->plan.policy_error));
    describe_notes(d, m);
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
}
