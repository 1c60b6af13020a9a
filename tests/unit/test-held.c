/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is worked out from looks at a guest's QEMU and from what the guest says. */

#include <check.h>
#include <math.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/held.h"
#include "tests/unit/decide-random.h"
#include "tests/unit/run.h"

#define SEC    USEC_PER_SEC
#define MINUTE (60 * SEC)
#define HOUR   (3600 * SEC)
#define START  (1000 * SEC)

/* ---- Recorded guests ---- */

/* So many looks, every so many seconds, all the same. MiB. */
typedef struct Row {
    const char *what;
    unsigned looks, every_sec;
    uint64_t current, free, rss, swap;
    bool moving; /* the guest isn't compared with the look */
    /* After the last of them. */
    uint64_t resident, idle, overhead, uncertainty;
} Row;

#define ROWS_MAX 12U

typedef struct Recorded {
    const char *name;
    uint64_t maximum;
    uint64_t reserved; /* of the guest's size, by its kernel: not in MemTotal */
    Row rows[ROWS_MAX];
} Recorded;

static const Recorded recorded[] = {
    {.name = "boots, fills its cache, frees all of it; without free page reporting",
     .maximum = 2048,
     .reserved = 80,
     .rows = {{"just booted", 1, 1, 2048, 1850, 272, 0, false, 272, 0, 96, 0},
              {"a little later", 7, 1, 2048, 1850, 272, 0, false, 272, 0, 74, 0},
              {"reads", 10, 1, 2048, 900, 1222, 0, false, 1222, 0, 74, 0},
              {"drops its cache", 10, 1, 2048, 1850, 1222, 0, false, 1222, 950, 74, 0},
              {"long after that", 8, 400, 2048, 1850, 1222, 0, false, 1222, 950, 74, 950},
              {"the balloon takes it", 4, 1, 1400, 1202, 700, 0, true, 700, 428, 74, 950},
              {"and has it", 8, 1, 1100, 902, 272, 0, false, 272, 0, 74, 0}}},
    {.name = "the same with free page reporting",
     .maximum = 2048,
     .reserved = 80,
     .rows = {{"booted", 8, 1, 2048, 1850, 272, 0, false, 272, 0, 74, 0},
              {"reads", 10, 1, 2048, 900, 1222, 0, false, 1222, 0, 74, 0},
              {"drops its cache", 10, 1, 2048, 1850, 302, 0, false, 302, 30, 74, 0},
              {"long after that", 8, 400, 2048, 1850, 302, 0, false, 302, 30, 74, 30}}},
    {.name = "found with all of its memory touched, so QEMU's own isn't known",
     .maximum = 4096,
     .reserved = 120,
     .rows = {{"at first", 8, 5, 4096, 3000, 4146, 0, false, 4146, 2954, 96, 2954},
              {"given back", 8, 1, 1600, 504, 1172, 0, false, 1172, 0, 76, 0}}},
    {.name = "the host swaps it out",
     .maximum = 1024,
     .reserved = 48,
     .rows = {{"all used", 8, 1, 1024, 24, 1060, 0, false, 1060, 0, 60, 0},
              {"half of it swapped out", 5, 1, 1024, 24, 560, 500, false, 1060, 0, 60, 0},
              {"and then freed", 5, 1, 1024, 724, 560, 500, false, 1060, 700, 60, 0}}},
    {.name = "a kernel that reserved 256 MiB for a crash kernel and didn't touch it",
     .maximum = 2048,
     .reserved = 320,
     .rows = {{"booted", 8, 1, 2048, 1600, 266, 0, false, 266, 0, 0, 0},
              {"frees what it used", 5, 1, 2048, 1650, 266, 0, false, 266, 50, 0, 0}}},
    {.name = "in flux: a report is a second older than the look",
     .maximum = 4096,
     .reserved = 120,
     .rows = {{"at rest", 8, 1, 4096, 2000, 2176, 0, false, 2176, 0, 80, 0},
              {"frees 200 MiB a second, reported free pages are gone already", 1, 1, 4096, 2000, 1976, 0,
               false, 1976, 0, 80, 0},
              {"goes on", 1, 1, 4096, 2200, 1776, 0, false, 1776, 0, 80, 0},
              {"goes on", 1, 1, 4096, 2400, 1576, 0, false, 1576, 0, 80, 0},
              {"goes on", 1, 1, 4096, 2600, 1376, 0, false, 1376, 0, 80, 0},
              {"at rest", 5, 1, 4096, 2800, 1376, 0, false, 1376, 0, 80, 0}}},
    {.name = "huge pages of a pool: QEMU holds only its own",
     .maximum = 8192,
     .reserved = 200,
     .rows = {{"all used", 8, 1, 8192, 100, 90, 0, false, 90, 0, 0, 0}}},
    /* As the lab's: Linux 6.1 under TCG; by smaps, 122 MiB are QEMU's, so 27 MiB of what is free is held at first. */
    {.name = "a real guest",
     .maximum = 512,
     .reserved = 43,
     .rows = {{"booted", 8, 5, 512, 432, 227, 0, false, 227, 51, 96, 51},
              {"touched 150 MiB and freed them", 8, 5, 512, 434, 370, 0, false, 370, 196, 96, 51},
              {"shrunk", 8, 1, 312, 235, 223, 0, false, 223, 50, 96, 50},
              {"shrunk further", 8, 1, 168, 90, 222, 0, false, 222, 48, 96, 48},
              {"grown again", 8, 1, 512, 434, 222, 0, false, 222, 48, 96, 48}}},
    {.name = "a tiny guest",
     .maximum = 128,
     .reserved = 20,
     .rows = {{"booted", 1, 1, 128, 60, 100, 0, false, 100, 0, 96, 0},
              {"known", 7, 1, 128, 60, 100, 0, false, 100, 0, 32, 0},
              {"frees", 5, 1, 128, 90, 100, 0, false, 100, 30, 32, 0}}},
};

