/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ballast on the simulated host: what it asks of guests' own kernels, as cycle.c does it. */

#include <stdlib.h>

#include "host-agent/act/lever.h"
#include "host-agent/guest/guest-events.h"
#include "tests/sim/ballast.h"
#include "tests/sim/small.h"

typedef struct Asked {
    SimWorld *world;
    size_t guest;
} Asked;

static int ask_compact(void *userdata, uint32_t id)
{
    const Asked *a = userdata;

    return sim_lever(a->world, a->guest, SIM_LEVER_COMPACT, id, 0);
}

static int ask_reclaim(void *userdata, uint32_t id, uint64_t bytes, bool anon)
{
    const Asked *a = userdata;

    (void) anon;
    return sim_lever(a->world, a->guest, SIM_LEVER_RECLAIM, id, (double) bytes);
}

static void forget(void *userdata)
{
    const Asked *a = userdata;

    sim_lever_stop(a->world, a->guest);
}

void ballast_levers_hello(Ballast *b, size_t guest)
{
    guest_hello(
        b->guests[guest].guest,
        &(Message){.type = MESSAGE_HELLO, .features = HELLO_FEATURE_COMPACT | HELLO_FEATURE_RECLAIM_FILE},
        b->world->guests[guest].boot_usec, false);
}

void ballast_levers_tick(Ballast *b, size_t guest)
{
    Guest *g = b->guests[guest].guest;
    Message m;

    if (sim_lever_result(b->world, guest, &m) && g->levers.outstanding && m.id == g->levers.id)
        guest_reclaimed(g, &m, b->world->now_usec);
}

typedef struct Asking {
    uint64_t bytes;
    size_t at; /* in the snapshot */
} Asking;

/* Those that are to hand back most come first. */
static int asking_compare(const void *a, const void *b)
{
    const Asking *x = a, *y = b;

    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

void ballast_levers_apply(Ballast *b, const Snapshot *s, const size_t *index)
{
    Asking asking[SIM_GUESTS_MAX];
    size_t n = 0, asked = 0;

    for (size_t i = 0; i < s->n_guests; i++) {
        const Decision *d = &b->plan.decisions[i];
        Guest *g = b->guests[index[i]].guest;
        LeverChannel channel = {ask_compact, ask_reclaim, forget, &(Asked){b->world, index[i]}};

        lever_tend(&channel, g, &s->guests[i], s->now_usec);
        asked += levers_is_working(&g->levers, s->now_usec);
        if (d->reclaim.send && !g->levers.outstanding)
            asking[n++] = (Asking){d->reclaim.bytes, i};
    }
    qsort(asking, n, sizeof(*asking), asking_compare);
    for (size_t k = 0; k < n && asked < LEVERS_AT_ONCE; k++) {
        size_t i = asking[k].at;
        Guest *g = b->guests[index[i]].guest;
        LeverChannel channel = {ask_compact, ask_reclaim, forget, &(Asked){b->world, index[i]}};

        lever_apply(&channel, g, &s->guests[i], &b->plan.decisions[i], s->now_usec);
        asked += g->levers.outstanding;
    }
}
