/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/guest/guest.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "host-agent/daemon/manager.h"
#include "host-agent/decide/view.h"
#include "host-agent/show/entitle.h"
#include "host-agent/show/journal.h"

/* A guest's greetings are logged at most this often. */
#define GREETING_USEC (60 * USEC_PER_SEC)

static void on_hello(void *userdata, const Message *m, bool rebooted)
{
    Guest *g = userdata;
    usec_t now = now_usec(CLOCK_MONOTONIC);

    /* It may say so twenty times a second. */
    log_full(g->greeted_usec == 0 || usec_since(g->greeted_usec, now) > GREETING_USEC ? LOG_INFO : LOG_DEBUG,
             "%s: agent %s says hello (kernel %s)", g->info.name,
             m->version[0] ? m->version : "of unknown version", m->text[0] ? m->text : "unknown");
    g->greeted_usec = now;
    g->leaving = false;
    /* Its counters began anew. That isn't believed to be a reboot before libvirt says so: else a guest that
     * says Hello with ever new boot ids would earn grace for ever. */
    if (rebooted) {
        history_clear(&g->history);
        memset(g->newest, 0, sizeof(g->newest));
    }
    if (m->boot_usec < now)
        g->boot_usec = MIN(g->boot_usec, now - m->boot_usec);
}

static void on_report(void *userdata, const Report *r)
{
    Guest *g = userdata;
    usec_t now = now_usec(CLOCK_MONOTONIC);
    bool waited = g->balloon.settled_usec > 0 && !g->balloon.moving && guest_is_moving(g, now);

    guest_report(g, r, now);
    /* The first stats after a move: whatever comes next needn't wait for the timer. */
    if (waited && !guest_is_moving(g, now))
        manager_wake(g->manager);
}

static void on_distress(void *userdata, DistressCause cause, const Report *r)
{
    Guest *g = userdata;
    usec_t now = now_usec(CLOCK_MONOTONIC);

    if (r->present)
        guest_report(g, r, now);
    guest_told_distress(g, cause, now);
}

static void on_goodbye(void *userdata, const char *reason)
{
    Guest *g = userdata;

    /* This, too, it may say twenty times a second. */
    log_full(guest_leaves(g, now_usec(CLOCK_MONOTONIC)) ? LOG_INFO : LOG_DEBUG, "%s: agent says goodbye%s%s",
             g->info.name, reason[0] ? ": " : "", reason);
}

static void on_read(void *userdata)
{
    Guest *g = userdata;

    virt_channel_was_read(g->manager->virt, g->info.uuid);
}

static void on_send(void *userdata, const uint8_t *data, size_t length)
{
    Guest *g = userdata;
    int r;

    r = virt_channel_send(g->manager->virt, g->info.uuid, data, length);
    if (r < 0)
        log_debug_errno(-r, "%s: dropped %zu bytes for the agent: %m", g->info.name, length);
}

static const LinkHandlers link_handlers = {
    .hello = on_hello,
    .report = on_report,
    .distress = on_distress,
    .goodbye = on_goodbye,
    .read = on_read,
    .send = on_send,
};

int guest_new(Manager *m, const DomainInfo *info, usec_t now_usec, Guest **ret)
{
    _cleanup_(guest_freep) Guest *g = calloc(1, sizeof(Guest));
    int r;

    if (!g)
        return -ENOMEM;
    g->manager = m;
    g->seen_usec = g->boot_usec = now_usec;
    g->strain = g->strain_before = STRAIN_NONE;
    if (m->policy) {
        r = policy_keep_copy(&g->keep, false, &(PolicyKeep){}, m->policy, NULL);
        if (r < 0)
            return r;
    }
    r = link_new(&link_handlers, g, &g->link);
    if (r < 0)
        return r;
    guest_update_info(g, info);
    *ret = TAKE_PTR(g);
    return 0;
}

Guest *guest_free(Guest *g)
{
    if (!g)
        return NULL;
    entitle_done(g, -ENOENT, "it is gone");
    link_free(g->link);
    policy_keep_done(&g->keep);
    free(g);
    return NULL;
}

