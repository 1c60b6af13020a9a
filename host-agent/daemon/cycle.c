/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One cycle: sense → decide → act.
 *
 * A guest in distress may need more memory than the host has. Then decide/donor.c shrinks other guests
 * (donors) in the same cycle. What the donors really release appears as the host's room, bit by bit, and goes
 * to the guests in distress. So while some of them wait (Plan.shortfall_bytes) and memory is on its way,
 * cycles follow each other by 100 ms instead of the interval. */

#include "host-agent/daemon/cycle.h"

#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "host-agent/act/lever.h"
#include "host-agent/act/move.h"
#include "host-agent/decide/evaluate.h"
#include "host-agent/guest/guest-levers.h"
#include "host-agent/guest/guest-log.h"

/* Two cycles are never less than this apart. */
#define CYCLE_MIN_USEC       (50 * USEC_PER_MSEC)
/* Between cycles while a guest in distress waits for memory that others release. */
#define CYCLE_FEED_USEC      (100 * USEC_PER_MSEC)
/* How often libvirt is asked for stats: for a guest with an agent only RSS and balloon are of interest, for
 * one without an agent all stats. */
#define STATS_AGENT_USEC     (5 * USEC_PER_SEC)
#define STATS_AGENTLESS_USEC (2 * USEC_PER_SEC)
/* The same while the balloon moves, which takes 0.3 s for 200 MiB. */
#define STATS_MOVING_USEC    (200 * USEC_PER_MSEC)
/* How often libvirt is asked for the definition of a guest whose balloon has a size that isn't ours, or doesn't
 * move: before that size counts, and later. */
#define DEFINITION_USEC      (3 * USEC_PER_SEC)
#define DEFINITION_LATE_USEC (60 * USEC_PER_SEC)
/* OOM kills that follow each other faster are reported together. */
#define OOM_USEC             (10 * USEC_PER_SEC)
/* How long a new guest's balloon is looked for at that pace, if it isn't seen. */
#define KNOWN_WITHIN_USEC    (10 * USEC_PER_SEC)

/* Whether to look at the balloon often: it is on its way, or wasn't seen yet. A balloon that can't be seen,
 * because the guest has none or QEMU doesn't answer, is looked for only for a while. */
static bool is_watched(const Guest *g, usec_t now)
{
    bool to_cancel = g->sending.cancel && guest_mode(g) == GUEST_MODE_AUTO;

    if (g->balloon.moving || g->sending.setting || to_cancel || balloon_is_suspect(&g->balloon))
        return true;
    return !g->balloon.known && g->info.has_balloon && usec_since(g->seen_usec, now) < KNOWN_WITHIN_USEC;
}

static void ask_stats(const CycleParts *p, Guest *g, usec_t now_usec)
{
    /* A guest that is to be left alone gets no stats period: libvirt then has its size, and what QEMU holds. */
    unsigned period =
        guest_mode(g) == GUEST_MODE_OFF ? 0 : MAX(p->config->stats_period_usec / USEC_PER_SEC, 1U);
    usec_t every = guest_source(g, now_usec) == GUEST_SOURCE_AGENT ? STATS_AGENT_USEC : STATS_AGENTLESS_USEC;
    usec_t asked_usec = g->stats_asked_usec;

    /* RSS shows whether the guest uses what it gets. */
    if (guest_in_distress(g, now_usec))
        every = MIN(every, USEC_PER_SEC);
    if (is_watched(g, now_usec))
        every = STATS_MOVING_USEC;
    if (asked_usec > 0 && usec_since(asked_usec, now_usec) + 50 * USEC_PER_MSEC < every)
        return;
    if (p->hypervisor->request_stats(p->hypervisor->userdata, g->info.uuid, period) >= 0)
        guest_set_stats_asked(g, now_usec);
}

/* What stopped the balloon, or took it elsewhere, may be virsh setmem --config --live: no event says so. */
static void ask_definition(const CycleParts *p, Guest *g, usec_t now_usec)
{
    usec_t every = balloon_is_suspect(&g->balloon) ? DEFINITION_USEC : DEFINITION_LATE_USEC;

    if (!balloon_is_foreign(&g->balloon) && !balloon_is_stalled(&g->balloon, now_usec))
        return;
    if (g->definition_asked_usec > 0 && usec_since(g->definition_asked_usec, now_usec) < every)
        return;
    if (p->hypervisor->read_definition(p->hypervisor->userdata, g->info.uuid) >= 0)
        guest_set_definition_asked(g, now_usec);
}

/* Does what each guest needs between decisions: asks for stats, opens the channel, sets the pace of reports,
 * and tends stuck balloons. Returns whether a balloon is on its way. */
