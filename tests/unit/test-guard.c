/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The sizes that each safety rule allows a guest, alone and combined with others. */

#include <stdlib.h>
#include <string.h>

#include "tests/unit/decide-fixture.h"
#include "tests/unit/run.h"

static const GuardConfig config = GUARD_CONFIG_DEFAULT;

/* The floor that Hyper-V's table and the share of full give. */
static const struct {
    uint64_t full;
    double ratio;
    uint64_t floor;
} floors[] = {
    {512 * MIB, 0, 168 * MIB},    {2 * GIB, 0, 360 * MIB},    {8 * GIB, 0, 744 * MIB},
    {32 * GIB, 0, 1512 * MIB},    {128 * GIB, 0, 1512 * MIB}, {256 * MIB, 0, 84 * MIB},
    {1280 * MIB, 0, 264 * MIB}, /* half way from 512 MiB to 2 GiB */
    {20 * GIB, 0, 1128 * MIB},  /* half way from 8 to 32 GiB */
    {512 * MIB, 0.25, 168 * MIB}, {2 * GIB, 0.25, 512 * MIB}, {32 * GIB, 0.25, 8 * GIB},
    {2 * GIB, 1, 2 * GIB},        {2 * GIB, 7, 2 * GIB},      {0, 0.25, 0},
};

START_TEST(test_floor)
{
    ck_assert_uint_eq(guard_floor(floors[_i].full, floors[_i].ratio), floors[_i].floor);
}
END_TEST

START_TEST(test_critical)
{
    HostFields host = fixture_host(GIB);

    ck_assert_uint_eq(guard_critical(&config, &host), 5 * GIB);
    host_fields_set(&host, HOST_FIELD_TOTAL, (double) TIB);
    ck_assert_uint_eq(guard_critical(&config, &host), 8 * GIB);
    host_fields_set(&host, HOST_FIELD_TOTAL, (double) GIB);
    ck_assert_uint_eq(guard_critical(&config, &host), (uint64_t) (0.05 * (double) GIB));
    host.present = (FieldSet){};
    ck_assert_uint_eq(guard_critical(&config, &host), 8 * GIB);
}
END_TEST

/* A host without swap can't be wrong even once. */
START_TEST(test_no_host_swap)
{
    SnapshotGuest g = fixture_guest();
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(11 * GIB)};

    ck_assert(!guard_is_critical(&s, &config));
    ck_assert_uint_eq(guard_room(&s, &config), 11 * GIB - 5 * GIB * 9 / 8);
    host_fields_set(&s.host, HOST_FIELD_SWAP_TOTAL, 0);
    ck_assert_uint_eq(guard_critical(&config, &s.host), 10 * GIB);
    ck_assert(!guard_is_critical(&s, &config));
    ck_assert_uint_eq(guard_room(&s, &config), 0);
    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, (double) (12 * GIB));
    ck_assert_uint_eq(guard_room(&s, &config), 12 * GIB - 10 * GIB * 9 / 8);
    host_fields_set(&s.host, HOST_FIELD_TOTAL, (double) TIB);
    ck_assert_uint_eq(guard_critical(&config, &s.host), 16 * GIB);
    ck_assert(guard_is_critical(&s, &config));

    /* Not known: taken to have enough. And nothing is known to be critical of which nothing is known. */
    field_set_remove(&s.host.present, HOST_FIELD_SWAP_TOTAL);
    field_set_remove(&s.host.present, HOST_FIELD_SWAP_FREE);
    ck_assert_uint_eq(guard_critical(&config, &s.host), 8 * GIB);
    s.host.present = (FieldSet){};
    ck_assert(!guard_is_critical(&s, &config));
}
END_TEST

/* Traits that a guest gets before it is checked. */
typedef enum Trait {
    T_OFF = 1 << 0,
    T_UNMOVABLE = 1 << 1,
    T_BUSY = 1 << 2,
    T_UNKNOWN = 1 << 3, /* size not known */
    T_STALE = 1 << 4,
    T_NEVER = 1 << 5, /* no stats ever came */
    T_GRACE = 1 << 6,
    T_RELEASED = 1 << 7,
    T_DISTRESS = 1 << 8,
    T_REBOOT = 1 << 9,
    T_STALLED = 1 << 10,
    T_MOVING = 1 << 11,
    T_SWAPLESS = 1 << 12,  /* no swap at all */
    T_SWAP_FULL = 1 << 13, /* 1 GiB, of which 100 MiB are left */
    T_SWAP_UNKNOWN = 1 << 14,
    T_USE_UNKNOWN = 1 << 15, /* neither available nor free */
    T_OBSERVE = 1 << 16,
    T_SLOW = 1 << 17,     /* 1 byte a second */
    T_FAST = 1 << 18,     /* 10 GiB a second */
    T_AT_STALE = 1 << 19, /* exactly as old as may be */
    T_STALLED_GROWING = 1 << 20,
    T_HURTING = 1 << 21,
    T_PROTECTED = 1 << 22,
    T_NEEDED = 1 << 23,   /* found to need 1400 MiB */
    T_LIBVIRT = 1 << 24,  /* no agent, but libvirt's stats */
    T_GROWTH = 1 << 25,   /* may grow to 3 GiB, of 4 */
    T_CRITICAL = 1 << 26, /* the host is */
    T_TIGHT = 1 << 27,    /* only 200 MiB available */
    T_SQUEEZED = 1 << 28,
} Trait;

