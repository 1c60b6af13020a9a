/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A snapshot as a dictionary: ballast-snapshot(5). */

#include "host-agent/show/describe-snapshot.h"

#include <string.h>

#include "host-agent/decide/view.h"

void describe_field(Dict *d, const FieldInfo *info, double value)
{
    char key[SNAPSHOT_KEY_MAX];

    snapshot_field_key(key, info);
    switch (info->unit) {
    case FIELD_UNIT_BYTES:
    case FIELD_UNIT_DURATION:
        if (value < 0)
            dict_signed(d, key, value);
        else
            dict_bytes(d, key, value);
        break;
    case FIELD_UNIT_BOOLEAN:
        dict_bool(d, key, value != 0);
        break;
    case FIELD_UNIT_NUMBER:
    case FIELD_UNIT_RATE:
        dict_real(d, key, value);
        break;
    case FIELD_UNIT_TEXT: /* other keys have these */
    case FIELD_UNIT_MAX:
    case FIELD_UNIT_INVALID:
        break;
    }
}

static void put_mode(Dict *d, const char *key, const GuestMode *mode)
{
    dict_text(d, key, guest_mode_to_string(*mode));
}

static void put_source(Dict *d, const char *key, const GuestSource *source)
{
    dict_text(d, key, guest_source_to_string(*source));
}

static void put_text(Dict *d, const char *key, const char *const *text)
{
    dict_text(d, key, *text);
}

/* Most flags are down, and are left out; the reader takes a missing one as down. */
static void put_flag(Dict *d, const char *key, const bool *flag)
{
    if (*flag)
        dict_bool(d, key, true);
}

static void put_bytes(Dict *d, const char *key, const uint64_t *bytes)
{
    dict_count(d, key, *bytes);
}

static void put_usec(Dict *d, const char *key, const usec_t *usec)
{
    if (*usec != USEC_INFINITY)
        dict_count(d, key, *usec);
}

static void put_real(Dict *d, const char *key, const double *value)
{
    dict_real(d, key, *value);
}

static void put_nodes(Dict *d, const char *key, const uint64_t *nodes)
{
    char text[NODE_SET_TEXT_MAX];

    dict_known(d, key, node_set_format(text, *nodes));
}

#define PUT_NODES  put_nodes
#define PUT_TEXT   put_text
#define PUT_MODE   put_mode
#define PUT_SOURCE put_source
#define PUT_FLAG   put_flag
#define PUT_BYTES  put_bytes
#define PUT_USEC   put_usec
#define PUT_RATIO  put_real
#define PUT_REAL   put_real

static size_t count_points(const SeriesSet *s)
{
    size_t n = 0;

    for (size_t i = 0; s && i < s->n; i++)
        n += s->series[i].n;
    return n;
}

/* The oldest value first. */
static void put_series(Dict *d, const char *key, const Series *s, usec_t now_usec)
{
    dict_list_open(d, key, "aad");
    for (unsigned i = 0; i < s->n; i++) {
        const Point *p = &s->points[i];
        const double pair[] = {(double) usec_since(p->at_usec, now_usec) / USEC_PER_SEC, p->value};

        dict_reals(d, pair, ELEMENTSOF(pair));
    }
    dict_list_close(d);
}

static void put_history(Dict *d, const SeriesSet *history, bool host, usec_t now_usec)
{
    char key[SNAPSHOT_KEY_MAX];

    if (count_points(history) == 0)
        return;
    dict_open(d, "history");
    for (size_t i = 0; i < history->n; i++) {
        const Series *s = &history->series[i];

        put_series(d,
                   snapshot_field_key(key, host ? host_field_info((HostField) s->need.field)
                                                : guest_field_info((GuestField) s->need.field)),
                   s, now_usec);
    }
    dict_close(d);
}

static void put_state(Dict *d, const Policy *policy, bool host, const double *values)
{
    const PolicyState *states;
    char key[SNAPSHOT_STATE_KEY_MAX];
    size_t n;

    if (!policy || !values)
        return;
    states = policy_states(policy, host, &n);
    if (n == 0)
        return;
    dict_open(d, "state");
    for (size_t i = 0; i < n; i++) {
        snapshot_state_key(key, states[i].file, states[i].name);
        if (states[i].unit == FIELD_UNIT_BOOLEAN)
            dict_bool(d, key, values[i] != 0);
        else
            dict_real(d, key, values[i]);
    }
    dict_close(d);
}

