/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From a snapshot to a plan: what is decided, by which rule, whether it is sent, and what people are told. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host-agent/decide/evaluate.h"
#include "host-agent/decide/plan.h"
#include "tests/policy-load.h"
#include "tests/unit/decide-fixture.h"
#include "tests/unit/run.h"

static const GuardConfig config = GUARD_CONFIG_DEFAULT;

static Policy *load(const char *text)
{
    PolicyDiagnostics d = {};
    Policy *p = NULL;

    if (!text)
        return NULL;
    if (policy_load(text, strlen(text), "/etc/ballast/test.policy", &d, &p) < 0)
        ck_abort_msg("%s", d.text);
    policy_diagnostics_done(&d);
    return p;
}

/* Into a plan that is empty or was made before. */
static void make(const Snapshot *s, const char *text, Plan *ret)
{
    _cleanup_(policy_freep) Policy *p = load(text);

    plan_done(ret);
    ck_assert_int_eq(plan_make(s, p, &config, ret), 0);
    /* What is borrowed from the policy is gone with it. */
    for (size_t i = 0; i < ret->n_decisions; i++)
        ret->decisions[i].because = NULL;
}

/* A policy that asks for one size. */
#define ASK(size) "for g in guests { g.target = " size " }"
#define THRESHOLDS                                                                                                      \
    "let pressure_threshold = 20% * host.total; let critical_threshold = 5% * host.total; let relax_threshold = 25% * " \
    "host.total\n"
#define NOTHING THRESHOLDS

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
    bool hurting, protected, libvirt, entitled; /* entitled: to its 2 GiB, of 4 that it could have */
    unsigned restore_mib, needed_mib, growth_mib;
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
    {"into what a swapless guest uses", ASK("520MiB"), 10, .swapless = true, .fast = true, .target_mib = 564,
     .send = true, .rule = R(SWAPLESS), .words = {"clipped to the 563 MiB it needs without swap (swapless)"}},
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
    {"without agent", ASK("600MiB"), 10, .libvirt = true, .fast = true, .target_mib = 1280, .send = true,
     .rule = R(AGENTLESS),
     .words = {", clipped to a part of its available memory: it has no agent (agentless)"}},
    {"without agent, with nothing available", ASK("600MiB"), 10, .libvirt = true, .no_available = true,
     .target_mib = 1536, .rule = R(AGENTLESS),
     .words = {"not shrunk: it has no agent, so it keeps 50.0% of its available memory (agentless)"}},

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
    {"above full, and nobody said what that is", NULL, 50, .current_mib = 2560, .fast = true,
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
    g.judgement.hurting = c->hurting;
    g.judgement.restore_bytes = c->restore_mib * MIB;
    g.judgement.protected = c->protected;
    g.judgement.needed_bytes = c->needed_mib * MIB;
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

/* The thresholds: the policy's, else the usual ones; and where the host stands beside them. */
START_TEST(test_thresholds)
{
    Snapshot s = {.host = fixture_host(21 * GIB)};
    _cleanup_(plan_done) Plan p = {};

    make(&s, NULL, &p);
    ck_assert_double_eq(p.pressure_threshold_bytes, 0.20 * (double) HOST_TOTAL);
    ck_assert_double_eq(p.critical_threshold_bytes, 0.05 * (double) HOST_TOTAL);
    ck_assert_double_eq(p.relax_threshold_bytes, 0.25 * (double) HOST_TOTAL);
    ck_assert_int_eq(p.pressure, HOST_PRESSURE_NONE);

    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, 19.9 * (double) GIB);
    make(&s, NULL, &p);
    ck_assert_int_eq(p.pressure, HOST_PRESSURE_MODERATE);
    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, 4.9 * (double) GIB);
    make(&s, NULL, &p);
    ck_assert_int_eq(p.pressure, HOST_PRESSURE_SEVERE);

    /* A fifth of a large host is more than anyone means. */
    host_fields_set(&s.host, HOST_FIELD_TOTAL, (double) TIB);
    make(&s, NULL, &p);
    ck_assert_double_eq(p.pressure_threshold_bytes, 32.0 * (double) GIB);
    ck_assert_double_eq(p.critical_threshold_bytes, 8.0 * (double) GIB);
    ck_assert_double_eq(p.relax_threshold_bytes, 40.0 * (double) GIB);

    /* A host without swap is twice as cautious; what the policy says counts all the same. */
    host_fields_set(&s.host, HOST_FIELD_SWAP_TOTAL, 0);
    make(&s, "const critical_threshold = 6GiB", &p);
    ck_assert_double_eq(p.pressure_threshold_bytes, 64.0 * (double) GIB);
    ck_assert_double_eq(p.critical_threshold_bytes, 6.0 * (double) GIB);
    ck_assert_double_eq(p.relax_threshold_bytes, 80.0 * (double) GIB);
    host_fields_set(&s.host, HOST_FIELD_SWAP_TOTAL, (double) GIB);

    /* Each by itself. */
    make(&s, "let pressure_threshold = 7GiB; const critical_threshold = 6GiB", &p);
    ck_assert_double_eq(p.pressure_threshold_bytes, 7.0 * (double) GIB);
    ck_assert_double_eq(p.critical_threshold_bytes, 6.0 * (double) GIB);
    ck_assert_double_eq(p.relax_threshold_bytes, 40.0 * (double) GIB);
    ck_assert_int_eq(p.pressure, HOST_PRESSURE_SEVERE);

    /* Nothing is known of the host. */
    s.host.present = (FieldSet){};
    make(&s, NULL, &p);
    ck_assert_int_eq(p.pressure, HOST_PRESSURE_NONE);
    ck_assert_ptr_nonnull(strstr(p.summary, "the host's memory isn't known"));

    ck_assert_str_eq(host_pressure_to_string(HOST_PRESSURE_NONE), "none");
    ck_assert_str_eq(host_pressure_to_string(HOST_PRESSURE_MODERATE), "moderate");
    ck_assert_str_eq(host_pressure_to_string(HOST_PRESSURE_SEVERE), "severe");
}
END_TEST

