/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a plan decides about g.reclaim: how much a guest is to hand back, the rule that set it, and the reason given. */

#include <math.h>
#include <string.h>

#include "tests/unit/plan-make.h"

#define RECLAIM(size) "for g in guests { g.reclaim = " size " because \"cold cache\" }"
#define BOTH(target, size) \
    "for g in guests { g.target = " target " because \"gives\"; g.reclaim = " size " because \"cold cache\" }"

/* The fixture's guest stands at 2 GiB. Of its 512 MiB of free memory 16 are its low watermark, and it has 512 MiB of
 * page cache: 1008 MiB that it could hand back. It has 600 MiB of anonymous memory and 1 GiB of free swap. Host:
 * available of 100 GiB; it is critical below 5. It has free page reporting, unless a balloon takes what is
 * asked for. */
typedef struct Case {
    const char *what, *policy;
    unsigned host_gib;                  /* available; 0: 10 */
    unsigned current_mib, standing_mib; /* 0: 2048; as current */
    unsigned idle_mib;                  /* free memory that the host still holds; 0: all of it */
    unsigned swap_free_mib;             /* of 1000; 0: 1024 of as much */
    unsigned floor_mib;                 /* 0: 512 */
    GuestMode mode;
    const char *busy, *unmovable, *ineffective;
    usec_t age_sec, uptime_sec; /* 0: fresh, long up */
    bool no_stats, growing, given_back, distress, released, reboot, stalled, moving, hurting, protected,
        libvirt, no_swap, cacheless;
    bool balloon, squeezed;            /* without free page reporting; and its balloon is at it */
    unsigned wanted_mib, mib, way_mib; /* expected */
    bool anon, send;
    GuardRule rule;
    const char *words[3]; /* in the reason */
} Case;

#define R(rule) GUARD_RULE_##rule