static HeldGuest guest_of(const Recorded *r, const Row *row)
{
    return (HeldGuest){.used_bytes = (row->current - row->free) * MIB,
                       .free_bytes = row->free * MIB,
                       .reserved_bytes = r->reserved * MIB};
}

START_TEST(test_recorded)
{
    const Recorded *r = &recorded[_i];
    usec_t now = START;
    Held h;

    held_init(&h, 0);
    for (const Row *row = r->rows; row < r->rows + ROWS_MAX && row->what; row++) {
        HeldGuest guest = guest_of(r, row);

        for (unsigned i = 0; i < row->looks; i++) {
            now += row->every_sec * SEC;
            held_look(&h, &(ProcessLook){.rss_bytes = row->rss * MIB, .swap_bytes = row->swap * MIB},
                      HELD_SOURCE_PROCESS, row->moving ? NULL : &guest, now);
        }
        ck_assert_msg(held_resident(&h, now) == row->resident * MIB, "%s, %s: resident %ju", r->name,
                      row->what, (uintmax_t) (held_resident(&h, now) / MIB));
        ck_assert_msg(held_overhead(&h) / MIB == row->overhead, "%s, %s: overhead %ju", r->name, row->what,
                      (uintmax_t) (held_overhead(&h) / MIB));
        ck_assert_msg((held_idle(&h, &guest, now) + MIB - 1) / MIB == row->idle, "%s, %s: idle %ju", r->name,
                      row->what, (uintmax_t) (held_idle(&h, &guest, now) / MIB));
        ck_assert_msg((held_uncertainty(&h) + MIB - 1) / MIB == row->uncertainty, "%s, %s: uncertainty %ju",
                      r->name, row->what, (uintmax_t) (held_uncertainty(&h) / MIB));
    }
}
END_TEST

/* ---- Overhead ---- */

static void look_at(Held *h, uint64_t resident, uint64_t used, usec_t now)
{
    const HeldGuest guest = {used * MIB, (4096 - used) * MIB, 0};

    held_look(h, &(ProcessLook){.rss_bytes = resident * MIB}, HELD_SOURCE_PROCESS, &guest, now);
}

static void looks(Held *h, unsigned n, uint64_t resident, uint64_t used, usec_t *now)
{
    for (unsigned i = 0; i < n; i++) {
        *now += SEC;
        look_at(h, resident, used, *now);
    }
}