static SnapshotGuest guest_with(unsigned traits)
{
    SnapshotGuest g = fixture_guest();

    if (traits & (T_OFF | T_OBSERVE))
        g.mode = traits & T_OFF ? GUEST_MODE_OFF : GUEST_MODE_OBSERVE;
    g.unmovable = traits & T_UNMOVABLE ? "hostdev" : NULL;
    g.busy = traits & T_BUSY ? "paused" : NULL;
    if (traits & T_STALE)
        g.age_usec = config.stale_usec + 1;
    if (traits & T_AT_STALE)
        g.age_usec = config.stale_usec;
    if (traits & T_NEVER) {
        g.source = GUEST_SOURCE_NONE;
        g.age_usec = USEC_INFINITY;
    }
    if (traits & T_GRACE)
        g.uptime_usec = config.grace_usec - 1;
    g.released = traits & T_RELEASED;
    g.judgement.distress = traits & T_DISTRESS;
    g.reboot = traits & T_REBOOT;
    g.balloon.stalled = traits & (T_STALLED | T_STALLED_GROWING);
    g.balloon.stalled_growing = traits & T_STALLED_GROWING;
    g.balloon.moving = traits & T_MOVING;
    g.balloon.squeezed = traits & T_SQUEEZED;
    if (traits & T_SWAPLESS) {
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_TOTAL, 0);
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_FREE, 0);
    }
    if (traits & T_SWAP_FULL)
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_FREE, (double) (100 * MIB));
    if (traits & T_SWAP_UNKNOWN) {
        field_set_remove(&g.fields.present, GUEST_FIELD_SWAP_TOTAL);
        field_set_remove(&g.fields.present, GUEST_FIELD_SWAP_FREE);
    }
    if (traits & T_USE_UNKNOWN) {
        field_set_remove(&g.fields.present, GUEST_FIELD_AVAILABLE);
        field_set_remove(&g.fields.present, GUEST_FIELD_FREE);
    }
    g.judgement.hurting = traits & T_HURTING;
    g.judgement.restore_bytes = traits & T_HURTING ? 1800 * MIB : 0;
    g.judgement.protected = traits & T_PROTECTED;
    g.judgement.needed_bytes = traits & T_NEEDED ? 1400 * MIB : 0;
    if (traits & T_LIBVIRT)
        g.source = GUEST_SOURCE_LIBVIRT;
    if (traits & T_GROWTH) {
        g.sizes.growth_bytes = 3 * GIB;
        g.sizes.maximum_bytes = 4 * GIB;
    }
    if (traits & T_TIGHT)
        guest_fields_set(&g.fields, GUEST_FIELD_AVAILABLE, (double) (200 * MIB));
    if (traits & T_SLOW)
        g.balloon.shrink_rate = 1;
    if (traits & T_FAST)
        g.balloon.shrink_rate = 10.0 * (double) GIB;
    return g;
}

/* On a host with that much available, where below 5 GiB is critical. */
static GuestBounds bounds_on(const SnapshotGuest *g, uint64_t host_bytes)
{
    SnapshotGuest copy = *g;
    Snapshot s = {.guests = &copy, .n_guests = 1, .host = fixture_host(host_bytes)};
    GuestBounds b;

    guard_bounds(&s, &config, &b);
    return b;
}

static GuestBounds bounds_of(const SnapshotGuest *g)
{
    return bounds_on(g, 50 * GIB);
}

#define R(rule) GUARD_RULE_##rule

/* Sizes in MiB; the guest has current (and stands there), of 2048 full, and keeps 512. It has 1024 available
 * of 2048: it uses 1024, and needs 1163.6 where it can't swap. */
