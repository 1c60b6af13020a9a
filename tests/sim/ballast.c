/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ballast on the simulated host. */

#include "tests/sim/ballast.h"

#include <math.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/config/config-load.h"
#include "host-agent/decide/evaluate.h"
#include "host-agent/decide/view.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-held.h"
#include "host-agent/guest/guest-judge.h"
#include "host-agent/guest/guest-snapshot.h"
#include "tests/sim/small.h"

/* The host's swap, as a part of its memory: as in the overcommit bench. */
#define SWAP_PART 1.5

/* As cycle.c has them. */
#define STATS_AGENT_USEC     (5 * USEC_PER_SEC)
#define STATS_AGENTLESS_USEC (2 * USEC_PER_SEC)
#define STATS_MOVING_USEC    (200 * USEC_PER_MSEC)
#define REPORT_MOVING_USEC   (250 * USEC_PER_MSEC)
#define REPORT_FAST_USEC     (10 * USEC_PER_SEC)
#define REPORT_CALM_USEC     (2 * USEC_PER_SEC)
#define CYCLE_FEED_USEC      (100 * USEC_PER_MSEC)
/* As looks.c has them. */
#define LOOK_OFTEN_USEC      (USEC_PER_SEC)
#define LOOK_SELDOM_USEC     (5 * USEC_PER_SEC)

/* As the agent's trigger has them. */
#define TRIGGER_WINDOW_USEC USEC_PER_SEC
#define TRIGGER_STALL_USEC  (75.0 * (double) USEC_PER_MSEC)

/* ---- What the daemon does for a guest ---- */

static void on_wake(void *userdata)
{
    ((Ballast *) userdata)->next_usec = 0;
}

static void move(Ballast *b, size_t i, uint64_t target_bytes)
{
    Guest *g = b->guests[i].guest;
    usec_t now = b->world->now_usec;
    double from = b->world->guests[i].target;
    int r;

    guest_sent(g, target_bytes, now);
    r = sim_set_memory(b->world, i, (double) target_bytes);
    guest_set_done(g, r, now);
    if (r >= 0) {
        b->moved += fabs((double) target_bytes - from);
        checks_sent(&b->checks, b->world, i, from, (double) target_bytes);
    }
}

/* ---- Guests ---- */

static int appear(Ballast *b, size_t i)
{
    const SimGuest *g = &b->world->guests[i];
    usec_t now = b->world->now_usec;
    DomainInfo info = {.id = (int) i,
                       .persistent = true,
                       .maximum_bytes = (uint64_t) g->full,
                       .current_bytes = (uint64_t) g->full,
                       .configured_current_bytes = (uint64_t) g->full,
                       .has_balloon = true,
                       .free_page_reporting = g->kind->reports_free,
                       .entitlement = ENTITLEMENT_NONE};
    BallastGuest *k = &b->guests[i];

    (void) snprintf(info.uuid, sizeof(info.uuid), "%s", g->uuid);
    (void) snprintf(info.name, sizeof(info.name), "%s", g->uuid);
    info.entitlement.shares = g->shares;
    info.entitlement.min_bytes = (uint64_t) g->floor;
    *k = (BallastGuest){.boot_usec = g->boot_usec};
    return guest_new(&b->host, &info, &(Entitlement){.mode = GUEST_MODE_INVALID}, now, &k->guest);
}

static void disappear(Ballast *b, size_t i)
{
    b->guests[i].guest = guest_free(b->guests[i].guest);
}

static void send_message(BallastGuest *k, const SimWorld *w, const SimGuest *g, DistressCause cause)
{
    BallastMessage *m = &k->queue[k->last % BALLAST_QUEUE];

    if (k->last - k->first == BALLAST_QUEUE)
        return;
    k->last++;
    m->due_usec = w->now_usec + g->report_delay_usec;
    m->cause = cause;
    sim_report(w, g, &m->report);
}

/* What its agent does: reports at the pace that it was asked for, and looks each second whether tasks stand
 * still. */
static void run_agent(Ballast *b, BallastGuest *k, const SimGuest *g)
{
    const SimWorld *w = b->world;
    usec_t now = w->now_usec;

    if (now >= k->report_usec) {
        send_message(k, w, g, 0);
        k->report_usec = now + k->guest->sources.interval_usec;
    }
    if (usec_since(k->told_usec, now) < TRIGGER_WINDOW_USEC)
        return;
    if (sim_cries(w, g) || g->stall_usec - k->told_stall_usec >= TRIGGER_STALL_USEC)
        send_message(k, w, g, DISTRESS_PSI);
    k->told_usec = now;
    k->told_stall_usec = g->stall_usec;
}