START_TEST(test_overhead_rises_slowly)
{
    usec_t now = START;
    Held h;

    held_init(&h, 0);
    looks(&h, HELD_CALM_LOOKS, 1060, 1000, &now);
    ck_assert_uint_eq(held_overhead(&h), 60 * MIB);
    now += HOUR;
    looks(&h, HELD_CALM_LOOKS, 1090, 1000, &now);
    ck_assert_uint_ge(held_overhead(&h), 61 * MIB);
    ck_assert_uint_lt(held_overhead(&h), 61 * MIB + 64 * KIB);
    /* No further than to what is seen, and to the limit. */
    now += 20 * HOUR;
    looks(&h, HELD_CALM_LOOKS, 1064, 1000, &now);
    ck_assert_uint_eq(held_overhead(&h), 64 * MIB);
    now += 1000 * HOUR;
    looks(&h, HELD_CALM_LOOKS, 2000, 1000, &now);
    ck_assert_uint_eq(held_overhead(&h), HELD_OVERHEAD_MAX_BYTES);
}
END_TEST

START_TEST(test_overhead_is_proven)
{
    usec_t now = START;
    Held h;

    held_init(&h, 0);
    looks(&h, HELD_CALM_LOOKS, 1300, 1000, &now);
    ck_assert_uint_eq(held_overhead(&h), 96 * MIB);
    held_prove(&h, 0, 300 * MIB); /* a shrink that brought all of it proves nothing */
    ck_assert_uint_eq(held_overhead(&h), 96 * MIB);
    ck_assert_uint_eq(h.proven_bytes, 0);
    held_prove(&h, 100 * MIB, 300 * MIB);
    ck_assert_uint_eq(held_overhead(&h), 196 * MIB);
    held_prove(&h, 200 * MIB, 300 * MIB); /* not more than is there */
    ck_assert_uint_eq(held_overhead(&h), 300 * MIB);
    held_prove(&h, 8 * GIB, 8 * GIB);
    ck_assert_uint_eq(held_overhead(&h), HELD_PROVEN_MAX_BYTES);
    /* A look that shows less is right. Then it may rise again. */
    looks(&h, HELD_CALM_LOOKS, 1120, 1000, &now);
    ck_assert_uint_eq(held_overhead(&h), 120 * MIB);
    now += 10 * HOUR;
    looks(&h, HELD_CALM_LOOKS, 1300, 1000, &now);
    ck_assert_uint_eq(held_overhead(&h) / MIB, 130);
}
END_TEST

/* A daemon that starts again goes on from what was stored. */
START_TEST(test_overhead_is_stored)
{
    usec_t now = START;
    Held h;

    held_init(&h, 0);
    ck_assert_uint_eq(held_to_store(&h), 0);
    ck_assert(!held_is_due(&h, now));
    looks(&h, HELD_CALM_LOOKS, 1060, 1000, &now);
    ck_assert_uint_eq(held_to_store(&h), 60 * MIB);
    ck_assert(!held_is_due(&h, now));
    ck_assert(held_is_due(&h, now + 10 * MINUTE));
    held_stored(&h, now);
    ck_assert(!held_is_due(&h, now + HOUR));
    looks(&h, HELD_CALM_LOOKS, 1050, 1000, &now);
    ck_assert(!held_is_due(&h, now));
    ck_assert(held_is_due(&h, now + 10 * MINUTE));
    looks(&h, HELD_CALM_LOOKS, 1058, 1000, &now); /* rises only by a little */
    ck_assert_uint_eq(held_overhead(&h) / MIB, 50);

    held_init(&h, 50 * MIB);
    ck_assert_uint_eq(held_overhead(&h), 50 * MIB);
    ck_assert(!held_is_due(&h, now + HOUR));
    looks(&h, HELD_CALM_LOOKS, 3000, 1000, &now);
    ck_assert_uint_eq(held_overhead(&h), 50 * MIB);
    held_init(&h, 300 * MIB); /* that was proven */
    looks(&h, HELD_CALM_LOOKS, 3000, 1000, &now);
    ck_assert_uint_eq(held_overhead(&h), 300 * MIB);
    held_init(&h, UINT64_MAX);
    ck_assert_uint_eq(held_overhead(&h), HELD_OVERHEAD_MAX_BYTES);
}
END_TEST

