/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* QEMU's own memory is learnt from what the host gains by shrinks, and so is which guests give nothing. */

#include <check.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/gain.h"
#include "tests/unit/run.h"

/* MiB. */
static GainLook look(uint64_t current, uint64_t free, uint64_t rss)
{
    return (GainLook){.current_bytes = current * MIB, .free_bytes = free * MIB, .rss_bytes = rss * MIB};
}

static void shrink(Gain *y, GainLook before, GainLook after)
{
    gain_begin(y, &before);
    gain_end(y, &after);
}

START_TEST(test_one_shrink)
{
    static const struct {
        const char *what;
        uint64_t before[3], after[3]; /* current, free, RSS */
        uint64_t overhead;            /* MiB */
        bool ineffective;             /* brought next to nothing */
    } rows[] = {
        {"all that was free was resident", {2048, 1024, 2096}, {1536, 512, 1584}, 48, false},
        {"nothing was touched, QEMU has more of its own", {2048, 1024, 1324}, {1536, 512, 1324}, 300, true},
        {"half of what was expected", {2048, 1024, 1324}, {1536, 512, 1198}, 174, false},
        {"page cache was taken, too", {2048, 100, 2096}, {1536, 100, 1584}, 48, false},
        {"the guest used more meanwhile", {2048, 1024, 2096}, {1536, 312, 1784}, 48, false},
        {"it used all that was taken", {2048, 1024, 2096}, {1536, 12, 2084}, 48, false},
        {"the guest freed some meanwhile", {2048, 1024, 2096}, {1536, 812, 1584}, 48, false},
        {"more came than was thought to be there", {2048, 1024, 1072}, {1536, 512, 1040}, 16, false},
        {"nothing was to be expected", {2048, 1024, 1000}, {1536, 512, 1000}, 48, false},
        {"too small a shrink", {2048, 1024, 2096}, {2033, 1009, 2096}, 48, false},
        {"it grew", {2048, 1024, 2096}, {2348, 1324, 2000}, 48, false},
        {"RSS isn't known any more", {2048, 1024, 2096}, {1536, 512, 0}, 48, false},
        {"RSS isn't known yet", {2048, 1024, 0}, {1536, 512, 1584}, 48, false},
        {"RSS doesn't fall at all", {8192, 6144, 8240}, {4096, 2048, 8240}, 1024, true},
        {"RSS rises", {8192, 6144, 8240}, {4096, 2048, 9000}, 1024, true},
        {"a guest that says it has more free than it has", {1024, 9999, 548}, {512, 9999, 548}, 548, true},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Gain y = {0};

        shrink(&y, look(rows[i].before[0], rows[i].before[1], rows[i].before[2]),
               look(rows[i].after[0], rows[i].after[1], rows[i].after[2]));
        ck_assert_msg(gain_overhead(&y) == rows[i].overhead * MIB, "%s: %ju MiB", rows[i].what,
                      (uintmax_t) (gain_overhead(&y) / MIB));
        ck_assert_msg(y.ineffective == rows[i].ineffective, "%s", rows[i].what);
        ck_assert(!gain_is_ineffective(&y));
        ck_assert(!y.open);
    }
}
END_TEST

/* A QEMU with so much of its own, shrunk and grown again, the guest touching what it gets: the figure is
 * found within two shrinks, and stays. */
START_TEST(test_converges)
{
    static const uint64_t own[] = {20, 48, 120, 300, 900};

    for (size_t i = 0; i < ELEMENTSOF(own); i++) {
        Gain y = {0};

        for (unsigned round = 1; round <= 10; round++) {
            /* 4 GiB, of which 1 GiB is used, and of the rest 1 GiB was touched; that goes first. */
            shrink(&y, look(4096, 3072, 2048 + own[i]), look(2560, 1536, 1024 + own[i]));
            ck_assert_msg(round < 2 || gain_overhead(&y) == own[i] * MIB, "%ju: %ju in round %u",
                          (uintmax_t) own[i], (uintmax_t) (gain_overhead(&y) / MIB), round);
        }
        ck_assert_uint_eq(y.ineffective, 0);
    }
}
END_TEST

