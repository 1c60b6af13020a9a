/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a decision sees a guest. */

#include "host-agent/guest/guest-snapshot.h"

#include <math.h>

#include "host-agent/guest/guest-judge.h"
#include "host-agent/guest/guest-levers.h"

/* A balloon that is seen for the first time may be on its way to a size that somebody else set. It is only
 * watched for this long, and not moved. */
#define FIRST_LOOK_USEC (2 * USEC_PER_SEC)
/* A guest that rested for this long, and let go of what it took, has done its work. */
#define OVER_USEC       (2 * USEC_PER_SEC)

static const char *why_busy(const Guest *g, usec_t now_usec)
{
    if (g->lost)
        return "libvirt is away";
    if (g->busy[0])
        return g->busy;
    if ((!g->balloon.known && g->info.has_balloon) || usec_since(g->seen_usec, now_usec) < FIRST_LOOK_USEC)
        return "just found";
    if (g->sources.leaving && usec_since(g->sources.goodbye_usec, now_usec) < g->host->guard->grace_usec)
        return "its agent said goodbye: it may be shutting down";
    /* A guest that takes memory back in distress (deflate-on-oom) needs help, whoever moves its balloon. */
    if (balloon_is_suspect(&g->balloon) && !guest_in_distress(g, now_usec))
        return "somebody else is moving its balloon";
    return NULL;
}

/* At the balloon's measured rate a step takes half of this. */
static bool is_late(const Guest *g, usec_t now_usec)
{
    usec_t most = MAX(2 * g->host->guard->step_usec, BALLOON_STALL_USEC);

    return g->balloon.moving && usec_since(g->balloon.sent_usec, now_usec) > most;
}

static SnapshotSizes sizes(const Guest *g)
{
    uint64_t current = guest_current(g);
    uint64_t standing = g->balloon.known ? balloon_standing(&g->balloon) : current;
    /* A guest that was grown above its full size returns to it, even if what allowed the growth no longer
     * applies. */
    bool entitled = g->entitlement.full_bytes > 0 || g->entitlement.growth_bytes > 0 || g->sending.grown;

    return (SnapshotSizes){
        .maximum_bytes = g->info.maximum_bytes,
        /* A guest may have more than its full size, because its driver isn't up yet, or somebody set that
         * live. Only an entitlement makes that a reason to shrink it. */
        .full_bytes = g->full.bytes,
        .entitled_full = entitled,
        .growth_bytes = g->entitlement.growth_bytes,
        .floor_bytes = guest_floor(g),
        .current_bytes = current,
        .standing_bytes = standing,
        .from_bytes = g->balloon.moving ? g->balloon.from_bytes : standing,
        .outstanding_bytes = g->sending.given_bytes,
    };
}

static SnapshotBalloon balloon(const Guest *g, usec_t now_usec)
{
    return (SnapshotBalloon){
        .moving = guest_is_moving(g, now_usec),
        .late = is_late(g, now_usec),
        .stalled = balloon_is_stalled(&g->balloon, now_usec),
        .stalled_growing = balloon_is_stalled_growing(&g->balloon, now_usec),
        .squeezed = guest_is_squeezed(g) && !balloon_is_stalled(&g->balloon, now_usec),
        .shrink_rate = g->balloon.rate.shrink,
    };
}

static SnapshotGrowth growth(const Guest *g, usec_t now_usec)
{
    const Taking *t = &g->judgement.taking;
    /* It has done its work. One that frees memory for a moment, and takes it again, doesn't rest. */
    bool over = t->let_go && held_rested(&g->held, now_usec) >= OVER_USEC;

    return (SnapshotGrowth){
        .fastest_bytes = taking_fastest(t, now_usec),
        .growing = taking_grows(t, now_usec) && !over,
        .given_back = taking_holds(t, now_usec) && !over,
    };
}

static SnapshotJudgement judgement(const Guest *g, usec_t now_usec)
{
    const Judgement *j = &g->judgement;
    bool distress = guest_in_distress(g, now_usec);

    return (SnapshotJudgement){
        .distress = distress,
        .grant_refused = distress ? guest_grant_refused(g, now_usec) : NULL,
        .hurting = guest_is_hurting(g, now_usec),
        .restore_bytes = j->restore_bytes,
        .protected = need_protects(&j->need, now_usec),
        .needed_bytes = need_bytes(&j->need, now_usec),
        .owed_bytes = owed_bytes(&j->owed, now_usec),
        .ineffective = guest_is_ineffective(g, now_usec)
                           ? "what its QEMU holds didn't fall when the guest was shrunk"
                           : NULL,
    };
}

/* The stats, and what the host knows of the guest besides. */
static void fields(const Guest *g, const Sample *s, usec_t now_usec, GuestFields *ret)
{
    const VirtStats *stats = &g->sources.stats;
    double stall = g->judgement.strain.stall;
    HeldGuest memory;

    sample_fields(s,
                  &(SampleHost){
                      .current_bytes = guest_current(g),
                      .maximum_bytes = g->info.maximum_bytes,
                      .balloon_in_total = g->balloon_in_total,
                  },
                  ret);
    held_fields(&g->held, s ? &s->report : NULL, guest_memory(g, now_usec, &memory) ? &memory : NULL,
                g->info.free_page_reporting, now_usec, ret);
    guest_fields_set(ret, GUEST_FIELD_HANDS_BACK,
                     s && s->source == GUEST_SOURCE_AGENT &&
                         guest_fields_get(ret, GUEST_FIELD_REPORTING) != 0 &&
                         levers_can(&g->levers, now_usec));
    guest_fields_set(ret, GUEST_FIELD_SQUEEZABLE,
                     guest_fields_get(ret, GUEST_FIELD_REPORTING) == 0 && g->info.has_balloon &&
                         !g->info.unmovable && levers_can_squeeze(&g->levers, now_usec));
    if (!isnan(stall))
        guest_fields_set(ret, GUEST_FIELD_STALL, stall);
    if (stats->has_hugetlb_allocs)
        guest_fields_set(ret, GUEST_FIELD_HUGETLB_ALLOCS, (double) stats->hugetlb_allocs);
    if (stats->has_hugetlb_failures)
        guest_fields_set(ret, GUEST_FIELD_HUGETLB_FAILURES, (double) stats->hugetlb_failures);
}

void guest_snapshot(const Guest *g, usec_t now_usec, SnapshotGuest *ret)
{
    const Sample *s = guest_sample(g, now_usec);

    *ret = (SnapshotGuest){
        .uuid = g->info.uuid,
        .name = g->info.name,
        .mode = guest_mode(g),
        .shares = g->entitlement.shares,
        .nodes = g->info.nodes,
        .source = s ? s->source : GUEST_SOURCE_NONE,
        .age_usec = s ? usec_since(s->at_usec, now_usec) : USEC_INFINITY,
        .uptime_usec = usec_since(g->boot_usec, now_usec),
        .sizes = sizes(g),
        .balloon = balloon(g, now_usec),
        .growth = growth(g, now_usec),
        .judgement = judgement(g, now_usec),
        .busy = why_busy(g, now_usec),
        .unmovable = g->info.unmovable,
        .released =
            g->released_usec > 0 && usec_since(g->released_usec, now_usec) < g->host->guard->grace_usec,
        .reboot = g->reboot.pending,
        .history = &g->keep.history,
        .state = g->keep.state,
    };
    fields(g, s, now_usec, &ret->fields);
    if (guard_contradicts_distress(ret))
        ret->judgement.distress = false;
}
