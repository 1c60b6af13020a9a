/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The safety rules, as the lowest and highest size of each guest. */

#include "host-agent/decide/guard.h"

#include <math.h>

#include "base/units.h"
#include "host-agent/decide/bytes.h"
#include "host-agent/decide/spare.h"

static const struct {
    const char *name, *description;
} rules[GUARD_RULE_MAX] = {
    [GUARD_RULE_NONE] = {"none", "no rule applies"},
    [GUARD_RULE_FLOOR] = {"floor", "a guest always keeps this much"},
    [GUARD_RULE_CEILING] = {"ceiling", "a guest never gets more than its full size"},
    [GUARD_RULE_OFF] = {"off", "its mode is off"},
    [GUARD_RULE_UNMOVABLE] = {"unmovable", "a balloon would free nothing on the host"},
    [GUARD_RULE_BUSY] = {"busy", "it is paused, migrating, saving or shutting down"},
    [GUARD_RULE_SQUEEZED] = {"squeezed", "its balloon takes memory and lets go of it at once"},
    [GUARD_RULE_STALLED] = {"stalled", "its balloon made no progress; waiting before the next try"},
    [GUARD_RULE_STALE] = {"stale", "its stats are missing or too old"},
    [GUARD_RULE_GRACE] = {"grace", "it booted, rebooted or was released a moment ago"},
    [GUARD_RULE_DISTRESS] = {"distress", "it is in distress"},
    [GUARD_RULE_HURTING] = {"hurting", "it began to hurt after a shrink"},
    [GUARD_RULE_PROTECTED] = {"protected", "a shrink hurt it, so it is not shrunk again for a while"},
    [GUARD_RULE_NEEDED] = {"needed", "it was found to need this much"},
    [GUARD_RULE_AGENTLESS] = {"agentless", "it has no agent that reports how it is"},
    [GUARD_RULE_DONOR] = {"donor", "it gives what it can spare to a guest in distress"},
    [GUARD_RULE_REBOOT] = {"reboot", "it booted into a shrunken size"},
    [GUARD_RULE_AHEAD] = {"ahead", "begins to use its memory: gets its full size back"},
    [GUARD_RULE_SWAPLESS] = {"swapless", "it has no swap for the memory that it uses"},
    [GUARD_RULE_COMMITTED] = {"committed",
                              "its kernel has promised this much to processes (strict overcommit)"},
    [GUARD_RULE_STEP] = {"step", "one move at a time, each no larger than its balloon manages in one step"},
    [GUARD_RULE_ROOM] = {"room", "the host has nothing more to spare above its critical threshold"},
    [GUARD_RULE_DEAD_BAND] = {"dead-band", "the change is too small to be worth a move"},
    [GUARD_RULE_SPARE] = {"spare", "it has no more idle memory and page cache to hand back"},
    [GUARD_RULE_OBSERVE] = {"observe", "its mode is observe: decided, not sent"},
};

const char *guard_rule_to_string(GuardRule r)
{
    return r >= 0 && r < GUARD_RULE_MAX ? rules[r].name : NULL;
}

const char *guard_rule_describe(GuardRule r)
{
    return r >= 0 && r < GUARD_RULE_MAX ? rules[r].description : NULL;
}

/* Hyper-V's minimum for a guest of this size. */
static double smallest_working(double full)
{
    static const struct {
        double full, least;
    } table[] = {
        {0, 0},
        {512.0 * MIB, 168.0 * MIB},
        {2.0 * GIB, 360.0 * MIB},
        {8.0 * GIB, 744.0 * MIB},
        {32.0 * GIB, 1512.0 * MIB},
    };

    for (size_t i = 1; i < ELEMENTSOF(table); i++)
        if (full < table[i].full)
            return table[i - 1].least + (full - table[i - 1].full) * (table[i].least - table[i - 1].least) /
                                            (table[i].full - table[i - 1].full);
    return table[ELEMENTSOF(table) - 1].least;
}

uint64_t guard_floor(uint64_t full_bytes, double floor_ratio)
{
    uint64_t share = bytes_from_double(floor_ratio * (double) full_bytes);
    uint64_t least = bytes_from_double(smallest_working((double) full_bytes));

    return MIN(full_bytes, MAX(share, least));
}