static const Case cases[] = {
    {"a part of it", RECLAIM("300MiB"), .wanted_mib = 300, .mib = 300, .send = true,
     .words = {"hands back 300 MiB: cold cache (test.policy:1)"}},
    {"without words", "for g in guests { g.reclaim = 300MiB }", .wanted_mib = 300, .mib = 300, .send = true,
     .words = {"hands back 300 MiB: asked by the policy (test.policy:1)"}},
    {"all that the guard allows", RECLAIM("g.reclaimable"), .wanted_mib = 1008, .mib = 1008, .send = true},
    {"more than it has", RECLAIM("64GiB"), .wanted_mib = 65536, .mib = 1008, .send = true, .rule = R(SPARE),
     .words =
         {"hands back 1008 MiB: cold cache (test.policy:1), clipped to its idle memory and page cache (spare)"}},
    {"nothing", RECLAIM("0B"), .words = {"hands back nothing (test.policy:1)"}},
    {"idle memory that the host no longer holds doesn't count", RECLAIM("64GiB"), .idle_mib = 100,
     .wanted_mib = 65536, .mib = 612, .send = true, .rule = R(SPARE)},
    {"it has nothing", RECLAIM("100MiB"), .idle_mib = 1, .cacheless = true, .wanted_mib = 100,
     .rule = R(DEAD_BAND),
     .words = {"hands back nothing: less than 4.00 MiB is not worth asking for (dead-band)"}},
    {"too little", RECLAIM("3MiB"), .wanted_mib = 3, .rule = R(DEAD_BAND),
     .words = {"hands back nothing: less than 4.00 MiB is not worth asking for (dead-band)"}},
    {"just enough", RECLAIM("4MiB"), .wanted_mib = 4, .mib = 4, .send = true},
    {"whole KiB", RECLAIM("4MiB + 1B"), .wanted_mib = 4, .mib = 4, .send = true},
    {"the host is at ease", RECLAIM("300MiB"), 90, .wanted_mib = 300, .mib = 300, .send = true},
    {"a guest below its full size", RECLAIM("300MiB"), .current_mib = 1536, .wanted_mib = 300, .mib = 300,
     .send = true},

    /* Anonymous memory. */
    {"not while the host can wait", RECLAIM("2GiB"), 5, .wanted_mib = 2048, .mib = 1008, .send = true,
     .rule = R(SPARE)},
    {"for a critical host", RECLAIM("2GiB"), 4, .wanted_mib = 2048, .mib = 1608, .anon = true, .send = true,
     .rule = R(SPARE),
     .words =
         {"hands back 1.57 GiB, anonymous memory too: cold cache (test.policy:1), clipped to what it has and can "
          "swap out (spare)"}},
    {"only if more is asked than idle memory and page cache", RECLAIM("1008MiB"), 4, .wanted_mib = 1008,
     .mib = 1008, .send = true},
    {"a little more", RECLAIM("1009MiB"), 4, .wanted_mib = 1009, .mib = 1009, .anon = true, .send = true,
     .words = {"hands back 1009 MiB, anonymous memory too: cold cache (test.policy:1)"}},
    {"what the guard allows then", RECLAIM("g.reclaimable"), 4, .wanted_mib = 1608, .mib = 1608, .anon = true,
     .send = true},
    {"no more than its swap takes", RECLAIM("2GiB"), 4, .swap_free_mib = 200, .wanted_mib = 2048, .mib = 1108,
     .anon = true, .send = true, .rule = R(SPARE)},
    {"without swap", RECLAIM("2GiB"), 4, .no_swap = true, .wanted_mib = 2048, .mib = 1008, .send = true,
     .rule = R(SPARE)},

    /* Who is left alone. */
    {"stale", RECLAIM("300MiB"), .age_sec = 12, .wanted_mib = 300, .rule = R(STALE),
     .words = {"hands back nothing: stats are 12s old (stale)"}},
    {"no stats", RECLAIM("300MiB"), .no_stats = true, .wanted_mib = 300, .rule = R(AGENTLESS),
     .words =
         {"hands back nothing: no stats received yet, so it is not known what it could spare (agentless)"}},
    {"busy", RECLAIM("300MiB"), .busy = "paused", .wanted_mib = 300, .rule = R(BUSY),
     .words = {"hands back nothing: paused (busy)"}},
    {"off", RECLAIM("300MiB"), .mode = GUEST_MODE_OFF, .wanted_mib = 300, .rule = R(OFF),
     .words = {"hands back nothing: its mode is off (off)"}},
    {"grace", RECLAIM("300MiB"), .uptime_sec = 30, .wanted_mib = 300, .rule = R(GRACE),
     .words = {"hands back nothing: known for 30s, left alone for the first 45s (grace)"}},
    {"released", RECLAIM("300MiB"), .released = true, .wanted_mib = 300, .rule = R(GRACE)},
    {"rebooted", RECLAIM("300MiB"), .reboot = true, .wanted_mib = 300, .rule = R(REBOOT)},
    {"in distress", RECLAIM("300MiB"), .distress = true, .wanted_mib = 300, .rule = R(DISTRESS),
     .words = {"hands back nothing: it is in distress (distress)"}},
    {"hurting", RECLAIM("300MiB"), .hurting = true, .wanted_mib = 300, .rule = R(HURTING)},
    {"protected", RECLAIM("300MiB"), .protected = true, .wanted_mib = 300, .rule = R(PROTECTED),
     .words = {"hands back nothing: a shrink hurt it, so it is not shrunk again for a while (protected)"}},
    {"hurting while the host is critical", RECLAIM("300MiB"), 4, .hurting = true, .wanted_mib = 300,
     .rule = R(HURTING)},
    {"protected while the host is critical", RECLAIM("300MiB"), 4, .protected = true, .wanted_mib = 300,
     .rule = R(PROTECTED)},
    {"unmovable", RECLAIM("300MiB"), .unmovable = "hostdev", .wanted_mib = 300, .rule = R(UNMOVABLE),
     .words = {"hands back nothing: the host would not get it: hostdev (unmovable)"}},
    {"ineffective", RECLAIM("300MiB"), .ineffective = "RSS didn't fall", .wanted_mib = 300,
     .rule = R(UNMOVABLE),
     .words = {"hands back nothing: the host would not get it: RSS didn't fall (unmovable)"}},
    {"moving", RECLAIM("300MiB"), .moving = true, .wanted_mib = 300, .rule = R(STEP),
     .words = {"hands back nothing: its last move is not finished, or no newer stats have come (step)"}},
    {"takes memory", RECLAIM("300MiB"), .growing = true, .wanted_mib = 300, .rule = R(AHEAD),
     .words = {"hands back nothing: it took memory lately, and may take more (ahead)"}},
    {"takes memory while the host is critical", RECLAIM("300MiB"), 4, .growing = true, .wanted_mib = 300,
     .rule = R(AHEAD)},
    {"was given back, and grew lately", RECLAIM("300MiB"), 4, .given_back = true, .wanted_mib = 300,
     .rule = R(AHEAD)},
    {"a stalled balloon is no reason", RECLAIM("300MiB"), .stalled = true, .wanted_mib = 300, .mib = 300,
     .send = true},
    {"a growth that stalled", RECLAIM("300MiB"), .current_mib = 1536, .standing_mib = 1700, .stalled = true,
     .wanted_mib = 300, .rule = R(STEP)},
    {"a stalled balloon that moves", RECLAIM("300MiB"), .stalled = true, .moving = true, .wanted_mib = 300,
     .rule = R(STEP)},
    {"observed", RECLAIM("300MiB"), .mode = GUEST_MODE_OBSERVE, .wanted_mib = 300, .mib = 300,
     .rule = R(OBSERVE), .words = {"would hand back 300 MiB: cold cache (test.policy:1) (observe)"}},
    {"observed and clipped", RECLAIM("64GiB"), .mode = GUEST_MODE_OBSERVE, .wanted_mib = 65536, .mib = 1008,
     .rule = R(OBSERVE),
     .words = {"(test.policy:1), clipped to its idle memory and page cache (spare) (observe)"}},
    {"observed and stale", RECLAIM("300MiB"), .mode = GUEST_MODE_OBSERVE, .age_sec = 12, .wanted_mib = 300,
     .rule = R(STALE)},

    /* Without an agent: half of the 1 GiB that it has available. */
    {"without an agent", RECLAIM("64GiB"), .libvirt = true, .wanted_mib = 65536, .mib = 512, .send = true,
     .rule = R(AGENTLESS),
     .words = {"(test.policy:1), clipped to a part of its available memory: it has no agent (agentless)"}},
    {"without an agent, within its part", RECLAIM("300MiB"), .libvirt = true, .wanted_mib = 300, .mib = 300,
     .send = true},
    {"without an agent, what it gave counts", RECLAIM("64GiB"), .libvirt = true, .current_mib = 1536,
     .wanted_mib = 65536, .mib = 256, .send = true, .rule = R(AGENTLESS)},
    {"without an agent, no more than it has", RECLAIM("64GiB"), .libvirt = true, .cacheless = true,
     .idle_mib = 100, .wanted_mib = 65536, .mib = 100, .send = true, .rule = R(SPARE)},

    /* Beside a move in the same cycle. */
    {"a shrink takes free memory first", BOTH("1848MiB", "64GiB"), .wanted_mib = 65536, .mib = 808,
     .send = true, .rule = R(SPARE)},
    {"a shrink leaves enough", BOTH("1848MiB", "300MiB"), .wanted_mib = 300, .mib = 300, .send = true},
    {"a shrink takes all of it", BOTH("1848MiB", "300MiB"), .idle_mib = 150, .cacheless = true,
     .wanted_mib = 300, .rule = R(SPARE),
     .words = {"hands back nothing: its shrink takes all that it can spare (spare)"}},
    {"a guest that grows", BOTH("1700MiB", "300MiB"), 50, .current_mib = 1536, .wanted_mib = 300,
     .rule = R(STEP), .words = {"hands back nothing: it is given memory (step)"}},
    {"a move that isn't made", BOTH("2046MiB", "300MiB"), .wanted_mib = 300, .mib = 300, .send = true},

    /* By its balloon, which takes 1536 MiB at most: the floor is at 512. */
    {"its balloon takes a part", RECLAIM("300MiB"), .balloon = true, .wanted_mib = 300, .mib = 300,
     .send = true, .words = {"hands back 300 MiB: cold cache (test.policy:1)"}},
    {"its balloon takes no more than it has", RECLAIM("64GiB"), .balloon = true, .wanted_mib = 65536,
     .mib = 1008, .send = true, .rule = R(SPARE)},
    {"free memory that the host doesn't hold is in the way", RECLAIM("300MiB"), .balloon = true,
     .idle_mib = 100, .wanted_mib = 300, .mib = 300, .way_mib = 396, .send = true},
    {"what is in the way is no gain", RECLAIM("64GiB"), .balloon = true, .idle_mib = 100, .wanted_mib = 65536,
     .mib = 612, .way_mib = 396, .send = true, .rule = R(SPARE)},
    {"with reporting nothing is in the way", RECLAIM("300MiB"), .idle_mib = 100, .wanted_mib = 300,
     .mib = 300, .send = true},
    {"the floor bounds its balloon", RECLAIM("64GiB"), .balloon = true, .floor_mib = 1400,
     .wanted_mib = 65536, .mib = 648, .send = true, .rule = R(FLOOR),
     .words =
         {"hands back 648 MiB: cold cache (test.policy:1), clipped to what its balloon may take (floor)"}},
    {"the floor doesn't bound its kernel", RECLAIM("64GiB"), .floor_mib = 1400, .wanted_mib = 65536,
     .mib = 1008, .send = true, .rule = R(SPARE)},
    {"the floor bounds what is in the way, too", RECLAIM("64GiB"), .balloon = true, .floor_mib = 1400,
     .idle_mib = 100, .wanted_mib = 65536, .mib = 252, .way_mib = 396, .send = true, .rule = R(FLOOR)},
    {"as much in the way as its balloon may take", RECLAIM("300MiB"), .balloon = true, .floor_mib = 1652,
     .idle_mib = 100, .wanted_mib = 300, .way_mib = 396, .rule = R(FLOOR), .words = {"hands back nothing: "}},
    {"more in the way than its balloon may take", RECLAIM("300MiB"), .balloon = true, .floor_mib = 1700,
     .idle_mib = 100, .wanted_mib = 300, .way_mib = 396, .rule = R(FLOOR), .words = {"(floor)"}},
    {"at its floor", RECLAIM("300MiB"), .balloon = true, .floor_mib = 2048, .wanted_mib = 300,
     .rule = R(FLOOR)},
    {"it uses 528 MiB, and cannot swap", RECLAIM("64GiB"), .balloon = true, .current_mib = 1552,
     .no_swap = true, .wanted_mib = 65536, .mib = 952, .send = true, .rule = R(SWAPLESS),
     .words = {"clipped to what its balloon may take (swapless)"}},
    {"it uses 528 MiB, and can swap a little", RECLAIM("64GiB"), .balloon = true, .current_mib = 1552,
     .swap_free_mib = 110, .wanted_mib = 65536, .mib = 962, .send = true, .rule = R(SWAPLESS)},
    {"it cannot swap, and its kernel hands back", RECLAIM("64GiB"), .current_mib = 1524, .no_swap = true,
     .wanted_mib = 65536, .mib = 1008, .send = true, .rule = R(SPARE)},
    {"its balloon takes no more for a critical host", RECLAIM("2GiB"), 4, .balloon = true, .wanted_mib = 2048,
     .mib = 1536, .anon = true, .send = true, .rule = R(FLOOR),
     .words = {"hands back 1.50 GiB, anonymous memory too: cold cache"}},
    {"its balloon, without an agent", RECLAIM("64GiB"), .balloon = true, .libvirt = true, .wanted_mib = 65536,
     .mib = 512, .send = true, .rule = R(AGENTLESS)},
    {"its balloon, without an agent, and memory in the way", RECLAIM("64GiB"), .balloon = true,
     .libvirt = true, .idle_mib = 100, .wanted_mib = 65536, .mib = 116, .way_mib = 396, .send = true,
     .rule = R(AGENTLESS)},
    {"its balloon stalled", RECLAIM("300MiB"), .balloon = true, .stalled = true, .wanted_mib = 300,
     .rule = R(STALLED),
     .words = {"hands back nothing: its balloon made no progress; waiting before the next try (stalled)"}},
    {"squeezed already", RECLAIM("300MiB"), .balloon = true, .squeezed = true, .wanted_mib = 300,
     .rule = R(SQUEEZED),
     .words = {"hands back nothing: its balloon takes memory and lets go of it at once (squeezed)"}},
    {"squeezed, and the host is critical", RECLAIM("300MiB"), 4, .balloon = true, .squeezed = true,
     .wanted_mib = 300, .rule = R(SQUEEZED)},
    {"a squeeze observed", RECLAIM("300MiB"), .balloon = true, .mode = GUEST_MODE_OBSERVE, .wanted_mib = 300,
     .mib = 300, .rule = R(OBSERVE)},
    {"a shrink is nearer to the floor", BOTH("1848MiB", "64GiB"), .balloon = true, .floor_mib = 1400,
     .wanted_mib = 65536, .mib = 448, .send = true, .rule = R(FLOOR)},
    {"a shrink takes what is in the way", BOTH("1848MiB", "300MiB"), .balloon = true, .idle_mib = 296,
     .wanted_mib = 300, .mib = 300, .way_mib = 200, .send = true},
};

