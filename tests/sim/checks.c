/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold on the simulated host, whatever happens there. */

#include "tests/sim/checks.h"

#include <math.h>
#include <stdarg.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/grant.h"

#define SPARE_MIN (64.0 * (double) MIB) /* less isn't worth being asked for */
#define ROUNDING  ((double) MIB)

static void _printf_(3, 4) fail(Checks *c, const SimWorld *w, const char *format, ...)
{
    va_list ap;
    int n;

    if (c->failures++ > 0)
        return;
    n = snprintf(c->text, sizeof(c->text), "seed %u, at %.1f s: ", (unsigned) w->seed,
                 (double) w->now_usec / (double) USEC_PER_SEC);
    va_start(ap, format);
    (void) vsnprintf(c->text + n, sizeof(c->text) - (size_t) n, format, ap);
    va_end(ap);
}

static const char *name_of(const SimGuest *g, char buf[static 48])
{
    (void) snprintf(buf, 48, "%s (%s)", g->uuid, g->kind->name);
    return buf;
}

/* ---- The world ---- */

static void check_guest(Checks *c, const SimWorld *w, const SimGuest *g)
{
    double sum = g->kernel + g->used + g->hot_cached + g->cold_cached + g->backed + g->hollow;
    double least = fmin(fmin(fmin(g->used, g->hot_cached), fmin(g->cold_cached, g->backed)), g->hollow);
    char name[48];

    if (fabs(sum - g->current) > ROUNDING || least < 0)
        fail(c, w, "%s: its parts are %.0f MiB, its size %.0f", name_of(g, name), sum / (double) MIB,
             g->current / (double) MIB);
    if (g->current < g->floor - ROUNDING || g->current > g->full + ROUNDING)
        fail(c, w, "%s has %.0f MiB, its floor is %.0f, full %.0f", name_of(g, name),
             g->current / (double) MIB, g->floor / (double) MIB, g->full / (double) MIB);
}

/* Gifts come only from what the host has above its critical threshold, so only additional demand brings it
 * below that. */
static void check_critical(Checks *c, const SimWorld *w)
{
    double short_of = sim_critical(w) - sim_available(w);
    double demanded = w->demanded - c->demanded[(w->now_usec / USEC_PER_SEC + 1) % CHECKS_BLAME_SEC];

    if (short_of > 0 && !c->critical && short_of > demanded + ROUNDING)
        fail(c, w, "the host is %.0f MiB below its critical threshold, and %.0f MiB were demanded",
             short_of / (double) MIB, demanded / (double) MIB);
    c->critical = short_of > 0;
}

/* What liars bring upon themselves has no rest: who says that all its memory is free, and lives off it, is
 * asked for it again and again. */
static void end_guests_phase(Checks *c, const SimWorld *w, size_t i, double *moved, double *probed)
{
    CheckedGuest *k = &c->guests[i];
    char name[48];

    if (!sim_is_liar(&w->guests[i])) {
        *moved += k->rest_up + k->rest_down;
        *probed += 2 * fmin(k->rest_up, k->rest_down);
        c->most_rest_turns = MAX(c->most_rest_turns, k->rest_turns);
        if (k->rest_turns > CHECKS_REST_TURNS)
            fail(c, w, "%s: its target turned round %u times, at rest", name_of(&w->guests[i], name),
                 k->rest_turns);
    }
    c->most_turns = MAX(c->most_turns, k->turns);
    if (k->turns > CHECKS_TURNS_MAX)
        fail(c, w, "%s: its target turned round %u times", name_of(&w->guests[i], name), k->turns);
    k->turns = k->rest_turns = 0;
    k->rest_up = k->rest_down = 0;
}

