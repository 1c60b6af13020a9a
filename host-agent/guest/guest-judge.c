/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a shrink does to a guest, and what it brought the host.
 *
 * Each sample is judged: rates of the last 2 s (strain.h) above the thresholds of [Distress] are distress, as
 * is what the guest's agent says, unless the same sample shows plenty of free memory, or stalls are the only sign and
 * it shows plenty that is available: then what stalls is a container at its own limit, or a counter means something
 * else there. Stalls count only from when the balloon rests: to take page cache the
 * balloon has the guest's kernel reclaim it, which looks like any other wait for memory. Memory that is read
 * back or swapped in counts at any time.
 *
 * For 15 s after a shrink the bar is lower: a rate that reaches a quarter of its threshold, and has doubled
 * since before the shrink, counts as hurting, and the guest gets its earlier size back. Either way that size
 * is what the guest needs (need.h): it isn't shrunk for 30 s, longer each time that it is found again, and
 * then the need fades. On a critical host none of this counts: it is better that a guest swaps than that the
 * host does.
 *
 * Memory that a guest in distress gets while the host is short comes at the cost of other guests. It is a
 * grant (grant.h): the guest must use it. */

#include "host-agent/guest/guest-judge.h"

#include "base/log.h"
#include "base/units.h"

/* How long after a shrink it is watched whether the guest hurts: it misses page cache only when it reads
 * again. */
#define WATCH_USEC           (15 * USEC_PER_SEC)
/* A shrink longer ago than this isn't the reason for distress; then the guest is assumed to need a tenth more
 * than it has. */
#define BLAME_USEC           (60 * USEC_PER_SEC)
/* An agent reports on the last second, so on what its balloon did in that second, too. */
#define LAST_SECOND_USEC     (1200 * USEC_PER_MSEC)
/* A guest with less than this share of its size available has nothing more to give. */
#define LEFT_RATIO           0.05
/* A guest that began to hurt has this long to get its memory back. */
#define HURTING_USEC         (10 * USEC_PER_SEC)
/* Repeated distress of a guest is logged at most once in this time. */
#define DISTRESS_LOGGED_USEC (60 * USEC_PER_SEC)
/* A guest whose balloon frees nothing is shrunk again after this long, and after twice as long each time that it is
 * found so again. */
#define INEFFECTIVE_USEC     (3600 * USEC_PER_SEC)
#define INEFFECTIVE_MAX_USEC (24 * 3600 * USEC_PER_SEC)
/* A guest whose QEMU holds less than this share of the guest's size isn't short of memory, whatever the guest
 * says. */
#define USED_RATIO           0.75

/* The largest size that the guest may have in distress. */
static uint64_t entitled(const Guest *g)
{
    return MAX(g->full.bytes, MIN(g->entitlement.growth_bytes, g->info.maximum_bytes));
}

/* The size that a guest should have back when it hurts: the one before the shrink that may be the reason. */
static uint64_t restore_size(const Guest *g, usec_t now_usec)
{
    const Judgement *j = &g->judgement;
    uint64_t current = guest_believed(g), restore;

    if (j->shrunk_usec > 0 && usec_since(j->shrunk_usec, now_usec) < BLAME_USEC)
        restore = MAX(current, j->shrunk_from_bytes);
    else
        restore = current + current / 10;
    return MIN(restore, entitled(g));
}

static bool is_shrunk(const Guest *g)
{
    uint64_t least = MIN(guest_current(g), balloon_standing(&g->balloon));

    return g->balloon.known && least + BALLOON_TOLERANCE_BYTES < entitled(g);
}

static void tell_distress(const Guest *g)
{
    Notice n = guest_notice(g, NOTICE_DISTRESS);

    n.cause = g->judgement.distress_cause;
    guest_tell(g, &n);
}

void guest_distressed(Guest *g, DistressCause cause, bool reported, usec_t now_usec)
{
    Judgement *j = &g->judgement;
    bool was = guest_in_distress(g, now_usec);
    bool again = reported && usec_since(j->distress_usec, now_usec) >= DISTRESS_INTERVAL_USEC;

    j->distress_usec = now_usec;
    if (!was || reported)
        j->distress_cause = cause;
    if (is_shrunk(g))
        need_found(&j->need, restore_size(g, now_usec), now_usec);
    if (!was && (j->distress_logged_usec == 0 ||
                 usec_since(j->distress_logged_usec, now_usec) >= DISTRESS_LOGGED_USEC)) {
        j->distress_logged_usec = now_usec;
        tell_distress(g);
    }
    /* A guest that reports distress more often than allowed waits for the next regular cycle. */
    if (!was || again)
        guest_host_wake(g->host);
}