static const struct {
    const char *what;
    unsigned traits;
    unsigned current, least;
    GuardRule least_rule;
    unsigned most;
    GuardRule most_rule, hold;
} rules[] = {
    {"a step is 2 s at 128 MiB/s where no rate is known", 0, 2048, 1792, R(STEP), 2048, R(CEILING), R(NONE)},
    {"a fast balloon may go to its floor at once", T_FAST, 2048, 512, R(FLOOR), 2048, R(CEILING), R(NONE)},
    {"a slow one by a twentieth", T_SLOW, 2048, 1946, R(STEP), 2048, R(CEILING), R(NONE)},
    {"the floor wins over the step", 0, 600, 512, R(FLOOR), 2048, R(CEILING), R(NONE)},
    {"at its floor", 0, 512, 512, R(FLOOR), 2048, R(CEILING), R(NONE)},
    {"below its floor: must grow", 0, 300, 512, R(FLOOR), 2048, R(CEILING), R(NONE)},
    {"below its floor, stale: must grow", T_STALE, 300, 512, R(FLOOR), 2048, R(CEILING), R(NONE)},
    {"below its floor, moving: must grow", T_MOVING, 300, 512, R(FLOOR), 2048, R(CEILING), R(NONE)},

    {"off", T_OFF, 1500, 1500, R(OFF), 1500, R(OFF), R(OFF)},
    {"unmovable", T_UNMOVABLE, 1500, 1500, R(UNMOVABLE), 1500, R(UNMOVABLE), R(UNMOVABLE)},
    {"busy", T_BUSY, 1500, 1500, R(BUSY), 1500, R(BUSY), R(BUSY)},
    {"off and busy", T_OFF | T_BUSY, 1500, 1500, R(OFF), 1500, R(OFF), R(OFF)},
    {"off and unmovable", T_OFF | T_UNMOVABLE, 1500, 1500, R(OFF), 1500, R(OFF), R(OFF)},
    {"unmovable and busy", T_UNMOVABLE | T_BUSY, 1500, 1500, R(UNMOVABLE), 1500, R(UNMOVABLE), R(UNMOVABLE)},
    {"busy in distress", T_BUSY | T_DISTRESS, 1500, 1500, R(BUSY), 1500, R(BUSY), R(BUSY)},
    {"unmovable in distress", T_UNMOVABLE | T_DISTRESS, 1500, 1500, R(UNMOVABLE), 1500, R(UNMOVABLE),
     R(UNMOVABLE)},
    {"off in distress", T_OFF | T_DISTRESS, 1500, 1500, R(OFF), 1500, R(OFF), R(OFF)},
    {"off after a reboot", T_OFF | T_REBOOT, 1500, 1500, R(OFF), 1500, R(OFF), R(OFF)},
    {"busy after a reboot", T_BUSY | T_REBOOT, 1500, 1500, R(BUSY), 1500, R(BUSY), R(BUSY)},
    {"off below its floor", T_OFF, 300, 300, R(OFF), 300, R(OFF), R(OFF)},
    {"busy below its floor", T_BUSY, 300, 300, R(BUSY), 300, R(BUSY), R(BUSY)},

    {"squeezed", T_SQUEEZED, 1500, 1500, R(SQUEEZED), 1500, R(SQUEEZED), R(SQUEEZED)},
    {"squeezed, and a critical host", T_SQUEEZED | T_CRITICAL, 1500, 1500, R(SQUEEZED), 1500, R(SQUEEZED),
     R(SQUEEZED)},
    {"squeezed, and its balloon moves", T_SQUEEZED | T_MOVING, 1500, 1500, R(SQUEEZED), 1500, R(SQUEEZED),
     R(SQUEEZED)},
    {"squeezed in distress", T_SQUEEZED | T_DISTRESS, 1500, 1500, R(SQUEEZED), 1500, R(SQUEEZED),
     R(SQUEEZED)},
    {"squeezed below its floor", T_SQUEEZED, 300, 300, R(SQUEEZED), 300, R(SQUEEZED), R(SQUEEZED)},
    {"busy, and squeezed", T_BUSY | T_SQUEEZED, 1500, 1500, R(BUSY), 1500, R(BUSY), R(BUSY)},
    {"off, and squeezed", T_OFF | T_SQUEEZED, 1500, 1500, R(OFF), 1500, R(OFF), R(OFF)},

    {"observe is decided as auto", T_OBSERVE, 2048, 1792, R(STEP), 2048, R(CEILING), R(NONE)},
    {"stale", T_STALE, 1500, 1500, R(STALE), 2048, R(CEILING), R(NONE)},
    {"not yet stale", T_AT_STALE | T_FAST, 1500, 512, R(FLOOR), 2048, R(CEILING), R(NONE)},
    {"no stats at all", T_NEVER, 1500, 1500, R(AGENTLESS), 2048, R(CEILING), R(NONE)},
    {"just booted", T_GRACE, 1500, 1500, R(GRACE), 2048, R(CEILING), R(NONE)},
    {"just released", T_RELEASED, 1500, 1500, R(GRACE), 2048, R(CEILING), R(NONE)},
    {"in distress", T_DISTRESS, 1500, 1500, R(DISTRESS), 2048, R(CEILING), R(NONE)},
    {"rebooted", T_REBOOT, 1500, 1500, R(REBOOT), 2048, R(CEILING), R(NONE)},
    {"stalled", T_STALLED, 1500, 1500, R(STALLED), 2048, R(CEILING), R(NONE)},
    {"doesn't give back", T_STALLED_GROWING, 1500, 1500, R(STALLED), 1500, R(STALLED), R(NONE)},
    {"doesn't give back, and has all", T_STALLED_GROWING, 2048, 2048, R(STALLED), 2048, R(CEILING), R(NONE)},
    {"doesn't give back, below its floor", T_STALLED_GROWING, 300, 300, R(STALLED), 300, R(STALLED), R(NONE)},
    {"doesn't give back, in distress: is asked all the same", T_STALLED_GROWING | T_DISTRESS, 1500, 1500,
     R(DISTRESS), 2048, R(CEILING), R(NONE)},
    {"moving", T_MOVING, 1500, 1500, R(STEP), 2048, R(CEILING), R(NONE)},
    {"distress is named before what else forbids it",
     T_DISTRESS | T_REBOOT | T_GRACE | T_STALE | T_STALLED | T_MOVING | T_SWAPLESS, 1500, 1500, R(DISTRESS),
     2048, R(CEILING), R(NONE)},
    {"reboot before grace", T_REBOOT | T_GRACE, 1500, 1500, R(REBOOT), 2048, R(CEILING), R(NONE)},
    {"grace before stale", T_GRACE | T_NEVER, 1500, 1500, R(GRACE), 2048, R(CEILING), R(NONE)},
    {"stale before stalled", T_STALE | T_STALLED, 1500, 1500, R(STALE), 2048, R(CEILING), R(NONE)},
    {"stalled before moving", T_STALLED | T_MOVING, 1500, 1500, R(STALLED), 2048, R(CEILING), R(NONE)},

    {"swap with room for all it uses", T_FAST, 2048, 512, R(FLOOR), 2048, R(CEILING), R(NONE)},
    {"no swap: an eighth of its size stays available", T_SWAPLESS | T_FAST, 2048, 1164, R(SWAPLESS), 2048,
     R(CEILING), R(NONE)},
    {"swap not known: as none", T_SWAP_UNKNOWN | T_FAST, 2048, 1164, R(SWAPLESS), 2048, R(CEILING), R(NONE)},
    {"swap nearly full: as none", T_SWAP_FULL | T_FAST, 2048, 1164, R(SWAPLESS), 2048, R(CEILING), R(NONE)},
    {"no swap, a step: the tighter of them", T_SWAPLESS, 2048, 1792, R(STEP), 2048, R(CEILING), R(NONE)},
    {"no swap, uses all it has: isn't made to grow", T_SWAPLESS | T_FAST, 1024, 512, R(FLOOR), 2048,
     R(CEILING), R(NONE)},
    {"no swap, and its use is unknown", T_SWAPLESS | T_USE_UNKNOWN | T_FAST, 1500, 1500, R(SWAPLESS), 2048,
     R(CEILING), R(NONE)},
    {"no swap, stale", T_SWAPLESS | T_STALE | T_FAST, 1500, 1500, R(STALE), 2048, R(CEILING), R(NONE)},

    {"hurting", T_HURTING, 1500, 1500, R(HURTING), 2048, R(CEILING), R(NONE)},
    {"hurting, on a critical host", T_HURTING | T_FAST | T_CRITICAL, 1500, 512, R(FLOOR), 2048, R(CEILING),
     R(NONE)},
    {"in distress, on a critical host", T_DISTRESS | T_FAST | T_CRITICAL, 1500, 1500, R(DISTRESS), 2048,
     R(CEILING), R(NONE)},
    {"protected", T_PROTECTED, 1500, 1500, R(PROTECTED), 2048, R(CEILING), R(NONE)},
    {"protected, on a critical host", T_PROTECTED | T_FAST | T_CRITICAL, 1500, 512, R(FLOOR), 2048,
     R(CEILING), R(NONE)},
    {"to what it was found to need", T_NEEDED | T_FAST, 2048, 1400, R(NEEDED), 2048, R(CEILING), R(NONE)},
    {"a step ends at what it needs", T_NEEDED, 1500, 1400, R(NEEDED), 2048, R(CEILING), R(NONE)},
    {"a step away from what it needs", T_NEEDED, 2048, 1792, R(STEP), 2048, R(CEILING), R(NONE)},
    {"below what it needs: isn't made to grow", T_NEEDED | T_FAST, 1000, 1000, R(NEEDED), 2048, R(CEILING),
     R(NONE)},
    {"what it needs, on a critical host", T_NEEDED | T_FAST | T_CRITICAL, 2048, 512, R(FLOOR), 2048,
     R(CEILING), R(NONE)},
    {"no swap, on a critical host", T_SWAPLESS | T_FAST | T_CRITICAL, 2048, 1164, R(SWAPLESS), 2048,
     R(CEILING), R(NONE)},
    {"hurting before reboot", T_HURTING | T_REBOOT | T_PROTECTED, 1500, 1500, R(HURTING), 2048, R(CEILING),
     R(NONE)},
    {"distress before hurting", T_HURTING | T_DISTRESS, 1500, 1500, R(DISTRESS), 2048, R(CEILING), R(NONE)},
    {"grace before protected", T_PROTECTED | T_GRACE, 1500, 1500, R(GRACE), 2048, R(CEILING), R(NONE)},
    {"protected before no stats", T_PROTECTED | T_NEVER, 1500, 1500, R(PROTECTED), 2048, R(CEILING), R(NONE)},

    {"no agent: half of what it has available", T_LIBVIRT | T_FAST, 2048, 1536, R(AGENTLESS), 2048,
     R(CEILING), R(NONE)},
    {"no agent: half of what it had at its full size", T_LIBVIRT | T_FAST, 1500, 1262, R(AGENTLESS), 2048,
     R(CEILING), R(NONE)},
    {"no agent, a step", T_LIBVIRT, 2048, 1792, R(STEP), 2048, R(CEILING), R(NONE)},
    {"no agent, no swap, much available: the stricter", T_LIBVIRT | T_SWAPLESS | T_FAST, 2048, 1536,
     R(AGENTLESS), 2048, R(CEILING), R(NONE)},
    {"no agent, no swap, little available: the stricter", T_LIBVIRT | T_SWAPLESS | T_TIGHT | T_FAST, 2048,
     2048, R(SWAPLESS), 2048, R(CEILING), R(NONE)},
    {"no agent, and what it has available is unknown", T_LIBVIRT | T_USE_UNKNOWN | T_FAST, 1500, 1500,
     R(AGENTLESS), 2048, R(CEILING), R(NONE)},
    {"no agent, stale", T_LIBVIRT | T_STALE, 1500, 1500, R(STALE), 2048, R(CEILING), R(NONE)},
    {"no agent, on a critical host", T_LIBVIRT | T_FAST | T_CRITICAL, 2048, 1536, R(AGENTLESS), 2048,
     R(CEILING), R(NONE)},
    {"no stats, on a critical host", T_NEVER | T_FAST | T_CRITICAL, 1500, 1500, R(AGENTLESS), 2048,
     R(CEILING), R(NONE)},

    {"may grow, and needs nothing", T_GROWTH, 2048, 1792, R(STEP), 2048, R(CEILING), R(NONE)},
    {"may grow, in distress", T_GROWTH | T_DISTRESS, 2048, 2048, R(DISTRESS), 3072, R(CEILING), R(NONE)},
    {"has grown, in distress", T_GROWTH | T_DISTRESS, 2560, 2560, R(DISTRESS), 3072, R(CEILING), R(NONE)},
    {"has grown above what it may, in distress", T_GROWTH | T_DISTRESS, 3500, 3500, R(DISTRESS), 3500,
     R(CEILING), R(NONE)},
    {"has grown", T_GROWTH, 2560, 2304, R(STEP), 2304, R(CEILING), R(NONE)},
    {"has grown, and hurts", T_GROWTH | T_HURTING, 2560, 2560, R(HURTING), 2560, R(CEILING), R(NONE)},

    {"above full: comes down a step", 0, 2560, 2304, R(STEP), 2304, R(CEILING), R(NONE)},
    {"above full, fast: to what fits its swap", T_FAST, 2560, 824, R(SWAPLESS), 2048, R(CEILING), R(NONE)},
    {"above full, stale: stays", T_STALE, 2560, 2560, R(STALE), 2560, R(CEILING), R(NONE)},
};