static void end_phase(Checks *c, const SimWorld *w)
{
    double unit = w->total * (double) CHECKS_REST_USEC / (double) (60 * USEC_PER_SEC), moved = 0, probed = 0;

    for (size_t i = 0; i < w->n; i++)
        end_guests_phase(c, w, i, &moved, &probed);
    moved /= unit;
    probed /= unit;
    c->most_moved = fmax(c->most_moved, moved);
    c->most_probed = fmax(c->most_probed, probed);
    if ((moved > CHECKS_MOVED_RATIO && !c->paced) ||
        probed > (c->paced ? CHECKS_PROBED_PACED_RATIO : CHECKS_PROBED_RATIO))
        fail(c, w, "at rest %.2f %% of the host's memory are moved in a minute, %.2f %% to and fro",
             100 * moved, 100 * probed);
}

void checks_tick(Checks *c, const SimWorld *w)
{
    uint64_t phase = w->now_usec / SIM_PHASE_USEC;

    for (size_t i = 0; i < w->n; i++)
        if (w->guests[i].present)
            check_guest(c, w, &w->guests[i]);
    check_critical(c, w);
    c->demanded[w->now_usec / USEC_PER_SEC % CHECKS_BLAME_SEC] = w->demanded;
    if (phase != c->phase && !c->foreign_policy)
        end_phase(c, w);
    c->phase = phase;
}

/* ---- Decisions ---- */

static CheckedGuest *checked_guest(Checks *c, const SimWorld *w, size_t i)
{
    CheckedGuest *k = &c->guests[i];

    if (k->boot_usec != w->guests[i].boot_usec)
        *k = (CheckedGuest){.boot_usec = w->guests[i].boot_usec};
    return k;
}

static double available_of(const SnapshotGuest *g)
{
    return guest_fields_get(&g->fields, GUEST_FIELD_AVAILABLE);
}

/* What an idle guest could give to one in distress, at the least: free memory that the host really gets. */
static double spare_of(const GuardConfig *config, const SnapshotGuest *g, const Decision *d)
{
    double above =
        (double) g->sizes.standing_bytes - (double) MAX(d->bounds.least_bytes, g->judgement.needed_bytes);
    double free_bytes = guest_fields_get(&g->fields, GUEST_FIELD_IDLE) -
                        guest_fields_get(&g->fields, GUEST_FIELD_LOW_WATERMARK);

    if (g->balloon.moving || g->judgement.distress || g->judgement.hurting || g->judgement.protected ||
        d->bounds.hold != GUARD_RULE_NONE)
        return 0;
    return fmin(fmin(above, free_bytes),
                available_of(g) - config->keep_ratio * (double) g->sizes.current_bytes);
}

static void check_donor(Checks *c, const SimWorld *w, const GuardConfig *config, const SimGuest *k,
                        const SnapshotGuest *g, const Decision *d)
{
    double target = (double) d->target_bytes;
    double left = available_of(g) - ((double) g->sizes.current_bytes - target);
    char name[48];

    c->donations++;
    if (g->judgement.distress || g->judgement.hurting)
        fail(c, w, "%s gives, and is in distress itself", name_of(k, name));
    if (left < config->keep_ratio * target - ROUNDING)
        fail(c, w, "%s gives, and keeps %.0f MiB available of %.0f", name_of(k, name), left / (double) MIB,
             target / (double) MIB);
}

/* Whether there is anything to be had for those in distress. *ret_gives: what the host is getting just now is
 * as much as they lack. */
static bool has_help(const GuardConfig *config, const Snapshot *s, const Plan *p, bool *ret_gives)
{
    double room = (double) guard_room(s, config), coming = 0;
    bool spare = false;

    for (size_t i = 0; i < s->n_guests; i++) {
        const SnapshotGuest *g = &s->guests[i];
        const Decision *d = &p->decisions[i];

        coming += fmax(0, (double) g->sizes.current_bytes - (double) d->target_bytes);
        room -= fmax(0, (double) d->target_bytes - (double) g->sizes.standing_bytes);
        spare = spare || spare_of(config, g, d) > SPARE_MIN;
    }
    *ret_gives = coming > 0 && coming + SPARE_MIN > (double) p->shortfall_bytes;
    return spare || room > SPARE_MIN;
}

