/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fits the wishes of the policy and of the guard to the rules and to the host's room. */
#include "host-agent/decide/plan.h"

#include <math.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/decide/bytes.h"
#include "host-agent/decide/donor.h"
#include "host-agent/decide/host.h"
#include "host-agent/decide/reclaim.h"
#include "host-agent/decide/spare.h"
#include "host-agent/decide/summary.h"
#include "host-agent/decide/view.h"

/* The policy's thresholds, and those in force: where it has none, the guard's own. */
static void set_thresholds(const Snapshot *s, const GuardConfig *c, const PolicyOutput *output, Plan *p)
{
    double total = host_fields_get(&s->host, HOST_FIELD_TOTAL), caution = guard_caution(c, &s->host);
    const double defaults[POLICY_THRESHOLD_MAX] = {
        [POLICY_THRESHOLD_PRESSURE] = caution * fmin(0.20 * total, 32.0 * GIB),
        [POLICY_THRESHOLD_CRITICAL] = caution * fmin(0.05 * total, 8.0 * GIB),
        [POLICY_THRESHOLD_RELAX] = caution * fmin(0.25 * total, 40.0 * GIB),
    };
    double *thresholds[POLICY_THRESHOLD_MAX] = {
        [POLICY_THRESHOLD_PRESSURE] = &p->pressure_threshold_bytes,
        [POLICY_THRESHOLD_CRITICAL] = &p->critical_threshold_bytes,
        [POLICY_THRESHOLD_RELAX] = &p->relax_threshold_bytes,
    };

    for (int i = 0; i < POLICY_THRESHOLD_MAX; i++) {
        *thresholds[i] = output && isfinite(output->thresholds[i]) ? output->thresholds[i] : NAN;
        p->in_force_bytes[i] = isnan(*thresholds[i]) ? defaults[i] : *thresholds[i];
    }
}

static HostPressure pressure_of(const Snapshot *s, const Plan *p)
{
    double available = host_fields_get(&s->host, HOST_FIELD_AVAILABLE);

    if (!host_fields_has(&s->host, HOST_FIELD_AVAILABLE) || !host_fields_has(&s->host, HOST_FIELD_TOTAL))
        return HOST_PRESSURE_NONE;
    if (available < p->in_force_bytes[POLICY_THRESHOLD_CRITICAL])
        return HOST_PRESSURE_SEVERE;
    return available < p->in_force_bytes[POLICY_THRESHOLD_PRESSURE] ? HOST_PRESSURE_MODERATE
                                                                    : HOST_PRESSURE_NONE;
}

static Situation situation_of(const Snapshot *s, const PolicyOutput *output, const Plan *p)
{
    double available = host_fields_get(&s->host, HOST_FIELD_AVAILABLE),
           pressed =
               isnan(p->pressure_threshold_bytes) ? p->critical_threshold_bytes : p->pressure_threshold_bytes;

    if (!host_fields_has(&s->host, HOST_FIELD_AVAILABLE) || !host_fields_has(&s->host, HOST_FIELD_TOTAL))
        return SITUATION_UNKNOWN;
    if (p->policy_error < 0)
        return SITUATION_FAILED;
    if (!output)
        return SITUATION_NO_POLICY;
    /* Nothing is less or more than a threshold that the policy does not have: NaN. */
    if (available < pressed)
        return available + p->pending_bytes < pressed ? SITUATION_PRESSED : SITUATION_COMING;
    if (available > p->relax_threshold_bytes)
        return SITUATION_RELAXED;
    return isnan(p->pressure_threshold_bytes) || isnan(p->relax_threshold_bytes) ? SITUATION_NO_THRESHOLDS
                                                                                 : SITUATION_BETWEEN;
}

/* The policy's wish, fitted to the bounds. A wish to shrink never makes a guest grow, and the reverse.
 * Rounded to whole KiB towards standing_bytes. */
static void wish_policy(const SnapshotGuest *g, double asked, Decision *d, Wish *w)
{
    const GuestBounds *b = &d->bounds;
    uint64_t standing = g->sizes.standing_bytes, wanted = bytes_from_double(asked);

    d->wanted_bytes = wanted;
    if (wanted >= standing) {
        w->bytes = MIN(wanted, b->most_bytes);
        w->clipped = w->bytes < wanted ? b->most_rule : GUARD_RULE_NONE;
        w->bytes = MAX(bytes_down_to_kib(w->bytes), standing);
    } else {
        w->bytes = MAX(wanted, b->least_bytes);
        w->clipped = w->bytes > wanted ? b->least_rule : GUARD_RULE_NONE;
        w->bytes = MIN(bytes_up_to_kib(w->bytes), standing);
    }
}