static SnapshotGuest guest_of(const Case *c)
{
    SnapshotGuest g = fixture_guest();

    if (c->current_mib > 0)
        fixture_size(&g, c->current_mib * MIB);
    if (c->standing_mib > 0)
        g.sizes.standing_bytes = c->standing_mib * MIB;
    if (c->floor_mib > 0)
        g.sizes.floor_bytes = c->floor_mib * MIB;
    guest_fields_set(&g.fields, GUEST_FIELD_REPORTING, !c->balloon);
    guest_fields_set(&g.fields, GUEST_FIELD_ANON, 600.0 * MIB);
    if (c->idle_mib > 0)
        guest_fields_set(&g.fields, GUEST_FIELD_IDLE, c->idle_mib * MIB);
    if (c->swap_free_mib > 0) {
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_TOTAL, 1000.0 * MIB);
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_FREE, c->swap_free_mib * MIB);
    }
    if (c->no_swap) {
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_TOTAL, 0);
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_FREE, 0);
    }
    if (c->cacheless)
        guest_fields_set(&g.fields, GUEST_FIELD_CACHE, 0);
    g.mode = c->mode;
    g.busy = c->busy;
    g.unmovable = c->unmovable;
    g.released = c->released;
    g.reboot = c->reboot;
    if (c->age_sec > 0)
        g.age_usec = c->age_sec * USEC_PER_SEC;
    if (c->uptime_sec > 0)
        g.uptime_usec = c->uptime_sec * USEC_PER_SEC;
    if (c->libvirt)
        g.source = GUEST_SOURCE_LIBVIRT;
    if (c->no_stats) {
        g.source = GUEST_SOURCE_NONE;
        g.age_usec = USEC_INFINITY;
    }
    g.growth.growing = c->growing;
    g.growth.given_back = c->given_back;
    g.balloon.moving = c->moving;
    g.balloon.stalled = c->stalled;
    g.balloon.squeezed = c->squeezed;
    g.judgement.distress = c->distress;
    g.judgement.hurting = c->hurting;
    g.judgement.protected = c->protected;
    g.judgement.ineffective = c->ineffective;
    return g;
}