/* The critical threshold of a host with swap. */
static double critical_with_swap(const GuardConfig *c, const HostFields *host)
{
    double most = (double) c->critical_max_bytes;

    /* A host whose total is not known is taken for a large one. */
    return host_fields_has(host, HOST_FIELD_TOTAL)
               ? MIN(c->critical_ratio * host_fields_get(host, HOST_FIELD_TOTAL), most)
               : most;
}

double guard_caution(const GuardConfig *c, const HostFields *host)
{
    double enough = critical_with_swap(c, host), left = enough;

    if (host_fields_has(host, HOST_FIELD_SWAP_TOTAL))
        left = fmin(left, host_fields_get(host, HOST_FIELD_SWAP_TOTAL));
    if (host_fields_has(host, HOST_FIELD_SWAP_FREE))
        left = fmin(left, host_fields_get(host, HOST_FIELD_SWAP_FREE));
    return enough > 0 ? 2 - fmax(0, left) / enough : 1;
}

uint64_t guard_critical(const GuardConfig *c, const HostFields *host)
{
    return bytes_from_double(guard_caution(c, host) * critical_with_swap(c, host));
}

uint64_t guard_kept(const GuardConfig *c, const HostFields *host)
{
    uint64_t critical = guard_critical(c, host);

    return bytes_add(critical, critical / 8);
}

bool guard_is_critical(const Snapshot *s, const GuardConfig *c)
{
    return host_fields_has(&s->host, HOST_FIELD_AVAILABLE) &&
           bytes_from_double(host_fields_get(&s->host, HOST_FIELD_AVAILABLE)) < guard_critical(c, &s->host);
}

uint64_t guard_dead_band(const GuardConfig *c, const SnapshotGuest *g)
{
    return MAX(bytes_from_double(c->dead_band_ratio * (double) g->sizes.full_bytes), c->dead_band_bytes);
}

uint64_t guard_step_min(const GuardConfig *c, const SnapshotGuest *g)
{
    uint64_t least =
        MAX(bytes_from_double(GUARD_STEP_MIN_RATIO * (double) g->sizes.full_bytes), GUARD_STEP_MIN_BYTES);

    return MAX(least, guard_dead_band(c, g));
}

/* The size up to which it may grow above its full size; 0: not set. */
static uint64_t grown(const SnapshotGuest *g)
{
    return bytes_down_to_kib(MIN(g->sizes.growth_bytes, g->sizes.maximum_bytes));
}

uint64_t guard_full(const SnapshotGuest *g)
{
    uint64_t full =
        g->sizes.maximum_bytes > 0 ? MIN(g->sizes.full_bytes, g->sizes.maximum_bytes) : g->sizes.full_bytes;

    return bytes_down_to_kib(full);
}

bool guard_has_plenty(const GuestFields *f, uint64_t size_bytes)
{
    return guest_fields_has(f, GUEST_FIELD_FREE) && size_bytes > 0 &&
           guest_fields_get(f, GUEST_FIELD_FREE) >=
               GUARD_PLENTY_RATIO * (double) size_bytes + guest_fields_get(f, GUEST_FIELD_LOW_WATERMARK);
}

bool guard_contradicts_distress(const SnapshotGuest *g)
{
    bool changes =
        g->growth.growing || g->balloon.moving || g->sizes.standing_bytes != g->sizes.current_bytes;

    return !changes && guard_has_plenty(&g->fields, g->sizes.current_bytes);
}

uint64_t guard_ceiling(const SnapshotGuest *g)
{
    return g->judgement.distress ? MAX(guard_full(g), grown(g)) : guard_full(g);
}

uint64_t guard_floor_of(const SnapshotGuest *g)
{
    return MIN(bytes_up_to_kib(g->sizes.floor_bytes), guard_full(g));
}

static bool is_stale(const SnapshotGuest *g, const GuardConfig *c)
{
    return g->age_usec == USEC_INFINITY || g->age_usec > c->stale_usec;
}