void guest_update_info(Guest *g, const DomainInfo *info)
{
    link_set_maximum(g->link, info->maximum_bytes);
    if (info->entitlement_problem[0] && strcmp(info->entitlement_problem, g->info.entitlement_problem) != 0)
        log_warning("%s: its entitlement (metadata " ENTITLEMENT_URI "): %s", info->name,
                    info->entitlement_problem);
    g->info = *info;
    guest_update_entitlement(g);
}

Entitlement guest_configured(const Guest *g, char why[static ENTITLEMENT_WHY_MAX])
{
    Entitlement configured = config_entitlement(g->manager->config, g->info.name);

    why[0] = '\0';
    /* What the configuration grants all guests of a name may be more than one of them can have. */
    configured.growth_bytes = MIN(configured.growth_bytes, g->info.maximum_bytes);
    if (entitlement_check(&configured, g->info.maximum_bytes, why) < 0)
        configured = (Entitlement){.shares = configured.shares, .mode = configured.mode};
    return configured;
}

void guest_update_entitlement(Guest *g)
{
    char why[ENTITLEMENT_WHY_MAX];
    Entitlement configured = guest_configured(g, why);

    g->entitlement = entitlement_over(&g->info.entitlement, &configured);
    full_size_define(&g->full, &g->info, g->entitlement.full_bytes);
}

void guest_rebooted(Guest *g, usec_t now_usec)
{
    /* One reset may be told several times. */
    if (g->reboot && usec_since(g->boot_usec, now_usec) < USEC_PER_SEC)
        return;
    log_info("%s: rebooted", g->info.name);
    g->boot_usec = now_usec;
    g->reboot = true;
    g->reboot_asked = g->took_cache = g->cancel = g->leaving = false;
    g->distress_usec = g->hurting_usec = g->shrunk_usec = g->reclaimed_usec = g->goodbye_usec = 0;
    g->strain = g->strain_before = STRAIN_NONE;
    g->need = (Need){};
    gain_reset(&g->gain);
    history_clear(&g->history);
    memset(g->newest, 0, sizeof(g->newest));
    balloon_reset(&g->balloon);
    if (g->manager->policy)
        policy_keep_reset(&g->keep, false, g->manager->policy);
    manager_wake(g->manager);
}

/* It rebooted, and nothing was heard of it since: its driver isn't up yet. */
static bool is_booting(const Guest *g, usec_t now_usec)
{
    const Sample *s = guest_sample(g, now_usec);

    return g->reboot && (!s || s->at_usec <= g->boot_usec);
}

/* Enough for the driver to have something to do. */
#define REBOOT_LESS_BYTES (64 * KIB)

/* A guest that was reset while it was shrunken, and whose target was raised before its driver came up, has
 * its memory, but QEMU goes on saying what the balloon was before: the driver finds nothing to do and so
 * never tells. A target that is a little lower makes it, once the guest is heard. */
static void ask_rebooted(Guest *g, usec_t now_usec)
{
    if (usec_since(g->boot_usec, now_usec) > MAX(GUEST_REBOOT_USEC, g->manager->config->guard.grace_usec)) {
        g->reboot = false;
        return;
    }
    if (g->reboot_asked || g->setting || g->busy[0] || is_booting(g, now_usec) ||
        guest_mode(g) != GUEST_MODE_AUTO || g->balloon.target_bytes < g->full.bytes)
        return;
    if (manager_move(g->manager, g, (g->full.bytes - REBOOT_LESS_BYTES) / KIB * KIB,
                     "rebooted with all its memory: its driver is made to say so") >= 0)
        g->reboot_asked = true;
}

static void end_reboot(Guest *g)
{
    if (g->reboot_asked && g->balloon.actual_bytes < g->full.bytes &&
        manager_move(g->manager, g, g->full.bytes, "rebooted: its full size again") < 0)
        return;
    g->reboot = false;
}