START_TEST(test_case)
{
    const Case *c = &cases[_i];
    SnapshotGuest g = guest_of(c);
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host((c->host_gib ?: 10) * GIB)};
    _cleanup_(plan_done) Plan p = {};
    const Reclaim *r;

    make(&s, c->policy, &p);
    r = &p.decisions[0].reclaim;
    ck_assert_msg(r->wanted_bytes / MIB == c->wanted_mib, "%s: wanted %" PRIu64, c->what, r->wanted_bytes);
    ck_assert_msg(r->bytes == c->mib * MIB, "%s: %" PRIu64 " MiB: %s", c->what, r->bytes / MIB, r->reason);
    ck_assert_msg(r->way_bytes == c->way_mib * MIB, "%s: %" PRIu64 " MiB in the way", c->what,
                  r->way_bytes / MIB);
    ck_assert_msg(r->anon == c->anon && r->send == c->send, "%s: %s", c->what, r->reason);
    ck_assert_msg(r->rule == c->rule, "%s: %s: %s", c->what, guard_rule_to_string(r->rule), r->reason);
    ck_assert_uint_eq(r->line, 1);
    for (size_t i = 0; i < ELEMENTSOF(c->words) && c->words[i]; i++)
        ck_assert_msg(strstr(r->reason, c->words[i]), "%s: %s", c->what, r->reason);
}
END_TEST

