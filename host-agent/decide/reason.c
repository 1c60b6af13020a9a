/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts decisions into words. */

#include "host-agent/decide/reason.h"

#include "host-agent/decide/bytes.h"

void reason_add_rule(Text *t, GuardRule rule)
{
    text_add(t, " (");
    text_add(t, guard_rule_to_string(rule));
    text_add(t, ")");
}

void reason_add_line(Text *t, const char *file, unsigned line)
{
    text_add(t, " (");
    text_add_some(t, file ?: "policy", REASON_FILE_MAX);
    text_addf(t, ":%u)", line);
}

void reason_add_nodes(Text *t, const Snapshot *s)
{
    char nodes[NODE_SET_TEXT_MAX];

    if (s->part_nodes == 0)
        return;
    text_add(t, (s->part_nodes & (s->part_nodes - 1)) == 0 ? "node " : "nodes ");
    text_add_some(t, node_set_format(nodes, s->part_nodes), REASON_NAME_MAX);
    text_add(t, ": ");
}

/* Whole seconds, so that the text of a reason does not change more often than needed. */
static char *whole_seconds(char *buf, usec_t usec)
{
    return format_duration(buf, usec - usec % USEC_PER_SEC);
}

static void add_stale(Text *t, const SnapshotGuest *g)
{
    char buf[UNITS_FORMAT_MAX];

    if (g->sizes.current_bytes == 0 || g->sizes.standing_bytes == 0 || guard_full(g) == 0)
        text_add(t, "its size isn't known yet");
    else if (g->age_usec == USEC_INFINITY)
        text_add(t, "no stats received yet");
    else
        text_addf(t, "stats are %s old", whole_seconds(buf, g->age_usec));
}

static void add_grace(Text *t, const SnapshotGuest *g, const GuardConfig *c)
{
    char up[UNITS_FORMAT_MAX], grace[UNITS_FORMAT_MAX];

    if (g->released)
        text_add(t, "its memory was released a moment ago");
    else
        text_addf(t, "known for %s, left alone for the first %s", whole_seconds(up, g->uptime_usec),
                  format_duration(grace, c->grace_usec));
}

void reason_add_rule_clause(Text *t, const ReasonContext *x, const SnapshotGuest *g, const Decision *d,
                            GuardRule rule)
{
    switch (rule) {
    case GUARD_RULE_OFF:
        text_add(t, "its mode is off");
        break;
    case GUARD_RULE_UNMOVABLE:
        text_add(t, "a balloon would free nothing: ");
        text_add_some(t, g->unmovable ?: g->judgement.ineffective, REASON_WORDS_MAX);
        break;
    case GUARD_RULE_BUSY:
        text_add_some(t, g->busy, REASON_WORDS_MAX);
        break;
    case GUARD_RULE_STALE:
        add_stale(t, g);
        break;
    case GUARD_RULE_GRACE:
        add_grace(t, g, x->config);
        break;
    case GUARD_RULE_FLOOR:
        text_addf(t, "at its floor of %s", TEXT_SIZE(guard_floor_of(g)));
        break;
    case GUARD_RULE_CEILING:
        text_addf(t,
                  guard_ceiling(g) > guard_full(g) ? "it has all of the %s that it may grow to"
                                                   : "it has its full size of %s",
                  TEXT_SIZE(guard_ceiling(g)));
        break;
    case GUARD_RULE_SWAPLESS:
        text_add(t, guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE) ||
                            guest_fields_has(&g->fields, GUEST_FIELD_FREE)
                        ? "it has no swap for the memory that it uses"
                        : "it does not report what it uses");
        break;
    case GUARD_RULE_COMMITTED:
        text_addf(t, "its kernel has promised %s to processes (strict overcommit)",
                  TEXT_SIZE(bytes_from_double(guest_fields_get(&g->fields, GUEST_FIELD_COMMITTED))));
        break;
    case GUARD_RULE_STEP:
        text_add(t, "its last move is not finished, or no newer stats have come");
        break;
    case GUARD_RULE_AHEAD:
        text_add(t, "it took memory lately, and may take more");
        break;
    case GUARD_RULE_NEEDED:
        text_addf(t, "it was found to need %s", TEXT_SIZE(g->judgement.needed_bytes));
        break;
    case GUARD_RULE_AGENTLESS:
        if (g->source == GUEST_SOURCE_NONE)
            text_add(t, "no stats received yet, so it is not known what it could spare");
        else
            text_addf(t, "it has no agent, so it keeps %s of its available memory",
                      TEXT_RATIO(1 - x->config->agentless_ratio));
        break;
    case GUARD_RULE_NONE:
    case GUARD_RULE_SQUEEZED:
    case GUARD_RULE_STALLED:
    case GUARD_RULE_DISTRESS:
    case GUARD_RULE_HURTING:
    case GUARD_RULE_PROTECTED:
    case GUARD_RULE_DONOR:
    case GUARD_RULE_REBOOT:
    case GUARD_RULE_ROOM:
    case GUARD_RULE_DEAD_BAND:
    case GUARD_RULE_SPARE:
    case GUARD_RULE_OBSERVE:
    case GUARD_RULE_MAX:
    case GUARD_RULE_INVALID:
        text_add(t, guard_rule_describe(rule) ?: "");
        break;
    }
    reason_add_rule(t, rule);
}