static void receive(BallastGuest *k, usec_t now)
{
    while (k->first != k->last && k->queue[k->first % BALLAST_QUEUE].due_usec <= now) {
        const BallastMessage *m = &k->queue[k->first++ % BALLAST_QUEUE];

        guest_report(k->guest, &m->report, now);
        if (m->cause != 0)
            guest_distressed(k->guest, m->cause, true, now);
    }
}

/* What the host sees of its QEMU. */
static void look_at_process(const Ballast *b, BallastGuest *k, const SimGuest *g)
{
    const SimWorld *w = b->world;
    usec_t now = w->now_usec;
    const Guest *guest = k->guest;
    bool often = sim_available(w) < sim_relaxed(w) || guest_is_moving(guest, now) ||
                 guest_in_distress(guest, now) || guest->judgement.grant.open || guest->judgement.gain.open;

    if (k->look_usec > 0 && usec_since(k->look_usec, now) < (often ? LOOK_OFTEN_USEC : LOOK_SELDOM_USEC))
        return;
    k->look_usec = now;
    guest_process(k->guest,
                  &(ProcessLook){.rss_bytes = (uint64_t) sim_rss(w, g),
                                 .swap_bytes = (uint64_t) sim_swap(w, g),
                                 .cpu_usec = sim_cpu(w, g)},
                  now);
}

/* Libvirt's stats: of all guests the balloon's size, of those without agent the balloon driver's
 * stats, as guest_stats() takes them (which knows the wall clock's time only). */
static void see_stats(Ballast *b, BallastGuest *k, const SimGuest *g)
{
    const SimWorld *w = b->world;
    usec_t now = w->now_usec;
    Guest *guest = k->guest;
    bool watched = guest->balloon.moving || guest->sending.cancel || balloon_is_suspect(&guest->balloon) ||
                   !guest->balloon.known;
    usec_t every = watched                               ? STATS_MOVING_USEC
                   : g->kind->source == SIM_SOURCE_AGENT ? STATS_AGENT_USEC
                                                         : STATS_AGENTLESS_USEC;
    Sources *sources = &guest->sources;

    if (k->stats_usec > 0 && usec_since(k->stats_usec, now) < every)
        return;
    k->stats_usec = now;
    sources->stats_usec = now;
    guest_balloon_seen(guest, (uint64_t) g->current, now);
    if (g->kind->source != SIM_SOURCE_LIBVIRT)
        return;
    sources->newest[GUEST_SOURCE_LIBVIRT] = (Sample){.at_usec = now, .source = GUEST_SOURCE_LIBVIRT};
    sim_report(w, g, &sources->newest[GUEST_SOURCE_LIBVIRT].report);
    history_add(&sources->history, &sources->newest[GUEST_SOURCE_LIBVIRT]);
    guest_judge(guest, now);
}

static void set_interval(const Ballast *b, BallastGuest *k, usec_t now)
{
    Guest *g = k->guest;
    usec_t interval = REPORT_INTERVAL_DEFAULT_USEC;

    if (guest_is_moving(g, now))
        k->fast_usec = now + REPORT_FAST_USEC;
    if (now < k->fast_usec)
        interval = REPORT_MOVING_USEC;
    else if (b->plan.pressure == HOST_PRESSURE_NONE && guest_current(g) >= g->full.bytes)
        interval = REPORT_CALM_USEC;
    guest_set_interval(g, interval);
}

static void tend_guest(Ballast *b, size_t i)
{
    const SimGuest *g = &b->world->guests[i];
    BallastGuest *k = &b->guests[i];
    usec_t now = b->world->now_usec;

    see_stats(b, k, g);
    if (g->kind->source == SIM_SOURCE_AGENT) {
        set_interval(b, k, now);
        run_agent(b, k, g);
        receive(k, now);
    }
    if (b->world->small)
        ballast_levers_tick(b, i);
    look_at_process(b, k, g);
    guest_settle(k->guest, now);
    if (k->guest->sending.cancel &&
        sim_set_memory(b->world, i, (double) k->guest->balloon.actual_bytes) == 0) {
        guest_canceled(k->guest);
        guest_set_done(k->guest, 0, now);
    }
}

/* ---- A cycle ---- */

static void sense_host(Ballast *b)
{
    const SimWorld *w = b->world;
    HostFields *h = &b->fields;

    *h = (HostFields){};
    host_fields_set(h, HOST_FIELD_TOTAL, w->total);
    host_fields_set(h, HOST_FIELD_AVAILABLE, sim_available(w));
    host_fields_set(h, HOST_FIELD_FREE, sim_available(w));
    host_fields_set(h, HOST_FIELD_SWAP_TOTAL, SWAP_PART * w->total);
    host_fields_set(h, HOST_FIELD_SWAP_FREE, fmax(0, SWAP_PART * w->total - w->swapped));
    if (w->small)
        host_fields_set(h, HOST_FIELD_SWAPPING, w->small->swapping);
}