/* What a policy reads of a guest are the facts of the snapshot, not what its fields happened to hold. */
START_TEST(test_fields)
{
    SnapshotGuest g = fixture_guest();
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(50 * GIB)};
    _cleanup_(plan_done) Plan p = {};
    static const struct {
        const char *expression;
        uint64_t bytes;
    } table[] = {
        {"g.current - 1GiB", 700 * MIB},
        {"g.target - 800MiB", 800 * MIB},
        {"g.maximum - 3500MiB", 596 * MIB},
        {"g.full - 1348MiB", 700 * MIB},
        {"g.floor + 100MiB", 612 * MIB},
        {"g.least", 512 * MIB},
        {"g.most", 2048 * MIB},
        {"g.age / 1s * 400MiB", 800 * MIB},
        {"g.uptime / 1h * 700MiB", 700 * MIB},
        {"host.pending + 600MiB", 724 * MIB},
        {"if g.distress then 0B else 650MiB", 650 * MIB},
        {"g.shares * 1MiB - 300MiB", 700 * MIB},
    };

    g.sizes.maximum_bytes = 4 * GIB;
    g.age_usec = 2 * USEC_PER_SEC;
    g.sizes.current_bytes = 1724 * MIB;
    g.sizes.standing_bytes = 1600 * MIB;
    g.balloon.shrink_rate = 10.0 * (double) GIB;
    for (int f = 0; f < GUEST_FIELD_MAX; f++)
        if (f != GUEST_FIELD_AVAILABLE && f != GUEST_FIELD_SWAP_TOTAL && f != GUEST_FIELD_SWAP_FREE)
            guest_fields_set(&g.fields, f, 12345);
    host_fields_set(&s.host, HOST_FIELD_PENDING, 12345);

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        char text[256];

        snprintf(text, sizeof text, "for g in guests { g.target = %s }", table[i].expression);
        make(&s, text, &p);
        ck_assert_msg(p.decisions[0].wanted_bytes == table[i].bytes, "%s is %" PRIu64 " KiB: %s",
                      table[i].expression, p.decisions[0].wanted_bytes / KIB, p.decisions[0].reason);
        plan_done(&p);
    }
    ck_assert_double_eq(p.pending_bytes, 0);
    make(&s, NULL, &p);
    ck_assert_double_eq(p.pending_bytes, 124.0 * (double) MIB);
}
END_TEST

