/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ksm.policy as shipped, on hosts that live in time, with the bounds that the daemon sets it. */

#include <math.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/decide/evaluate.h"
#include "host-agent/decide/view.h"
#include "policy/keep.h"
#include "tests/unit/decide-fixture.h"
#include "tests/unit/run.h"

#define CYCLES (TEST_SANITIZED ? 2000U : 10000U)

#define MSEC    ((double) USEC_PER_MSEC)
#define MISSING (-1.0)

/* A host, and what the daemon keeps for the policy. */
typedef struct World {
    Policy *policy;
    PolicyKeep keep;
    HostFields host;
    SnapshotGuest guests[2];
    size_t n_guests;
    usec_t now_usec;
    unsigned starts, stops, changes; /* of KSM; of any control */
} World;

/* promised: of all guests together, as a part of total. */
static void world_init(World *w, double total, double promised, bool swap)
{
    PolicyDiagnostics d = {};
    char path[4096];

    *w = (World){.n_guests = 2, .now_usec = 3600 * USEC_PER_SEC};
    snprintf(path, sizeof(path), "%s/policy/ksm.policy", getenv("BALLAST_SOURCE"));
    ck_assert_msg(policy_load_files((const char *[]){path}, 1, &d, &w->policy, NULL) == 0, "%s", d.text);
    ck_assert_int_eq(policy_keep_copy(&w->keep, true, &(PolicyKeep){}, w->policy, NULL), 0);
    host_fields_set(&w->host, HOST_FIELD_TOTAL, total);
    host_fields_set(&w->host, HOST_FIELD_AVAILABLE, 0.5 * total);
    host_fields_set(&w->host, HOST_FIELD_SWAP_TOTAL, swap ? total : 0);
    host_fields_set(&w->host, HOST_FIELD_KSM_RUN, 0);
    host_fields_set(&w->host, HOST_FIELD_KSM_PAGES_TO_SCAN, 100);
    host_fields_set(&w->host, HOST_FIELD_KSM_SLEEP, 20 * MSEC);
    host_fields_set(&w->host, HOST_FIELD_KSM_SHARING, 0);
    host_fields_set(&w->host, HOST_FIELD_KSM_PROFIT, 0);
    host_fields_set(&w->host, HOST_FIELD_KSM_FULL_SCANS, 0);
    for (size_t i = 0; i < w->n_guests; i++) {
        w->guests[i] = fixture_guest();
        w->guests[i].sizes.full_bytes = w->guests[i].sizes.maximum_bytes = (uint64_t) (promised * total / 2);
        fixture_size(&w->guests[i], w->guests[i].sizes.full_bytes);
    }
}

static void world_done(World *w)
{
    policy_keep_done(&w->keep);
    policy_free(w->policy);
}

/* As part of the host's memory. */
static void set_available(World *w, double ratio)
{
    host_fields_set(&w->host, HOST_FIELD_AVAILABLE, ratio * host_fields_get(&w->host, HOST_FIELD_TOTAL));
}

static void carry_out(World *w, const HostDecision *d)
{
    if (!d->send)
        return;
    w->changes++;
    if (d->control == HOST_FIELD_KSM_RUN)
        *(d->value != 0 ? &w->starts : &w->stops) += 1;
    host_fields_set(&w->host, d->control, d->value);
}

/* One cycle. What it assigned is within what the policy itself says, and needs no guard. */
static void cycle(World *w, double seconds)
{
    GuardConfig config = GUARD_CONFIG_DEFAULT;
    Plan p = {};
    Snapshot s = {.now_usec = w->now_usec,
                  .host = w->host,
                  .history = &w->keep.history,
                  .state = w->keep.state,
                  .guests = w->guests,
                  .n_guests = w->n_guests};
    HostFields fields;

    ck_assert_int_eq(plan_make(&s, w->policy, &config, &p), 0);
    ck_assert_msg(p.notes_total == 0 && p.policy_error == 0, "%u: %s", p.notes[0].line, p.notes[0].text);
    for (size_t i = 0; i < p.n_host; i++) {
        const HostDecision *d = &p.host[i];

        ck_assert_ptr_null(strstr(d->reason, "clipped"));
        if (d->control == HOST_FIELD_KSM_PAGES_TO_SCAN)
            ck_assert(d->wanted >= 100 && d->wanted <= 1250);
        if (d->control == HOST_FIELD_KSM_SLEEP)
            ck_assert(d->wanted >= 3 * MSEC && d->wanted <= 400 * MSEC);
        carry_out(w, d);
    }
    policy_keep_state(&w->keep, true, w->policy, p.state);
    view_host_fields(&s, &fields);
    series_set_add_host(&w->keep.history, w->now_usec, &fields);
    plan_done(&p);
    w->now_usec += (usec_t) (seconds * (double) USEC_PER_SEC);
}