/* Whether the guest was shrunk lately, so that the shrink may be what hurts it. */
static bool is_watched(const Guest *g, usec_t now_usec)
{
    const Balloon *b = &g->balloon;
    usec_t since = g->judgement.shrunk_usec;

    if (since == 0 || !is_shrunk(g))
        return false;
    if (b->target_bytes < b->from_bytes) { /* the last move was a shrink, too */
        if (b->moving)
            return true;
        since = MAX(since, b->settled_usec);
    }
    return usec_since(since, now_usec) < WATCH_USEC;
}

static void tell_hurting(const Guest *g, DistressCause cause)
{
    Notice n = guest_notice(g, NOTICE_HURTING);

    n.from_bytes = n.current_bytes;
    n.to_bytes = g->judgement.restore_bytes;
    n.cause = cause;
    n.wait_usec = g->judgement.need.hold_usec;
    guest_tell(g, &n);
}

static void begin_hurting(Guest *g, DistressCause cause, usec_t now_usec)
{
    Judgement *j = &g->judgement;
    uint64_t restore = restore_size(g, now_usec);

    need_found(&j->need, restore, now_usec);
    /* On a critical host it is better that a guest swaps than that the host does. */
    if (guest_is_hurting(g, now_usec) || guest_host_is_critical(g->host))
        return;
    /* Above its full size a guest grows only in distress. And if it has that size already, or is on its way
     * to it, its rates are still those of before. */
    restore = MIN(restore, MAX(g->full.bytes, guest_believed(g)));
    if (balloon_standing(&g->balloon) + BALLOON_TOLERANCE_BYTES >= restore)
        return;
    j->restore_bytes = restore;
    j->hurting_usec = now_usec;
    tell_hurting(g, cause);
    guest_host_wake(g->host);
}

/* How long ago the balloon last took memory. */
static usec_t reclaim_age(const Guest *g, usec_t now_usec)
{
    usec_t reclaimed_usec = g->judgement.reclaimed_usec;

    if (g->balloon.moving && g->balloon.target_bytes < g->balloon.from_bytes)
        return 0;
    return reclaimed_usec > 0 ? usec_since(reclaimed_usec, now_usec) : USEC_INFINITY;
}

/* Whether little is read back or swapped in. */
static bool misses_nothing(const Guest *g)
{
    const StrainConfig *c = &g->host->rules->strain;
    const Strain *strain = &g->judgement.strain;

    return strain->refault <= c->hurt_ratio * c->refault_rate &&
           !(strain->swap_in > c->hurt_ratio * c->swap_in_rate);
}

/* Whether the agent reports stalls that only the balloon causes: it was taking memory just then, and the
 * guest shows no other sign of lack: little is read back or swapped in, and it has memory left. */
static bool is_of_the_balloon(const Guest *g, DistressCause cause, usec_t now_usec)
{
    const Sample *s = guest_sample(g, now_usec);
    double left = s ? (double) report_get(&s->report, REPORT_MEM_AVAILABLE) : 0;

    return (cause == DISTRESS_PSI || cause == DISTRESS_STALL) &&
           reclaim_age(g, now_usec) < LAST_SECOND_USEC && misses_nothing(g) &&
           left >= LEFT_RATIO * (double) guest_current(g);
}

/* The stats of a guest that won't lack what it has now; false: they aren't known, or it takes memory. For a critical host
 * a balloon goes on while that is so: each sample shows what is left. Otherwise a move is judged by what comes of it; and
 * what is free in a guest that grows may be what it was given a moment ago, and needs. */
static bool lasting_fields(const Guest *g, usec_t now_usec, GuestFields *ret)
{
    const Sample *s = guest_sample(g, now_usec);
    bool shrank = g->balloon.target_bytes > 0 && g->balloon.target_bytes < g->balloon.from_bytes &&
                  g->levers.squeeze.returns_bytes == 0,
         goes_on = shrank && guest_host_is_critical(g->host);

    if (!s || (guest_is_moving(g, now_usec) && !goes_on) || taking_grows(&g->judgement.taking, now_usec))
        return false;
    *ret = (GuestFields){};
    sample_fields(s,
                  &(SampleHost){.current_bytes = guest_current(g),
                                .maximum_bytes = g->info.maximum_bytes,
                                .balloon_in_total = g->balloon_in_total},
                  ret);
    return true;
}

/* Whether it has so much free that it lacks no memory, whatever stalls in it. */
static bool has_plenty(const Guest *g, usec_t now_usec)
{
    GuestFields f;

    return lasting_fields(g, now_usec, &f) && guard_has_plenty(&f, guest_current(g));
}

