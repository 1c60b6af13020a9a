/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "host-agent/act/host-ksm.h"
#include "host-agent/daemon/manager.h"
#include "host-agent/decide/evaluate.h"
#include "host-agent/decide/view.h"
#include "host-agent/show/journal.h"

/* How often libvirt is asked about a guest: one with an agent, for its RSS and its balloon; one without, for
 * all. */
#define STATS_AGENT_USEC         (5 * USEC_PER_SEC)
#define STATS_AGENTLESS_USEC     (2 * USEC_PER_SEC)
/* While its balloon moves, which takes 0.3 s for 200 MiB. */
#define STATS_MOVING_USEC        (200 * USEC_PER_MSEC)
/* How long a new guest's balloon is looked for at that pace. */
#define KNOWN_WITHIN_USEC        (10 * USEC_PER_SEC)
/* Reports: while a balloon moves, by default, and while there is no pressure and the guest has its full
 * size. */
#define REPORT_MOVING_USEC       (250 * USEC_PER_MSEC)
#define REPORT_FAST_USEC         (10 * USEC_PER_SEC)
#define REPORT_CALM_USEC         (2 * USEC_PER_SEC)
/* How long an agent may send what can't be heard before its channel is opened anew. */
#define UNWELCOME_USEC           (5 * USEC_PER_SEC)
/* While a guest in distress waits for what others release. */
#define CYCLE_FEED_USEC          (100 * USEC_PER_MSEC)
/* A channel that was closed is opened again after this, doubled up to the maximum. */
#define CHANNEL_BACKOFF_MIN_USEC (USEC_PER_SEC)
#define CHANNEL_BACKOFF_MAX_USEC (30 * USEC_PER_SEC)

static int sense_host(Manager *m, usec_t now)
{
    double swap_free = host_fields_get(&m->host, HOST_FIELD_SWAP_FREE);
    int r, arc_error = m->host_sample.arc_error;

    r = host_sample_read(m->options.proc_root, m->scope, now, &m->host_sample);
    if (r < 0) {
        if (m->host_valid || m->cycles <= 1)
            log_error_errno(-r, "Cannot read the host's memory from %s: %m; nothing is moved",
                            manager_memory_source(m));
        m->host_valid = false;
        return r;
    }
    if (m->host_sample.arc_error < 0 && arc_error >= 0)
        log_warning_errno(-m->host_sample.arc_error,
                          "Cannot tell how large ZFS's cache is: %m; none of it counts as available");
    m->reserve_bytes = config_reserve(m->config, host_sample_total(&m->host_sample));
    host_sample_fields(&m->host_sample, m->reserve_bytes, &m->host);
    /* KSM is the whole host's, also where the scope is a cgroup. */
    host_ksm_sense(m);
    if (m->host_valid && host_fields_get(&m->host, HOST_FIELD_SWAP_FREE) < swap_free)
        m->swapped_usec = now;
    m->host_valid = true;
    return 0;
}

/* Whether its balloon is looked at closely: on its way, or not seen yet. One that can't be seen, for it has
 * none or its QEMU doesn't answer, isn't looked for for ever. */
static bool is_watched(const Guest *g, usec_t now)
{
    if (g->balloon.moving || g->setting || g->cancel || balloon_is_suspect(&g->balloon))
        return true;
    return !g->balloon.known && g->info.has_balloon && usec_since(g->seen_usec, now) < KNOWN_WITHIN_USEC;
}

static void ask_stats(Manager *m, Guest *g, usec_t now)
{
    unsigned period = MAX(m->config->stats_period_usec / USEC_PER_SEC, 1U);
    usec_t every = guest_source(g, now) == GUEST_SOURCE_AGENT ? STATS_AGENT_USEC : STATS_AGENTLESS_USEC;

    /* Its RSS tells whether it uses what it has. */
    if (guest_in_distress(g, now))
        every = MIN(every, USEC_PER_SEC);
    if (is_watched(g, now))
        every = STATS_MOVING_USEC;
    if (g->stats_asked_usec > 0 && usec_since(g->stats_asked_usec, now) + 50 * USEC_PER_MSEC < every)
        return;
    if (virt_request_stats(m->virt, g->info.uuid, period) >= 0)
        g->stats_asked_usec = now;
}