/* Nothing is learned while something moves, nor from too few looks. */
START_TEST(test_calm)
{
    usec_t now = START;
    Held h;

    held_init(&h, 80 * MIB);
    looks(&h, HELD_CALM_LOOKS - 1, 1010, 1000, &now);
    ck_assert_uint_eq(held_overhead(&h), 80 * MIB);
    held_look(&h, &(ProcessLook){.rss_bytes = 1010 * MIB}, HELD_SOURCE_PROCESS, NULL, now);
    looks(&h, HELD_CALM_LOOKS - 1, 1010, 1000, &now);
    ck_assert_uint_eq(held_overhead(&h), 80 * MIB);
    held_reboot(&h);
    looks(&h, HELD_CALM_LOOKS - 1, 1010, 1000, &now);
    ck_assert_uint_eq(held_overhead(&h), 80 * MIB);
    held_reboot(&h);
    for (unsigned i = 0; i < 100; i++) { /* up and down */
        now += SEC;
        look_at(&h, 1010 + i % 2 * 20, 1000 + i % 3 * 15, now);
    }
    ck_assert_uint_eq(held_overhead(&h), 80 * MIB);
    /* A little is nothing. The largest of the differences counts (58 MiB), and as much more as they differ (16). */
    for (unsigned i = 0; i < 100; i++) {
        now += SEC;
        look_at(&h, 1050 + i % 2 * 8, 1000 + i % 3 * 4, now);
    }
    ck_assert_uint_eq(held_overhead(&h), 74 * MIB);
}
END_TEST

/* One report that is off shows no idle memory: three looks must agree. While the guest moves, there are no others. */
START_TEST(test_idle_in_three_looks)
{
    const HeldGuest guest = {.used_bytes = 900 * MIB, .free_bytes = 3196 * MIB};
    usec_t now = START;
    Held h;

    held_init(&h, 60 * MIB);
    looks(&h, HELD_CALM_LOOKS, 1060, 1000, &now);
    ck_assert_uint_eq(held_idle(&h, &guest, now), 0);
    looks(&h, 2, 1060, 900, &now);
    ck_assert_uint_eq(held_idle(&h, &guest, now), 0);
    looks(&h, 1, 1060, 900, &now);
    ck_assert_uint_eq(held_idle(&h, &guest, now) / MIB, 99);
    looks(&h, 1, 1060, 1000, &now);
    ck_assert_uint_eq(held_idle(&h, &guest, now), 0);
    held_look(&h, &(ProcessLook){.rss_bytes = 1060 * MIB}, HELD_SOURCE_PROCESS, NULL, now);
    ck_assert_uint_eq(held_idle(&h, &guest, now) / MIB, 99);
}
END_TEST

/* ---- Sources ---- */

START_TEST(test_sources)
{
    const HeldGuest guest = {424 * MIB, 600 * MIB, 0};
    const ProcessLook process = {.rss_bytes = 800 * MIB, .swap_bytes = 100 * MIB},
                      virt = {.rss_bytes = 500 * MIB};
    usec_t now = START;
    Held h;

    held_init(&h, 76 * MIB);
    /* Nothing is known: all that is free may be held. */
    ck_assert(!held_is_known(&h, now));
    ck_assert_uint_eq(held_resident(&h, now), 0);
    ck_assert_uint_eq(held_idle(&h, &guest, now), 600 * MIB);
    held_look(&h, &virt, HELD_SOURCE_LIBVIRT, &guest, now);
    ck_assert_uint_eq(held_resident(&h, now), 500 * MIB);
    ck_assert_uint_eq(held_idle(&h, &guest, now), 0);
    held_look(&h, &process, HELD_SOURCE_PROCESS, &guest, now + SEC);
    ck_assert_uint_eq(held_resident(&h, now + SEC), 900 * MIB);
    ck_assert_uint_eq(held_idle(&h, &guest, now + SEC), 400 * MIB);
    /* libvirt's figure is used again once the process wasn't seen for a while. */
    held_look(&h, &virt, HELD_SOURCE_LIBVIRT, &guest, now + 2 * SEC);
    ck_assert_uint_eq(held_resident(&h, now + 2 * SEC), 900 * MIB);
    now += SEC + HELD_STALE_USEC + 1;
    ck_assert(!held_is_known(&h, now));
    ck_assert_uint_eq(held_idle(&h, &guest, now), 600 * MIB);
    held_look(&h, &virt, HELD_SOURCE_LIBVIRT, &guest, now);
    ck_assert_uint_eq(held_resident(&h, now), 500 * MIB);
    ck_assert_int_eq(h.source, HELD_SOURCE_LIBVIRT);
    ck_assert_str_eq(held_source_to_string(h.source), "libvirt");
}
END_TEST