void guest_balloon_seen(Guest *g, uint64_t actual_bytes, usec_t now_usec)
{
    char from[UNITS_FORMAT_MAX], to[UNITS_FORMAT_MAX];
    bool first = !g->balloon.known && !g->reboot, adopt = false;
    uint64_t low, high;

    if (first) {
        adopt = full_size_expect(&g->full, &g->info.remembered, actual_bytes, BALLOON_TOLERANCE_BYTES, &low,
                                 &high);
        balloon_expect(&g->balloon, low, high);
    }
    g->balloon.autodeflate = g->info.autodeflate;

    /* A guest that stands still for another reason isn't stalling. */
    if (g->busy[0] || is_booting(g, now_usec))
        g->balloon.progress_usec = now_usec;
    /* Nor does such a guest, or one that boots, have a balloon at rest. */
    if (g->busy[0] || usec_since(g->boot_usec, now_usec) < g->manager->config->guard.grace_usec)
        balloon_disturbed(&g->balloon, now_usec);

    if (g->balloon.moving && g->balloon.target_bytes < g->balloon.from_bytes)
        g->reclaimed_usec = now_usec;
    switch (balloon_seen(&g->balloon, actual_bytes, now_usec)) {
    case BALLOON_EVENT_NONE:
    case BALLOON_EVENT_PROGRESS:
        break;
    case BALLOON_EVENT_SETTLED:
        if (guest_source(g, now_usec) != GUEST_SOURCE_AGENT)
            manager_wake(g->manager);
        break;
    case BALLOON_EVENT_STALLED:
        if (!g->retried)
            journal_stalled(g->manager, g);
        g->cancel = g->balloon.target_bytes < actual_bytes;
        break;
    case BALLOON_EVENT_FOREIGN:
        /* A driver that comes up fills its balloon again, from nothing. */
        if (g->reboot)
            break;
        if (g->info.autodeflate && actual_bytes > g->balloon.from_bytes) {
            log_notice("%s: took %s back by itself (deflate-on-oom)", g->info.name,
                       format_size(to, actual_bytes - g->balloon.from_bytes));
            guest_distressed(g, DISTRESS_AUTODEFLATE, true, now_usec);
            break;
        }
        if (actual_bytes == g->full.bytes)
            break;
        log_notice(
            "%s: somebody else set its memory to %s (full was %s): that is its full size until it stops or is released",
            g->info.name, format_size(to, actual_bytes), format_size(from, g->full.bytes));
        full_size_set_foreign(&g->full, actual_bytes);
        break;
    }
    if (adopt)
        balloon_adopt(&g->balloon, g->info.remembered.sent_bytes);
    if (!g->reboot)
        return;
    if (actual_bytes + BALLOON_TOLERANCE_BYTES >= g->full.bytes && !g->balloon.moving)
        end_reboot(g);
    else
        ask_rebooted(g, now_usec);
}

/* libvirt's stats in the fields of a report. Its last_update is a second of the wall clock. */
static bool stats_to_sample(const VirtStats *s, usec_t now_usec_, Sample *ret)
{
    usec_t wall = now_usec(CLOCK_REALTIME);

    if (!s->has_last_update || s->last_update_sec == 0 || !s->has_available || !s->has_unused)
        return false;
    *ret = (Sample){
        .at_usec = LESS_BY(now_usec_, usec_since(s->last_update_sec * USEC_PER_SEC, wall)),
        .source = GUEST_SOURCE_LIBVIRT,
    };
    report_set(&ret->report, REPORT_MEM_TOTAL, s->available_bytes);
    report_set(&ret->report, REPORT_MEM_FREE, s->unused_bytes);
    if (s->has_usable)
        report_set(&ret->report, REPORT_MEM_AVAILABLE, s->usable_bytes);
    /* Buffers, Cached and SwapCached in one. */
    if (s->has_disk_caches)
        report_set(&ret->report, REPORT_CACHED, s->disk_caches_bytes);
    if (s->has_swap_in)
        report_set(&ret->report, REPORT_SWAP_IN, s->swap_in_bytes);
    if (s->has_swap_out)
        report_set(&ret->report, REPORT_SWAP_OUT, s->swap_out_bytes);
    if (s->has_major_faults)
        report_set(&ret->report, REPORT_MAJOR_FAULTS, s->major_faults);
    if (s->has_minor_faults)
        report_set(&ret->report, REPORT_FAULTS, s->minor_faults);
    return true;
}

