/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens when a guest hands memory back and keeps its size. */

#include "host-agent/guest/guest-levers.h"

#include <stdio.h>

#include "base/units.h"
#include "host-agent/guest/guest-held.h"
#include "host-agent/guest/guest-judge.h"

/* m: the answer. before: the lever until then. */
static void tell_ended(const Guest *g, const Message *m, const Lever *before, usec_t now_usec)
{
    Notice n = guest_notice(g, NOTICE_LEVER_ENDED);

    n.further = m->why == before->why && m->error == before->error;
    n.wait_usec = usec_since(now_usec, g->levers.lever[g->levers.kind].retry_usec);
    snprintf(n.lever.name, sizeof(n.lever.name), "%s", lever_kind_to_string(g->levers.kind));
    n.lever.got_bytes = m->bytes;
    n.lever.refaulted_bytes = m->refaulted_bytes;
    n.lever.cpu_usec = m->cpu_usec;
    n.lever.why = m->why;
    n.lever.error = m->error;
    guest_tell(g, &n);
}

void guest_reclaimed(Guest *g, const Message *m, usec_t now_usec)
{
    Lever before = g->levers.lever[g->levers.kind];

    if (g->levers.kind == LEVER_RECLAIM)
        held_reclaimed(&g->held, m->bytes, 0, now_usec);
    levers_answered(&g->levers, m, now_usec);
    tell_ended(g, m, &before, now_usec);
    /* The next step needn't wait for the timer. */
    guest_host_wake(g->host);
}

void guest_lever_waits(Guest *g, const char *why)
{
    levers_wait(&g->levers, why);
}

void guest_lever_asked(Guest *g, const LeverCall *call, const LeverNeed *need, usec_t now_usec)
{
    levers_asked(&g->levers, call, need, now_usec);
}

bool guest_lever_expired(Guest *g, usec_t now_usec)
{
    Lever before = g->levers.lever[g->levers.kind];

    if (!levers_expire(&g->levers, now_usec))
        return false;
    tell_ended(g, &(Message){.why = LEVER_END_FAILED, .error = ETIMEDOUT}, &before, now_usec);
    return true;
}

static bool look(const Guest *g, uint64_t fragmented_bytes, usec_t now_usec, LeverLook *ret)
{
    HeldGuest memory;

    if (!guest_memory(g, now_usec, &memory))
        return false;
    *ret = (LeverLook){.resident_bytes = guest_resident(g, now_usec),
                       .used_bytes = memory.used_bytes,
                       .fragmented_bytes = fragmented_bytes};
    return true;
}

void guest_look_at_levers(Guest *g, uint64_t fragmented_bytes, usec_t now_usec)
{
    LeverLook now;
    Notice n;

    if (!look(g, fragmented_bytes, now_usec, &now) || !levers_look(&g->levers, &now, now_usec))
        return;
    n = guest_notice(g, NOTICE_LEVERS_LIE);
    n.wait_usec = LEVER_LIE_USEC;
    guest_tell(g, &n);
}

/* ---- A squeeze ---- */

static uint64_t uses(const Guest *g, usec_t now_usec)
{
    const Sample *s = guest_sample(g, now_usec);
    uint64_t used;

    /* Where MemTotal includes what the balloon holds, that looks like use. */
    return s && !g->balloon_in_total && taking_used(s, &used) ? used : UINT64_MAX;
}

void guest_squeezes(Guest *g, const LeverCall *call, const LeverNeed *need, usec_t now_usec)
{
    Squeeze begin = {.returns_bytes = balloon_standing(&g->balloon),
                     .used_bytes = uses(g, now_usec),
                     .cpu_usec = g->held.look.cpu_usec,
                     .spell_usec = now_usec + LEVER_SQUEEZE_BEGIN_USEC};

    (void) look(g, 0, now_usec, &begin.look);
    levers_squeezes(&g->levers, call, need, &begin, now_usec);
}