typedef struct Planning {
    const Snapshot *snapshot;
    const char *const *files; /* of the policy */
    const GuardConfig *config;
    const GuestBounds *bounds;
    bool critical; /* guard_is_critical() of the host */
    bool pressed;  /* the host is below its pressure threshold */
} Planning;

static void ask(Wish *w, GuardRule rule, uint64_t bytes)
{
    w->asked = rule;
    w->bytes = bytes;
}

/* A guest above its full size comes down to it. While the host can wait, it gives only free memory, so that
 * it does not hurt. */
static void wish_ceiling(const Planning *x, const SnapshotGuest *g, const GuestBounds *b, Wish *w)
{
    uint64_t target = b->most_bytes;

    if (!x->pressed) {
        Spare s;

        spare_at(g, x->config, g->sizes.standing_bytes, &s);
        target = MAX(target, LESS_BY(g->sizes.standing_bytes, MIN(s.free_bytes, s.give_bytes)));
        target = MIN(bytes_up_to_kib(target), g->sizes.standing_bytes);
    }
    if (w->bytes == g->sizes.standing_bytes || target < w->bytes)
        ask(w, GUARD_RULE_CEILING, target);
}

/* The guard's own wish. */
static void wish_guard(const Planning *x, const SnapshotGuest *g, const GuestBounds *b, Wish *w)
{
    uint64_t standing = g->sizes.standing_bytes,
             restore = bytes_down_to_kib(CLAMP(g->judgement.restore_bytes, b->least_bytes, b->most_bytes));

    /* A guest whose grant is refused still gets what any other guest would. */
    if (g->judgement.distress && !g->judgement.grant_refused)
        ask(w, GUARD_RULE_DISTRESS, b->most_bytes);
    else if (g->judgement.hurting && !x->critical && standing < restore)
        ask(w, GUARD_RULE_HURTING, restore);
    else if (g->reboot && standing < b->most_bytes)
        ask(w, GUARD_RULE_REBOOT, b->most_bytes);
    else if (standing < b->least_bytes)
        ask(w, GUARD_RULE_FLOOR, b->least_bytes);
    else if (!g->judgement.distress && standing < b->most_bytes && guard_is_ahead(g, x->config))
        ask(w, GUARD_RULE_AHEAD, b->most_bytes);
    else if (g->judgement.distress)
        ask(w, GUARD_RULE_DISTRESS, b->most_bytes);
    else if (standing > b->most_bytes && (g->sizes.entitled_full || g->sizes.growth_bytes > 0))
        wish_ceiling(x, g, b, w);
}

/* The wish for a guest, before the host's room counts. */
static void wish(const Planning *x, const SnapshotGuest *g, const PolicyAssignment *a, Decision *d, Wish *w)
{
    uint64_t standing = g->sizes.standing_bytes;

    *w = (Wish){.bytes = standing};
    d->wanted_bytes = d->target_bytes = standing;
    if (a && a->line > 0) {
        d->line = a->line;
        d->file = x->files ? x->files[a->file] : NULL;
        d->because = a->because;
        if (isnan(a->value))
            w->no_number = true;
        else
            wish_policy(g, a->value, d, w);
    }
    if (d->bounds.hold == GUARD_RULE_NONE)
        wish_guard(x, g, &d->bounds, w);
}

/* A balloon this close to its target has arrived. A balloon that somebody else begins to inflate is first
 * seen this far from full, too: it must not be deflated again before their aim is known. */
#define ARRIVED_BYTES MIB

static bool is_too_small(const SnapshotGuest *g, const GuardConfig *c, const Wish *w, uint64_t target)
{
    uint64_t standing = g->sizes.standing_bytes;
    uint64_t change = target > standing ? target - standing : standing - target;

    if (w->asked != GUARD_RULE_NONE && w->asked != GUARD_RULE_CEILING)
        return false;
    return change <= ARRIVED_BYTES || (target != guard_full(g) && change < guard_dead_band(c, g));
}

static void shrink(const SnapshotGuest *g, const GuardConfig *c, Wish *w, Decision *d)
{
    if (is_too_small(g, c, w, w->bytes))
        w->limited = GUARD_RULE_DEAD_BAND;
    else
        d->target_bytes = w->bytes;
}

/* In distress, and others must not give for it. */
static bool is_refused(const SnapshotGuest *g, const Wish *w)
{
    return w->asked == GUARD_RULE_DISTRESS && g->judgement.grant_refused;
}

/* The size that a guest in distress gets back whatever room there is: without swap it would have to kill, and the
 * host managed without that memory a moment ago. One that doesn't report its swap may have some. */
static uint64_t owed(const SnapshotGuest *g, const GuardConfig *c)
{
    bool kills = guest_fields_has(&g->fields, GUEST_FIELD_SWAP_TOTAL) && !guard_can_swap(g, c);

    return g->judgement.distress && kills ? g->judgement.owed_bytes : 0;
}

