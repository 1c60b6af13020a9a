/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Divides a snapshot by the NUMA nodes that guests are bound to, and joins the plans of its parts. */
#include "host-agent/decide/group.h"

#include <string.h>

#include "host-agent/decide/bytes.h"
#include "host-agent/decide/text.h"
#include "host-agent/decide/view.h"

/* ---- The groups ---- */

/* Fewer nodes first. */
static int nodes_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    int n = __builtin_popcountll(x), m = __builtin_popcountll(y);

    return n != m ? n - m : (x > y) - (x < y);
}

static size_t find(const Groups *g, uint64_t nodes)
{
    size_t i = 0;

    while (i < g->n && g->nodes[i] != nodes)
        i++;
    return i;
}

/* The sets of nodes that guests are bound to. */
static void collect(const Snapshot *s, Groups *g)
{
    for (size_t i = 0; i < s->n_guests; i++) {
        uint64_t nodes = snapshot_bound_to(s, s->guests + i);

        if (nodes == 0)
            g->unbound = true;
        else if (g->n < GROUPS_MAX && find(g, nodes) == g->n)
            g->nodes[g->n++] = nodes;
    }
}

int groups_find(const Snapshot *s, Groups *ret)
{
    Groups g = {.whole = s};

    *ret = (Groups){};
    if (!s->nodes || !(host_fields_get(&s->host, HOST_FIELD_TOTAL) > 0) ||
        !host_fields_has(&s->host, HOST_FIELD_AVAILABLE))
        return 0;
    collect(s, &g);
    if (g.n == 0)
        return 0;
    qsort(g.nodes, g.n, sizeof *g.nodes, nodes_compare);
    g.nodes[g.n] = 0;

    g.of = calloc(s->n_guests, sizeof *g.of);
    g.guests = calloc(s->n_guests, sizeof *g.guests);
    g.part = calloc(s->n_guests, sizeof *g.part);
    g.index = calloc(s->n_guests, sizeof *g.index);
    g.history.series = calloc(s->history ? s->history->n + 1 : 1, sizeof *g.history.series);
    if (!g.of || !g.guests || !g.part || !g.index || !g.history.series) {
        groups_done(&g);
        return -ENOMEM;
    }
    memcpy(g.guests, s->guests, s->n_guests * sizeof *g.guests);
    for (size_t i = 0; i < s->n_guests; i++)
        g.of[i] = (uint8_t) find(&g, snapshot_bound_to(s, s->guests + i));
    *ret = g;
    return 0;
}

void groups_done(Groups *g)
{
    free(g->of);
    free(g->guests);
    free(g->part);
    free(g->index);
    free(g->history.series);
    *g = (Groups){};
}

/* ---- A part ---- */

/* Stats of the host's memory that are the nodes' in a part. Swap belongs to no node: they have a share of it. */
static const HostField own_fields[] = {
    HOST_FIELD_TOTAL,     HOST_FIELD_AVAILABLE,   HOST_FIELD_FREE,
    HOST_FIELD_RESERVE,   HOST_FIELD_SWAP_TOTAL,  HOST_FIELD_SWAP_FREE,
    HOST_FIELD_SWAP_USED, HOST_FIELD_SWAP_MEMORY, HOST_FIELD_PENDING,
};

/* Returns whether the nodes count as what they are. */
static bool set_host(const Groups *g, uint64_t nodes, HostFields *h)
{
    const HostFields *whole = &g->whole->host;
    SnapshotNode m = snapshot_memory_of(g->whole, nodes);
    double share = (double) m.total_bytes / host_fields_get(whole, HOST_FIELD_TOTAL),
           host_part = share * host_fields_get(whole, HOST_FIELD_AVAILABLE);
    bool own = !g->unbound || (double) m.available_bytes < host_part;

    for (size_t i = 0; i < ELEMENTSOF(own_fields); i++)
        if (host_fields_has(h, own_fields[i]))
            host_fields_set(h, own_fields[i], share * host_fields_get(h, own_fields[i]));
    host_fields_set(h, HOST_FIELD_TOTAL, (double) m.total_bytes);
    host_fields_set(h, HOST_FIELD_AVAILABLE, own ? (double) m.available_bytes : host_part);
    host_fields_set(h, HOST_FIELD_FREE, (double) m.free_bytes);
    return own;
}