/* What balloons on their way bring counts as there already, and what was given and isn't used yet as gone:
 * else it would be given to two. */
START_TEST(test_pending)
{
    static const struct {
        uint64_t current, standing, outstanding; /* MiB */
        double pending;
        bool late;
    } table[] = {
        {1600, 1600, 0, 0},      {1600, 1400, 0, 200},  {1400, 1600, 0, -200},    {1600, 1600, 150, -150},
        {1400, 1600, 250, -250}, /* a growth that is on its way is outstanding, too */
        {1400, 1600, 50, -200},  {1600, 1400, 50, 150}, {1600, 1400, 0, 0, true}, {1400, 1600, 0, -200, true},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        SnapshotGuest g = fixture_guest();
        Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(50 * GIB)};
        _cleanup_(plan_done) Plan p = {};

        g.sizes.current_bytes = table[i].current * MIB;
        g.sizes.standing_bytes = table[i].standing * MIB;
        g.sizes.outstanding_bytes = table[i].outstanding * MIB;
        g.balloon.late = table[i].late;
        make(&s, NULL, &p);
        ck_assert_double_eq(p.pending_bytes, table[i].pending * (double) MIB);
    }
}
END_TEST

/* An age that isn't known is a missing stat. */
START_TEST(test_unknown_age)
{
    SnapshotGuest g = fixture_guest();
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(50 * GIB)};
    _cleanup_(plan_done) Plan p = {};

    g.age_usec = USEC_INFINITY;
    make(&s, "for g in guests { g.target = if g.age > 1s then 1GiB else 1536MiB }", &p);
    ck_assert_uint_eq(p.notes_total, 1);
    ck_assert_uint_eq(p.n_notes, 1);
    ck_assert_uint_eq(p.notes[0].guest, 0);
    ck_assert_uint_eq(p.decisions[0].line, 0);
}
END_TEST

/* Eight guests that all want 512 MiB; the room is for four and a half of them. */
START_TEST(test_order_of_growth)
{
    SnapshotGuest guests[8];
    Snapshot s = {.guests = guests, .n_guests = 8, .host = fixture_host(5 * GIB + (640 + 2304) * MIB)};
    _cleanup_(plan_done) Plan p = {};
    uint64_t given = 0;

    for (size_t i = 0; i < 8; i++) {
        guests[i] = fixture_guest();
        fixture_size(guests + i, 1536 * MIB);
    }
    /* The policy goes from the last to the first, which it has assigned to in that order. */
    for (size_t i = 0; i < 8; i++)
        guest_fields_set(&guests[i].fields, GUEST_FIELD_AVAILABLE, (double) (i * MIB));
    guests[0].mode = GUEST_MODE_OBSERVE;
    guests[0].judgement.distress = true;
    guests[2].sizes.current_bytes = guests[2].sizes.standing_bytes = GIB;
    guests[2].sizes.floor_bytes = 1536 * MIB;
    guests[3].reboot = true;
    guests[4].judgement.distress = true;
    guests[7].judgement.hurting = true;
    guests[7].judgement.restore_bytes = 2 * GIB;
    make(&s, "for g in guests by g.available desc { g.target = g.full because \"returns\" }", &p);

    /* Distress first, then who hurts, the reboot, the floor, and what is left to the policy's first. */
    ck_assert_uint_eq(p.decisions[4].target_bytes, 2 * GIB);
    ck_assert_uint_eq(p.decisions[7].target_bytes, 2 * GIB);
    ck_assert_uint_eq(p.decisions[3].target_bytes, 2 * GIB);
    ck_assert_uint_eq(p.decisions[2].target_bytes, 1536 * MIB);
    ck_assert_uint_eq(p.decisions[6].target_bytes, 1536 * MIB + 256 * MIB);
    ck_assert_int_eq(p.decisions[6].rule, GUARD_RULE_ROOM);
    ck_assert_ptr_nonnull(
        strstr(p.decisions[6].reason, "returns (test.policy:1), no more than the host can spare"));
    ck_assert(p.decisions[6].send);
    ck_assert_uint_eq(p.decisions[5].target_bytes, 1536 * MIB);
    ck_assert_int_eq(p.decisions[5].rule, GUARD_RULE_ROOM);
    ck_assert_uint_eq(p.decisions[1].target_bytes, 1536 * MIB);
    /* A guest that is only observed takes nothing from the others, in distress or not. */
    ck_assert_uint_eq(p.decisions[0].target_bytes, 1536 * MIB);
    for (size_t i = 0; i < 8; i++)
        given += p.decisions[i].target_bytes - guests[i].sizes.standing_bytes;
    ck_assert_uint_eq(given, 2304 * MIB);
    ck_assert_str_eq(p.summary, "5 guests get 2.25 GiB");

    /* With less room, each gets all that it wants before the next gets any. */
    for (size_t n = 0; n < 4; n++) {
        static const size_t order[] = {4, 7, 3, 2};

        host_fields_set(&s.host, HOST_FIELD_AVAILABLE, (double) (5 * GIB + 640 * MIB + n * 512 * MIB));
        make(&s, NULL, &p);
        for (size_t i = 0; i < 4; i++)
            ck_assert_msg((p.decisions[order[i]].target_bytes > guests[order[i]].sizes.standing_bytes) ==
                              (i < n),
                          "room for %zu: %s", n, p.decisions[order[i]].reason);
    }
}
END_TEST