START_TEST(test_rules)
{
    SnapshotGuest g = guest_with(rules[_i].traits);
    GuestBounds b;

    fixture_size(&g, rules[_i].current * MIB);
    b = bounds_on(&g, rules[_i].traits & T_CRITICAL ? 5 * GIB - 1 : 5 * GIB);
    /* In whole MiB, upwards: what is needed without swap isn't one. */
    ck_assert_msg((b.least_bytes + MIB - 1) / MIB == rules[_i].least, "%s: least %" PRIu64 " KiB",
                  rules[_i].what, b.least_bytes / KIB);
    ck_assert_msg(b.most_bytes == rules[_i].most * MIB, "%s: most %" PRIu64 " KiB", rules[_i].what,
                  b.most_bytes / KIB);
    ck_assert_msg(b.least_rule == rules[_i].least_rule, "%s: least by %s", rules[_i].what,
                  guard_rule_to_string(b.least_rule));
    ck_assert_msg(b.most_rule == rules[_i].most_rule, "%s: most by %s", rules[_i].what,
                  guard_rule_to_string(b.most_rule));
    ck_assert_msg(b.hold == rules[_i].hold, "%s: held by %s", rules[_i].what, guard_rule_to_string(b.hold));
}
END_TEST

/* The first property that doesn't hold; NULL if all do. They hold for every combination. */
static const char *broken(unsigned traits, uint64_t stands, const GuestBounds *b)
{
    const unsigned hold = T_OFF | T_UNMOVABLE | T_BUSY | T_UNKNOWN | T_SQUEEZED;
    const unsigned keep = T_STALE | T_NEVER | T_GRACE | T_RELEASED | T_DISTRESS | T_REBOOT | T_STALLED |
                          T_MOVING | (traits & T_CRITICAL ? 0 : T_HURTING | T_PROTECTED);
    const unsigned needs = T_SWAPLESS | T_SWAP_UNKNOWN | T_USE_UNKNOWN | T_SWAP_FULL | T_SLOW | T_NEEDED;
    uint64_t ceiling = (traits & T_GROWTH && traits & T_DISTRESS ? 3072 : 2048) * MIB;

    if (b->least_bytes > b->most_bytes)
        return "least is above most";
    if ((b->hold != GUARD_RULE_NONE) != !!(traits & hold))
        return "held without a reason, or not held";
    if (traits & hold)
        return b->least_bytes == stands && b->most_bytes == stands ? NULL : "held, and may be moved";
    if (b->least_bytes < 512 * MIB)
        return "may go below its floor";
    if (b->most_bytes != MAX(ceiling, b->least_bytes))
        return "most isn't its full size, nor what it may grow to";
    if (b->least_bytes > MAX(stands, 512 * MIB))
        return "made to grow by something else than its floor";
    if (traits & keep)
        return b->least_bytes >= stands ? NULL : "may be shrunk";
    if (traits & T_NEEDED && !(traits & T_CRITICAL) && b->least_bytes < MIN(stands, 1400 * MIB))
        return "may be shrunk below what it was found to need";
    if (traits & T_LIBVIRT && b->least_bytes < LESS_BY(stands, 512 * MIB))
        return "may be shrunk by more than half of what it has available, without agent";
    if (stands > 512 * MIB && !(traits & needs) && b->least_bytes >= stands)
        return "may not be shrunk, and nothing forbids it";
    return NULL;
}

