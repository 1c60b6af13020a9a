/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reports: which are refused, which may follow one another, and how long one becomes. */

#include <check.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "tests/unit/codec-bytes.h"
#include "tests/unit/codec-samples.h"
#include "tests/unit/run.h"

/* A 1 GiB guest with 1 GiB of swap, and one field more. */
static void put_report(Bytes *b, unsigned field, uint64_t value)
{
    put_number(b, AT, 1);
    put_number(b, TOTAL, GIB);
    put_number(b, FREE, 0);
    put_number(b, SWAP_TOTAL, GIB);
    if (field > 0)
        put_number(b, field, value);
}

START_TEST(refused_reports)
{
    static const struct {
        unsigned field;
        uint64_t value;
        const char *what;
    } cases[] = {
        {1, GUEST_UPTIME_MAX_USEC + 1, "at_usec"},
        {1, UINT64_MAX, "at_usec"},
        {2, 0, "mem_total"},
        {2, GUEST_MEMORY_MAX_BYTES + 1, "mem_total"},
        {2, UINT64_MAX, "mem_total"},
        {3, GIB + 1, "mem_free"},
        {4, GIB + 1, "mem_available"},
        {4, UINT64_MAX, "mem_available"},
        {5, GIB + 1, "cached"},
        {6, GIB + 1, "anon_pages"},
        {7, GUEST_MEMORY_MAX_BYTES + 1, "swap_total"},
        {8, GIB + 1, "swap_free"},
        {9, GUEST_COUNTER_MAX + 1, "faults"},
        {10, GIB + 1, "buffers"},
        {11, GIB + 1, "sreclaimable"},
        {12, GIB + 1, "shmem"},
        {13, GIB + 1, "low_watermark"},
        {14, UINT64_MAX, "scan_kswapd"},
        {15, UINT64_MAX, "steal_kswapd"},
        {16, GIB + 1, "dirty"},
        {17, GIB + 1, "mlocked"},
        {18, UINT64_MAX, "swap_in"},
        {26, UINT64_MAX, "oom_kills"},
        {27, 10001, "psi_memory_some_avg10"},
        {29, 10001, "psi_memory_full_avg10"},
        {31, 10001, "psi_io_some_avg10"},
        {33, 10001, "psi_io_full_avg10"},
        {34, UINT64_MAX, "psi_io_full_total"},
    };
    static const struct {
        unsigned field;
        const char *name;
    } needed[] = {{AT, "at_usec"}, {TOTAL, "mem_total"}, {FREE, "mem_free"}};
    Bytes zero = {}, swap = {};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Bytes b = {}, distress = {};

        put_report(&b, cases[i].field, cases[i].value);
        expect_refused_message(REPORT_, &b, -ERANGE, cases[i].what);

        /* the same in a Distress */
        put_number(&distress, 1, DISTRESS_PSI);
        put_message(&distress, 2, &b);
        expect_refused_message(DISTRESS, &distress, -ERANGE, cases[i].what);
    }

    for (size_t i = 0; i < ELEMENTSOF(needed); i++) {
        Bytes b = {}, distress = {};

        for (unsigned f = AT; f <= FREE; f++)
            if (f != needed[i].field)
                put_number(&b, f, MIB);
        expect_refused_message(REPORT_, &b, -ENODATA, needed[i].name);

        put_number(&distress, 1, DISTRESS_PSI);
        put_message(&distress, 2, &b);
        expect_refused_message(DISTRESS, &distress, -ENODATA, needed[i].name);
    }

    put_number(&zero, AT, 0);
    put_number(&zero, TOTAL, GIB);
    put_number(&zero, FREE, 0);
    expect_refused_message(REPORT_, &zero, -ENODATA, "at_usec");

    put_number(&swap, AT, 1);
    put_number(&swap, TOTAL, GIB);
    put_number(&swap, FREE, 0);
    put_number(&swap, SWAP_FREE, 1);
    expect_refused_message(REPORT_, &swap, -ERANGE, "swap_free");
}
END_TEST