/* It took this much at its fastest lately, and may do so again before the next report. */
static uint64_t taken_at_once(const SnapshotGuest *g)
{
    uint64_t least =
        MAX(bytes_from_double(GUARD_AHEAD_RATIO * (double) guard_full(g)), GUARD_AHEAD_MIN_BYTES);

    return MAX(g->growth.fastest_bytes, least);
}

bool guard_is_ahead(const SnapshotGuest *g, const GuardConfig *c)
{
    return g->sizes.standing_bytes < guard_full(g) && g->growth.growing && !is_stale(g, c) &&
           guest_fields_has(&g->fields, GUEST_FIELD_FREE) &&
           guest_fields_get(&g->fields, GUEST_FIELD_FREE) < (double) taken_at_once(g);
}

/* The rule that forbids any move. Of several the one that lasts longest is named. */
static GuardRule hold_rule(const SnapshotGuest *g)
{
    if (g->mode == GUEST_MODE_OFF)
        return GUARD_RULE_OFF;
    if (g->unmovable)
        return GUARD_RULE_UNMOVABLE;
    if (g->busy)
        return GUARD_RULE_BUSY;
    /* Nothing can be decided about a guest whose size isn't known. */
    if (g->sizes.current_bytes == 0 || g->sizes.standing_bytes == 0 || guard_full(g) == 0)
        return GUARD_RULE_STALE;
    if (g->balloon.squeezed)
        return GUARD_RULE_SQUEEZED;
    return GUARD_RULE_NONE;
}

/* The rule that forbids shrinking at all. While the host is critical, what a guest was found to need, or takes
 * now, does not count: a guest that hurts is better than a host that swaps, which hurts all guests. But a guest
 * that can't swap would not hurt: it would have to kill. */
static GuardRule keep_rule(const SnapshotGuest *g, const GuardConfig *c, bool critical)
{
    if (g->judgement.distress)
        return GUARD_RULE_DISTRESS;
    if (g->judgement.hurting && !critical)
        return GUARD_RULE_HURTING;
    if (g->reboot)
        return GUARD_RULE_REBOOT;
    if (g->released || g->uptime_usec < c->grace_usec)
        return GUARD_RULE_GRACE;
    if (g->judgement.protected && (!critical || !guard_can_swap(g, c)))
        return GUARD_RULE_PROTECTED;
    if (g->growth.given_back && !critical)
        return GUARD_RULE_AHEAD;
    if (g->judgement.ineffective)
        return GUARD_RULE_UNMOVABLE;
    if (g->source == GUEST_SOURCE_NONE)
        return GUARD_RULE_AGENTLESS;
    if (is_stale(g, c))
        return GUARD_RULE_STALE;
    if (g->balloon.stalled)
        return GUARD_RULE_STALLED;
    if (g->balloon.moving)
        return GUARD_RULE_STEP;
    return GUARD_RULE_NONE;
}

/* The most that it has available: 0 if it does not report any. */
static uint64_t unused(const SnapshotGuest *g)
{
    GuestField f =
        guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE) ? GUEST_FIELD_AVAILABLE : GUEST_FIELD_FREE;

    return bytes_from_double(guest_fields_get(&g->fields, f));
}

uint64_t guard_swap_left(const GuestFields *f)
{
    /* A guest that does not report SWAP_TOTAL (libvirt's stats lack it) is taken for one without swap. */
    uint64_t total = bytes_from_double(guest_fields_get(f, GUEST_FIELD_SWAP_TOTAL)),
             all = bytes_add(total, bytes_from_double(guest_fields_get(f, GUEST_FIELD_SWAP_MEMORY))),
             left = guest_fields_has(f, GUEST_FIELD_SWAP_FREE)
                        ? MIN(total, bytes_from_double(guest_fields_get(f, GUEST_FIELD_SWAP_FREE)))
                        : total;

    return LESS_BY(left, bytes_from_double(GUARD_SWAP_KEPT_RATIO * (double) all));
}

bool guard_can_swap(const SnapshotGuest *g, const GuardConfig *c)
{
    return guard_swap_left(&g->fields) >= guard_step_min(c, g);
}