static void check_combination(unsigned traits)
{
    static const unsigned sizes[] = {300, 512, 1500, 2048, 2560};

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        SnapshotGuest g = guest_with(traits);
        GuestBounds b;
        const char *why;

        fixture_size(&g, sizes[i] * MIB);
        if (traits & T_UNKNOWN)
            g.sizes.current_bytes = 0;
        b = bounds_on(&g, traits & T_CRITICAL ? GIB : 50 * GIB);
        why = broken(traits, sizes[i] * MIB, &b);
        if (why)
            ck_abort_msg("traits %#x at %u MiB: %s (least %" PRIu64 ", most %" PRIu64 " KiB)", traits,
                         sizes[i], why, b.least_bytes / KIB, b.most_bytes / KIB);
    }
}

START_TEST(test_all_combinations)
{
    /* Combined with each strain of a guest, and each source of stats. */
    static const unsigned some[] = {0,         T_BUSY,   T_STALE,   T_NEVER,    T_GRACE,
                                    T_REBOOT,  T_MOVING, T_STALLED, T_SWAPLESS, T_SWAP_FULL,
                                    T_OBSERVE, T_SLOW,   T_FAST,    T_RELEASED, T_SQUEEZED};

    for (unsigned traits = 0; traits < 1U << 18; traits++)
        check_combination(traits);
    for (unsigned more = 0; more < 1U << 6; more++)
        for (size_t i = 0; i < ELEMENTSOF(some); i++)
            for (size_t j = 0; j <= i; j++) {
                unsigned traits = more << 21 | some[i] | some[j];

                check_combination(traits);
                check_combination(traits | T_DISTRESS);
            }
}
END_TEST

