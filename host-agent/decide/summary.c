/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts a whole plan into words. */

#include "host-agent/decide/summary.h"

#include "host-agent/decide/bytes.h"

/* The decisions about all guests together. */
typedef struct Tally {
    size_t give, get, would, below_full, auto_guests, observed;
    uint64_t give_bytes, get_bytes;
    size_t reclaim, would_reclaim; /* hand memory back, and would */
    uint64_t reclaim_bytes;
    size_t stopped[GUARD_RULE_MAX]; /* guests that are not moved and hand nothing back, by rule */
} Tally;

static void count(const ReasonContext *x, const Plan *p, Tally *ret)
{
    *ret = (Tally){};
    for (size_t i = 0; i < p->n_decisions; i++) {
        const SnapshotGuest *g = x->snapshot->guests + i;
        const Decision *d = p->decisions + i;

        ret->auto_guests += g->mode == GUEST_MODE_AUTO;
        ret->observed += g->mode == GUEST_MODE_OBSERVE;
        ret->below_full += g->sizes.standing_bytes < guard_full(g);
        ret->reclaim += d->reclaim.send;
        ret->would_reclaim += d->reclaim.bytes > 0 && !d->reclaim.send;
        if (d->reclaim.send)
            ret->reclaim_bytes += d->reclaim.bytes;
        if (d->target_bytes == g->sizes.standing_bytes)
            ret->stopped[d->line == 0 && d->reclaim.line > 0 ? d->reclaim.rule : d->rule] +=
                d->reclaim.bytes == 0;
        else if (!d->send)
            ret->would++;
        else if (d->target_bytes < g->sizes.standing_bytes) {
            ret->give++;
            ret->give_bytes += g->sizes.standing_bytes - d->target_bytes;
        } else {
            ret->get++;
            ret->get_bytes += d->target_bytes - g->sizes.standing_bytes;
        }
    }
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static size_t n_acts(const Tally *n)
{
    return n->give + n->get + n->reclaim;
}

static bool is_nothing(const Tally *n)
{
    return n_acts(n) + n->would + n->would_reclaim == 0;
}

/* "3 moves and 1 reclaim decided" */
static void add_would(Text *t, const Tally *n)
{
    if (n->would > 0)
        text_addf(t, "%zu move%s", n->would, plural(n->would));
    if (n->would_reclaim > 0)
        text_addf(t, "%s%zu reclaim%s", n->would > 0 ? " and " : "", n->would_reclaim,
                  plural(n->would_reclaim));
    text_add(t, " decided");
}

static void add_moves(Text *t, const Tally *n)
{
    if (n->give > 0)
        text_addf(t, "%zu guest%s give%s %s", n->give, plural(n->give), n->give == 1 ? "s" : "",
                  TEXT_SIZE(n->give_bytes));
    if (n->get > 0)
        text_addf(t, "%s%zu guest%s get%s %s", n->give > 0 ? ", " : "", n->get, plural(n->get),
                  n->get == 1 ? "s" : "", TEXT_SIZE(n->get_bytes));
    if (n->reclaim > 0)
        text_addf(t, "%s%zu guest%s hand%s back %s", n->give + n->get > 0 ? ", " : "", n->reclaim,
                  plural(n->reclaim), n->reclaim == 1 ? "s" : "", TEXT_SIZE(n->reclaim_bytes));
    if (n->would + n->would_reclaim == 0)
        return;
    if (n->auto_guests == 0) {
        text_add(t, "mode observe: ");
        add_would(t, n);
        text_add(t, ", none sent; `ballastctl mode auto` lets Ballast move balloons");
    } else {
        text_add(t, n_acts(n) > 0 ? "; " : "");
        add_would(t, n);
        text_add(t, " for guests in mode observe and not sent");
    }
}

/* "idle gives 300 MiB to starved, which is in distress". part: of the sum named before. */
static void add_donors(Text *t, const Requests *c, bool part)
{
    if (c->donors > 1)
        text_addf(t, "%zu guests give", c->donors);
    else {
        text_add_some(t, c->donor ?: "", REASON_NAME_MAX);
        text_add(t, " gives");
    }
    text_addf(t, " %s%s to ", TEXT_SIZE(c->given_bytes), part ? " of that" : "");
    reason_add_requesters(t, c);
}

static void add_host(Text *t, const ReasonContext *x, const Plan *p)
{
    const HostFields *h = &x->snapshot->host;
    double total = host_fields_get(h, HOST_FIELD_TOTAL), available = host_fields_get(h, HOST_FIELD_AVAILABLE);

    text_addf(t, "%s%s available", x->snapshot->part_nodes ? "" : "host has ", TEXT_RATIO(available / total));
    if (available < p->critical_threshold_bytes)
        text_addf(t, ", below the critical %s threshold", TEXT_RATIO(p->critical_threshold_bytes / total));
    else if (available < p->pressure_threshold_bytes)
        text_addf(t, ", below the %s threshold", TEXT_RATIO(p->pressure_threshold_bytes / total));
    else if (available > p->relax_threshold_bytes)
        text_addf(t, ", above the %s threshold", TEXT_RATIO(p->relax_threshold_bytes / total));
    else if (x->situation == SITUATION_BETWEEN)
        text_addf(t, ", between the %s and %s thresholds", TEXT_RATIO(p->pressure_threshold_bytes / total),
                  TEXT_RATIO(p->relax_threshold_bytes / total));
}

/* "2 at their floor, 1 stale" */
static void add_stopped_counts(Text *t, const Tally *n)
{
    static const char *const names[GUARD_RULE_MAX] = {
        [GUARD_RULE_FLOOR] = "at their floor",
        [GUARD_RULE_CEILING] = "at their full size",
        [GUARD_RULE_OFF] = "in mode off",
        [GUARD_RULE_UNMOVABLE] = "unmovable",
        [GUARD_RULE_BUSY] = "busy",
        [GUARD_RULE_SQUEEZED] = "squeezed",
        [GUARD_RULE_STALLED] = "stalled",
        [GUARD_RULE_STALE] = "stale",
        [GUARD_RULE_GRACE] = "in their grace period",
        [GUARD_RULE_DISTRESS] = "in distress",
        [GUARD_RULE_HURTING] = "hurting after a shrink",
        [GUARD_RULE_PROTECTED] = "protected, as a shrink hurt them",
        [GUARD_RULE_NEEDED] = "at what they were found to need",
        [GUARD_RULE_AGENTLESS] = "without an agent",
        [GUARD_RULE_REBOOT] = "rebooted",
        [GUARD_RULE_AHEAD] = "taking memory",
        [GUARD_RULE_SWAPLESS] = "without swap",
        [GUARD_RULE_COMMITTED] = "at what their kernels have promised",
        [GUARD_RULE_STEP] = "still moving",
        [GUARD_RULE_ROOM] = "without room to grow",
        [GUARD_RULE_DEAD_BAND] = "not worth a move",
        [GUARD_RULE_SPARE] = "with nothing to hand back",
        [GUARD_RULE_NONE] = "from which the policy takes nothing",
    };
    const char *separator = "";

    /* Guests that no rule stops come last. */
    for (int i = 1; i <= GUARD_RULE_MAX; i++) {
        int rule = i % GUARD_RULE_MAX;

        if (n->stopped[rule] == 0 || !names[rule])
            continue;
        text_addf(t, "%s%zu %s", separator, n->stopped[rule], names[rule]);
        separator = ", ";
    }
}

static void add_rest(Text *t, const ReasonContext *x, const Tally *n, const Plan *p)
{
    switch (x->situation) {
    case SITUATION_UNKNOWN:
        text_add(t, "the host's memory isn't known: nothing moves");
        return;
    case SITUATION_NO_POLICY:
    case SITUATION_FAILED:
        text_add(t, "nothing moves");
        return;
    case SITUATION_COMING:
        add_host(t, x, p);
        text_addf(t, "; moving balloons bring %s, which is enough",
                  TEXT_SIZE(bytes_from_double(p->pending_bytes)));
        return;
    case SITUATION_PRESSED:
        add_host(t, x, p);
        if (p->n_decisions > 0) {
            text_add(t, "; no guest gives more now: ");
            add_stopped_counts(t, n);
        }
        return;
    case SITUATION_BETWEEN:
        add_host(t, x, p);
        text_add(t, ": nothing moves");
        return;
    case SITUATION_NO_THRESHOLDS:
        add_host(t, x, p);
        text_add(t, "; nothing moves");
        if (p->n_decisions > 0) {
            text_add(t, ": ");
            add_stopped_counts(t, n);
        }
        return;
    case SITUATION_RELAXED:
        add_host(t, x, p);
        if (p->n_decisions == 0)
            text_add(t, ": nothing to take");
        else if (n->below_full == 0)
            text_add(t, ": nothing to take; all guests have their full size");
        else
            text_addf(t, ": nothing to take; %zu of %zu guests below full size, none gets more now",
                      n->below_full, p->n_decisions);
        return;
    }
}

void summary_write(const ReasonContext *x, Plan *p)
{
    Text t = text_init(p->summary, sizeof p->summary);
    Tally n;

    count(x, p, &n);
    reason_add_nodes(&t, x->snapshot);
    if (x->situation == SITUATION_FAILED) {
        text_add(&t, "the policy failed");
        if (p->n_notes > 0) {
            text_add(&t, ": ");
            text_add_some(&t, p->notes[0].text, REASON_WORDS_MAX);
            reason_add_line(&t, x->files ? x->files[p->notes[0].file] : NULL, p->notes[0].line);
        }
        text_add(&t, "; only the guard acts: ");
    } else if (x->situation == SITUATION_NO_POLICY)
        text_add(&t, "no policy is loaded; only the guard acts: ");

    /* If all that is given is for guests in distress, it is named only once. */
    if (n.give_bytes == x->requests.given_bytes)
        n.give = 0;
    if (!is_nothing(&n))
        add_moves(&t, &n);
    if (x->requests.donors > 0) {
        text_add(&t, is_nothing(&n) ? "" : "; ");
        add_donors(&t, &x->requests, n.give > 0);
    } else if (is_nothing(&n))
        add_rest(&t, x, &n, p);
}