/* An agent that missed our coming and going (a guest's kernel may see neither, when they are near to each
 * other) goes on with a nonce that isn't known here, and would say Hello only after a minute and a half of
 * silence. A channel that is closed for a moment tells it. */
static void tend_unwelcome(Manager *m, Guest *g, usec_t now)
{
    if (link_welcomed(g->link) || usec_since(g->channel_opened_usec, now) < UNWELCOME_USEC ||
        link_stats(g->link)->refused == g->channel_refused)
        return;
    log_debug("%s: its agent didn't notice that this daemon came; opening the channel again", g->info.name);
    link_closed(g->link);
    virt_channel_close(m->virt, g->info.uuid);
    g->channel_open = false;
    g->channel_retry_usec = now + CHANNEL_BACKOFF_MIN_USEC;
}

static void tend_channel(Manager *m, Guest *g, usec_t now)
{
    if (g->channel_open)
        tend_unwelcome(m, g, now);
    if (!g->info.has_channel || g->channel_open || g->channel_wanted)
        return;
    if (now < g->channel_retry_usec || now < link_retry_usec(g->link))
        return;
    g->channel_backoff_usec =
        CLAMP(2 * g->channel_backoff_usec, CHANNEL_BACKOFF_MIN_USEC, CHANNEL_BACKOFF_MAX_USEC);
    g->channel_retry_usec = now + g->channel_backoff_usec;
    if (virt_channel_open(m->virt, g->info.uuid) >= 0)
        g->channel_wanted = true;
}

/* What is to be known of a move when this daemon is gone. */
static DomainState remember(const Guest *g, uint64_t target_bytes)
{
    return (DomainState){.full_bytes = g->full.bytes,
                         .defined_bytes = g->full.defined_bytes,
                         .from_bytes = guest_current(g),
                         .sent_bytes = target_bytes};
}

static void set_interval(Manager *m, Guest *g, usec_t now)
{
    usec_t interval = REPORT_INTERVAL_DEFAULT_USEC;

    /* A move is rarely the last: asking for another pace twice with each would cost more than it saves. */
    if (guest_is_moving(g, now))
        g->fast_usec = now + REPORT_FAST_USEC;
    if (now < g->fast_usec)
        interval = REPORT_MOVING_USEC;
    else if (m->plan.pressure == HOST_PRESSURE_NONE && guest_current(g) >= g->full.bytes)
        interval = REPORT_CALM_USEC;
    /* Never so slow that what came is stale before the next comes. */
    interval = MIN(interval, MAX(m->config->guard.stale_usec / 3, REPORT_MOVING_USEC));
    g->report_interval_usec = interval;
    link_configure(g->link, interval);
}

/* A shrink that makes no progress is taken back to the size that was reached: left standing, QEMU and the
 * guest's driver would go on trying for ever. */
static void cancel_move(Manager *m, Guest *g)
{
    DomainState state = remember(g, g->balloon.actual_bytes / KIB * KIB);

    if (!g->cancel || g->setting || g->busy[0] || !m->connected)
        return;
    if (virt_set_memory(m->virt, g->info.uuid, &state) < 0)
        return;
    g->setting = true;
    g->cancel = false;
}