/* What the host swapped out of it is known where the process can be read. */
START_TEST(test_swapped)
{
    const ProcessLook look = {.rss_bytes = 500 * MIB, .swap_bytes = 300 * MIB};
    GuestFields g = {};
    Held h;

    held_init(&h, 0);
    held_look(&h, &look, HELD_SOURCE_LIBVIRT, NULL, START);
    held_fields(&h, NULL, NULL, false, START, &g);
    ck_assert(guest_fields_has(&g, GUEST_FIELD_RESIDENT) && !guest_fields_has(&g, GUEST_FIELD_SWAPPED));
    held_look(&h, &look, HELD_SOURCE_PROCESS, NULL, START + SEC);
    held_fields(&h, NULL, NULL, false, START + SEC, &g);
    ck_assert_double_eq(guest_fields_get(&g, GUEST_FIELD_SWAPPED), 300 * MIB);
    ck_assert_double_eq(guest_fields_get(&g, GUEST_FIELD_RESIDENT), 800 * MIB);
}
END_TEST

/* Merged pages cost the host nothing. */
START_TEST(test_merged)
{
    const HeldGuest guest = {424 * MIB, 600 * MIB, 0};
    Held h;

    held_init(&h, 76 * MIB);
    held_look(&h, &(ProcessLook){.rss_bytes = 900 * MIB, .merged_bytes = 225 * MIB}, HELD_SOURCE_PROCESS,
              NULL, START);
    ck_assert_uint_eq(held_resident(&h, START), 900 * MIB);
    ck_assert_uint_eq(held_idle(&h, &guest, START), 300 * MIB);
}
END_TEST

/* ---- CPU ---- */

static void cpu_look(Held *h, usec_t cpu, uint64_t faults, usec_t now)
{
    held_look(h, &(ProcessLook){.rss_bytes = GIB, .cpu_usec = cpu, .major_faults = faults},
              HELD_SOURCE_PROCESS, NULL, now);
}

static double stat_of(const Held *h, GuestField f, usec_t now)
{
    GuestFields g = {};

    held_fields(h, NULL, NULL, true, now, &g);
    return guest_fields_has(&g, f) ? guest_fields_get(&g, f) : NAN;
}

START_TEST(test_cpu)
{
    usec_t now = START, cpu = 500 * SEC;
    Held h;

    held_init(&h, 0);
    cpu_look(&h, cpu, 10, now);
    ck_assert(isnan(stat_of(&h, GUEST_FIELD_CPU, now)) && isnan(held_swapping(&h, now)));
    cpu_look(&h, cpu + SEC, 20, now + SEC); /* too early */
    ck_assert(isnan(stat_of(&h, GUEST_FIELD_CPU, now + SEC)));
    cpu_look(&h, cpu + 3 * SEC, 30, now + 2 * SEC);
    ck_assert_double_eq(stat_of(&h, GUEST_FIELD_CPU, now + 2 * SEC), 1.5);
    ck_assert_double_eq(stat_of(&h, GUEST_FIELD_RESTED, now + 2 * SEC), 0);
    ck_assert_double_eq(held_swapping(&h, now + 2 * SEC), 10.0 * (double) sysconf(_SC_PAGESIZE));
    ck_assert_double_eq(stat_of(&h, GUEST_FIELD_SWAPPING, now + 2 * SEC), held_swapping(&h, now + 2 * SEC));
    /* It rests from the end of the time in which it was busy. */
    cpu += 3 * SEC;
    now += 2 * SEC;
    for (unsigned i = 1; i <= 10; i++) {
        cpu += SEC / 5;
        cpu_look(&h, cpu, 30, now + i * SEC);
    }
    now += 10 * SEC;
    ck_assert_double_eq_tol(stat_of(&h, GUEST_FIELD_CPU, now), 0.2, 1e-9);
    ck_assert_double_eq(stat_of(&h, GUEST_FIELD_RESTED, now), 10e6);
    /* At ease it is looked at each 5 s. */
    cpu_look(&h, cpu + SEC, 30, now + 5 * SEC);
    ck_assert_double_eq_tol(stat_of(&h, GUEST_FIELD_CPU, now + 5 * SEC), 0.2, 1e-9);
    cpu_look(&h, cpu + 3 * SEC, 30, now + 10 * SEC);
    ck_assert_double_eq_tol(stat_of(&h, GUEST_FIELD_CPU, now + 10 * SEC), 0.4, 1e-9);
    ck_assert_double_eq(stat_of(&h, GUEST_FIELD_RESTED, now + 10 * SEC), 0);
    /* Old looks say nothing, and another process begins again. */
    ck_assert(isnan(stat_of(&h, GUEST_FIELD_CPU, now + 30 * SEC)));
    cpu_look(&h, SEC, 0, now + 31 * SEC);
    ck_assert(isnan(stat_of(&h, GUEST_FIELD_CPU, now + 31 * SEC)));
    cpu_look(&h, 2 * SEC, 0, now + 33 * SEC);
    ck_assert_double_eq(stat_of(&h, GUEST_FIELD_CPU, now + 33 * SEC), 0.5);
}
END_TEST

