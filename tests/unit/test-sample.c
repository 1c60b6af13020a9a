/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a policy sees of a guest, and how fast its counters grow. */

#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/held.h"
#include "tests/unit/run.h"

static Sample agent_sample(void)
{
    Sample s = {.at_usec = USEC_PER_SEC, .source = GUEST_SOURCE_AGENT, .report = {.at_usec = 1}};
    Report *r = &s.report;

    report_set(r, REPORT_MEM_TOTAL, 1000 * MIB);
    report_set(r, REPORT_MEM_FREE, 300 * MIB);
    report_set(r, REPORT_MEM_AVAILABLE, 600 * MIB);
    report_set(r, REPORT_BUFFERS, 10 * MIB);
    report_set(r, REPORT_CACHED, 350 * MIB);
    report_set(r, REPORT_SRECLAIMABLE, 20 * MIB);
    report_set(r, REPORT_SHMEM, 50 * MIB);
    report_set(r, REPORT_ANON_PAGES, 200 * MIB);
    report_set(r, REPORT_DIRTY, MIB);
    report_set(r, REPORT_MLOCKED, 4 * MIB);
    report_set(r, REPORT_LOW_WATERMARK, 8 * MIB);
    report_set(r, REPORT_SWAP_TOTAL, 500 * MIB);
    report_set(r, REPORT_SWAP_FREE, 400 * MIB);
    report_set(r, REPORT_SWAP_IN, 7 * MIB);
    report_set(r, REPORT_SWAP_OUT, 9 * MIB);
    report_set(r, REPORT_MAJOR_FAULTS, 1234);
    report_set(r, REPORT_FAULTS, 123456);
    report_set(r, REPORT_REFAULT_ANON, 2 * MIB);
    report_set(r, REPORT_REFAULT_FILE, 3 * MIB);
    report_set(r, REPORT_SCAN_DIRECT, 11 * MIB);
    report_set(r, REPORT_SCAN_KSWAPD, 12 * MIB);
    report_set(r, REPORT_STEAL_DIRECT, 13 * MIB);
    report_set(r, REPORT_STEAL_KSWAPD, 14 * MIB);
    report_set(r, REPORT_ALLOC_STALLS, 15);
    report_set(r, REPORT_OOM_KILLS, 16);
    report_set(r, REPORT_PSI_MEMORY_SOME_AVG10, 1250);
    report_set(r, REPORT_PSI_MEMORY_FULL_AVG10, 1);
    report_set(r, REPORT_PSI_IO_SOME_AVG10, 10000);
    report_set(r, REPORT_PSI_IO_FULL_AVG10, 0);
    report_set(r, REPORT_PSI_MEMORY_SOME_TOTAL, 17 * USEC_PER_SEC);
    report_set(r, REPORT_PSI_MEMORY_FULL_TOTAL, 18 * USEC_PER_SEC);
    report_set(r, REPORT_PSI_IO_SOME_TOTAL, 19 * USEC_PER_SEC);
    report_set(r, REPORT_PSI_IO_FULL_TOTAL, 20 * USEC_PER_SEC);
    report_set(r, REPORT_FREE_BLOCKS, 250 * MIB);
    report_set(r, REPORT_REPORTING, 1);
    report_set(r, REPORT_ACTIVE_FILE, 101 * MIB);
    report_set(r, REPORT_INACTIVE_FILE, 102 * MIB);
    report_set(r, REPORT_ACTIVE_ANON, 103 * MIB);
    report_set(r, REPORT_INACTIVE_ANON, 104 * MIB);
    report_set(r, REPORT_SWAP_MEMORY, 105 * MIB);
    report_set(r, REPORT_SWAP_MEMORY_FREE, 95 * MIB);
    report_set(r, REPORT_COMMITTED, 1600 * MIB);
    report_set(r, REPORT_COMMIT_LIMIT, 1700 * MIB);
    report_set(r, REPORT_ARC, 108 * MIB);
    report_set(r, REPORT_ARC_MIN, 32 * MIB);
    report_set(r, REPORT_COLD_10S, 150 * MIB);
    report_set(r, REPORT_COLD_60S, 110 * MIB);
    report_set(r, REPORT_COLD_600S, 90 * MIB);
    return s;
}