static bool agent_is_silent(const Guest *g, usec_t now_usec)
{
    const Sample *agent = &g->newest[GUEST_SOURCE_AGENT];

    return agent->source != GUEST_SOURCE_AGENT ||
           usec_since(agent->at_usec, now_usec) > MAX(3 * g->report_interval_usec, GUEST_AGENT_SILENT_USEC);
}

/* The newest sample in use has come. */
static void on_sample(Guest *g, usec_t now_usec)
{
    /* A report that is late tells of the size before the last move. */
    if (!guest_is_moving(g, now_usec) &&
        usec_since(g->balloon.settled_usec, now_usec) >= GUEST_LATE_REPORT_USEC)
        g->balloon_in_total = sample_balloon_in_total(guest_sample(g, now_usec), guest_current(g),
                                                      g->info.maximum_bytes, g->info.autodeflate);
    guest_judge(g, now_usec);
}

void guest_stats(Guest *g, const VirtStats *stats, usec_t now_usec)
{
    Sample s, *last = &g->newest[GUEST_SOURCE_LIBVIRT];
    /* The guest answered since we last looked. That is seen by the second that changed, not by how far it
     * lies back: the wall clock may be set. */
    bool answered = last->source == GUEST_SOURCE_NONE || stats->last_update_sec != g->stats.last_update_sec;

    g->stats = *stats;
    g->stats_usec = now_usec;
    if (stats->has_actual)
        guest_balloon_seen(g, stats->actual_bytes, now_usec);
    guest_look_at_gain(g, now_usec);
    if (!answered || !stats_to_sample(stats, now_usec, &s))
        return;
    *last = s;
    if (agent_is_silent(g, now_usec)) {
        history_add(&g->history, &s);
        on_sample(g, now_usec);
    }
}

void guest_report(Guest *g, const Report *r, usec_t now_usec)
{
    Sample *s = &g->newest[GUEST_SOURCE_AGENT];

    *s = (Sample){.at_usec = now_usec, .source = GUEST_SOURCE_AGENT, .report = *r};
    history_add(&g->history, s);
    on_sample(g, now_usec);
}

bool guest_leaves(Guest *g, usec_t now_usec)
{
    memset(&g->newest[GUEST_SOURCE_AGENT], 0, sizeof(Sample));
    if (g->goodbye_usec > 0 && usec_since(g->goodbye_usec, now_usec) < GUEST_GOODBYE_USEC)
        return false;
    g->goodbye_usec = now_usec;
    g->leaving = true;
    return true;
}

/* Whether shrinking to target takes more than what is free in the guest. */
static bool takes_cache(const Guest *g, uint64_t target_bytes, usec_t now_usec)
{
    const Sample *s = guest_sample(g, now_usec);
    uint64_t free_bytes = s ? report_get(&s->report, REPORT_MEM_FREE) : 0;
    uint64_t low = s ? report_get(&s->report, REPORT_LOW_WATERMARK) : 0;

    return LESS_BY(guest_current(g), target_bytes) > LESS_BY(free_bytes, low);
}

void guest_sent(Guest *g, uint64_t target_bytes, usec_t now_usec)
{
    uint64_t standing = balloon_standing(&g->balloon);

    g->setting_grows = LESS_BY(target_bytes, standing);
    if (g->setting_grows > 0) {
        g->outstanding_bytes += g->setting_grows;
        g->outstanding_usec = now_usec;
    } else
        g->outstanding_bytes = LESS_BY(g->outstanding_bytes, standing - target_bytes);
    if (target_bytes != standing)
        guest_watch(g, target_bytes < standing, now_usec);
    g->retried = g->setting_grows > 0 && balloon_is_stalled_growing(&g->balloon, now_usec);
    g->took_cache = target_bytes < standing && takes_cache(g, target_bytes, now_usec);
    g->grown = target_bytes > g->full.bytes;
    balloon_sent(&g->balloon, target_bytes, now_usec);
    g->setting = true;
    g->cancel = false;
}

