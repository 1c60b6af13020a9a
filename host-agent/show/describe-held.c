/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest holds of the host's memory, and what its kernel handed back. */

#include <string.h>

#include "host-agent/guest/guest-judge.h"
#include "host-agent/show/describe.h"

void describe_held(Dict *d, const GuestEntry *e, usec_t now_usec)
{
    const Held *h = &e->guest->held;

    dict_open(d, "held");
    dict_text(d, "source", held_source_to_string(held_is_known(h, now_usec) ? h->source : HELD_SOURCE_NONE));
    if (e->qemu.pid > 0)
        dict_count(d, "pid", (uint64_t) e->qemu.pid);
    dict_age(d, "age_usec", h->look_usec, now_usec);
    if (held_is_known(h, now_usec)) {
        dict_count(d, "resident_bytes", held_resident(h, now_usec));
        dict_count(d, "rss_bytes", h->look.rss_bytes);
        if (h->source == HELD_SOURCE_PROCESS)
            dict_count(d, "swapped_bytes", h->look.swap_bytes);
        dict_count(d, "shared_bytes", h->look.shmem_bytes);
        dict_count(d, "merged_bytes", h->look.merged_bytes);
    }
    dict_count(d, "overhead_bytes", held_overhead(h));
    dict_bool(d, "overhead_learned", h->learned);
    if (h->recent_usec > 0)
        dict_count(d, "overhead_uncertainty_bytes", held_uncertainty(h));
    dict_bool(d, "overhead_proven", h->proven_bytes > 0);
    dict_close(d);
}

void describe_gain(Dict *d, const Guest *g, usec_t now_usec)
{
    dict_open(d, "gain");
    dict_count(d, "ineffective_shrinks", g->judgement.gain.ineffective);
    dict_bool(d, "ineffective", guest_is_ineffective(g, now_usec));
    dict_close(d);
}

static void describe_lever(Dict *d, const Levers *l, LeverKind k, usec_t now_usec)
{
    const Lever *v = &l->lever[k];

    dict_open(d, lever_kind_to_string(k));
    dict_count(d, "times", v->times);
    dict_bool(d, "asking", l->outstanding && l->kind == k);
    if (v->times > 0) {
        dict_count(d, "got_bytes", v->got_bytes);
        dict_count(d, "cpu_usec", v->cpu_usec);
        dict_age(d, "answered_age_usec", v->answered_usec, now_usec);
        dict_known(d, "end", lever_end_to_string(v->why));
        if (v->error)
            dict_text(d, "error", strerror(v->error));
    }
    if (v->retry_usec > now_usec)
        dict_count(d, "retry_in_usec", v->retry_usec - now_usec);
    dict_close(d);
}

void describe_levers(Dict *d, const Guest *g, usec_t now_usec)
{
    const Levers *l = &g->levers;

    dict_open(d, "levers");
    for (LeverKind k = 0; k < LEVER_KIND_MAX; k++)
        describe_lever(d, l, k, now_usec);
    dict_known(d, "waiting", l->waiting);
    dict_bool(d, "ineffective", levers_lie(l, now_usec));
    dict_close(d);
}
