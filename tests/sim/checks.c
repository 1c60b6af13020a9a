/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/checks.h"

#include <math.h>
#include <stdarg.h>

#include "base/macro.h"
#include "base/units.h"

#define SPARE_MIN   (64.0 * (double) MIB) /* less isn't worth being asked for */
#define ROUNDING    ((double) MIB)
#define CLAIMS_WAIT (60 * USEC_PER_SEC) /* CLAIM_WAIT_MIN_USEC: the first wait after a false claim */

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

/* Gifts are given only from what the host has above its critical mark; so it gets below that only by what was
 * demanded besides. */
static void check_critical(Checks *c, const SimWorld *w)
{
    double short_of = sim_critical(w) - sim_available(w);
    double demanded = w->demanded - c->demanded[(w->now_usec / USEC_PER_SEC + 1) % CHECKS_BLAME_SEC];

    if (short_of > 0 && !c->critical && short_of > demanded + ROUNDING)
        fail(c, w, "the host is %.0f MiB below its critical mark, and %.0f MiB were demanded",
             short_of / (double) MIB, demanded / (double) MIB);
    c->critical = short_of > 0;
}

static void end_guests_phase(Checks *c, const SimWorld *w, size_t i)
{
    CheckedGuest *k = &c->guests[i];
    char name[48];

    c->most_turns = MAX(c->most_turns, k->turns);
    if (k->turns > CHECKS_TURNS_MAX)
        fail(c, w, "%s: its target turned round %u times", name_of(&w->guests[i], name), k->turns);
    /* Who says that all its memory is free, and lives off it, is asked for it again and again. */
    if (!w->guests[i].kind->says_free) {
        c->most_rest_turns = MAX(c->most_rest_turns, k->rest_turns);
        if (k->rest_turns > CHECKS_REST_TURNS)
            fail(c, w, "%s: its target turned round %u times, at rest", name_of(&w->guests[i], name),
                 k->rest_turns);
    }
    k->turns = k->rest_turns = 0;
    k->rest_up = k->rest_down = 0;
}

static void end_phase(Checks *c, const SimWorld *w)
{
    double minutes = (double) CHECKS_REST_USEC / (double) (60 * USEC_PER_SEC), moved = 0, probed = 0;

    for (size_t i = 0; i < w->n; i++) {
        const CheckedGuest *k = &c->guests[i];

        moved += (k->rest_up + k->rest_down) / w->total / minutes;
        probed += 2 * fmin(k->rest_up, k->rest_down) / w->total / minutes;
        end_guests_phase(c, w, i);
    }
    c->most_moved = fmax(c->most_moved, moved);
    c->most_probed = fmax(c->most_probed, probed);
    if (moved > CHECKS_MOVED_RATIO || probed > CHECKS_PROBED_RATIO)
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
    if (phase != c->phase)
        end_phase(c, w);
    c->phase = phase;
}

/* ---- Decisions ---- */

static double available_of(const SnapshotGuest *g)
{
    return guest_get(&g->fields, GUEST_FIELD_AVAILABLE);
}

/* What it could give to one in distress, at the least: free memory that the host really gets. */
static double spare_of(const GuardConfig *config, const SnapshotGuest *g, const Decision *d)
{
    double above = (double) g->standing_bytes - (double) d->bounds.least_bytes;

    if (g->moving || g->distress || d->bounds.hold != GUARD_RULE_NONE || above <= 0)
        return 0;
    return fmin(fmin(above, guest_get(&g->fields, GUEST_FIELD_RESIDENT_FREE) -
                                guest_get(&g->fields, GUEST_FIELD_LOW_WATERMARK)),
                available_of(g) - config->keep_ratio * (double) g->current_bytes);
}