/* The host's history without the stats that are the nodes' now: windows over them hold only the present value. */
static const SeriesSet *history_of_part(Groups *g)
{
    const SeriesSet *whole = g->whole->history;

    g->history.n = 0;
    for (size_t i = 0; whole && i < whole->n; i++) {
        bool own = false;

        for (size_t f = 0; f < ELEMENTSOF(own_fields); f++)
            own |= whole->series[i].need.field == (int) own_fields[f];
        if (!own)
            g->history.series[g->history.n++] = whole->series[i];
    }
    return &g->history;
}

static const double *state_of(const Snapshot *s, uint64_t nodes)
{
    for (size_t i = 0; i < s->n_node_states; i++)
        if (s->node_states[i].nodes == nodes)
            return s->node_states[i].state;
    return NULL;
}

/* Counts in a guest of another part, which is bound to bound_to (0: not bound, or in no group). What it releases on nodes that this
 * part doesn't have is nothing to it. From where a guest that isn't bound takes its memory isn't known, and shows in
 * what the nodes have available. */
static void count_apart(const SnapshotGuest *g, uint64_t bound_to, uint64_t nodes, SnapshotApart *a)
{
    uint64_t promised = guard_promised(g);

    if (nodes != 0 && (bound_to & nodes) == 0)
        return;
    a->spoken_bytes = bytes_add(a->spoken_bytes, promised);
    if (nodes != 0 && (bound_to & ~nodes) != 0)
        a->pending_bytes -= (double) promised;
    else {
        a->pending_bytes += view_pending_of(g);
        a->leaving_bytes = bytes_add(a->leaving_bytes, guard_leaving(g));
    }
}

void groups_part(Groups *g, size_t i, const GuardConfig *c, Snapshot *ret)
{
    uint64_t nodes = g->nodes[i];
    Snapshot all = *g->whole, s = *g->whole;

    all.guests = g->guests;
    s.guests = g->part;
    s.n_guests = 0;
    for (size_t j = 0; j < all.n_guests; j++)
        if (g->of[j] == i) {
            g->index[s.n_guests] = j;
            g->part[s.n_guests++] = g->guests[j];
        } else
            count_apart(g->guests + j, g->nodes[g->of[j]], nodes, &s.apart);
    if (nodes != 0) {
        s.part_nodes = set_host(g, nodes, &s.host) ? nodes : 0;
        s.history = history_of_part(g);
        s.state = state_of(g->whole, nodes);
        s.apart.spoken_bytes =
            bytes_add(s.apart.spoken_bytes, LESS_BY(guard_room(&s, c), guard_room(&all, c)));
    }
    *ret = s;
}

/* ---- The plan ---- */

int groups_begin(const Groups *g, size_t n_states, Plan *ret)
{
    size_t n = g->whole->n_guests;
    Plan p = {.n_decisions = n,
              .decisions = reallocarray(NULL, n, sizeof *p.decisions),
              .groups = calloc(g->n, sizeof *p.groups)};

    if (n_states > 0)
        p.guest_state = calloc(n, n_states * sizeof *p.guest_state);
    if (!p.decisions || !p.groups || (n_states > 0 && !p.guest_state)) {
        plan_done(&p);
        return -ENOMEM;
    }
    *ret = p;
    return 0;
}

/* The guest as it will be when its decision was carried out. What was promised to it, and is taken back, is no room
 * for others in this cycle: it may have taken it. */
