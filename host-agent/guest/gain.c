/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a shrink of a guest brought the host. */

#include "host-agent/guest/gain.h"

#include "base/macro.h"
#include "proto/limits.h"

#define INEFFECTIVE_AFTER 3U  /* shrinks in a row */
#define INEFFECTIVE_PART  10U /* less than a tenth is next to nothing */

void gain_reset(Gain *g)
{
    g->open = false;
}

void gain_begin(Gain *g, const GainLook *before)
{
    if (g->open || before->resident_bytes == 0)
        return;
    g->open = true;
    g->before = *before;
}

/* Limits what a guest reports, so that sums can't overflow. */
static GainLook bounded(const GainLook *l)
{
    GainLook b;

    b.current_bytes = MIN(l->current_bytes, GUEST_MEMORY_MAX_BYTES);
    b.used_bytes = MIN(l->used_bytes, GUEST_MEMORY_MAX_BYTES);
    b.free_bytes = MIN(l->free_bytes, b.current_bytes);
    b.resident_bytes = MIN(l->resident_bytes, 2 * GUEST_MEMORY_MAX_BYTES);
    b.idle_bytes = MIN(l->idle_bytes, b.free_bytes);
    return b;
}

/* Whether a shrink brought as much as it should. The balloon takes free memory as it comes: some of it was never touched,
 * so not all that was idle need be in it. Its share must be, and half at least: what brings less wasn't idle. */
static bool is_enough(const GainLook *before, uint64_t taken, uint64_t expected, uint64_t brought)
{
    double share = before->free_bytes > 0
                       ? (double) taken * (double) before->idle_bytes / (double) before->free_bytes
                       : 0;

    return brought >= expected || (brought >= expected / 2 && (double) brought >= share);
}

uint64_t gain_end(Gain *g, const GainLook *after)
{
    GainLook a = bounded(&g->before), b = bounded(after);
    uint64_t taken = LESS_BY(a.current_bytes, b.current_bytes), expected = MIN(taken, a.idle_bytes);
    uint64_t doubt = MAX(GAIN_DOUBT_BYTES, a.free_bytes / GAIN_DOUBT_PART), brought;

    if (!g->open)
        return 0;
    g->open = false;
    if (b.resident_bytes == 0 || taken < GAIN_LOOK_BYTES)
        return 0;

    /* What the guest began to use meanwhile is resident in place of what was taken. */
    brought = LESS_BY(a.resident_bytes + LESS_BY(b.used_bytes, a.used_bytes), b.resident_bytes);
    if (brought >= GAIN_LOOK_BYTES / INEFFECTIVE_PART && brought >= expected / INEFFECTIVE_PART)
        g->ineffective = 0;
    else if (MIN(taken, LESS_BY(a.idle_bytes, doubt)) >= GAIN_LOOK_BYTES)
        g->ineffective += g->ineffective < INEFFECTIVE_AFTER;
    return is_enough(&a, taken, expected, brought) ? 0 : LESS_BY(expected, brought);
}

bool gain_is_ineffective(const Gain *g)
{
    return g->ineffective >= INEFFECTIVE_AFTER;
}
