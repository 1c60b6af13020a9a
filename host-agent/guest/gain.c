/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a shrink of a guest brought the host. */

#include "host-agent/guest/gain.h"

#include "base/macro.h"
#include "proto/limits.h"

#define OVERHEAD_MIN_BYTES (UINT64_C(16) << 20) /* no QEMU does with less */
#define OVERHEAD_MAX_BYTES (UINT64_C(1) << 30)
#define INEFFECTIVE_AFTER  3U  /* shrinks in a row */
#define INEFFECTIVE_PART   10U /* less than a tenth is next to nothing */

void gain_reset(Gain *g)
{
    g->open = false;
}

void gain_begin(Gain *g, const GainLook *before)
{
    if (g->open || before->rss_bytes == 0)
        return;
    g->open = true;
    g->before = *before;
}

uint64_t gain_overhead(const Gain *g)
{
    return g->overhead_bytes ?: GAIN_OVERHEAD_BYTES;
}

/* Limits what a guest reports, so that sums can't overflow. */
static GainLook bounded(const GainLook *l)
{
    GainLook b;

    b.current_bytes = MIN(l->current_bytes, GUEST_MEMORY_MAX_BYTES);
    b.free_bytes = MIN(l->free_bytes, b.current_bytes);
    b.rss_bytes = MIN(l->rss_bytes, GUEST_MEMORY_MAX_BYTES);
    return b;
}

static uint64_t in_use(const GainLook *l)
{
    return LESS_BY(l->current_bytes, l->free_bytes);
}

uint64_t gain_resident_free(const GainLook *l, uint64_t overhead_bytes)
{
    return MIN(LESS_BY(LESS_BY(l->rss_bytes, overhead_bytes), in_use(l)), l->free_bytes);
}

void gain_end(Gain *g, const GainLook *after)
{
    GainLook a = bounded(&g->before), b = bounded(after);
    uint64_t overhead = gain_overhead(g), resident = gain_resident_free(&a, overhead);
    uint64_t taken = LESS_BY(a.current_bytes, b.current_bytes), expected = MIN(taken, resident), brought;

    if (!g->open)
        return;
    g->open = false;
    if (b.rss_bytes == 0 || taken < GAIN_LOOK_BYTES)
        return;

    /* What the guest began to use meanwhile raised RSS by as much. */
    brought = LESS_BY(a.rss_bytes + LESS_BY(in_use(&b), in_use(&a)), b.rss_bytes);
    if (brought < expected)
        overhead += expected - brought;
    else {
        /* The shrink brought more than was thought to be resident, even with what the guest has stopped using
         * (page cache goes to the balloon, too): so QEMU's own part is smaller. */
        uint64_t known = resident + LESS_BY(in_use(&a), in_use(&b));

        overhead = LESS_BY(overhead, LESS_BY(brought, known));
    }
    if (overhead != gain_overhead(g))
        g->overhead_bytes = CLAMP(overhead, OVERHEAD_MIN_BYTES,
                                  MIN(OVERHEAD_MAX_BYTES, MAX(b.rss_bytes, OVERHEAD_MIN_BYTES)));

    if (brought >= GAIN_LOOK_BYTES / INEFFECTIVE_PART && brought >= expected / INEFFECTIVE_PART)
        g->ineffective = 0;
    else if (expected >= GAIN_LOOK_BYTES)
        g->ineffective += g->ineffective < INEFFECTIVE_AFTER;
}

bool gain_is_ineffective(const Gain *g)
{
    return g->ineffective >= INEFFECTIVE_AFTER;
}