static bool tend_guests(const Cycle *c, usec_t now_usec)
{
    const CycleParts *p = &c->parts;
    bool ease = !plan_is_pressed(&c->plan), moving = false;

    for (size_t i = 0; i < p->guests->n; i++) {
        GuestEntry *e = &p->guests->entries[i];
        Guest *g = e->guest;

        guest_log_tend(g, now_usec);
        if (g->lost)
            continue;
        ask_stats(p, g, now_usec);
        ask_definition(p, g, now_usec);
        guest_channel_tend(e->channel, now_usec);
        guest_channel_pace(e->channel, ease && guest_current(g) >= g->full.bytes, p->config->guard.stale_usec,
                           now_usec);
        move_tend(p->hypervisor, g, now_usec);
        moving = moving || is_watched(g, now_usec);
    }
    return moving;
}

/* The last reading of the host says whether the processes are looked at often. */
static void look_at_processes(const Cycle *c, usec_t now_usec)
{
    const CycleParts *p = &c->parts;
    const HostFields *h = &p->watch->fields;
    bool often = c->count <= 1 || c->plan.n_groups > 0 ||
                 host_fields_get(h, HOST_FIELD_AVAILABLE) < c->plan.in_force_bytes[POLICY_THRESHOLD_RELAX];

    looks_run(p->looks, p->guests, often, host_fields_get(h, HOST_FIELD_KSM_SHARING) > 0, now_usec);
    host_watch_set_faults(p->watch, p->looks->faults);
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
    Cycle *c = userdata;
    usec_t now = now_usec(CLOCK_MONOTONIC);
    bool moving = tend_guests(c, now);

    look_at_processes(c, now);

    if (moving)
        (void) sd_event_source_set_time_relative(s, STATS_MOVING_USEC);
    (void) sd_event_source_set_enabled(s, moving ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
    return 0;
}

void cycle_watch(Cycle *c)
{
    int enabled, r;

    if (!c->tick)
        r = sd_event_add_time_relative(c->parts.event, &c->tick, CLOCK_MONOTONIC, STATS_MOVING_USEC,
                                       10 * USEC_PER_MSEC, on_tick, c);
    else {
        r = sd_event_source_get_enabled(c->tick, &enabled);
        if (r >= 0 && enabled == SD_EVENT_OFF) {
            (void) sd_event_source_set_time_relative(c->tick, STATS_MOVING_USEC);
            r = sd_event_source_set_enabled(c->tick, SD_EVENT_ONESHOT);
        }
    }
    if (r < 0)
        log_error_errno(-r, "Cannot watch the balloons: %m");
}

/* Reads the host, and passes on to the guests whether it swaps. */
static int sense(Cycle *c, usec_t now_usec)
{
    CycleParts *p = &c->parts;
    int r;

    r = host_watch_read(p->watch, p->config->reserve, now_usec);
    p->guest_host->swapped_usec = p->watch->swapped_usec;
    return r;
}

/* Takes a snapshot of all guests. The caller frees ret->guests. */
static int take_snapshot(const Cycle *c, usec_t now_usec, Snapshot *ret)
{
    const CycleParts *p = &c->parts;
    SnapshotGuest *guests;

    if (guests_snapshot(p->guests, now_usec, &guests) < 0)
        return log_oom();
    *ret = (Snapshot){.now_usec = now_usec,
                      .mode = p->guest_host->mode,
                      .host = p->watch->fields,
                      .history = &p->policy->keep.history,
                      .state = p->policy->keep.state,
                      .guests = guests,
                      .n_guests = p->guests->n,
                      .nodes = nodes_known(&p->watch->nodes),
                      .node_states = p->policy->nodes.states,
                      .n_node_states = p->policy->nodes.n};
    return 0;
}

uint64_t cycle_room(Cycle *c)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    uint64_t room;
    Snapshot s;

    if (sense(c, now) < 0 || take_snapshot(c, now, &s) < 0)
        return 0;
    room = guard_room(&s, &c->parts.config->guard);
    free(s.guests);
    return room;
}

/* The level of a note: guests can have the policy leave them out, and take them in again, twenty times a second. */
static int note_level(Cycle *c, const Snapshot *s, size_t guest)
{
    if (guest < s->n_guests)
        return guest_log_level(c->parts.guests->entries[guest].guest, GUEST_LINE_POLICY, LOG_WARNING,
                               s->now_usec);
    return log_limit_take(&c->log.limit, s->now_usec) ? LOG_WARNING : LOG_DEBUG;
}