/* What is to be done for each guest between the decisions: stats, channel, interval. */
static bool tend_guests(Manager *m, usec_t now)
{
    bool moving = false;

    for (size_t i = 0; i < m->n_guests; i++) {
        Guest *g = m->guests[i];

        if (g->lost)
            continue;
        if (m->connected) {
            ask_stats(m, g, now);
            tend_channel(m, g, now);
        }
        set_interval(m, g, now);
        cancel_move(m, g);
        moving = moving || is_watched(g, now);
    }
    return moving;
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
    Manager *m = userdata;
    bool moving = tend_guests(m, now_usec(CLOCK_MONOTONIC));

    if (moving)
        (void) sd_event_source_set_time_relative(s, STATS_MOVING_USEC);
    (void) sd_event_source_set_enabled(s, moving ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
    return 0;
}

static void start_tick(Manager *m)
{
    int r = 0;

    if (!m->tick_timer)
        r = sd_event_add_time_relative(m->event, &m->tick_timer, CLOCK_MONOTONIC, STATS_MOVING_USEC,
                                       10 * USEC_PER_MSEC, on_tick, m);
    else {
        int enabled;

        r = sd_event_source_get_enabled(m->tick_timer, &enabled);
        if (r >= 0 && enabled == SD_EVENT_OFF) {
            (void) sd_event_source_set_time_relative(m->tick_timer, STATS_MOVING_USEC);
            r = sd_event_source_set_enabled(m->tick_timer, SD_EVENT_ONESHOT);
        }
    }
    if (r < 0)
        log_error_errno(-r, "Cannot watch the balloons: %m");
}

int manager_move(Manager *m, Guest *g, uint64_t target_bytes, const char *reason)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    uint64_t from = guest_current(g);
    DomainState state = remember(g, target_bytes);
    /* What donors release is passed on ten times a second. */
    bool further = g->grant.open && g->balloon.moving && target_bytes > g->balloon.target_bytes &&
                   g->balloon.target_bytes > g->balloon.from_bytes;
    /* And a guest in distress is asked again and again, though its balloon is stuck. */
    bool again = balloon_is_stalled_growing(&g->balloon, now) && target_bytes > from;
    int r;

    r = virt_set_memory(m->virt, g->info.uuid, &state);
    if (r < 0)
        return r;
    guest_sent(g, target_bytes, now);
    journal_move(m, g, from, target_bytes, reason, further || again);
    start_tick(m);
    return 0;
}

/* The caller frees ret->guests. */
static int take_snapshot(Manager *m, usec_t now, Snapshot *ret)
{
    SnapshotGuest *guests = calloc(MAX(m->n_guests, (size_t) 1), sizeof(SnapshotGuest));

    if (!guests)
        return log_oom();
    for (size_t i = 0; i < m->n_guests; i++) {
        guest_settle(m->guests[i], now);
        guest_snapshot(m->guests[i], now, &guests[i]);
    }
    *ret = (Snapshot){.now_usec = now,
                      .mode = m->mode,
                      .host = m->host,
                      .history = &m->keep.history,
                      .state = m->keep.state,
                      .guests = guests,
                      .n_guests = m->n_guests};
    return 0;
}

uint64_t manager_room(Manager *m)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    uint64_t room;
    Snapshot s;

    if (sense_host(m, now) < 0 || take_snapshot(m, now, &s) < 0)
        return 0;
    room = guard_room(&s, &m->config->guard);
    free(s.guests);
    return room;
}

/* In mode observe a decision is told once, and again when it is another: for another reason, or the other
 * way. */
static void tell_observed(Manager *m, Guest *g, const SnapshotGuest *s)
{
    const Decision *d = &g->decision;
    uint64_t key;

    if (d->rule != GUARD_RULE_OBSERVE || d->target_bytes == s->standing_bytes)
        key = 0;
    else
        key = (uint64_t) d->line << 2 | (d->target_bytes > s->standing_bytes ? 2 : 1);
    if (key != g->told && key != 0)
        journal_would_move(m, g, s->current_bytes, d->target_bytes, d->reason);
    g->told = key;
}

/* Hands the plan's targets to libvirt. lacked: others were asked for those in distress in the last cycle.
 * Returns whether memory is on its way to the host. */
static bool apply(Manager *m, const Snapshot *s, bool lacked)
{
    bool on_account = lacked || m->plan.pressure != HOST_PRESSURE_NONE;
    usec_t now = now_usec(CLOCK_MONOTONIC);
    bool coming = false;
    int r;

    for (size_t i = 0; i < s->n_guests; i++) {
        Guest *g = m->guests[i];

        coming = coming || (!s->guests[i].late && s->guests[i].current_bytes > s->guests[i].standing_bytes);
        g->decision = m->plan.decisions[i];
        g->decided = true;
        tell_observed(m, g, &s->guests[i]);
        if (!g->decision.send)
            continue;
        r = manager_move(m, g, g->decision.target_bytes, g->decision.reason);
        g->put_off = r == -EBUSY;
        if (r < 0 && r != -EBUSY)
            log_warning_errno(-r, "%s: could not hand a target to libvirt: %m", g->info.name);
        if (r < 0)
            continue;
        if (on_account)
            guest_charge(g, &s->guests[i], g->decision.target_bytes, now);
        coming = coming || g->decision.target_bytes < s->guests[i].standing_bytes;
    }
    return coming;
}

