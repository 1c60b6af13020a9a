/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a policy sees when it looks back: avg(g.free, 30s), min, max, rate. */

#include <check.h>
#include <math.h>

#include "policy/series.h"
#include "tests/unit/run.h"

#define SEC    USEC_PER_SEC
#define MSEC   USEC_PER_MSEC
#define MINUTE (60 * SEC)

/* History of g.free with the given longest window. */
static SeriesSet one_series(usec_t longest)
{
    SeriesNeed need = {.field = GUEST_FIELD_FREE, .usec = longest};
    SeriesSet s, none = {};

    ck_assert_int_eq(series_set_copy(&s, &none, &need, 1, false), 0);
    ck_assert_uint_eq(s.n, 1);
    return s;
}

static void feed(SeriesSet *s, usec_t at, double value)
{
    GuestFields g = {};

    guest_fields_set(&g, GUEST_FIELD_FREE, value);
    series_set_add_guest(s, at, &g);
}

static double look(const SeriesSet *s, SeriesFunction f, usec_t now, usec_t window, double present,
                   bool counter)
{
    return series_function(series_set_find(s, GUEST_FIELD_FREE), f, now, window, present, counter);
}

/* Same, or both missing. */
static void check(size_t row, const char *what, double is, double expected)
{
    bool same = isnan(expected) ? isnan(is) : fabs(is - expected) <= 1e-9 * fmax(1, fabs(expected));

    ck_assert_msg(same, "row %zu: %s is %.12g, not %.12g", row, what, is, expected);
}

/* Times in ms; up to six values fed (at 0: no more). */
typedef struct Row {
    struct {
        unsigned at;
        double value;
    } fed[6];
    unsigned now, window;
    double present;
    double avg, min, max, slope, growth; /* growth: the rate of a counter */
} Row;

static const Row rows[] = {
    /* Nothing is known, or only the present. */
    {{}, 9000, 5000, NAN, NAN, NAN, NAN, NAN, NAN},
    {{}, 9000, 5000, 7, 7, 7, 7, NAN, NAN},
    /* One value, and the present one: also where the window is longer than what is known. */
    {{{8000, 4}}, 9000, 5000, 6, 5, 4, 6, 2, 2},
    {{{8000, 4}}, 9000, 600000, 6, 5, 4, 6, 2, 2},
    /* The stat is missing now: what was known of it in the window counts. */
    {{{8000, 4}}, 9000, 5000, NAN, 4, 4, 4, NAN, NAN},
    {{{7000, 2}, {8000, 4}}, 9000, 5000, NAN, 3, 2, 4, 2, 2},
    {{{2000, 4}}, 9000, 5000, NAN, NAN, NAN, NAN, NAN, NAN},
    /* What is older than the window doesn't count; at its edge it does. */
    {{{1000, 100}, {4000, 1}, {5000, 2}, {6000, 3}, {7000, 4}, {8000, 5}}, 9000, 5000, 6, 3.5, 1, 6, 1, 1},
    {{{1000, 0}, {3999, 1}, {5000, 2}, {6000, 3}, {7000, 4}, {8000, 5}}, 9000, 5000, 6, 4, 2, 6, 1, 1},
    /* The present value was fed already: it counts once. */
    {{{8000, 4}, {9000, 6}}, 9000, 5000, 6, 5, 4, 6, 2, 2},
    {{{8000, 4}, {9000, 6}}, 9000, 5000, NAN, 5, 4, 6, 2, 2},
    /* … and where it is another by now, the present one counts. */
    {{{8000, 4}, {9000, 99}}, 9000, 5000, 6, 5, 4, 6, 2, 2},
    /* A burst of values doesn't outweigh those before it. */
    {{{7000, 0}, {8000, 0}, {8900, 10}, {8950, 10}}, 9000, 5000, 10, 10 * 0.575 / 2.525, 0, 10, 5, 5},
    /* … nor does a present value that comes right after the last. */
    {{{7000, 6}, {8000, 6}, {8999, 0}}, 9000, 5000, 0, 6 * 1.9995 / 2.5005, 0, 6, -3, NAN},
    /* A counter that went back: from where it last did so. */
    {{{5000, 900}, {6000, 1000}, {7000, 10}, {8000, 20}}, 9000, 5000, 30, 392, 10, 1000, -217.5, 10},
    {{{5000, 900}, {6000, 0}, {7000, 1000}, {8000, 0}}, 9000, 5000, 30, 386, 0, 1000, -217.5, 30},
    {{{6000, 10}, {7000, 20}, {8000, 30}}, 9000, 5000, 5, 16.25, 5, 30, -5 / 3.0, NAN},
    /* One that stands still. */
    {{{7000, 10}, {8000, 10}}, 9000, 5000, 10, 10, 10, 10, 0, 0},
    /* Two values that are too near to each other have no rate. */
    {{{8901, 4}}, 9000, 5000, 6, 5, 4, 6, NAN, NAN},
    {{{8900, 4}}, 9000, 5000, 6, 5, 4, 6, 20, 20},
    /* A window that isn't longer than it takes from one value to the next: its rate includes the one
     * before. The others have the present value. */
    {{{6998, 0}, {7999, 10}}, 9000, 1000, 20, 20, 20, 20, 10 / 1.001, 10 / 1.001},
    {{{8000, 0}, {30000, 60}}, 60000, 10000, 90, 90, 90, 90, 1, 1},
    /* … but not to what was long ago, */
    {{{1, 0}}, 121000, 1000, 90, 90, 90, 90, NAN, NAN},
    /* … nor where the window has enough, */
    {{{6000, 0}, {7990, 20}, {8500, 20}}, 9000, 1000, 20, 20, 20, 20, 0, 0},
    /* … nor where nothing in it is known. */
    {{{6000, 0}, {7000, 20}}, 9000, 1000, NAN, NAN, NAN, NAN, NAN, NAN},
    /* The clock went back a little since: values ahead of it are ignored. */
    {{{7000, 1}, {8000, 2}, {9500, 50}}, 9000, 5000, 3, 2, 1, 3, 1, 1},
};