/* Returns whether memory is on its way to the host. */
static bool apply(Ballast *b, const Snapshot *s, const size_t *index, bool lacked)
{
    bool on_account = lacked || b->plan.pressure != HOST_PRESSURE_NONE, coming = false;
    double given = checks_given(b->world);

    for (size_t i = 0; i < s->n_guests; i++) {
        const Decision *d = &b->plan.decisions[i];
        Guest *g = b->guests[index[i]].guest;

        coming = coming || (!s->guests[i].balloon.late &&
                            s->guests[i].sizes.current_bytes > s->guests[i].sizes.standing_bytes);
        if (!d->send)
            continue;
        move(b, index[i], d->target_bytes);
        coming = coming || d->target_bytes < s->guests[i].sizes.standing_bytes;
        if (on_account)
            guest_charge(g, &s->guests[i], d->target_bytes, s->now_usec);
    }
    checks_gifts(&b->checks, b->world, given);
    return coming;
}

static void cycle(Ballast *b)
{
    SnapshotGuest guests[SIM_GUESTS_MAX];
    size_t index[SIM_GUESTS_MAX];
    Snapshot s = {.now_usec = b->world->now_usec,
                  .guests = guests,
                  .history = &b->keep.history,
                  .state = b->keep.state};
    HostFields host;
    bool lacked;

    sense_host(b);
    s.host = b->fields;
    for (size_t i = 0; i < b->world->n; i++)
        if (b->guests[i].guest) {
            index[s.n_guests] = i;
            guest_settle(b->guests[i].guest, s.now_usec);
            guest_snapshot(b->guests[i].guest, s.now_usec, &guests[s.n_guests]);
            /* The traces are about sizes: only on a small host are guests asked to hand memory back. */
            if (!b->world->small)
                guest_fields_set(&guests[s.n_guests].fields, GUEST_FIELD_SQUEEZABLE, false);
            s.n_guests++;
        }
    lacked = b->plan.shortfall_bytes > 0;
    plan_done(&b->plan);
    b->next_usec = s.now_usec + USEC_PER_SEC;
    if (plan_make(&s, b->policy, &b->config->guard, &b->plan) < 0)
        abort();
    checks_plan(&b->checks, b->world, &b->config->guard, &s, &b->plan, index);
    policy_keep_state(&b->keep, true, b->policy, b->plan.state);
    view_host_fields(&s, &host);
    series_set_add_host(&b->keep.history, s.now_usec, &host);
    for (size_t i = 0; i < s.n_guests; i++)
        guest_keep(b->guests[index[i]].guest, b->policy, &s, i, &b->plan);
    if (b->world->small)
        ballast_levers_apply(b, &s, index);
    if (apply(b, &s, index, lacked) && b->plan.shortfall_bytes > 0)
        b->next_usec = s.now_usec + CYCLE_FEED_USEC;
}

int ballast_init(Ballast *b, SimWorld *w, const char *policy)
{
    int r;

    *b = (Ballast){.world = w};
    r = config_new(&b->config);
    if (r < 0)
        return r;
    r = policy_load_files((const char *[]){policy}, 1, NULL, &b->policy, NULL);
    if (r < 0)
        return r;
    b->host = (GuestHost){.mode = GUEST_MODE_AUTO,
                          .guard = &b->config->guard,
                          .rules = &b->config->guest_rules,
                          .policy = b->policy,
                          .fields = &b->fields,
                          .audience = &b->audience,
                          .wake = on_wake,
                          .userdata = b};
    return policy_keep_copy(&b->keep, true, &(PolicyKeep){}, b->policy, NULL);
}

void ballast_done(Ballast *b)
{
    for (size_t i = 0; i < SIM_GUESTS_MAX; i++)
        if (b->guests[i].guest)
            disappear(b, i);
    plan_done(&b->plan);
    policy_keep_done(&b->keep);
    b->config = config_free(b->config);
    b->policy = policy_free(b->policy);
}

void ballast_tick(Ballast *b)
{
    const SimWorld *w = b->world;

    checks_tick(&b->checks, w);
    for (size_t i = 0; i < w->n; i++) {
        const SimGuest *g = &w->guests[i];
        BallastGuest *k = &b->guests[i];

        if (k->guest && (!g->present || g->boot_usec != k->boot_usec))
            disappear(b, i);
        if (!k->guest && g->present) {
            if (appear(b, i) < 0)
                abort();
            if (w->small)
                ballast_levers_hello(b, i);
        }
        if (k->guest)
            tend_guest(b, i);
    }
    if (w->now_usec >= b->next_usec)
        cycle(b);
}