/* Notes are told where there are more or fewer than before, or another file fails. */
static void tell_notes(Manager *m, const Snapshot *s)
{
    const Plan *p = &m->plan;
    uint64_t now = p->notes_total;

    for (size_t i = 0; i < p->n_notes; i++)
        if (p->notes[i].guest >= s->n_guests)
            now |= UINT64_C(1) << (32 + p->notes[i].file);
    if (now == m->notes_told)
        return;
    m->notes_told = now;
    for (size_t i = 0; i < p->n_notes; i++) {
        const PolicyNote *n = &p->notes[i];
        bool named = n->guest < s->n_guests;

        log_warning(
            "%s:%u:%u: %s%s%s", policy_file(m->policy, n->file).origin, n->line, n->column,
            named ? s->guests[n->guest].name : "",
            named ? " left out in this cycle: " : "nothing in this file counts in this cycle: ", n->text);
    }
    if (p->notes_total > p->n_notes)
        log_warning("%s: %zu more left out in this cycle", policy_name(m->policy),
                    p->notes_total - p->n_notes);
}

_Static_assert(POLICY_FILES_MAX <= 32, "a bit for each");

/* The policy's log(). As many lines a second as a cycle may have: guests can have twenty cycles run in
 * one. */
static void tell_logs(Manager *m, const Snapshot *s)
{
    const Plan *p = &m->plan;
    size_t i;

    if (usec_since(m->logs_usec, s->now_usec) >= USEC_PER_SEC) {
        if (m->logs_left_out > 0)
            log_info("%zu more lines of the policy's log() were left out", m->logs_left_out);
        m->logs_usec = s->now_usec;
        m->logs_told = m->logs_left_out = 0;
    }
    for (i = 0; i < p->n_logs && m->logs_told < POLICY_LOGS_MAX; i++, m->logs_told++) {
        const PolicyLog *l = &p->logs[i];
        bool named = l->guest < s->n_guests;

        log_info("%s:%u: %s%s%s", policy_file(m->policy, l->file).origin, l->line,
                 named ? s->guests[l->guest].name : "", named ? ": " : "", l->text);
    }
    m->logs_left_out += p->logs_total - i;
}

/* What the policy needs in the next cycle. */
static void keep(Manager *m, const Snapshot *s)
{
    HostFields host;

    if (!m->policy)
        return;
    policy_keep_state(&m->keep, true, m->policy, m->plan.state);
    view_host_fields(s, &host);
    series_set_add_host(&m->keep.history, s->now_usec, &host);
    for (size_t i = 0; i < s->n_guests; i++)
        guest_keep(m->guests[i], m->policy, s, i, &m->plan);
}

void manager_cycle(Manager *m)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    bool lacked = m->plan.shortfall_bytes > 0;
    Snapshot s;
    int r;

    m->cycle_usec = now;
    m->cycles++;
    if (sense_host(m, now) < 0 || take_snapshot(m, now, &s) < 0)
        return;

    plan_done(&m->plan);
    r = plan_make(&s, m->policy, &m->config->guard, &m->plan);
    if (r < 0)
        log_error_errno(-r, "Cannot work out a plan: %m");
    m->guests_changed = false;
    m->cycle_took_usec = usec_since(now, now_usec(CLOCK_MONOTONIC));
    if (r >= 0) {
        tell_notes(m, &s);
        tell_logs(m, &s);
        keep(m, &s);
        host_ksm_apply(m);
        /* What others release for a guest in distress is passed on as it comes. */
        if (apply(m, &s, lacked) && m->plan.shortfall_bytes > 0)
            manager_wake_in(m, CYCLE_FEED_USEC);
        if (tend_guests(m, now))
            start_tick(m);
    }
    free(s.guests);
}
