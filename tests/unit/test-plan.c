/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a snapshot to a plan: what the policy reads and assigns, the host's room, summaries, and failures. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/plan-make.h"

static void assert_in_force(const Plan *p, double pressure_gib, double critical_gib, double relax_gib)
{
    ck_assert_double_eq(p->in_force_bytes[POLICY_THRESHOLD_PRESSURE], pressure_gib * (double) GIB);
    ck_assert_double_eq(p->in_force_bytes[POLICY_THRESHOLD_CRITICAL], critical_gib * (double) GIB);
    ck_assert_double_eq(p->in_force_bytes[POLICY_THRESHOLD_RELAX], relax_gib * (double) GIB);
}

/* The thresholds in force: the policy's, else the guard's own; and the host's pressure by them. */
START_TEST(test_thresholds)
{
    Snapshot s = {.host = fixture_host(21 * GIB)};
    _cleanup_(plan_done) Plan p = {};

    make(&s, NULL, &p);
    assert_in_force(&p, 20, 5, 25);
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
    assert_in_force(&p, 32, 8, 40);

    /* A host without swap is twice as cautious; what the policy says counts all the same. */
    host_fields_set(&s.host, HOST_FIELD_SWAP_TOTAL, 0);
    make(&s, "const critical_threshold = 6GiB", &p);
    assert_in_force(&p, 64, 6, 80);
    host_fields_set(&s.host, HOST_FIELD_SWAP_TOTAL, 8.0 * (double) GIB);

    /* Each by itself. */
    make(&s, "let pressure_threshold = 7GiB; const critical_threshold = 6GiB", &p);
    assert_in_force(&p, 7, 6, 40);
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

/* What a plan says of thresholds are the policy's own: none that it doesn't have. */
START_TEST(test_c4_only_the_policys_own_thresholds_are_named)
{
    static const struct {
        const char *policy;
        double gib[POLICY_THRESHOLD_MAX]; /* 0: none */
        unsigned available_gib;
        const char *summary;
    } table[] = {
        {"let x = 1", .available_gib = 22,
         .summary = "host has 22.0% available; nothing moves: 1 from which the policy takes nothing"},
        {"let x = 1", .available_gib = 3,
         .summary = "host has 3.0% available; nothing moves: 1 from which the policy takes nothing"},
        {"let x = 1", .available_gib = 60,
         .summary = "host has 60.0% available; nothing moves: 1 from which the policy takes nothing"},
        {"const pressure_threshold = 30GiB",
         {[POLICY_THRESHOLD_PRESSURE] = 30},
         22,
         "host has 22.0% available, below the 30.0% threshold; no guest gives more now: 1 from which the policy "
         "takes nothing"},
        {"const pressure_threshold = 10GiB",
         {[POLICY_THRESHOLD_PRESSURE] = 10},
         22,
         "host has 22.0% available; nothing moves: 1 from which the policy takes nothing"},
        {"const critical_threshold = 10GiB",
         {[POLICY_THRESHOLD_CRITICAL] = 10},
         3,
         "host has 3.0% available, below the critical 10.0% threshold; no guest gives more now: 1 from which the "
         "policy takes nothing"},
        {"const relax_threshold = 40GiB",
         {[POLICY_THRESHOLD_RELAX] = 40},
         60,
         "host has 60.0% available, above the 40.0% threshold: nothing to take; all guests have their full size"},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        SnapshotGuest g = fixture_guest();
        Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(table[i].available_gib * GIB)};
        _cleanup_(plan_done) Plan p = {};

        make(&s, table[i].policy, &p);
        for (int t = 0; t < POLICY_THRESHOLD_MAX; t++) {
            double bytes = t == POLICY_THRESHOLD_PRESSURE   ? p.pressure_threshold_bytes
                           : t == POLICY_THRESHOLD_CRITICAL ? p.critical_threshold_bytes
                                                            : p.relax_threshold_bytes;

            if (table[i].gib[t] > 0)
                ck_assert_double_eq(bytes, table[i].gib[t] * (double) GIB);
            else
                ck_assert_msg(isnan(bytes), "case %zu, threshold %d: %g", i, t, bytes);
        }
        ck_assert_str_eq(p.summary, table[i].summary);
    }
}
END_TEST

/* A guest in distress at a full size below its maximum gets a reason that names the way out. */
START_TEST(test_b_distress_at_full_size_names_max)
{
    SnapshotGuest g = fixture_guest();
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(50 * GIB)};
    _cleanup_(plan_done) Plan p = {};

    g.judgement.distress = true;
    g.sizes.maximum_bytes = 4 * GIB;
    make(&s, "for g in guests { g.target = 1GiB }", &p);
    ck_assert_str_eq(p.decisions[0].reason,
                     "in distress, but it already has its full size; ballastctl set VM "
                     "--max lets it grow (distress)");
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
        if (f != GUEST_FIELD_AVAILABLE && f != GUEST_FIELD_SWAP_TOTAL && f != GUEST_FIELD_SWAP_FREE &&
            f != GUEST_FIELD_RESIDENT)
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