static void run_for(World *w, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++)
        cycle(w, 1);
}

static bool runs(const World *w)
{
    return host_fields_get(&w->host, HOST_FIELD_KSM_RUN) != 0;
}

static double pages(const World *w)
{
    return host_fields_get(&w->host, HOST_FIELD_KSM_PAGES_TO_SCAN);
}

static double sleep_msec(const World *w)
{
    return host_fields_get(&w->host, HOST_FIELD_KSM_SLEEP) / MSEC;
}

/* When it starts, and at what pace: after a minute of it. */
START_TEST(test_start)
{
    static const struct {
        const char *what;
        double total_gib, available, promised;
        bool swap, runs;
        double pages, sleep_msec;
    } cases[] = {
        {"plenty", 64, 0.50, 1.5, true, false, 100, 20},
        {"between the thresholds", 64, 0.22, 1.5, true, false, 100, 20},
        {"a little short", 64, 0.199, 1.5, true, true, 100, 3},
        {"half-way", 64, 0.125, 1.5, true, true, 675, 3},
        {"as short as can be", 64, 0.05, 1.5, true, true, 1250, 3},
        {"and more", 64, 0.00, 1.5, true, true, 1250, 3},
        {"short, and guests aren't the cause", 64, 0.05, 0.45, true, false, 100, 20},
        {"without swap it starts earlier", 64, 0.39, 1.5, false, true, 100, 3},
        {"but not as early as this", 64, 0.41, 1.5, false, false, 100, 20},
        {"a fifth of a large host is more than anyone means", 1024, 0.10, 1.5, true, false, 100, 20},
        {"32 GiB of it is the threshold", 1024, 0.02, 1.5, true, true, 652, 3},
        {"16 GiB", 16, 0.05, 1.5, true, true, 1250, 10},
        {"a small host", 1, 0.05, 1.5, true, true, 1250, 100},
        {"the largest", 8192, 0.0001, 1.5, true, true, 1250, 3},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        World w;

        world_init(&w, cases[i].total_gib * (double) GIB, cases[i].promised, cases[i].swap);
        set_available(&w, cases[i].available);
        run_for(&w, 60);
        ck_assert_msg(runs(&w) == cases[i].runs && fabs(pages(&w) - cases[i].pages) <= 1 &&
                          sleep_msec(&w) == cases[i].sleep_msec,
                      "%s: %s, %g pages, sleep %g ms", cases[i].what, runs(&w) ? "on" : "off", pages(&w),
                      sleep_msec(&w));
        ck_assert_uint_eq(w.starts, cases[i].runs);
        world_done(&w);
    }
}
END_TEST

/* A dip of some seconds, which a balloon fills, isn't worth a start; what lasts is. */
START_TEST(test_a_dip)
{
    World w;

    world_init(&w, 64.0 * GIB, 1.5, true);
    set_available(&w, 0.30);
    run_for(&w, 60);
    set_available(&w, 0.10);
    run_for(&w, 5);
    set_available(&w, 0.30);
    run_for(&w, 600);
    ck_assert_uint_eq(w.changes, 0);
    set_available(&w, 0.10);
    run_for(&w, 30);
    ck_assert(runs(&w));
    world_done(&w);
}
END_TEST

/* Nor is what balloons are bringing just now. */
START_TEST(test_balloons_on_their_way)
{
    World w;

    world_init(&w, 64.0 * GIB, 1.5, true);
    w.guests[0].sizes.standing_bytes -= 8 * GIB;
    w.guests[0].balloon.moving = true;
    set_available(&w, 0.15);
    run_for(&w, 300);
    ck_assert_uint_eq(w.changes, 0);
    world_done(&w);
}
END_TEST

