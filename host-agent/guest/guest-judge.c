/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a shrink does to a guest: whether it hurts, what the guest was found to need, and what the shrink
 * brought the host. */

#include "base/log.h"
#include "host-agent/daemon/manager.h"
#include "host-agent/show/journal.h"

/* The most that it may have, in distress. */
static uint64_t entitled(const Guest *g)
{
    return MAX(g->full.bytes, MIN(g->entitlement.growth_bytes, g->info.maximum_bytes));
}

/* What it should have at the least, as far as can be told now that it hurts: what it had before the shrink
 * that may be to blame. */
static uint64_t restore_size(const Guest *g, usec_t now_usec)
{
    uint64_t current = guest_current(g), restore;

    if (g->shrunk_usec > 0 && usec_since(g->shrunk_usec, now_usec) < GUEST_BLAME_USEC)
        restore = MAX(current, g->shrunk_from);
    else
        restore = current + current / 10;
    return MIN(restore, entitled(g));
}

static bool is_shrunk(const Guest *g)
{
    uint64_t least = MIN(guest_current(g), balloon_standing(&g->balloon));

    return g->balloon.known && least + BALLOON_TOLERANCE_BYTES < entitled(g);
}

void guest_distressed(Guest *g, DistressCause cause, bool told, usec_t now_usec)
{
    bool was = guest_in_distress(g, now_usec);
    bool anew = !was || (told && usec_since(g->distress_usec, now_usec) >= DISTRESS_INTERVAL_USEC);

    g->distress_usec = now_usec;
    if (!was || told)
        g->distress_cause = cause;
    if (is_shrunk(g))
        need_found(&g->need, restore_size(g, now_usec), now_usec);
    if (!was && (g->distress_told_usec == 0 ||
                 usec_since(g->distress_told_usec, now_usec) >= GUEST_DISTRESS_TOLD_USEC)) {
        g->distress_told_usec = now_usec;
        journal_distress(g->manager, g);
    }
    /* One that says so more often than it may has the next cycle to wait for. */
    if (anew)
        manager_wake(g->manager);
}

/* Shrunk lately, so that what it suffers may come from that. */
static bool is_watched(const Guest *g, usec_t now_usec)
{
    const Balloon *b = &g->balloon;
    usec_t since = g->shrunk_usec;

    if (g->shrunk_usec == 0 || !is_shrunk(g))
        return false;
    if (b->target_bytes < b->from_bytes) { /* the last move was a shrink, too */
        if (b->moving)
            return true;
        since = MAX(since, b->settled_usec);
    }
    return usec_since(since, now_usec) < GUEST_WATCH_USEC;
}

static bool is_host_critical(const Manager *m)
{
    return guard_is_critical(&(Snapshot){.host = m->host}, &m->config->guard);
}

static void begin_hurting(Guest *g, DistressCause cause, usec_t now_usec)
{
    uint64_t restore = restore_size(g, now_usec);

    need_found(&g->need, restore, now_usec);
    /* A critical host can't mind: better its guests swap than it. */
    if (guest_is_hurting(g, now_usec) || is_host_critical(g->manager))
        return;
    /* It has that already, or is on its way to it: its rates still tell of how it was before. And above its
     * full size it grows only in distress. */
    restore = MIN(restore, MAX(g->full.bytes, guest_current(g)));
    if (balloon_standing(&g->balloon) + BALLOON_TOLERANCE_BYTES >= restore)
        return;
    g->restore_bytes = restore;
    g->hurting_usec = now_usec;
    journal_hurting(g->manager, g, cause);
    manager_wake(g->manager);
}

/* For how long its balloon has taken no memory. */
static usec_t reclaim_age(const Guest *g, usec_t now_usec)
{
    if (g->balloon.moving && g->balloon.target_bytes < g->balloon.from_bytes)
        return 0;
    return g->reclaimed_usec > 0 ? usec_since(g->reclaimed_usec, now_usec) : USEC_INFINITY;
}

/* A guest's agent told of stalls while its balloon was taking memory, and the guest shows no other sign of
 * want: nothing comes back that was taken, and it has memory left. */
static bool is_of_the_balloon(const Guest *g, DistressCause cause, usec_t now_usec)
{
    const StrainConfig *c = &g->manager->config->strain;
    const Sample *s = guest_sample(g, now_usec);
    double left = s ? (double) report_get(&s->report, REPORT_MEM_AVAILABLE) : 0;

    return (cause == DISTRESS_PSI || cause == DISTRESS_STALL) &&
           reclaim_age(g, now_usec) < GUEST_TOLD_LATE_USEC &&
           g->strain.refault <= c->hurt_ratio * c->refault_rate &&
           !(g->strain.swap_in > c->hurt_ratio * c->swap_in_rate) &&
           left >= GUEST_LEFT_RATIO * (double) guest_current(g);
}

void guest_told_distress(Guest *g, DistressCause cause, usec_t now_usec)
{
    if (is_of_the_balloon(g, cause, now_usec))
        log_debug("%s: it waits for its own balloon, not for memory that it lacks", g->info.name);
    else
        guest_distressed(g, cause, true, now_usec);
}