/* A guest of which something isn't known, or whose numbers make no sense. */
START_TEST(test_odd_sizes)
{
    SnapshotGuest g = fixture_guest();
    GuestBounds b;

    g.sizes.current_bytes = 0;
    b = bounds_of(&g);
    ck_assert_int_eq(b.hold, GUARD_RULE_STALE);

    g = fixture_guest();
    g.sizes.full_bytes = 0;
    b = bounds_of(&g);
    ck_assert_int_eq(b.hold, GUARD_RULE_STALE);
    ck_assert_uint_eq(b.least_bytes, g.sizes.standing_bytes);

    /* Full is never above the maximum, nor the floor above full. */
    g = fixture_guest();
    g.sizes.maximum_bytes = GIB;
    g.sizes.floor_bytes = 8 * GIB;
    fixture_size(&g, 512 * MIB);
    b = bounds_of(&g);
    ck_assert_uint_eq(b.least_bytes, GIB);
    ck_assert_uint_eq(b.most_bytes, GIB);

    /* Bounds that may be sent are whole KiB. */
    g = fixture_guest();
    g.sizes.full_bytes = 2 * GIB - 1;
    g.sizes.floor_bytes = 512 * MIB + 1;
    g.balloon.shrink_rate = 10.0 * (double) GIB;
    fixture_size(&g, GIB);
    b = bounds_of(&g);
    ck_assert_uint_eq(b.least_bytes, 512 * MIB + KIB);
    ck_assert_uint_eq(b.most_bytes, 2 * GIB - KIB);

    /* A guest that says it has more available than it has, or not a number. */
    g = guest_with(T_SWAPLESS | T_FAST);
    guest_fields_set(&g.fields, GUEST_FIELD_AVAILABLE, 1e300);
    ck_assert_uint_eq(bounds_of(&g).least_bytes, 512 * MIB);
    guest_fields_set(&g.fields, GUEST_FIELD_AVAILABLE, __builtin_nan(""));
    ck_assert_uint_eq(bounds_of(&g).least_bytes, 2 * GIB);

    /* Its need counts no further than the size that it may have. */
    g = guest_with(T_FAST);
    g.judgement.needed_bytes = UINT64_MAX;
    fixture_size(&g, 2 * GIB);
    ck_assert_uint_eq(bounds_of(&g).least_bytes, 2 * GIB);
    g.sizes.maximum_bytes = 4 * GIB;
    fixture_size(&g, 4 * GIB);
    ck_assert_int_eq(bounds_of(&g).least_rule, GUARD_RULE_SWAPLESS);
    ck_assert_uint_eq(bounds_of(&g).most_bytes, bounds_of(&g).least_bytes);
    g.sizes.growth_bytes = 3 * GIB + 1;
    ck_assert_uint_eq(bounds_of(&g).least_bytes, 3 * GIB);

    /* Nor is growth above the maximum, or where that isn't known. */
    g = guest_with(T_GROWTH | T_DISTRESS);
    g.sizes.growth_bytes = UINT64_MAX;
    ck_assert_uint_eq(bounds_of(&g).most_bytes, 4 * GIB);
    ck_assert_uint_eq(guard_full(&g), 2 * GIB);
    g.sizes.maximum_bytes = 0;
    ck_assert_uint_eq(bounds_of(&g).most_bytes, 2 * GIB);
    g.sizes.maximum_bytes = 4 * GIB;
    g.sizes.growth_bytes = GIB;
    ck_assert_uint_eq(bounds_of(&g).most_bytes, 2 * GIB);

    /* Without agent, available that isn't a number is none. */
    g = guest_with(T_LIBVIRT | T_FAST);
    guest_fields_set(&g.fields, GUEST_FIELD_AVAILABLE, __builtin_nan(""));
    ck_assert_uint_eq(bounds_of(&g).least_bytes, 2 * GIB);
    guest_fields_set(&g.fields, GUEST_FIELD_AVAILABLE, 1e300);
    ck_assert_uint_eq(bounds_of(&g).least_bytes, 512 * MIB);

    /* Without MemAvailable, what isn't free counts as used. */
    g = guest_with(T_SWAPLESS | T_FAST);
    field_set_remove(&g.fields.present, GUEST_FIELD_AVAILABLE);
    ck_assert_uint_eq(bounds_of(&g).least_bytes / MIB, 1536 * 100 / 88);
}
END_TEST

/* Swap counts by what is left of it, not by whether there is any. */
START_TEST(test_b_swap_counts_by_what_is_left)
{
    static const struct {
        double total, free; /* GiB; negative: not known */
        double critical;
    } rows[] = {{8, 8, 5},     {5, 5, 5},  {5, -1, 5}, {-1, 5, 5},
                {8, 2.5, 7.5}, {8, 0, 10}, {0, 0, 10}, {0.001, 0.001, 9.999},
                {-1, -1, 5},   {1, 8, 9}};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        HostFields host = {};

        host_fields_set(&host, HOST_FIELD_TOTAL, 100.0 * GIB);
        if (rows[i].total >= 0)
            host_fields_set(&host, HOST_FIELD_SWAP_TOTAL, rows[i].total * GIB);
        if (rows[i].free >= 0)
            host_fields_set(&host, HOST_FIELD_SWAP_FREE, rows[i].free * GIB);
        ck_assert_double_eq_tol((double) guard_critical(&config, &host) / GIB, rows[i].critical, 1e-6);
    }
}
END_TEST

/* Swap that is kept in the guest's memory (zram) makes no room. */
START_TEST(test_b_zram_is_no_swap)
{
    SnapshotGuest g = guest_with(T_FAST), without = guest_with(T_SWAPLESS | T_FAST);

    guest_fields_set(&g.fields, GUEST_FIELD_SWAP_MEMORY, 1.0 * GIB);
    guest_fields_set(&g.fields, GUEST_FIELD_SWAP_TOTAL, 0);
    ck_assert_uint_eq(guard_swap_left(&g.fields), 0);
    ck_assert(!guard_can_swap(&g, &config));
    ck_assert_uint_eq(bounds_of(&g).least_bytes, bounds_of(&without).least_bytes);
}
END_TEST

/* earlyoom kills with a tenth of all swap free, and systemd-oomd, too. */
START_TEST(test_g_a_tenth_of_a_guests_swap_is_no_room)
{
    static const struct {
        double total, free, memory; /* MiB; free negative: not known */
        uint64_t left_mib;
    } rows[] = {{1000, 1000, 0, 900}, {1000, -1, 0, 900},    {1000, 100, 0, 0},       {1000, 50, 0, 0},
                {1000, 150, 0, 50},   {1000, 1000, 9000, 0}, {1000, 1000, 1000, 800}, {1000, 2000, 0, 900},
                {0, 0, 1000, 0},      {1000, 1000, 1e300, 0}};
    SnapshotGuest g = guest_with(T_FAST), without = guest_with(T_SWAPLESS | T_FAST);

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_TOTAL, rows[i].total * MIB);
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_MEMORY, rows[i].memory * MIB);
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_FREE, rows[i].free * MIB);
        if (rows[i].free < 0)
            field_set_remove(&g.fields.present, GUEST_FIELD_SWAP_FREE);
        ck_assert_msg(guard_swap_left(&g.fields) / MIB == rows[i].left_mib, "row %zu: %" PRIu64, i,
                      guard_swap_left(&g.fields) / MIB);
    }
    guest_fields_set(&g.fields, GUEST_FIELD_SWAP_MEMORY, 0);
    guest_fields_set(&g.fields, GUEST_FIELD_SWAP_FREE, 100.0 * MIB);
    ck_assert_uint_eq(bounds_of(&g).least_bytes, bounds_of(&without).least_bytes);
}
END_TEST