/* Sizes in units of 64 KiB that a guest of 1 GiB, half of it free, with 1 GiB of swap can't have. */
START_TEST(refused_details)
{
    const uint64_t gib = GIB / DETAIL_UNIT_BYTES, half = gib / 2,
                   max = GUEST_MEMORY_MAX_BYTES / DETAIL_UNIT_BYTES;
    const struct {
        unsigned field[6]; /* all with this value */
        uint64_t value;
        const char *what; /* NULL: it can have them */
    } cases[] = {
        {{FREE_BLOCKS}, half, NULL},
        {{FREE_BLOCKS}, half + 1, "free_blocks"},
        {{FREE_BLOCKS}, UINT64_MAX, "free_blocks"},
        {{FREE_BLOCKS}, UINT64_MAX / DETAIL_UNIT_BYTES + 1, "free_blocks"}, /* little, if it overflowed */
        {{REPORTING}, 0, NULL},
        {{REPORTING}, 1, NULL},
        {{REPORTING}, 2, "reporting"},
        {{ACTIVE_FILE}, half, NULL},
        {{ACTIVE_FILE}, half + 1, "active_file"},
        {{INACTIVE_ANON}, half + 1, "inactive_anon"},
        {{ARC}, half + 1, "arc"},
        {{ARC_MIN}, gib, NULL}, /* its minimum may be above its size */
        {{ARC_MIN}, gib + 1, "arc_min"},
        {{ACTIVE_FILE, INACTIVE_FILE, ACTIVE_ANON, INACTIVE_ANON, ARC}, half / 5, NULL},
        {{ACTIVE_FILE, INACTIVE_FILE}, half / 2 + 1, "inactive_file"},
        {{ACTIVE_ANON, INACTIVE_ANON}, half / 2 + 1, "inactive_anon"},
        {{ACTIVE_FILE, INACTIVE_FILE, ACTIVE_ANON, INACTIVE_ANON}, half / 4 + 1, "inactive_anon"},
        {{ACTIVE_FILE, INACTIVE_FILE, ACTIVE_ANON, INACTIVE_ANON, ARC}, half / 5 + 1, "arc"},
        {{SWAP_MEMORY}, gib, NULL},
        {{SWAP_MEMORY}, gib + 1, "swap_memory"},
        {{SWAP_MEMORY_FREE}, gib, NULL},
        {{SWAP_MEMORY_FREE}, gib + 1, "swap_memory_free"},
        {{COMMITTED, COMMIT_LIMIT}, max, NULL},
        {{COMMITTED}, max + 1, "committed"},
        {{COMMIT_LIMIT}, UINT64_MAX, "commit_limit"},
        {{COLD_10S, COLD_60S, COLD_600S}, half, NULL},
        {{COLD_10S}, gib + 1, "cold_10s"},
        {{ACTIVE_FILE, INACTIVE_FILE, COLD_10S, COLD_60S, COLD_600S}, half / 2, NULL},
    };
    Bytes warm = {}, colder = {}, coldest = {};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Bytes details = {}, report = {}, b = {};
        const char *what = NULL;
        Message m;

        for (size_t f = 0; f < ELEMENTSOF(cases[i].field) && cases[i].field[f] > 0; f++)
            put_number(&details, cases[i].field[f], cases[i].value);
        put_number(&report, AT, 1);
        put_number(&report, TOTAL, GIB);
        put_number(&report, FREE, GIB / 2);
        put_number(&report, SWAP_TOTAL, GIB);
        put_message(&report, DETAILS, &details);
        put_message(&b, REPORT_, &report);
        if (cases[i].what)
            expect_refusal(&b, -ERANGE, cases[i].what);
        else
            ck_assert_msg(message_unpack(b.bytes, b.length, &m, &what) == 0, "%zu: %s", i, what);
    }

    /* no cache is colder than it is */
    put_number(&warm, ACTIVE_FILE, 10);
    put_number(&warm, INACTIVE_FILE, 10);
    put_number(&warm, COLD_10S, 21);
    put_number(&colder, COLD_10S, 10);
    put_number(&colder, COLD_60S, 11);
    put_number(&coldest, COLD_60S, 10);
    put_number(&coldest, COLD_600S, 11);
    {
        const struct {
            const Bytes *details;
            const char *what;
        } cold[] = {{&warm, "cold_10s"}, {&colder, "cold_60s"}, {&coldest, "cold_600s"}};

        for (size_t i = 0; i < ELEMENTSOF(cold); i++) {
            Bytes report = {};

            put_report(&report, 0, 0);
            put_message(&report, DETAILS, cold[i].details);
            expect_refused_message(REPORT_, &report, -ERANGE, cold[i].what);
        }
    }
}
END_TEST