START_TEST(test_ineffective)
{
    Gain y = {0};

    /* 16 GiB, all resident and unmovable: steps of 512 MiB bring nothing. */
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(!gain_is_ineffective(&y));
        shrink(&y, look(16384 - i * 512, 12288 - i * 512, 16500),
               look(15872 - i * 512, 11776 - i * 512, 16500));
    }
    ck_assert(gain_is_ineffective(&y));
    gain_reset(&y);
    ck_assert(gain_is_ineffective(&y)); /* its QEMU is the same */

    /* A small one says nothing, one that brings something ends the row. */
    shrink(&y, look(14848, 10752, 16500), look(14840, 10744, 16492));
    ck_assert(gain_is_ineffective(&y));
    shrink(&y, look(14848, 10752, 16500), look(14336, 10240, 15988));
    ck_assert(!gain_is_ineffective(&y));
    ck_assert_uint_eq(y.ineffective, 0);

    /* Nothing twice, then something: no row. */
    y = (Gain){0};
    for (unsigned i = 0; i < 12; i++) {
        shrink(&y, look(16384, 12288, 16500), look(15872, 11776, i % 3 == 2 ? 15988 : 16500));
        ck_assert(!gain_is_ineffective(&y));
    }
}
END_TEST

/* An honest QEMU with much of its own isn't taken for one that gives nothing: once that is known, nothing is
 * expected of it any more. */
START_TEST(test_not_ineffective)
{
    Gain y = {0};

    for (unsigned i = 0; i < 10; i++) {
        shrink(&y, look(4096, 3072, 1424), look(3584, 2560, 1424));
        ck_assert_uint_eq(gain_overhead(&y), 400 * MIB);
    }
    ck_assert_uint_eq(y.ineffective, 1);
}
END_TEST

START_TEST(test_look)
{
    GainLook first = look(2048, 1024, 2096), second = look(1900, 876, 1948), last = look(1536, 512, 1584);
    Gain y = {0};

    /* Nothing was begun. */
    gain_end(&y, &last);
    ck_assert_uint_eq(y.overhead_bytes, 0);
    ck_assert_uint_eq(gain_overhead(&y), GAIN_OVERHEAD_BYTES);

    /* Another shrink before the first was looked at: they are one. */
    gain_begin(&y, &first);
    gain_begin(&y, &second);
    ck_assert_mem_eq(&y.before, &first, sizeof(first));

    /* Given up. */
    gain_reset(&y);
    last.rss_bytes = first.rss_bytes;
    gain_end(&y, &last);
    ck_assert_uint_eq(y.ineffective, 0);
    ck_assert_uint_eq(gain_overhead(&y), GAIN_OVERHEAD_BYTES);
}
END_TEST

/* Whatever a guest reports, the result stays within what a QEMU may have. */
START_TEST(test_extremes)
{
    static const uint64_t wild[] = {0, 1, 48 * MIB, GIB, UINT64_C(1) << 52, UINT64_MAX / 2 + 1, UINT64_MAX};
    const size_t n = ELEMENTSOF(wild);
    Gain y = {0};

    for (size_t i = 0; i < n * n * n * n * n * n; i++) {
        GainLook before = {wild[i % n], wild[i / n % n], wild[i / n / n % n]}, after;
        size_t j = i / n / n / n;

        after = (GainLook){wild[j % n], wild[j / n % n], wild[j / n / n % n]};
        shrink(&y, before, after);
        ck_assert_uint_ge(gain_overhead(&y), 16 * MIB);
        ck_assert_uint_le(gain_overhead(&y), GIB);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("gain");

    tcase_add_test(t, test_one_shrink);
    tcase_add_test(t, test_converges);
    tcase_add_test(t, test_ineffective);
    tcase_add_test(t, test_not_ineffective);
    tcase_add_test(t, test_look);
    tcase_add_test(t, test_extremes);
    return run_tests(t);
}
