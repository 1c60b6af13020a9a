/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a plan decides for one guest: its target, the rule that set it, whether it is sent, and the reason. */

#include <string.h>

#include "tests/unit/plan-make.h"

/* One guest of 2 GiB with a floor of 512 MiB that stands at 1536 MiB, of which 1024 are available. Host:
 * available of 100 GiB; the thresholds are 20, 5 and 25 GiB. */
typedef struct Case {
    const char *what, *policy;
    unsigned host_gib;                  /* available */
    unsigned current_mib, standing_mib; /* 0: 1536; as current */
    GuestMode mode;
    const char *busy, *unmovable, *ineffective;
    usec_t age_sec, uptime_sec; /* 0: fresh, long up */
    bool no_stats, no_available, distress, released, reboot, stalled, moving, swapless, fast;
    bool growing, given_back;
    bool hurting, protected, libvirt, entitled; /* entitled: to its 2 GiB, of 4 that it could have */
    unsigned fastest_mib, restore_mib, needed_mib, owed_mib, growth_mib;
    unsigned free_mib, available_mib; /* 0: as the fixture has it */
    unsigned target_mib;              /* expected */
    bool send;
    GuardRule rule;
    const char *words[4]; /* in the reason */
} Case;

#define R(rule) GUARD_RULE_##rule