/* What is said about the guest as a whole. */
START_TEST(test_reason_of_the_guest)
{
    static const struct {
        const char *policy, *reason;
        unsigned host_gib;
        GuestMode mode;
        usec_t age_sec;
        GuardRule rule;
    } table[] = {
        {RECLAIM("300MiB"), "keeps its size and hands back 300 MiB: cold cache (test.policy:1)", 10},
        {RECLAIM("300MiB"), "keeps its size and hands back 300 MiB: cold cache (test.policy:1)", 90},
        {RECLAIM("0B"), "keeps its size and hands back nothing (test.policy:1)", 10},
        {RECLAIM("300MiB"), "keeps its size and hands back nothing: stats are 12s old (stale)", 10,
         .age_sec = 12},
        {RECLAIM("300MiB"),
         "keeps its size and would hand back 300 MiB: cold cache (test.policy:1) (observe)", 10,
         .mode = GUEST_MODE_OBSERVE},
        {RECLAIM("300MiB"), "not moved: its mode is off (off)", 10, .mode = GUEST_MODE_OFF, .rule = R(OFF)},
        {BOTH("1900MiB", "300MiB"), "gives (test.policy:1)", 10},
        {BOTH("g.target", "300MiB"), "stays at 2.00 GiB (test.policy:1)", 10},
        {BOTH("1900MiB", "300MiB"), "not shrunk: stats are 12s old (stale)", 10, .age_sec = 12,
         .rule = R(STALE)},
        {"for g in guests { g.reclaim = 300MiB; let x = g.psi_io_full }",
         "not moved: the policy skipped it: g.psi_io_full is missing (test.policy:1)", 10},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        SnapshotGuest g = fixture_guest();
        Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(table[i].host_gib * GIB)};
        _cleanup_(plan_done) Plan p = {};

        g.mode = table[i].mode;
        g.age_usec = table[i].age_sec > 0 ? table[i].age_sec * USEC_PER_SEC : g.age_usec;
        make(&s, table[i].policy, &p);
        ck_assert_str_eq(p.decisions[0].reason, table[i].reason);
        ck_assert_int_eq(p.decisions[0].rule, table[i].rule);
    }
}
END_TEST