/* A killer in the guest doesn't count ZFS's cache as available. */
START_TEST(test_g_a_guest_without_swap_keeps_its_reserve_without_zfs)
{
    SnapshotGuest g = guest_with(T_SWAPLESS | T_FAST);
    double available = guest_fields_get(&g.fields, GUEST_FIELD_AVAILABLE), arc = available / 2;
    uint64_t before = g.sizes.current_bytes, least;

    guest_fields_set(&g.fields, GUEST_FIELD_ARC, arc);
    least = bounds_of(&g).least_bytes;
    ck_assert_int_eq(bounds_of(&g).least_rule, GUARD_RULE_SWAPLESS);
    ck_assert_uint_lt(least, before);
    ck_assert_double_gt(available - arc - (double) (before - least), 0.11 * (double) least);
}
END_TEST

/* Killers in guests act at 10 % available. */
START_TEST(test_b_a_guest_without_swap_keeps_more_than_a_tenth)
{
    SnapshotGuest g = guest_with(T_SWAPLESS | T_FAST);
    uint64_t least = bounds_of(&g).least_bytes, used = 1024 * MIB;

    ck_assert_double_gt((double) (least - used) / (double) least, 0.11);
}
END_TEST

/* With strict overcommit allocations fail at a limit that falls with the guest's size. */
START_TEST(test_b_strict_overcommit_keeps_what_is_committed)
{
    static const struct {
        double committed, limit, swap; /* MiB, of 2048 that MemTotal is */
        uint64_t least_mib;
    } rows[] = {
        {1000, 2048, 0, 1164},   /* as without: it uses 1024 */
        {1500, 2048, 0, 1680},   /* a limit of all its memory: 1500 and 12 % stay */
        {1500, 3072, 1024, 656}, /* and of its swap: 1680 - 1024 */
        {900, 1024, 0, 2016},    /* half of its memory: 1008 of 1024 are spoken for */
        {2000, 2048, 0, 2048},   /* nothing is left */
        {4000, 2048, 0, 2048},   /* nor here */
        {1500, 512, 512, 703},   /* a limit without its memory does not fall with it */
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        SnapshotGuest g = guest_with(rows[i].swap > 0 ? T_FAST : T_SWAPLESS | T_FAST);
        GuestBounds b;

        guest_fields_set(&g.fields, GUEST_FIELD_TOTAL, 2048.0 * MIB);
        guest_fields_set(&g.fields, GUEST_FIELD_COMMITTED, rows[i].committed * MIB);
        guest_fields_set(&g.fields, GUEST_FIELD_COMMIT_LIMIT, rows[i].limit * MIB);
        if (rows[i].swap > 0) {
            guest_fields_set(&g.fields, GUEST_FIELD_SWAP_TOTAL, rows[i].swap * MIB);
            guest_fields_set(&g.fields, GUEST_FIELD_SWAP_FREE, rows[i].swap * MIB);
        }
        b = bounds_of(&g);
        ck_assert_msg((b.least_bytes + MIB / 2) / MIB == rows[i].least_mib, "row %zu: %" PRIu64 " KiB", i,
                      b.least_bytes / KIB);
    }
}
END_TEST

/* What a guest without swap was found to need counts on a critical host, too: it would have to kill. */
START_TEST(test_b_a_critical_host_spares_a_guest_that_cannot_swap)
{
    for (int swapless = 0; swapless <= 1; swapless++) {
        SnapshotGuest g = guest_with((swapless ? T_SWAPLESS : 0) | T_NEEDED | T_FAST | T_CRITICAL),
                      p = guest_with((swapless ? T_SWAPLESS : 0) | T_PROTECTED | T_FAST | T_CRITICAL);

        ck_assert_uint_eq(bounds_on(&g, 4 * GIB).least_bytes / MIB, swapless ? 1400 : 512);
        ck_assert_uint_eq(bounds_on(&p, 4 * GIB).least_bytes / MIB, swapless ? 2048 : 512);
    }
}
END_TEST

START_TEST(test_room)
{
    SnapshotGuest guests[3] = {fixture_guest(), fixture_guest(), fixture_guest()};
    Snapshot s = {.guests = guests, .n_guests = 3, .host = fixture_host(10 * GIB + 640 * MIB)};

    /* The memory above the critical 5 GiB and an eighth of that. */
    ck_assert_uint_eq(guard_room(&s, &config), 5 * GIB);

    /* Growth that is on its way is spoken for; what a shrink will bring doesn't count before it came. */
    guests[0].sizes.current_bytes = GIB;
    guests[1].sizes.standing_bytes = GIB;
    ck_assert_uint_eq(guard_room(&s, &config), 4 * GIB);

    /* So is what was outstanding, of which that growth is part. */
    guests[0].sizes.outstanding_bytes = 1536 * MIB;
    ck_assert_uint_eq(guard_room(&s, &config), 3584 * MIB);
    guests[0].sizes.outstanding_bytes = 512 * MIB;
    guests[2].sizes.outstanding_bytes = GIB;
    ck_assert_uint_eq(guard_room(&s, &config), 3 * GIB);

    guests[2].sizes.outstanding_bytes = UINT64_MAX;
    ck_assert_uint_eq(guard_room(&s, &config), 0);
    guests[2].sizes.outstanding_bytes = 0;

    s.host = fixture_host(5 * GIB + 639 * MIB);
    ck_assert_uint_eq(guard_room(&s, &config), 0);
    s.host = fixture_host(0);
    ck_assert_uint_eq(guard_room(&s, &config), 0);
    s.host.present = (FieldSet){};
    ck_assert_uint_eq(guard_room(&s, &config), 0);
}
END_TEST