/* A guest that can't swap would have to kill: it keeps swapless_ratio of its size available, less what its
 * swap can still take. Measured by the balloon's size, as MemTotal in the guest is smaller by what its kernel
 * took at boot. ZFS's cache doesn't count: a killer in the guest goes by MemAvailable, which is without it. */
static uint64_t swapless_least(const SnapshotGuest *g, const GuardConfig *c)
{
    /* If nothing is known of its use, it may use all. */
    uint64_t spare = LESS_BY(unused(g), bytes_from_double(guest_fields_get(&g->fields, GUEST_FIELD_ARC))),
             used = LESS_BY(g->sizes.current_bytes, spare);

    return LESS_BY(bytes_from_double((double) used / (1 - c->swapless_ratio)), guard_swap_left(&g->fields));
}

/* With strict overcommit the guest's kernel refuses memory above CommitLimit: swap, and a share of MemTotal,
 * which falls with the balloon. (Where the administrator gave the limit in bytes it doesn't fall; then this is
 * too careful.) What is committed stays below it, with swapless_ratio of it to spare. */
static uint64_t committed_least(const SnapshotGuest *g, const GuardConfig *c)
{
    const GuestFields *f = &g->fields;
    double limit = guest_fields_get(f, GUEST_FIELD_COMMIT_LIMIT),
           total = guest_fields_get(f, GUEST_FIELD_TOTAL),
           needed = guest_fields_get(f, GUEST_FIELD_COMMITTED) * (1 + c->swapless_ratio),
           of_memory = limit - guest_fields_get(f, GUEST_FIELD_SWAP_TOTAL) -
                       guest_fields_get(f, GUEST_FIELD_SWAP_MEMORY),
           spare;

    if (!guest_fields_has(f, GUEST_FIELD_COMMITTED) || !guest_fields_has(f, GUEST_FIELD_COMMIT_LIMIT) ||
        !(of_memory > 0))
        return 0;
    if (!(total > 0))
        total = (double) g->sizes.current_bytes;
    spare = fmax(0, limit - needed) * total / of_memory;
    return LESS_BY(g->sizes.current_bytes, bytes_from_double(spare));
}

/* Libvirt's stats do not show whether a guest hurts, so it keeps a good part of the memory that it has
 * available at its full size, however often it gives. */
static uint64_t agentless_least(const SnapshotGuest *g, const GuardConfig *c)
{
    double at_full = (double) unused(g) + (double) LESS_BY(guard_full(g), g->sizes.current_bytes);

    return LESS_BY(g->sizes.current_bytes,
                   LESS_BY(unused(g), bytes_from_double((1 - c->agentless_ratio) * at_full)));
}

/* The largest move is what the balloon manages in a step. A guest that was slow once still moves. */
static uint64_t step_least(const SnapshotGuest *g, const GuardConfig *c)
{
    double rate = g->balloon.shrink_rate > 0 ? g->balloon.shrink_rate : c->step_rate_default;
    uint64_t step = bytes_from_double(rate * (double) c->step_usec / (double) USEC_PER_SEC);

    return LESS_BY(g->sizes.standing_bytes, MAX(step, guard_step_min(c, g)));
}

/* Applies a rule that forbids sizes below bytes, without demanding growth. */
static void raise_least(GuestBounds *b, uint64_t bytes, uint64_t standing, GuardRule rule)
{
    bytes = MIN(bytes_up_to_kib(bytes), standing);
    if (bytes > b->least_bytes) {
        b->least_bytes = bytes;
        b->least_rule = rule;
    }
}

/* How far it may be shrunk if no rule forbids shrinking. */
static void bound_shrink(const SnapshotGuest *g, const GuardConfig *c, bool critical, GuestBounds *b)
{
    uint64_t standing = g->sizes.standing_bytes;

    if (!critical || !guard_can_swap(g, c))
        raise_least(b, MIN(g->judgement.needed_bytes, MAX(guard_full(g), grown(g))), standing,
                    GUARD_RULE_NEEDED);
    raise_least(b, swapless_least(g, c), standing, GUARD_RULE_SWAPLESS);
    raise_least(b, committed_least(g, c), standing, GUARD_RULE_COMMITTED);
    if (g->source == GUEST_SOURCE_LIBVIRT)
        raise_least(b, agentless_least(g, c), standing, GUARD_RULE_AGENTLESS);
    raise_least(b, step_least(g, c), standing, GUARD_RULE_STEP);
}