/* What the agent makes of figures that the kernel didn't read at the same moment. */
START_TEST(fitted_report)
{
    Message m = full_report(), same = full_report();
    uint8_t frame[FRAME_MAX];
    Report *r = &m.report;

    report_fit(r, GUEST_MEMORY_MAX_BYTES);
    expect_same(&m, &same); /* it was possible already */

    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++)
        if (f != REPORT_MEM_TOTAL)
            report_set(r, f, UINT64_MAX);
    ck_assert_int_eq(message_pack(&m, frame), -EINVAL);
    report_fit(r, GUEST_MEMORY_MAX_BYTES);
    pack(&m, frame);
    ck_assert_uint_eq(report_get(r, REPORT_MEM_FREE), GIB);
    ck_assert_uint_eq(report_get(r, REPORT_MEM_AVAILABLE), GIB);
    ck_assert_uint_eq(report_get(r, REPORT_FREE_BLOCKS), GIB);
    ck_assert_uint_eq(report_get(r, REPORT_ACTIVE_FILE), 0);
    ck_assert_uint_eq(report_get(r, REPORT_REPORTING), 1);
}
END_TEST

START_TEST(accepted_limits)
{
    static const struct {
        unsigned field;
        uint64_t value;
    } cases[] = {
        {1, GUEST_UPTIME_MAX_USEC},
        {2, GUEST_MEMORY_MAX_BYTES},
        {3, GIB},
        {4, GIB},
        {8, GIB},
        {13, GIB},
        {18, GUEST_COUNTER_MAX},
        {27, 10000},
        {34, GUEST_COUNTER_MAX},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Bytes report = {}, b = {};
        const char *what = "";
        Message m;

        put_report(&report, cases[i].field, cases[i].value);
        put_message(&b, REPORT_, &report);
        ck_assert_msg(message_unpack(b.bytes, b.length, &m, &what) == 0, "%s", what);
    }
}
END_TEST

START_TEST(next_report)
{
    const Message first = full_report();
    const char *what;

    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++) {
        Report next = first.report;

        next.at_usec++;
        ck_assert_int_eq(report_follows(&first.report, &next, NULL), 0);
        next.value[f]++;
        ck_assert_int_eq(report_follows(&first.report, &next, NULL), 0);

        next.value[f] -= 2;
        what = NULL;
        if (report_field_kind(f) == REPORT_KIND_GAUGE)
            ck_assert_int_eq(report_follows(&first.report, &next, &what), 0);
        else {
            ck_assert_int_eq(report_follows(&first.report, &next, &what), -ESTALE);
            ck_assert_str_eq(what, report_field_name(f));
        }

        /* what one of them lacks isn't compared */
        next.present &= ~(UINT64_C(1) << f);
        ck_assert_int_eq(report_follows(&first.report, &next, NULL), 0);
        ck_assert_int_eq(report_follows(&next, &first.report, NULL), -ESTALE); /* but time is */
    }

    {
        Report next = first.report;

        ck_assert_int_eq(report_follows(&first.report, &next, NULL), 0);
        next.at_usec--;
        ck_assert_int_eq(report_follows(&first.report, &next, &what), -ESTALE);
        ck_assert_str_eq(what, "at_usec");
        next.at_usec = 0; /* a source without a clock */
        ck_assert_int_eq(report_follows(&first.report, &next, NULL), 0);
        ck_assert_int_eq(report_follows(&next, &first.report, NULL), 0);
    }
}
END_TEST

/* A guest after a year that was anything but quiet: all fields, and of each about the most that such a guest
 * shows. */
