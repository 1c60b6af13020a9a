/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Guests in distress that the host has no room for: who gives memory to them, how much, of which kind, and
 * which reasons are shown. */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "host-agent/decide/evaluate.h"
#include "tests/policy-load.h"
#include "tests/unit/decide-fixture.h"
#include "tests/unit/run.h"

static const GuardConfig config = GUARD_CONFIG_DEFAULT;

#define ROOMLESS (5 * GIB + 640 * MIB) /* the critical threshold and its margin: no room */
#define PRESSED  (20480 - 5760)        /* MiB: the host's room at its pressure threshold */
#define GUESTS   4

typedef enum Trait {
    T_DISTRESS = 1 << 0,
    T_REFUSED = 1 << 1,
    T_OBSERVE = 1 << 2,
    T_OFF = 1 << 3,
    T_PAUSED = 1 << 4,
    T_HURTING = 1 << 5,
    T_PROTECTED = 1 << 6,
    T_STALE = 1 << 7,
    T_NO_STATS = 1 << 8,
    T_GRACE = 1 << 9,
    T_STALLED = 1 << 10,
    T_MOVING = 1 << 11,
    T_SLOW = 1 << 12,    /* its balloon's rate isn't known: a step is 256 MiB */
    T_LIBVIRT = 1 << 13, /* no agent */
    T_SWAPLESS = 1 << 14,
    T_STALLING = 1 << 15, /* waits for memory for 2 % of its time */
    T_REBOOT = 1 << 16,
    T_LATE = 1 << 17,
} Trait;

/* A guest of 2 GiB in MiB; 0: as the fixture has it (1024 available, of which 512 free and resident, 16 below
 * the low watermark, and 512 cache; it may give 768 and keep a fifth). */
typedef struct Spec {
    const char *name; /* NULL: no more guests */
    unsigned traits;
    unsigned current, standing;
    unsigned free, resident, cache, available;
    unsigned needed, floor, growth;
    double shares;
} Spec;

/* Needs the 512 MiB of its shortfall. */
#define STARVED "starved", T_DISTRESS, 1536

static SnapshotGuest guest_of(const Spec *spec)
{
    SnapshotGuest g = fixture_guest();
    unsigned traits = spec->traits;

    fixture_size(&g, (spec->current ?: 2048) * MIB);
    g.name = spec->name;
    if (spec->standing > 0)
        g.sizes.standing_bytes = spec->standing * MIB;
    if (spec->free > 0)
        guest_fields_set(&g.fields, GUEST_FIELD_FREE, (double) (spec->free * MIB));
    guest_fields_set(&g.fields, GUEST_FIELD_IDLE,
                     spec->resident > 0 ? (double) (spec->resident * MIB)
                                        : guest_fields_get(&g.fields, GUEST_FIELD_FREE));
    if (spec->cache > 0)
        guest_fields_set(&g.fields, GUEST_FIELD_CACHE, (double) (spec->cache * MIB));
    if (spec->available > 0)
        guest_fields_set(&g.fields, GUEST_FIELD_AVAILABLE, (double) (spec->available * MIB));
    if (spec->floor > 0)
        g.sizes.floor_bytes = spec->floor * MIB;
    if (spec->growth > 0) {
        g.sizes.growth_bytes = spec->growth * MIB;
        g.sizes.maximum_bytes = 4 * GIB;
    }
    g.judgement.needed_bytes = spec->needed * MIB;
    g.shares = spec->shares;
    g.judgement.distress = traits & T_DISTRESS;
    g.judgement.grant_refused = traits & T_REFUSED ? "its last grant proved false" : NULL;
    g.mode = traits & T_OFF ? GUEST_MODE_OFF : traits & T_OBSERVE ? GUEST_MODE_OBSERVE : GUEST_MODE_AUTO;
    g.busy = traits & T_PAUSED ? "paused" : NULL;
    g.judgement.hurting = traits & T_HURTING;
    g.judgement.restore_bytes = g.sizes.standing_bytes;
    g.judgement.protected = traits & T_PROTECTED;
    if (traits & T_STALE)
        g.age_usec = 12 * USEC_PER_SEC;
    if (traits & T_NO_STATS)
        g.source = GUEST_SOURCE_NONE;
    if (traits & T_LIBVIRT)
        g.source = GUEST_SOURCE_LIBVIRT;
    if (traits & T_GRACE)
        g.uptime_usec = USEC_PER_SEC;
    g.balloon.stalled = traits & T_STALLED;
    g.balloon.moving = traits & T_MOVING || g.sizes.standing_bytes != g.sizes.current_bytes;
    g.reboot = traits & T_REBOOT;
    g.balloon.late = traits & T_LATE;
    g.balloon.shrink_rate = traits & T_SLOW ? 0 : 10.0 * (double) GIB;
    if (traits & T_SWAPLESS)
        guest_fields_set(&g.fields, GUEST_FIELD_SWAP_TOTAL, 0),
            guest_fields_set(&g.fields, GUEST_FIELD_SWAP_FREE, 0);
    guest_fields_set(&g.fields, GUEST_FIELD_STALL, traits & T_STALLING ? 0.02 : 0.001);
    return g;
}

