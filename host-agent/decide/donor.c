/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes what some guests can spare for those in distress. */
#include "host-agent/decide/donor.h"

#include <string.h>

#include "host-agent/decide/bytes.h"
#include "host-agent/decide/entitlement.h"
#include "host-agent/decide/spare.h"

typedef struct Donor {
    uint64_t has_bytes; /* of the kind of memory that is asked for */
    double shares;
    const char *uuid;
    size_t guest;
} Donor;

/* The guest that has most comes first; among equals the one with fewer shares. */
static int donor_compare(const void *a, const void *b)
{
    const Donor *x = a, *y = b;

    if (x->has_bytes != y->has_bytes)
        return x->has_bytes > y->has_bytes ? -1 : 1;
    if (x->shares != y->shares)
        return x->shares < y->shares ? -1 : 1;
    return strcmp(x->uuid, y->uuid);
}

typedef struct Asking {
    const Snapshot *snapshot;
    const GuardConfig *config;
    Wish *wishes;
    Decision *decisions;
    Donor *donors; /* room for every guest */
    uint64_t lack_bytes;
    Requests *requests;
} Asking;

/* The lowest size to which a donor is brought. What it was found to need is not taken for others, not even if
 * the host is critical. */
static uint64_t least_of(const SnapshotGuest *g, const Decision *d)
{
    return MAX(d->bounds.least_bytes,
               MIN(bytes_up_to_kib(g->judgement.needed_bytes), g->sizes.standing_bytes));
}

static bool may_give(const SnapshotGuest *g, const Decision *d)
{
    return g->mode == GUEST_MODE_AUTO && d->bounds.hold == GUARD_RULE_NONE && !g->judgement.distress &&
           !g->judgement.hurting && !g->judgement.protected && d->target_bytes <= g->sizes.standing_bytes &&
           d->target_bytes > least_of(g, d);
}

/* Free memory that a guest can give and the host really gets. */
static uint64_t has_free(const SnapshotGuest *g, const Spare *s)
{
    return MIN(s->backed_bytes, s->give_bytes);
}

/* Page cache that it can give, after all its free memory. */
static uint64_t has_cache(const SnapshotGuest *g, const Spare *s)
{
    double stalls = guest_fields_get(&g->fields, GUEST_FIELD_STALL);

    return stalls < DONOR_STALL_RATIO ? MIN(s->cache_bytes, LESS_BY(s->give_bytes, s->free_bytes)) : 0;
}

/* What is left of the page cache that it gives in one move, if the policy took some in this cycle. */
static uint64_t cache_step(const Asking *a, const SnapshotGuest *g, const Decision *d, const Spare *s)
{
    Spare before;

    spare_at(g, a->config, g->sizes.standing_bytes, &before);
    return LESS_BY(bytes_from_double(a->config->donor_cache_ratio * (double) guard_full(g)),
                   before.cache_bytes - s->cache_bytes);
}

static void take(Asking *a, size_t i, uint64_t bytes, const Spare *s)
{
    const SnapshotGuest *g = a->snapshot->guests + i;
    Decision *d = a->decisions + i;
    Wish *w = a->wishes + i;
    uint64_t target = MAX(bytes_up_to_kib(LESS_BY(d->target_bytes, bytes)), least_of(g, d));

    /* All that it gives in this cycle is one move, which must be large enough. */
    if (target >= d->target_bytes || g->sizes.standing_bytes - target < guard_dead_band(a->config, g))
        return;

    bytes = d->target_bytes - target;
    if (w->gives_free_bytes + w->gives_cache_bytes == 0 && a->requests->donors++ == 0)
        a->requests->donor = g->name;
    w->gives_free_bytes += MIN(bytes, s->free_bytes);
    w->gives_cache_bytes += LESS_BY(bytes, s->free_bytes);
    a->requests->given_bytes += bytes;
    a->lack_bytes = bytes_down_to_kib(LESS_BY(a->lack_bytes, spare_gain(s, bytes)));
    d->target_bytes = target;
}

static size_t find_donors(const Asking *a, uint64_t (*has)(const SnapshotGuest *, const Spare *))
{
    size_t n = 0;

    for (size_t i = 0; i < a->snapshot->n_guests; i++) {
        const SnapshotGuest *g = a->snapshot->guests + i;
        Spare s;
        uint64_t bytes;

        if (!may_give(g, a->decisions + i))
            continue;
        spare_at(g, a->config, a->decisions[i].target_bytes, &s);
        bytes = has(g, &s);
        if (bytes > 0)
            a->donors[n++] = (Donor){.has_bytes = bytes,
                                     .shares = g->shares > 0 ? g->shares : ENTITLEMENT_SHARES,
                                     .uuid = g->uuid,
                                     .guest = i};
    }
    qsort(a->donors, n, sizeof *a->donors, donor_compare);
    return n;
}