/* What is said about all guests together. */
START_TEST(test_summary)
{
    static const struct {
        const char *policy, *summary;
        GuestMode modes[3];
    } table[] = {
        {RECLAIM("300MiB"), "3 guests hand back 900 MiB"},
        {"for g in guests where g.name == \"a\" { g.reclaim = 300MiB }", "1 guest hands back 300 MiB"},
        {BOTH("1900MiB", "300MiB"), "3 guests give 444 MiB, 3 guests hand back 900 MiB"},
        {RECLAIM("300MiB"),
         "mode observe: 3 reclaims decided, none sent; `ballastctl mode auto` lets Ballast move balloons",
         {GUEST_MODE_OBSERVE, GUEST_MODE_OBSERVE, GUEST_MODE_OBSERVE}},
        {"for g in guests { g.target = 1900MiB; if g.name == \"a\" { g.reclaim = 300MiB } }",
         "mode observe: 3 moves and 1 reclaim decided, none sent; `ballastctl mode auto` lets Ballast move balloons",
         {GUEST_MODE_OBSERVE, GUEST_MODE_OBSERVE, GUEST_MODE_OBSERVE}},
        {RECLAIM("300MiB"),
         "2 guests hand back 600 MiB; 1 reclaim decided for guests in mode observe and not sent",
         {[2] = GUEST_MODE_OBSERVE}},
        {THRESHOLDS RECLAIM("1MiB"),
         "host has 10.0% available, below the 20.0% threshold; no guest gives more now: 3 not "
         "worth a move"},
        {THRESHOLDS "for g in guests { if g.name == \"a\" { g.reclaim = 0B } }",
         "host has 10.0% available, below the 20.0% threshold; no guest gives more now: 3 from "
         "which the policy takes nothing"},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        SnapshotGuest guests[3];
        Snapshot s = {.guests = guests, .n_guests = 3, .host = fixture_host(10 * GIB)};
        static const char *const names[] = {"a", "b", "c"};
        _cleanup_(plan_done) Plan p = {};
        char uuids[3][37];

        for (unsigned g = 0; g < 3; g++) {
            guests[g] = fixture_guest();
            guests[g].name = names[g];
            guests[g].uuid = fixture_uuid(uuids[g], g);
            guests[g].mode = table[i].modes[g];
        }
        make(&s, table[i].policy, &p);
        ck_assert_str_eq(p.summary, table[i].summary);
    }
}
END_TEST