/* The rule that cut short a move by the policy. */
static void add_clipped(Text *t, const SnapshotGuest *g, const Decision *d, GuardRule rule)
{
    uint64_t change = d->target_bytes > g->sizes.standing_bytes ? d->target_bytes - g->sizes.standing_bytes
                                                                : g->sizes.standing_bytes - d->target_bytes;

    switch (rule) {
    case GUARD_RULE_NONE:
        return;
    case GUARD_RULE_FLOOR:
        text_addf(t, ", clipped to its floor of %s", TEXT_SIZE(guard_floor_of(g)));
        break;
    case GUARD_RULE_CEILING:
        text_addf(t, ", clipped to its full size of %s", TEXT_SIZE(guard_full(g)));
        break;
    case GUARD_RULE_NEEDED:
        text_addf(t, ", clipped to the %s that it was found to need", TEXT_SIZE(d->target_bytes));
        break;
    case GUARD_RULE_AGENTLESS:
        text_add(t, ", clipped to a part of its available memory: it has no agent");
        break;
    case GUARD_RULE_SWAPLESS:
        text_addf(t, ", clipped to the %s it needs without swap", TEXT_SIZE(d->target_bytes));
        break;
    case GUARD_RULE_COMMITTED:
        text_addf(t, ", clipped to the %s it needs for what its kernel has promised",
                  TEXT_SIZE(d->target_bytes));
        break;
    case GUARD_RULE_STEP:
        text_addf(t, ", clipped to a step of %s", TEXT_SIZE(change));
        break;
    case GUARD_RULE_ROOM:
        text_add(t, ", no more than the host can spare");
        break;
    case GUARD_RULE_OFF:
    case GUARD_RULE_UNMOVABLE:
    case GUARD_RULE_BUSY:
    case GUARD_RULE_SQUEEZED:
    case GUARD_RULE_STALLED:
    case GUARD_RULE_STALE:
    case GUARD_RULE_GRACE:
    case GUARD_RULE_DISTRESS:
    case GUARD_RULE_HURTING:
    case GUARD_RULE_PROTECTED:
    case GUARD_RULE_DONOR:
    case GUARD_RULE_REBOOT:
    case GUARD_RULE_AHEAD:
    case GUARD_RULE_DEAD_BAND:
    case GUARD_RULE_SPARE:
    case GUARD_RULE_OBSERVE:
    case GUARD_RULE_MAX:
    case GUARD_RULE_INVALID:
        text_add(t, ", clipped");
        break;
    }
    reason_add_rule(t, rule);
}

void reason_add_requesters(Text *t, const Requests *c)
{
    if (c->guests > 1)
        text_addf(t, "%zu guests in distress", c->guests);
    else {
        text_add_some(t, c->guest ?: "", REASON_NAME_MAX);
        text_add(t, ", which is in distress");
    }
}

/* What others give to a guest that gets less than it wants, or why they give nothing. */
static void add_request(Text *t, const ReasonContext *x, const SnapshotGuest *g)
{
    const Requests *c = &x->requests;

    if (g->judgement.grant_refused) {
        text_add(t, "nothing is taken from others for it: ");
        text_add_some(t, g->judgement.grant_refused, REASON_WORDS_MAX);
    } else if (c->coming_bytes == 0)
        text_add(t, c->others_give ? "the host itself needs what others give"
                                   : "no other guest can spare memory now");
    else if (c->guests == 1)
        text_addf(t, "others give %s, which it gets as they release it", TEXT_SIZE(c->coming_bytes));
    else
        text_addf(t, "others give %s to %zu guests in distress, which get it as it is released",
                  TEXT_SIZE(c->coming_bytes), c->guests);
}

/* Whether a guest in distress gets less than it wants because the host lacks room. */
static bool is_short(const SnapshotGuest *g, const Wish *w)
{
    return w->asked == GUARD_RULE_DISTRESS && w->limited == GUARD_RULE_ROOM && g->mode == GUEST_MODE_AUTO;
}

