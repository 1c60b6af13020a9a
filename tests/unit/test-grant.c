/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a guest in distress may cost others: those that tell the truth never wait, the others ever longer,
 * whatever they try. */

#include <check.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/grant.h"
#include "tests/unit/run.h"

#define SEC USEC_PER_SEC

/* One grant: given at 1000 s with so much resident, judged when its time has come. */
START_TEST(test_judged)
{
    static const struct {
        uint64_t given, before, after; /* MiB; resident 0: not known */
        bool swapping;
        usec_t wait_sec;
        bool is_false;
    } rows[] = {
        /* true */
        {1000, 2000, 3000, false, 0, false},
        {1000, 2000, 2500, false, 0, false},
        {1000, 2000, 2500, true, 0, false}, /* the host swaps, and still */
        {16, 2000, 2008, false, 0, false},
        {4, 2000, 2002, false, 0, false},
        /* false */
        {1000, 2000, 2000, false, 60, true},
        {1000, 2000, 1000, false, 60, true},
        {1000, 2000, 2124, false, 60, true},
        {16, 2000, 2001, false, 60, true},
        /* it got more than it could use */
        {1000, 2000, 2499, false, 15, false},
        {1000, 2000, 2125, false, 15, false},
        /* nothing can be said */
        {1000, 0, 3000, false, 15, false},
        {1000, 2000, 0, false, 15, false},
        {1000, 0, 0, false, 15, false},
        {1000, 2000, 1500, true, 15, false},
        {15, 2000, 2000, false, 15, false}, /* resident doesn't show so little */
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        usec_t given = 1000 * SEC, judged = given + GRANT_PROOF_USEC, next = judged + rows[i].wait_sec * SEC;
        Grant c = {0};

        ck_assert(grant_allowed(&c, given));
        grant_given(&c, rows[i].given * MIB, rows[i].before * MIB, given);
        ck_assert(!grant_judge(&c, rows[i].before * MIB, false, judged - 1));
        ck_assert_msg(c.open, "row %zu", i);
        ck_assert_msg(grant_judge(&c, rows[i].after * MIB, rows[i].swapping, judged) == rows[i].is_false,
                      "row %zu", i);
        ck_assert(!c.open);
        ck_assert_uint_eq(c.grants, 1);
        ck_assert_uint_eq(c.unused_grants, rows[i].is_false);
        ck_assert_msg(grant_allowed(&c, next), "row %zu", i);
        ck_assert_msg(rows[i].wait_sec == 0 || !grant_allowed(&c, next - 1), "row %zu", i);
        ck_assert(!grant_judge(&c, 0, false, judged + SEC)); /* nothing is open */
    }
}
END_TEST

/* Nothing, a clock that goes back, and sums that don't fit. */
START_TEST(test_extremes)
{
    Grant c = {0};

    ck_assert(grant_allowed(&c, 0));
    ck_assert(!grant_judge(&c, GIB, false, USEC_INFINITY));
    grant_given(&c, 0, GIB, SEC);
    ck_assert(!c.open);

    grant_given(&c, UINT64_MAX, UINT64_MAX, 100 * SEC);
    grant_given(&c, UINT64_MAX, 0, 90 * SEC);
    ck_assert_uint_eq(c.given_bytes, UINT64_MAX);
    ck_assert(!grant_judge(&c, UINT64_MAX, false, 50 * SEC));
    ck_assert(grant_allowed(&c, 50 * SEC));
    ck_assert(grant_judge(&c, UINT64_MAX, false, 200 * SEC));
    ck_assert(!grant_allowed(&c, 0));
}
END_TEST

/* Memory that was used once counts as used: a guest that was shrunk again before it was judged told no lie.
 * */
START_TEST(test_peak)
{
    Grant c = {0};

    grant_given(&c, GIB, GIB, 0);
    ck_assert(!grant_judge(&c, 2 * GIB, false, 5 * SEC));
    ck_assert(!grant_judge(&c, GIB, false, 30 * SEC));
    ck_assert(grant_allowed(&c, 30 * SEC));
}
END_TEST

/* A guest that uses what it gets is fed without a pause, however long that takes and whether or not its
 * distress ends now and then. */
START_TEST(test_honest)
{
    uint64_t rss = GIB, touched_to = GIB;
    Grant c = {0};

    for (usec_t sec = 1; sec < 3600; sec++) {
        bool distress = sec % 100 < 70;

        ck_assert(!grant_judge(&c, rss, false, sec * SEC));
        if (distress) {
            ck_assert_msg(grant_allowed(&c, sec * SEC), "waits after %ju s", (uintmax_t) sec);
            grant_given(&c, 50 * MIB, rss, sec * SEC);
            touched_to += 40 * MIB;
        }
        rss = MIN(rss + 45 * MIB, touched_to); /* never more than a while behind */
    }
    ck_assert_uint_gt(c.grants, 10);
    ck_assert_uint_eq(c.unused_grants, 0);
}
END_TEST