#define R(rule) GUARD_RULE_##rule

typedef struct Case {
    const char *what, *policy; /* NULL: none */
    int room_mib;              /* what the host has available beyond its critical threshold and margin */
    Spec guests[GUESTS];
    unsigned targets[GUESTS]; /* in MiB, upwards; 0: what stands */
    unsigned lacking;
    GuardRule rules[GUESTS]; /* NONE: not checked */
    const char *words[GUESTS];
    const char *summary;
} Case;

/* A policy that moves all but those in distress. */
#define ASK(size) "for g in guests where not g.distress { g.target = " size " because \"policy\" }"

static const Case cases[] = {
    {"from the idle one to the starved one", .guests = {{STARVED}, {"idle", .free = 700, .available = 1200}},
     .targets = {0, 1536}, .lacking = 512, .rules = {R(ROOM), R(DONOR)},
     .words = {"in distress; others give 512 MiB, which it gets as they release it (room)",
               "gives 512 MiB of free memory to starved, which is in distress (donor)"},
     .summary = "idle gives 512 MiB to starved, which is in distress"},
    {"no guest gives while the host has room", .room_mib = 512, .guests = {{STARVED}, {"idle"}},
     .targets = {2048, 0}, .rules = {R(DISTRESS)}, .summary = "1 guest gets 512 MiB"},
    {"others give what there is no room for", .room_mib = 200,
     .guests = {{STARVED}, {"idle", .free = 700, .available = 1200}}, .targets = {1736, 1736}, .lacking = 312,
     .rules = {R(DISTRESS), R(DONOR)},
     .words = {"gets memory back: it is in distress (distress), no more than the host can spare (room); "
               "others give 312 MiB, which it gets as they release it",
               "gives 312 MiB of free memory to starved"},
     .summary = "1 guest gets 200 MiB; idle gives 312 MiB to starved, which is in distress"},
    {"what the host lacks itself comes first", .room_mib = -100,
     .guests = {{STARVED}, {"idle", .free = 1000, .available = 1500}}, .targets = {0, 1436}, .lacking = 512,
     .words = {"others give 512 MiB"}},
    {"what the host lacks itself is more than others have", .room_mib = -2000,
     .guests = {{STARVED}, {"idle", .cache = 1}}, .targets = {0, 1552}, .lacking = 512,
     .words = {"in distress, but not grown: the host has nothing more to spare above its critical threshold "
               "(room); the host itself needs what others give"}},
    {"no guest has any", .guests = {{STARVED}, {"busy", .free = 20, .cache = 1, .available = 30}},
     .lacking = 512, .rules = {R(ROOM)},
     .words =
         {"not grown: the host has nothing more to spare above its critical threshold (room); no other guest can "
          "spare memory now"}},
    {"alone", .guests = {{STARVED}}, .lacking = 512, .words = {"no other guest can spare memory now"}},
    {"a grant that is refused takes nothing from any guest",
     .guests = {{"starved", T_DISTRESS | T_REFUSED, 1536}, {"idle"}}, .rules = {R(ROOM)},
     .words = {"in distress, but nothing is taken from others for it: its last grant proved false (room)"}},
    {"nor the host's room below its pressure threshold, for which others would be asked afterwards",
     .room_mib = PRESSED, .guests = {{"starved", T_DISTRESS | T_REFUSED, 1536}, {"idle"}}, .rules = {R(ROOM)},
     .words = {"in distress, but nothing is taken from others for it: its last grant proved false (room)"}},
    {"it gets the room that there is above that, though", .room_mib = PRESSED + 200,
     .guests = {{"starved", T_DISTRESS | T_REFUSED, 1536}, {"idle"}}, .targets = {1736, 0},
     .rules = {R(DISTRESS)},
     .words = {"(room); nothing is taken from others for it: its last grant proved false"}},
    {"after those whose grant isn't refused", .room_mib = PRESSED + 200,
     .guests = {{"refused", T_DISTRESS | T_REFUSED, 1024}, {STARVED}}, .targets = {0, 2048},
     .rules = {R(ROOM), R(DISTRESS)}},
    {"it keeps what it has while its shrink is on its way", .room_mib = -100,
     .guests = {{"refused", T_DISTRESS | T_REFUSED, 1736, 1536}}, .targets = {1736}, .rules = {R(DISTRESS)}},
    {"it gets what any other guest would: its floor", .room_mib = 400,
     .guests = {{"refused", T_DISTRESS | T_REFUSED, 1536, .floor = 1700}}, .targets = {1700},
     .rules = {R(FLOOR)}},
    {"it gets what any other guest would: its full size after a reboot", .room_mib = 600,
     .guests = {{"refused", T_DISTRESS | T_REFUSED | T_REBOOT, 1536}}, .targets = {2048},
     .rules = {R(REBOOT)}},
    {"what others release little by little is passed on in parts that are worth a move", .room_mib = 3,
     .guests = {{STARVED}, {"idle", .free = 700, .available = 1200}}, .targets = {0, 1539}, .lacking = 512,
     .rules = {R(ROOM), R(DONOR)}},
    {"and kept for it meanwhile", .policy = "for g in guests { g.target = g.full }", .room_mib = 3,
     .guests = {{STARVED}, {"idle", .current = 2045, .free = 700, .available = 1200}}, .targets = {0, 1536},
     .lacking = 512},

    /* What is on its way. */
    {"what others release already is enough", .guests = {{STARVED}, {"giving", .standing = 1536}, {"idle"}},
     .lacking = 512, .words = {"in distress; others give 512 MiB, which it gets as they release it (room)"}},
    {"what one draws out isn't waited for: others give it",
     .guests = {{STARVED}, {"giving", T_LATE, .standing = 1536}, {"idle", .free = 700, .available = 1200}},
     .targets = {0, 0, 1536}, .lacking = 512},
    {"what others release already isn't enough",
     .guests = {{STARVED}, {"giving", .standing = 1836}, {"idle"}}, .targets = {0, 0, 1748}, .lacking = 512},
    {"what others release already lifts the host out of its critical zone first", .room_mib = -300,
     .guests = {{STARVED}, {"giving", .standing = 1536}, {"idle"}}, .targets = {0, 0, 1748}, .lacking = 512},
    {"what was outstanding to others is spoken for",
     .guests = {{STARVED}, {"growing", .current = 1536, .standing = 1636}, {"idle", .free = 800}},
     .targets = {0, 0, 1436}, .lacking = 512},
    {"what the policy takes in this cycle is enough",
     ASK("if g.current > 2000MiB then 1536MiB else g.target"), .guests = {{STARVED}, {"idle", .free = 700}},
     .targets = {0, 1536}, .lacking = 512, .rules = {R(ROOM)},
     .words = {"others give 512 MiB", "policy (test.policy:1)"}, .summary = "1 guest gives 512 MiB"},
    {"one from which the policy takes a little gives more", ASK("1900MiB"),
     .guests = {{STARVED}, {"idle", .free = 700, .available = 1200}}, .targets = {0, 1536}, .lacking = 512,
     .rules = {R(ROOM), R(DONOR)},
     .words = {"others give 512 MiB",
               "policy (test.policy:1), and gives 364 MiB of free memory to starved, which is in distress "
               "(donor)"},
     .summary = "1 guest gives 512 MiB; idle gives 364 MiB of that to starved, which is in distress"},
    {"what the policy takes and the host doesn't get, counts for nothing", ASK("1800MiB"),
     .guests = {{STARVED},
                {"untouched", .free = 1000, .resident = 1, .cache = 1, .available = 1000},
                {"idle", .free = 700}},
     .targets = {0, 1800, 1537}, .lacking = 512},
    {"growth that the policy wants doesn't stand in the way", ASK("2048MiB"),
     .guests = {{STARVED}, {"idle", .current = 1800, .free = 700, .available = 1200}}, .targets = {0, 1288},
     .lacking = 512, .rules = {R(ROOM), R(DONOR)},
     .words = {NULL, "gives 512 MiB of free memory to starved"}},

    /* Who gives. */
    {"who has most free memory gives first",
     .guests = {{STARVED}, {"little", .free = 600}, {"much", .free = 800, .available = 1400}},
     .targets = {0, 0, 1536}, .lacking = 512},
    {"then who has less", .guests = {{STARVED}, {"little", .free = 300}, {"much", .free = 400}},
     .targets = {0, 1920, 1664}, .lacking = 512,
     .summary = "2 guests give 512 MiB to starved, which is in distress"},
    {"free memory that the host doesn't have isn't asked for",
     .guests = {{STARVED},
                {"untouched", .free = 1000, .resident = 50, .available = 1000, .cache = 1},
                {"idle", .free = 600}},
     .targets = {0, 0, 1536}, .lacking = 512},
    {"among equals who has fewer shares",
     .guests = {{STARVED},
                {"usual", .free = 700},
                {"few", .free = 700, .shares = 500},
                {"many", .free = 700, .shares = 2000}},
     .targets = {0, 0, 1536, 0}, .lacking = 512},
    {"shares that aren't said are 1000",
     .guests = {{STARVED}, {"many", .free = 700, .shares = 1001}, {"usual", .free = 700}},
     .targets = {0, 0, 1536}, .lacking = 512},
    {"then the first by UUID", .guests = {{STARVED}, {"a", .free = 700}, {"b", .free = 700}},
     .targets = {0, 1536, 0}, .lacking = 512},
    {"others in distress don't", .guests = {{STARVED}, {"other", T_DISTRESS}, {"idle", .free = 700}},
     .targets = {0, 0, 1536}, .lacking = 512},
    {"one that hurts doesn't", .guests = {{STARVED}, {"hurting", T_HURTING}}, .lacking = 512},
    {"one that is protected doesn't", .guests = {{STARVED}, {"protected", T_PROTECTED}}, .lacking = 512},
    {"nor where the host is critical", .room_mib = -1000,
     .guests = {{STARVED}, {"hurting", T_HURTING}, {"protected", T_PROTECTED}, {"needs", .needed = 2000}},
     .targets = {0, 0, 0, 2000}, .lacking = 512},
    {"one gives to what it was found to need", .guests = {{STARVED}, {"needs", .needed = 1900}},
     .targets = {0, 1900}, .lacking = 512, .words = {"others give 148 MiB, which"}},
    {"one that is only observed doesn't",
     .guests = {{STARVED}, {"observed", T_OBSERVE}, {"off", T_OFF}, {"paused", T_PAUSED}}, .lacking = 512},
    {"one of which nothing fresh is known doesn't",
     .guests = {{STARVED}, {"stale", T_STALE}, {"silent", T_NO_STATS}, {"booting", T_GRACE}}, .lacking = 512},
    {"one whose balloon moves or is stuck doesn't",
     .guests = {{STARVED}, {"stalled", T_STALLED}, {"moving", T_MOVING}, {"rebooted", T_REBOOT}},
     .lacking = 512},

    /* How much. */
    {"no more than a step", .guests = {{STARVED}, {"idle", T_SLOW}}, .targets = {0, 1792}, .lacking = 512},
    {"not below its floor", .guests = {{STARVED}, {"idle", .floor = 1800}}, .targets = {0, 1800},
     .lacking = 512},
    {"without agent: half of what it has available",
     .guests = {{STARVED}, {"idle", T_LIBVIRT, .free = 600, .available = 800}}, .targets = {0, 1648},
     .lacking = 512},
    {"without swap: not into what it uses",
     .guests = {{STARVED}, {"idle", T_SWAPLESS, .free = 490, .available = 500}},
     .targets = {0, 1936}, /* a fifth kept: (500 - 409.6) / 0.8 = 113; what it uses needs 1703 */
     .lacking = 512},
    {"keeps a fifth available", .guests = {{STARVED}, {"idle", .free = 590, .available = 600}},
     .targets = {0, 1811}, /* 362 left, a fifth of 1810 */
     .lacking = 512},
    {"not below its low watermark", .guests = {{STARVED}, {"idle", .free = 200, .cache = 1}},
     .targets = {0, 1864}, .lacking = 512},
    {"no less than what is worth a move", .room_mib = 511, .guests = {{STARVED}, {"idle"}},
     .targets = {2047, 2038}, .lacking = 1},
    {"what isn't worth a move isn't taken", .guests = {{STARVED}, {"idle", .free = 25, .cache = 1}},
     .lacking = 512},

    /* Page cache. */
    {"page cache comes after free memory", .guests = {{STARVED}, {"idle"}}, .targets = {0, 1536},
     .lacking = 512, .rules = {R(ROOM), R(DONOR)},
     .words = {NULL, "gives 512 MiB of free memory and page cache to starved, which is in distress (donor)"}},
    {"free memory of all comes before the page cache of any",
     .guests = {{STARVED}, {"a", .free = 300, .cache = 900, .available = 1400}, {"b", .free = 244}},
     .targets = {0, 1764, 1820}, .lacking = 512},
    {"page cache from who has most of it, a tenth of its full size in one go",
     .guests = {{STARVED},
                {"little", .free = 16, .cache = 500},
                {"much", .free = 16, .cache = 900, .available = 900}},
     .targets = {0, 1844, 1844}, .lacking = 512,
     .words = {"others give 410 MiB", "gives 205 MiB of page cache to starved"}},
    {"what the policy takes of it is part of that", ASK("g.target - 100MiB"),
     .guests = {{STARVED}, {"idle", .free = 16, .cache = 900, .available = 900}}, .targets = {0, 1844},
     .lacking = 512},
    {"none from one that waits for memory",
     .guests = {{STARVED}, {"stalling", T_STALLING, .free = 100, .cache = 900}}, .targets = {0, 1964},
     .lacking = 512},
    {"free memory that the host doesn't have goes first, and brings nothing",
     .guests = {{STARVED}, {"idle", .free = 416, .resident = 1, .cache = 900, .available = 1300}},
     .targets = {0, 1444}, /* 400 in the way, and 204 of cache */
     .lacking = 512, .words = {"others give 206 MiB"}},
    {"keeps a fifth available, cache and all",
     .guests = {{STARVED}, {"idle", .free = 216, .cache = 900, .available = 650}},
     .targets = {0, 1748}, /* (650 - 409.6) / 0.8 = 300.5 */
     .lacking = 512},

    /* Those in distress. */
    {"two of them",
     .guests = {{STARVED}, {"hungry", T_DISTRESS, 1792}, {"idle", .free = 1000, .available = 1500}},
     .targets = {0, 0, 1280}, .lacking = 768,
     .words =
         {"in distress; others give 768 MiB to 2 guests in distress, which get it as it is released (room)",
          "others give 768 MiB to 2 guests", "gives 768 MiB of free memory to 2 guests in distress (donor)"},
     .summary = "idle gives 768 MiB to 2 guests in distress"},
    {"two of them, one refused",
     .guests = {{STARVED}, {"liar", T_DISTRESS | T_REFUSED, 1024}, {"idle", .free = 1000, .available = 1500}},
     .targets = {0, 0, 1536}, .lacking = 512,
     .words = {"others give 512 MiB, which it gets", "nothing is taken from others for it: its last grant"}},
    {"one that is only observed takes nothing from others",
     .guests = {{"observed", T_DISTRESS | T_OBSERVE, 1536}, {"idle"}}},
    {"one that can't be moved takes nothing from others",
     .guests = {{"paused", T_DISTRESS | T_PAUSED, 1536}, {"idle"}}},
    {"one that has all takes nothing from others", .guests = {{"full", T_DISTRESS}, {"idle"}},
     .words = {"in distress, but it already has its full size (distress)"}},
    {"one that may grow above its full size takes what others can spare",
     .guests = {{"growing", T_DISTRESS, .growth = 2348}, {"idle"}}, .targets = {0, 1748}, .lacking = 300,
     .words = {"others give 300 MiB"}},
    {"one that doesn't get all of a shrink back that is on its way",
     .guests = {{"starved", T_DISTRESS, 1736, 1536}, {"idle"}}, .targets = {1736, 1736}, .lacking = 312},
    {"no guest in distress, none gives", .room_mib = -4000, .guests = {{"a", .current = 1536}, {"b"}}},
    {"one that rebooted isn't in distress", .guests = {{"rebooted", T_REBOOT, 1024}, {"idle"}}},
};