/* Why a guest is moved, other than to give to guests in distress. */
static void add_asked(Text *t, const ReasonContext *x, const SnapshotGuest *g, const Wish *w,
                      const Decision *d)
{
    bool grows = d->target_bytes > g->sizes.standing_bytes;

    if (w->asked == GUARD_RULE_FLOOR)
        text_addf(t, "raised to its floor of %s", TEXT_SIZE(guard_floor_of(g)));
    else if (w->asked == GUARD_RULE_REBOOT)
        text_add(t, "gets its full size first after a reboot");
    else if (w->asked == GUARD_RULE_DISTRESS)
        text_add(t, d->target_bytes > guard_full(g) ? "grows above its full size: it is in distress"
                                                    : "gets memory back: it is in distress");
    else if (w->asked == GUARD_RULE_HURTING)
        text_addf(t, "goes back to %s: it began to hurt after a shrink", TEXT_SIZE(w->bytes));
    else if (w->asked == GUARD_RULE_AHEAD)
        text_add(t, guard_rule_describe(GUARD_RULE_AHEAD));
    else if (w->asked == GUARD_RULE_CEILING)
        text_addf(t, "comes down to its full size of %s", TEXT_SIZE(guard_full(g)));
    else if (d->because)
        text_add_some(t, d->because, REASON_WORDS_MAX);
    else
        text_add(t, grows ? "grown by the policy" : "shrunk by the policy");

    if (w->asked != GUARD_RULE_NONE)
        reason_add_rule(t, w->asked);
    else {
        reason_add_line(t, d->file, d->line);
        if (w->limited != GUARD_RULE_ROOM)
            add_clipped(t, g, d, w->clipped);
    }
    add_clipped(t, g, d, w->limited);
    if (is_short(g, w)) {
        text_add(t, "; ");
        add_request(t, x, g);
    }
}

static void add_move(Text *t, const ReasonContext *x, const SnapshotGuest *g, const Wish *w,
                     const Decision *d)
{
    bool grows = d->target_bytes > g->sizes.standing_bytes;
    uint64_t gives = w->gives_free_bytes + w->gives_cache_bytes;

    if (g->mode == GUEST_MODE_OBSERVE)
        text_addf(t, "would %s %s: ", grows ? "get" : "give",
                  TEXT_SIZE(grows ? d->target_bytes - g->sizes.standing_bytes
                                  : g->sizes.standing_bytes - d->target_bytes));

    if (d->target_bytes + gives != g->sizes.standing_bytes) {
        add_asked(t, x, g, w, d);
        text_add(t, gives > 0 ? ", and " : "");
    }
    if (gives > 0) {
        text_addf(t, "gives %s of %s to ", TEXT_SIZE(gives),
                  w->gives_cache_bytes == 0  ? "free memory"
                  : w->gives_free_bytes == 0 ? "page cache"
                                             : "free memory and page cache");
        reason_add_requesters(t, &x->requests);
        reason_add_rule(t, GUARD_RULE_DONOR);
    }

    if (d->rule == GUARD_RULE_OBSERVE)
        reason_add_rule(t, GUARD_RULE_OBSERVE);
}

/* The host has no room for a move that was asked for. */
static void add_no_room(Text *t, const ReasonContext *x, const SnapshotGuest *g, const Wish *w,
                        const Decision *d)
{
    if (is_short(g, w) && (g->judgement.grant_refused || x->requests.coming_bytes > 0)) {
        text_add(t, g->judgement.grant_refused ? "in distress, but " : "in distress; ");
        add_request(t, x, g);
        reason_add_rule(t, GUARD_RULE_ROOM);
        return;
    }
    text_add(t, w->asked == GUARD_RULE_DISTRESS  ? "in distress, but not grown: "
                : w->asked == GUARD_RULE_HURTING ? "began to hurt after a shrink, but not grown: "
                : w->asked == GUARD_RULE_REBOOT  ? "rebooted into a shrunken size, but not grown: "
                : w->asked == GUARD_RULE_FLOOR   ? "below its floor, but not grown: "
                : w->asked == GUARD_RULE_AHEAD   ? "begins to use its memory, but not grown: "
                                                 : "not grown: ");
    reason_add_rule_clause(t, x, g, d, GUARD_RULE_ROOM);
    if (is_short(g, w)) {
        text_add(t, "; ");
        add_request(t, x, g);
    }
}