void guest_judge(Guest *g, usec_t now_usec)
{
    const StrainConfig *c = &g->manager->config->strain;
    usec_t own = LESS_BY(reclaim_age(g, now_usec), GUEST_SETTLE_USEC); /* since then its stalls are its own */
    DistressCause cause;

    strain_read(&g->history, STRAIN_WINDOW_USEC, MIN(own, STRAIN_WINDOW_USEC), &g->strain);
    cause = strain_judge(&g->strain, c);
    if (cause != 0)
        guest_distressed(g, cause, false, now_usec);
    if (!is_watched(g, now_usec))
        return;
    cause = strain_hurts(&g->strain, &g->strain_before, c);
    if (cause != 0)
        begin_hurting(g, cause, now_usec);
}

/* The host swapped out lately: then RSS proves nothing. */
static bool host_swaps(const Manager *m, usec_t now_usec)
{
    return m->swapped_usec > 0 && usec_since(m->swapped_usec, now_usec) < GUEST_SWAPPED_USEC;
}

static bool gain_look(const Guest *g, usec_t now_usec, GainLook *ret)
{
    const Sample *s = guest_sample(g, now_usec);

    if (!s || !g->stats.has_rss || !report_has(&s->report, REPORT_MEM_FREE))
        return false;
    *ret = (GainLook){.current_bytes = guest_current(g),
                      .free_bytes = report_get(&s->report, REPORT_MEM_FREE),
                      .rss_bytes = g->stats.rss_bytes};
    return true;
}

void guest_watch(Guest *g, bool shrinks, usec_t now_usec)
{
    GainLook look;

    if (!shrinks) {
        gain_reset(&g->gain);
        return;
    }
    if (g->ineffective_usec > 0 && !guest_is_ineffective(g, now_usec))
        g->ineffective_usec = 0; /* it is tried again */
    /* Of several shrinks in a row, how it was before the first. */
    if (!is_watched(g, now_usec))
        g->strain_before = g->strain;
    if (!host_swaps(g->manager, now_usec) && gain_look(g, now_usec, &look))
        gain_begin(&g->gain, &look);
    g->shrunk_usec = g->reclaimed_usec = now_usec;
    g->shrunk_from = MAX(guest_current(g), balloon_standing(&g->balloon));
}

void guest_look_at_gain(Guest *g, usec_t now_usec)
{
    GainLook look;

    if (host_swaps(g->manager, now_usec))
        gain_reset(&g->gain);
    if (!g->gain.open || guest_is_moving(g, now_usec) || g->stats_usec <= g->balloon.settled_usec ||
        !gain_look(g, now_usec, &look))
        return;
    gain_end(&g->gain, &look);
    if (!gain_is_ineffective(&g->gain))
        g->ineffective_usec = 0;
    else if (g->ineffective_usec == 0) {
        log_notice(
            "%s: its balloon frees nothing on the host: QEMU's resident memory doesn't fall when it is shrunk; it is left alone for an hour",
            g->info.name);
        g->ineffective_usec = now_usec;
    }
}

bool guest_is_ineffective(const Guest *g, usec_t now_usec)
{
    return g->ineffective_usec > 0 && usec_since(g->ineffective_usec, now_usec) < GUEST_INEFFECTIVE_USEC;
}

bool guest_is_hurting(const Guest *g, usec_t now_usec)
{
    return g->hurting_usec > 0 && usec_since(g->hurting_usec, now_usec) < GUEST_HURTING_USEC &&
           balloon_standing(&g->balloon) + BALLOON_TOLERANCE_BYTES < g->restore_bytes;
}

const char *guest_grant_refused(const Guest *g, usec_t now_usec)
{
    if (!grant_allowed(&g->grant, now_usec))
        return "it wasn't seen to use what it was given before";
    if (!g->grant.open && g->stats.has_rss && !host_swaps(g->manager, now_usec) &&
        (double) g->stats.rss_bytes < GUEST_USED_RATIO * (double) guest_current(g))
        return "the host sees that it doesn't use what it has";
    return NULL;
}

void guest_settle(Guest *g, usec_t now_usec)
{
    uint64_t used = g->stats.has_rss ? LESS_BY(g->stats.rss_bytes, gain_overhead(&g->gain)) : 0;
    uint64_t reach = balloon_standing(&g->balloon);

    /* A growth that is stuck may still come: QEMU goes on pursuing it. */
    if (g->balloon.stalled && g->balloon.stalled_growing) {
        reach = MAX(reach, g->balloon.target_bytes);
        g->outstanding_usec = now_usec;
    }
    if (usec_since(g->outstanding_usec, now_usec) > GUEST_OUTSTANDING_USEC)
        g->outstanding_bytes = 0;
    else
        g->outstanding_bytes = MIN(g->outstanding_bytes, LESS_BY(reach, used));

    if (grant_judge(&g->grant, g->stats.has_rss ? g->stats.rss_bytes : 0, host_swaps(g->manager, now_usec),
                    now_usec))
        journal_unused_grant(g->manager, g);
}

/* What it has while a shrink is on its way isn't given to it when that is taken back. */
void guest_charge(Guest *g, const SnapshotGuest *s, uint64_t target_bytes, usec_t now_usec)
{
    /* What was taken from it just now is given back at nobody's cost. */
    uint64_t own = usec_since(g->shrunk_usec, now_usec) < GUEST_BLAME_USEC ? g->shrunk_from : 0;
    uint64_t given = LESS_BY(target_bytes, MAX(MAX(s->standing_bytes, s->current_bytes), own));
    bool was_open = g->grant.open;

    if (!s->distress)
        return;
    grant_given(&g->grant, given, g->stats.has_rss ? g->stats.rss_bytes : 0, now_usec);
    if (g->grant.open && !was_open)
        journal_grant(g->manager, g, s->current_bytes, target_bytes);
}