/* ---- Reclaims, cold cache, fragments ---- */

START_TEST(test_reclaim_cost)
{
    usec_t now = START;
    Held h;

    held_init(&h, 0);
    ck_assert_double_eq(held_reclaim_cost(&h, now), 0);
    held_reclaimed(&h, 0, 50 * MIB, now); /* before anything was taken: its own doing */
    held_reclaimed(&h, 100 * MIB, 0, now);
    ck_assert_double_eq(held_reclaim_cost(&h, now), 0);
    held_reclaimed(&h, 100 * MIB, 50 * MIB, now + 90 * SEC);
    ck_assert_double_eq(held_reclaim_cost(&h, now + 90 * SEC), 0.25);
    held_reclaimed(&h, 0, 50 * MIB, now + 100 * SEC); /* read back later */
    ck_assert_double_eq(held_reclaim_cost(&h, now + 100 * SEC), 0.5);
    /* The first one is forgotten after five minutes, and then the others. */
    ck_assert_double_eq(held_reclaim_cost(&h, now + 299 * SEC), 0.5);
    ck_assert_double_eq(held_reclaim_cost(&h, now + 301 * SEC), 1);
    ck_assert_double_eq(held_reclaim_cost(&h, now + 361 * SEC), 0);
    held_reclaimed(&h, 10 * MIB, 1 * MIB, now + HOUR);
    ck_assert_double_eq(held_reclaim_cost(&h, now + HOUR), 0.1);
}
END_TEST

START_TEST(test_cold)
{
    /* MiB */
    static const struct {
        double cache, dirty, inactive, cold_60s; /* < 0: not reported */
        uint64_t taken, refaulted;
        double cold; /* < 0: not known */
    } rows[] = {
        {500, 20, 300, -1, 0, 0, 280},     {500, 20, 300, 120, 0, 0, 120},
        {500, 20, -1, -1, 0, 0, -1},       {500, 400, 300, -1, 0, 0, 0},
        {200, 20, 300, -1, 0, 0, 200},     {100, 0, 300, 120, 0, 0, 100},
        {500, 20, 300, -1, 100, 25, 210},  {500, 20, 300, -1, 100, 100, 0},
        {500, 20, 300, -1, 100, 300, 0},   {500, 20, 300, 120, 100, 100, 120},
        {500, 20, -1, 120, 100, 100, 120},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        GuestFields g = {};
        Report r = {};
        double cold;
        Held h;

        held_init(&h, 0);
        held_reclaimed(&h, rows[i].taken * MIB, rows[i].refaulted * MIB, START);
        guest_fields_set(&g, GUEST_FIELD_CACHE, rows[i].cache * MIB);
        guest_fields_set(&g, GUEST_FIELD_DIRTY, rows[i].dirty * MIB);
        if (rows[i].inactive >= 0) {
            guest_fields_set(&g, GUEST_FIELD_INACTIVE_FILE, rows[i].inactive * MIB);
            report_set(&r, REPORT_INACTIVE_FILE, (uint64_t) rows[i].inactive * MIB);
        }
        if (rows[i].cold_60s >= 0)
            report_set(&r, REPORT_COLD_60S, (uint64_t) rows[i].cold_60s * MIB);
        held_fields(&h, &r, NULL, true, START, &g);
        cold = guest_fields_has(&g, GUEST_FIELD_COLD) ? guest_fields_get(&g, GUEST_FIELD_COLD) / (double) MIB
                                                      : -1;
        ck_assert_msg(cold == rows[i].cold, "row %zu: %g", i, cold);
    }
}
END_TEST

