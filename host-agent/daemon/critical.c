/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Follows a critical host, or critical NUMA nodes, from the beginning to the end. */

#include "host-agent/daemon/critical.h"

#include <math.h>
#include <string.h>

#include "host-agent/decide/bytes.h"

/* It is over after this time above the threshold, or at once above the relax threshold. Available memory goes up and
 * down by what guests use: a host at the edge would begin and end each second, and be no better off. */
#define OVER_USEC  (30 * USEC_PER_SEC)
/* No guest gives more if none did for this long: after each move of a balloon there is a wait for newer stats. */
#define STUCK_USEC (5 * USEC_PER_SEC)

/* What a cycle saw of the host, or of the nodes. */
typedef struct Sight {
    const Snapshot *snapshot;
    const Plan *plan;
    uint64_t nodes;
    HostFields host; /* the nodes' total and available memory in place of the host's */
    bool critical;
    double threshold_bytes, relax_bytes, pending_bytes;
    const char *summary;
} Sight;

static Sight see_host(const Snapshot *s, const Plan *p)
{
    return (Sight){.snapshot = s,
                   .plan = p,
                   .host = s->host,
                   .critical = p->pressure == HOST_PRESSURE_SEVERE,
                   .threshold_bytes = p->in_force_bytes[POLICY_THRESHOLD_CRITICAL],
                   .relax_bytes = p->in_force_bytes[POLICY_THRESHOLD_RELAX],
                   .pending_bytes = p->pending_bytes,
                   .summary = p->summary};
}

/* Nodes that only count as the host does aren't critical: the host is. */
static bool is_critical(const PlanGroup *g)
{
    return g->own && g->pressure == HOST_PRESSURE_SEVERE;
}

/* g: NULL: no guest is bound to these nodes any more. */
static Sight see_nodes(const Snapshot *s, const Plan *p, uint64_t nodes, const PlanGroup *g)
{
    SnapshotNode m = snapshot_memory_of(s, nodes);
    Sight x = {.snapshot = s, .plan = p, .nodes = nodes, .host = s->host, .relax_bytes = INFINITY};

    host_fields_set(&x.host, HOST_FIELD_TOTAL, (double) m.total_bytes);
    host_fields_set(&x.host, HOST_FIELD_AVAILABLE, (double) m.available_bytes);
    if (!g)
        return x;
    x.critical = is_critical(g);
    x.threshold_bytes = g->in_force_bytes[POLICY_THRESHOLD_CRITICAL];
    x.relax_bytes = g->in_force_bytes[POLICY_THRESHOLD_RELAX];
    x.pending_bytes = g->pending_bytes;
    x.summary = g->summary;
    return x;
}

/* Whether a guest can give memory of the nodes. */
static bool is_concerned(const Sight *x, size_t i)
{
    return x->nodes == 0 || snapshot_bound_to(x->snapshot, x->snapshot->guests + i) == x->nodes;
}

static void critical_done(Critical *c)
{
    free(c->guests);
    *c = (Critical){};
}

static void tell(const Critical *c, NoticeKind kind, const Sight *x)
{
    Notice n = notice_of_host(kind, &x->host);

    n.mode = x->snapshot->mode;
    n.critical = c->done;
    n.critical.nodes = x->nodes;
    n.critical.threshold_bytes = bytes_from_double(x->threshold_bytes);
    notice_set_text(&n, x->summary);
    audience_tell(c->audience, &n);
}

/* What guests could give now, by their balloons or while they keep their sizes. */
static uint64_t can_give(const Sight *x)
{
    const SnapshotGuest *guests = x->snapshot->guests;
    uint64_t sum = 0;

    for (size_t i = 0; i < x->plan->n_decisions; i++) {
        const GuestBounds *b = &x->plan->decisions[i].bounds;

        if (guests[i].mode != GUEST_MODE_OFF && is_concerned(x, i))
            sum = bytes_add(sum,
                            MAX(LESS_BY(guests[i].sizes.standing_bytes, b->least_bytes), b->reclaim_bytes));
    }
    return sum;
}

/* Whether the plan takes something, or would in mode observe, or a balloon just takes it. */
static bool is_given(const Sight *x)
{
    for (size_t i = 0; i < x->plan->n_decisions; i++) {
        const Decision *d = &x->plan->decisions[i];

        if (is_concerned(x, i) &&
            (d->target_bytes < x->snapshot->guests[i].sizes.standing_bytes || d->reclaim.bytes > 0))
            return true;
    }
    return x->pending_bytes > 0;
}

static uint64_t handed_back(const Guest *g)
{
    const Lever *l = g->levers.lever;

    return bytes_add(l[LEVER_COMPACT].got_bytes, l[LEVER_RECLAIM].got_bytes);
}

/* The guest in the list of the last cycle, which has the same order. *at: where to look from. */
static const CriticalGuest *find(const Critical *c, const char *uuid, size_t *at)
{
    int order = 1;

    while (*at < c->n_guests && (order = strcmp(c->guests[*at].uuid, uuid)) < 0)
        (*at)++;
    return *at < c->n_guests && order == 0 ? &c->guests[*at] : NULL;
}

