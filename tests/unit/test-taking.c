/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When a guest is seen to take its own memory, how fast, and how long it is left alone after that. */

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/taking.h"
#include "tests/unit/run.h"

#define FULL (512 * MIB) /* a twelfth is 43 MiB */

static void report(Taking *t, History *h, unsigned sec, unsigned total_mib, unsigned available_mib)
{
    Sample s = {.at_usec = sec * USEC_PER_SEC, .source = GUEST_SOURCE_AGENT};

    report_set(&s.report, REPORT_MEM_TOTAL, total_mib * MIB);
    report_set(&s.report, REPORT_MEM_AVAILABLE, available_mib * MIB);
    report_set(&s.report, REPORT_MEM_FREE, 10 * MIB);
    history_add(h, &s);
    taking_look(t, h, FULL, 0);
}

START_TEST(test_takes)
{
    Taking t = {};
    History h = {};

    report(&t, &h, 1000, 470, 400);
    ck_assert(!taking_grows(&t, 1000 * USEC_PER_SEC) && taking_fastest(&t, 1000 * USEC_PER_SEC) == 0);
    /* Its balloon takes 200 MiB, and gives them back: that isn't the guest. */
    report(&t, &h, 1002, 270, 200);
    report(&t, &h, 1004, 470, 400);
    ck_assert(!taking_grows(&t, 1004 * USEC_PER_SEC) && taking_fastest(&t, 1004 * USEC_PER_SEC) == 0);
    /* Little by little. */
    report(&t, &h, 1006, 470, 380);
    report(&t, &h, 1008, 470, 360);
    ck_assert(!taking_grows(&t, 1008 * USEC_PER_SEC));
    report(&t, &h, 1010, 470, 350);
    ck_assert(taking_grows(&t, 1010 * USEC_PER_SEC));
    ck_assert_uint_eq(taking_fastest(&t, 1010 * USEC_PER_SEC), 20 * MIB);
    /* At once. */
    report(&t, &h, 1012, 470, 250);
    ck_assert_uint_eq(taking_fastest(&t, 1012 * USEC_PER_SEC), 100 * MIB);
    /* It gives back: that says nothing. */
    report(&t, &h, 1014, 470, 400);
    ck_assert_uint_eq(taking_fastest(&t, 1014 * USEC_PER_SEC), 100 * MIB);
    ck_assert(taking_grows(&t, 1022 * USEC_PER_SEC) && !taking_grows(&t, 1023 * USEC_PER_SEC));
    ck_assert_uint_eq(taking_fastest(&t, 1270 * USEC_PER_SEC), 100 * MIB);
    ck_assert_uint_eq(taking_fastest(&t, 1330 * USEC_PER_SEC), 0);
    /* Long after: what was before is forgotten, and a gap says nothing. */
    report(&t, &h, 5000, 470, 100);
    ck_assert_uint_eq(taking_fastest(&t, 5000 * USEC_PER_SEC), 0);
    ck_assert(!taking_grows(&t, 5000 * USEC_PER_SEC));
}
END_TEST

/* Samples from before a time don't count, nor those of another source. */
START_TEST(test_ignores)
{
    Taking t = {};
    History h = {};
    Sample s = {.at_usec = 1004 * USEC_PER_SEC, .source = GUEST_SOURCE_LIBVIRT};

    report(&t, &h, 1000, 470, 400);
    report_set(&s.report, REPORT_MEM_TOTAL, 470 * MIB);
    report_set(&s.report, REPORT_MEM_AVAILABLE, 100 * MIB);
    history_add(&h, &s);
    taking_look(&t, &h, FULL, 0);
    ck_assert(!taking_grows(&t, s.at_usec));

    h = (History){};
    s.source = GUEST_SOURCE_AGENT;
    report(&t, &h, 1000, 470, 400);
    history_add(&h, &s);
    taking_look(&t, &h, FULL, 1001 * USEC_PER_SEC);
    ck_assert(!taking_grows(&t, s.at_usec));
    taking_look(&t, &h, FULL, 1005 * USEC_PER_SEC);
    ck_assert(!taking_grows(&t, s.at_usec));
    taking_look(&t, &h, FULL, 1000 * USEC_PER_SEC);
    ck_assert(taking_grows(&t, s.at_usec));
}
END_TEST

/* A guest that gets its size back, rests, and takes again as soon as it is shrunk: ever more rarely. */
START_TEST(test_holds)
{
    Taking t = {};
    unsigned sec = 1000;

    taking_given(&t, sec * USEC_PER_SEC);
    ck_assert(!taking_holds(&t, sec * USEC_PER_SEC)); /* it takes nothing */
    for (usec_t hold = TAKING_HOLD_MIN_USEC; hold < TAKING_HOLD_MAX_USEC; hold *= 2) {
        History h = {};

        report(&t, &h, sec, 470, 400);
        report(&t, &h, sec + 1, 470, 300);
        taking_given(&t, (sec + 1) * USEC_PER_SEC);
        taking_given(&t, (sec + 2) * USEC_PER_SEC); /* once more: that isn't another time */
        ck_assert(taking_holds(&t, (sec + 2) * USEC_PER_SEC + hold));
        ck_assert(!taking_holds(&t, (sec + 2) * USEC_PER_SEC + hold + 1));
        sec += 2 + (unsigned) (hold / USEC_PER_SEC) + 10;
    }
    /* After a long rest it begins again. */
    sec += 100000;
    {
        History h = {};

        report(&t, &h, sec, 470, 400);
        report(&t, &h, sec + 1, 470, 300);
        taking_given(&t, (sec + 1) * USEC_PER_SEC);
        ck_assert(!taking_holds(&t, (sec + 2) * USEC_PER_SEC + TAKING_HOLD_MIN_USEC));
    }
}
END_TEST

/* It frees again what it took: then it has done its work, until it takes memory the next time. */
START_TEST(test_lets_go)
{
    Taking t = {};
    History h = {};

    report(&t, &h, 1000, 470, 400);
    ck_assert(!t.let_go);
    report(&t, &h, 1001, 470, 200);
    report(&t, &h, 1002, 470, 170);
    ck_assert(!t.let_go);
    report(&t, &h, 1003, 470, 200); /* a little less */
    ck_assert(!t.let_go);
    report(&t, &h, 1004, 270, 0); /* its balloon takes memory: that isn't the guest */
    ck_assert(!t.let_go);
    report(&t, &h, 1005, 470, 400);
    ck_assert(t.let_go);
    ck_assert(taking_grows(&t, 1005 * USEC_PER_SEC)); /* it did so a moment ago */

    report(&t, &h, 1030, 470, 400);
    ck_assert(t.let_go);
    report(&t, &h, 1031, 470, 350); /* less than before, but it takes again */
    ck_assert(!t.let_go);
    report(&t, &h, 1032, 470, 250);
    ck_assert(!t.let_go);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("taking");

    tcase_add_test(t, test_takes);
    tcase_add_test(t, test_ignores);
    tcase_add_test(t, test_holds);
    tcase_add_test(t, test_lets_go);
    return run_tests(t);
}