static void put_host(Dict *d, const Snapshot *s, const Policy *policy, bool history)
{
    FieldSet held = view_snapshot_fields(true);

    held = field_set_common(&held, &s->host.present);
    dict_open(d, "host");
    FOREACH_FIELD(f, &held)
        describe_field(d, host_field_info((HostField) f), host_fields_get(&s->host, (HostField) f));
    describe_field(d, host_field_info(HOST_FIELD_UPTIME), (double) s->now_usec);
    if (history)
        put_history(d, s->history, true, s->now_usec);
    put_state(d, policy, true, s->state);
    dict_close(d);
}

void describe_nodes(Dict *d, const SnapshotNode *nodes)
{
    if (!nodes)
        return;
    dict_list_open(d, "nodes", "aa{sv}");
    for (unsigned i = 0; i < NODE_SET_MAX; i++) {
        if (nodes[i].total_bytes == 0)
            continue;
        dict_begin(d);
        dict_count(d, "node", i);
        dict_count(d, "total_bytes", nodes[i].total_bytes);
        dict_count(d, "free_bytes", nodes[i].free_bytes);
        dict_count(d, "available_bytes", nodes[i].available_bytes);
        dict_end(d);
    }
    dict_list_close(d);
}

static void put_node_states(Dict *d, const Snapshot *s, const Policy *policy)
{
    if (s->n_node_states == 0)
        return;
    dict_list_open(d, "node_states", "aa{sv}");
    for (size_t i = 0; i < s->n_node_states; i++) {
        dict_begin(d);
        put_nodes(d, "nodes", &s->node_states[i].nodes);
        put_state(d, policy, true, s->node_states[i].state);
        dict_end(d);
    }
    dict_list_close(d);
}

static void put_guest(Dict *d, const Snapshot *s, const SnapshotGuest *g, const Policy *policy, bool history)
{
    FieldSet held = view_snapshot_fields(false);

    held = field_set_common(&held, &g->fields.present);
    dict_begin(d);
    dict_text(d, "name", g->name);
    dict_text(d, "uuid", g->uuid);
#define SNAPSHOT_GUEST(key, type, member) PUT_##type(d, key, &g->member);
#define SNAPSHOT_GUARD(key, type, member)
#include "host-agent/decide/snapshot.def"
#undef SNAPSHOT_GUEST
#undef SNAPSHOT_GUARD
    FOREACH_FIELD(f, &held)
        describe_field(d, guest_field_info((GuestField) f), guest_fields_get(&g->fields, (GuestField) f));
    if (history)
        put_history(d, g->history, false, s->now_usec);
    put_state(d, policy, false, g->state);
    dict_end(d);
}

void describe_snapshot(Dict *d, const Snapshot *s, const GuardConfig *guard, const Policy *policy,
                       size_t guests_max)
{
    size_t written = MIN(s->n_guests, guests_max), points = count_points(s->history);

    for (size_t i = 0; i < written; i++)
        points += count_points(s->guests[i].history);

    put_mode(d, "mode", &s->mode);
    dict_open(d, "guard");
#define SNAPSHOT_GUEST(key, type, member)
#define SNAPSHOT_GUARD(key, type, member) PUT_##type(d, key, &guard->member);
#include "host-agent/decide/snapshot.def"
#undef SNAPSHOT_GUEST
#undef SNAPSHOT_GUARD
    dict_close(d);

    put_host(d, s, policy, points <= SNAPSHOT_HISTORY_MAX);
    describe_nodes(d, s->nodes);
    put_node_states(d, s, policy);
    dict_list_open(d, "guests", "aa{sv}");
    for (size_t i = 0; i < written; i++)
        put_guest(d, s, &s->guests[i], policy, points <= SNAPSHOT_HISTORY_MAX);
    dict_list_close(d);
    if (written < s->n_guests)
        dict_count(d, "guests_left_out", s->n_guests - written);
    if (points > SNAPSHOT_HISTORY_MAX)
        dict_bool(d, "history_left_out", true);
}