/* A guest that grants whenever it may, and uses of each gift so many percent; but in each lie_each-th grant
 * alone: the others are small, and all is used. Renewed distress is nothing that a grant ever learns of, so
 * trying at each moment is the most that there is. */
static Grant exploit(unsigned used_percent, unsigned lie_each, usec_t seconds)
{
    uint64_t rss = 2 * GIB;
    bool honest = false;
    Grant c = {0};

    for (usec_t t = 1; t <= seconds; t++) {
        grant_judge(&c, rss, false, t * SEC);
        if (!c.open) {
            rss = 2 * GIB; /* frees it again */
            honest = c.grants % lie_each != 0;
        }
        if (grant_allowed(&c, t * SEC)) {
            uint64_t gift = honest ? 16 * MIB : GIB;

            grant_given(&c, gift, rss, t * SEC);
            rss += honest ? gift : gift / 100 * used_percent;
        }
        /* One small gift is all that a true grant is after. */
        if (honest && c.open)
            for (usec_t end = t + GRANT_PROOF_USEC / SEC; t < end; t++)
                grant_judge(&c, rss, false, t * SEC);
    }
    return c;
}

START_TEST(test_hostile)
{
    static const struct {
        unsigned used_percent, lie_each;
        unsigned grants, unused_grants; /* in a day, at most */
    } rows[] = {
        {0, 1, 30, 30},                         /* six within the first hour, then one in each */
        {12, 1, 30, 30},        {0, 2, 60, 30}, /* the truth in small, the lie in large */
        {0, 20, 100000, 30}, /* waits count from each lie, however much is true between them */
        {13, 1, 86400 / 54, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Grant c = exploit(rows[i].used_percent, rows[i].lie_each, 86400);

        ck_assert_msg(c.grants <= rows[i].grants && c.grants > 1, "row %zu: %u grants", i, c.grants);
        ck_assert_msg(c.unused_grants <= rows[i].unused_grants, "row %zu: %u false", i, c.unused_grants);
        ck_assert_msg(rows[i].unused_grants == 0 || c.wait_usec == GRANT_WAIT_MAX_USEC, "row %zu", i);
    }
}
END_TEST

/* A grant can't be kept from its judgement by asking on: it is fed no longer than GRANT_PROOF_USEC, and
 * judged as long after that. */
START_TEST(test_no_endless_claim)
{
    bool judged = false;
    Grant c = {0};

    for (usec_t t = 0; t <= 2 * GRANT_PROOF_USEC; t += SEC / 10) {
        judged |= grant_judge(&c, GIB, false, 1000 * SEC + t);
        if (!judged && grant_allowed(&c, 1000 * SEC + t)) {
            ck_assert_uint_lt(t, GRANT_PROOF_USEC);
            grant_given(&c, MIB, GIB, 1000 * SEC + t);
        }
    }
    ck_assert(judged);
    ck_assert(!grant_allowed(&c, 1000 * SEC + 2 * GRANT_PROOF_USEC));
}
END_TEST

START_TEST(test_waits)
{
    static const unsigned minutes[] = {1, 2, 4, 8, 16, 32, 60, 60};
    usec_t now = SEC;
    Grant c = {0};

    for (size_t i = 0; i < ELEMENTSOF(minutes); i++) {
        grant_given(&c, GIB, GIB, now);
        now += GRANT_PROOF_USEC;
        ck_assert(grant_judge(&c, GIB, false, now));
        ck_assert_uint_eq(c.wait_usec, minutes[i] * 60 * SEC);
        now += c.wait_usec;
        /* A true one in between ends no wait and forgives nothing. */
        ck_assert(grant_allowed(&c, now));
        grant_given(&c, GIB, GIB, now);
        now += GRANT_PROOF_USEC;
        ck_assert(!grant_judge(&c, 2 * GIB, false, now));
        ck_assert(grant_allowed(&c, now));
    }
    /* It kept to the truth for an hour. */
    now = c.next_usec + GRANT_FORGET_USEC;
    grant_given(&c, GIB, GIB, now - GRANT_PROOF_USEC);
    ck_assert(grant_judge(&c, GIB, false, now));
    ck_assert_uint_eq(c.wait_usec, GRANT_WAIT_MIN_USEC);
}
END_TEST

/* Memory that costs no one anything may be counted while the guest waits; that doesn't make it a grant. */
START_TEST(test_waits_on)
{
    Grant c = {0};

    grant_given(&c, GIB, GIB, 1000 * SEC);
    ck_assert(grant_judge(&c, GIB, false, 1020 * SEC));
    grant_given(&c, 64 * MIB, GIB, 1030 * SEC);
    ck_assert(!grant_allowed(&c, 1030 * SEC));
    ck_assert(!grant_allowed(&c, 1079 * SEC));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("grant");

    tcase_add_test(t, test_judged);
    tcase_add_test(t, test_extremes);
    tcase_add_test(t, test_peak);
    tcase_add_test(t, test_honest);
    tcase_add_test(t, test_hostile);
    tcase_add_test(t, test_no_endless_claim);
    tcase_add_test(t, test_waits);
    tcase_add_test(t, test_waits_on);
    return run_tests(t);
}
