/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts decisions into words. */

#include "host-agent/decide/reason.h"

#include <math.h>

#include "base/units.h"
#include "host-agent/decide/bytes.h"

/* Bytes of a file's or a guest's name in a reason; see REASON_WORDS_MAX. */
#define FILE_MAX       40
#define SHOWN_NAME_MAX 40

#define SIZE(bytes) format_size((char[UNITS_FORMAT_MAX]){}, bytes)
#define RATIO(r)    format_ratio((char[UNITS_FORMAT_MAX]){}, r)

static void add_rule(Text *t, GuardRule rule)
{
    text_add(t, " (");
    text_add(t, guard_rule_to_string(rule));
    text_add(t, ")");
}

void reason_add_line(Text *t, const char *file, unsigned line)
{
    text_add(t, " (");
    text_add_some(t, file ?: "policy", FILE_MAX);
    text_addf(t, ":%u)", line);
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

/* Why a rule stops a guest's move: a clause with the rule's name. */
static void add_rule_clause(Text *t, const ReasonContext *x, const SnapshotGuest *g, const Decision *d,
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
        text_addf(t, "at its floor of %s", SIZE(guard_floor_of(g)));
        break;
    case GUARD_RULE_CEILING:
        text_addf(t,
                  guard_ceiling(g) > guard_full(g) ? "it has all of the %s that it may grow to"
                                                   : "it has its full size of %s",
                  SIZE(guard_ceiling(g)));
        break;
    case GUARD_RULE_SWAPLESS:
        text_add(t, guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE) ||
                            guest_fields_has(&g->fields, GUEST_FIELD_FREE)
                        ? "it has no swap for the memory that it uses"
                        : "it does not report what it uses");
        break;
    case GUARD_RULE_STEP:
        text_add(t, "its last move is not finished, or no newer stats have come");
        break;
    case GUARD_RULE_AHEAD:
        text_add(t, "it took memory lately, and may take more");
        break;
    case GUARD_RULE_NEEDED:
        text_addf(t, "it was found to need %s", SIZE(g->judgement.needed_bytes));
        break;
    case GUARD_RULE_AGENTLESS:
        if (g->source == GUEST_SOURCE_NONE)
            text_add(t, "no stats received yet, so it is not known what it could spare");
        else
            text_addf(t, "it has no agent, so it keeps %s of its available memory",
                      RATIO(1 - x->config->agentless_ratio));
        break;
    case GUARD_RULE_NONE:
    case GUARD_RULE_STALLED:
    case GUARD_RULE_DISTRESS:
    case GUARD_RULE_HURTING:
    case GUARD_RULE_PROTECTED:
    case GUARD_RULE_DONOR:
    case GUARD_RULE_REBOOT:
    case GUARD_RULE_ROOM:
    case GUARD_RULE_DEAD_BAND:
    case GUARD_RULE_OBSERVE:
    case GUARD_RULE_MAX:
    case GUARD_RULE_INVALID:
        text_add(t, guard_rule_describe(rule) ?: "");
        break;
    }
    add_rule(t, rule);
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
        text_addf(t, ", clipped to its floor of %s", SIZE(guard_floor_of(g)));
        break;
    case GUARD_RULE_CEILING:
        text_addf(t, ", clipped to its full size of %s", SIZE(guard_full(g)));
        break;
    case GUARD_RULE_NEEDED:
        text_addf(t, ", clipped to the %s that it was found to need", SIZE(d->target_bytes));
        break;
    case GUARD_RULE_AGENTLESS:
        text_add(t, ", clipped to a part of its available memory: it has no agent");
        break;
    case GUARD_RULE_SWAPLESS:
        text_addf(t, ", clipped to the %s it needs without swap", SIZE(d->target_bytes));
        break;
    case GUARD_RULE_STEP:
        text_addf(t, ", clipped to a step of %s", SIZE(change));
        break;
    case GUARD_RULE_ROOM:
        text_add(t, ", no more than the host can spare");
        break;
    case GUARD_RULE_OFF:
    case GUARD_RULE_UNMOVABLE:
    case GUARD_RULE_BUSY:
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
    case GUARD_RULE_OBSERVE:
    case GUARD_RULE_MAX:
    case GUARD_RULE_INVALID:
        text_add(t, ", clipped");
        break;
    }
    add_rule(t, rule);
}

/* "web1, which is in distress", "3 guests in distress" */
static void add_requesters(Text *t, const Requests *c)
{
    if (c->guests > 1)
        text_addf(t, "%zu guests in distress", c->guests);
    else {
        text_add_some(t, c->guest ?: "", SHOWN_NAME_MAX);
        text_add(t, ", which is in distress");
    }
}