void guest_set_done(Guest *g, int error, usec_t now_usec)
{
    bool outstanding = g->setting;

    g->setting = false;
    if (error == -EBUSY || (error == -ENOTCONN && outstanding))
        balloon_withdrawn(&g->balloon);
    else if (error < 0 && error != -ENOTCONN)
        balloon_refused(&g->balloon, now_usec);
    if (error < 0 && error != -ENOTCONN)
        g->outstanding_bytes = LESS_BY(g->outstanding_bytes, g->setting_grows);
    g->setting_grows = 0;
    if (g->put_off)
        manager_wake(g->manager);
    g->put_off = false;
}

void guest_released(Guest *g, usec_t now_usec)
{
    g->released_usec = now_usec;
    full_size_clear_foreign(&g->full);
}

const Sample *guest_sample(const Guest *g, usec_t now_usec)
{
    const Sample *agent = &g->newest[GUEST_SOURCE_AGENT], *virt = &g->newest[GUEST_SOURCE_LIBVIRT];
    bool has_agent = agent->source == GUEST_SOURCE_AGENT, has_virt = virt->source == GUEST_SOURCE_LIBVIRT;

    if (has_virt && agent_is_silent(g, now_usec) && (!has_agent || virt->at_usec > agent->at_usec))
        return virt;
    return has_agent ? agent : NULL;
}

GuestSource guest_source(const Guest *g, usec_t now_usec)
{
    const Sample *s = guest_sample(g, now_usec);

    return s ? s->source : GUEST_SOURCE_NONE;
}

usec_t guest_age(const Guest *g, usec_t now_usec)
{
    const Sample *s = guest_sample(g, now_usec);

    return s ? usec_since(s->at_usec, now_usec) : USEC_INFINITY;
}

uint64_t guest_current(const Guest *g)
{
    return g->balloon.known ? g->balloon.actual_bytes : g->info.current_bytes;
}

uint64_t guest_floor(const Guest *g)
{
    uint64_t floor_bytes = g->entitlement.min_bytes;

    return floor_bytes > 0 ? MIN(floor_bytes, g->full.bytes)
                           : guard_floor(g->full.bytes, g->manager->config->floor_ratio);
}

bool guest_in_distress(const Guest *g, usec_t now_usec)
{
    return g->distress_usec > 0 &&
           usec_since(g->distress_usec, now_usec) < g->manager->config->distress_hold_usec;
}

bool guest_is_moving(const Guest *g, usec_t now_usec)
{
    const Sample *s = guest_sample(g, now_usec);

    if (g->balloon.moving || g->setting)
        return true;
    if (g->took_cache && usec_since(g->balloon.settled_usec, now_usec) < GUEST_CACHE_PAUSE_USEC)
        return true;
    return g->balloon.settled_usec > 0 && s && s->at_usec < g->balloon.settled_usec + GUEST_SETTLE_USEC;
}

GuestMode guest_mode(const Guest *g)
{
    return g->entitlement.mode == GUEST_MODE_INVALID ? g->manager->mode
                                                     : MAX(g->manager->mode, g->entitlement.mode);
}

static const char *why_busy(const Guest *g, usec_t now_usec)
{
    if (g->lost)
        return "libvirt is away";
    if (g->busy[0])
        return g->busy;
    if (!g->balloon.known || usec_since(g->seen_usec, now_usec) < GUEST_FIRST_LOOK_USEC)
        return "just found";
    if (g->leaving && usec_since(g->goodbye_usec, now_usec) < g->manager->config->guard.grace_usec)
        return "its agent said goodbye: it may be shutting down";
    /* One that takes memory back in distress (deflate-on-oom) needs help, whoever moves its balloon. */
    if (balloon_is_suspect(&g->balloon) && !guest_in_distress(g, now_usec))
        return "somebody else moves its balloon";
    return NULL;
}

/* A step takes half of this, where its balloon is as fast as it was before. */
static bool is_late(const Guest *g, usec_t now_usec)
{
    usec_t most = MAX(2 * g->manager->config->guard.step_usec, BALLOON_STALL_USEC);

    return g->balloon.moving && usec_since(g->balloon.sent_usec, now_usec) > most;
}

