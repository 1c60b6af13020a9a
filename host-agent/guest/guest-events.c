/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens to a guest: its agent or libvirt reports something, a target is sent, it reboots. */

#include "host-agent/guest/guest-events.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "host-agent/guest/guest-held.h"
#include "host-agent/guest/guest-judge.h"
#include "host-agent/guest/guest-levers.h"
#include "host-agent/guest/guest-log.h"

/* Outstanding memory (given and not used yet) counts against the host's room for this long. */
#define GIVEN_USEC        (30 * USEC_PER_SEC)
/* A rebooted guest that didn't get its full size within this time, because the host had no room, is treated
 * like any other guest. */
#define REBOOT_USEC       (60 * USEC_PER_SEC)
/* Enough for the driver to have something to do. */
#define REBOOT_LESS_BYTES (64 * KIB)
/* A slow guest's report may still describe the size before a move if it comes within this time after it. */
#define LATE_REPORT_USEC  (2 * USEC_PER_SEC)

/* Sees how the guest counts its memory. */
static void account(Guest *g, usec_t now_usec)
{
    const Sample *s = guest_sample(g, now_usec);
    uint64_t current = guest_current(g), maximum = g->info.maximum_bytes;
    bool in_total = sample_balloon_in_total(s, current, maximum, g->info.autodeflate);

    guest_set_accounting(g, in_total, s ? LESS_BY(current, sample_total(s, current, maximum, in_total)) : 0);
}

/* A new sample came, from the source in use. */
static void on_sample(Guest *g, usec_t now_usec)
{
    if (!guest_is_moving(g, now_usec) && usec_since(g->balloon.settled_usec, now_usec) >= LATE_REPORT_USEC)
        account(g, now_usec);
    guest_judge(g, now_usec);
}

void guest_hello(Guest *g, const Message *hello, usec_t boot_usec, bool restarted)
{
    levers_hello(&g->levers, hello);
    sources_hello(&g->sources, restarted);
    guest_set_boot(g, MIN(g->boot_usec, boot_usec));
}

/* Page cache that was read back since the last report. */
static uint64_t refaulted(const Guest *g, const Report *r)
{
    const Sample *last = history_get(&g->sources.history, 0);

    if (!last || last->source != GUEST_SOURCE_AGENT)
        return 0;
    return LESS_BY(report_get(r, REPORT_REFAULT_FILE), report_get(&last->report, REPORT_REFAULT_FILE));
}

static void take_report(Guest *g, const Report *r, usec_t now_usec)
{
    uint64_t read_back = refaulted(g, r);

    if (read_back > 0) {
        held_reclaimed(&g->held, 0, read_back, now_usec);
        levers_missed(&g->levers, held_reclaim_cost(&g->held, now_usec), now_usec);
    }
    sources_report(&g->sources, r, now_usec);
    on_sample(g, now_usec);
}

void guest_report(Guest *g, const Report *r, usec_t now_usec)
{
    bool waited = g->balloon.settled_usec > 0 && !g->balloon.moving && guest_is_moving(g, now_usec);

    take_report(g, r, now_usec);
    /* The first stats after a move: the next decision needn't wait for the timer. */
    if ((waited && !guest_is_moving(g, now_usec)) || guest_squeeze_hurts(g, now_usec))
        guest_host_wake(g->host);
}

void guest_distress(Guest *g, DistressCause cause, const Report *r, usec_t now_usec)
{
    if (r->present)
        take_report(g, r, now_usec);
    guest_judge_distress(g, cause, now_usec);
}

bool guest_goodbye(Guest *g, usec_t now_usec)
{
    return sources_goodbye(&g->sources, now_usec);
}

void guest_set_interval(Guest *g, usec_t interval_usec)
{
    sources_set_interval(&g->sources, interval_usec);
}

void guest_stats(Guest *g, const VirtStats *stats, usec_t now_usec)
{
    bool answered = sources_stats(&g->sources, stats, now_usec);

    if (stats->has_actual)
        guest_balloon_seen(g, stats->actual_bytes, now_usec);
    guest_see_rss(g, now_usec);
    if (answered && sources_use_stats(&g->sources, now_usec))
        on_sample(g, now_usec);
}

/* Whether the guest rebooted and no sample came since: its driver isn't up yet. */
static bool is_booting(const Guest *g, usec_t now_usec)
{
    const Sample *s = guest_sample(g, now_usec);

    return g->reboot.pending && (!s || s->at_usec <= g->boot_usec);
}