/* A host that sees 1024 MiB, half of the maximum. */
static const SampleHost half_host = {.current_bytes = 1024 * MIB, .maximum_bytes = 2048 * MIB};

START_TEST(test_agent_fields)
{
    static const struct {
        GuestField field;
        double value;
    } expected[] = {
        {GUEST_FIELD_CURRENT, 1024.0 * MIB},
        {GUEST_FIELD_TOTAL, 1000.0 * MIB},
        {GUEST_FIELD_FREE, 300.0 * MIB},
        {GUEST_FIELD_AVAILABLE, 676.0 * MIB}, /* 600, and ZFS's cache above its minimum */
        {GUEST_FIELD_CACHE, 406.0 * MIB},
        {GUEST_FIELD_USED, 348.0 * MIB},
        {GUEST_FIELD_ANON, 200.0 * MIB},
        {GUEST_FIELD_SHMEM, 50.0 * MIB},
        {GUEST_FIELD_DIRTY, 1.0 * MIB},
        {GUEST_FIELD_LOW_WATERMARK, 8.0 * MIB},
        {GUEST_FIELD_SWAP_TOTAL, 395.0 * MIB}, /* without zram */
        {GUEST_FIELD_SWAP_FREE, 305.0 * MIB},
        {GUEST_FIELD_SWAP_IN, 7.0 * MIB},
        {GUEST_FIELD_SWAP_OUT, 9.0 * MIB},
        {GUEST_FIELD_MAJOR_FAULTS, 1234},
        {GUEST_FIELD_REFAULT_ANON, 2.0 * MIB},
        {GUEST_FIELD_REFAULT_FILE, 3.0 * MIB},
        {GUEST_FIELD_PSI_MEMORY_SOME, 0.125},
        {GUEST_FIELD_PSI_MEMORY_FULL, 0.0001},
        {GUEST_FIELD_PSI_IO_SOME, 1},
        {GUEST_FIELD_PSI_IO_FULL, 0},
        {GUEST_FIELD_BUFFERS, 10.0 * MIB},
        {GUEST_FIELD_CACHED, 350.0 * MIB},
        {GUEST_FIELD_SRECLAIMABLE, 20.0 * MIB},
        {GUEST_FIELD_MLOCKED, 4.0 * MIB},
        {GUEST_FIELD_SWAP_USED, 90.0 * MIB},
        {GUEST_FIELD_FAULTS, 123456},
        {GUEST_FIELD_SCAN_DIRECT, 11.0 * MIB},
        {GUEST_FIELD_SCAN_KSWAPD, 12.0 * MIB},
        {GUEST_FIELD_STEAL_DIRECT, 13.0 * MIB},
        {GUEST_FIELD_STEAL_KSWAPD, 14.0 * MIB},
        {GUEST_FIELD_ALLOC_STALLS, 15},
        {GUEST_FIELD_OOM_KILLS, 16},
        {GUEST_FIELD_PSI_MEMORY_SOME_TOTAL, 17e6},
        {GUEST_FIELD_PSI_MEMORY_FULL_TOTAL, 18e6},
        {GUEST_FIELD_PSI_IO_SOME_TOTAL, 19e6},
        {GUEST_FIELD_PSI_IO_FULL_TOTAL, 20e6},
        {GUEST_FIELD_REPORTING, true},
        {GUEST_FIELD_ACTIVE_FILE, 101.0 * MIB},
        {GUEST_FIELD_INACTIVE_FILE, 102.0 * MIB},
        {GUEST_FIELD_ACTIVE_ANON, 103.0 * MIB},
        {GUEST_FIELD_INACTIVE_ANON, 104.0 * MIB},
        {GUEST_FIELD_SWAP_MEMORY, 105.0 * MIB},
        {GUEST_FIELD_COMMITTED, 1600.0 * MIB},
        {GUEST_FIELD_COMMIT_LIMIT, 1700.0 * MIB},
        {GUEST_FIELD_ARC, 76.0 * MIB},
        {GUEST_FIELD_ARC_MIN, 32.0 * MIB},
    };
    const SampleHost host = {.current_bytes = 1024 * MIB, .maximum_bytes = 2048 * MIB};
    Sample s = agent_sample();
    GuestFields g = {0};
    FieldSet present = {};

    sample_fields(&s, &host, &g);
    for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
        ck_assert_msg(guest_fields_has(&g, expected[i].field), "row %zu is missing", i);
        ck_assert_double_eq_tol(guest_fields_get(&g, expected[i].field), expected[i].value, 1e-12);
        field_set_add(&present, (int) expected[i].field);
    }
    ck_assert_mem_eq(&g.present, &present, sizeof(present)); /* and no others */
}
END_TEST