/* Guests that are only observed count on nothing that others take, and the reverse: their decisions are what they would
 * be if all could be asked. */
START_TEST(test_observed_beside_others)
{
    static const char policy[] = "let need = 600MiB\n"
                                 "for g in guests {\n"
                                 "    let part = min(need, g.reclaimable)\n"
                                 "    g.reclaim = part\n"
                                 "    need = need - part\n"
                                 "}\n";
    SnapshotGuest guests[2];
    Snapshot s = {.guests = guests, .n_guests = 2, .host = fixture_host(10 * GIB)};
    _cleanup_(plan_done) Plan p = {};
    char uuids[2][37];

    for (unsigned g = 0; g < 2; g++) {
        guests[g] = fixture_guest();
        guests[g].uuid = fixture_uuid(uuids[g], g);
    }
    guests[0].mode = GUEST_MODE_OBSERVE;
    make(&s, policy, &p);
    ck_assert_uint_eq(p.decisions[0].reclaim.bytes, 600 * MIB);
    ck_assert(!p.decisions[0].reclaim.send);
    ck_assert_uint_eq(p.decisions[1].reclaim.bytes, 600 * MIB);
    ck_assert(p.decisions[1].reclaim.send);
}
END_TEST

/* What led to each of the two assignments. */
START_TEST(test_reads)
{
    SnapshotGuest g = fixture_guest();
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(10 * GIB)};
    _cleanup_(policy_freep) Policy *policy =
        load("let give = 100MiB\nlet part = 300MiB\n"
             "for g in guests { g.target = g.current - give; g.reclaim = min(part, g.cache) }");
    _cleanup_(plan_done) Plan p = {};
    const Decision *d;

    ck_assert_int_eq(plan_make(&s, policy, &config, &p), 0);
    d = &p.decisions[0];
    ck_assert_uint_eq(d->n_reads, 2);
    ck_assert_str_eq(d->reads[0].name, "give");
    ck_assert_str_eq(d->reads[1].name, "current");
    ck_assert_uint_eq(d->reclaim.n_reads, 3);
    ck_assert_str_eq(d->reclaim.reads[0].name, "part");
    ck_assert_str_eq(d->reclaim.reads[1].name, "current");
    ck_assert_str_eq(d->reclaim.reads[2].name, "cache");
    ck_assert_double_eq(d->reclaim.reads[2].value, 512.0 * MIB);
    ck_assert_str_eq(d->reclaim.file, "test.policy");
}
END_TEST