static void tell_stalled(Guest *g, usec_t now_usec)
{
    Notice n = guest_notice(g, NOTICE_STALLED);

    n.from_bytes = g->balloon.from_bytes;
    n.to_bytes = g->balloon.target_bytes;
    n.wait_usec = g->balloon.backoff_usec;
    n.further = guest_log_level(g, GUEST_LINE_BALLOON, LOG_WARNING, now_usec) == LOG_DEBUG;
    guest_tell(g, &n);
}

/* Whether a guest of this size can be all that its QEMU holds. */
static bool host_sees(const Guest *g, uint64_t bytes, usec_t now_usec)
{
    uint64_t own = MAX(held_overhead(&g->held) + held_uncertainty(&g->held), HELD_OVERHEAD_MAX_BYTES);

    return held_is_known(&g->held, now_usec) && !guest_is_swap_hidden(g, now_usec) &&
           guest_resident(g, now_usec) <= bytes + own;
}

/* A size that only the guest says. */
static void refuse_size(Guest *g, uint64_t bytes, usec_t now_usec)
{
    char size[UNITS_FORMAT_MAX], full[UNITS_FORMAT_MAX], held[UNITS_FORMAT_MAX], why[96] = "";
    uint64_t kib = bytes / KIB, resident = guest_resident(g, now_usec);

    if (!full_size_refuse(&g->full, bytes, BALLOON_TOLERANCE_BYTES))
        return;
    if (bytes < g->full.bytes && resident > 0)
        snprintf(why, sizeof(why), ", but its QEMU holds %s", format_size(held, resident));
    log_full(
        guest_log_level(g, GUEST_LINE_BALLOON, LOG_NOTICE, now_usec),
        "%s: says that it has %s%s; its full size stays %s. If you set that size, make it its full size: ballastctl set %s --full %" PRIu64
        "KiB, or virsh setmem %s %" PRIu64 "KiB --config --live",
        g->info.name, format_size(size, bytes), why, format_size(full, g->full.bytes), g->info.name, kib,
        g->info.name, kib);
}

/* The guest's driver took memory back by itself. */
static void on_deflated(Guest *g, uint64_t actual, bool allowed, usec_t now_usec)
{
    char took[UNITS_FORMAT_MAX];

    if (!allowed && !full_size_refuse(&g->full, actual, BALLOON_TOLERANCE_BYTES))
        return;
    log_full(guest_log_level(g, GUEST_LINE_BALLOON, LOG_NOTICE, now_usec),
             "%s: ran out of memory and took %s back from its balloon (deflate-on-oom)", g->info.name,
             format_size(took, actual - g->balloon.foreign.from_bytes));
    if (allowed)
        balloon_accept(&g->balloon);
    guest_distressed(g, DISTRESS_AUTODEFLATE, true, now_usec);
}

/* The balloon rests at a size that our own moves don't explain. */
static void on_foreign(Guest *g, usec_t now_usec)
{
    char from[UNITS_FORMAT_MAX], to[UNITS_FORMAT_MAX];
    uint64_t actual = g->balloon.actual_bytes, size = MIN(actual, full_size_most(&g->full));
    bool allowed = actual - size <= BALLOON_TOLERANCE_BYTES;

    /* A driver that comes up inflates its balloon again, from nothing. */
    if (g->reboot.pending)
        return;
    if (g->info.autodeflate && actual > g->balloon.foreign.from_bytes) {
        on_deflated(g, actual, allowed, now_usec);
        return;
    }
    if (!allowed || (size < g->full.bytes && !host_sees(g, size, now_usec))) {
        refuse_size(g, actual, now_usec);
        return;
    }
    balloon_accept(&g->balloon);
    guest_squeeze_forget(g);
    if (size == g->full.bytes)
        return;
    log_full(
        guest_log_level(g, GUEST_LINE_BALLOON, LOG_NOTICE, now_usec),
        "%s: somebody else set its memory to %s; this replaces its full size of %s until the guest stops or is released (ballastctl release)",
        g->info.name, format_size(to, size), format_size(from, g->full.bytes));
    full_size_set_foreign(&g->full, size);
}

/* Prepares for the first look at a balloon, which may be on its way. Returns whether a move of an earlier
 * daemon is on its way. */
static bool look_first(Guest *g, uint64_t actual_bytes)
{
    uint64_t low, high;
    bool ours =
        full_size_expect(&g->full, &g->info.remembered, actual_bytes, BALLOON_TOLERANCE_BYTES, &low, &high);

    balloon_expect(&g->balloon, low, high);
    return ours;
}

