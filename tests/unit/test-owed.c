/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What was taken from a guest in the last minute is owed to it, and no more. */

#include <check.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/owed.h"
#include "tests/unit/run.h"

#define SEC USEC_PER_SEC

START_TEST(test_nothing)
{
    Owed o = {};

    ck_assert_uint_eq(owed_bytes(&o, 0), 0);
    ck_assert_uint_eq(owed_bytes(&o, USEC_INFINITY), 0);
}
END_TEST

/* The size before the first of several shrinks counts, for at least half a minute and at most one. */
START_TEST(test_b_the_size_before_the_shrinks_of_the_last_minute)
{
    static const struct {
        usec_t sec;
        uint64_t mib;
    } rows[] = {{0, 1000}, {10, 1000}, {29, 1000}, {31, 1000}, {59, 1000}, {61, 0}, {1000, 0}};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Owed o = {};

        owed_shrunk(&o, 1000 * MIB, 100 * SEC);
        if (rows[i].sec >= 10)
            owed_shrunk(&o, 900 * MIB, 110 * SEC);
        ck_assert_msg(owed_bytes(&o, (100 + rows[i].sec) * SEC) == rows[i].mib * MIB, "row %zu", i);
    }
}
END_TEST

/* A guest that is shrunk step by step for hours is owed the last minute, not all of it. */
START_TEST(test_b_a_long_shrink)
{
    Owed o = {};

    for (usec_t sec = 1; sec <= 3600; sec++) {
        owed_shrunk(&o, (10000 - sec) * MIB, sec * SEC);
        ck_assert_uint_ge(owed_bytes(&o, sec * SEC), (10000 - sec) * MIB);
        ck_assert_uint_le(owed_bytes(&o, sec * SEC), (10000 - sec + 60) * MIB);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("owed");

    tcase_add_test(t, test_nothing);
    tcase_add_test(t, test_b_the_size_before_the_shrinks_of_the_last_minute);
    tcase_add_test(t, test_b_a_long_shrink);
    return run_tests(t);
}
