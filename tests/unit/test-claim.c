/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a guest in distress may cost others: those that tell the truth never wait, the others ever longer,
 * whatever they try. */

#include <check.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/sense/claim.h"
#include "tests/unit/run.h"

#define SEC USEC_PER_SEC

/* One claim: given at 1000 s with so much resident, judged when its time has come. */
START_TEST(test_judged)
{
    static const struct {
        uint64_t given, before, after; /* MiB; RSS 0: not known */
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
        {15, 2000, 2000, false, 15, false}, /* RSS doesn't show so little */
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        usec_t given = 1000 * SEC, judged = given + CLAIM_PROOF_USEC, next = judged + rows[i].wait_sec * SEC;
        Claim c = {0};

        ck_assert(claim_allowed(&c, given));
        claim_given(&c, rows[i].given * MIB, rows[i].before * MIB, given);
        ck_assert(!claim_judge(&c, rows[i].before * MIB, false, judged - 1));
        ck_assert_msg(c.open, "row %zu", i);
        ck_assert_msg(claim_judge(&c, rows[i].after * MIB, rows[i].swapping, judged) == rows[i].is_false,
                      "row %zu", i);
        ck_assert(!c.open);
        ck_assert_uint_eq(c.claims, 1);
        ck_assert_uint_eq(c.false_claims, rows[i].is_false);
        ck_assert_msg(claim_allowed(&c, next), "row %zu", i);
        ck_assert_msg(rows[i].wait_sec == 0 || !claim_allowed(&c, next - 1), "row %zu", i);
        ck_assert(!claim_judge(&c, 0, false, judged + SEC)); /* nothing is open */
    }
}
END_TEST

/* Nothing, a clock that goes back, and sums that don't fit. */
START_TEST(test_extremes)
{
    Claim c = {0};

    ck_assert(claim_allowed(&c, 0));
    ck_assert(!claim_judge(&c, GIB, false, USEC_INFINITY));
    claim_given(&c, 0, GIB, SEC);
    ck_assert(!c.open);

    claim_given(&c, UINT64_MAX, UINT64_MAX, 100 * SEC);
    claim_given(&c, UINT64_MAX, 0, 90 * SEC);
    ck_assert_uint_eq(c.given_bytes, UINT64_MAX);
    ck_assert(!claim_judge(&c, UINT64_MAX, false, 50 * SEC));
    ck_assert(claim_allowed(&c, 50 * SEC));
    ck_assert(claim_judge(&c, UINT64_MAX, false, 200 * SEC));
    ck_assert(!claim_allowed(&c, 0));
}
END_TEST

/* What was used once was used: a guest that was shrunk again before it was judged told no lie. */
START_TEST(test_peak)
{
    Claim c = {0};

    claim_given(&c, GIB, GIB, 0);
    ck_assert(!claim_judge(&c, 2 * GIB, false, 5 * SEC));
    ck_assert(!claim_judge(&c, GIB, false, 30 * SEC));
    ck_assert(claim_allowed(&c, 30 * SEC));
}
END_TEST

/* A guest that uses what it gets is fed without a pause, however long that takes and whether or not its
 * distress ends now and then. */
START_TEST(test_honest)
{
    uint64_t rss = GIB, touched_to = GIB;
    Claim c = {0};

    for (usec_t sec = 1; sec < 3600; sec++) {
        bool distress = sec % 100 < 70;

        ck_assert(!claim_judge(&c, rss, false, sec * SEC));
        if (distress) {
            ck_assert_msg(claim_allowed(&c, sec * SEC), "waits after %ju s", (uintmax_t) sec);
            claim_given(&c, 50 * MIB, rss, sec * SEC);
            touched_to += 40 * MIB;
        }
        rss = MIN(rss + 45 * MIB, touched_to); /* never more than a while behind */
    }
    ck_assert_uint_gt(c.claims, 10);
    ck_assert_uint_eq(c.false_claims, 0);
}
END_TEST

/* A guest that claims whenever it may, and uses of each gift so many percent; but in each lie_each-th claim
 * alone: the others are small, and all is used. Renewed distress is nothing that a claim ever learns of, so
 * trying at each moment is the most that there is. */
