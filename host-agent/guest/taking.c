/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How fast a guest takes its own memory. */

#include "host-agent/guest/taking.h"

#include "base/macro.h"
#include "base/units.h"

#define SLOT_USEC  (TAKING_WINDOW_USEC / TAKING_SLOTS)
/* Reports come faster than this while a balloon moves. What a guest takes in a shorter time is less than what
 * it takes until a balloon gives memory back. */
#define STEP_USEC  (2 * USEC_PER_SEC)
/* Nothing is known of the time between reports that are further apart. */
#define GAP_USEC   (15 * USEC_PER_SEC)
#define GREW_BYTES (32 * MIB)
/* A guest that gets its size back again within so many holds is held for longer. */
#define AGAIN      8
#define GREW_RATIO 12

/* Whether the sample says what the guest uses. */
bool taking_used(const Sample *s, uint64_t *ret)
{
    ReportField left = report_has(&s->report, REPORT_MEM_AVAILABLE) ? REPORT_MEM_AVAILABLE : REPORT_MEM_FREE;

    if (!report_has(&s->report, REPORT_MEM_TOTAL) || !report_has(&s->report, left))
        return false;
    *ret = LESS_BY(s->report.value[REPORT_MEM_TOTAL], s->report.value[left]);
    return true;
}

/* Drops what is older than the window. */
static void turn(Taking *t, usec_t slot)
{
    for (usec_t i = MAX(t->slot + 1, LESS_BY(slot, TAKING_SLOTS - 1)); i <= slot; i++)
        t->fastest[i % TAKING_SLOTS] = 0;
    t->slot = MAX(t->slot, slot);
}

static void grows(Taking *t, usec_t now_usec)
{
    t->grew_usec = now_usec;
    if (taking_holds(t, now_usec))
        t->given_usec = now_usec;
}

void taking_look(Taking *t, const History *h, uint64_t full_bytes, usec_t since_usec)
{
    const Sample *newest = history_get(h, 0);
    uint64_t now, then, step = 0, grew = 0, noticeable = MAX(GREW_BYTES, full_bytes / GREW_RATIO);
    usec_t slot;

    if (!newest || !taking_used(newest, &now) || newest->at_usec < since_usec)
        return;
    for (unsigned back = 1; back < h->count; back++) {
        const Sample *s = history_get(h, back);
        usec_t age = usec_since(s->at_usec, newest->at_usec);

        if (s->source != newest->source || s->at_usec < since_usec ||
            age > (back == 1 ? GAP_USEC : TAKING_NOW_USEC))
            break;
        if (!taking_used(s, &then))
            continue;
        grew = MAX(grew, LESS_BY(now, then));
        if (back == 1 || age <= STEP_USEC)
            step = MAX(step, LESS_BY(now, then));
    }
    slot = newest->at_usec / SLOT_USEC;
    turn(t, slot);
    t->fastest[slot % TAKING_SLOTS] = MAX(t->fastest[slot % TAKING_SLOTS], step);
    if (grew >= noticeable) {
        grows(t, newest->at_usec);
        if (t->let_go)
            t->peak_bytes = 0;
    }
    t->peak_bytes = MAX(t->peak_bytes, now);
    t->let_go = LESS_BY(t->peak_bytes, now) >= noticeable;
}

void taking_given(Taking *t, usec_t now_usec)
{
    if (!taking_grows(t, now_usec))
        return;
    if (!taking_holds(t, now_usec)) {
        bool again = t->given_usec > 0 && usec_since(t->given_usec, now_usec) < AGAIN * t->hold_usec;

        t->hold_usec = again ? MIN(2 * t->hold_usec, TAKING_HOLD_MAX_USEC) : TAKING_HOLD_MIN_USEC;
    }
    t->given_usec = now_usec;
}

uint64_t taking_fastest(const Taking *t, usec_t now_usec)
{
    usec_t slot = now_usec / SLOT_USEC;
    uint64_t most = 0;

    for (usec_t i = MAX(LESS_BY(slot, TAKING_SLOTS - 1), LESS_BY(t->slot, TAKING_SLOTS - 1)); i <= t->slot;
         i++)
        most = MAX(most, t->fastest[i % TAKING_SLOTS]);
    return most;
}

bool taking_grows(const Taking *t, usec_t now_usec)
{
    return t->grew_usec > 0 && usec_since(t->grew_usec, now_usec) <= TAKING_NOW_USEC;
}

bool taking_holds(const Taking *t, usec_t now_usec)
{
    return t->given_usec > 0 && usec_since(t->given_usec, now_usec) <= t->hold_usec;
}