static const Case cases[] = {
    /* The policy's moves. */
    {"a shrink", ASK("1400MiB because \"gives free memory\""), 10, .target_mib = 1400, .send = true,
     .words = {"gives free memory (test.policy:1)"}},
    {"a shrink without words", ASK("1400MiB"), 10, .target_mib = 1400, .send = true,
     .words = {"shrunk by the policy (test.policy:1)"}},
    {"a growth", ASK("1700MiB because \"returns\""), 50, .target_mib = 1700, .send = true,
     .words = {"returns (test.policy:1)"}},
    {"a growth without words", ASK("1700MiB"), 50, .target_mib = 1700, .send = true,
     .words = {"grown by the policy (test.policy:1)"}},
    {"what stands", ASK("g.target"), 10, .target_mib = 1536, .words = {"stays at 1.50 GiB", "test.policy:1"}},
    {"to the floor", ASK("1kB because \"gives\""), 10, .fast = true, .target_mib = 512, .send = true,
     .rule = R(FLOOR), .words = {"gives (test.policy:1)", "clipped to its floor of 512 MiB (floor)"}},
    {"below the floor from the floor", ASK("1kB"), 10, .current_mib = 512, .target_mib = 512,
     .rule = R(FLOOR), .words = {"not shrunk: at its floor of 512 MiB (floor)"}},
    {"above full", ASK("999TiB because \"returns\""), 50, .target_mib = 2048, .send = true,
     .rule = R(CEILING), .words = {"returns", "clipped to its full size of 2.00 GiB (ceiling)"}},
    {"above full from full", ASK("999TiB"), 50, .current_mib = 2048, .target_mib = 2048, .rule = R(CEILING),
     .words = {"not grown: it has its full size of 2.00 GiB (ceiling)"}},
    {"more than a step", ASK("600MiB"), 10, .target_mib = 1280, .send = true, .rule = R(STEP),
     .words = {"clipped to a step of 256 MiB (step)"}},
    {"into what a swapless guest uses", ASK("520MiB"), 10, .swapless = true, .fast = true, .target_mib = 582,
     .send = true, .rule = R(SWAPLESS), .words = {"clipped to the 582 MiB it needs without swap (swapless)"}},
    {"too small a shrink", ASK("1530MiB"), 10, .target_mib = 1536, .rule = R(DEAD_BAND),
     .words = {"not moved: a change of 6.00 MiB is not worth a move (dead-band)"}},
    {"too small a growth", ASK("1540MiB"), 50, .target_mib = 1536, .rule = R(DEAD_BAND),
     .words = {"(dead-band)"}},
    {"small, but to full", ASK("2GiB"), 50, .current_mib = 2046, .target_mib = 2048, .send = true,
     .words = {"grown by the policy"}},
    {"so near to full that it is there, or that somebody else begins to shrink it", ASK("2GiB"), 50,
     .current_mib = 2047, .target_mib = 2047, .rule = R(DEAD_BAND), .words = {"(dead-band)"}},
    {"a growth measured against what stands, not what is", ASK("1540MiB"), 50, .current_mib = 1536,
     .standing_mib = 1538, .moving = true, .target_mib = 1538, .rule = R(DEAD_BAND),
     .words = {"(dead-band)"}},

    /* What forbids to shrink. */
    {"stale", ASK("1400MiB"), 10, .age_sec = 12, .target_mib = 1536, .rule = R(STALE),
     .words = {"not shrunk: stats are 12s old (stale)"}},
    {"no stats", ASK("1400MiB"), 10, .no_stats = true, .target_mib = 1536, .rule = R(AGENTLESS),
     .words = {"not shrunk: no stats received yet, so it is not known what it could spare (agentless)"}},
    {"grace", ASK("1400MiB"), 10, .uptime_sec = 30, .target_mib = 1536, .rule = R(GRACE),
     .words = {"not shrunk: known for 30s, left alone for the first 45s (grace)"}},
    {"released", ASK("1400MiB"), 10, .released = true, .target_mib = 1536, .rule = R(GRACE),
     .words = {"not shrunk: its memory was released a moment ago (grace)"}},
    {"stalled", ASK("1400MiB"), 10, .stalled = true, .target_mib = 1536, .rule = R(STALLED),
     .words = {"not shrunk: its balloon made no progress", "(stalled)"}},
    {"moving", ASK("1400MiB"), 10, .moving = true, .target_mib = 1536, .rule = R(STEP),
     .words = {"not shrunk: its last move is not finished", "(step)"}},
    {"swapless, and doesn't tell what it uses", ASK("1400MiB"), 10, .swapless = true, .no_available = true,
     .target_mib = 1536, .rule = R(SWAPLESS),
     .words = {"not shrunk: it does not report what it uses (swapless)"}},
    {"in distress at its full size", ASK("1400MiB"), 10, .current_mib = 2048, .distress = true,
     .target_mib = 2048, .rule = R(DISTRESS),
     .words = {"in distress, but it already has its full size (distress)"}},

    /* … but not to give back. */
    {"stale, growth", ASK("2GiB because \"returns\""), 50, .age_sec = 12, .target_mib = 2048, .send = true,
     .words = {"returns"}},
    {"stalled, growth", ASK("2GiB"), 50, .stalled = true, .target_mib = 2048, .send = true},
    {"moving, growth", ASK("2GiB"), 50, .standing_mib = 1400, .moving = true, .target_mib = 2048,
     .send = true},
    {"grace, growth", ASK("2GiB"), 50, .uptime_sec = 1, .target_mib = 2048, .send = true},

    /* What forbids any move. */
    {"off", ASK("1400MiB"), 10, .mode = GUEST_MODE_OFF, .target_mib = 1536, .rule = R(OFF),
     .words = {"not moved: its mode is off (off)"}},
    {"unmovable", ASK("1400MiB"), 10, .unmovable = "hostdev", .target_mib = 1536, .rule = R(UNMOVABLE),
     .words = {"not moved: a balloon would free nothing: hostdev (unmovable)"}},
    {"busy", ASK("2GiB"), 50, .busy = "migrating", .target_mib = 1536, .rule = R(BUSY),
     .words = {"not moved: migrating (busy)"}},
    {"busy in distress", NULL, 50, .busy = "paused", .distress = true, .target_mib = 1536, .rule = R(BUSY),
     .words = {"not moved: paused (busy)"}},
    {"off in distress", NULL, 50, .mode = GUEST_MODE_OFF, .distress = true, .target_mib = 1536,
     .rule = R(OFF)},
    {"ineffective: not shrunk", ASK("1400MiB"), 4, .ineffective = "RSS didn't fall", .target_mib = 1536,
     .rule = R(UNMOVABLE),
     .words = {"not shrunk: a balloon would free nothing: RSS didn't fall (unmovable)"}},
    {"ineffective: it gets back what was taken", ASK("2GiB because \"returns\""), 50,
     .ineffective = "RSS didn't fall", .target_mib = 2048, .send = true, .words = {"returns"}},
    {"ineffective, in distress", NULL, 50, .ineffective = "RSS didn't fall", .distress = true,
     .target_mib = 2048, .send = true, .rule = R(DISTRESS)},
    {"unmovable after a reboot", NULL, 50, .unmovable = "hugepages", .reboot = true, .target_mib = 1536,
     .rule = R(UNMOVABLE)},
    {"off below its floor", NULL, 50, .current_mib = 300, .mode = GUEST_MODE_OFF, .target_mib = 300,
     .rule = R(OFF)},

    /* What the guard asks for by itself. */
    {"distress", NULL, 50, .distress = true, .target_mib = 2048, .send = true, .rule = R(DISTRESS),
     .words = {"gets memory back: it is in distress (distress)"}},
    {"distress against the policy", ASK("600MiB"), 10, .distress = true, .target_mib = 2048, .send = true,
     .rule = R(DISTRESS), .words = {"in distress (distress)"}},
    {"distress with a shrink on its way", ASK("600MiB"), 10, .standing_mib = 1280, .moving = true,
     .distress = true, .target_mib = 2048, .send = true, .rule = R(DISTRESS)},
    {"distress with a shrink on its way, and no room: keeps what it has", ASK("600MiB"), 3,
     .standing_mib = 1280, .moving = true, .distress = true, .target_mib = 1536, .send = true,
     .rule = R(DISTRESS),
     .words = {"gets memory back: it is in distress (distress)", "no more than the host can spare (room)"}},
    {"distress without room", NULL, 5, .distress = true, .target_mib = 1536, .rule = R(ROOM),
     .words =
         {"in distress, but not grown: the host has nothing more to spare above its critical threshold (room)"}},
    {"reboot", NULL, 50, .reboot = true, .target_mib = 2048, .send = true, .rule = R(REBOOT),
     .words = {"gets its full size first after a reboot (reboot)"}},
    {"reboot without room", NULL, 4, .reboot = true, .target_mib = 1536, .rule = R(ROOM),
     .words = {"rebooted into a shrunken size, but not grown", "(room)"}},
    {"reboot in distress", NULL, 50, .reboot = true, .distress = true, .target_mib = 2048, .send = true,
     .rule = R(DISTRESS)},
    {"below its floor", NULL, 50, .current_mib = 300, .target_mib = 512, .send = true, .rule = R(FLOOR),
     .words = {"raised to its floor of 512 MiB (floor)"}},
    {"a little below its floor is enough", NULL, 50, .current_mib = 511, .target_mib = 512, .send = true,
     .rule = R(FLOOR)},
    {"below its floor, and the policy wants less", ASK("100MiB"), 10, .current_mib = 300, .target_mib = 512,
     .send = true, .rule = R(FLOOR)},
    {"below its floor without room", NULL, 3, .current_mib = 300, .target_mib = 300, .rule = R(ROOM),
     .words = {"below its floor, but not grown", "(room)"}},
    {"growth without room", ASK("2GiB"), 5, .target_mib = 1536, .rule = R(ROOM),
     .words = {"not grown: the host has nothing more to spare above its critical threshold (room)"}},

    {"hurting", NULL, 50, .hurting = true, .restore_mib = 1800, .target_mib = 1800, .send = true,
     .rule = R(HURTING), .words = {"goes back to 1.76 GiB: it began to hurt after a shrink (hurting)"}},
    {"hurting, a little below where it was", NULL, 50, .hurting = true, .restore_mib = 1538,
     .target_mib = 1538, .send = true, .rule = R(HURTING)},
    {"hurting against the policy", ASK("600MiB"), 10, .hurting = true, .restore_mib = 1800,
     .target_mib = 1800, .send = true, .rule = R(HURTING)},
    {"hurting where it was before the shrink: not shrunk", ASK("600MiB"), 10, .hurting = true,
     .restore_mib = 1536, .target_mib = 1536, .rule = R(HURTING),
     .words = {"not shrunk: it began to hurt after a shrink (hurting)"}},
    {"hurting, having been above its full size before", NULL, 50, .hurting = true, .restore_mib = 3000,
     .target_mib = 2048, .send = true, .rule = R(HURTING), .words = {"goes back to 2.00 GiB"}},
    {"hurting while its shrink is on its way, without room: keeps what it has", NULL, 5, .current_mib = 1700,
     .standing_mib = 1536, .moving = true, .hurting = true, .restore_mib = 1800, .target_mib = 1700,
     .send = true, .rule = R(HURTING), .words = {"no more than the host can spare (room)"}},
    {"hurting without room", NULL, 5, .hurting = true, .restore_mib = 1800, .target_mib = 1536,
     .rule = R(ROOM), .words = {"began to hurt after a shrink, but not grown: the host has nothing more"}},
    {"hurting on a critical host: gives", ASK("1400MiB"), 4, .hurting = true, .restore_mib = 1800,
     .target_mib = 1400, .send = true, .words = {"shrunk by the policy"}},
    {"hurting in distress", NULL, 50, .hurting = true, .restore_mib = 1800, .distress = true,
     .target_mib = 2048, .send = true, .rule = R(DISTRESS)},
    {"protected", ASK("1400MiB"), 10, .protected = true, .target_mib = 1536, .rule = R(PROTECTED),
     .words = {"not shrunk: a shrink hurt it, so it is not shrunk again for a while (protected)"}},
    {"protected, growth", ASK("2GiB"), 50, .protected = true, .target_mib = 2048, .send = true},
    {"to what it was found to need", ASK("600MiB"), 10, .needed_mib = 1450, .target_mib = 1450, .send = true,
     .rule = R(NEEDED), .words = {", clipped to the 1.42 GiB that it was found to need (needed)"}},
    {"below what it was found to need", ASK("600MiB"), 10, .needed_mib = 1600, .target_mib = 1536,
     .rule = R(NEEDED), .words = {"not shrunk: it was found to need 1.56 GiB (needed)"}},

    /* On a critical host, too, a shrink that hurt a guest without swap is undone, and the next one is smaller and later.
     * A guest that can swap gives like any other there. */
    {"in distress without swap: what was taken lately is owed", ASK("600MiB"), 3, .distress = true,
     .swapless = true, .owed_mib = 1800, .target_mib = 1800, .send = true, .rule = R(DISTRESS),
     .words = {"gets memory back: it is in distress (distress), no more than the host can spare (room)"}},
    {"owed more than its full size", NULL, 3, .distress = true, .swapless = true, .owed_mib = 3000,
     .target_mib = 2048, .send = true, .rule = R(DISTRESS)},
    {"owed no more than it has", NULL, 3, .distress = true, .swapless = true, .owed_mib = 1400,
     .target_mib = 1536, .rule = R(ROOM)},
    {"owed, with room for more", NULL, 6, .distress = true, .swapless = true, .owed_mib = 1600,
     .target_mib = 1984, .send = true, .rule = R(DISTRESS)}, /* 384 MiB of room */
    {"nothing is owed to a guest that can swap", NULL, 3, .distress = true, .owed_mib = 1800,
     .target_mib = 1536, .rule = R(ROOM)},
    {"nor to one that isn't in distress", ASK("1400MiB"), 3, .swapless = true, .owed_mib = 1800,
     .target_mib = 1400, .send = true},
    {"protected on a critical host: gives", ASK("1400MiB"), 4, .protected = true, .target_mib = 1400,
     .send = true},
    {"protected without swap on a critical host", ASK("1400MiB"), 4, .protected = true, .swapless = true,
     .target_mib = 1536, .rule = R(PROTECTED), .words = {"it is not shrunk again for a while (protected)"}},
    {"below what it was found to need on a critical host", ASK("1400MiB"), 4, .needed_mib = 1450,
     .target_mib = 1400, .send = true},
    {"to what it was found to need without swap on a critical host", ASK("1400MiB"), 4, .needed_mib = 1450,
     .swapless = true, .target_mib = 1450, .send = true, .rule = R(NEEDED),
     .words = {", clipped to the 1.42 GiB that it was found to need (needed)"}},

    {"without agent", ASK("600MiB"), 10, .libvirt = true, .fast = true, .target_mib = 1280, .send = true,
     .rule = R(AGENTLESS),
     .words = {", clipped to a part of its available memory: it has no agent (agentless)"}},
    {"without agent, with nothing available", ASK("600MiB"), 10, .libvirt = true, .no_available = true,
     .target_mib = 1536, .rule = R(AGENTLESS),
     .words = {"not shrunk: it has no agent, so it keeps 50.0% of its available memory (agentless)"}},

    /* Ahead of distress. 512 MiB are free; 8 % of its full size are 164. */
    {"begins to use its memory", NULL, 50, .growing = true, .free_mib = 160, .target_mib = 2048, .send = true,
     .rule = R(AHEAD), .words = {"begins to use its memory: gets its full size back (ahead)"}},
    {"takes memory, and has enough free", NULL, 50, .growing = true, .free_mib = 170, .target_mib = 1536},
    {"has less free than it took at its fastest", NULL, 50, .growing = true, .fastest_mib = 600,
     .target_mib = 2048, .send = true, .rule = R(AHEAD)},
    {"has little free, and takes nothing", NULL, 50, .free_mib = 20, .fastest_mib = 600, .target_mib = 1536},
    {"begins to use its memory against the policy", ASK("600MiB"), 10, .growing = true, .free_mib = 100,
     .target_mib = 2048, .send = true, .rule = R(AHEAD)},
    {"begins to use its memory while it is shrunk", NULL, 50, .standing_mib = 1280, .moving = true,
     .growing = true, .free_mib = 100, .target_mib = 2048, .send = true, .rule = R(AHEAD)},
    {"begins to use its memory, with room for a part", NULL, 6, .growing = true, .free_mib = 100,
     .target_mib = 1920, .send = true, .rule = R(AHEAD),
     .words = {"(ahead), no more than the host can spare (room)"}},
    {"begins to use its memory without room", NULL, 5, .growing = true, .free_mib = 100, .target_mib = 1536,
     .rule = R(ROOM), .words = {"begins to use its memory, but not grown: the host has nothing more"}},
    {"begins to use its memory, stale", NULL, 50, .growing = true, .free_mib = 100, .age_sec = 12,
     .target_mib = 1536},
    {"begins to use its memory, and doesn't say what is free", NULL, 50, .growing = true,
     .no_available = true, .target_mib = 1536},
    {"begins to use its memory, and hurts", NULL, 50, .growing = true, .free_mib = 100, .hurting = true,
     .restore_mib = 1800, .target_mib = 1800, .send = true, .rule = R(HURTING)},
    {"begins to use its memory, in distress", NULL, 50, .growing = true, .free_mib = 100, .distress = true,
     .target_mib = 2048, .send = true, .rule = R(DISTRESS)},
    {"was given back, and grew lately", ASK("1400MiB"), 10, .given_back = true, .target_mib = 1536,
     .rule = R(AHEAD), .words = {"not shrunk: it took memory lately, and may take more (ahead)"}},
    {"was given back, but the host is critical", ASK("1400MiB"), 4, .given_back = true, .target_mib = 1400,
     .send = true},

    /* Above its full size. */
    {"distress, and it may grow", NULL, 50, .current_mib = 2048, .distress = true, .growth_mib = 3072,
     .target_mib = 3072, .send = true, .rule = R(DISTRESS),
     .words = {"grows above its full size: it is in distress (distress)"}},
    {"distress, and it has grown", ASK("999TiB"), 50, .current_mib = 3072, .distress = true,
     .growth_mib = 3072, .target_mib = 3072, .rule = R(DISTRESS),
     .words = {"in distress, but it already has all that it may grow to (distress)"}},
    {"may grow, but isn't in distress", ASK("3GiB"), 50, .growth_mib = 3072, .target_mib = 2048, .send = true,
     .rule = R(CEILING), .words = {"clipped to its full size of 2.00 GiB (ceiling)"}},
    {"has grown, and is well again: what it has free", NULL, 50, .current_mib = 3072, .growth_mib = 3072,
     .fast = true, .target_mib = 2576, .send = true, .rule = R(CEILING),
     .words = {"comes down to its full size of 2.00 GiB (ceiling)"}},
    {"has grown, and is well again: a step", NULL, 50, .current_mib = 3072, .growth_mib = 3072,
     .target_mib = 2816, .send = true, .rule = R(CEILING)},
    {"has grown a little", NULL, 50, .current_mib = 2300, .growth_mib = 3072, .fast = true,
     .target_mib = 2048, .send = true, .rule = R(CEILING)},
    {"has grown, and keeps a fifth available", NULL, 50, .current_mib = 3072, .growth_mib = 3072,
     .fast = true, .free_mib = 900, .available_mib = 900, .target_mib = 2716, .send = true,
     .rule = R(CEILING)}, /* (900 - 614.4) / 0.8 = 357 */
    {"has grown, and lives off what it has", NULL, 50, .current_mib = 3072, .growth_mib = 3072, .fast = true,
     .available_mib = 600, .target_mib = 3072, .rule = R(CEILING),
     .words = {"above its full size of 2.00 GiB: it comes down to that when it has free memory (ceiling)"}},
    {"has grown, but the host needs it", NULL, 19, .current_mib = 3072, .growth_mib = 3072, .fast = true,
     .available_mib = 600, .target_mib = 2048, .send = true, .rule = R(CEILING)},
    {"above an entitlement", NULL, 50, .current_mib = 3072, .entitled = true, .fast = true,
     .target_mib = 2576, .send = true, .rule = R(CEILING)},
    {"above an entitlement, by next to nothing", NULL, 50, .current_mib = 2049, .entitled = true,
     .fast = true, .target_mib = 2049, .rule = R(DEAD_BAND)},
    {"above full, and the full size isn't set", NULL, 50, .current_mib = 2560, .fast = true,
     .target_mib = 2560},
    {"above an entitlement, observed", NULL, 50, .current_mib = 3072, .entitled = true, .fast = true,
     .mode = GUEST_MODE_OBSERVE, .target_mib = 2576, .rule = R(OBSERVE),
     .words = {"would give 496 MiB: comes down to its full size of 2.00 GiB (ceiling) (observe)"}},
    {"above an entitlement, and in grace", NULL, 50, .current_mib = 3072, .entitled = true, .uptime_sec = 5,
     .target_mib = 3072},
    {"above an entitlement: a policy that takes little takes no more than that, or what is free",
     ASK("g.current - 100MiB"), 50, .current_mib = 3072, .entitled = true, .fast = true, .available_mib = 650,
     .target_mib = 2972, .send = true, .words = {"shrunk by the policy"}},
    {"above an entitlement: a policy that takes more", ASK("2000MiB"), 50, .current_mib = 3072,
     .entitled = true, .fast = true, .target_mib = 2000, .send = true, .words = {"shrunk by the policy"}},

    /* Observe. */
    {"observe, shrink", ASK("1416MiB because \"gives free memory\""), 10, .mode = GUEST_MODE_OBSERVE,
     .target_mib = 1416, .rule = R(OBSERVE),
     .words = {"would give 120 MiB: gives free memory (test.policy:1) (observe)"}},
    {"observe, growth", ASK("1656MiB"), 50, .mode = GUEST_MODE_OBSERVE, .target_mib = 1656,
     .rule = R(OBSERVE), .words = {"would get 120 MiB: grown by the policy", "(observe)"}},
    {"observe, clipped", ASK("1kB"), 10, .mode = GUEST_MODE_OBSERVE, .target_mib = 1280, .rule = R(OBSERVE),
     .words = {"would give 256 MiB", "(step)", "(observe)"}},
    {"observe, distress", NULL, 50, .mode = GUEST_MODE_OBSERVE, .distress = true, .target_mib = 2048,
     .rule = R(OBSERVE),
     .words = {"would get 512 MiB: gets memory back: it is in distress (distress) (observe)"}},
    {"observe, nothing to do", NOTHING, 50, .mode = GUEST_MODE_OBSERVE, .current_mib = 2048,
     .target_mib = 2048, .words = {"nothing to do"}},

    /* The policy asks for nothing. */
    {"at rest, at full", NOTHING, 50, .current_mib = 2048, .target_mib = 2048,
     .words = {"nothing to do: the host has enough available, and it has its full size"}},
    {"at rest, below full", NOTHING, 50, .target_mib = 1536,
     .words = {"nothing to do: the host has enough available", "the policy gives it nothing now"}},
    {"between the thresholds", NOTHING, 22, .target_mib = 1536, .words = {"between its thresholds"}},
    {"between the usual thresholds, which aren't the policy's", "let x = 1", 22, .target_mib = 1536,
     .words = {"the policy asks nothing of it"}},
    {"under pressure", NOTHING, 10, .target_mib = 1536,
     .words = {"the policy takes nothing from it (1.00 GiB available)"}},
    {"under pressure, no stat of what is available", NOTHING, 10, .no_available = true, .target_mib = 1536,
     .words = {"the policy takes nothing from it"}},
    {"under pressure, at its floor", NOTHING, 10, .current_mib = 512, .target_mib = 512, .rule = R(FLOOR),
     .words = {"not shrunk: at its floor of 512 MiB (floor)"}},
    {"under pressure, stale", NOTHING, 10, .age_sec = 12, .target_mib = 1536, .rule = R(STALE),
     .words = {"not shrunk: stats are 12s old (stale)"}},
    {"at rest, stale", NOTHING, 50, .age_sec = 12, .current_mib = 2048, .target_mib = 2048,
     .words = {"nothing to do: the host has enough available"}},
    {"no policy", NULL, 10, .target_mib = 1536, .words = {"no policy is loaded"}},
    {"a turn undone", "for g in guests { g.target = g.psi_memory_some * 1GiB }", 10, .target_mib = 1536,
     .words = {"not moved: the policy skipped it: ", "psi_memory_some", "test.policy:1"}},
    {"the policy failed", "let x = host.psi_memory_some + 1; for g in guests { g.target = 1GiB }", 10,
     .target_mib = 1536, .words = {"not moved: the policy failed"}},
    {"the policy failed, distress", "let x = host.psi_memory_some + 1", 50, .distress = true,
     .target_mib = 2048, .send = true, .rule = R(DISTRESS)},
};

