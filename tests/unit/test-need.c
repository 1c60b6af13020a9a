/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A guest's need: how it is held, how it fades, and that it is tried ever more rarely. */

#include <check.h>
#include <limits.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/need.h"
#include "tests/unit/run.h"

#define SEC USEC_PER_SEC

START_TEST(test_nothing)
{
    Need n = {0};

    ck_assert_uint_eq(need_bytes(&n, 0), 0);
    ck_assert_uint_eq(need_bytes(&n, USEC_INFINITY), 0);
    ck_assert(!need_protects(&n, 0));
    need_found(&n, 0, 5 * SEC);
    ck_assert_uint_eq(n.times, 0);
    ck_assert(!need_protects(&n, 5 * SEC));
}
END_TEST

START_TEST(test_hold_and_fade)
{
    /* Seconds after a finding of 1200 MiB. */
    static const struct {
        usec_t sec;
        bool spares;
        uint64_t mib;
    } rows[] = {
        {0, true, 1200},   {29, true, 1200}, {30, false, 1200}, {60, false, 900},    {90, false, 600},
        {120, false, 300}, {149, false, 75}, {150, false, 0},   {1000000, false, 0},
    };
    Need n = {0};

    need_found(&n, 1200 * MIB, 100 * SEC);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        ck_assert_msg(need_protects(&n, (100 + rows[i].sec) * SEC) == rows[i].spares, "row %zu", i);
        ck_assert_msg(need_bytes(&n, (100 + rows[i].sec) * SEC) == rows[i].mib * MIB, "row %zu", i);
    }
    /* A clock that goes back makes nothing of it. */
    ck_assert(need_protects(&n, 0));
    ck_assert_uint_eq(need_bytes(&n, 0), 1200 * MIB);
}
END_TEST

/* While it suffers all the time nothing is tried: that is one finding, held from its end. */
START_TEST(test_same_finding)
{
    Need n = {0};

    for (usec_t sec = 0; sec <= 600; sec++)
        need_found(&n, (sec == 300 ? 900 : 500) * MIB, sec * SEC);
    ck_assert_uint_eq(n.times, 1);
    ck_assert_uint_eq(n.hold_usec, NEED_HOLD_MIN_USEC);
    ck_assert(need_protects(&n, 629 * SEC));
    ck_assert(!need_protects(&n, 630 * SEC));
    ck_assert_uint_eq(need_bytes(&n, 630 * SEC), 900 * MIB);
}
END_TEST

/* A guest that hurts whenever it is tried: the trials come ever more rarely, up to one in an hour. */
START_TEST(test_doubling)
{
    usec_t now = SEC, last = 0;
    Need n = {0};

    for (unsigned i = 0; i < 12; i++) {
        usec_t hold = MIN(NEED_HOLD_MIN_USEC << i, NEED_HOLD_MAX_USEC);

        need_found(&n, GIB, now);
        ck_assert_uint_eq(n.hold_usec, hold);
        ck_assert_uint_ge(n.hold_usec, last);
        ck_assert_uint_eq(n.times, i + 1);
        ck_assert_uint_eq(need_bytes(&n, now), GIB);
        last = n.hold_usec;
        now += hold + 1; /* tried at once */
        ck_assert(!need_protects(&n, now));
    }
    /* Then it was at ease until it was forgotten. */
    need_found(&n, GIB / 2, now + NEED_FADE * n.hold_usec);
    ck_assert_uint_eq(n.hold_usec, NEED_HOLD_MIN_USEC);
    ck_assert_uint_eq(n.bytes, GIB / 2);
}
END_TEST

/* Hurt at a smaller size while a larger one hasn't faded that far: what is left of the larger one counts. */
START_TEST(test_smaller)
{
    Need n = {0};

    need_found(&n, 1000 * MIB, SEC);
    need_found(&n, 200 * MIB, 61 * SEC);
    ck_assert_uint_eq(n.hold_usec, 2 * NEED_HOLD_MIN_USEC);
    ck_assert_uint_eq(need_bytes(&n, 61 * SEC), 750 * MIB);
}
END_TEST

START_TEST(test_extremes)
{
    Need n = {0};

    need_found(&n, UINT64_MAX, 0);
    ck_assert_uint_eq(need_bytes(&n, NEED_HOLD_MIN_USEC), UINT64_MAX);
    ck_assert_uint_lt(need_bytes(&n, 38 * SEC), UINT64_MAX);
    ck_assert_uint_gt(need_bytes(&n, NEED_HOLD_MIN_USEC + 1), UINT64_MAX / 100 * 99);
    ck_assert_uint_eq(need_bytes(&n, USEC_INFINITY), 0);
    n.times = UINT_MAX;
    need_found(&n, 1, USEC_INFINITY - 1);
    ck_assert_uint_eq(n.times, UINT_MAX);
    ck_assert_uint_eq(need_bytes(&n, USEC_INFINITY), 1);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("need");

    tcase_add_test(t, test_nothing);
    tcase_add_test(t, test_hold_and_fade);
    tcase_add_test(t, test_same_finding);
    tcase_add_test(t, test_doubling);
    tcase_add_test(t, test_smaller);
    tcase_add_test(t, test_extremes);
    return run_tests(t);
}
