/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets what the host sees of a guest's QEMU beside what the guest says. */

#include "host-agent/guest/guest-held.h"

#include "host-agent/guest/guest-judge.h"

/* A look is compared with what a guest said at most this long before. */
#define FRESH_USEC (5 * USEC_PER_SEC)

/* What the guest says, if it can be compared with a look of now. */
static bool compare_with(const Guest *g, usec_t now_usec, HeldGuest *ret)
{
    const Sample *s = guest_sample(g, now_usec);

    if (!s || usec_since(s->at_usec, now_usec) > FRESH_USEC)
        return false;
    if (!g->balloon.known || g->busy[0] || g->lost || guest_is_moving(g, now_usec))
        return false;
    return guest_memory(g, now_usec, ret);
}

static void look_at(Guest *g, const ProcessLook *look, HeldSource source, usec_t now_usec)
{
    bool proves = source == HELD_SOURCE_PROCESS || !guest_host_swaps(g->host, now_usec);
    HeldGuest guest;

    held_look(&g->held, look, source, proves && compare_with(g, now_usec, &guest) ? &guest : NULL, now_usec);
    guest_look_at_gain(g, now_usec);
}

void guest_process(Guest *g, const ProcessLook *look, usec_t now_usec)
{
    look_at(g, look, HELD_SOURCE_PROCESS, now_usec);
}

void guest_see_rss(Guest *g, usec_t now_usec)
{
    uint64_t rss = sources_rss(&g->sources);

    if (rss > 0)
        look_at(g, &(ProcessLook){.rss_bytes = rss}, HELD_SOURCE_LIBVIRT, now_usec);
}