static SnapshotGuest guest_of(const Case *c)
{
    SnapshotGuest g = fixture_guest();

    fixture_size(&g, (c->current_mib ?: 1536) * MIB);
    if (c->standing_mib > 0)
        g.sizes.standing_bytes = c->standing_mib * MIB;
    g.mode = c->mode;
    g.busy = c->busy;
    g.unmovable = c->unmovable;
    g.judgement.ineffective = c->ineffective;
    if (c->age_sec > 0)
        g.age_usec = c->age_sec * USEC_PER_SEC + 1000;
    if (c->no_stats) {
        g.source = GUEST_SOURCE_NONE;
        g.age_usec = USEC_INFINITY;
    }
    if (c->uptime_sec > 0)
        g.uptime_usec = c->uptime_sec * USEC_PER_SEC;
    if (c->no_available) {
        field_set_remove(&g.fields.present, GUEST_FIELD_AVAILABLE);
        field_set_remove(&g.fields.present, GUEST_FIELD_FREE);
    }
    if (c->swapless)
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_TOTAL, 0),
            guest_fields_set(&g.fields, GUEST_FIELD_SWAP_FREE, 0);
    g.growth.growing = c->growing;
    g.growth.given_back = c->given_back;
    g.growth.fastest_bytes = c->fastest_mib * MIB;
    g.judgement.hurting = c->hurting;
    g.judgement.restore_bytes = c->restore_mib * MIB;
    g.judgement.protected = c->protected;
    g.judgement.needed_bytes = c->needed_mib * MIB;
    g.judgement.owed_bytes = c->owed_mib * MIB;
    g.sizes.growth_bytes = c->growth_mib * MIB;
    g.sizes.entitled_full = c->entitled;
    if (c->libvirt)
        g.source = GUEST_SOURCE_LIBVIRT;
    if (c->growth_mib > 0 || c->entitled)
        g.sizes.maximum_bytes = 4 * GIB;
    if (c->free_mib > 0)
        guest_fields_set(&g.fields, GUEST_FIELD_FREE, (double) (c->free_mib * MIB));
    if (c->available_mib > 0)
        guest_fields_set(&g.fields, GUEST_FIELD_AVAILABLE, (double) (c->available_mib * MIB));
    g.judgement.distress = c->distress;
    g.released = c->released;
    g.reboot = c->reboot;
    g.balloon.stalled = c->stalled;
    g.balloon.moving = c->moving;
    g.balloon.shrink_rate = c->fast ? 10.0 * (double) GIB : 0;
    return g;
}

