/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calculates the memory that a guest can spare. */
#include "host-agent/decide/spare.h"

#include <math.h>

#include "host-agent/decide/bytes.h"

static uint64_t field(const SnapshotGuest *g, GuestField f)
{
    return bytes_from_double(guest_fields_get(&g->fields, f));
}

void spare_at(const SnapshotGuest *g, const GuardConfig *c, uint64_t target_bytes, Spare *ret)
{
    uint64_t taken = LESS_BY(g->sizes.current_bytes, target_bytes);
    uint64_t free_then = LESS_BY(field(g, GUEST_FIELD_FREE), field(g, GUEST_FIELD_LOW_WATERMARK));
    GuestField backed = guest_fields_has(&g->fields, GUEST_FIELD_IDLE) ? GUEST_FIELD_IDLE : GUEST_FIELD_FREE;
    GuestField available =
        guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE) ? GUEST_FIELD_AVAILABLE : GUEST_FIELD_FREE;
    double left = (double) LESS_BY(field(g, available), taken), keep = c->keep_ratio;

    *ret = (Spare){.free_bytes = LESS_BY(free_then, taken),
                   .cache_bytes = LESS_BY(field(g, GUEST_FIELD_CACHE), LESS_BY(taken, free_then))};
    ret->backed_bytes = MIN(LESS_BY(field(g, backed), taken), ret->free_bytes);
    /* left - give ≥ keep × (target - give) */
    if (keep < 1)
        ret->give_bytes = bytes_from_double((left - keep * (double) target_bytes) / (1 - keep));
}

uint64_t spare_gain(const Spare *s, uint64_t bytes)
{
    return MIN(bytes, s->backed_bytes) + LESS_BY(bytes, s->free_bytes);
}

double spare_in_ram(const SnapshotGuest *g)
{
    double resident = guest_fields_get(&g->fields, GUEST_FIELD_RESIDENT),
           swapped = guest_fields_get(&g->fields, GUEST_FIELD_SWAPPED);

    return resident > 0 ? fmax(0, 1 - swapped / resident) : 1;
}