/* Logs the policy's notes if there are more or fewer than before, or if another file fails. */
static void log_notes(Cycle *c, const Snapshot *s)
{
    const Plan *p = &c->plan;
    uint64_t now = p->notes_total;
    unsigned left_out = log_limit_left_out(&c->log.limit, s->now_usec);

    if (left_out > 0)
        log_notice("%s: %u more line%s about a file or guests left out of the log in the last minute",
                   policy_name(c->parts.policy->policy), left_out, left_out == 1 ? "" : "s");

    for (size_t i = 0; i < p->n_notes; i++)
        if (p->notes[i].guest >= s->n_guests)
            now |= UINT64_C(1) << (32 + p->notes[i].file);
    if (now == c->log.notes)
        return;
    c->log.notes = now;
    for (size_t i = 0; i < p->n_notes; i++) {
        const PolicyNote *n = &p->notes[i];
        bool named = n->guest < s->n_guests;

        log_full(note_level(c, s, n->guest), "%s:%u:%u: %s%s%s",
                 policy_file(c->parts.policy->policy, n->file).origin, n->line, n->column,
                 named ? s->guests[n->guest].name : "",
                 named ? " left out in this cycle: " : "this file has no effect in this cycle: ", n->text);
    }
    if (p->notes_total > p->n_notes)
        log_full(note_level(c, s, SIZE_MAX), "%s: %zu more left out in this cycle",
                 policy_name(c->parts.policy->policy), p->notes_total - p->n_notes);
}

_Static_assert(POLICY_FILES_MAX <= 32, "a bit for each file");

/* Logs the lines of the policy's log(): in a second at most as many as one cycle may have, because guests can
 * cause twenty cycles a second. */
static void log_lines(Cycle *c, const Snapshot *s)
{
    const Plan *p = &c->plan;
    size_t i;

    if (usec_since(c->log.logs_usec, s->now_usec) >= USEC_PER_SEC) {
        if (c->log.left_out > 0)
            log_info("%zu more lines of the policy's log() were left out", c->log.left_out);
        c->log.logs_usec = s->now_usec;
        c->log.logs = c->log.left_out = 0;
    }
    for (i = 0; i < p->n_logs && c->log.logs < POLICY_LOGS_MAX; i++, c->log.logs++) {
        const PolicyLog *l = &p->logs[i];
        bool named = l->guest < s->n_guests;

        log_info("%s:%u: %s%s%s", policy_file(c->parts.policy->policy, l->file).origin, l->line,
                 named ? s->guests[l->guest].name : "", named ? ": " : "", l->text);
    }
    c->log.left_out += p->logs_total - i;
}

typedef struct Asked {
    const Hypervisor *hypervisor;
    const GuestEntry *entry;
} Asked;

static int ask_compact(void *userdata, uint32_t id)
{
    const Asked *a = userdata;

    return guest_channel_compact(a->entry->channel, id);
}

static int ask_reclaim(void *userdata, uint32_t id, uint64_t bytes, bool anon)
{
    const Asked *a = userdata;

    return guest_channel_reclaim(a->entry->channel, id, bytes, anon);
}

static int squeeze(void *userdata, uint64_t target_bytes)
{
    const Asked *a = userdata;

    return move_for_a_moment(a->hypervisor, a->entry->guest, target_bytes);
}

static void forget(void *userdata)
{
    const Asked *a = userdata;

    guest_channel_forget_lever(a->entry->channel);
}

static LeverGuest lever_guest(Asked *a)
{
    return (LeverGuest){a->entry->guest, {ask_compact, ask_reclaim, squeeze, forget, a}};
}

/* Has guests hand back the memory that the plan wants of them. */
static void apply_levers(const Cycle *c, const Snapshot *s)
{
    _cleanup_free_ LeverGuest *guests = calloc(s->n_guests + 1, sizeof *guests);
    _cleanup_free_ Asked *asked = calloc(s->n_guests + 1, sizeof *asked);

    if (!guests || !asked) {
        (void) log_oom();
        return;
    }
    for (size_t i = 0; i < s->n_guests; i++) {
        asked[i] = (Asked){c->parts.hypervisor, &c->parts.guests->entries[i]};
        guests[i] = lever_guest(&asked[i]);
    }
    lever_run(guests, s, &c->plan);
}

bool cycle_end_squeezes(const Cycle *c)
{
    bool squeezed = false;

    for (size_t i = 0; i < c->parts.guests->n; i++) {
        Asked asked = {c->parts.hypervisor, &c->parts.guests->entries[i]};
        LeverGuest guest = lever_guest(&asked);

        squeezed |= guest_is_squeezed(guest.guest);
        lever_stop(&guest, now_usec(CLOCK_MONOTONIC));
    }
    return squeezed;
}

/* Sends the plan's targets. was_short: in the last cycle other guests had to give for those in distress.
 * Returns whether memory is on its way to the host. */
static bool apply(const Cycle *c, const Snapshot *s, bool was_short)
{
    bool on_account = was_short || plan_is_pressed(&c->plan), coming = false;

    for (size_t i = 0; i < s->n_guests; i++)
        coming |= move_apply(c->parts.hypervisor, c->parts.guests->entries[i].guest, &s->guests[i],
                             &c->plan.decisions[i], on_account);
    return coming;
}