START_TEST(test_cases)
{
    const Case *c = cases + _i;
    char uuids[GUESTS][37];
    SnapshotGuest guests[GUESTS];
    Snapshot s = {.guests = guests,
                  .host = fixture_host((uint64_t) ((int64_t) ROOMLESS + c->room_mib * (int64_t) MIB))};
    _cleanup_(policy_freep) Policy *policy = NULL;
    _cleanup_(plan_done) Plan p = {};

    if (c->policy)
        ck_assert_int_eq(policy_load(c->policy, strlen(c->policy), "test.policy", NULL, &policy), 0);
    for (unsigned i = 0; i < GUESTS && c->guests[i].name; i++) {
        guests[i] = guest_of(c->guests + i);
        guests[i].uuid = fixture_uuid(uuids[i], i);
        s.n_guests++;
    }
    ck_assert_int_eq(plan_make(&s, policy, &config, &p), 0);

    for (size_t i = 0; i < s.n_guests; i++) {
        const Decision *d = p.decisions + i;
        uint64_t target = c->targets[i] > 0 ? c->targets[i] : guests[i].sizes.standing_bytes / MIB;

        ck_assert_msg((d->target_bytes + MIB - 1) / MIB == target, "%s: %s gets %" PRIu64 " KiB: %s", c->what,
                      guests[i].name, d->target_bytes / KIB, d->reason);
        ck_assert_msg(c->rules[i] == GUARD_RULE_NONE || d->rule == c->rules[i], "%s: %s by %s: %s", c->what,
                      guests[i].name, guard_rule_to_string(d->rule), d->reason);
        ck_assert_msg(d->send == (d->target_bytes != guests[i].sizes.standing_bytes), "%s: %s is %ssent",
                      c->what, guests[i].name, d->send ? "" : "not ");
        ck_assert_msg(!c->words[i] || strstr(d->reason, c->words[i]), "%s: '%s' instead of '%s'", c->what,
                      d->reason, c->words[i]);
    }
    ck_assert_msg(p.shortfall_bytes == c->lacking * MIB, "%s: %" PRIu64 " KiB lacking", c->what,
                  p.shortfall_bytes / KIB);
    ck_assert_msg(!c->summary || strstr(p.summary, c->summary), "%s: '%s' instead of '%s'", c->what,
                  p.summary, c->summary);
}
END_TEST

