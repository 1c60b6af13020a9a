/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest holds of the host's memory, and by which lever the host gets it back. */

#include <string.h>

#include "host-agent/guest/guest-judge.h"
#include "host-agent/guest/guest-levers.h"
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

static void describe_lever(Dict *d, const Guest *g, LeverKind k, usec_t now_usec)
{
    const Levers *l = &g->levers;
    const Lever *v = &l->lever[k];

    dict_open(d, lever_kind_to_string(k));
    dict_count(d, "times", v->times);
    dict_bool(d, "asking", l->outstanding && l->kind == k);
    if (l->outstanding && l->kind == k) {
        dict_age(d, "asked_age_usec", l->asked_usec, now_usec);
        if (k != LEVER_COMPACT)
            dict_count(d, "asked_bytes", l->asked_bytes);
    }
    if (v->times > 0) {
        dict_count(d, "got_bytes", v->got_bytes);
        dict_count(d, "last_got_bytes", v->last_bytes);
        dict_count(d, "cpu_usec", v->cpu_usec);
        if (k == LEVER_RECLAIM)
            dict_real(d, "read_back_share", held_reclaim_cost(&g->held, now_usec));
        dict_age(d, "answered_age_usec", v->answered_usec, now_usec);
        dict_known(d, "end", lever_end_to_string(v->why));
        if (v->error)
            dict_text(d, "error", strerror(v->error));
    }
    if (v->retry_usec > now_usec)
        dict_count(d, "retry_in_usec", v->retry_usec - now_usec);
    dict_close(d);
}

/* By which means the host gets a guest's memory back, at the moment or last. */
typedef enum Means {
    MEANS_NONE,
    MEANS_REPORTED,
    MEANS_COMPACT,
    MEANS_RECLAIM,
    MEANS_SQUEEZE,
    MEANS_BALLOON,
} Means;

static const char *const means_names[] = {
    [MEANS_NONE] = "none",       [MEANS_REPORTED] = "reported", [MEANS_COMPACT] = "compact",
    [MEANS_RECLAIM] = "reclaim", [MEANS_SQUEEZE] = "squeeze",   [MEANS_BALLOON] = "balloon",
};

static const Means lever_means[LEVER_KIND_MAX] = {
    [LEVER_COMPACT] = MEANS_COMPACT, [LEVER_RECLAIM] = MEANS_RECLAIM, [LEVER_SQUEEZE] = MEANS_SQUEEZE};

static bool holds(const Guest *g)
{
    return g->balloon.known && guest_current(g) + BALLOON_TOLERANCE_BYTES < g->full.bytes;
}

static Means means_of(const Guest *g, bool reporting)
{
    const Levers *l = &g->levers;
    const Balloon *b = &g->balloon;
    Means lever = lever_means[l->kind];

    if (l->outstanding || guest_is_squeezed(g))
        return lever;
    if (b->moving || holds(g))
        return MEANS_BALLOON;
    if (l->asked_usec > 0 && MAX(l->asked_usec, l->lever[l->kind].answered_usec) >= b->sent_usec)
        return lever;
    if (b->sent_usec > 0)
        return MEANS_BALLOON;
    return reporting ? MEANS_REPORTED : MEANS_NONE;
}

void describe_means(Dict *d, const Guest *g, bool reporting, usec_t now_usec)
{
    const Levers *l = &g->levers;
    const Balloon *b = &g->balloon;
    Means m = means_of(g, reporting);

    dict_text(d, "lever", means_names[m]);
    if (l->outstanding || guest_is_squeezed(g) || (m == MEANS_BALLOON && b->moving))
        dict_count(d, "lever_age_usec", 0);
    else if (m == MEANS_BALLOON)
        dict_age(d, "lever_age_usec", MAX(b->sent_usec, b->settled_usec), now_usec);
    else if (m == MEANS_COMPACT || m == MEANS_RECLAIM || m == MEANS_SQUEEZE)
        dict_age(d, "lever_age_usec", MAX(l->asked_usec, l->lever[l->kind].answered_usec), now_usec);
}

void describe_levers(Dict *d, const Guest *g, usec_t now_usec)
{
    const Levers *l = &g->levers;

    dict_open(d, "levers");
    for (LeverKind k = 0; k < LEVER_KIND_MAX; k++)
        describe_lever(d, g, k, now_usec);
    dict_known(d, "waiting", l->waiting);
    dict_bool(d, "ineffective", levers_lie(l, now_usec));
    dict_close(d);
}