static void carry_out(SnapshotGuest *g, const Decision *d)
{
    uint64_t before = MAX(g->sizes.standing_bytes, guard_has(g));

    if (!d->send)
        return;
    g->sizes.outstanding_bytes = bytes_add(guard_promised(g), LESS_BY(d->target_bytes, before));
    g->sizes.standing_bytes = d->target_bytes;
}

static size_t place_of(const Groups *g, size_t guest, size_t n)
{
    return guest < n ? g->index[guest] : SIZE_MAX;
}

static void add_words(const Groups *g, const Plan *part, Plan *plan)
{
    for (size_t i = 0; i < part->n_notes && plan->n_notes < POLICY_NOTES_MAX; i++) {
        PolicyNote *n = plan->notes + plan->n_notes++;

        *n = part->notes[i];
        n->guest = place_of(g, n->guest, part->n_decisions);
    }
    for (size_t i = 0; i < part->n_logs && plan->n_logs < POLICY_LOGS_MAX; i++) {
        PolicyLog *l = plan->logs + plan->n_logs++;

        *l = part->logs[i];
        l->guest = place_of(g, l->guest, part->n_decisions);
    }
    plan->notes_total += part->notes_total;
    plan->logs_total += part->logs_total;
}

static bool does_something(const Groups *g, const Plan *part)
{
    for (size_t i = 0; i < part->n_decisions; i++)
        if (part->decisions[i].target_bytes != g->part[i].sizes.standing_bytes ||
            part->decisions[i].reclaim.bytes > 0)
            return true;
    return false;
}

static void add_group(const Groups *g, uint64_t nodes, Plan *part, Plan *plan)
{
    PlanGroup *group = plan->groups + plan->n_groups++;
    HostFields h = g->whole->host;
    bool own = set_host(g, nodes, &h);

    *group = (PlanGroup){.nodes = nodes,
                         .memory = snapshot_memory_of(g->whole, nodes),
                         .own = own,
                         .pressure = part->pressure,
                         .pending_bytes = part->pending_bytes,
                         .state = TAKE_PTR(part->state)};
    memcpy(group->in_force_bytes, part->in_force_bytes, sizeof group->in_force_bytes);
    if (own || does_something(g, part))
        memcpy(group->summary, part->summary, sizeof group->summary);
}

/* What is decided by the whole host's memory. */
static void add_whole(Plan *part, Plan *plan)
{
    Text t = text_init(plan->summary, sizeof plan->summary);

    plan->pressure = part->pressure;
    plan->pressure_threshold_bytes = part->pressure_threshold_bytes;
    plan->critical_threshold_bytes = part->critical_threshold_bytes;
    plan->relax_threshold_bytes = part->relax_threshold_bytes;
    memcpy(plan->in_force_bytes, part->in_force_bytes, sizeof plan->in_force_bytes);
    plan->pending_bytes = part->pending_bytes;
    plan->state = TAKE_PTR(part->state);
    plan->n_host = part->n_host;
    memcpy(plan->host, part->host, sizeof plan->host);
    text_add(&t, part->summary);
    for (size_t i = 0; i < plan->n_groups; i++) {
        text_add(&t, plan->groups[i].summary[0] ? "; " : "");
        text_add(&t, plan->groups[i].summary);
    }
}

void groups_add(Groups *g, size_t i, size_t n_states, Plan *part, Plan *plan)
{
    for (size_t j = 0; j < part->n_decisions; j++) {
        size_t at = g->index[j];

        plan->decisions[at] = part->decisions[j];
        carry_out(g->guests + at, part->decisions + j);
        if (part->guest_state && plan->guest_state)
            memcpy(plan->guest_state + at * n_states, part->guest_state + j * n_states,
                   n_states * sizeof *plan->guest_state);
    }
    plan->shortfall_bytes = bytes_add(plan->shortfall_bytes, part->shortfall_bytes);
    if (plan->policy_error == 0)
        plan->policy_error = part->policy_error;
    add_words(g, part, plan);
    if (i < g->n)
        add_group(g, g->nodes[i], part, plan);
    else
        add_whole(part, plan);
    plan_done(part);
}