/* A guest at its floor, on a critical host: its reason agrees with what the same plan does to the others. */
START_TEST(test_i_a_reason_agrees_with_its_plan)
{
#define NOBODY "no other guest can spare memory now"
#define HOST   "the host itself needs what others give"
    static const struct {
        const char *what, *policy;
        Spec other;
        unsigned standing; /* of the starved guest, whose shrink is on its way; 0: none is */
        const char *words;
    } rows[] = {
        {"the policy shrinks another", ASK("1kB"), {"other", T_SLOW}, 0, HOST},
        {"the policy would shrink another", ASK("1kB"), {"other", T_SLOW | T_OBSERVE}, 0, NOBODY},
        {"another's shrink is on its way", NULL, {"other", .standing = 1800}, 0, HOST},
        {"another hands memory back",
         "for g in guests where not g.distress { g.reclaim = 200MiB }",
         {"other", .needed = 2048},
         0,
         HOST},
        {"only its own shrink is on its way", NULL, {"other", .needed = 2048}, 500, NOBODY},
        {"another has none to spare", ASK("1kB"), {"other", T_PAUSED}, 0, NOBODY},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(policy_freep) Policy *policy = NULL;
        SnapshotGuest guests[] = {
            guest_of(&(Spec){"starved", T_DISTRESS, .current = 512, .standing = rows[i].standing}),
            guest_of(&rows[i].other)};
        Snapshot s = {.guests = guests, .n_guests = 2, .host = fixture_host(3 * GIB)};
        _cleanup_(plan_done) Plan p = {};

        if (rows[i].policy)
            ck_assert_int_eq(
                policy_load(rows[i].policy, strlen(rows[i].policy), "test.policy", NULL, &policy), 0);
        ck_assert_int_eq(plan_make(&s, policy, &config, &p), 0);
        ck_assert_msg(strstr(p.decisions[0].reason, rows[i].words),
                      "%s: '%s' instead of '%s'; the other: '%s'", rows[i].what, p.decisions[0].reason,
                      rows[i].words, p.decisions[1].reason);
    }
#undef NOBODY
#undef HOST
}
END_TEST