/* What others give to a guest that gets less than it wants, or why they give nothing. */
static void add_request(Text *t, const ReasonContext *x, const SnapshotGuest *g)
{
    const Requests *c = &x->requests;

    if (g->judgement.grant_refused) {
        text_add(t, "nothing is taken from others: ");
        text_add_some(t, g->judgement.grant_refused, REASON_WORDS_MAX);
    } else if (c->coming_bytes == 0)
        text_add(t, c->donors > 0 ? "the host itself needs what others give"
                                  : "no other guest can spare memory now");
    else if (c->guests == 1)
        text_addf(t, "others give %s, which it gets as they release it", SIZE(c->coming_bytes));
    else
        text_addf(t, "others give %s to %zu guests in distress, which get it as it is released",
                  SIZE(c->coming_bytes), c->guests);
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
        text_addf(t, "raised to its floor of %s", SIZE(guard_floor_of(g)));
    else if (w->asked == GUARD_RULE_REBOOT)
        text_add(t, "gets its full size first after a reboot");
    else if (w->asked == GUARD_RULE_DISTRESS)
        text_add(t, d->target_bytes > guard_full(g) ? "grows above its full size: it is in distress"
                                                    : "gets memory back: it is in distress");
    else if (w->asked == GUARD_RULE_HURTING)
        text_addf(t, "goes back to %s: it began to hurt after a shrink", SIZE(w->bytes));
    else if (w->asked == GUARD_RULE_AHEAD)
        text_add(t, guard_rule_describe(GUARD_RULE_AHEAD));
    else if (w->asked == GUARD_RULE_CEILING)
        text_addf(t, "comes down to its full size of %s", SIZE(guard_full(g)));
    else if (d->because)
        text_add_some(t, d->because, REASON_WORDS_MAX);
    else
        text_add(t, grows ? "grown by the policy" : "shrunk by the policy");

    if (w->asked != GUARD_RULE_NONE)
        add_rule(t, w->asked);
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
                  SIZE(grows ? d->target_bytes - g->sizes.standing_bytes
                             : g->sizes.standing_bytes - d->target_bytes));

    if (d->target_bytes + gives != g->sizes.standing_bytes) {
        add_asked(t, x, g, w, d);
        text_add(t, gives > 0 ? ", and " : "");
    }
    if (gives > 0) {
        text_addf(t, "gives %s of %s to ", SIZE(gives),
                  w->gives_cache_bytes == 0  ? "free memory"
                  : w->gives_free_bytes == 0 ? "page cache"
                                             : "free memory and page cache");
        add_requesters(t, &x->requests);
        add_rule(t, GUARD_RULE_DONOR);
    }

    if (d->rule == GUARD_RULE_OBSERVE)
        add_rule(t, GUARD_RULE_OBSERVE);
}

/* The host has no room for a move that was asked for. */
static void add_no_room(Text *t, const ReasonContext *x, const SnapshotGuest *g, const Wish *w,
                        const Decision *d)
{
    if (is_short(g, w) && (g->judgement.grant_refused || x->requests.coming_bytes > 0)) {
        text_add(t, g->judgement.grant_refused ? "in distress, but " : "in distress; ");
        add_request(t, x, g);
        add_rule(t, GUARD_RULE_ROOM);
        return;
    }
    text_add(t, w->asked == GUARD_RULE_DISTRESS  ? "in distress, but not grown: "
                : w->asked == GUARD_RULE_HURTING ? "began to hurt after a shrink, but not grown: "
                : w->asked == GUARD_RULE_REBOOT  ? "rebooted into a shrunken size, but not grown: "
                : w->asked == GUARD_RULE_FLOOR   ? "below its floor, but not grown: "
                : w->asked == GUARD_RULE_AHEAD   ? "begins to use its memory, but not grown: "
                                                 : "not grown: ");
    add_rule_clause(t, x, g, d, GUARD_RULE_ROOM);
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
                  SIZE(w->bytes > g->sizes.standing_bytes ? w->bytes - g->sizes.standing_bytes
                                                          : g->sizes.standing_bytes - w->bytes));
        add_rule(t, GUARD_RULE_DEAD_BAND);
    } else {
        text_add(t, d->wanted_bytes > g->sizes.standing_bytes ? "not grown: " : "not shrunk: ");
        add_rule_clause(t, x, g, d, d->rule);
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
            add_rule_clause(t, x, g, d, d->rule);
        } else if (x->situation == SITUATION_COMING)
            text_add(t, "nothing to do: moving balloons bring what the host is short of");
        else if (guest_fields_has(f, GUEST_FIELD_AVAILABLE))
            text_addf(t, "nothing to do: the policy takes nothing from it (%s available)",
                      SIZE(bytes_from_double(guest_fields_get(f, GUEST_FIELD_AVAILABLE))));
        else
            text_add(t, "nothing to do: the policy takes nothing from it");
        return;
    case SITUATION_BETWEEN:
        text_add(t, x->own_thresholds
                        ? "nothing to do: the host is between its thresholds, where nothing moves"
                        : "nothing to do: the policy asks nothing of it");
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

    if (d->bounds.hold != GUARD_RULE_NONE) {
        text_add(&t, "not moved: ");
        add_rule_clause(&t, x, g, d, d->bounds.hold);
    } else if (d->target_bytes != g->sizes.standing_bytes)
        add_move(&t, x, g, w, d);
    else if (w->limited != GUARD_RULE_NONE || (w->clipped != GUARD_RULE_NONE && w->asked == GUARD_RULE_NONE))
        add_stopped(&t, x, g, w, d);
    else if (w->asked == GUARD_RULE_DISTRESS) {
        text_add(&t, guard_ceiling(g) > guard_full(g)
                         ? "in distress, but it already has all that it may grow to"
                         : "in distress, but it already has its full size");
        add_rule(&t, GUARD_RULE_DISTRESS);
    } else if (w->asked == GUARD_RULE_CEILING) {
        text_addf(&t, "above its full size of %s: it comes down to that when it has free memory",
                  SIZE(guard_full(g)));
        add_rule(&t, GUARD_RULE_CEILING);
    } else if (note) {
        text_add(&t, "not moved: the policy skipped it: ");
        text_add_some(&t, note->text, REASON_WORDS_MAX);
        reason_add_line(&t, x->files ? x->files[note->file] : NULL, note->line);
    } else if (w->no_number) {
        text_add(&t, "not moved: the policy's target is not a number");
        reason_add_line(&t, d->file, d->line);
    } else if (d->line > 0) {
        text_addf(&t, "stays at %s", SIZE(g->sizes.standing_bytes));
        reason_add_line(&t, d->file, d->line);
    } else
        add_idle(&t, x, g, d);
}