/* A policy counts on what it takes. One that is only observed gives nothing, so the others must. */
START_TEST(test_mixed_modes)
{
    SnapshotGuest guests[2] = {fixture_guest(), fixture_guest()};
    Snapshot s = {.guests = guests, .n_guests = 2, .host = fixture_host(10 * GIB)};
    _cleanup_(plan_done) Plan p = {};
    const char *policy = THRESHOLDS "let need = 200MiB; for g in guests by g.available desc {"
                                    " let give = min(need, g.target - g.least);"
                                    " if give > 0B { g.target = g.target - give; need = need - give } }";

    guest_fields_set(&guests[0].fields, GUEST_FIELD_AVAILABLE, 1.5 * (double) GIB);
    make(&s, policy, &p);
    ck_assert_uint_eq(p.decisions[0].target_bytes, 1848 * MIB);
    ck_assert_uint_eq(p.decisions[1].target_bytes, 2048 * MIB);
    plan_done(&p);

    guests[0].mode = GUEST_MODE_OBSERVE;
    make(&s, policy, &p);
    ck_assert_uint_eq(p.decisions[0].target_bytes, 1848 * MIB);
    ck_assert(!p.decisions[0].send);
    ck_assert_uint_eq(p.decisions[1].target_bytes, 1848 * MIB);
    ck_assert(p.decisions[1].send);
    ck_assert_str_eq(p.summary,
                     "1 guest gives 200 MiB; 1 move decided for guests in mode observe and not sent");
}
END_TEST

/* What a policy's numbers can be at their worst. */
START_TEST(test_odd_numbers)
{
    static const struct {
        double asked;
        uint64_t target;
    } table[] = {
        {NAN, 1536 * MIB},
        {INFINITY, 2048 * MIB},
        {-INFINITY, 512 * MIB},
        {-1, 512 * MIB},
        {0, 512 * MIB},
        {1e300, 2048 * MIB},
        {0x1p63, 2048 * MIB},
        {0x1p64, 2048 * MIB},
        {1000.0 * MIB + 1, 1000 * MIB + KIB}, /* a shrink is rounded up */
        {1000.0 * MIB + 1023, 1000 * MIB + KIB},
        {1700.0 * MIB + 1023.5, 1700 * MIB}, /* growth down */
        {1536.0 * MIB - 0.5, 1536 * MIB},
    };
    SnapshotGuest g = fixture_guest();
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(50 * GIB)};

    fixture_size(&g, 1536 * MIB);
    g.balloon.shrink_rate = 10.0 * (double) GIB;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        PolicyAssignment a = {.value = table[i].asked, .line = 7, .order = 1};
        PolicyOutput output = {.assignments = &a, .thresholds = {NAN, INFINITY, NAN}};
        _cleanup_(plan_done) Plan p = {};

        ck_assert_int_eq(plan_apply(&s, &config, (const char *[]){"x.policy"}, &output, 0, &p), 0);
        ck_assert_msg(p.decisions[0].target_bytes == table[i].target, "%g: %" PRIu64 " KiB", table[i].asked,
                      p.decisions[0].target_bytes / KIB);
        if (isnan(table[i].asked))
            ck_assert_str_eq(p.decisions[0].reason,
                             "not moved: the policy's target is not a number (x.policy:7)");
        ck_assert_double_eq(p.critical_threshold_bytes, 0.05 * (double) HOST_TOTAL);
    }
}
END_TEST