START_TEST(test_functions)
{
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const Row *r = &rows[i];
        usec_t now = r->now * MSEC, window = r->window * MSEC;
        SeriesSet s = one_series(30 * SEC);

        for (size_t k = 0; k < ELEMENTSOF(r->fed) && r->fed[k].at > 0; k++)
            feed(&s, r->fed[k].at * MSEC, r->fed[k].value);
        check(i, "avg", look(&s, SERIES_AVG, now, window, r->present, false), r->avg);
        check(i, "min", look(&s, SERIES_MIN, now, window, r->present, false), r->min);
        check(i, "max", look(&s, SERIES_MAX, now, window, r->present, false), r->max);
        check(i, "the slope", look(&s, SERIES_RATE, now, window, r->present, false), r->slope);
        check(i, "the counter's rate", look(&s, SERIES_RATE, now, window, r->present, true), r->growth);
        series_set_done(&s);
    }
}
END_TEST

/* A policy that is run without history sees the present. */
START_TEST(test_no_series)
{
    ck_assert_double_eq(series_function(NULL, SERIES_AVG, SEC, SEC, 3, false), 3);
    ck_assert_double_eq(series_function(NULL, SERIES_MIN, SEC, SEC, 3, false), 3);
    ck_assert_double_eq(series_function(NULL, SERIES_MAX, SEC, SEC, 3, false), 3);
    ck_assert_double_nan(series_function(NULL, SERIES_RATE, SEC, SEC, 3, true));
    ck_assert_double_nan(series_function(NULL, SERIES_AVG, SEC, SEC, NAN, false));
}
END_TEST

/* The average of equal values is that value, to the last bit, so that a policy may compare them. */
START_TEST(test_average_of_equals)
{
    SeriesSet s = one_series(10 * MINUTE);
    double value = 1.0 / 3 * 0x1p40;
    usec_t now = SEC;

    for (unsigned i = 0; i < 500; i++, now += 999 * MSEC + i * 7)
        feed(&s, now, value);
    ck_assert(look(&s, SERIES_AVG, now, 10 * MINUTE, value, false) == value);
    series_set_done(&s);
}
END_TEST

/* Whatever the pace of the cycles, and however long they run, the longest window is kept, its edges to within
 * a 60th, and so is the shortest. */
