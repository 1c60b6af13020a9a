/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* "Did you mean …?" */

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/nearest.h"
#include "tests/unit/run.h"

START_TEST(test_edit_distance)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } rows[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"available", "available", 0},
        {"Available", "aVAILABLe", 0},
        {"availble", "available", 1},   /* left out */
        {"avaailable", "available", 1}, /* put in */
        {"abailable", "available", 1},  /* exchanged */
        {"avialable", "available", 1},  /* swapped */
        {"kitten", "sitting", 3},
        {"abc", "xyz", 3},
        {"ca", "abc", 3}, /* swapped letters aren't touched again */
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *a = rows[i].a, *b = rows[i].b;

        ck_assert_uint_eq(edit_distance(a, strlen(a), b, strlen(b)), rows[i].distance);
        ck_assert_uint_eq(edit_distance(b, strlen(b), a, strlen(a)), rows[i].distance);
    }
}
END_TEST

START_TEST(test_long_names)
{
    char name[NEAREST_NAME_MAX + 2];

    memset(name, 'x', sizeof(name));
    ck_assert_uint_eq(edit_distance(name, NEAREST_NAME_MAX, name, NEAREST_NAME_MAX), 0);
    ck_assert_uint_eq(edit_distance(name, NEAREST_NAME_MAX, "", 0), NEAREST_NAME_MAX);
    ck_assert_uint_eq(edit_distance(name, NEAREST_NAME_MAX + 1, "x", 1), UINT_MAX);
    ck_assert_uint_eq(edit_distance("x", 1, name, NEAREST_NAME_MAX + 1), UINT_MAX);
}
END_TEST

START_TEST(test_nearest)
{
    static const char *const known[] = {"total", "free", "available", "current", "rate", "date"};
    static const struct {
        const char *name, *nearest;
    } rows[] = {
        {"totl", "total"},
        {"avail", "available"},
        {"availabel", "available"},
        {"FREE", "free"},
        {"xyzzy", NULL},
        {"late", "rate"},
        {"av", NULL},
        {"", NULL},
        {"curent_", "current"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Nearest n;

        nearest_init(&n, rows[i].name, strlen(rows[i].name));
        for (size_t k = 0; k < ELEMENTSOF(known); k++)
            nearest_offer(&n, known[k]);
        if (rows[i].nearest)
            ck_assert_str_eq(n.best, rows[i].nearest);
        else
            ck_assert_ptr_null(n.best);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("nearest");

    tcase_add_test(t, test_edit_distance);
    tcase_add_test(t, test_long_names);
    tcase_add_test(t, test_nearest);
    return run_tests(t);
}