static bool reports(const SnapshotGuest *g)
{
    return guest_fields_get(&g->fields, GUEST_FIELD_REPORTING) != 0;
}

/* The rule by which a guest hands nothing back while it keeps its size. A critical host is no reason to ask a
 * guest that a shrink hurt, or that takes memory: it would take back at once what it drops. A balloon that
 * stalled says nothing about the guest's kernel. */
static GuardRule no_reclaim_rule(const SnapshotGuest *g, const GuardConfig *c)
{
    GuardRule hold = hold_rule(g), keep = keep_rule(g, c, false);

    if (hold != GUARD_RULE_NONE)
        return hold;
    if (keep != GUARD_RULE_NONE && (keep != GUARD_RULE_STALLED || !reports(g)))
        return keep;
    if (g->growth.growing)
        return GUARD_RULE_AHEAD;
    return g->balloon.moving || g->sizes.standing_bytes > g->sizes.current_bytes ? GUARD_RULE_STEP
                                                                                 : GUARD_RULE_NONE;
}

/* The size down to which its balloon may take memory to let go of it at once, and the rule that says so. A step of what
 * it manages is no bound: the move can be ended at any time. */
static uint64_t squeeze_least(const SnapshotGuest *g, const GuardConfig *c, GuardRule *ret_rule)
{
    const struct {
        uint64_t bytes;
        GuardRule rule;
    } limits[] = {
        {swapless_least(g, c), GUARD_RULE_SWAPLESS},
        {committed_least(g, c), GUARD_RULE_COMMITTED},
        {g->source == GUEST_SOURCE_LIBVIRT ? agentless_least(g, c) : 0, GUARD_RULE_AGENTLESS},
    };
    uint64_t least = guard_floor_of(g);

    *ret_rule = GUARD_RULE_FLOOR;
    for (size_t i = 0; i < ELEMENTSOF(limits); i++)
        if (limits[i].bytes > least) {
            least = limits[i].bytes;
            *ret_rule = limits[i].rule;
        }
    return least;
}

uint64_t guard_reclaimable(const SnapshotGuest *g, const GuardConfig *c, uint64_t target_bytes, bool anon,
                           uint64_t *ret_way_bytes, GuardRule *ret_rule)
{
    GuardRule rule = GUARD_RULE_SPARE, least_rule = GUARD_RULE_AGENTLESS;
    uint64_t has, may = UINT64_MAX, way = 0;
    Spare s;

    spare_at(g, c, target_bytes, &s);
    has = bytes_add(s.backed_bytes, s.cache_bytes);
    if (anon)
        has = bytes_add(has, MIN(bytes_from_double(guest_fields_get(&g->fields, GUEST_FIELD_ANON)),
                                 guard_swap_left(&g->fields)));
    has = MIN(has, target_bytes);
    if (!reports(g)) {
        way = s.free_bytes - s.backed_bytes;
        may = LESS_BY(LESS_BY(target_bytes, squeeze_least(g, c, &least_rule)), way);
    } else if (g->source == GUEST_SOURCE_LIBVIRT)
        may = LESS_BY(target_bytes, agentless_least(g, c));
    if (may < has) {
        has = may;
        rule = least_rule;
    }
    if (ret_way_bytes)
        *ret_way_bytes = way;
    if (ret_rule)
        *ret_rule = rule;
    return bytes_down_to_kib(has);
}

static void bound_reclaim(const SnapshotGuest *g, const GuardConfig *c, bool critical, GuestBounds *b)
{
    b->reclaim_rule = no_reclaim_rule(g, c);
    if (b->reclaim_rule == GUARD_RULE_NONE)
        b->reclaim_bytes = guard_reclaimable(g, c, g->sizes.standing_bytes, critical, NULL, &b->reclaim_rule);
}