/* The decisions about all guests together. */
typedef struct Tally {
    size_t give, get, would, below_full, auto_guests, observed;
    uint64_t give_bytes, get_bytes;
    size_t stopped[GUARD_RULE_MAX]; /* guests that are not moved, by rule */
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
        if (d->target_bytes == g->sizes.standing_bytes)
            ret->stopped[d->rule]++;
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

static void add_moves(Text *t, const Tally *n)
{
    if (n->give > 0)
        text_addf(t, "%zu guest%s give%s %s", n->give, plural(n->give), n->give == 1 ? "s" : "",
                  SIZE(n->give_bytes));
    if (n->get > 0)
        text_addf(t, "%s%zu guest%s get%s %s", n->give > 0 ? ", " : "", n->get, plural(n->get),
                  n->get == 1 ? "s" : "", SIZE(n->get_bytes));
    if (n->would == 0)
        return;
    if (n->auto_guests == 0)
        text_addf(
            t,
            "mode observe: %zu move%s decided, none sent; `ballastctl mode auto` lets Ballast move balloons",
            n->would, plural(n->would));
    else
        text_addf(t, "%s%zu move%s decided for guests in mode observe and not sent",
                  n->give + n->get > 0 ? "; " : "", n->would, plural(n->would));
}

/* "idle gives 300 MiB to starved, which is in distress". part: of the sum named before. */
static void add_donors(Text *t, const Requests *c, bool part)
{
    if (c->donors > 1)
        text_addf(t, "%zu guests give", c->donors);
    else {
        text_add_some(t, c->donor ?: "", SHOWN_NAME_MAX);
        text_add(t, " gives");
    }
    text_addf(t, " %s%s to ", SIZE(c->given_bytes), part ? " of that" : "");
    add_requesters(t, c);
}

static void add_host(Text *t, const ReasonContext *x, const Plan *p)
{
    const HostFields *h = &x->snapshot->host;
    double total = host_fields_get(h, HOST_FIELD_TOTAL), available = host_fields_get(h, HOST_FIELD_AVAILABLE);

    text_addf(t, "host has %s available, ", RATIO(available / total));
    if (available < p->critical_threshold_bytes)
        text_addf(t, "below the critical %s threshold", RATIO(p->critical_threshold_bytes / total));
    else if (available < p->pressure_threshold_bytes)
        text_addf(t, "below the %s threshold", RATIO(p->pressure_threshold_bytes / total));
    else if (available > p->relax_threshold_bytes)
        text_addf(t, "above the %s threshold", RATIO(p->relax_threshold_bytes / total));
    else
        text_addf(t, "between the %s and %s thresholds", RATIO(p->pressure_threshold_bytes / total),
                  RATIO(p->relax_threshold_bytes / total));
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
        [GUARD_RULE_STEP] = "still moving",
        [GUARD_RULE_ROOM] = "without room to grow",
        [GUARD_RULE_DEAD_BAND] = "not worth a move",
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
                  SIZE(bytes_from_double(p->pending_bytes)));
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

void reason_summary(const ReasonContext *x, Plan *p)
{
    Text t = text_init(p->summary, sizeof p->summary);
    Tally n;

    count(x, p, &n);
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
    if (n.give + n.get + n.would > 0)
        add_moves(&t, &n);
    if (x->requests.donors > 0) {
        text_add(&t, n.give + n.get + n.would > 0 ? "; " : "");
        add_donors(&t, &x->requests, n.give > 0);
    } else if (n.give + n.get + n.would == 0)
        add_rest(&t, x, &n, p);
}
