/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sizes, ratios and durations as people write and read them. */

#include <check.h>

#include "base/macro.h"
#include "base/units.h"
#include "tests/unit/run.h"

#define UNTOUCHED UINT64_C(0x5555555555555555)

typedef struct Case {
    const char *text;
    int r;
    uint64_t value;
} Case;

static void check_cases(const Case *cases, size_t n, int (*parse)(const char *, uint64_t *))
{
    for (size_t i = 0; i < n; i++) {
        uint64_t value = UNTOUCHED;
        int r = parse(cases[i].text, &value);

        ck_assert_msg(r == cases[i].r, "'%s' → %d, not %d", cases[i].text, r, cases[i].r);
        ck_assert_msg(value == (r < 0 ? UNTOUCHED : cases[i].value), "'%s' → %" PRIu64, cases[i].text, value);
    }
}

START_TEST(sizes_are_read)
{
    static const Case cases[] = {
        {"0", 0, 0},
        {"00.0 ", 0, 0},
        {"1", -ENOTUNIQ, 0},
        {"0.5", -ENOTUNIQ, 0},
        {" 1048576 ", -ENOTUNIQ, 0},
        {"1B", 0, 1},
        {"512B", 0, 512},
        {"512 B", 0, 512},
        {" 64MiB ", 0, 64 * MIB},
        {"64 MiB\n", 0, 64 * MIB},
        {"64M", 0, 64 * MIB},
        {"3K", 0, 3 * KIB},
        {"3KiB", 0, 3 * KIB},
        {"3kB", 0, 3000},
        {"3MB", 0, 3000000},
        {"3GB", 0, 3000000000},
        {"2TB", 0, 2000000000000},
        {"2TiB", 0, 2 * TIB},
        {"2T", 0, 2 * TIB},
        {"1.5GiB", 0, GIB + GIB / 2},
        {"0.1B", 0, 0},
        {"0.5B", 0, 1},
        {"1.0009765625K", 0, 1025},
        {"0.9999999999999999999999999K", 0, 1024},
        {"00000000000000000000000000064K", 0, 64 * KIB},
        {"18446744073709551615B", 0, UINT64_MAX},
        {"16777215.999TiB", 0, UINT64_C(18446744072610039988)},
        {"18446744073709551616", -ERANGE, 0},
        {"16777216TiB", -ERANGE, 0},
        {"99999999999999999999999999", -ERANGE, 0},
        {"18446744073709551615.5B", -ERANGE, 0},
        {"99999999999999999999999999 apples", -EINVAL, 0},
        {"", -EINVAL, 0},
        {" ", -EINVAL, 0},
        {"MiB", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {"1e3", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {".5G", -EINVAL, 0},
        {"5.", -EINVAL, 0},
        {"5.G", -EINVAL, 0},
        {"1.2.3", -EINVAL, 0},
        {"1,5GiB", -EINVAL, 0},
        {"1 000", -EINVAL, 0},
        {"1 M iB", -EINVAL, 0},
        {"1MiBs", -EINVAL, 0},
        {"1mib", -EINVAL, 0}, /* m is milli to some */
        {"1KB", -EINVAL, 0},  /* 1000 or 1024? */
        {"20%", -EINVAL, 0},
        {"10s", -EINVAL, 0},
    };

    check_cases(cases, ELEMENTSOF(cases), parse_size);
}
END_TEST

START_TEST(durations_are_read)
{
    static const Case cases[] = {
        {"0", 0, 0},
        {"2", 0, 2 * USEC_PER_SEC},
        {"1.5s", 0, 1500 * USEC_PER_MSEC},
        {"1.5 s", 0, 1500 * USEC_PER_MSEC},
        {"0.25", 0, 250 * USEC_PER_MSEC},
        {"250ms", 0, 250 * USEC_PER_MSEC},
        {"10us", 0, 10},
        {"0.4us", 0, 0},
        {"5min", 0, 300 * USEC_PER_SEC},
        {"1h", 0, 3600 * USEC_PER_SEC},
        {"2d", 0, 2 * 86400 * USEC_PER_SEC},
        {"infinity", 0, USEC_INFINITY},
        {" infinity ", 0, USEC_INFINITY},
        {"18446744073709551614us", 0, UINT64_MAX - 1},
        {"18446744073709551615us", -ERANGE, 0}, /* that would be for ever */
        {"18446744073710s", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"-1s", -EINVAL, 0},
        {"infinite", -EINVAL, 0},
        {"infinity s", -EINVAL, 0},
        {"1m", -EINVAL, 0}, /* minutes or milliseconds? */
        {"1min 30s", -EINVAL, 0},
        {"1 S", -EINVAL, 0},
        {"64MiB", -EINVAL, 0},
    };

    check_cases(cases, ELEMENTSOF(cases), parse_duration);
}
END_TEST

START_TEST(ratios_are_read)
{
    static const struct {
        const char *text;
        int r;
        double value;
    } cases[] = {
        {"0", 0, 0},
        {"1", -ENOTUNIQ, 0},
        {"0.2", -ENOTUNIQ, 0},
        {" 25 ", -ENOTUNIQ, 0},
        {"20%", 0, 0.2},
        {" 20 % ", 0, 0.2},
        {"12.5%", 0, 0.125},
        {"0.1%", 0, 0.001},
        {"100%", 0, 1},
        {"0%", 0, 0},
        {"100.01%", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"99999999999999999999999%", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"%", -EINVAL, 0},
        {"-0.1", -EINVAL, 0},
        {"20%%", -EINVAL, 0},
        {"20 percent", -EINVAL, 0},
        {"nan", -EINVAL, 0},
        {"1e-1", -EINVAL, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        double value = -1;
        int r = parse_ratio(cases[i].text, &value);

        ck_assert_msg(r == cases[i].r, "'%s' → %d", cases[i].text, r);
        ck_assert_msg(value == (r < 0 ? -1 : cases[i].value), "'%s' → %.17g", cases[i].text, value);
    }
}
END_TEST

START_TEST(counts_are_read)
{
    static const Case cases[] = {
        {"0", 0, 0},
        {"0012", 0, 12},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1.0", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"1B", -EINVAL, 0},
    };

    check_cases(cases, ELEMENTSOF(cases), parse_count);
}
END_TEST

START_TEST(test_c7_what_a_number_may_mean)
{
    static const struct {
        const char *text;
        bool size, share;
        const char *meant;
    } cases[] = {
        {"10", true, true, "10GiB, 10MiB or 10%"},
        {" 1.5 ", true, false, "1.5GiB, 1.5MiB or 1.5B"},
        {"500", true, true, "500GiB or 500MiB"},
        {"1048576", true, true, "1048576KiB or 1048576B"},
        {"1048576", true, false, "1048576KiB or 1048576B"},
        {"0.2", true, true, "20%, 0.2GiB, 0.2MiB or 0.2%"},
        {"0.25", false, true, "25% or 0.25%"},
        {"0.075", false, true, "7.5% or 0.075%"},
        {"25", false, true, "25%"},
        {"1", false, true, "1%"},
        {"18446744073709551615", true, false, "18446744073709551615KiB or 18446744073709551615B"},
    };
    char buf[UNITS_MEANT_MAX];

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        ck_assert_str_eq(units_meant(buf, cases[i].text, cases[i].size, cases[i].share), cases[i].meant);
}
END_TEST

START_TEST(sizes_are_written)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {KIB, "1.00 KiB"},
        {10288, "10.0 KiB"}, /* 10.047: rounded once, not over 10.05 to 10.1 */
        {1023 * KIB + 511, "1023 KiB"},
        {1023 * KIB + 512, "1.00 MiB"},
        {512 * MIB, "512 MiB"},
        {1000 * MIB, "1000 MiB"},
        {1500 * MIB, "1.46 GiB"},
        {10230 * MIB, "9.99 GiB"},
        {10239 * MIB, "10.0 GiB"},
        {16 * GIB, "16.0 GiB"},
        {102348 * MIB, "99.9 GiB"},
        {102399 * MIB, "100 GiB"},
        {TIB, "1.00 TiB"},
        {1024 * TIB, "1.00 PiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    char buf[UNITS_FORMAT_MAX];

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        ck_assert_str_eq(format_size(buf, cases[i].bytes), cases[i].text);
}
END_TEST

START_TEST(ratios_are_written)
{
    static const struct {
        double ratio;
        const char *text;
    } cases[] = {
        {0, "0.0%"},
        {0.193, "19.3%"},
        {0.2, "20.0%"},
        {1, "100.0%"},
        {0.00049, "0.0%"},
        {0.0005, "0.1%"},
        {0.99951, "100.0%"},
        {-0.013, "-1.3%"},
        {-0.0001, "0.0%"},
        {12.5, "1250.0%"},
        {__builtin_nan(""), "n/a"},
        {-__builtin_inf(), "n/a"},
        {1e300, "100000000000.0%"},
    };
    char buf[UNITS_FORMAT_MAX];

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        ck_assert_str_eq(format_ratio(buf, cases[i].ratio), cases[i].text);
}
END_TEST

START_TEST(durations_are_written)
{
    static const struct {
        usec_t usec;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1us"},
        {999, "999us"},
        {1000, "1ms"},
        {1500, "1.5ms"},
        {350 * USEC_PER_MSEC, "350ms"},
        {999949, "999.9ms"},
        {999950, "1s"},
        {USEC_PER_SEC, "1s"},
        {1500 * USEC_PER_MSEC, "1.5s"},
        {1549 * USEC_PER_MSEC, "1.5s"},
        {59949 * USEC_PER_MSEC, "59.9s"},
        {59950 * USEC_PER_MSEC, "1min"},
        {125 * USEC_PER_SEC, "2min 5s"},
        {3599499 * USEC_PER_MSEC, "59min 59s"},
        {3599500 * USEC_PER_MSEC, "1h"},
        {12000 * USEC_PER_SEC, "3h 20min"},
        {86370 * USEC_PER_SEC, "1d"},
        {180000 * USEC_PER_SEC, "2d 2h"},
        {USEC_INFINITY - 1, "213503982d 8h"},
        {USEC_INFINITY, "infinity"},
    };
    char buf[UNITS_FORMAT_MAX];

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        ck_assert_str_eq(format_duration(buf, cases[i].usec), cases[i].text);
}
END_TEST

START_TEST(time_since)
{
    usec_t a = now_usec(CLOCK_MONOTONIC), b = now_usec(CLOCK_MONOTONIC);

    ck_assert_uint_gt(a, 0);
    ck_assert_uint_le(a, b);
    ck_assert_uint_eq(usec_since(3, 10), 7);
    ck_assert_uint_eq(usec_since(10, 3), 0);
    ck_assert_uint_eq(usec_since(USEC_INFINITY, 3), USEC_INFINITY);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("units");

    tcase_add_test(tc, sizes_are_read);
    tcase_add_test(tc, durations_are_read);
    tcase_add_test(tc, ratios_are_read);
    tcase_add_test(tc, counts_are_read);
    tcase_add_test(tc, test_c7_what_a_number_may_mean);
    tcase_add_test(tc, sizes_are_written);
    tcase_add_test(tc, ratios_are_written);
    tcase_add_test(tc, durations_are_written);
    tcase_add_test(tc, time_since);
    return run_tests(tc);
}