static Message after_a_year(uint64_t total)
{
    const uint64_t swap = total / 2, year = 365 * 86400, slow = 100000 * year, fast = 10000000 * year;
    const struct {
        ReportField field;
        uint64_t value;
    } values[] = {
        {REPORT_MEM_TOTAL, total},
        {REPORT_MEM_FREE, total / 2},
        {REPORT_MEM_AVAILABLE, total / 4 * 3},
        {REPORT_BUFFERS, total / 50},
        {REPORT_CACHED, total / 2},
        {REPORT_SRECLAIMABLE, total / 20},
        {REPORT_SHMEM, total / 20},
        {REPORT_ANON_PAGES, total / 2},
        {REPORT_DIRTY, total / 50},
        {REPORT_MLOCKED, 64 * MIB},
        {REPORT_SWAP_TOTAL, swap},
        {REPORT_SWAP_FREE, swap / 3 * 2},
        {REPORT_LOW_WATERMARK, total / 200},
        {REPORT_SWAP_IN, slow},
        {REPORT_SWAP_OUT, slow},
        {REPORT_MAJOR_FAULTS, 2 * year},
        {REPORT_FAULTS, 5000 * year},
        {REPORT_REFAULT_ANON, slow},
        {REPORT_REFAULT_FILE, fast},
        {REPORT_SCAN_DIRECT, slow},
        {REPORT_SCAN_KSWAPD, fast},
        {REPORT_STEAL_DIRECT, slow},
        {REPORT_STEAL_KSWAPD, fast},
        {REPORT_ALLOC_STALLS, year / 10},
        {REPORT_OOM_KILLS, 12},
        {REPORT_PSI_MEMORY_SOME_AVG10, 9999},
        {REPORT_PSI_MEMORY_SOME_TOTAL, year / 100 * USEC_PER_SEC},
        {REPORT_PSI_MEMORY_FULL_AVG10, 9999},
        {REPORT_PSI_MEMORY_FULL_TOTAL, year / 100 * USEC_PER_SEC},
        {REPORT_PSI_IO_SOME_AVG10, 9999},
        {REPORT_PSI_IO_SOME_TOTAL, year / 20 * USEC_PER_SEC},
        {REPORT_PSI_IO_FULL_AVG10, 9999},
        {REPORT_PSI_IO_FULL_TOTAL, year / 20 * USEC_PER_SEC},
        {REPORT_FREE_BLOCKS, total / 2},
        {REPORT_REPORTING, 1},
        {REPORT_ACTIVE_FILE, total / 8},
        {REPORT_INACTIVE_FILE, total / 8},
        {REPORT_ACTIVE_ANON, total / 16},
        {REPORT_INACTIVE_ANON, total / 16},
        {REPORT_SWAP_MEMORY, swap},
        {REPORT_SWAP_MEMORY_FREE, swap / 2},
        {REPORT_COMMITTED, total / 2},
        {REPORT_COMMIT_LIMIT, total},
        {REPORT_ARC, total / 8},
        {REPORT_ARC_MIN, total / 32},
        {REPORT_COLD_10S, total / 4},
        {REPORT_COLD_60S, total / 4},
        {REPORT_COLD_600S, total / 4},
    };
    Message m = {.type = MESSAGE_REPORT, .has_nonce = true, .nonce = UINT32_MAX};

    _Static_assert(ELEMENTSOF(values) == REPORT_FIELD_MAX, "all fields");
    m.report.at_usec = year * USEC_PER_SEC;
    for (size_t i = 0; i < ELEMENTSOF(values); i++)
        report_set(&m.report, values[i].field, values[i].value);
    return m;
}

START_TEST(a_report_fits_328_bytes)
{
    static const uint64_t totals[] = {GIB / 2, 16 * GIB, 64 * GIB, TIB};

    for (size_t i = 0; i < ELEMENTSOF(totals); i++) {
        Message m = after_a_year(totals[i]);
        uint8_t frame[FRAME_MAX];
        ssize_t n = pack(&m, frame);

        printf("report of a guest of %" PRIu64 " MiB: %zd bytes\n", totals[i] / MIB, n);
        fflush(stdout);
        ck_assert_int_le(n, 328);
    }
}
END_TEST

START_TEST(the_two_tables_name_the_same_fields)
{
    const char *source = getenv("BALLAST_SOURCE");
    _cleanup_fclose_ FILE *f = NULL;
    uint64_t seen = 0;
    bool in_report = false, in_details = false;
    char path[4096], line[512], name[64];
    unsigned number;

    ck_assert_ptr_nonnull(source);
    snprintf(path, sizeof(path), "%s/proto/guest.proto", source);
    f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);

    while (fgets(line, sizeof(line), f)) {
        ReportField found = REPORT_FIELD_INVALID;

        if (strncmp(line, "message ", 8) == 0)
            in_report = strncmp(line, "message Report {", 16) == 0,
            in_details = strncmp(line, "message Details {", 17) == 0;
        if ((!in_report && !in_details) ||
            sscanf(line, " optional uint64 %63[a-z0-9_] = %u;", name, &number) != 2)
            continue;
        if (strcmp(name, "at_usec") == 0)
            continue;

        for (ReportField i = 0; i < REPORT_FIELD_MAX; i++)
            if (strcmp(report_field_name(i), name) == 0)
                found = i;
        ck_assert_msg(found >= 0, "%s is in guest.proto, not in report.def", name);
        ck_assert_msg(in_details == (found >= REPORT_FREE_BLOCKS),
                      "%s is in one of Report and Details, not in both", name);
        seen |= UINT64_C(1) << found;
    }

    for (ReportField i = 0; i < REPORT_FIELD_MAX; i++)
        ck_assert_msg(seen & UINT64_C(1) << i, "%s is in report.def, not in guest.proto",
                      report_field_name(i));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("codec-reports");

    tcase_add_test(tc, refused_reports);
    tcase_add_test(tc, refused_details);
    tcase_add_test(tc, fitted_report);
    tcase_add_test(tc, accepted_limits);
    tcase_add_test(tc, next_report);
    tcase_add_test(tc, a_report_fits_328_bytes);
    tcase_add_test(tc, the_two_tables_name_the_same_fields);
    return run_tests(tc);
}