static void all_fields(const Sample *s, GuestFields *ret)
{
    Held h;

    held_init(&h, 48 * MIB);
    sample_fields(s, &half_host, ret);
    held_fields(&h, &s->report, &(HeldGuest){.used_bytes = 700 * MIB, .free_bytes = 300 * MIB}, false,
                USEC_PER_SEC, ret);
}

/* A policy sees all that an agent tells, but for two of three ages of page cache: without one of its stats, what is
 * made of the rest is another. */
START_TEST(test_every_report_field_counts)
{
    Sample s = agent_sample();
    GuestFields all = {0};

    all_fields(&s, &all);
    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++) {
        Sample less = s;
        GuestFields g = {0};

        ck_assert_msg(report_has(&s.report, f), "%s isn't in the sample", report_field_name(f));
        if (f == REPORT_COLD_10S || f == REPORT_COLD_600S)
            continue;
        less.report.present &= ~(UINT64_C(1) << f);
        all_fields(&less, &g);
        ck_assert_msg(memcmp(&g, &all, sizeof(g)) != 0, "%s counts for nothing", report_field_name(f));
    }
}
END_TEST

/* The balloon driver says less; what it doesn't say is missing, and isn't 0. */
START_TEST(test_libvirt_fields)
{
    Sample s = {.at_usec = USEC_PER_SEC, .source = GUEST_SOURCE_LIBVIRT};
    GuestFields g = {0};

    report_set(&s.report, REPORT_MEM_TOTAL, 1000 * MIB);
    report_set(&s.report, REPORT_MEM_FREE, 300 * MIB);
    report_set(&s.report, REPORT_CACHED, 350 * MIB);
    report_set(&s.report, REPORT_SWAP_IN, 7 * MIB);
    sample_fields(&s, &half_host, &g);
    ck_assert_double_eq(guest_fields_get(&g, GUEST_FIELD_CACHE), 350.0 * MIB);
    ck_assert_double_eq(guest_fields_get(&g, GUEST_FIELD_SWAP_IN), 7.0 * MIB);
    /* a kernel older than 3.14: at least what is free is available */
    ck_assert_double_eq(guest_fields_get(&g, GUEST_FIELD_AVAILABLE), 300.0 * MIB);
    ck_assert_double_eq(guest_fields_get(&g, GUEST_FIELD_USED), 724.0 * MIB);
    ck_assert(!guest_fields_has(&g, GUEST_FIELD_PSI_MEMORY_SOME));
    ck_assert(!guest_fields_has(&g, GUEST_FIELD_SWAP_TOTAL));
    ck_assert(!guest_fields_has(&g, GUEST_FIELD_SHMEM));
    ck_assert(guest_fields_has(&g, GUEST_FIELD_LOW_WATERMARK));

    /* Without disk caches nothing is known of the cache. */
    s.report.present &= ~(UINT64_C(1) << REPORT_CACHED);
    g = (GuestFields){0};
    sample_fields(&s, &half_host, &g);
    ck_assert(!guest_fields_has(&g, GUEST_FIELD_CACHE));
}
END_TEST