/* In distress, as it is seen or as it is in truth: by then it should be seen. */
static bool is_in_want(CheckedGuest *k, const SimWorld *w, const SimGuest *g, const SnapshotGuest *s)
{
    usec_t patience = g->kind->source == SIM_SOURCE_AGENT ? CHECKS_SEEN_USEC : CHECKS_SEEN_AGENTLESS_USEC;

    /* One that says that it has free memory is believed. */
    if (!sim_is_starved(g) || g->kind->says_free)
        k->starved_usec = 0;
    else if (k->starved_usec == 0)
        k->starved_usec = w->now_usec;
    return s->judgement.distress ||
           (k->starved_usec > 0 && usec_since(k->starved_usec, w->now_usec) > patience &&
            g->kind->source != SIM_SOURCE_NONE);
}

static bool could_grow(const SnapshotGuest *g, const Decision *d)
{
    return !g->judgement.grant_refused && d->bounds.hold == GUARD_RULE_NONE && !g->balloon.stalled_growing &&
           d->target_bytes <= g->sizes.standing_bytes && g->sizes.standing_bytes + MIB < d->bounds.most_bytes;
}

static void check_waiting(Checks *c, const SimWorld *w, CheckedGuest *k, const SimGuest *g, bool waits,
                          bool help, bool gives)
{
    usec_t now = w->now_usec;
    char name[48];

    if (!waits || !help) {
        k->waits = false;
        return;
    }
    if (!k->waits)
        k->waits_usec = k->idle_usec = now;
    if (gives)
        k->idle_usec = now;
    k->waits = true;
    c->longest_idle_usec = MAX(c->longest_idle_usec, now - k->idle_usec);
    c->longest_wait_usec = MAX(c->longest_wait_usec, now - k->waits_usec);
    if (now - k->idle_usec > CHECKS_SERVED_USEC)
        fail(c, w, "%s is in distress, and no guest gives although some could", name_of(g, name));
    if (now - k->waits_usec > CHECKS_RELEASE_USEC)
        fail(c, w, "%s is in distress for long, and gets nothing", name_of(g, name));
}

/* A guest that cries wolf gets memory on the account of others once, and once more after each wait: of which
 * each is twice the one before, so that n of them take 2^n − 1 times the first. */
static void check_wolf(Checks *c, const SimWorld *w, CheckedGuest *k, const SimGuest *g,
                       const SnapshotGuest *s, const Decision *d)
{
    double waits = (double) usec_since(g->boot_usec, w->now_usec) / (double) GRANT_WAIT_MIN_USEC;
    char name[48];

    if (!s->judgement.distress || s->judgement.grant_refused || !d->send ||
        d->target_bytes <= s->sizes.standing_bytes || sim_available(w) >= sim_pressed(w))
        return;
    /* A grant may be fulfilled in parts. */
    k->grants += k->granted_usec == 0 || usec_since(k->granted_usec, w->now_usec) > GRANT_WAIT_MIN_USEC;
    k->granted_usec = w->now_usec;
    c->most_claims = MAX(c->most_claims, k->grants);
    if (k->grants > 1 + log2(1 + waits))
        fail(c, w, "%s: grants memory of others for the %uth time", name_of(g, name), k->grants);
}

/* At the end of a phase: a guest that could still give what the host lacks, or get what it has too much of,
 * would be moving. A guest's stats are noise, in part. */