/* others_bytes: the part of the room below the pressure threshold, for which others would have to give
 * later. */
static void grow(const SnapshotGuest *g, const GuardConfig *c, uint64_t others_bytes, uint64_t *room, Wish *w,
                 Decision *d)
{
    bool suffers = g->judgement.distress || w->asked == GUARD_RULE_HURTING;
    uint64_t standing = g->sizes.standing_bytes,
             costs_above = MAX(suffers ? MAX(standing, guard_has(g)) : standing, MIN(owed(g, c), w->bytes));
    uint64_t its = is_refused(g, w) ? LESS_BY(*room, others_bytes) : *room;
    uint64_t most = bytes_add(costs_above, its), target = w->bytes;

    if (target > most) {
        target = MAX(bytes_down_to_kib(most), standing);
        w->limited = GUARD_RULE_ROOM;
        /* The host's memory changes a little all the time: not every change is worth a move. */
        if (target - standing < (w->asked == GUARD_RULE_AHEAD ? guard_step_min(c, g) : c->dead_band_bytes)) {
            if (w->asked == GUARD_RULE_DISTRESS && !is_refused(g, w))
                *room = 0; /* the rest is kept for this guest */
            return;
        }
    }
    if (is_too_small(g, c, w, target)) {
        if (is_too_small(g, c, w, w->bytes))
            w->limited = GUARD_RULE_DEAD_BAND;
        return;
    }
    d->target_bytes = target;
    *room -= LESS_BY(target, costs_above);
}

typedef struct Growth {
    uint64_t rank;
    double share; /* the part of its full size that it has */
    size_t guest;
} Growth;

static uint64_t growth_rank(const SnapshotGuest *g, const Wish *w, const PolicyAssignment *a)
{
    uint64_t kind = is_refused(g, w)                  ? 5
                    : w->asked == GUARD_RULE_DISTRESS ? 0
                    : w->asked == GUARD_RULE_HURTING  ? 1
                    : w->asked == GUARD_RULE_REBOOT   ? 2
                    : w->asked == GUARD_RULE_FLOOR    ? 3
                    : w->asked == GUARD_RULE_AHEAD    ? 4
                                                      : 6;
    uint64_t order = kind < 6 ? 0 : a && a->order > 0 ? a->order : UINT32_MAX;

    return (uint64_t) (g->mode == GUEST_MODE_OBSERVE) << 40 | kind << 32 | order;
}

static int growth_compare(const void *a, const void *b)
{
    const Growth *x = a, *y = b;

    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->share != y->share)
        return x->share < y->share ? -1 : 1;
    return (x->guest > y->guest) - (x->guest < y->guest);
}

static void grow_all(const Snapshot *s, const GuardConfig *c, Growth *growths, size_t n, Wish *wishes,
                     Plan *p)
{
    uint64_t room = guard_room(s, c),
             others = LESS_BY(bytes_from_double(p->in_force_bytes[POLICY_THRESHOLD_PRESSURE]),
                              guard_kept(c, &s->host));

    qsort(growths, n, sizeof *growths, growth_compare);
    for (size_t i = 0; i < n; i++) {
        size_t g = growths[i].guest;

        grow(s->guests + g, c, others, &room, wishes + g, p->decisions + g);
    }
}

/* Sets the rule to name, and whether to send. */
static void conclude(const ReasonContext *x, const SnapshotGuest *g, const Wish *w, Decision *d)
{
    bool moves = d->target_bytes != g->sizes.standing_bytes;
    bool pressed = x->situation == SITUATION_PRESSED || x->situation == SITUATION_COMING;

    if (d->bounds.hold != GUARD_RULE_NONE)
        d->rule = d->bounds.hold;
    else if (moves && g->mode == GUEST_MODE_OBSERVE)
        d->rule = GUARD_RULE_OBSERVE;
    else if (w->gives_free_bytes + w->gives_cache_bytes > 0)
        d->rule = GUARD_RULE_DONOR;
    else if (w->asked != GUARD_RULE_NONE && (moves || w->limited == GUARD_RULE_NONE))
        d->rule = w->asked;
    else if (w->limited != GUARD_RULE_NONE)
        d->rule = w->limited;
    else if (w->clipped != GUARD_RULE_NONE)
        d->rule = w->clipped;
    else if (d->line == 0 && d->reclaim.line == 0 && pressed &&
             d->bounds.least_bytes >= g->sizes.standing_bytes)
        d->rule = d->bounds.least_rule;

    d->send = moves && g->mode == GUEST_MODE_AUTO;
}

/* Whether a guest that isn't in distress gives memory in this plan, or still releases what it was asked for before. */
static bool others_give(const Snapshot *s, const Plan *p)
{
    for (size_t i = 0; i < s->n_guests; i++) {
        const SnapshotGuest *g = s->guests + i;
        const Decision *d = p->decisions + i;
        bool shrinks = g->mode == GUEST_MODE_AUTO && d->target_bytes < g->sizes.standing_bytes;

        if (!g->judgement.distress && (shrinks || d->reclaim.send || guard_leaving(g) > 0))
            return true;
    }
    return false;
}

