/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fits what a policy wants a guest to hand back to the rules, and puts it into words. */

#include "host-agent/decide/reclaim.h"

#include <math.h>

#include "host-agent/decide/bytes.h"

/* Bytes of the policy's text: so few that the reason fits, "keeps its size and" before it included. */
#define BECAUSE_MAX 60

/* ---- how much ---- */

/* The most that it may be asked for beside its move, and the rule that says so. */
static uint64_t most(const ReasonContext *x, const SnapshotGuest *g, bool critical, const Decision *d,
                     GuardRule *ret_rule)
{
    uint64_t standing = g->sizes.standing_bytes;

    *ret_rule = d->bounds.reclaim_rule;
    if (d->bounds.reclaim_bytes == 0 || d->target_bytes == standing)
        return d->bounds.reclaim_bytes;
    if (d->target_bytes < standing)
        return guard_reclaimable(g, x->config, d->target_bytes, critical, NULL, ret_rule);
    *ret_rule = GUARD_RULE_STEP;
    return 0;
}

/* Returns the rule that left less than is wanted, or NONE. */
static GuardRule fit(const ReasonContext *x, const SnapshotGuest *g, bool critical, const Decision *d,
                     Reclaim *r)
{
    GuardRule rule;
    uint64_t allowed = most(x, g, critical, d, &rule), without_anon;

    if (r->wanted_bytes <= allowed)
        rule = GUARD_RULE_NONE;
    r->bytes = bytes_down_to_kib(MIN(r->wanted_bytes, allowed));
    if (r->bytes > 0 && r->bytes < x->config->dead_band_bytes) {
        r->bytes = 0;
        rule = GUARD_RULE_DEAD_BAND;
    }
    without_anon = guard_reclaimable(g, x->config, d->target_bytes, false, &r->way_bytes, NULL);
    r->anon = critical && r->bytes > without_anon;
    r->send = r->bytes > 0 && g->mode == GUEST_MODE_AUTO;
    r->rule = r->bytes > 0 && !r->send ? GUARD_RULE_OBSERVE : rule;
    return rule;
}

/* ---- in words ---- */

/* Why it hands back nothing. */
static void add_why_not(Text *t, const ReasonContext *x, const SnapshotGuest *g, const Decision *d)
{
    GuardRule rule = d->reclaim.rule;
    bool shrinks = d->target_bytes < g->sizes.standing_bytes;

    if (rule == GUARD_RULE_SPARE)
        text_add(t, shrinks ? "its shrink takes all that it can spare"
                            : "it has neither idle memory nor page cache");
    else if (rule == GUARD_RULE_DEAD_BAND)
        text_addf(t, "less than %s is not worth asking for", TEXT_SIZE(x->config->dead_band_bytes));
    else if (rule == GUARD_RULE_STEP && d->target_bytes > g->sizes.standing_bytes)
        text_add(t, "it is given memory");
    else if (rule == GUARD_RULE_UNMOVABLE) {
        text_add(t, "the host would not get it: ");
        text_add_some(t, g->unmovable ?: g->judgement.ineffective, REASON_WORDS_MAX);
    } else {
        reason_add_rule_clause(t, x, g, d, rule);
        return;
    }
    reason_add_rule(t, rule);
}

static void add_clipped(Text *t, const Reclaim *r, GuardRule rule)
{
    if (rule == GUARD_RULE_AGENTLESS)
        text_add(t, ", clipped to a part of its available memory: it has no agent");
    else if (rule == GUARD_RULE_FLOOR || rule == GUARD_RULE_SWAPLESS || rule == GUARD_RULE_COMMITTED)
        text_add(t, ", clipped to what its balloon may take");
    else
        text_add(t, r->anon ? ", clipped to what it has and can swap out"
                            : ", clipped to its idle memory and page cache");
    reason_add_rule(t, rule);
}

static void add_reason(const ReasonContext *x, const SnapshotGuest *g, bool no_number, GuardRule clipped,
                       Decision *d)
{
    Reclaim *r = &d->reclaim;
    Text t = text_init(r->reason, sizeof r->reason);

    if (r->bytes == 0) {
        text_add(&t, "hands back nothing");
        if (r->rule != GUARD_RULE_NONE) {
            text_add(&t, ": ");
            add_why_not(&t, x, g, d);
            return;
        }
        text_add(&t, no_number ? ": the policy's value is not a number" : "");
        reason_add_line(&t, r->file, r->line);
        return;
    }
    text_addf(&t, "%s %s%s: ", r->send ? "hands back" : "would hand back", TEXT_SIZE(r->bytes),
              r->anon ? ", anonymous memory too" : "");
    text_add_some(&t, r->because ?: "asked by the policy", BECAUSE_MAX);
    reason_add_line(&t, r->file, r->line);
    if (clipped != GUARD_RULE_NONE)
        add_clipped(&t, r, clipped);
    if (!r->send)
        reason_add_rule(&t, GUARD_RULE_OBSERVE);
}

void reclaim_decide(const ReasonContext *x, const SnapshotGuest *g, const PolicyAssignment *a, bool critical,
                    Decision *d)
{
    Reclaim *r = &d->reclaim;
    GuardRule clipped;

    if (!a || a->line == 0)
        return;
    r->line = a->line;
    r->file = x->files ? x->files[a->file] : NULL;
    r->because = a->because;
    r->wanted_bytes = bytes_from_double(a->value);
    clipped = fit(x, g, critical, d, r);
    add_reason(x, g, isnan(a->value), clipped, d);
}