void guest_balloon_seen(Guest *g, uint64_t actual_bytes, usec_t now_usec)
{
    bool first = !g->balloon.known && !g->reboot.pending, adopt;

    /* The guest's driver says how large its balloon is, and QEMU passes that on. A size of 0 would be one that isn't
     * known. */
    actual_bytes = CLAMP(actual_bytes, KIB, g->info.maximum_bytes);
    adopt = first && look_first(g, actual_bytes);
    if (!g->balloon.known && !first)
        balloon_expect(&g->balloon, g->full.bytes, MAX(g->full.bytes, actual_bytes));
    balloon_set_autodeflate(&g->balloon, g->info.autodeflate);
    balloon_set_full(&g->balloon, full_size_most(&g->full));
    /* A balloon that stands still for another reason isn't stalled. */
    if (g->busy[0] || is_booting(g, now_usec))
        balloon_excused(&g->balloon, now_usec);
    /* Nor is it at rest, and neither is the balloon of a guest that booted lately. */
    if (g->busy[0] || usec_since(g->boot_usec, now_usec) < g->host->guard->grace_usec)
        balloon_disturbed(&g->balloon, now_usec);
    if (g->balloon.moving && g->balloon.target_bytes < g->balloon.from_bytes)
        guest_reclaims(g, now_usec);

    switch (balloon_seen(&g->balloon, actual_bytes, now_usec)) {
    case BALLOON_EVENT_NONE:
    case BALLOON_EVENT_PROGRESS:
        break;
    case BALLOON_EVENT_SETTLED:
        if (guest_source(g, now_usec) != GUEST_SOURCE_AGENT || guest_is_squeezed(g))
            guest_host_wake(g->host);
        break;
    case BALLOON_EVENT_STALLED:
        if (!g->sending.retried)
            tell_stalled(g, now_usec);
        g->sending.cancel = g->balloon.target_bytes < balloon_standing(&g->balloon) && !guest_is_squeezed(g);
        if (guest_is_squeezed(g))
            guest_host_wake(g->host);
        break;
    case BALLOON_EVENT_FOREIGN:
        on_foreign(g, now_usec);
        break;
    }
    guest_squeeze_seen(g);
    if (adopt)
        balloon_adopt(&g->balloon, g->info.remembered.sent_bytes);
    if (first && g->info.remembered.returns_bytes > 0)
        guest_squeeze_adopt(g, g->info.remembered.returns_bytes, now_usec);
    g->reboot.look = g->reboot.pending;
}

void guest_busy(Guest *g, const char *why, usec_t now_usec)
{
    char missing[UNITS_FORMAT_MAX];
    uint64_t held = LESS_BY(g->full.bytes, guest_current(g));
    bool leaves = why && (strcmp(why, "saving") == 0 || strcmp(why, "migrating") == 0);

    /* A balloon that couldn't be moved wasn't stalled. */
    if (!why)
        balloon_excused(&g->balloon, now_usec);
    if (why && strcmp(g->busy, why) != 0) {
        int level = guest_log_level(g, GUEST_LINE_STATE, LOG_INFO, now_usec);

        if (leaves && held > 0)
            log_full(
                level,
                "%s: %s: its balloon isn't moved meanwhile, and keeps the %s of the full size that it holds",
                g->info.name, why, format_size(missing, held));
        else
            log_full(level, "%s: %s: its balloon isn't moved meanwhile", g->info.name, why);
    }
    guest_set_busy(g, why);
    guest_host_wake(g->host);
}

void guest_rebooted(Guest *g, usec_t now_usec)
{
    /* libvirt may report one reset several times. */
    if (g->reboot.pending && usec_since(g->boot_usec, now_usec) < USEC_PER_SEC)
        return;
    log_full(guest_log_level(g, GUEST_LINE_STATE, LOG_INFO, now_usec), "%s: rebooted", g->info.name);
    guest_set_boot(g, now_usec);
    g->reboot = (Reboot){.pending = true};
    g->sending.took_cache = g->sending.cancel = false;
    guest_judge_reboot(g);
    sources_reboot(&g->sources);
    held_reboot(&g->held);
    levers_reset(&g->levers);
    balloon_reset(&g->balloon);
    guest_reset_keep(g);
    guest_host_wake(g->host);
}

