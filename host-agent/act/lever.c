/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Has guests hand memory back. */

#include "host-agent/act/lever.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/units.h"
#include "host-agent/decide/bytes.h"
#include "host-agent/decide/spare.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-levers.h"

static uint64_t field(const SnapshotGuest *s, GuestField f)
{
    return bytes_from_double(guest_fields_get(&s->fields, f));
}

static LeverNeed need_of(const SnapshotGuest *s, const Decision *d)
{
    return (LeverNeed){.wanted_bytes = d->reclaim.send ? d->reclaim.bytes : 0,
                       .idle_bytes = field(s, GUEST_FIELD_IDLE),
                       .fragmented_bytes = field(s, GUEST_FIELD_FRAGMENTED),
                       .way_bytes = d->reclaim.way_bytes,
                       .full_bytes = s->sizes.full_bytes,
                       .reporting = field(s, GUEST_FIELD_REPORTING) != 0,
                       .anon = d->reclaim.anon};
}

static void tell(const Guest *g, const LeverCall *call, const LeverNeed *need, const char *reason,
                 bool further)
{
    Notice n = guest_notice(g, NOTICE_LEVER);

    snprintf(n.lever.name, sizeof n.lever.name, "%s", lever_kind_to_string(call->kind));
    n.lever.wanted_bytes = call->kind == LEVER_COMPACT ? need->fragmented_bytes : call->bytes;
    n.further = further;
    notice_set_text(&n, reason);
    guest_tell(g, &n);
}

/* The decision is fitted to the rules already. */
static uint64_t squeezed_size(const SnapshotGuest *s, const LeverCall *call)
{
    return bytes_up_to_kib(LESS_BY(s->sizes.standing_bytes, call->bytes));
}

static int send(const LeverChannel *c, const SnapshotGuest *s, const LeverCall *call)
{
    switch (call->kind) {
    case LEVER_COMPACT:
        return c->compact(c->userdata, call->id);
    case LEVER_RECLAIM:
        return c->reclaim(c->userdata, call->id, call->bytes, call->anon);
    case LEVER_SQUEEZE:
        return c->squeeze(c->userdata, squeezed_size(s, call));
    case LEVER_KIND_MAX:
    case LEVER_KIND_INVALID:
        break;
    }
    return -EINVAL;
}

/* Ends a squeeze, and gives the guest its size back. If libvirt can't be asked now, the next cycle tries again. */
static void tend_squeeze(const LeverChannel *c, Guest *g, LeverEnd end, usec_t now_usec)
{
    uint64_t returns = g->levers.squeeze.returns_bytes;
    int r;

    if (end != 0)
        guest_squeezed(g, end, now_usec);
    else if (!guest_squeeze_returns(g, now_usec))
        return;
    /* A balloon that still takes memory is turned round. */
    r = c->squeeze(c->userdata, returns);
    if (r >= 0)
        guest_sent_for_a_moment(g, returns, now_usec);
    else
        log_debug_errno(-r, "%s: cannot give its size back now: %m", g->info.name);
}

static void tend(const LeverChannel *c, Guest *g, const SnapshotGuest *s, usec_t now_usec)
{
    tend_squeeze(c, g, guest_squeeze_end(g, now_usec), now_usec);
    guest_look_at_levers(g, field(s, GUEST_FIELD_FRAGMENTED), now_usec);
    if (guest_lever_expired(g, now_usec))
        c->forget(c->userdata);
}

static void ask(const LeverChannel *c, Guest *g, const SnapshotGuest *s, const Decision *d, usec_t now_usec)
{
    LeverNeed need = need_of(s, d);
    char why[LEVER_WHY_MAX];
    LeverCall call;
    bool further;
    int r;

    if (!levers_next(&g->levers, &need, now_usec, &call, why)) {
        guest_lever_waits(g, why);
        return;
    }
    r = send(c, s, &call);
    if (r < 0) {
        log_debug_errno(-r, "%s: cannot ask it to %s: %m", g->info.name, lever_kind_to_string(call.kind));
        return;
    }
    further = levers_is_further(&g->levers, call.kind, now_usec);
    if (call.kind == LEVER_SQUEEZE) {
        guest_squeezes(g, &call, &need, now_usec);
        guest_sent_for_a_moment(g, squeezed_size(s, &call), now_usec);
    } else
        guest_lever_asked(g, &call, &need, now_usec);
    tell(g, &call, &need, d->reclaim.reason, further);
}

typedef struct Asking {
    uint64_t bytes;
    size_t guest;
} Asking;

static int asking_compare(const void *a, const void *b)
{
    const Asking *x = a, *y = b;

    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return (x->guest > y->guest) - (x->guest < y->guest);
}

/* How many guests it counts for. */
static size_t load_of(const Levers *l, usec_t now_usec)
{
    if (!levers_is_working(l, now_usec))
        return 0;
    return l->kind == LEVER_RECLAIM ? 1 : 2;
}

void lever_run(const LeverGuest *guests, const Snapshot *s, const Plan *plan)
{
    _cleanup_free_ Asking *asking = calloc(s->n_guests + 1, sizeof *asking);
    size_t n = 0, asked = 0;

    if (!asking) {
        (void) log_oom();
        return;
    }
    for (size_t i = 0; i < s->n_guests; i++) {
        Guest *g = guests[i].guest;

        tend(&guests[i].channel, g, &s->guests[i], s->now_usec);
        asked += load_of(&g->levers, s->now_usec);
        if (!plan->decisions[i].reclaim.send)
            guest_lever_waits(g, "");
        else if (!g->levers.outstanding)
            asking[n++] = (Asking){
                bytes_from_double(spare_in_ram(&s->guests[i]) * (double) plan->decisions[i].reclaim.bytes),
                i};
    }
    qsort(asking, n, sizeof *asking, asking_compare);
    for (size_t k = 0; k < n; k++) {
        size_t i = asking[k].guest;
        Guest *g = guests[i].guest;

        if (asked >= LEVERS_AT_ONCE) {
            guest_lever_waits(g, "others are asked first");
            continue;
        }
        ask(&guests[i].channel, g, &s->guests[i], &plan->decisions[i], s->now_usec);
        asked += load_of(&g->levers, s->now_usec);
    }
}

void lever_stop(const LeverGuest *guest, usec_t now_usec)
{
    if (guest_is_squeezed(guest->guest))
        tend_squeeze(&guest->channel, guest->guest, guest->guest->levers.outstanding ? LEVER_END_STOPPED : 0,
                     now_usec);
}
