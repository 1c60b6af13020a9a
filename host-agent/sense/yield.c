/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/sense/yield.h"

#include "base/macro.h"
#include "proto/limits.h"

#define OVERHEAD_MIN_BYTES (UINT64_C(16) << 20) /* no QEMU does with less */
#define OVERHEAD_MAX_BYTES (UINT64_C(1) << 30)
#define BARREN_AFTER       3U  /* shrinks in a row */
#define BARREN_PART        10U /* less than a tenth is next to nothing */

void yield_reset(Yield *y)
{
    y->open = false;
}

void yield_begin(Yield *y, const YieldLook *before)
{
    if (y->open || before->rss_bytes == 0)
        return;
    y->open = true;
    y->before = *before;
}

uint64_t yield_overhead(const Yield *y)
{
    return y->overhead_bytes ?: YIELD_OVERHEAD_BYTES;
}

/* What a guest says is bounded, so that sums can't overflow. */
static YieldLook bounded(const YieldLook *l)
{
    YieldLook b;

    b.current_bytes = MIN(l->current_bytes, GUEST_MEMORY_MAX_BYTES);
    b.free_bytes = MIN(l->free_bytes, b.current_bytes);
    b.rss_bytes = MIN(l->rss_bytes, GUEST_MEMORY_MAX_BYTES);
    return b;
}

static uint64_t in_use(const YieldLook *l)
{
    return LESS_BY(l->current_bytes, l->free_bytes);
}

uint64_t yield_resident_free(const YieldLook *l, uint64_t overhead_bytes)
{
    return MIN(LESS_BY(LESS_BY(l->rss_bytes, overhead_bytes), in_use(l)), l->free_bytes);
}

void yield_end(Yield *y, const YieldLook *after)
{
    YieldLook a = bounded(&y->before), b = bounded(after);
    uint64_t overhead = yield_overhead(y), resident = yield_resident_free(&a, overhead);
    uint64_t taken = LESS_BY(a.current_bytes, b.current_bytes), expected = MIN(taken, resident), brought;

    if (!y->open)
        return;
    y->open = false;
    if (b.rss_bytes == 0 || taken < YIELD_LOOK_BYTES)
        return;

    /* RSS is as much larger as the guest began to use meanwhile. */
    brought = LESS_BY(a.rss_bytes + LESS_BY(in_use(&b), in_use(&a)), b.rss_bytes);
    if (brought < expected)
        overhead += expected - brought;
    else {
        /* More came than was thought to be there, besides what the guest used before and no longer does (page
         * cache goes to the balloon, too): less is QEMU's own. */
        uint64_t known = resident + LESS_BY(in_use(&a), in_use(&b));

        overhead = LESS_BY(overhead, LESS_BY(brought, known));
    }
    if (overhead != yield_overhead(y))
        y->overhead_bytes = CLAMP(overhead, OVERHEAD_MIN_BYTES,
                                  MIN(OVERHEAD_MAX_BYTES, MAX(b.rss_bytes, OVERHEAD_MIN_BYTES)));

    if (brought >= YIELD_LOOK_BYTES / BARREN_PART && brought >= expected / BARREN_PART)
        y->barren = 0;
    else if (expected >= YIELD_LOOK_BYTES)
        y->barren += y->barren < BARREN_AFTER;
}

bool yield_is_barren(const Yield *y)
{
    return y->barren >= BARREN_AFTER;
}