static void check_donor(Checks *c, const SimWorld *w, const GuardConfig *config, const SimGuest *k,
                        const SnapshotGuest *g, const Decision *d)
{
    double target = (double) d->target_bytes;
    double left = available_of(g) - ((double) g->current_bytes - target);
    char name[48];

    c->donations++;
    if (g->distress || g->hurting)
        fail(c, w, "%s gives, and is in distress itself", name_of(k, name));
    if (left < config->keep_ratio * target - ROUNDING)
        fail(c, w, "%s gives, and keeps %.0f MiB available of %.0f", name_of(k, name), left / (double) MIB,
             target / (double) MIB);
}

/* Whether there is anything to be had for those in distress; *ret_gives: somebody gives just now. */
static bool has_help(const GuardConfig *config, const Snapshot *s, const Plan *p, bool *ret_gives)
{
    double room = (double) guard_room(s, config);
    bool spare = false;

    *ret_gives = false;
    for (size_t i = 0; i < s->n_guests; i++) {
        const SnapshotGuest *g = &s->guests[i];
        const Decision *d = &p->decisions[i];

        if (g->standing_bytes < g->current_bytes || d->target_bytes < g->standing_bytes)
            *ret_gives = true;
        room -= fmax(0, (double) d->target_bytes - (double) g->standing_bytes);
        spare = spare || spare_of(config, g, d) > SPARE_MIN;
    }
    return spare || room > SPARE_MIN;
}

static bool is_waiting(const SnapshotGuest *g, const Decision *d)
{
    return g->distress && !g->claim_refused && d->bounds.hold == GUARD_RULE_NONE && !g->stalled_growing &&
           d->target_bytes <= g->standing_bytes && g->standing_bytes + MIB < d->bounds.most_bytes;
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
        fail(c, w, "%s is in distress, and nobody gives though some could", name_of(g, name));
    if (now - k->waits_usec > CHECKS_RELEASE_USEC)
        fail(c, w, "%s is in distress for long, and gets nothing", name_of(g, name));
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

        check_waiting(c, w, &c->guests[index[i]], k, is_waiting(g, d), help, gives);
        if (!d->send)
            continue;
        c->served += g->distress && d->target_bytes > g->standing_bytes;
        if ((double) d->target_bytes < k->floor - (double) KIB || (double) d->target_bytes > k->full)
            fail(c, w, "%s: target %.0f MiB, floor %.0f, full %.0f", name_of(k, name),
                 (double) d->target_bytes / (double) MIB, k->floor / (double) MIB, k->full / (double) MIB);
        if (d->rule == GUARD_RULE_DONOR && d->target_bytes < g->standing_bytes)
            check_donor(c, w, config, k, g, d);
    }
}

void checks_sent(Checks *c, const SimWorld *w, size_t guest, double from, double to)
{
    CheckedGuest *k = &c->guests[guest];
    int direction = to > from ? 1 : -1;

    if (k->boot_usec != w->guests[guest].boot_usec)
        *k = (CheckedGuest){.boot_usec = w->guests[guest].boot_usec};
    k->turns += k->direction == -direction;
    if (w->now_usec % SIM_PHASE_USEC >= SIM_PHASE_USEC - CHECKS_REST_USEC) {
        k->rest_turns += k->direction == -direction;
        *(direction > 0 ? &k->rest_up : &k->rest_down) += fabs(to - from);
    }
    k->direction = direction;
}

double checks_given(const SimWorld *w)
{
    double given = 0;

    for (size_t i = 0; i < w->n; i++)
        if (w->guests[i].present)
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
        fail(c, w,
             "guests may use %.0f MiB that they were given, and the host has %.0f above its critical mark",
             given / (double) MIB, room / (double) MIB);
}

void checks_claims(Checks *c, const SimWorld *w, size_t guest, unsigned claims, unsigned false_claims)
{
    const SimGuest *g = &w->guests[guest];
    double waits = (double) (w->now_usec - g->boot_usec) / (double) CLAIMS_WAIT;
    char name[48];

    c->false_claims += false_claims;
    /* Each wait is twice the one before: 1 + 2 + 4 + … of the first. */
    if (g->kind->cries && claims > 1 + log2(waits + 1))
        fail(c, w, "%s: %u claims", name_of(g, name), claims);
}