/* Summaries, over a few guests. */
START_TEST(test_summaries)
{
    static const struct {
        const char *what, *policy;
        unsigned host_gib, n_guests, current_mib;
        GuestMode mode;
        bool first_stale, coming;
        const char *words[3];
    } table[] = {
        {"no guests", NOTHING, 50, 0, 0,
         .words = {"host has 50.0% available, above the 25.0% threshold: nothing to take"}},
        {"at rest", NOTHING, 31, 3, 2048,
         .words =
             {"host has 31.0% available, above the 25.0% threshold: nothing to take; all guests have their "
              "full size"}},
        {"on the way back", NOTHING, 31, 3, 1536, .words = {"3 of 3 guests below full size"}},
        {"between", NOTHING, 22, 3, 1536,
         .words = {"host has 22.0% available, between the 20.0% and 25.0% thresholds: nothing moves"}},
        {"at their floors", NOTHING, 12, 3, 512, .first_stale = true,
         .words =
             {"host has 12.0% available, below the 20.0% threshold; no guest gives more now: 3 at their floor"}},
        {"one stale", NOTHING, 12, 3, 1536, .first_stale = true,
         .words = {"no guest gives more now: 1 stale, 2 from which the policy takes nothing"}},
        {"severe", NOTHING, 4, 1, 512,
         .words = {"host has 4.0% available, below the critical 5.0% threshold", "1 at their floor"}},
        {"on their way", NOTHING, 19, 3, 2048, .coming = true,
         .words = {"host has 19.0% available, below the 20.0% threshold; moving balloons bring 1.46 GiB"}},
        {"moves", ASK("1900MiB"), 10, 3, 2048, .words = {"3 guests give 444 MiB"}},
        {"observe", ASK("1900MiB"), 10, 3, 2048, .mode = GUEST_MODE_OBSERVE,
         .words =
             {"mode observe: 3 moves decided, none sent; `ballastctl mode auto` lets Ballast move balloons"}},
        {"no policy", NULL, 10, 1, 2048,
         .words = {"no policy is loaded; only the guard acts: nothing moves"}},
        {"failed", "let x = host.psi_memory_some + 1", 10, 1, 2048,
         .words = {"the policy failed: ", "psi_memory_some",
                   "(test.policy:1); only the guard acts: nothing moves"}},
    };
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        SnapshotGuest guests[3] = {fixture_guest(), fixture_guest(), fixture_guest()};
        Snapshot s = {
            .guests = guests, .n_guests = table[i].n_guests, .host = fixture_host(table[i].host_gib * GIB)};
        _cleanup_(plan_done) Plan p = {};

        for (size_t g = 0; g < table[i].n_guests; g++) {
            guests[g].mode = table[i].mode;
            fixture_size(guests + g, table[i].current_mib * MIB);
            if (table[i].coming)
                guests[g].sizes.standing_bytes -= 500 * MIB;
        }
        if (table[i].first_stale)
            guests[0].age_usec = 60 * USEC_PER_SEC;
        make(&s, table[i].policy, &p);
        for (size_t w = 0; w < ELEMENTSOF(table[i].words) && table[i].words[w]; w++)
            ck_assert_msg(strstr(p.summary, table[i].words[w]), "%s: '%s' instead of '%s'", table[i].what,
                          p.summary, table[i].words[w]);
    }
}
END_TEST

static bool is_utf8(const char *s)
{
    for (; *s; s++)
        if ((*s & 0xC0) == 0xC0) {
            unsigned more = (*s & 0xF8) == 0xF0 ? 3 : (*s & 0xF0) == 0xE0 ? 2 : 1;

            while (more-- > 0)
                if ((*++s & 0xC0) != 0x80)
                    return false;
        } else if (*s & 0x80)
            return false;
    return true;
}