static const PolicyNote *note_for(const Plan *p, size_t guest)
{
    for (size_t i = 0; i < p->n_notes; i++)
        if (p->notes[i].guest == guest)
            return p->notes + i;
    return NULL;
}

/* Sets each guest's target: its wish, as far as that is worth a move and the host has room, less what it
 * gives to guests in distress. */
static int decide(const Planning *x, const PolicyAssignment *assignments, Wish *wishes, Plan *p,
                  Requests *ret)
{
    const Snapshot *s = x->snapshot;
    _cleanup_free_ Growth *growths = calloc(s->n_guests + 1, sizeof *growths);
    size_t n_growths = 0;

    if (!growths)
        return -ENOMEM;

    for (size_t i = 0; i < s->n_guests; i++) {
        const SnapshotGuest *g = s->guests + i;
        const PolicyAssignment *a = assignments ? assignments + i : NULL;
        Decision *d = p->decisions + i;

        decision_init(d);
        d->bounds = x->bounds[i];
        wish(x, g, a, d, wishes + i);
        if (wishes[i].bytes < g->sizes.standing_bytes)
            shrink(g, x->config, wishes + i, d);
        else if (wishes[i].bytes > g->sizes.standing_bytes)
            growths[n_growths++] =
                (Growth){.rank = growth_rank(g, wishes + i, a),
                         .share = (double) g->sizes.standing_bytes / (double) guard_full(g),
                         .guest = i};
    }
    grow_all(s, x->config, growths, n_growths, wishes, p);
    return donors_ask(s, x->config, wishes, p->decisions, ret);
}

static void take_words(const PolicyOutput *output, Plan *p)
{
    p->n_notes = MIN(output->n_notes, (size_t) POLICY_NOTES_MAX);
    p->notes_total = output->notes_total;
    memcpy(p->notes, output->notes, p->n_notes * sizeof *p->notes);
    p->n_logs = MIN(output->n_logs, (size_t) POLICY_LOGS_MAX);
    p->logs_total = output->logs_total;
    memcpy(p->logs, output->logs, p->n_logs * sizeof *p->logs);
}

int plan_apply(const Snapshot *s, const GuardConfig *c, const GuestBounds *bounds, const char *const *files,
               const PolicyOutput *output, int policy_error, Plan *ret)
{
    _cleanup_(plan_done) Plan p = {.n_decisions = s->n_guests, .policy_error = policy_error};
    _cleanup_free_ Wish *wishes = calloc(s->n_guests + 1, sizeof *wishes);
    _cleanup_free_ GuestBounds *own = NULL;
    Planning planning = {.snapshot = s, .files = files, .config = c, .critical = guard_is_critical(s, c)};
    ReasonContext x = {.snapshot = s, .config = c, .files = files};
    bool decided = output && policy_error >= 0;
    const PolicyAssignment *targets = decided ? output->assignments[GUEST_CONTROL_TARGET] : NULL,
                           *reclaims = decided ? output->assignments[GUEST_CONTROL_RECLAIM] : NULL;
    int r;

    p.decisions = reallocarray(NULL, s->n_guests + 1, sizeof *p.decisions);
    if (!bounds)
        bounds = own = calloc(s->n_guests + 1, sizeof *own);
    if (!p.decisions || !wishes || !bounds)
        return -ENOMEM;

    if (own)
        guard_bounds(s, c, own);
    planning.bounds = bounds;
    set_thresholds(s, c, output, &p);
    p.pending_bytes = view_pending_bytes(s);
    p.pressure = pressure_of(s, &p);
    planning.pressed = p.pressure != HOST_PRESSURE_NONE;
    if (output)
        take_words(output, &p);
    x.situation = situation_of(s, output, &p);

    r = decide(&planning, targets, wishes, &p, &x.requests);
    if (r < 0)
        return r;
    p.shortfall_bytes = x.requests.shortfall_bytes;

    for (size_t i = 0; i < s->n_guests; i++)
        reclaim_decide(&x, s->guests + i, reclaims ? reclaims + i : NULL, planning.critical, p.decisions + i);
    x.requests.others_give = others_give(s, &p);
    for (size_t i = 0; i < s->n_guests; i++) {
        conclude(&x, s->guests + i, wishes + i, p.decisions + i);
        reason_decision(&x, s->guests + i, wishes + i, note_for(&p, i), p.decisions + i);
    }
    summary_write(&x, &p);
    if (decided)
        p.n_host = host_decide(&s->host, output, files, s->mode, p.host);

    *ret = p;
    p = (Plan){};
    return 0;
}