START_TEST(test_up_at_once_down_slowly)
{
    double last;
    World w;

    world_init(&w, 64.0 * GIB, 1.5, true);
    set_available(&w, 0.19);
    run_for(&w, 60);
    ck_assert_double_lt(pages(&w), 250);
    set_available(&w, 0.05);
    run_for(&w, 31);
    ck_assert_double_eq(pages(&w), 1250);

    set_available(&w, 0.22);
    last = pages(&w);
    for (unsigned i = 0; i < 400; i++) {
        cycle(&w, 1);
        ck_assert_double_le(pages(&w), last);
        ck_assert_double_ge(pages(&w), last - 110);
        last = pages(&w);
        if (i == 150)
            ck_assert_double_gt(last, 500);
    }
    ck_assert_double_eq(last, 100);
    ck_assert(runs(&w));
    world_done(&w);
}
END_TEST

/* Over 10 minutes in which the host would have plenty without KSM, too. */
START_TEST(test_stop)
{
    static const struct {
        const char *what;
        double total_gib, available, saved, promised;
        bool stops;
    } cases[] = {
        {"plenty", 64, 0.40, 0, 1.5, true},
        {"plenty, also without what is saved", 64, 0.40, 0.10, 1.5, true},
        {"plenty, thanks to what is saved", 64, 0.40, 0.20, 1.5, false},
        {"not yet plenty", 64, 0.23, 0, 1.5, false},
        {"still short", 64, 0.10, 0, 1.5, false},
        {"short, but not for guests any more", 64, 0.10, 0, 0.3, true},
        {"short, and still for guests", 64, 0.10, 0, 0.45, false},
        {"41 GiB are plenty on the largest", 1024, 0.0401, 0, 1.5, true},
        {"and 39 aren't", 1024, 0.0381, 0, 1.5, false},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        double total = cases[i].total_gib * GIB;
        World w;

        world_init(&w, total, 1.5, true);
        set_available(&w, 0.02);
        run_for(&w, 60);
        ck_assert(runs(&w));
        set_available(&w, cases[i].available);
        host_fields_set(&w.host, HOST_FIELD_KSM_SHARING, cases[i].saved * total);
        host_fields_set(&w.host, HOST_FIELD_KSM_PROFIT, cases[i].saved * total);
        for (size_t g = 0; g < w.n_guests; g++)
            w.guests[g].sizes.full_bytes = (uint64_t) (cases[i].promised * total / 2);
        run_for(&w, 590);
        ck_assert_msg(runs(&w), "%s: too early", cases[i].what);
        run_for(&w, 60);
        ck_assert_msg(runs(&w) == !cases[i].stops, "%s: %s", cases[i].what, runs(&w) ? "goes on" : "stops");
        world_done(&w);
    }
}
END_TEST

/* One that ran before the policy did isn't stopped before it was looked so long whether it is needed. */
START_TEST(test_found_running)
{
    World w;

    world_init(&w, 64.0 * GIB, 1.5, true);
    set_available(&w, 0.40);
    host_fields_set(&w.host, HOST_FIELD_KSM_RUN, 1);
    run_for(&w, 590);
    ck_assert(runs(&w));
    run_for(&w, 20);
    ck_assert(!runs(&w));
    world_done(&w);
}
END_TEST

/* One that finds nothing equal doesn't go on at full pace, and does when it finds something. */
START_TEST(test_in_vain)
{
    World w;

    world_init(&w, 64.0 * GIB, 1.5, true);
    host_fields_set(&w.host, HOST_FIELD_KSM_FULL_SCANS, 1000);
    set_available(&w, 0.05);
    run_for(&w, 60);
    ck_assert_double_eq(pages(&w), 1250);
    host_fields_set(&w.host, HOST_FIELD_KSM_FULL_SCANS, 1002);
    run_for(&w, 600);
    ck_assert_double_eq(pages(&w), 1250);
    host_fields_set(&w.host, HOST_FIELD_KSM_FULL_SCANS, 1003);
    run_for(&w, 400);
    ck_assert_double_eq(pages(&w), 100);
    ck_assert(runs(&w));
    host_fields_set(&w.host, HOST_FIELD_KSM_SHARING, 1.0 * GIB);
    host_fields_set(&w.host, HOST_FIELD_KSM_PROFIT, 0.9 * GIB);
    run_for(&w, 2);
    ck_assert_double_eq(pages(&w), 1250);
    world_done(&w);
}
END_TEST