void guest_squeeze_adopt(Guest *g, uint64_t returns_bytes, usec_t now_usec)
{
    Squeeze begin = {.returns_bytes = MIN(returns_bytes, g->full.bytes),
                     .used_bytes = UINT64_MAX,
                     .spell_usec = now_usec + LEVER_SQUEEZE_BEGIN_USEC};
    /* QEMU may have a lower target, which the balloon has not begun to reach. */
    uint64_t least = g->balloon.target_bytes > 0 ? MIN(g->balloon.actual_bytes, g->balloon.target_bytes)
                                                 : g->balloon.actual_bytes;

    if (begin.returns_bytes > least)
        levers_squeezes(&g->levers, &(LeverCall){.kind = LEVER_SQUEEZE}, &(LeverNeed){}, &begin, now_usec);
}

bool guest_is_squeezed(const Guest *g)
{
    return g->levers.squeeze.returns_bytes > 0;
}

static bool is_taken(const Guest *g)
{
    return guest_is_squeezed(g) && g->levers.outstanding && g->levers.kind == LEVER_SQUEEZE;
}

bool guest_squeeze_hurts(const Guest *g, usec_t now_usec)
{
    uint64_t most = MAX(LEVER_SQUEEZE_USE_BYTES, g->full.bytes / LEVER_SQUEEZE_USE_PART),
             used = uses(g, now_usec);

    if (!is_taken(g))
        return false;
    return guest_in_distress(g, now_usec) || guest_is_hurting(g, now_usec) ||
           (used != UINT64_MAX && LESS_BY(used, g->levers.squeeze.used_bytes) >= most);
}

static uint64_t took(const Guest *g)
{
    return LESS_BY(g->levers.squeeze.returns_bytes, g->balloon.actual_bytes);
}

static bool is_slow(Guest *g, usec_t now_usec)
{
    Squeeze *s = &g->levers.squeeze;

    if (usec_since(s->spell_usec, now_usec) < LEVER_SQUEEZE_SPELL_USEC)
        return false;
    if (LESS_BY(took(g), s->spell_bytes) < LEVER_SQUEEZE_SPELL_BYTES)
        return true;
    s->spell_usec = now_usec;
    s->spell_bytes = took(g);
    return false;
}

LeverEnd guest_squeeze_end(Guest *g, usec_t now_usec)
{
    const Balloon *b = &g->balloon;

    if (!is_taken(g))
        return 0;
    if (guest_squeeze_hurts(g, now_usec) || guest_mode(g) != GUEST_MODE_AUTO)
        return LEVER_END_STOPPED;
    if (b->moving)
        return is_slow(g, now_usec) ? LEVER_END_NO_MORE : 0;
    return b->actual_bytes <= b->target_bytes + BALLOON_TOLERANCE_BYTES ? LEVER_END_DONE : LEVER_END_NO_MORE;
}

void guest_squeezed(Guest *g, LeverEnd why, usec_t now_usec)
{
    Levers *l = &g->levers;
    Lever before = l->lever[LEVER_SQUEEZE];
    Message m = {.why = why, .bytes = took(g)};

    levers_squeezed(l, why, m.bytes, g->held.look.cpu_usec, now_usec);
    m.cpu_usec = l->lever[LEVER_SQUEEZE].cpu_usec - before.cpu_usec;
    tell_ended(g, &m, &before, now_usec);
}

bool guest_squeeze_returns(const Guest *g, usec_t now_usec)
{
    const Balloon *b = &g->balloon;
    bool on_its_way = b->moving && b->target_bytes >= g->levers.squeeze.returns_bytes;

    return guest_is_squeezed(g) && !is_taken(g) && !on_its_way && !g->sending.setting && !g->lost &&
           !g->busy[0] && !balloon_is_suspect(b) && !balloon_is_stalled(b, now_usec);
}

void guest_squeeze_seen(Guest *g)
{
    uint64_t returns = g->levers.squeeze.returns_bytes;

    /* With a lower target in QEMU, a guest that still has its size will lose it. */
    if (guest_is_squeezed(g) && !is_taken(g) && !g->sending.setting && g->balloon.target_bytes >= returns &&
        g->balloon.actual_bytes + BALLOON_TOLERANCE_BYTES >= returns)
        levers_returned(&g->levers);
}

void guest_squeeze_forget(Guest *g)
{
    if (guest_is_squeezed(g))
        levers_returned(&g->levers);
}