/* The last donor gives a little more than the shortfall, rather than nothing. */
static uint64_t asked_of(const Asking *a, const SnapshotGuest *g)
{
    return MAX(a->lack_bytes, bytes_up_to_kib(guard_dead_band(a->config, g)));
}

static void ask_for_free(Asking *a)
{
    size_t n = find_donors(a, has_free);

    for (size_t i = 0; i < n && a->lack_bytes > 0; i++) {
        size_t donor = a->donors[i].guest;
        const SnapshotGuest *g = a->snapshot->guests + donor;
        Spare s;

        spare_at(g, a->config, a->decisions[donor].target_bytes, &s);
        take(a, donor, MIN(asked_of(a, g), has_free(g, &s)), &s);
    }
}

/* A balloon takes free memory before the guest drops page cache, so its free memory goes too, even if the
 * host gets nothing for that. */
static void ask_for_cache(Asking *a)
{
    size_t n = find_donors(a, has_cache);

    for (size_t i = 0; i < n && a->lack_bytes > 0; i++) {
        size_t donor = a->donors[i].guest;
        const SnapshotGuest *g = a->snapshot->guests + donor;
        const Decision *d = a->decisions + donor;
        uint64_t step;
        Spare s;

        spare_at(g, a->config, d->target_bytes, &s);
        step = MIN(has_cache(g, &s), cache_step(a, g, d, &s));
        step = MIN(step, LESS_BY(asked_of(a, g), s.backed_bytes));
        if (step >= guard_dead_band(a->config, g))
            take(a, donor, bytes_add(s.free_bytes, step), &s);
    }
}

/* What guests in distress want and may take from others, but did not get. */
static void count_claims(const Asking *a)
{
    for (size_t i = 0; i < a->snapshot->n_guests; i++) {
        const SnapshotGuest *g = a->snapshot->guests + i;
        const Wish *w = a->wishes + i;
        uint64_t lacks = LESS_BY(w->bytes, a->decisions[i].target_bytes);

        if (g->mode != GUEST_MODE_AUTO || w->asked != GUARD_RULE_DISTRESS || lacks == 0 ||
            g->judgement.grant_refused)
            continue;
        if (a->requests->guests++ == 0)
            a->requests->guest = g->name;
        a->requests->shortfall_bytes = bytes_add(a->requests->shortfall_bytes, lacks);
    }
}

/* What the host will have available, and how much of it is spoken for, when all moves on their way and all
 * decided so far are done. Of a decided shrink only the host's gain counts. A shrink on its way counts in
 * full, as the guest's stats lag behind it, and waiting for a step is better than taking the same memory from
 * others again. A late one does not count. */
static void expect(const Asking *a, uint64_t *ret_available, uint64_t *ret_spoken_for)
{
    const Snapshot *s = a->snapshot;

    *ret_available =
        bytes_add(bytes_from_double(host_fields_get(&s->host, HOST_FIELD_AVAILABLE)), s->apart.leaving_bytes);
    *ret_spoken_for = guard_spoken_for(s, a->config);
    for (size_t i = 0; i < s->n_guests; i++) {
        const SnapshotGuest *g = s->guests + i;
        uint64_t standing = g->sizes.standing_bytes, target = standing, leaving = guard_leaving(g);

        if (g->mode == GUEST_MODE_AUTO)
            target = a->decisions[i].target_bytes;
        if (target >= standing) {
            *ret_available = bytes_add(*ret_available, LESS_BY(leaving, target - standing));
            *ret_spoken_for = bytes_add(*ret_spoken_for, LESS_BY(target, MAX(standing, guard_has(g))));
        } else {
            Spare spare;

            spare_at(g, a->config, standing, &spare);
            *ret_available = bytes_add(*ret_available, leaving);
            *ret_available = bytes_add(*ret_available, spare_gain(&spare, standing - target));
        }
    }
}

int donors_ask(const Snapshot *s, const GuardConfig *c, Wish *wishes, Decision *decisions, Requests *ret)
{
    Asking a = {.snapshot = s, .config = c, .wishes = wishes, .decisions = decisions, .requests = ret};
    uint64_t available, spoken_for, wanted;
    _cleanup_free_ Donor *donors = NULL;

    *ret = (Requests){};
    count_claims(&a);
    /* Without knowing the host's memory nothing could be passed on. */
    if (ret->shortfall_bytes == 0 || !host_fields_has(&s->host, HOST_FIELD_AVAILABLE))
        return 0;

    a.donors = donors = calloc(s->n_guests, sizeof *donors);
    if (!donors)
        return -ENOMEM;
    expect(&a, &available, &spoken_for);
    wanted = bytes_add(spoken_for, ret->shortfall_bytes);
    a.lack_bytes = bytes_up_to_kib(LESS_BY(wanted, available));
    if (a.lack_bytes > 0)
        ask_for_free(&a);
    if (a.lack_bytes > 0)
        ask_for_cache(&a);
    ret->coming_bytes = LESS_BY(ret->shortfall_bytes, a.lack_bytes);
    return 0;
}