static void check_rest(Checks *c, const SimWorld *w, const GuardConfig *config, const SnapshotGuest *g,
                       const Decision *d, const SimGuest *k)
{
    double available = sim_available(w), noise = 0.02 * k->full + 2 * SIM_NOISE * sim_free(k);
    char name[48];

    if (g->balloon.moving || g->balloon.stalled || w->now_usec < g->uptime_usec + SIM_PHASE_USEC / 2)
        return;
    if (available + noise < sim_pressed(w) && spare_of(config, g, d) > noise + 48.0 * (double) MIB)
        fail(c, w, "the host lacks memory, and %s has %.0f MiB of it to spare", name_of(k, name),
             spare_of(config, g, d) / (double) MIB);
    if (!c->keeps_plenty && available > sim_relaxed(w) + noise && k->target < k->full - noise)
        fail(c, w, "the host has memory to spare, and %s has %.0f MiB of %.0f", name_of(k, name),
             k->target / (double) MIB, k->full / (double) MIB);
}

void checks_plan(Checks *c, const SimWorld *w, const GuardConfig *config, const Snapshot *s, const Plan *p,
                 const size_t *index)
{
    bool gives, help = has_help(config, s, p, &gives);
    char name[48];

    if (p->policy_error < 0 || p->notes_total > 0)
        fail(c, w, "the policy fails: %s", p->n_notes > 0 ? p->notes[0].text : "");
    for (size_t i = 0; i < s->n_guests; i++) {
        const SnapshotGuest *g = &s->guests[i];
        const Decision *d = &p->decisions[i];
        const SimGuest *k = &w->guests[index[i]];
        CheckedGuest *checked = checked_guest(c, w, index[i]);

        check_waiting(c, w, checked, k, is_in_want(checked, w, k, g) && could_grow(g, d), help, gives);
        if (k->kind->cries)
            check_wolf(c, w, checked, k, g, d);
        if (!c->foreign_policy && w->now_usec % SIM_PHASE_USEC >= SIM_PHASE_USEC - USEC_PER_SEC)
            check_rest(c, w, config, g, d, k);
        if (!d->send)
            continue;
        c->served += g->judgement.distress && d->target_bytes > g->sizes.standing_bytes;
        if ((double) d->target_bytes < k->floor - (double) KIB || (double) d->target_bytes > k->full)
            fail(c, w, "%s: target %.0f MiB, floor %.0f, full %.0f", name_of(k, name),
                 (double) d->target_bytes / (double) MIB, k->floor / (double) MIB, k->full / (double) MIB);
        if (d->rule == GUARD_RULE_DONOR && d->target_bytes < g->sizes.standing_bytes)
            check_donor(c, w, config, k, g, d);
    }
}

void checks_sent(Checks *c, const SimWorld *w, size_t guest, double from, double to)
{
    CheckedGuest *k = checked_guest(c, w, guest);
    int direction = to > from ? 1 : -1;

    k->turns += k->direction == -direction;
    if (w->now_usec % SIM_PHASE_USEC >= SIM_PHASE_USEC - CHECKS_REST_USEC) {
        k->rest_turns += k->direction == -direction;
        *(direction > 0 ? &k->rest_up : &k->rest_down) += fabs(to - from);
    }
    if (c->settled_usec > 0 && w->now_usec >= c->settled_usec && !sim_is_liar(&w->guests[guest])) {
        k->settled_turns += k->direction == -direction;
        c->most_settled_turns = MAX(c->most_settled_turns, k->settled_turns);
        c->settled_moved += fabs(to - from);
    }
    k->direction = direction;
}

/* What a guest that can't swap lost in the last minute it gets back whatever room there is. */
double checks_given(const SimWorld *w)
{
    double given = 0;

    for (size_t i = 0; i < w->n; i++)
        if (w->guests[i].present && !w->guests[i].kind->swapless)
            given += w->guests[i].given;
    return given;
}

void checks_gifts(Checks *c, const SimWorld *w, double before)
{
    double given = checks_given(w), room = sim_available(w) - sim_critical(w);

    if (given <= before + ROUNDING)
        return;
    c->gifts++;
    if (given > fmax(0, room) + ROUNDING)
        fail(
            c, w,
            "guests may use %.0f MiB that they were given, and the host has %.0f above its critical threshold",
            given / (double) MIB, room / (double) MIB);
}