START_TEST(test_eased_while_balloons_move)
{
    World w;

    world_init(&w, 16.0 * GIB, 1.5, true);
    set_available(&w, 0.10);
    run_for(&w, 60);
    ck_assert_double_eq(sleep_msec(&w), 10);
    w.guests[1].balloon.moving = true;
    run_for(&w, 3);
    ck_assert_double_eq(sleep_msec(&w), 40);
    w.guests[1].balloon.moving = false;
    run_for(&w, 29);
    ck_assert_double_eq(sleep_msec(&w), 40);
    run_for(&w, 3);
    ck_assert_double_eq(sleep_msec(&w), 10);
    world_done(&w);
}
END_TEST

/* The larger the host, the shorter the sleep, and there always is one. (MOM's formula comes to 0 ms from 160
 * GiB on.) */
START_TEST(test_sleep_by_size)
{
    double last = INFINITY;

    for (double total = 1.0 * GIB; total <= 8.0 * TIB; total *= 1.25) {
        World w;

        world_init(&w, total, 1.5, true);
        set_available(&w, 0.001);
        run_for(&w, 2);
        ck_assert(runs(&w));
        ck_assert_double_le(sleep_msec(&w), last);
        ck_assert_double_ge(sleep_msec(&w), 3);
        last = sleep_msec(&w);
        world_done(&w);
    }
}
END_TEST

static double random_ratio(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 8) / (double) (1 << 24);
}

/* Within the bounds (which cycle() checks) on every host: from 1 GiB to 8 TiB, in cycles of any
 * length. */
START_TEST(test_random_hosts)
{
    for (unsigned n = 0; n < 300; n++) {
        unsigned seed = n + 1;
        World w;

        world_init(&w, (double) GIB * exp2(13 * random_ratio(&seed)), 2 * random_ratio(&seed),
                   random_ratio(&seed) < 0.5);
        for (unsigned i = 0; i < 200; i++) {
            if (random_ratio(&seed) < 0.1)
                set_available(&w, random_ratio(&seed) * random_ratio(&seed));
            if (random_ratio(&seed) < 0.1)
                host_fields_set(&w.host, HOST_FIELD_KSM_SHARING,
                                random_ratio(&seed) * host_fields_get(&w.host, HOST_FIELD_TOTAL));
            if (random_ratio(&seed) < 0.1)
                host_fields_set(&w.host, HOST_FIELD_KSM_PROFIT,
                                (random_ratio(&seed) - 0.5) * host_fields_get(&w.host, HOST_FIELD_TOTAL));
            if (random_ratio(&seed) < 0.1)
                host_fields_set(&w.host, HOST_FIELD_KSM_FULL_SCANS, floor(100 * random_ratio(&seed)));
            /* An administrator who sets them by hand. */
            if (random_ratio(&seed) < 0.02)
                host_fields_set(&w.host, HOST_FIELD_KSM_PAGES_TO_SCAN, floor(1e6 * random_ratio(&seed)));
            w.guests[0].balloon.moving = random_ratio(&seed) < 0.2;
            cycle(&w, random_ratio(&seed) < 0.05 ? 3600 : 2 * random_ratio(&seed));
            if (runs(&w)) {
                ck_assert_double_ge(sleep_msec(&w), 3);
                ck_assert_double_ge(pages(&w), 100);
            }
        }
        world_done(&w);
    }
}
END_TEST