/* Counts what came from a guest since the last cycle. */
static void count(NoticeCritical *done, const SnapshotGuest *s, const Decision *d, const Guest *g,
                  const CriticalGuest *before, CriticalGuest *now)
{
    uint64_t standing = balloon_standing(&g->balloon), taken = 0, back = 0;
    bool moved = d->send && standing == d->target_bytes && standing < s->sizes.standing_bytes;

    *now = (CriticalGuest){
        .current_bytes = guest_current(g), .got_bytes = handed_back(g), .moving = g->balloon.moving};
    snprintf(now->uuid, sizeof(now->uuid), "%s", s->uuid);
    if (before) {
        taken = before->moving ? LESS_BY(before->current_bytes, MAX(now->current_bytes, standing)) : 0;
        back = LESS_BY(now->got_bytes, before->got_bytes);
    }
    now->concerned = (before && before->concerned) || moved || taken > 0 || back > 0;
    done->moves += moved;
    done->taken_bytes = bytes_add(done->taken_bytes, taken);
    done->handed_back_bytes = bytes_add(done->handed_back_bytes, back);
    done->guests += now->concerned && !(before && before->concerned);
}

static void count_all(Critical *c, const Sight *x, const Guests *guests)
{
    const Snapshot *s = x->snapshot;
    CriticalGuest *now = calloc(s->n_guests + 1, sizeof(*now));
    size_t at = 0, n = 0;

    if (!now)
        return; /* the next cycle counts */
    for (size_t i = 0; i < s->n_guests; i++)
        if (is_concerned(x, i))
            count(&c->done, &s->guests[i], &x->plan->decisions[i], guests->entries[i].guest,
                  find(c, s->guests[i].uuid, &at), &now[n++]);
    free(c->guests);
    c->guests = now;
    c->n_guests = n;
}

static void begin(Critical *c, const Sight *x)
{
    const Audience *audience = c->audience;

    critical_done(c);
    *c = (Critical){
        .audience = audience, .nodes = x->nodes, .open = true, .began_usec = x->snapshot->now_usec};
    c->done.can_give_bytes = can_give(x);
    c->done.lowest_bytes = UINT64_MAX;
    tell(c, NOTICE_CRITICAL, x);
}

static void see_stuck(Critical *c, const Sight *x)
{
    usec_t now = x->snapshot->now_usec;

    if (is_given(x))
        c->stuck_usec = 0;
    else if (c->stuck_usec == 0)
        c->stuck_usec = now;
    else if (!c->stuck && usec_since(c->stuck_usec, now) >= STUCK_USEC) {
        c->stuck = true;
        tell(c, NOTICE_CRITICAL_STUCK, x);
    }
}

static void see(Critical *c, const Sight *x, const Guests *guests)
{
    double available = host_fields_get(&x->host, HOST_FIELD_AVAILABLE);
    usec_t now = x->snapshot->now_usec;

    if (!x->critical && !c->open)
        return;
    if (!c->open)
        begin(c, x);
    count_all(c, x, guests);
    c->done.lowest_bytes = MIN(c->done.lowest_bytes, bytes_from_double(available));
    if (x->critical) {
        c->above_usec = 0;
        see_stuck(c, x);
        return;
    }
    c->stuck_usec = 0;
    c->above_usec = c->above_usec ?: now;
    if (usec_since(c->above_usec, now) < OVER_USEC && !(available > x->relax_bytes))
        return;
    c->open = false;
    c->done.lasted_usec = usec_since(c->began_usec, c->above_usec);
    tell(c, NOTICE_CRITICAL_OVER, x);
}

/* ---- The host and its nodes ---- */

void criticals_init(Criticals *c, const Audience *audience)
{
    *c = (Criticals){.host.audience = audience};
}

void criticals_done(Criticals *c)
{
    critical_done(&c->host);
    for (size_t i = 0; i < c->n_nodes; i++)
        critical_done(&c->nodes[i]);
    free(c->nodes);
    *c = (Criticals){};
}

static bool is_followed(const Criticals *c, uint64_t nodes)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        if (c->nodes[i].nodes == nodes)
            return true;
    return false;
}

/* Follows nodes that have become critical. */
static void add_nodes(Criticals *c, const Plan *p)
{
    for (size_t i = 0; i < p->n_groups; i++) {
        Critical *grown;

        if (!is_critical(&p->groups[i]) || is_followed(c, p->groups[i].nodes))
            continue;
        grown = reallocarray(c->nodes, c->n_nodes + 1, sizeof *grown);
        if (!grown)
            return; /* the next cycle does */
        c->nodes = grown;
        c->nodes[c->n_nodes++] = (Critical){.audience = c->host.audience, .nodes = p->groups[i].nodes};
    }
}

static const PlanGroup *find_group(const Plan *p, uint64_t nodes)
{
    for (size_t i = 0; i < p->n_groups; i++)
        if (p->groups[i].nodes == nodes)
            return &p->groups[i];
    return NULL;
}

void criticals_see(Criticals *c, const Snapshot *s, const Plan *p, const Guests *guests)
{
    Sight x = see_host(s, p);
    size_t kept = 0;

    see(&c->host, &x, guests);
    add_nodes(c, p);
    for (size_t i = 0; i < c->n_nodes; i++) {
        Critical *n = &c->nodes[i];

        x = see_nodes(s, p, n->nodes, find_group(p, n->nodes));
        see(n, &x, guests);
        if (n->open)
            c->nodes[kept++] = *n;
        else
            critical_done(n);
    }
    c->n_nodes = kept;
}