static void apply_ksm(const Cycle *c)
{
    const CycleParts *p = &c->parts;

    host_ksm_apply(p->ksm, &c->plan, running_policy_controls(p->policy),
                   &(HostKsmState){.acts = p->guest_host->mode == GUEST_MODE_AUTO,
                                   .known = neighbours_known(p->neighbours),
                                   .connected = *p->connected,
                                   .yields = neighbours_has_ballastd(p->neighbours)});
}

/* Keeps what the policy needs in the next cycle. */
static void keep(const Cycle *c, const Snapshot *s)
{
    const CycleParts *p = &c->parts;

    running_policy_keep(p->policy, s, &c->plan);
    for (size_t i = 0; i < s->n_guests; i++)
        guest_keep(p->guests->entries[i].guest, p->policy->policy, s, i, &c->plan);
}

/* A container that is killed and started again at once would fill the log. */
static void report_oom_kills(Cycle *c, const Snapshot *s)
{
    const HostOom *oom = &c->parts.watch->oom;
    Notice n = notice_of_host(NOTICE_OOM, &s->host);

    if (oom->kills == c->log.oom_kills ||
        (c->log.oom_usec > 0 && usec_since(c->log.oom_usec, s->now_usec) < OOM_USEC))
        return;
    n.oom = (NoticeOom){.kills = oom->kills - c->log.oom_kills,
                        .short_of_memory = c->plan.pressure != HOST_PRESSURE_NONE};
    c->log.oom_kills = oom->kills;
    c->log.oom_usec = s->now_usec;
    audience_tell(c->parts.guest_host->audience, &n);
}

void cycle_run(Cycle *c)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    bool was_short = c->plan.shortfall_bytes > 0;
    Snapshot s;
    int r;

    c->began_usec = now;
    c->count++;
    look_at_processes(c, now);
    if (sense(c, now) < 0 || take_snapshot(c, now, &s) < 0)
        return;

    plan_done(&c->plan);
    r = plan_make(&s, c->parts.policy->policy, &c->parts.config->guard, &c->plan);
    if (r < 0)
        log_error_errno(-r, "Cannot work out a plan: %m");
    guests_seen(c->parts.guests);
    c->took_usec = usec_since(now, now_usec(CLOCK_MONOTONIC));
    if (r >= 0) {
        report_oom_kills(c, &s);
        log_notes(c, &s);
        log_lines(c, &s);
        keep(c, &s);
        apply_ksm(c);
        apply_levers(c, &s);
        /* Memory that donors release goes to guests in distress as it comes. */
        if (apply(c, &s, was_short) && c->plan.shortfall_bytes > 0)
            cycle_wake_in(c, CYCLE_FEED_USEC);
        criticals_see(&c->critical, &s, &c->plan, c->parts.guests);
        if (tend_guests(c, now))
            cycle_watch(c);
    }
    free(s.guests);
}

static int on_cycle(sd_event_source *s, uint64_t usec, void *userdata)
{
    Cycle *c = userdata;

    (void) sd_event_source_set_time_relative(s, c->parts.config->interval_usec);
    (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    cycle_run(c);
    return 0;
}

void cycle_wake_in(Cycle *c, usec_t wait_usec)
{
    usec_t now = now_usec(CLOCK_MONOTONIC), earliest = c->began_usec + MAX(wait_usec, CYCLE_MIN_USEC);
    uint64_t due;

    if (!c->timer || sd_event_source_get_time(c->timer, &due) < 0)
        return;
    if (due > MAX(now, earliest))
        (void) sd_event_source_set_time(c->timer, MAX(now, earliest));
}

void cycle_wake(Cycle *c)
{
    cycle_wake_in(c, 0);
}

void cycle_forget_words(Cycle *c)
{
    Plan *p = &c->plan;

    c->log.notes = 0;
    p->n_host = p->n_notes = p->notes_total = p->n_logs = p->logs_total = 0;
}

int cycle_init(Cycle *c, const CycleParts *parts)
{
    *c = (Cycle){.parts = *parts};
    criticals_init(&c->critical, parts->guest_host->audience);
    return sd_event_add_time_relative(parts->event, &c->timer, CLOCK_MONOTONIC, 0, 5 * USEC_PER_MSEC,
                                      on_cycle, c);
}

void cycle_stop(Cycle *c)
{
    c->timer = sd_event_source_disable_unref(c->timer);
}

void cycle_done(Cycle *c)
{
    plan_done(&c->plan);
    criticals_done(&c->critical);
    cycle_stop(c);
    c->tick = sd_event_source_disable_unref(c->tick);
}
