/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What shrinks bring, how much is missing, and which guests give nothing. */

#include <check.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/gain.h"
#include "host-agent/guest/held.h"
#include "tests/unit/run.h"

/* MiB; idle as it is with an overhead of 48 MiB. */
static GainLook look(uint64_t current, uint64_t free, uint64_t resident)
{
    uint64_t in_use = LESS_BY(current, free), idle = LESS_BY(LESS_BY(resident, 48), in_use);

    return (GainLook){.current_bytes = current * MIB,
                      .used_bytes = in_use * MIB,
                      .free_bytes = free * MIB,
                      .resident_bytes = resident * MIB,
                      .idle_bytes = MIN(idle, free) * MIB};
}

static uint64_t shrink(Gain *y, GainLook before, GainLook after)
{
    gain_begin(y, &before);
    return gain_end(y, &after) / MIB;
}

START_TEST(test_one_shrink)
{
    static const struct {
        const char *what;
        uint64_t before[3], after[3]; /* current, free, resident */
        uint64_t missing;             /* MiB */
        bool ineffective;             /* brought next to nothing */
    } rows[] = {
        {"all that was free was resident", {2048, 1024, 2096}, {1536, 512, 1584}, 0, false},
        {"nothing was touched, QEMU has more of its own", {2048, 1024, 1324}, {1536, 512, 1324}, 252, true},
        {"less than half of what was idle", {2048, 1024, 1324}, {1536, 512, 1261}, 189, false},
        {"half of it, and some that was never touched", {2048, 1024, 1324}, {1536, 512, 1198}, 0, false},
        {"half of it, but less than its share", {2048, 1024, 1972}, {1536, 512, 1660}, 200, false},
        {"page cache was taken, too", {2048, 100, 2096}, {1536, 100, 1584}, 0, false},
        {"the guest used more meanwhile", {2048, 1024, 2096}, {1536, 312, 1784}, 0, false},
        {"it used all that was taken", {2048, 1024, 2096}, {1536, 12, 2084}, 0, false},
        {"the guest freed some meanwhile", {2048, 1024, 2096}, {1536, 812, 1584}, 0, false},
        {"more came than was thought to be there", {2048, 1024, 1072}, {1536, 512, 1040}, 0, false},
        {"nothing was to be expected", {2048, 1024, 1000}, {1536, 512, 1000}, 0, false},
        {"what it got and never touched", {2048, 1024, 1080}, {1536, 512, 1080}, 8, false},
        {"the same, with QEMU larger than was known", {2048, 1024, 1110}, {1536, 512, 1110}, 38, false},
        {"too small a shrink", {2048, 1024, 2096}, {2033, 1009, 2096}, 0, false},
        {"it grew", {2048, 1024, 2096}, {2348, 1324, 2000}, 0, false},
        {"resident isn't known any more", {2048, 1024, 2096}, {1536, 512, 0}, 0, false},
        {"resident isn't known yet", {2048, 1024, 0}, {1536, 512, 1584}, 0, false},
        {"resident doesn't fall at all", {8192, 6144, 8240}, {4096, 2048, 8240}, 4096, true},
        {"resident rises", {8192, 6144, 8240}, {4096, 2048, 9000}, 4096, true},
        {"a guest that says it has more free than it has", {1024, 9999, 548}, {512, 9999, 548}, 500, true},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Gain y = {0};
        uint64_t missing = shrink(&y, look(rows[i].before[0], rows[i].before[1], rows[i].before[2]),
                                  look(rows[i].after[0], rows[i].after[1], rows[i].after[2]));

        ck_assert_msg(missing == rows[i].missing, "%s: %ju MiB", rows[i].what, (uintmax_t) missing);
        ck_assert_msg(y.ineffective == rows[i].ineffective, "%s", rows[i].what);
        ck_assert(!gain_is_ineffective(&y));
        ck_assert(!y.open);
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

/* A shrink, judged as the daemon does it: what is missing is QEMU's own. Returns the overhead. */
static uint64_t shrink_held(Gain *y, Held *h, uint64_t used, uint64_t from, uint64_t to,
                            uint64_t resident_before, uint64_t resident_after)
{
    const HeldGuest before = {.used_bytes = used * MIB, .free_bytes = (from - used) * MIB};
    GainLook looks[2] = {{from * MIB, used * MIB, (from - used) * MIB, resident_before * MIB, 0},
                         {to * MIB, used * MIB, (to - used) * MIB, resident_after * MIB, 0}};

    held_look(h, &(ProcessLook){.rss_bytes = resident_before * MIB}, HELD_SOURCE_PROCESS, NULL, USEC_PER_SEC);
    looks[0].idle_bytes = held_idle(h, &before, USEC_PER_SEC);
    gain_begin(y, &looks[0]);
    held_look(h, &(ProcessLook){.rss_bytes = resident_after * MIB}, HELD_SOURCE_PROCESS, NULL, USEC_PER_SEC);
    held_prove(h, gain_end(y, &looks[1]), LESS_BY(resident_after, used) * MIB);
    return held_overhead(h) / MIB;
}

/* A QEMU with so much of its own: once that is known, nothing more is expected, and it isn't taken for one that gives
 * nothing. */
START_TEST(test_much_of_its_own)
{
    static const uint64_t own[] = {20, 48, 96, 120, 300, 900};

    for (size_t i = 0; i < ELEMENTSOF(own); i++) {
        Gain y = {0};
        Held h;

        held_init(&h, 0);
        /* 4 GiB, of which 1 GiB is used, and the rest was never touched. */
        for (unsigned round = 0; round < 10; round++) {
            uint64_t overhead = shrink_held(&y, &h, 1024, 4096, 2560, 1024 + own[i], 1024 + own[i]);

            ck_assert_msg(overhead == MAX(own[i], UINT64_C(96)), "%ju: %ju in round %u", (uintmax_t) own[i],
                          (uintmax_t) overhead, round);
        }
        ck_assert_uint_le(y.ineffective, 1);
    }
}
END_TEST

/* On a busy machine, looks and reports don't agree. A guest got memory in distress, never touched it, and gives it
 * back three times: nothing can come back, and nothing is expected. */
START_TEST(test_never_touched)
{
    Gain y = {0};
    Held h;

    held_init(&h, 74 * MIB);
    for (unsigned round = 0; round < 10; round++) {
        uint64_t late = round % 2 * 24; /* used, but not reported yet */

        (void) shrink_held(&y, &h, 400, 512, 448, 400 + 74 + late, 400 + 74 + late);
        ck_assert(!gain_is_ineffective(&y));
        ck_assert_uint_eq(y.ineffective, 0);
    }
    ck_assert_uint_le(held_overhead(&h), 98 * MIB);
}
END_TEST

START_TEST(test_look)
{
    GainLook first = look(2048, 1024, 2096), second = look(1900, 876, 1948), last = look(1536, 512, 1584);
    Gain y = {0};

    /* Nothing was begun. */
    ck_assert_uint_eq(gain_end(&y, &last), 0);

    /* Another shrink before the first was looked at: they are one. */
    gain_begin(&y, &first);
    gain_begin(&y, &second);
    ck_assert_mem_eq(&y.before, &first, sizeof(first));

    /* Given up. */
    gain_reset(&y);
    last.resident_bytes = first.resident_bytes;
    ck_assert_uint_eq(gain_end(&y, &last), 0);
    ck_assert_uint_eq(y.ineffective, 0);
}
END_TEST

/* Whatever a guest says, no more is missing than was taken. */
START_TEST(test_extremes)
{
    static const uint64_t wild[] = {0, 1, 48 * MIB, GIB, UINT64_C(1) << 52, UINT64_MAX / 2 + 1, UINT64_MAX};
    const size_t n = ELEMENTSOF(wild);
    Gain y = {0};

    for (size_t i = 0; i < n * n * n * n * n * n; i++) {
        GainLook before = {wild[i % n], wild[i / n % n], wild[i / 5 % n], wild[i / n / n % n],
                           wild[i / 7 % n]},
                 after;
        size_t j = i / n / n / n;

        after = (GainLook){wild[j % n], wild[j / n % n], wild[j / 5 % n], wild[j / n / n % n], 0};
        gain_begin(&y, &before);
        ck_assert_uint_le(gain_end(&y, &after), LESS_BY(before.current_bytes, after.current_bytes));
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("gain");

    tcase_add_test(t, test_one_shrink);
    tcase_add_test(t, test_ineffective);
    tcase_add_test(t, test_much_of_its_own);
    tcase_add_test(t, test_never_touched);
    tcase_add_test(t, test_look);
    tcase_add_test(t, test_extremes);
    return run_tests(t);
}
