/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moves balloons; no other file does. */

#include "host-agent/act/move.h"

#include "base/log.h"
#include "base/units.h"
#include "host-agent/decide/guard.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-judge.h"
#include "host-agent/guest/guest-log.h"

static DomainState remember(const Guest *g, uint64_t target_bytes)
{
    return (DomainState){.full_bytes = g->full.bytes,
                         .defined_bytes = g->full.defined_bytes,
                         .from_bytes = guest_believed(g),
                         .sent_bytes = target_bytes,
                         .overhead_bytes = held_to_store(&g->held)};
}

static void tell(const Guest *g, NoticeKind kind, uint64_t from_bytes, uint64_t to_bytes, const char *reason,
                 bool further)
{
    Notice n = guest_notice(g, kind);

    n.from_bytes = from_bytes;
    n.to_bytes = to_bytes;
    n.further = further;
    notice_set_text(&n, reason);
    guest_tell(g, &n);
}

/* Whether the move comes of how the guest fares. It may fare badly for ever, or say so. */
static bool guest_sets_pace(const Guest *g)
{
    GuardRule rule = g->verdict.decision.rule;

    return rule == GUARD_RULE_DISTRESS || rule == GUARD_RULE_HURTING || rule == GUARD_RULE_AHEAD ||
           rule == GUARD_RULE_REBOOT;
}

int move_send(const Hypervisor *h, Guest *g, uint64_t target_bytes, const char *reason)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    const Balloon *b = &g->balloon;
    uint64_t from = guest_current(g);
    DomainState state = remember(g, target_bytes);
    /* Memory that donors release is passed on in small moves, ten times a second: only the first is worth a
     * log line. */
    bool further = g->judgement.grant.open && b->moving && target_bytes > b->target_bytes &&
                   b->target_bytes > b->from_bytes;
    /* The same if a guest in distress is sent a target again and again while its balloon is stuck. */
    bool again = balloon_is_stalled_growing(b, now) && target_bytes > from, often;
    int r;

    r = h->set_memory(h->userdata, g->info.uuid, &state);
    if (r < 0)
        return r;
    guest_sent(g, target_bytes, now);
    held_stored(&g->held, now);
    often = !further && !again && guest_sets_pace(g) &&
            guest_log_level(g, GUEST_LINE_MOVE, LOG_INFO, now) == LOG_DEBUG;
    tell(g, NOTICE_MOVE, from, target_bytes, reason, further || again || often);
    return 0;
}

int move_for_a_moment(const Hypervisor *h, const Guest *g, uint64_t target_bytes)
{
    uint64_t standing = balloon_standing(&g->balloon);
    DomainState state = remember(g, target_bytes);

    state.returns_bytes = target_bytes < standing ? standing : 0;
    return h->set_memory(h->userdata, g->info.uuid, &state);
}

/* In mode observe a decision is reported once, and again when its reason or its direction changes. */
static void tell_observed(Guest *g, const SnapshotGuest *s, const Decision *d)
{
    uint64_t key;

    if (d->rule != GUARD_RULE_OBSERVE || d->target_bytes == s->sizes.standing_bytes)
        key = 0;
    else
        key = (uint64_t) d->line << 2 | (d->target_bytes > s->sizes.standing_bytes ? 2 : 1);
    if (key != g->verdict.observed && key != 0)
        tell(g, NOTICE_WOULD_MOVE, s->sizes.current_bytes, d->target_bytes, d->reason, false);
    guest_set_observed(g, key);
}

bool move_apply(const Hypervisor *h, Guest *g, const SnapshotGuest *s, const Decision *d, bool on_account)
{
    bool coming = guard_leaving(s) > 0;
    usec_t now = now_usec(CLOCK_MONOTONIC);
    int r;

    guest_decide(g, d);
    tell_observed(g, s, d);
    if (!d->send)
        return coming;
    r = move_send(h, g, d->target_bytes, d->reason);
    guest_put_off(g, r == -EBUSY);
    if (r < 0 && r != -EBUSY)
        log_full_errno(guest_log_level(g, GUEST_LINE_BALLOON, LOG_WARNING, now), -r,
                       "%s: cannot ask libvirt to move its balloon: %m", g->info.name);
    if (r < 0)
        return coming;
    if (on_account)
        guest_charge(g, s, d->target_bytes, now);
    return coming || d->target_bytes < s->sizes.standing_bytes;
}

static void tend_cancel(const Hypervisor *h, Guest *g)
{
    DomainState state = remember(g, balloon_standing(&g->balloon) / KIB * KIB);

    if (!g->sending.cancel || g->sending.setting || g->busy[0] || guest_mode(g) != GUEST_MODE_AUTO)
        return;
    if (h->set_memory(h->userdata, g->info.uuid, &state) >= 0)
        guest_canceled(g);
}

/* A guest that isn't moved has its overhead stored, too: it takes hours to learn. */
static void tend_overhead(const Hypervisor *h, Guest *g, usec_t now_usec)
{
    if (!held_is_due(&g->held, now_usec) || g->busy[0] || guest_mode(g) != GUEST_MODE_AUTO)
        return;
    if (h->remember(h->userdata, g->info.uuid, held_to_store(&g->held)) >= 0)
        held_stored(&g->held, now_usec);
}

void move_tend(const Hypervisor *h, Guest *g, usec_t now_usec)
{
    uint64_t target_bytes;
    const char *reason;

    tend_cancel(h, g);
    if (guest_reboot_due(g, now_usec, &target_bytes, &reason) && move_send(h, g, target_bytes, reason) >= 0)
        guest_reboot_sent(g);
    tend_overhead(h, g, now_usec);
}

int move_release(const Hypervisor *h, Guest *g, uint64_t *room)
{
    uint64_t standing = balloon_standing(&g->balloon), base = MAX(guest_believed(g), standing), target;
    bool whole;
    int r;

    guest_set_released(g, now_usec(CLOCK_MONOTONIC));
    if (standing >= g->full.bytes && g->balloon.known)
        return 0;
    if (g->lost || g->busy[0] || !g->balloon.known)
        return -EAGAIN;
    /* A shrink that is on its way can always be taken back: that costs no room. */
    whole = *room >= LESS_BY(g->full.bytes, base);
    target = whole ? g->full.bytes : (base + *room) / KIB * KIB;
    if (target <= standing)
        return -ENOSPC;
    r = move_send(h, g, target, whole ? "released" : "released, as far as the host has room");
    if (r < 0)
        return r;
    *room -= LESS_BY(target, base);
    return 0;
}