START_TEST(test_pace)
{
    static const struct {
        usec_t every, longest;
    } paces[] = {
        {50 * MSEC, SEC},       {50 * MSEC, 30 * SEC},   {50 * MSEC, 10 * MINUTE}, {SEC, 30 * SEC},
        {SEC + 3, 30 * SEC},    {SEC - 3, 88 * SEC},     {SEC, 10 * MINUTE},       {999 * MSEC, 10 * MINUTE},
        {5 * SEC, 10 * MINUTE}, {60 * SEC, 10 * MINUTE}, {100 * MSEC, 5 * SEC},
    };
    static const usec_t windows[] = {SEC, 2 * SEC, 5 * SEC, 30 * SEC, 88 * SEC, 10 * MINUTE};

    for (size_t i = 0; i < ELEMENTSOF(paces); i++) {
        usec_t every = paces[i].every, longest = paces[i].longest, now = 1000 * SEC;
        SeriesSet s = one_series(longest);

        /* The values fed are the time itself, in seconds; all but the last, which is the present value. */
        for (unsigned k = 0; k < 30000; k++, now += every)
            feed(&s, now, (double) now / (double) SEC);
        for (size_t w = 0; w < ELEMENTSOF(windows); w++) {
            double seconds = (double) windows[w] / (double) SEC, present = (double) now / (double) SEC, reach;
            double gap = (double) (longest / 60 + every) / (double) SEC;

            if (windows[w] > longest)
                continue;
            reach = present - look(&s, SERIES_MIN, now, windows[w], present, false);
            ck_assert_msg(reach <= seconds && reach > seconds - gap,
                          "pace %zu: a window of %g s looks back %g s, with one of %g s", i, seconds, reach,
                          (double) longest / (double) SEC);
            ck_assert_double_eq(look(&s, SERIES_MAX, now, windows[w], present, false), present);
            ck_assert_double_eq_tol(look(&s, SERIES_AVG, now, windows[w], present, false),
                                    present - reach / 2, gap / 2);
            ck_assert_double_eq_tol(look(&s, SERIES_RATE, now, windows[w], present, true), 1, 1e-9);
        }
        series_set_done(&s);
    }
}
END_TEST

/* A peak of one second is seen in a window of some seconds, alongside one of ten minutes. */
START_TEST(test_short_window_of_a_long_series)
{
    SeriesSet s = one_series(10 * MINUTE);
    usec_t now = 1000 * SEC;

    for (unsigned k = 0; k < 1200; k++, now += SEC)
        feed(&s, now, k == 1195 ? 100 : 1);
    ck_assert_double_eq(look(&s, SERIES_MAX, now, 5 * SEC, 1, false), 100);
    ck_assert_double_eq(look(&s, SERIES_MAX, now, 4 * SEC, 1, false), 1);
    ck_assert_double_eq(look(&s, SERIES_MAX, now, 10 * MINUTE, 1, false), 100);
    ck_assert_double_eq_tol(look(&s, SERIES_AVG, now, 9 * SEC, 1, false), 1 + 99 / 10.0, 1e-9);
    series_set_done(&s);
}
END_TEST

START_TEST(test_clock_goes_back)
{
    SeriesSet s = one_series(30 * SEC);

    feed(&s, 100 * SEC, 1000);
    feed(&s, 101 * SEC, 2000);
    feed(&s, 50 * SEC, 3);
    ck_assert_double_eq(look(&s, SERIES_MAX, 51 * SEC, 30 * SEC, 4, false), 4);
    ck_assert_double_eq(look(&s, SERIES_RATE, 51 * SEC, 30 * SEC, 4, false), 1);
    /* also when it comes by there again */
    ck_assert_double_eq(look(&s, SERIES_MAX, 110 * SEC, 30 * SEC, 4, false), 4);
    series_set_done(&s);
}
END_TEST

/* A stat that is missing now and then, or no number, leaves a gap and no zero. */
START_TEST(test_missing)
{
    SeriesSet s = one_series(30 * SEC);
    GuestFields none = {};

    feed(&s, 10 * SEC, 6);
    series_set_add_guest(&s, 11 * SEC, &none);
    feed(&s, 12 * SEC, NAN);
    feed(&s, 13 * SEC, INFINITY);
    feed(&s, 14 * SEC, 6);
    ck_assert_double_eq(look(&s, SERIES_AVG, 15 * SEC, 10 * SEC, 6, false), 6);
    ck_assert_double_eq(look(&s, SERIES_MIN, 15 * SEC, 10 * SEC, 6, false), 6);
    ck_assert_double_eq(look(&s, SERIES_MAX, 15 * SEC, 10 * SEC, INFINITY, false), 6);
    series_set_done(&s);
}
END_TEST