START_TEST(test_fragmented)
{
    static const struct {
        bool offers;
        int reporting, free_blocks; /* -1: not reported */
        uint64_t resident;
        int reports, fragmented; /* -1: not known */
    } rows[] = {
        {true, 1, 500, 600, 1, 100},  {true, 1, 590, 600, 1, 10},   {true, 1, 600, 600, 1, 0},
        {true, 1, 700, 600, 1, 0},    {true, 1, -1, 600, 1, -1},    {true, 0, 500, 600, 0, -1},
        {true, -1, 500, 600, 1, 100}, {false, -1, 500, 600, 0, -1}, {false, 1, 500, 600, 1, 100},
        {true, 1, 500, 540, 1, 40},   {true, 1, 500, 0, 1, 100},
    };

    const HeldGuest guest = {.used_bytes = 400 * MIB, .free_bytes = 600 * MIB};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        GuestFields g = {};
        Report r = {};
        Held h;

        held_init(&h, 100 * MIB); /* idle = resident − 500 MiB */
        if (rows[i].resident > 0)
            held_look(&h, &(ProcessLook){.rss_bytes = rows[i].resident * MIB}, HELD_SOURCE_PROCESS, NULL,
                      START);
        guest_fields_set(&g, GUEST_FIELD_FREE, 600.0 * MIB);
        if (rows[i].reporting >= 0)
            guest_fields_set(&g, GUEST_FIELD_REPORTING, rows[i].reporting);
        if (rows[i].free_blocks >= 0)
            report_set(&r, REPORT_FREE_BLOCKS, (uint64_t) rows[i].free_blocks * MIB);
        held_fields(&h, &r, &guest, rows[i].offers, START, &g);
        ck_assert_msg(guest_fields_has(&g, GUEST_FIELD_REPORTING) == (rows[i].reports >= 0) &&
                          guest_fields_get(&g, GUEST_FIELD_REPORTING) == MAX(rows[i].reports, 0),
                      "row %zu", i);
        ck_assert_msg(guest_fields_has(&g, GUEST_FIELD_FRAGMENTED) == (rows[i].fragmented >= 0) &&
                          guest_fields_get(&g, GUEST_FIELD_FRAGMENTED) ==
                              MAX(rows[i].fragmented, 0) * (double) MIB,
                      "row %zu: %g", i, guest_fields_get(&g, GUEST_FIELD_FRAGMENTED) / (double) MIB);
    }
}
END_TEST

/* ---- Whatever comes ---- */

static uint64_t random_bytes(Random *r)
{
    static const uint64_t wild[] = {0, 1, 96 * MIB, GIB, UINT64_C(1) << 52, UINT64_MAX / 2 + 1, UINT64_MAX};

    return one_in(r, 4) ? wild[random_next(r) % ELEMENTSOF(wild)] : random_next(r) % (8 * GIB);
}

/* Idle is never negative nor above what is free; fragments and cold cache aren't either; the overhead is never above
 * its limit unless a shrink proved it, and then never above the largest there can be. */