/* A host at rest, whose memory only trembles: nothing is set any more in 10,000 cycles. */
START_TEST(test_at_rest)
{
    static const double levels[] = {0.02, 0.05, 0.11, 0.17, 0.20, 0.205, 0.25};

    for (size_t i = 0; i < ELEMENTSOF(levels); i++) {
        unsigned seed = 1, settled;
        World w;

        world_init(&w, 64.0 * GIB, 1.5, true);
        set_available(&w, levels[i]);
        run_for(&w, 700);
        settled = w.changes;
        for (unsigned n = 0; n < CYCLES; n++) {
            set_available(&w, levels[i] + 0.004 * (random_ratio(&seed) - 0.5));
            cycle(&w, 1);
        }
        /* If it wavers about the threshold, KSM may start once. */
        ck_assert_msg(w.changes == settled || (w.starts == 1 && settled == 0 && w.changes <= 3),
                      "at %g: %u changes, then %u more", levels[i], settled, w.changes - settled);
        ck_assert_uint_eq(w.stops, 0);
        world_done(&w);
    }
}
END_TEST

/* KSM that works: what it saves is available, grows while it runs and fades while it doesn't. Whatever guests
 * want of the host, and however much they have in common, it doesn't go on and off. */
START_TEST(test_no_flapping_where_it_helps)
{
    for (double demand = 0.60; demand <= 1.2; demand += 0.1)
        for (double common = 0; common <= 0.5; common += 0.25) {
            double total = 64.0 * GIB, saved = 0;
            unsigned seed = 7;
            World w;

            world_init(&w, total, 1.5, true);
            for (unsigned n = 0; n < CYCLES; n++) {
                saved += ((runs(&w) ? common * total : 0) - saved) * (runs(&w) ? 0.01 : 0.002);
                host_fields_set(&w.host, HOST_FIELD_KSM_SHARING, saved);
                host_fields_set(&w.host, HOST_FIELD_KSM_PROFIT, saved);
                set_available(&w, fmax(0, 1 - demand + saved / total + 0.004 * (random_ratio(&seed) - 0.5)));
                cycle(&w, 1);
            }
            ck_assert_msg(w.starts <= 1 && w.stops == 0, "demand %g, common %g: %u starts, %u stops", demand,
                          common, w.starts, w.stops);
            ck_assert_msg(w.changes <= 20, "demand %g, common %g: %u changes", demand, common, w.changes);
            world_done(&w);
        }
}
END_TEST

/* On a kernel with fewer figures, or none, the policy's decisions say so, and it doesn't fail (cycle()). */
START_TEST(test_other_kernels)
{
    World w;

    world_init(&w, 64.0 * GIB, 1.5, true);
    field_set_remove(&w.host.present, HOST_FIELD_KSM_PROFIT);
    field_set_remove(&w.host.present, HOST_FIELD_SWAP_TOTAL);
    set_available(&w, 0.05);
    run_for(&w, 60);
    ck_assert(runs(&w));
    world_done(&w);

    world_init(&w, 64.0 * GIB, 1.5, true);
    for (HostField f = 0; f < HOST_FIELD_MAX; f++)
        if (strncmp(host_field_info(f)->name, "ksm_", 4) == 0)
            field_set_remove(&w.host.present, f);
    set_available(&w, 0.05);
    run_for(&w, 60);
    ck_assert_uint_eq(w.changes, 0);
    world_done(&w);
}
END_TEST

START_TEST(test_without_guests)
{
    World w;

    world_init(&w, 64.0 * GIB, 1.5, true);
    w.n_guests = 0;
    set_available(&w, 0.05);
    run_for(&w, 60);
    ck_assert_uint_eq(w.changes, 0);
    world_done(&w);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("ksm-policy");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_start);
    tcase_add_test(t, test_a_dip);
    tcase_add_test(t, test_balloons_on_their_way);
    tcase_add_test(t, test_up_at_once_down_slowly);
    tcase_add_test(t, test_stop);
    tcase_add_test(t, test_found_running);
    tcase_add_test(t, test_in_vain);
    tcase_add_test(t, test_eased_while_balloons_move);
    tcase_add_test(t, test_sleep_by_size);
    tcase_add_test(t, test_random_hosts);
    tcase_add_test(t, test_at_rest);
    tcase_add_test(t, test_no_flapping_where_it_helps);
    tcase_add_test(t, test_other_kernels);
    tcase_add_test(t, test_without_guests);
    return run_tests(t);
}