/* The host's worst case: guests use at once what they are given. */
static void run_moves(Snapshot *s, const Plan *p)
{
    double available = host_fields_get(&s->host, HOST_FIELD_AVAILABLE);

    for (size_t i = 0; i < s->n_guests; i++) {
        SnapshotGuest *g = s->guests + i;
        double change = (double) p->decisions[i].target_bytes - (double) g->sizes.standing_bytes;

        available -= change;
        fixture_size(g, p->decisions[i].target_bytes);
        if (g->judgement.distress)
            continue;
        guest_fields_set(&g->fields, GUEST_FIELD_FREE,
                         guest_fields_get(&g->fields, GUEST_FIELD_FREE) + change);
        guest_fields_set(&g->fields, GUEST_FIELD_IDLE, guest_fields_get(&g->fields, GUEST_FIELD_FREE));
        guest_fields_set(&g->fields, GUEST_FIELD_AVAILABLE,
                         guest_fields_get(&g->fields, GUEST_FIELD_AVAILABLE) + change);
    }
    host_fields_set(&s->host, HOST_FIELD_AVAILABLE, available);
}

static Policy *load_shipped(void)
{
    char path[4096];
    Policy *p = NULL;

    snprintf(path, sizeof path, "%s/policy/balloon.policy", getenv("BALLAST_SOURCE") ?: ".");
    ck_assert_int_eq(policy_load_files((const char *[]){path}, 1, NULL, &p, NULL), 0);
    return p;
}

