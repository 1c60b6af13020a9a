/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ballast on the simulated host: what it asks of guests' own kernels. */

#include "host-agent/act/lever.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-levers.h"
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

static int squeeze(void *userdata, uint64_t target_bytes)
{
    const Asked *a = userdata;

    return sim_set_memory(a->world, a->guest, (double) target_bytes);
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

void ballast_levers_apply(Ballast *b, const Snapshot *s, const size_t *index)
{
    LeverGuest guests[SIM_GUESTS_MAX];
    Asked asked[SIM_GUESTS_MAX];

    for (size_t i = 0; i < s->n_guests; i++) {
        asked[i] = (Asked){b->world, index[i]};
        guests[i] =
            (LeverGuest){b->guests[index[i]].guest, {ask_compact, ask_reclaim, squeeze, forget, &asked[i]}};
    }
    lever_run(guests, s, &b->plan);
    for (size_t i = 0; i < s->n_guests; i++)
        if (guests[i].guest->sending.setting)
            guest_set_done(guests[i].guest, 0, b->world->now_usec);
}