/* What is free may be in memory: only what must be on disks counts. */
START_TEST(test_e_zram_is_no_swap)
{
    static const struct {
        uint64_t total, free, memory, memory_free; /* MiB; of memory_free NONE: not reported */
        double disk, disk_free;
    } rows[] = {
#define NONE UINT64_MAX
        {500, 400, 0, NONE, 500, 400}, {500, 400, 100, NONE, 400, 300}, {500, 50, 100, NONE, 400, 0},
        {500, 400, 100, 0, 400, 400},  {500, 450, 100, 100, 400, 350},  {500, 450, 100, 60, 400, 390},
        {500, 500, 500, 500, 0, 0},    {500, 500, 500, 0, 0, 0},        {500, 100, 100, 400, 400, 0},
        {500, 400, 900, 900, 0, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Sample s = {.at_usec = USEC_PER_SEC, .source = GUEST_SOURCE_AGENT, .report = {.at_usec = 1}};
        GuestFields g = {0};

        report_set(&s.report, REPORT_SWAP_TOTAL, rows[i].total * MIB);
        report_set(&s.report, REPORT_SWAP_FREE, rows[i].free * MIB);
        report_set(&s.report, REPORT_SWAP_MEMORY, rows[i].memory * MIB);
        if (rows[i].memory_free != NONE)
            report_set(&s.report, REPORT_SWAP_MEMORY_FREE, rows[i].memory_free * MIB);
        sample_fields(&s, &half_host, &g);
        ck_assert_msg(guest_fields_get(&g, GUEST_FIELD_SWAP_TOTAL) == rows[i].disk * MIB &&
                          guest_fields_get(&g, GUEST_FIELD_SWAP_FREE) == rows[i].disk_free * MIB,
                      "row %zu: %g MiB, %g free", i, guest_fields_get(&g, GUEST_FIELD_SWAP_TOTAL) / MIB,
                      guest_fields_get(&g, GUEST_FIELD_SWAP_FREE) / MIB);
    }
#undef NONE
}
END_TEST

/* A balloon driver may say anything. What comes of it fits together, whatever it was. */
START_TEST(test_impossible_stats)
{
    static const uint64_t wild[] = {0, 1, 1000 * MIB, UINT64_MAX / 2 + 1, UINT64_MAX};

    for (size_t i = 0; i < ELEMENTSOF(wild); i++)
        for (unsigned variant = 0; variant < 4; variant++) {
            bool has_total = variant & 1;
            const SampleHost host = {
                .current_bytes = 512 * MIB, .maximum_bytes = 768 * MIB, .balloon_in_total = variant & 2};
            Sample s = {.source = GUEST_SOURCE_LIBVIRT};
            GuestFields g = {0};
            double total;

            for (ReportField f = 0; f < REPORT_FIELD_MAX; f++)
                report_set(&s.report, f, wild[i]);
            s.report.value[REPORT_SHMEM] = 0;
            s.report.value[REPORT_MEM_TOTAL] = 512 * MIB;
            if (!has_total)
                s.report.present &= ~(UINT64_C(1) << REPORT_MEM_TOTAL);
            sample_fields(&s, &host, &g);
            total = !has_total              ? (double) GUEST_MEMORY_MAX_BYTES
                    : host.balloon_in_total ? 256.0 * MIB
                                            : 512.0 * MIB;
            ck_assert_double_le(guest_fields_get(&g, GUEST_FIELD_FREE), total);
            ck_assert_double_le(guest_fields_get(&g, GUEST_FIELD_AVAILABLE), total);
            ck_assert_double_le(guest_fields_get(&g, GUEST_FIELD_CACHE), 3 * total);
            ck_assert(guest_fields_has(&g, GUEST_FIELD_USED) == has_total);
            if (has_total) {
                ck_assert_double_ge(guest_fields_get(&g, GUEST_FIELD_USED), 0);
                ck_assert_double_le(guest_fields_get(&g, GUEST_FIELD_USED), 512.0 * MIB);
                ck_assert_double_le(
                    guest_fields_get(&g, GUEST_FIELD_FREE) + guest_fields_get(&g, GUEST_FIELD_CACHE), total);
            }
        }
}
END_TEST

START_TEST(test_no_sample)
{
    GuestFields g = {0};

    guest_fields_set(&g, GUEST_FIELD_FULL, 5);
    sample_fields(NULL, &(SampleHost){.current_bytes = 1024 * MIB}, &g);
    ck_assert_double_eq(guest_fields_get(&g, GUEST_FIELD_CURRENT), 1024.0 * MIB);
    ck_assert_double_eq(guest_fields_get(&g, GUEST_FIELD_FULL), 5); /* what was there is left alone */
    ck_assert(!guest_fields_has(&g, GUEST_FIELD_TOTAL));
}
END_TEST

/* The same load in guests of each kind: the balloon is recognised, and total, available and used come out the
 * same whether it is empty or holds half, wherever the guest counts it. What the guest says in MiB; 0:
 * doesn't say. */
typedef struct Kind {
    const char *name;
    GuestSource source;
    bool autodeflate;
    uint64_t maximum, current;
    uint64_t mem_total, mem_free, mem_available, cached; /* as the guest says */
    uint64_t rss;
    bool in_total;
    uint64_t total, available, used, cache, idle; /* as they should be, with 48 MiB of QEMU's own */
} Kind;

static const Kind kinds[] = {
    /* Linux, 4 GiB, whose kernel keeps 120 MiB, with 1000 MiB in use. With 2 GiB taken, MemTotal shrinks. */
    {"plain, no balloon", GUEST_SOURCE_AGENT, false, 4096, 4096, 3976, 2176, 2976, 1000, 4144, false, 3976,
     2976, 1120, 1000, 2176},
    {"plain, half taken", GUEST_SOURCE_AGENT, false, 4096, 2048, 1928, 128, 928, 1000, 2096, false, 1928, 928,
     1120, 1000, 128},
    /* The same with deflate-on-oom: what the balloon holds is used memory. */
    {"deflate-on-oom, no balloon", GUEST_SOURCE_AGENT, true, 4096, 4096, 3976, 2176, 2976, 1000, 4144, true,
     3976, 2976, 1120, 1000, 2176},
    {"deflate-on-oom, little taken", GUEST_SOURCE_AGENT, true, 4096, 3996, 3976, 2076, 2876, 1000, 4044, true,
     3876, 2876, 1120, 1000, 2076},
    {"deflate-on-oom, half taken", GUEST_SOURCE_AGENT, true, 4096, 2048, 3976, 128, 928, 1000, 2096, true,
     1928, 928, 1120, 1000, 128},
    /* The domain allows it, the guest's old kernel doesn't know of it: MemTotal shrinks all the same. */
    {"autodeflate not known, half taken", GUEST_SOURCE_AGENT, true, 4096, 2048, 1928, 128, 928, 1000, 2096,
     false, 1928, 928, 1120, 1000, 128},
    /* Windows, 8 GiB, by libvirt's stats: available is what is free and standby together, no usable, no
     * caches. */
    {"Windows, no balloon", GUEST_SOURCE_LIBVIRT, false, 8192, 8192, 8191, 5191, 0, 0, 8300, true, 8191, 5191,
     3001, 0, 5191},
    {"Windows, 3 GiB taken", GUEST_SOURCE_LIBVIRT, false, 8192, 5120, 8191, 2119, 0, 0, 5228, true, 5119,
     2119, 3001, 0, 2119},
    {"Windows, autodeflate", GUEST_SOURCE_LIBVIRT, true, 8192, 5120, 8191, 2119, 0, 0, 5228, true, 5119, 2119,
     3001, 0, 2119},
    /* Free page reporting: the host holds no more than what is used, QEMU's own and a few fragments. */
    {"free page reporting", GUEST_SOURCE_AGENT, false, 4096, 4096, 3976, 2176, 2976, 1000, 1998, false, 3976,
     2976, 1120, 1000, 30},
    {"free page reporting, half taken", GUEST_SOURCE_AGENT, false, 4096, 2048, 1928, 128, 928, 1000, 1968,
     false, 1928, 928, 1120, 1000, 0},
    /* Linux 3.10 by libvirt's stats: no MemAvailable; what is free is surely available. */
    {"no MemAvailable", GUEST_SOURCE_LIBVIRT, false, 2048, 1536, 1472, 400, 0, 700, 1584, false, 1472, 400,
     1136, 700, 400},
    /* A small guest, of which its kernel keeps 42 MiB. */
    {"small", GUEST_SOURCE_LIBVIRT, false, 512, 256, 214, 100, 150, 60, 304, false, 214, 150, 106, 60, 100},
    {"small, deflate-on-oom", GUEST_SOURCE_LIBVIRT, true, 512, 256, 470, 100, 150, 60, 304, true, 214, 150,
     106, 60, 100},
};

START_TEST(test_accounting)
{
    const Kind *k = &kinds[_i];
    Sample s = {.source = k->source};
    SampleHost host = {.current_bytes = k->current * MIB, .maximum_bytes = k->maximum * MIB};
    HeldGuest memory;
    Held held;
    const struct {
        GuestField field;
        uint64_t expected;
    } fields[] = {
        {GUEST_FIELD_TOTAL, k->total}, {GUEST_FIELD_AVAILABLE, k->available}, {GUEST_FIELD_USED, k->used},
        {GUEST_FIELD_CACHE, k->cache}, {GUEST_FIELD_IDLE, k->idle},
    };
    GuestFields g = {0};

    report_set(&s.report, REPORT_MEM_TOTAL, k->mem_total * MIB);
    report_set(&s.report, REPORT_MEM_FREE, k->mem_free * MIB);
    if (k->mem_available)
        report_set(&s.report, REPORT_MEM_AVAILABLE, k->mem_available * MIB);
    if (k->cached)
        report_set(&s.report, REPORT_CACHED, k->cached * MIB);
    host.balloon_in_total =
        sample_balloon_in_total(&s, host.current_bytes, host.maximum_bytes, k->autodeflate);
    if (k->current < k->maximum)
        ck_assert_msg(host.balloon_in_total == k->in_total, "%s", k->name);
    sample_fields(&s, &host, &g);
    held_init(&held, 48 * MIB);
    held_look(&held, &(ProcessLook){.rss_bytes = k->rss * MIB}, HELD_SOURCE_LIBVIRT, NULL, USEC_PER_SEC);
    memory = (HeldGuest){.used_bytes = (k->current - k->mem_free) * MIB, .free_bytes = k->mem_free * MIB};
    held_fields(&held, &s.report, &memory, false, USEC_PER_SEC, &g);
    for (size_t i = 0; i < ELEMENTSOF(fields); i++)
        ck_assert_msg(guest_fields_has(&g, fields[i].field)
                          ? guest_fields_get(&g, fields[i].field) == (double) (fields[i].expected * MIB)
                          : fields[i].expected == 0,
                      "%s, field %zu: %.0f", k->name, i,
                      guest_fields_get(&g, fields[i].field) / (double) MIB);
}
END_TEST

/* While a balloon moves, its size may be newer than the stats: nothing in use is taken for free then. */
START_TEST(test_accounting_in_motion)
{
    Sample s = {.source = GUEST_SOURCE_AGENT};
    SampleHost host = {.current_bytes = 3072 * MIB, .maximum_bytes = 4096 * MIB};
    GuestFields g = {0};

    report_set(&s.report, REPORT_MEM_TOTAL, 3976 * MIB);
    report_set(&s.report, REPORT_MEM_FREE, 2176 * MIB);
    report_set(&s.report, REPORT_MEM_AVAILABLE, 2976 * MIB);
    sample_fields(&s, &host, &g);
    ck_assert_double_eq(guest_fields_get(&g, GUEST_FIELD_USED), 1000.0 * MIB);

    /* Nothing was heard of it: the domain says what its guest most likely does. */
    ck_assert(sample_balloon_in_total(NULL, 1, 2, true));
    ck_assert(!sample_balloon_in_total(NULL, 1, 2, false));
}
END_TEST

/* Adds a sample second seconds after the start, as the host and the guest (none: 0) count them. */
static void add(History *h, GuestSource source, double host_sec, double guest_sec, uint64_t swap_in)
{
    Sample s = {.at_usec = (usec_t) (host_sec * USEC_PER_SEC), .source = source};

    s.report.at_usec = (usec_t) (guest_sec * USEC_PER_SEC);
    report_set(&s.report, REPORT_SWAP_IN, swap_in);
    history_add(h, &s);
}

START_TEST(test_history)
{
    History h = {0};

    ck_assert_ptr_null(history_get(&h, 0));
    for (unsigned i = 1; i <= 3 * HISTORY_MAX + 5; i++) {
        unsigned kept = MIN(i, (unsigned) HISTORY_MAX);

        add(&h, GUEST_SOURCE_AGENT, i, i, i);
        ck_assert_uint_eq(history_get(&h, 0)->report.value[REPORT_SWAP_IN], i);
        ck_assert_uint_eq(history_get(&h, kept - 1)->report.value[REPORT_SWAP_IN], i - kept + 1);
        ck_assert_ptr_null(history_get(&h, kept));
    }
    history_clear(&h);
    ck_assert_ptr_null(history_get(&h, 0));
    add(&h, GUEST_SOURCE_AGENT, 1, 1, 42);
    ck_assert_uint_eq(history_get(&h, 0)->report.value[REPORT_SWAP_IN], 42);
    ck_assert_ptr_null(history_get(&h, 1));
}
END_TEST

START_TEST(test_rate)
{
    History h = {0};
    double rate = -1;

    ck_assert(!history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    add(&h, GUEST_SOURCE_AGENT, 100, 10, 1000);
    ck_assert(!history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    add(&h, GUEST_SOURCE_AGENT, 101, 11, 1000);
    add(&h, GUEST_SOURCE_AGENT, 102, 12, 1600);
    ck_assert(history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    ck_assert_double_eq_tol(rate, 300, 1e-9);
    ck_assert(history_rate(&h, REPORT_SWAP_IN, USEC_PER_SEC, &rate)); /* only the last second */
    ck_assert_double_eq_tol(rate, 600, 1e-9);
    ck_assert(!history_rate(&h, REPORT_SWAP_IN, USEC_PER_SEC / 2, &rate));
    ck_assert(!history_rate(&h, REPORT_SWAP_OUT, 10 * USEC_PER_SEC, &rate)); /* never reported */

    /* A report that was long on its way: the guest's clock counts. */
    add(&h, GUEST_SOURCE_AGENT, 104, 13, 2200);
    ck_assert(history_rate(&h, REPORT_SWAP_IN, 2 * USEC_PER_SEC, &rate));
    ck_assert_double_eq_tol(rate, 600, 1e-9);
}
END_TEST

/* The ring's seam is no seam for rates. */
START_TEST(test_rate_over_wraparound)
{
    History h = {0};
    double rate;

    for (unsigned i = 1; i <= HISTORY_MAX + 3; i++)
        add(&h, GUEST_SOURCE_LIBVIRT, i, 0, i * 5);
    ck_assert(history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    ck_assert_double_eq_tol(rate, 5, 1e-9);
    ck_assert(history_rate(&h, REPORT_SWAP_IN, USEC_INFINITY, &rate));
    ck_assert_double_eq_tol(rate, 5, 1e-9);
}
END_TEST

START_TEST(test_rate_over_source_change)
{
    History h = {0};
    double rate;

    add(&h, GUEST_SOURCE_LIBVIRT, 1, 0, 9000);
    add(&h, GUEST_SOURCE_LIBVIRT, 2, 0, 9000);
    add(&h, GUEST_SOURCE_AGENT, 3, 1, 100);
    ck_assert(!history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    add(&h, GUEST_SOURCE_AGENT, 4, 2, 150);
    ck_assert(history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    ck_assert_double_eq_tol(rate, 50, 1e-9);
}
END_TEST

START_TEST(test_rate_over_reset)
{
    History h = {0};
    double rate;

    /* Also where the counter has outgrown its old value since. */
    add(&h, GUEST_SOURCE_LIBVIRT, 1, 0, 100);
    add(&h, GUEST_SOURCE_LIBVIRT, 2, 0, 0);
    add(&h, GUEST_SOURCE_LIBVIRT, 3, 0, 5000);
    ck_assert(!history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
    ck_assert(history_rate(&h, REPORT_SWAP_IN, USEC_PER_SEC, &rate));
    ck_assert_double_eq_tol(rate, 5000, 1e-9);

    /* Two at the same moment have no rate. */
    history_clear(&h);
    add(&h, GUEST_SOURCE_LIBVIRT, 1, 0, 100);
    add(&h, GUEST_SOURCE_LIBVIRT, 1, 0, 200);
    ck_assert(!history_rate(&h, REPORT_SWAP_IN, 10 * USEC_PER_SEC, &rate));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("sample");

    tcase_add_test(t, test_agent_fields);
    tcase_add_test(t, test_every_report_field_counts);
    tcase_add_test(t, test_libvirt_fields);
    tcase_add_test(t, test_e_zram_is_no_swap);
    tcase_add_test(t, test_impossible_stats);
    tcase_add_test(t, test_no_sample);
    tcase_add_loop_test(t, test_accounting, 0, ELEMENTSOF(kinds));
    tcase_add_test(t, test_accounting_in_motion);
    tcase_add_test(t, test_history);
    tcase_add_test(t, test_rate);
    tcase_add_test(t, test_rate_over_wraparound);
    tcase_add_test(t, test_rate_over_source_change);
    tcase_add_test(t, test_rate_over_reset);
    return run_tests(t);
}