/* A move was asked for, and a rule stopped it. */
static void add_stopped(Text *t, const ReasonContext *x, const SnapshotGuest *g, const Wish *w,
                        const Decision *d)
{
    if (w->limited == GUARD_RULE_ROOM)
        add_no_room(t, x, g, w, d);
    else if (w->limited == GUARD_RULE_DEAD_BAND) {
        text_addf(t, "not moved: a change of %s is not worth a move",
                  TEXT_SIZE(w->bytes > g->sizes.standing_bytes ? w->bytes - g->sizes.standing_bytes
                                                               : g->sizes.standing_bytes - w->bytes));
        reason_add_rule(t, GUARD_RULE_DEAD_BAND);
    } else {
        text_add(t, d->wanted_bytes > g->sizes.standing_bytes ? "not grown: " : "not shrunk: ");
        reason_add_rule_clause(t, x, g, d, d->rule);
    }
}

/* No move was asked for. */
static void add_idle(Text *t, const ReasonContext *x, const SnapshotGuest *g, const Decision *d)
{
    const GuestFields *f = &g->fields;

    switch (x->situation) {
    case SITUATION_UNKNOWN:
        text_add(t, "nothing to do: the host's memory isn't known");
        return;
    case SITUATION_NO_POLICY:
        text_add(t, "nothing to do: no policy is loaded");
        return;
    case SITUATION_FAILED:
        text_add(t, "not moved: the policy failed");
        return;
    case SITUATION_PRESSED:
    case SITUATION_COMING:
        if (d->rule != GUARD_RULE_NONE) {
            text_add(t, "not shrunk: ");
            reason_add_rule_clause(t, x, g, d, d->rule);
        } else if (x->situation == SITUATION_COMING)
            text_add(t, "nothing to do: moving balloons bring what the host is short of");
        else if (guest_fields_has(f, GUEST_FIELD_AVAILABLE))
            text_addf(t, "nothing to do: the policy takes nothing from it (%s available)",
                      TEXT_SIZE(bytes_from_double(guest_fields_get(f, GUEST_FIELD_AVAILABLE))));
        else
            text_add(t, "nothing to do: the policy takes nothing from it");
        return;
    case SITUATION_BETWEEN:
        text_add(t, "nothing to do: the host is between its thresholds, where nothing moves");
        return;
    case SITUATION_NO_THRESHOLDS:
        text_add(t, "nothing to do: the policy asks nothing of it");
        return;
    case SITUATION_RELAXED:
        text_add(t,
                 g->sizes.standing_bytes >= d->bounds.most_bytes
                     ? "nothing to do: the host has enough available, and it has its full size"
                     : "nothing to do: the host has enough available, and the policy gives it nothing now");
        return;
    }
}

void reason_decision(const ReasonContext *x, const SnapshotGuest *g, const Wish *w, const PolicyNote *note,
                     Decision *d)
{
    Text t = text_init(d->reason, sizeof d->reason);

    if (d->bounds.hold == GUARD_RULE_NONE)
        reason_add_nodes(&t, x->snapshot);
    if (d->bounds.hold != GUARD_RULE_NONE) {
        text_add(&t, "not moved: ");
        reason_add_rule_clause(&t, x, g, d, d->bounds.hold);
    } else if (d->target_bytes != g->sizes.standing_bytes)
        add_move(&t, x, g, w, d);
    else if (w->limited != GUARD_RULE_NONE || (w->clipped != GUARD_RULE_NONE && w->asked == GUARD_RULE_NONE))
        add_stopped(&t, x, g, w, d);
    else if (w->asked == GUARD_RULE_DISTRESS) {
        text_add(&t, guard_ceiling(g) > guard_full(g)
                         ? "in distress, but it already has all that it may grow to"
                         : "in distress, but it already has its full size");
        if (guard_ceiling(g) == guard_full(g) && guard_full(g) < bytes_down_to_kib(g->sizes.maximum_bytes))
            text_add(&t, "; ballastctl set VM --max lets it grow");
        reason_add_rule(&t, GUARD_RULE_DISTRESS);
    } else if (w->asked == GUARD_RULE_CEILING) {
        text_addf(&t, "above its full size of %s: it comes down to that when it has free memory",
                  TEXT_SIZE(guard_full(g)));
        reason_add_rule(&t, GUARD_RULE_CEILING);
    } else if (note) {
        text_add(&t, "not moved: the policy skipped it: ");
        text_add_some(&t, note->text, REASON_WORDS_MAX);
        reason_add_line(&t, x->files ? x->files[note->file] : NULL, note->line);
    } else if (w->no_number) {
        text_add(&t, "not moved: the policy's target is not a number");
        reason_add_line(&t, d->file, d->line);
    } else if (d->line == 0 && d->reclaim.line > 0) {
        text_add(&t, "keeps its size and ");
        text_add(&t, d->reclaim.reason);
    } else if (d->line > 0) {
        text_addf(&t, "stays at %s", TEXT_SIZE(g->sizes.standing_bytes));
        reason_add_line(&t, d->file, d->line);
    } else
        add_idle(&t, x, g, d);
}