/* Two starved guests alongside two idle ones that have enough to spare: whatever the host has available, two
 * cycles later they have all they need, and the host never fell below its critical threshold, with the
 * shipped policy and without any. */
START_TEST(test_served_within_two_cycles)
{
    _cleanup_(policy_freep) Policy *shipped = load_shipped();

    for (unsigned mib = 5 * 1024; mib < 12 * 1024; mib += 37) {
        SnapshotGuest guests[GUESTS] = {
            guest_of(&(Spec){STARVED}), guest_of(&(Spec){"b", T_DISTRESS, 1800}),
            guest_of(&(Spec){"idle", .free = 1400, .available = 1600, .cache = 200}),
            guest_of(&(Spec){"idler", .free = 1500, .available = 1700, .cache = 200})};
        Snapshot s = {.guests = guests, .n_guests = GUESTS, .host = fixture_host(mib * MIB)};

        for (unsigned cycle = 0; cycle < 2; cycle++) {
            _cleanup_(plan_done) Plan p = {};

            ck_assert_int_eq(plan_make(&s, _i ? shipped : NULL, &config, &p), 0);
            run_moves(&s, &p);
            ck_assert_msg(host_fields_get(&s.host, HOST_FIELD_AVAILABLE) >= 5.0 * (double) GIB,
                          "%u MiB available, cycle %u: the host is critical: %s", mib, cycle, p.summary);
        }
        for (unsigned i = 0; i < 2; i++)
            ck_assert_msg(guests[i].sizes.current_bytes == 2 * GIB,
                          "%u MiB available: %s has %" PRIu64 " MiB", mib, guests[i].name,
                          guests[i].sizes.current_bytes / MIB);
    }
}
END_TEST