/* What the balloon of a squeezed guest lets go of has been the guest's all the time: nothing is given to it. */
START_TEST(test_room_beside_a_squeeze)
{
    static const struct {
        uint64_t current, standing, outstanding; /* MiB, of a guest of 2048 */
        bool squeezed;
        uint64_t coming, room;
    } table[] = {
        {2048, 2048, 0, false, 0, 5120},      {1024, 2048, 0, false, 1024, 4096},
        {2048, 1024, 0, false, 0, 5120},      {2048, 1024, 0, true, 0, 5120},
        {1024, 1024, 0, true, 0, 5120},       {1024, 2048, 0, true, 0, 5120},
        {1024, 2048, 512, false, 1024, 4096}, {1024, 2048, 512, true, 0, 4608},
        {0, 2048, 0, false, 0, 5120},         {0, 2048, 0, true, 0, 5120},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        SnapshotGuest g = fixture_guest();
        Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(10 * GIB + 640 * MIB)};

        g.sizes.current_bytes = table[i].current * MIB;
        g.sizes.standing_bytes = table[i].standing * MIB;
        g.sizes.outstanding_bytes = table[i].outstanding * MIB;
        g.balloon.squeezed = table[i].squeezed;
        ck_assert_msg(guard_coming(&g) == table[i].coming * MIB, "row %zu: %" PRIu64 " MiB coming", i,
                      guard_coming(&g) / MIB);
        ck_assert_msg(guard_room(&s, &config) == table[i].room * MIB, "row %zu: room for %" PRIu64 " MiB", i,
                      guard_room(&s, &config) / MIB);
    }
}
END_TEST

/* What a guest is still to get is bounded by our own move, whatever size it says that it has. */
START_TEST(test_a1_growth_on_its_way_is_what_we_added)
{
    static const struct {
        uint64_t current, from, standing; /* MiB */
        bool late;
        uint64_t coming;
    } table[] = {
        {1024, 1024, 1536, false, 512}, {1280, 1024, 1536, false, 256}, {0, 1024, 1536, false, 0},
        {1, 1024, 1536, false, 512},    {4096, 1024, 1536, false, 0},   {1024, 1024, 1536, true, 0},
        {1, 1536, 1536, false, 0},      {1, 2048, 1536, false, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        SnapshotGuest g = fixture_guest();

        g.sizes.current_bytes = table[i].current * MIB;
        g.sizes.from_bytes = table[i].from * MIB;
        g.sizes.standing_bytes = table[i].standing * MIB;
        g.balloon.late = table[i].late;
        ck_assert_msg(guard_coming(&g) == table[i].coming * MIB, "row %zu: %" PRIu64 " MiB", i,
                      guard_coming(&g) / MIB);
    }
}
END_TEST

START_TEST(test_names)
{
    for (int r = 0; r < GUARD_RULE_MAX; r++) {
        ck_assert_ptr_nonnull(guard_rule_to_string(r));
        ck_assert(strlen(guard_rule_describe(r)) > 10);
        for (int other = 0; other < r; other++)
            ck_assert_str_ne(guard_rule_to_string(r), guard_rule_to_string(other));
    }
    ck_assert_str_eq(guard_rule_to_string(GUARD_RULE_DEAD_BAND), "dead-band");
    ck_assert_ptr_null(guard_rule_to_string(GUARD_RULE_MAX));
    ck_assert_ptr_null(guard_rule_to_string(GUARD_RULE_INVALID));

    for (int m = 0; m < GUEST_MODE_MAX; m++)
        ck_assert_int_eq(guest_mode_from_string(guest_mode_to_string(m)), m);
    ck_assert_int_eq(guest_mode_from_string("Auto"), GUEST_MODE_INVALID);
    ck_assert_int_eq(guest_mode_from_string(""), GUEST_MODE_INVALID);
    ck_assert_int_eq(guest_mode_from_string(NULL), GUEST_MODE_INVALID);
    ck_assert_str_eq(guest_source_to_string(GUEST_SOURCE_AGENT), "agent");
    ck_assert_str_eq(guest_source_to_string(GUEST_SOURCE_LIBVIRT), "libvirt");
    ck_assert_str_eq(guest_source_to_string(GUEST_SOURCE_NONE), "none");
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("guard");

    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, test_floor, 0, (int) ELEMENTSOF(floors));
    tcase_add_test(t, test_critical);
    tcase_add_test(t, test_no_host_swap);
    tcase_add_test(t, test_b_swap_counts_by_what_is_left);
    tcase_add_test(t, test_b_zram_is_no_swap);
    tcase_add_test(t, test_g_a_tenth_of_a_guests_swap_is_no_room);
    tcase_add_test(t, test_g_a_guest_without_swap_keeps_its_reserve_without_zfs);
    tcase_add_test(t, test_b_a_guest_without_swap_keeps_more_than_a_tenth);
    tcase_add_test(t, test_b_strict_overcommit_keeps_what_is_committed);
    tcase_add_test(t, test_b_a_critical_host_spares_a_guest_that_cannot_swap);
    tcase_add_loop_test(t, test_rules, 0, (int) ELEMENTSOF(rules));
    tcase_add_test(t, test_all_combinations);
    tcase_add_test(t, test_odd_sizes);
    tcase_add_test(t, test_room);
    tcase_add_test(t, test_room_beside_a_squeeze);
    tcase_add_test(t, test_a1_growth_on_its_way_is_what_we_added);
    tcase_add_test(t, test_names);
    return run_tests(t);
}