START_TEST(test_reboot)
{
    SeriesSet s = one_series(30 * SEC);

    for (unsigned k = 0; k < 200; k++)
        feed(&s, (10 + k) * SEC, 1000);
    series_set_clear(&s);
    ck_assert_double_eq(look(&s, SERIES_MAX, 210 * SEC, 30 * SEC, 1, true), 1);
    feed(&s, 210 * SEC, 1);
    ck_assert_double_eq(look(&s, SERIES_RATE, 211 * SEC, 30 * SEC, 3, true), 2);
    series_set_done(&s);
}
END_TEST

/* Another policy: what both look back at is kept, the rest is forgotten; the host's and the guests' stats
 * don't get mixed up where they have the same number. */
START_TEST(test_copy)
{
    const SeriesNeed needs[] = {{.field = GUEST_FIELD_CACHE, .usec = 60 * SEC},
                                {.host = true, .field = HOST_FIELD_FREE, .usec = 10 * SEC},
                                {.field = GUEST_FIELD_FREE, .usec = 10 * MINUTE}};
    SeriesSet before = one_series(30 * SEC), after, host, none, empty = {};
    HostFields h = {};
    GuestFields g = {};

    feed(&before, 10 * SEC, 6);
    feed(&before, 11 * SEC, 8);
    ck_assert_int_eq(series_set_copy(&after, &before, needs, ELEMENTSOF(needs), false), 0);
    ck_assert_uint_eq(after.n, 2);
    ck_assert_double_eq(look(&after, SERIES_AVG, 12 * SEC, 10 * SEC, 10, false), 8);
    ck_assert_uint_eq(series_set_find(&after, GUEST_FIELD_FREE)->need.usec, 10 * MINUTE);
    ck_assert_ptr_nonnull(series_set_find(&after, GUEST_FIELD_CACHE));
    ck_assert_ptr_null(series_set_find(&after, GUEST_FIELD_DIRTY));
    /* The original hasn't changed. */
    ck_assert_double_eq(look(&before, SERIES_AVG, 12 * SEC, 10 * SEC, 10, false), 8);

    guest_fields_set(&g, GUEST_FIELD_CACHE, 5);
    series_set_add_guest(&after, 12 * SEC, &g);
    ck_assert_double_eq(look(&after, SERIES_AVG, 12 * SEC, 10 * SEC, NAN, false), 7);
    ck_assert_double_eq(
        series_function(series_set_find(&after, GUEST_FIELD_CACHE), SERIES_MAX, 13 * SEC, SEC, NAN, false),
        5);

    ck_assert_int_eq(series_set_copy(&host, &empty, needs, ELEMENTSOF(needs), true), 0);
    ck_assert_uint_eq(host.n, 1);
    host_fields_set(&h, HOST_FIELD_FREE, 44);
    series_set_add_host(&host, 12 * SEC, &h);
    ck_assert_double_eq(
        series_function(series_set_find(&host, HOST_FIELD_FREE), SERIES_MIN, 13 * SEC, 5 * SEC, NAN, false),
        44);

    ck_assert_int_eq(series_set_copy(&none, &after, needs, 0, false), 0);
    ck_assert_uint_eq(none.n, 0);
    ck_assert_ptr_null(series_set_find(&none, GUEST_FIELD_FREE));
    series_set_done(&none);
    series_set_done(&host);
    series_set_done(&after);
    series_set_done(&before);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("series");

    tcase_add_test(t, test_functions);
    tcase_add_test(t, test_no_series);
    tcase_add_test(t, test_average_of_equals);
    tcase_add_test(t, test_pace);
    tcase_add_test(t, test_short_window_of_a_long_series);
    tcase_add_test(t, test_clock_goes_back);
    tcase_add_test(t, test_missing);
    tcase_add_test(t, test_reboot);
    tcase_add_test(t, test_copy);
    return run_tests(t);
}