/* Memory that moving balloons will free counts as available, and memory that was given and isn't used yet as
 * used: otherwise two guests would get it. */
START_TEST(test_pending)
{
    static const struct {
        uint64_t current, standing, outstanding; /* MiB */
        double pending;
        bool late, squeezed;
        double resident, swapped; /* MiB; 0: not known, none */
    } table[] = {
        {1600, 1600, 0, 0},
        {1600, 1400, 0, 200},
        {1400, 1600, 0, -200},
        {1600, 1600, 150, -150},
        {1400, 1600, 250, -250}, /* a growth that is on its way is outstanding, too */
        {1400, 1600, 50, -200},
        {1600, 1400, 50, 150},
        {1600, 1400, 0, 0, true},
        {1400, 1600, 0, 0, true}, /* what is outstanding still counts */
        {1400, 1600, 150, -150, true},
        /* Of a squeeze, the part that the host has in memory; nothing for what its balloon lets go of. */
        {1600, 1400, 0, 200, false, true},
        {1600, 1400, 0, 200, false, true, 1000, 0},
        {1600, 1400, 0, 150, false, true, 1000, 250},
        {1600, 1400, 0, 0, false, true, 1000, 1000},
        {1600, 1400, 0, 0, false, true, 1000, 3000},
        {1600, 1400, 0, 0, true, true, 1000, 250},
        {1600, 1400, 50, 100, false, true, 1000, 250},
        {1400, 1600, 0, 0, false, true, 1000, 250},
        {1400, 1600, 50, -50, false, true},
        /* A balloon that holds memory: what it takes is memory that the host has. */
        {1600, 1400, 0, 200, false, false, 1000, 250},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        SnapshotGuest g = fixture_guest();
        Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(50 * GIB)};
        _cleanup_(plan_done) Plan p = {};

        g.sizes.current_bytes = table[i].current * MIB;
        g.sizes.standing_bytes = table[i].standing * MIB;
        g.sizes.outstanding_bytes = table[i].outstanding * MIB;
        g.balloon.late = table[i].late;
        g.balloon.squeezed = table[i].squeezed;
        if (table[i].resident > 0) {
            guest_fields_set(&g.fields, GUEST_FIELD_RESIDENT, table[i].resident * MIB);
            guest_fields_set(&g.fields, GUEST_FIELD_SWAPPED, table[i].swapped * MIB);
        }
        make(&s, NULL, &p);
        ck_assert_msg(fabs(p.pending_bytes - table[i].pending * (double) MIB) < 1, "row %zu: %.3f MiB", i,
                      p.pending_bytes / (double) MIB);
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

/* Three guests without swap on a host that is critical: two were shrunk, one a moment ago, and both are in distress.
 * What was taken from the one is owed to it and comes back whatever room there is; the other gets the room, all of it; and
 * what the policy gives to the third comes after both. */
START_TEST(test_b_what_was_taken_is_owed_first)
{
    for (unsigned room_mib = 0; room_mib <= 600; room_mib += 100) {
        SnapshotGuest guests[3] = {fixture_guest(), fixture_guest(), fixture_guest()};
        Snapshot s = {
            .guests = guests, .n_guests = 3, .host = fixture_host(5 * GIB + (640 + room_mib) * MIB)};
        _cleanup_(plan_done) Plan p = {};

        for (size_t i = 0; i < 3; i++) {
            fixture_size(guests + i, (i == 0 ? 1000 : 1536) * MIB);
            guest_fields_set(&guests[i].fields, GUEST_FIELD_SWAP_TOTAL, 0);
            guest_fields_set(&guests[i].fields, GUEST_FIELD_SWAP_FREE, 0);
            /* Nobody has any to spare for them. */
            guest_fields_set(&guests[i].fields, GUEST_FIELD_FREE, 0);
            guest_fields_set(&guests[i].fields, GUEST_FIELD_AVAILABLE, 0);
        }
        guests[0].judgement.distress = guests[1].judgement.distress = true;
        guests[1].judgement.owed_bytes = 2 * GIB;
        make(&s, ASK("g.full"), &p);

        ck_assert_msg(p.decisions[1].target_bytes == 2 * GIB && p.decisions[1].send, "room for %u: %s",
                      room_mib, p.decisions[1].reason);
        ck_assert_msg(p.decisions[0].target_bytes == (1000 + room_mib) * MIB, "room for %u: %s", room_mib,
                      p.decisions[0].reason);
        ck_assert_msg(p.decisions[2].target_bytes == 1536 * MIB, "room for %u: %s", room_mib,
                      p.decisions[2].reason);
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

/* The worst numbers that a policy can assign. */
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
        PolicyOutput output = {.assignments = {[GUEST_CONTROL_TARGET] = &a},
                               .thresholds = {NAN, INFINITY, NAN}};
        _cleanup_(plan_done) Plan p = {};

        ck_assert_int_eq(plan_apply(&s, &config, NULL, (const char *[]){"x.policy"}, &output, 0, &p), 0);
        ck_assert_msg(p.decisions[0].target_bytes == table[i].target, "%g: %" PRIu64 " KiB", table[i].asked,
                      p.decisions[0].target_bytes / KIB);
        if (isnan(table[i].asked))
            ck_assert_str_eq(p.decisions[0].reason,
                             "not moved: the policy's target is not a number (x.policy:7)");
        ck_assert_double_eq(p.in_force_bytes[POLICY_THRESHOLD_CRITICAL], 0.05 * (double) HOST_TOTAL);
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

/* A guest that may not promise more than it has: what it gives, and what it is told. */
START_TEST(test_n_what_a_kernel_has_promised_is_the_reason)
{
    static const struct {
        double committed_mib;
        uint64_t target_mib; /* 0: nothing is sent */
        const char *words;
    } rows[] = {
        {2600, 1891,
         "gives (test.policy:1), clipped to the 1.85 GiB it needs for what its kernel has promised"},
        {2900, 0, "its kernel has promised 2.83 GiB to processes (strict overcommit)"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        SnapshotGuest g = fixture_guest();
        Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(10 * GIB)};
        _cleanup_(plan_done) Plan p = {};
        const Decision *d;

        guest_fields_set(&g.fields, GUEST_FIELD_COMMITTED, rows[i].committed_mib * (double) MIB);
        guest_fields_set(&g.fields, GUEST_FIELD_COMMIT_LIMIT, 3072.0 * (double) MIB);
        make(&s, "for g in guests { g.target = 512MiB because \"gives\" }", &p);
        d = p.decisions;
        ck_assert_msg(strstr(d->reason, rows[i].words), "%s", d->reason);
        ck_assert_int_eq(d->rule, GUARD_RULE_COMMITTED);
        ck_assert(d->send == (rows[i].target_mib > 0));
        if (d->send)
            ck_assert_uint_eq(d->target_bytes / MIB, rows[i].target_mib);
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
        PolicyOutput output = {.assignments = {[GUEST_CONTROL_TARGET] = &a}, .thresholds = {NAN, NAN, NAN}};
        _cleanup_(plan_done) Plan p = {};

        for (size_t i = 0; i < n; i++) {
            strcat(because, i % 2 ? "é" : i % 3 ? "€" : "x");
            strcat(origin, i % 2 ? "😀" : "x");
        }
        g.mode = n % 2 ? GUEST_MODE_OBSERVE : GUEST_MODE_AUTO;
        ck_assert_int_eq(plan_apply(&s, &config, NULL, (const char *[]){origin}, &output, 0, &p), 0);
        ck_assert(strlen(p.decisions[0].reason) < DECISION_REASON_MAX);
        ck_assert_msg(is_utf8(p.decisions[0].reason), "%s", p.decisions[0].reason);
        /* The rule survives whatever the policy's words are. */
        ck_assert_msg(strstr(p.decisions[0].reason, "(step)"), "%s", p.decisions[0].reason);

        g.judgement.distress = true;
        g.mode = GUEST_MODE_AUTO;
        output.n_notes = output.notes_total = 1;
        snprintf(output.notes[0].text, sizeof output.notes[0].text, "%.99s", because);
        plan_done(&p);
        ck_assert_int_eq(plan_apply(&s, &config, NULL, (const char *[]){origin}, &output, -ECANCELED, &p), 0);
        g.judgement.distress = false;
    }
}
END_TEST

/* The assignments of a policy that fails don't count. */
START_TEST(test_failed_assignments)
{
    SnapshotGuest g = fixture_guest();
    Snapshot s = {.guests = &g, .n_guests = 1, .host = fixture_host(10 * GIB)};
    PolicyAssignment a = {.value = 1.9 * (double) GIB, .line = 1, .order = 1};
    PolicyOutput output = {.assignments = {[GUEST_CONTROL_TARGET] = &a}, .thresholds = {NAN, NAN, NAN}};
    _cleanup_(plan_done) Plan p = {};

    ck_assert_int_eq(plan_apply(&s, &config, NULL, (const char *[]){"x"}, &output, -ECANCELED, &p), 0);
    ck_assert(!p.decisions[0].send);
    plan_done(&p);
    ck_assert_int_eq(plan_apply(&s, &config, NULL, (const char *[]){"x"}, &output, 0, &p), 0);
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

    tcase_add_test(t, test_thresholds);
    tcase_add_test(t, test_c4_only_the_policys_own_thresholds_are_named);
    tcase_add_test(t, test_b_distress_at_full_size_names_max);
    tcase_add_test(t, test_fields);
    tcase_add_test(t, test_pending);
    tcase_add_test(t, test_unknown_age);
    tcase_add_test(t, test_order_of_growth);
    tcase_add_test(t, test_b_what_was_taken_is_owed_first);
    tcase_add_test(t, test_mixed_modes);
    tcase_add_test(t, test_odd_numbers);
    tcase_add_test(t, test_summaries);
    tcase_add_test(t, test_n_what_a_kernel_has_promised_is_the_reason);
    tcase_add_test(t, test_long_words);
    tcase_add_test(t, test_failed_policy);
    tcase_add_test(t, test_failed_assignments);
    return run_tests(t);
}