/* Whether stalls are the only sign, and the same sample shows that it could drop page cache, and misses none: then
 * something else stalls, such as a container at its own limit. */
static bool is_contradicted(const Guest *g, DistressCause cause, usec_t now_usec)
{
    const StrainConfig *c = &g->host->rules->strain;
    bool one_sign =
        cause == DISTRESS_STALL ||
        (cause == DISTRESS_PSI && !(g->judgement.strain.alloc_stalls > c->hurt_ratio * c->alloc_stall_rate));
    GuestFields f;

    return one_sign && misses_nothing(g) && !guest_is_moving(g, now_usec) &&
           lasting_fields(g, now_usec, &f) &&
           guest_fields_get(&f, GUEST_FIELD_AVAILABLE) >= GUARD_PLENTY_RATIO * (double) guest_current(g);
}

void guest_judge_distress(Guest *g, DistressCause cause, usec_t now_usec)
{
    if (is_of_the_balloon(g, cause, now_usec))
        log_debug("%s: its distress is ignored: it waits for its own balloon, and doesn't lack memory",
                  g->info.name);
    else if (has_plenty(g, now_usec))
        log_debug("%s: its distress is ignored: it has plenty of free memory", g->info.name);
    else if (is_contradicted(g, cause, now_usec))
        log_debug("%s: its distress is ignored: it has memory available, and misses none", g->info.name);
    else
        guest_distressed(g, cause, true, now_usec);
}

/* Where MemTotal includes what the balloon holds, only samples from after its last move show what the guest
 * takes. */
static void look_at_taking(Guest *g, usec_t now_usec)
{
    usec_t since = g->balloon.moving ? now_usec + 1 : g->balloon.settled_usec + LAST_SECOND_USEC;

    taking_look(&g->judgement.taking, &g->sources.history, g->full.bytes, g->balloon_in_total ? since : 0);
}

void guest_judge(Guest *g, usec_t now_usec)
{
    const StrainConfig *c = &g->host->rules->strain;
    Judgement *j = &g->judgement;
    /* Stalls count only since the balloon stopped taking memory. */
    usec_t own = LESS_BY(reclaim_age(g, now_usec), GUEST_SETTLE_USEC);
    DistressCause cause;
    bool plenty;

    strain_read(&g->sources.history, STRAIN_WINDOW_USEC, MIN(own, STRAIN_WINDOW_USEC), &j->strain);
    cause = strain_judge(&j->strain, c);
    look_at_taking(g, now_usec);
    plenty = has_plenty(g, now_usec);
    if (cause != 0 && !plenty && !is_contradicted(g, cause, now_usec))
        guest_distressed(g, cause, false, now_usec);
    if (plenty || !is_watched(g, now_usec))
        return;
    cause = strain_hurts(&j->strain, &j->strain_before, c);
    if (cause != 0)
        begin_hurting(g, cause, now_usec);
}

void guest_judge_reboot(Guest *g)
{
    Judgement *j = &g->judgement;

    j->distress_usec = j->hurting_usec = j->shrunk_usec = j->reclaimed_usec = 0;
    j->strain = j->strain_before = STRAIN_NONE;
    j->need = (Need){};
    j->owed = (Owed){};
    j->taking = (Taking){};
    gain_reset(&j->gain);
}

static bool gain_look(const Guest *g, usec_t now_usec, GainLook *ret)
{
    HeldGuest guest;

    if (!held_is_known(&g->held, now_usec) || !guest_memory(g, now_usec, &guest))
        return false;
    *ret = (GainLook){.current_bytes = guest_current(g),
                      .used_bytes = guest.used_bytes,
                      .free_bytes = guest.free_bytes,
                      .resident_bytes = guest_resident(g, now_usec),
                      .idle_bytes = held_idle(&g->held, &guest, now_usec)};
    return true;
}

void guest_watch(Guest *g, bool shrinks, usec_t now_usec)
{
    Judgement *j = &g->judgement;
    GainLook look;

    if (!shrinks) {
        gain_reset(&j->gain);
        return;
    }
    if (j->ineffective_usec > 0 && !guest_is_ineffective(g, now_usec))
        j->ineffective_usec = 0; /* the wait is over, and this shrink is the next try */
    /* Of several shrinks in a row, the rates before the first count. */
    if (!is_watched(g, now_usec))
        j->strain_before = j->strain;
    if (!guest_is_swap_hidden(g, now_usec) && gain_look(g, now_usec, &look))
        gain_begin(&j->gain, &look);
    j->shrunk_usec = j->reclaimed_usec = now_usec;
    j->shrunk_from_bytes = MAX(guest_believed(g), balloon_standing(&g->balloon));
    owed_shrunk(&j->owed, j->shrunk_from_bytes, now_usec);
}