START_TEST(test_cases)
{
    const Case *c = cases + _i;
    SnapshotGuest g = guest_of(c);
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(c->host_gib * GIB)};
    _cleanup_(plan_done) Plan p = {};
    const Decision *d;

    make(&s, c->policy, &p);
    d = p.decisions;
    /* In whole MiB, upwards: what a swapless guest needs isn't one. */
    ck_assert_msg((d->target_bytes + MIB - 1) / MIB == c->target_mib, "%s: target %" PRIu64 " KiB: %s",
                  c->what, d->target_bytes / KIB, d->reason);
    ck_assert_msg(d->target_bytes % KIB == 0, "%s: not whole KiB", c->what);
    ck_assert_msg(d->send == c->send, "%s: %ssent: %s", c->what, d->send ? "" : "not ", d->reason);
    ck_assert_msg(d->rule == c->rule, "%s: by %s: %s", c->what, guard_rule_to_string(d->rule), d->reason);
    for (size_t i = 0; i < ELEMENTSOF(c->words) && c->words[i]; i++)
        ck_assert_msg(strstr(d->reason, c->words[i]), "%s: '%s' instead of '%s'", c->what, d->reason,
                      c->words[i]);
    ck_assert_msg(d->reason[0] && p.summary[0], "%s: nothing is said", c->what);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("plan-cases");

    tcase_add_loop_test(t, test_cases, 0, (int) ELEMENTSOF(cases));
    return run_tests(t);
}