/* An unknown host has no room to give away, so nothing is taken for that. */
START_TEST(test_unknown_host)
{
    SnapshotGuest guests[2] = {guest_of(&(Spec){STARVED}), guest_of(&(Spec){"idle"})};
    Snapshot s = {.guests = guests, .n_guests = 2};
    _cleanup_(plan_done) Plan p = {};

    ck_assert_int_eq(plan_make(&s, NULL, &config, &p), 0);
    ck_assert_uint_eq(p.decisions[1].target_bytes, 2 * GIB);
    ck_assert_uint_eq(p.shortfall_bytes, 512 * MIB);
}
END_TEST

/* A guest's figures needn't make sense. */
START_TEST(test_odd_numbers)
{
    static const double odd[] = {0, -1, 1e300, 0x1p64, __builtin_inf(), __builtin_nan("")};

    for (size_t i = 0; i < ELEMENTSOF(odd); i++)
        for (int f = 0; f < GUEST_FIELD_MAX; f++) {
            SnapshotGuest guests[2] = {guest_of(&(Spec){STARVED}), guest_of(&(Spec){"idle"})};
            Snapshot s = {.guests = guests, .n_guests = 2, .host = fixture_host(ROOMLESS)};
            _cleanup_(plan_done) Plan p = {};

            guest_fields_set(&guests[1].fields, f, odd[i]);
            guests[1].shares = odd[i];
            ck_assert_int_eq(plan_make(&s, NULL, &config, &p), 0);
            ck_assert_uint_ge(p.decisions[1].target_bytes, guests[1].sizes.floor_bytes);
            ck_assert_uint_eq(p.decisions[1].target_bytes % KIB, 0);
        }
}
END_TEST

/* The longest names that libvirt accepts leave room for the rule. */
START_TEST(test_long_names)
{
    SnapshotGuest guests[2] = {guest_of(&(Spec){STARVED}), guest_of(&(Spec){"idle"})};
    Snapshot s = {.guests = guests, .n_guests = 2, .host = fixture_host(ROOMLESS)};
    _cleanup_(plan_done) Plan p = {};
    char name[300];

    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    guests[0].name = guests[1].name = name;
    ck_assert_int_eq(plan_make(&s, NULL, &config, &p), 0);
    ck_assert_ptr_nonnull(strstr(p.decisions[1].reason, "x, which is in distress (donor)"));
    ck_assert_ptr_nonnull(strstr(p.summary, "x, which is in distress"));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("donor");

    tcase_add_loop_test(t, test_cases, 0, (int) ELEMENTSOF(cases));
    tcase_add_test(t, test_i_a_reason_agrees_with_its_plan);
    tcase_add_loop_test(t, test_served_within_two_cycles, 0, 2);
    tcase_add_test(t, test_unknown_host);
    tcase_add_test(t, test_odd_numbers);
    tcase_add_test(t, test_long_names);
    return run_tests(t);
}