static void bound(const SnapshotGuest *g, const GuardConfig *c, bool critical, GuestBounds *ret)
{
    uint64_t standing = g->sizes.standing_bytes;
    GuardRule hold = hold_rule(g), keep = keep_rule(g, c, critical);

    if (hold != GUARD_RULE_NONE) {
        *ret = (GuestBounds){.least_bytes = standing,
                             .most_bytes = standing,
                             .least_rule = hold,
                             .most_rule = hold,
                             .hold = hold,
                             .reclaim_rule = hold};
        return;
    }

    *ret = (GuestBounds){.least_bytes = guard_floor_of(g),
                         .most_bytes = guard_ceiling(g),
                         .least_rule = GUARD_RULE_FLOOR,
                         .most_rule = GUARD_RULE_CEILING};
    bound_reclaim(g, c, critical, ret);
    if (keep != GUARD_RULE_NONE)
        raise_least(ret, standing, standing, keep);
    else
        bound_shrink(g, c, critical, ret);
    /* A balloon that does not deflate is not asked to in each cycle, except for a guest in distress. */
    if (g->balloon.stalled_growing && !g->judgement.distress && ret->most_bytes > standing) {
        ret->most_bytes = standing;
        ret->most_rule = GUARD_RULE_STALLED;
        if (ret->least_bytes > standing) {
            ret->least_bytes = standing;
            ret->least_rule = GUARD_RULE_STALLED;
        }
    }
    /* A guest above its full size comes down only as fast as the rules allow. */
    ret->most_bytes = MAX(ret->most_bytes, ret->least_bytes);
}

void guard_bounds(const Snapshot *s, const GuardConfig *c, GuestBounds *ret)
{
    bool critical = guard_is_critical(s, c);

    for (size_t i = 0; i < s->n_guests; i++)
        bound(s->guests + i, c, critical, ret + i);
}

uint64_t guard_current(const SnapshotGuest *g)
{
    const SnapshotSizes *s = &g->sizes;

    return g->balloon.moving && s->from_bytes > 0
               ? CLAMP(s->current_bytes, MIN(s->from_bytes, s->standing_bytes),
                       MAX(s->from_bytes, s->standing_bytes))
               : s->current_bytes;
}

uint64_t guard_has(const SnapshotGuest *g)
{
    uint64_t from =
        g->sizes.from_bytes > 0 ? g->sizes.from_bytes : MAX(guard_full(g), g->sizes.standing_bytes);

    return MIN(g->sizes.current_bytes, from);
}

uint64_t guard_leaving(const SnapshotGuest *g)
{
    uint64_t leaving = LESS_BY(guard_has(g), g->sizes.standing_bytes);

    if (g->balloon.late || g->sizes.standing_bytes == 0)
        return 0;
    if (guest_fields_has(&g->fields, GUEST_FIELD_RESIDENT))
        leaving = MIN(leaving, bytes_from_double(guest_fields_get(&g->fields, GUEST_FIELD_RESIDENT)));
    return leaving;
}

uint64_t guard_coming(const SnapshotGuest *g)
{
    const SnapshotSizes *s = &g->sizes;

    if (s->current_bytes == 0 || g->balloon.squeezed || g->balloon.late)
        return 0;
    return LESS_BY(s->standing_bytes, MAX(s->current_bytes, MIN(s->from_bytes, s->standing_bytes)));
}

uint64_t guard_promised(const SnapshotGuest *g)
{
    return MAX(guard_coming(g), g->sizes.outstanding_bytes);
}

uint64_t guard_spoken_for(const Snapshot *s, const GuardConfig *c)
{
    uint64_t spoken_for = bytes_add(guard_kept(c, &s->host), s->apart.spoken_bytes);

    for (size_t i = 0; i < s->n_guests; i++)
        spoken_for = bytes_add(spoken_for, guard_promised(s->guests + i));
    return spoken_for;
}

uint64_t guard_room(const Snapshot *s, const GuardConfig *c)
{
    return LESS_BY(bytes_from_double(host_fields_get(&s->host, HOST_FIELD_AVAILABLE)),
                   guard_spoken_for(s, c));
}