/* Where nothing was assigned, nothing is said. */
START_TEST(test_not_assigned)
{
    static const char *const policies[] = {NULL, "let x = 1", ASK("1900MiB"),
                                           "for g in guests where false { g.reclaim = 1GiB }",
                                           "for g in guests { g.reclaim = 300MiB }\nlet x = host.dirty"};

    for (size_t i = 0; i < ELEMENTSOF(policies); i++) {
        SnapshotGuest g = fixture_guest();
        Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(10 * GIB)};
        _cleanup_(plan_done) Plan p = {};
        const Reclaim *r;

        make(&s, policies[i], &p);
        r = &p.decisions[0].reclaim;
        ck_assert(r->line == 0 && r->wanted_bytes == 0 && r->bytes == 0 && !r->anon && !r->send);
        ck_assert(r->rule == GUARD_RULE_NONE && !r->file && !r->because && r->n_reads == 0 && !r->reason[0]);
        ck_assert_ptr_null(strstr(p.decisions[0].reason, "hands back"));
    }
}
END_TEST

/* Values that no policy assigns. */
START_TEST(test_odd_values)
{
    static const struct {
        double value;
        uint64_t bytes;
        const char *words;
    } table[] = {
        {NAN, 0, "hands back nothing: the policy's value is not a number (policy:7)"},
        {INFINITY, 1008 * MIB, "(spare)"},
        {-INFINITY, 0, "hands back nothing (policy:7)"},
        {-1, 0, "hands back nothing (policy:7)"},
        {1e300, 1008 * MIB, "(spare)"},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        SnapshotGuest g = fixture_guest();
        Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(10 * GIB)};
        PolicyAssignment a = {.value = table[i].value, .line = 7, .order = 1};
        PolicyOutput output = {.assignments = {[GUEST_CONTROL_RECLAIM] = &a}, .thresholds = {NAN, NAN, NAN}};
        _cleanup_(plan_done) Plan p = {}, failed = {};

        ck_assert_int_eq(plan_apply(&s, &config, NULL, NULL, &output, 0, &p), 0);
        ck_assert_uint_eq(p.decisions[0].reclaim.bytes, table[i].bytes);
        ck_assert_msg(strstr(p.decisions[0].reclaim.reason, table[i].words), "%s",
                      p.decisions[0].reclaim.reason);

        /* If the policy failed, what it had assigned before does not count. */
        ck_assert_int_eq(plan_apply(&s, &config, NULL, NULL, &output, -ECANCELED, &failed), 0);
        ck_assert_uint_eq(failed.decisions[0].reclaim.line, 0);
    }
}
END_TEST

/* However long the policy's words and the file's name are, the rules' names fit, here and in the guest's reason. */
START_TEST(test_long_words)
{
    SnapshotGuest g = fixture_guest();
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(4 * GIB)};

    g.mode = GUEST_MODE_OBSERVE;
    guest_fields_set(&g.fields, GUEST_FIELD_REPORTING, 1);
    guest_fields_set(&g.fields, GUEST_FIELD_ANON, 600.0 * MIB);
    for (size_t n = 1; n < 300; n++) {
        char because[1024] = "", file[1024] = "";
        PolicyAssignment a = {.value = 1e15, .line = 4000000000U, .order = 1, .because = because};
        PolicyOutput output = {.assignments = {[GUEST_CONTROL_RECLAIM] = &a}, .thresholds = {NAN, NAN, NAN}};
        _cleanup_(plan_done) Plan p = {};

        for (size_t i = 0; i < n; i++) {
            strcat(because, i % 3 ? "€" : "x");
            strcat(file, i % 2 ? "é" : "x");
        }
        ck_assert_int_eq(plan_apply(&s, &config, NULL, (const char *[]){file}, &output, 0, &p), 0);
        ck_assert_msg(strstr(p.decisions[0].reclaim.reason, "(spare) (observe)"), "%s",
                      p.decisions[0].reclaim.reason);
        ck_assert_msg(strstr(p.decisions[0].reason, "(spare) (observe)"), "%s", p.decisions[0].reason);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("reclaim");

    tcase_add_loop_test(t, test_case, 0, (int) ELEMENTSOF(cases));
    tcase_add_test(t, test_reason_of_the_guest);
    tcase_add_test(t, test_summary);
    tcase_add_test(t, test_observed_beside_others);
    tcase_add_test(t, test_reads);
    tcase_add_test(t, test_not_assigned);
    tcase_add_test(t, test_odd_values);
    tcase_add_test(t, test_long_words);
    return run_tests(t);
}