void guest_given_back(Guest *g, usec_t now_usec)
{
    taking_given(&g->judgement.taking, now_usec);
}

void guest_reclaims(Guest *g, usec_t now_usec)
{
    g->judgement.reclaimed_usec = now_usec;
}

static void begin_ineffective(Guest *g, usec_t now_usec)
{
    char wait[UNITS_FORMAT_MAX];
    Judgement *j = &g->judgement;

    j->ineffective_usec = now_usec;
    j->ineffective_wait_usec = CLAMP(2 * j->ineffective_wait_usec, INEFFECTIVE_USEC, INEFFECTIVE_MAX_USEC);
    log_notice(
        "%s: shrinking it frees no memory on the host: what its QEMU holds doesn't fall; it isn't shrunk for %s",
        g->info.name, format_duration(wait, j->ineffective_wait_usec));
}

void guest_look_at_gain(Guest *g, usec_t now_usec)
{
    Judgement *j = &g->judgement;
    GainLook look;

    if (guest_is_swap_hidden(g, now_usec))
        gain_reset(&j->gain);
    if (!j->gain.open || guest_is_moving(g, now_usec) || g->held.look_usec <= g->balloon.settled_usec ||
        !gain_look(g, now_usec, &look))
        return;
    held_prove(&g->held, gain_end(&j->gain, &look), LESS_BY(look.resident_bytes, look.used_bytes));
    if (!gain_is_ineffective(&j->gain))
        j->ineffective_usec = 0;
    else if (j->ineffective_usec == 0)
        begin_ineffective(g, now_usec);
}

bool guest_is_ineffective(const Guest *g, usec_t now_usec)
{
    const Judgement *j = &g->judgement;

    return j->ineffective_usec > 0 && usec_since(j->ineffective_usec, now_usec) < j->ineffective_wait_usec;
}

bool guest_is_hurting(const Guest *g, usec_t now_usec)
{
    const Judgement *j = &g->judgement;

    return j->hurting_usec > 0 && usec_since(j->hurting_usec, now_usec) < HURTING_USEC &&
           balloon_standing(&g->balloon) + BALLOON_TOLERANCE_BYTES < j->restore_bytes;
}

const char *guest_grant_refused(const Guest *g, usec_t now_usec)
{
    const Grant *grant = &g->judgement.grant;

    if (!grant_allowed(grant, now_usec))
        return "it used little of what it was given before";
    if (!grant->open && held_is_known(&g->held, now_usec) && !guest_is_swap_hidden(g, now_usec) &&
        (double) guest_resident(g, now_usec) < USED_RATIO * (double) guest_current(g))
        return "what its QEMU holds shows that it doesn't use what it has";
    return NULL;
}

void guest_judge_grant(Guest *g, usec_t now_usec)
{
    Grant *grant = &g->judgement.grant;
    Notice n;

    if (!grant_judge(grant, guest_resident(g, now_usec), guest_is_swap_hidden(g, now_usec), now_usec))
        return;
    n = guest_notice(g, NOTICE_UNUSED_GRANT);
    n.wait_usec = grant->wait_usec;
    n.count = grant->unused_grants;
    guest_tell(g, &n);
}

static void tell_grant(const Guest *g, uint64_t from_bytes, uint64_t to_bytes)
{
    Notice n = guest_notice(g, NOTICE_GRANT);

    n.from_bytes = from_bytes;
    n.to_bytes = to_bytes;
    n.cause = g->judgement.distress_cause;
    guest_tell(g, &n);
}

/* Counts what was given as part of a grant. A shrink that is on its way and taken back gives nothing. */
void guest_charge(Guest *g, const SnapshotGuest *s, uint64_t target_bytes, usec_t now_usec)
{
    Judgement *j = &g->judgement;
    /* Returning what was taken from the guest lately costs nobody anything. */
    uint64_t own = owed_bytes(&j->owed, now_usec);
    uint64_t given = LESS_BY(target_bytes, MAX(MAX(s->sizes.standing_bytes, s->sizes.current_bytes), own));
    bool was_open = j->grant.open;

    if (!s->judgement.distress)
        return;
    grant_given(&j->grant, given, guest_resident(g, now_usec), now_usec);
    if (j->grant.open && !was_open)
        tell_grant(g, s->sizes.current_bytes, target_bytes);
}