/* Long words are cut between characters: D-Bus takes no half ones. */
START_TEST(test_long_words)
{
    SnapshotGuest g = fixture_guest();
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(50 * GIB)};

    for (size_t n = 1; n < 400; n++) {
        char because[2048] = "", origin[2048] = "/etc/";
        PolicyAssignment a = {.value = 1, .line = 4000000000U, .order = 1, .because = because};
        PolicyOutput output = {.assignments = &a, .thresholds = {NAN, NAN, NAN}};
        _cleanup_(plan_done) Plan p = {};

        for (size_t i = 0; i < n; i++) {
            strcat(because, i % 2 ? "é" : i % 3 ? "€" : "x");
            strcat(origin, i % 2 ? "😀" : "x");
        }
        g.mode = n % 2 ? GUEST_MODE_OBSERVE : GUEST_MODE_AUTO;
        ck_assert_int_eq(plan_apply(&s, &config, (const char *[]){origin}, &output, 0, &p), 0);
        ck_assert(strlen(p.decisions[0].reason) < DECISION_REASON_MAX);
        ck_assert_msg(is_utf8(p.decisions[0].reason), "%s", p.decisions[0].reason);
        /* The rule survives whatever the policy's words are. */
        ck_assert_msg(strstr(p.decisions[0].reason, "(step)"), "%s", p.decisions[0].reason);

        g.judgement.distress = true;
        g.mode = GUEST_MODE_AUTO;
        output.n_notes = output.notes_total = 1;
        snprintf(output.notes[0].text, sizeof output.notes[0].text, "%.99s", because);
        plan_done(&p);
        ck_assert_int_eq(plan_apply(&s, &config, (const char *[]){origin}, &output, -ECANCELED, &p), 0);
        g.judgement.distress = false;
    }
}
END_TEST

/* Where the policy failed, what it had assigned before doesn't count. */
START_TEST(test_failed_assignments)
{
    SnapshotGuest g = fixture_guest();
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(10 * GIB)};
    PolicyAssignment a = {.value = 1.9 * (double) GIB, .line = 1, .order = 1};
    PolicyOutput output = {.assignments = &a, .thresholds = {NAN, NAN, NAN}};
    _cleanup_(plan_done) Plan p = {};

    ck_assert_int_eq(plan_apply(&s, &config, (const char *[]){"x"}, &output, -ECANCELED, &p), 0);
    ck_assert(!p.decisions[0].send);
    plan_done(&p);
    ck_assert_int_eq(plan_apply(&s, &config, (const char *[]){"x"}, &output, 0, &p), 0);
    ck_assert(p.decisions[0].send);
}
END_TEST

START_TEST(test_failed_policy)
{
    SnapshotGuest g = fixture_guest();
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(10 * GIB)};
    _cleanup_(plan_done) Plan p = {};

    make(&s, "for g in guests { g.target = 1GiB }; let x = host.psi_memory_some + 1", &p);
    ck_assert_int_eq(p.policy_error, -ECANCELED);
    ck_assert_uint_eq(p.n_notes, 1);
    ck_assert(!p.decisions[0].send);
    ck_assert_uint_eq(p.decisions[0].target_bytes, 2 * GIB);
    plan_done(&p);
    ck_assert_ptr_null(p.decisions);
    plan_done(&p);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("plan");

    tcase_add_loop_test(t, test_cases, 0, (int) ELEMENTSOF(cases));
    tcase_add_test(t, test_thresholds);
    tcase_add_test(t, test_fields);
    tcase_add_test(t, test_pending);
    tcase_add_test(t, test_unknown_age);
    tcase_add_test(t, test_order_of_growth);
    tcase_add_test(t, test_mixed_modes);
    tcase_add_test(t, test_odd_numbers);
    tcase_add_test(t, test_summaries);
    tcase_add_test(t, test_long_words);
    tcase_add_test(t, test_failed_policy);
    tcase_add_test(t, test_failed_assignments);
    return run_tests(t);
}