bool guest_reboot_due(Guest *g, usec_t now_usec, uint64_t *ret_target_bytes, const char **ret_reason)
{
    const Balloon *b = &g->balloon;

    if (!g->reboot.look)
        return false;
    g->reboot.look = false;
    if (b->actual_bytes + BALLOON_TOLERANCE_BYTES >= g->full.bytes && !b->moving) {
        if (!g->reboot.asked || b->actual_bytes >= g->full.bytes || guest_mode(g) != GUEST_MODE_AUTO) {
            g->reboot.pending = false;
            return false;
        }
        *ret_target_bytes = g->full.bytes;
        *ret_reason = "rebooted: gets its full size back";
        return true;
    }
    if (usec_since(g->boot_usec, now_usec) > MAX(REBOOT_USEC, g->host->guard->grace_usec)) {
        g->reboot.pending = false;
        return false;
    }
    if (g->reboot.asked || g->sending.setting || g->busy[0] || is_booting(g, now_usec) ||
        guest_mode(g) != GUEST_MODE_AUTO || b->target_bytes < g->full.bytes)
        return false;
    *ret_target_bytes = (g->full.bytes - REBOOT_LESS_BYTES) / KIB * KIB;
    *ret_reason = "rebooted with all its memory: a small move makes its driver report that";
    return true;
}

void guest_reboot_sent(Guest *g)
{
    if (g->reboot.asked)
        g->reboot.pending = false;
    g->reboot.asked = true;
}

/* Whether shrinking to target takes more than the guest's free memory. */
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
    Sending *s = &g->sending;

    s->grows_bytes = LESS_BY(target_bytes, standing);
    if (s->grows_bytes > 0) {
        s->given_bytes += s->grows_bytes;
        s->given_usec = now_usec;
    } else
        s->given_bytes = LESS_BY(s->given_bytes, standing - target_bytes);
    if (target_bytes > standing && target_bytes >= g->full.bytes)
        guest_given_back(g, now_usec);
    if (target_bytes != standing)
        guest_watch(g, target_bytes < standing, now_usec);
    s->retried = s->grows_bytes > 0 && balloon_is_stalled_growing(&g->balloon, now_usec);
    s->took_cache = target_bytes < standing && takes_cache(g, target_bytes, now_usec);
    s->grown = target_bytes > g->full.bytes;
    balloon_sent(&g->balloon, target_bytes, now_usec);
    s->setting = true;
    s->cancel = false;
}

void guest_sent_for_a_moment(Guest *g, uint64_t target_bytes, usec_t now_usec)
{
    Sending *s = &g->sending;

    guest_watch(g, target_bytes < balloon_standing(&g->balloon), now_usec);
    balloon_sent(&g->balloon, target_bytes, now_usec);
    s->grows_bytes = 0;
    s->setting = true;
    s->cancel = s->took_cache = false;
}

void guest_set_done(Guest *g, int error, usec_t now_usec)
{
    Sending *s = &g->sending;
    bool asked = s->setting;

    s->setting = false;
    if (error == -EBUSY || (error == -ENOTCONN && asked))
        balloon_withdrawn(&g->balloon);
    else if (error < 0 && error != -ENOTCONN)
        balloon_refused(&g->balloon, now_usec);
    if (error < 0 && error != -ENOTCONN)
        s->given_bytes = LESS_BY(s->given_bytes, s->grows_bytes);
    s->grows_bytes = 0;
    if (s->put_off)
        guest_host_wake(g->host);
    s->put_off = false;
}

void guest_put_off(Guest *g, bool put_off)
{
    g->sending.put_off = put_off;
}

void guest_canceled(Guest *g)
{
    g->sending.setting = true;
    g->sending.cancel = false;
}

void guest_settle(Guest *g, usec_t now_usec)
{
    uint64_t used = LESS_BY(guest_resident(g, now_usec), held_overhead(&g->held));
    uint64_t reach = balloon_standing(&g->balloon);
    Sending *s = &g->sending;

    /* A stalled growth may still come: QEMU goes on pursuing its target. */
    if (g->balloon.stalled && g->balloon.stalled_growing) {
        reach = MAX(reach, g->balloon.target_bytes);
        s->given_usec = now_usec;
    }
    if (usec_since(s->given_usec, now_usec) > GIVEN_USEC)
        s->given_bytes = 0;
    else
        s->given_bytes = MIN(s->given_bytes, LESS_BY(reach, used));
    guest_judge_grant(g, now_usec);
}