static Claim exploit(unsigned used_percent, unsigned lie_each, usec_t seconds)
{
    uint64_t rss = 2 * GIB;
    bool honest = false;
    Claim c = {0};

    for (usec_t t = 1; t <= seconds; t++) {
        claim_judge(&c, rss, false, t * SEC);
        if (!c.open) {
            rss = 2 * GIB; /* frees it again */
            honest = c.claims % lie_each != 0;
        }
        if (claim_allowed(&c, t * SEC)) {
            uint64_t gift = honest ? 16 * MIB : GIB;

            claim_given(&c, gift, rss, t * SEC);
            rss += honest ? gift : gift / 100 * used_percent;
        }
        /* One small gift is all that a true claim is after. */
        if (honest && c.open)
            for (usec_t end = t + CLAIM_PROOF_USEC / SEC; t < end; t++)
                claim_judge(&c, rss, false, t * SEC);
    }
    return c;
}

START_TEST(test_hostile)
{
    static const struct {
        unsigned used_percent, lie_each;
        unsigned claims, false_claims; /* in a day, at most */
    } rows[] = {
        {0, 1, 30, 30},                         /* six within the first hour, then one in each */
        {12, 1, 30, 30},        {0, 2, 60, 30}, /* the truth in small, the lie in large */
        {0, 20, 100000, 30}, /* waits count from each lie, however much is true between them */
        {13, 1, 86400 / 54, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Claim c = exploit(rows[i].used_percent, rows[i].lie_each, 86400);

        ck_assert_msg(c.claims <= rows[i].claims && c.claims > 1, "row %zu: %u claims", i, c.claims);
        ck_assert_msg(c.false_claims <= rows[i].false_claims, "row %zu: %u false", i, c.false_claims);
        ck_assert_msg(rows[i].false_claims == 0 || c.wait_usec == CLAIM_WAIT_MAX_USEC, "row %zu", i);
    }
}
END_TEST

/* A claim can't be kept from its judgement by asking on: it is fed no longer than CLAIM_PROOF_USEC, and
 * judged as long after that. */
START_TEST(test_no_endless_claim)
{
    bool judged = false;
    Claim c = {0};

    for (usec_t t = 0; t <= 2 * CLAIM_PROOF_USEC; t += SEC / 10) {
        judged |= claim_judge(&c, GIB, false, 1000 * SEC + t);
        if (!judged && claim_allowed(&c, 1000 * SEC + t)) {
            ck_assert_uint_lt(t, CLAIM_PROOF_USEC);
            claim_given(&c, MIB, GIB, 1000 * SEC + t);
        }
    }
    ck_assert(judged);
    ck_assert(!claim_allowed(&c, 1000 * SEC + 2 * CLAIM_PROOF_USEC));
}
END_TEST

START_TEST(test_waits)
{
    static const unsigned minutes[] = {1, 2, 4, 8, 16, 32, 60, 60};
    usec_t now = SEC;
    Claim c = {0};

    for (size_t i = 0; i < ELEMENTSOF(minutes); i++) {
        claim_given(&c, GIB, GIB, now);
        now += CLAIM_PROOF_USEC;
        ck_assert(claim_judge(&c, GIB, false, now));
        ck_assert_uint_eq(c.wait_usec, minutes[i] * 60 * SEC);
        now += c.wait_usec;
        /* A true one in between ends no wait and forgives nothing. */
        ck_assert(claim_allowed(&c, now));
        claim_given(&c, GIB, GIB, now);
        now += CLAIM_PROOF_USEC;
        ck_assert(!claim_judge(&c, 2 * GIB, false, now));
        ck_assert(claim_allowed(&c, now));
    }
    /* It kept to the truth for an hour. */
    now = c.next_usec + CLAIM_FORGET_USEC;
    claim_given(&c, GIB, GIB, now - CLAIM_PROOF_USEC);
    ck_assert(claim_judge(&c, GIB, false, now));
    ck_assert_uint_eq(c.wait_usec, CLAIM_WAIT_MIN_USEC);
}
END_TEST

/* What costs nobody anything may be counted while it waits; that makes no claim of it. */
START_TEST(test_waits_on)
{
    Claim c = {0};

    claim_given(&c, GIB, GIB, 1000 * SEC);
    ck_assert(claim_judge(&c, GIB, false, 1020 * SEC));
    claim_given(&c, 64 * MIB, GIB, 1030 * SEC);
    ck_assert(!claim_allowed(&c, 1030 * SEC));
    ck_assert(!claim_allowed(&c, 1079 * SEC));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("claim");

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
