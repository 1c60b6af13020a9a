/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Follows a critical host from its beginning to its end. */

#include "host-agent/daemon/critical.h"

#include <string.h>

#include "host-agent/decide/bytes.h"

/* It is over after this time above the threshold, or at once above the relax threshold. Available memory goes up and
 * down by what guests use: a host at the edge would begin and end each second, and be no better off. */
#define OVER_USEC  (30 * USEC_PER_SEC)
/* No guest gives more if none did for this long: after each move of a balloon there is a wait for newer stats. */
#define STUCK_USEC (5 * USEC_PER_SEC)

void critical_init(Critical *c, const Audience *audience)
{
    *c = (Critical){.audience = audience};
}

void critical_done(Critical *c)
{
    free(c->guests);
    *c = (Critical){};
}

static void tell(const Critical *c, NoticeKind kind, const Snapshot *s, const Plan *p)
{
    Notice n = notice_of_host(kind, &s->host);

    n.mode = s->mode;
    n.critical = c->done;
    n.critical.threshold_bytes = bytes_from_double(p->in_force_bytes[POLICY_THRESHOLD_CRITICAL]);
    notice_set_text(&n, p->summary);
    audience_tell(c->audience, &n);
}

/* What guests could give now, by their balloons or while they keep their sizes. */
static uint64_t can_give(const Snapshot *s, const Plan *p)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < p->n_decisions; i++) {
        const GuestBounds *b = &p->decisions[i].bounds;

        if (s->guests[i].mode != GUEST_MODE_OFF)
            sum = bytes_add(
                sum, MAX(LESS_BY(s->guests[i].sizes.standing_bytes, b->least_bytes), b->reclaim_bytes));
    }
    return sum;
}

/* Whether the plan takes something, or would in mode observe, or a balloon just takes it. */
static bool is_given(const Snapshot *s, const Plan *p)
{
    for (size_t i = 0; i < p->n_decisions; i++)
        if (p->decisions[i].target_bytes < s->guests[i].sizes.standing_bytes ||
            p->decisions[i].reclaim.bytes > 0)
            return true;
    return p->pending_bytes > 0;
}

static uint64_t handed_back(const Guest *g)
{
    const Lever *l = g->levers.lever;

    return bytes_add(l[LEVER_COMPACT].got_bytes, l[LEVER_RECLAIM].got_bytes);
}

/* The guest in the list of the last cycle, which has the same order. *at: where to look from. */
static const CriticalGuest *find(const Critical *c, const char *uuid, size_t *at)
{
    int order = 1;

    while (*at < c->n_guests && (order = strcmp(c->guests[*at].uuid, uuid)) < 0)
        (*at)++;
    return *at < c->n_guests && order == 0 ? &c->guests[*at] : NULL;
}

/* Counts what came from a guest since the last cycle. */
static void count(NoticeCritical *done, const SnapshotGuest *s, const Decision *d, const Guest *g,
                  const CriticalGuest *before, CriticalGuest *now)
{
    uint64_t standing = balloon_standing(&g->balloon), taken = 0, back = 0;
    bool moved = d->send && standing == d->target_bytes && standing < s->sizes.standing_bytes;

    *now = (CriticalGuest){.current_bytes = guest_current(g), .got_bytes = handed_back(g)};
    snprintf(now->uuid, sizeof(now->uuid), "%s", s->uuid);
    if (before) {
        taken = LESS_BY(before->current_bytes, MAX(now->current_bytes, standing));
        back = LESS_BY(now->got_bytes, before->got_bytes);
    }
    now->concerned = (before && before->concerned) || moved || taken > 0 || back > 0;
    done->moves += moved;
    done->taken_bytes = bytes_add(done->taken_bytes, taken);
    done->handed_back_bytes = bytes_add(done->handed_back_bytes, back);
    done->guests += now->concerned && !(before && before->concerned);
}

static void count_all(Critical *c, const Snapshot *s, const Plan *p, const Guests *guests)
{
    CriticalGuest *now = calloc(s->n_guests + 1, sizeof(*now));
    size_t at = 0;

    if (!now)
        return; /* the next cycle counts */
    for (size_t i = 0; i < s->n_guests; i++)
        count(&c->done, &s->guests[i], &p->decisions[i], guests->entries[i].guest,
              find(c, s->guests[i].uuid, &at), &now[i]);
    free(c->guests);
    c->guests = now;
    c->n_guests = s->n_guests;
}

static void begin(Critical *c, const Snapshot *s, const Plan *p)
{
    const Audience *audience = c->audience;

    critical_done(c);
    *c = (Critical){.audience = audience, .open = true, .began_usec = s->now_usec};
    c->done.can_give_bytes = can_give(s, p);
    c->done.lowest_bytes = UINT64_MAX;
    tell(c, NOTICE_CRITICAL, s, p);
}

static void see_stuck(Critical *c, const Snapshot *s, const Plan *p)
{
    if (is_given(s, p))
        c->stuck_usec = 0;
    else if (c->stuck_usec == 0)
        c->stuck_usec = s->now_usec;
    else if (!c->stuck && usec_since(c->stuck_usec, s->now_usec) >= STUCK_USEC) {
        c->stuck = true;
        tell(c, NOTICE_CRITICAL_STUCK, s, p);
    }
}

void critical_see(Critical *c, const Snapshot *s, const Plan *p, const Guests *guests)
{
    double available = host_fields_get(&s->host, HOST_FIELD_AVAILABLE);
    bool critical = p->pressure == HOST_PRESSURE_SEVERE;

    if (!critical && !c->open)
        return;
    if (!c->open)
        begin(c, s, p);
    count_all(c, s, p, guests);
    c->done.lowest_bytes = MIN(c->done.lowest_bytes, bytes_from_double(available));
    if (critical) {
        c->above_usec = 0;
        see_stuck(c, s, p);
        return;
    }
    c->stuck_usec = 0;
    c->above_usec = c->above_usec ?: s->now_usec;
    if (usec_since(c->above_usec, s->now_usec) < OVER_USEC &&
        !(available > p->in_force_bytes[POLICY_THRESHOLD_RELAX]))
        return;
    c->open = false;
    c->done.lasted_usec = usec_since(c->began_usec, c->above_usec);
    tell(c, NOTICE_CRITICAL_OVER, s, p);
}