void guest_snapshot(const Guest *g, usec_t now_usec, SnapshotGuest *ret)
{
    uint64_t current = guest_current(g),
             standing = g->balloon.known ? balloon_standing(&g->balloon) : current;
    /* One that was grown above its full size comes down to it again, also when what allowed that is gone. */
    bool entitled = g->entitlement.full_bytes > 0 || g->entitlement.growth_bytes > 0 || g->grown;
    const Sample *s = guest_sample(g, now_usec);

    *ret = (SnapshotGuest){
        .uuid = g->info.uuid,
        .name = g->info.name,
        .mode = guest_mode(g),
        .source = s ? s->source : GUEST_SOURCE_NONE,
        .age_usec = s ? usec_since(s->at_usec, now_usec) : USEC_INFINITY,
        .uptime_usec = usec_since(g->boot_usec, now_usec),
        .busy = why_busy(g, now_usec),
        .unmovable = g->info.unmovable,
        .ineffective =
            guest_is_ineffective(g, now_usec) ? "QEMU's memory didn't fall when it was shrunk" : NULL,
        .distress = guest_in_distress(g, now_usec),
        .released = g->released_usec > 0 &&
                    usec_since(g->released_usec, now_usec) < g->manager->config->guard.grace_usec,
        .reboot = g->reboot,
        .stalled = balloon_is_stalled(&g->balloon, now_usec),
        .stalled_growing = balloon_is_stalled_growing(&g->balloon, now_usec),
        .moving = guest_is_moving(g, now_usec),
        .late = is_late(g, now_usec),
        .maximum_bytes = g->info.maximum_bytes,
        /* A guest that has more than its full size (its driver isn't up yet) isn't cut down to it for that
           alone, unless its entitlement says so. */
        .full_bytes = entitled ? g->full.bytes : MAX(g->full.bytes, current),
        .entitled_full = entitled,
        .growth_bytes = g->entitlement.growth_bytes,
        .shares = g->entitlement.shares,
        .floor_bytes = guest_floor(g),
        .current_bytes = current,
        .standing_bytes = standing,
        .outstanding_bytes = g->outstanding_bytes,
        .shrink_rate = g->balloon.shrink_rate,
        .hurting = guest_is_hurting(g, now_usec),
        .restore_bytes = g->restore_bytes,
        .protected = need_protects(&g->need, now_usec),
        .needed_bytes = need_bytes(&g->need, now_usec),
        .grant_refused = guest_in_distress(g, now_usec) ? guest_grant_refused(g, now_usec) : NULL,
        .history = &g->keep.history,
        .state = g->keep.state,
    };
    sample_fields(s,
                  &(SampleHost){
                      .current_bytes = current,
                      .maximum_bytes = g->info.maximum_bytes,
                      .rss_bytes = g->stats.has_rss ? g->stats.rss_bytes : 0,
                      .overhead_bytes = gain_overhead(&g->gain),
                      .balloon_in_total = g->balloon_in_total,
                  },
                  &ret->fields);
    if (!isnan(g->strain.stall))
        guest_fields_set(&ret->fields, GUEST_FIELD_STALL, g->strain.stall);
    if (g->stats.has_hugetlb_allocs)
        guest_fields_set(&ret->fields, GUEST_FIELD_HUGETLB_ALLOCS, (double) g->stats.hugetlb_allocs);
    if (g->stats.has_hugetlb_failures)
        guest_fields_set(&ret->fields, GUEST_FIELD_HUGETLB_FAILURES, (double) g->stats.hugetlb_failures);
}

void guest_keep(Guest *g, const Policy *policy, const Snapshot *s, size_t i, const Plan *p)
{
    size_t n_states;

    (void) policy_states(policy, false, &n_states);
    if (p->guest_state)
        policy_keep_state(&g->keep, false, policy, p->guest_state + i * n_states);
    if (g->keep.history.n > 0) {
        GuestFields fields;

        view_guest_fields(&s->guests[i], &p->decisions[i].bounds, &fields);
        series_set_add_guest(&g->keep.history, s->now_usec, &fields);
    }
}