START_TEST(test_properties)
{
    Random r = {.state = 7};

    for (unsigned n = 0; n < case_count(300); n++) {
        usec_t now = START;
        bool proven = false;
        Held h;

        held_init(&h, one_in(&r, 2) ? 0 : random_bytes(&r) % (2 * HELD_OVERHEAD_MAX_BYTES));
        proven = h.proven_bytes > 0;
        for (unsigned step = 0; step < 200; step++) {
            HeldGuest guest = {random_bytes(&r), random_bytes(&r), random_bytes(&r)};
            unsigned again = one_in(&r, 2) ? HELD_CALM_LOOKS + 1 : 1;
            ProcessLook l = {random_bytes(&r), random_bytes(&r), random_bytes(&r), 0,
                             random_next(&r),  random_next(&r)};
            GuestFields g = {};
            Report report = {};

            l.merged_bytes = l.rss_bytes > 0 && one_in(&r, 4) ? random_next(&r) % l.rss_bytes : 0;
            for (unsigned i = 0; i < again; i++) {
                now += random_next(&r) % (2 * SEC);
                held_look(&h, &l, one_in(&r, 5) ? HELD_SOURCE_LIBVIRT : HELD_SOURCE_PROCESS,
                          one_in(&r, 5) ? NULL : &guest, now);
            }
            if (one_in(&r, 10)) {
                held_prove(&h, random_bytes(&r), random_bytes(&r));
                proven = true;
            }
            if (one_in(&r, 50))
                now += random_next(&r) % (100 * HOUR);
            if (one_in(&r, 5))
                held_reclaimed(&h, random_bytes(&r), random_bytes(&r), now);
            guest_fields_set(&g, GUEST_FIELD_FREE, (double) MIN(guest.free_bytes, GUEST_MEMORY_MAX_BYTES));
            guest_fields_set(&g, GUEST_FIELD_CACHE, (double) GIB);
            report_set(&report, REPORT_FREE_BLOCKS, random_bytes(&r));
            guest_fields_set(&g, GUEST_FIELD_REPORTING, 1);
            report_set(&report, REPORT_COLD_60S, random_bytes(&r));
            held_fields(&h, &report, &guest, true, now, &g);

            ck_assert_uint_le(held_idle(&h, &guest, now), guest.free_bytes);
            ck_assert_uint_le(held_overhead(&h), proven ? HELD_PROVEN_MAX_BYTES : HELD_OVERHEAD_MAX_BYTES);
            ck_assert_double_ge(guest_fields_get(&g, GUEST_FIELD_IDLE), 0);
            ck_assert_double_le(guest_fields_get(&g, GUEST_FIELD_IDLE),
                                guest_fields_get(&g, GUEST_FIELD_FREE));
            ck_assert_double_ge(guest_fields_get(&g, GUEST_FIELD_FRAGMENTED), 0);
            ck_assert_double_le(guest_fields_get(&g, GUEST_FIELD_FRAGMENTED),
                                guest_fields_get(&g, GUEST_FIELD_IDLE));
            ck_assert_double_ge(guest_fields_get(&g, GUEST_FIELD_COLD), 0);
            ck_assert_double_le(guest_fields_get(&g, GUEST_FIELD_COLD), (double) GIB);
            ck_assert_double_ge(held_reclaim_cost(&h, now), 0);
        }
    }
}
END_TEST

/* An honest guest whose memory is touched, freed and taken at random, with a QEMU of a given size: idle is never more
 * than what is really backed, but for what QEMU's own memory has grown since. */
START_TEST(test_honest_guest)
{
    Random r = {.state = 11};

    for (unsigned n = 0; n < case_count(100); n++) {
        uint64_t own = 30 + random_next(&r) % 60, used = 300, backed = 0, size = 2048;
        usec_t now = START;
        Held h;

        held_init(&h, 0);
        for (unsigned step = 0; step < 300; step++) {
            unsigned calm = 1 + (unsigned) (random_next(&r) % 16);
            HeldGuest guest;

            if (one_in(&r, 2)) { /* uses more; what was backed first */
                uint64_t more = MIN(random_next(&r) % 400, size - used);

                backed = LESS_BY(backed, more);
                used += more;
            } else { /* frees; half of the time it is reported */
                uint64_t less = random_next(&r) % (used - 200);

                used -= less;
                backed = one_in(&r, 2) ? 0 : backed + less;
            }
            guest = (HeldGuest){used * MIB, (size - used) * MIB, 0};
            for (unsigned i = 0; i < calm; i++) {
                now += SEC;
                held_look(&h, &(ProcessLook){.rss_bytes = (own + used + backed) * MIB}, HELD_SOURCE_PROCESS,
                          &guest, now);
            }
            ck_assert_uint_le(held_idle(&h, &guest, now), backed * MIB);
        }
        ck_assert_uint_eq(held_overhead(&h) / MIB, own);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("held");

    tcase_add_loop_test(t, test_recorded, 0, ELEMENTSOF(recorded));
    tcase_add_test(t, test_overhead_rises_slowly);
    tcase_add_test(t, test_overhead_is_proven);
    tcase_add_test(t, test_overhead_is_stored);
    tcase_add_test(t, test_calm);
    tcase_add_test(t, test_idle_in_three_looks);
    tcase_add_test(t, test_sources);
    tcase_add_test(t, test_swapped);
    tcase_add_test(t, test_merged);
    tcase_add_test(t, test_cpu);
    tcase_add_test(t, test_reclaim_cost);
    tcase_add_test(t, test_cold);
    tcase_add_test(t, test_fragmented);
    tcase_add_test(t, test_properties);
    tcase_add_test(t, test_honest_guest);
    return run_tests(t);
}
