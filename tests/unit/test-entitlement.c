/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Entitlements: parsing, consistency, and merging with lower layers. */

#include <check.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/decide/entitlement.h"
#include "tests/entitlement-equal.h"
#include "tests/unit/run.h"

#define AUTO    GUEST_MODE_AUTO
#define OBSERVE GUEST_MODE_OBSERVE
#define OFF     GUEST_MODE_OFF
#define UNSAID  GUEST_MODE_INVALID

static const Entitlement said = {GIB, 2 * GIB, 4 * GIB, 500, OFF};

static const char *show(const Entitlement *e)
{
    static _Thread_local char text[2][256];
    static _Thread_local unsigned turn;
    char *p = text[turn++ % 2];

    snprintf(p, sizeof(text[0]), "min %" PRIu64 " full %" PRIu64 " max %" PRIu64 " shares %g mode %d",
             e->min_bytes, e->full_bytes, e->growth_bytes, e->shares, e->mode);
    return p;
}

static void assert_entitlement(const Entitlement *is, const Entitlement *must, const char *what)
{
    ck_assert_msg(entitlement_equal(is, must), "%s: %s, not %s", what, show(is), show(must));
}

START_TEST(texts_are_taken)
{
    static const struct {
        EntitlementKey key;
        const char *text;
        Entitlement e;
    } rows[] = {
        {ENTITLEMENT_KEY_MIN, "1GiB", {.min_bytes = GIB, .mode = UNSAID}},
        {ENTITLEMENT_KEY_MIN, "1073741825B", {.min_bytes = GIB + 1, .mode = UNSAID}},
        {ENTITLEMENT_KEY_MIN, "1.5 GiB", {.min_bytes = 3 * GIB / 2, .mode = UNSAID}},
        {ENTITLEMENT_KEY_MIN, "16M", {.min_bytes = 16 * MIB, .mode = UNSAID}},
        {ENTITLEMENT_KEY_FULL, "8G", {.full_bytes = 8 * GIB, .mode = UNSAID}},
        {ENTITLEMENT_KEY_FULL, "2GB", {.full_bytes = 2000000000, .mode = UNSAID}},
        {ENTITLEMENT_KEY_GROWTH, "4096TiB", {.growth_bytes = 4096 * TIB, .mode = UNSAID}},
        {ENTITLEMENT_KEY_SHARES, "1", {.shares = 1, .mode = UNSAID}},
        {ENTITLEMENT_KEY_SHARES, "2000", {.shares = 2000, .mode = UNSAID}},
        {ENTITLEMENT_KEY_SHARES, "0001000000", {.shares = 1e6, .mode = UNSAID}},
        {ENTITLEMENT_KEY_MODE, "auto", {.mode = AUTO}},
        {ENTITLEMENT_KEY_MODE, "observe", {.mode = OBSERVE}},
        {ENTITLEMENT_KEY_MODE, "off", {.mode = OFF}},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        char why[ENTITLEMENT_WHY_MAX] = "";
        Entitlement e = ENTITLEMENT_NONE;

        ck_assert_msg(entitlement_set(&e, rows[i].key, rows[i].text, why) == 0, "%s: %s", rows[i].text, why);
        assert_entitlement(&e, &rows[i].e, rows[i].text);
        ck_assert(!entitlement_is_none(&e));
    }
}
END_TEST

/* Refused with the reason, and nothing changes. */
START_TEST(nonsense_is_refused_and_explained)
{
#define SIZE   "it takes a size from 16MiB to 4096TiB, such as 1GiB"
#define SHARES "it takes a whole number from 1 to 1000000; others have 1000"
#define MODE   "it takes auto, observe or off"
    static const struct {
        EntitlementKey key;
        const char *text;
        int r;
        const char *why;
    } rows[] = {
        {ENTITLEMENT_KEY_MIN, "lots", -EINVAL, "min=lots is not valid: " SIZE},
        {ENTITLEMENT_KEY_MIN, " ", -EINVAL, "min=  is not valid: " SIZE},
        {ENTITLEMENT_KEY_MIN, "0", -ERANGE, "min=0 is out of range: " SIZE},
        {ENTITLEMENT_KEY_MIN, "-1GiB", -EINVAL, "min=-1GiB is not valid: " SIZE},
        {ENTITLEMENT_KEY_MIN, "25%", -EINVAL, "min=25% is not valid: " SIZE},
        {ENTITLEMENT_KEY_FULL, "15.9MiB", -ERANGE, "full=15.9MiB is out of range: " SIZE},
        {ENTITLEMENT_KEY_GROWTH, "4097TiB", -ERANGE, "max=4097TiB is out of range: " SIZE},
        {ENTITLEMENT_KEY_GROWTH, "99999999999999999999999", -ERANGE,
         "max=99999999999999999999999 is out of range: " SIZE},
        {ENTITLEMENT_KEY_GROWTH, "1GiB\n\x1b[2J\xff", -EINVAL, "max=1GiB??[2J? is not valid: " SIZE},
        {ENTITLEMENT_KEY_GROWTH, "0123456789012345678901234567890123456789more", -EINVAL,
         "max=0123456789012345678901234567890123456789... is not valid: " SIZE},
        {ENTITLEMENT_KEY_SHARES, "0", -ERANGE, "shares=0 is out of range: " SHARES},
        {ENTITLEMENT_KEY_SHARES, "1000001", -ERANGE, "shares=1000001 is out of range: " SHARES},
        {ENTITLEMENT_KEY_SHARES, "1.5", -EINVAL, "shares=1.5 is not valid: " SHARES},
        {ENTITLEMENT_KEY_SHARES, "-3", -EINVAL, "shares=-3 is not valid: " SHARES},
        {ENTITLEMENT_KEY_SHARES, "nan", -EINVAL, "shares=nan is not valid: " SHARES},
        {ENTITLEMENT_KEY_MODE, "on", -EINVAL, "mode=on is not valid: " MODE},
        {ENTITLEMENT_KEY_MODE, "Auto", -EINVAL, "mode=Auto is not valid: " MODE},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        char why[ENTITLEMENT_WHY_MAX] = "";
        Entitlement e = said;
        int r = entitlement_set(&e, rows[i].key, rows[i].text, why);

        ck_assert_msg(r == rows[i].r, "'%s' → %d", rows[i].text, r);
        ck_assert_str_eq(why, rows[i].why);
        assert_entitlement(&e, &said, rows[i].text);
    }
}
END_TEST

/* A unit forgotten, libvirt's KiB, and bytes. */
START_TEST(test_c7_a_size_needs_a_unit)
{
    static const struct {
        EntitlementKey key;
        const char *text, *why;
    } rows[] = {
        {ENTITLEMENT_KEY_FULL, "2", "full=2 has no unit: 2GiB, 2MiB or 2B?"},
        {ENTITLEMENT_KEY_MIN, " 1.5 ", "min= 1.5  has no unit: 1.5GiB, 1.5MiB or 1.5B?"},
        {ENTITLEMENT_KEY_GROWTH, "4194304", "max=4194304 has no unit: 4194304KiB or 4194304B?"},
        {ENTITLEMENT_KEY_MIN, "1073741824", "min=1073741824 has no unit: 1073741824KiB or 1073741824B?"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        char why[ENTITLEMENT_WHY_MAX] = "";
        Entitlement e = said;

        ck_assert_int_eq(entitlement_set(&e, rows[i].key, rows[i].text, why), -ENOTUNIQ);
        ck_assert_str_eq(why, rows[i].why);
        assert_entitlement(&e, &said, rows[i].text);
    }
}
END_TEST

/* What is written into a domain's metadata is read again, also where no unit divides it. */
START_TEST(test_c7_what_is_written_is_read)
{
    static const uint64_t sizes[] = {16 * MIB, GIB, GIB + 1, GIB + KIB, 3 * GIB / 2, 4096 * TIB};

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        _cleanup_free_ char *xml = NULL;
        Entitlement e = {.min_bytes = sizes[i], .mode = UNSAID}, again = ENTITLEMENT_NONE;
        char text[64] = "", why[ENTITLEMENT_WHY_MAX] = "";

        xml = entitlement_xml(&e);
        ck_assert_ptr_nonnull(xml);
        ck_assert_int_eq(sscanf(xml, "<guest min='%63[^']'/>", text), 1);
        ck_assert_msg(entitlement_set(&again, ENTITLEMENT_KEY_MIN, text, why) == 0, "%s: %s", text, why);
        assert_entitlement(&again, &e, xml);
    }
}
END_TEST

START_TEST(many_digits_are_too_many)
{
    char text[2000], why[ENTITLEMENT_WHY_MAX] = "";
    Entitlement e = said;

    memset(text, '9', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (EntitlementKey k = 0; k < ENTITLEMENT_KEY_MODE; k++)
        ck_assert_int_eq(entitlement_set(&e, k, text, why), -ERANGE);
    assert_entitlement(&e, &said, "many digits");
}
END_TEST

START_TEST(each_value_can_be_taken_back)
{
    char why[ENTITLEMENT_WHY_MAX] = "";
    Entitlement e = said;

    for (EntitlementKey k = 0; k < ENTITLEMENT_KEY_MAX_; k++) {
        ck_assert(!entitlement_is_none(&e));
        ck_assert_int_eq(entitlement_set(&e, k, "", why), 0);
    }
    assert_entitlement(&e, &ENTITLEMENT_NONE, "all taken back");
    ck_assert(entitlement_is_none(&e));
    ck_assert_str_eq(why, "");
}
END_TEST

START_TEST(names_go_both_ways)
{
    static const char *const names[] = {"min", "full", "max", "shares", "mode"};

    ck_assert_int_eq(ELEMENTSOF(names), ENTITLEMENT_KEY_MAX_);
    for (int i = 0; i < ENTITLEMENT_KEY_MAX_; i++) {
        ck_assert_str_eq(entitlement_key_to_string(i), names[i]);
        ck_assert_int_eq(entitlement_key_from_string(names[i]), i);
    }
    ck_assert_ptr_null(entitlement_key_to_string(ENTITLEMENT_KEY_MAX_));
    ck_assert_ptr_null(entitlement_key_to_string(ENTITLEMENT_KEY_INVALID));
    ck_assert_int_eq(entitlement_key_from_string("minimum"), ENTITLEMENT_KEY_INVALID);
    ck_assert_int_eq(entitlement_key_from_string(NULL), ENTITLEMENT_KEY_INVALID);
}
END_TEST

START_TEST(sizes_must_agree)
{
    static const struct {
        uint64_t min, full, growth, maximum;
        const char *why; /* NULL: they do */
    } rows[] = {
        {0, 0, 0, 0, NULL},
        {0, 0, 0, 4 * GIB, NULL},
        {GIB, 2 * GIB, 3 * GIB, 4 * GIB, NULL},
        {GIB, GIB, GIB, GIB, NULL},
        {GIB, 0, 0, 0, NULL},
        {9 * GIB, 0, 0, 0, NULL}, /* the maximum isn't known */
        {2 * GIB, GIB, 0, 4 * GIB, "min=2GiB is more than full=1GiB"},
        {2 * GIB, 0, GIB, 4 * GIB, "min=2GiB is more than max=1GiB"},
        {0, 3 * GIB, 2 * GIB + MIB, 4 * GIB, "full=3GiB is more than max=2049MiB"},
        {0, 0, 5 * GIB, 4 * GIB, "max=5GiB is more than the domain's maximum memory, 4GiB"},
        {0, 5 * GIB, 0, 4 * GIB, "full=5GiB is more than the domain's maximum memory, 4GiB"},
        {4 * GIB + 1, 0, 0, 4 * GIB, "min=4294967297B is more than the domain's maximum memory, 4GiB"},
        {3 * GIB, 2 * GIB, GIB, GIB, "min=3GiB is more than full=2GiB"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Entitlement e = {rows[i].min, rows[i].full, rows[i].growth, 0, UNSAID};
        char why[ENTITLEMENT_WHY_MAX] = "";
        int r = entitlement_check(&e, rows[i].maximum, why);

        ck_assert_msg(r == (rows[i].why ? -ERANGE : 0), "row %zu → %d", i, r);
        ck_assert_str_eq(why, rows[i].why ?: "");
    }
}
END_TEST

START_TEST(what_is_said_above_wins)
{
    static const struct {
        const char *what;
        Entitlement above, below, both;
    } rows[] = {
        {"nothing over nothing", ENTITLEMENT_NONE, ENTITLEMENT_NONE, ENTITLEMENT_NONE},
        {"nothing above",
         ENTITLEMENT_NONE,
         {GIB, 2 * GIB, 4 * GIB, 500, OFF},
         {GIB, 2 * GIB, 4 * GIB, 500, OFF}},
        {"nothing below",
         {GIB, 2 * GIB, 4 * GIB, 500, OFF},
         ENTITLEMENT_NONE,
         {GIB, 2 * GIB, 4 * GIB, 500, OFF}},
        {"all above",
         {GIB, 2 * GIB, 3 * GIB, 500, AUTO},
         {2 * GIB, 4 * GIB, 8 * GIB, 2000, OFF},
         {GIB, 2 * GIB, 3 * GIB, 500, AUTO}},
        {"one of each",
         {.full_bytes = 2 * GIB, .mode = UNSAID},
         {.min_bytes = GIB, .shares = 2000, .mode = OBSERVE},
         {.min_bytes = GIB, .full_bytes = 2 * GIB, .shares = 2000, .mode = OBSERVE}},
        {"a full size below the minimum above it",
         {.min_bytes = 4 * GIB, .mode = UNSAID},
         {GIB, 2 * GIB, 8 * GIB, 0, UNSAID},
         {4 * GIB, 0, 8 * GIB, 0, UNSAID}},
        {"all sizes below the minimum above them",
         {.min_bytes = 16 * GIB, .mode = UNSAID},
         {GIB, 2 * GIB, 8 * GIB, 0, UNSAID},
         {.min_bytes = 16 * GIB, .mode = UNSAID}},
        {"a minimum above the full size above it",
         {.full_bytes = GIB, .mode = UNSAID},
         {2 * GIB, 4 * GIB, 8 * GIB, 0, UNSAID},
         {0, GIB, 8 * GIB, 0, UNSAID}},
        {"minimum and full above the growth above them",
         {.growth_bytes = GIB, .mode = UNSAID},
         {2 * GIB, 4 * GIB, 8 * GIB, 7, AUTO},
         {.growth_bytes = GIB, .shares = 7, .mode = AUTO}},
        {"equal is no contradiction",
         {.full_bytes = 2 * GIB, .mode = UNSAID},
         {2 * GIB, 0, 2 * GIB, 0, UNSAID},
         {2 * GIB, 2 * GIB, 2 * GIB, 0, UNSAID}},
        {"auto is said, too", {.mode = AUTO}, {.mode = OFF}, {.mode = AUTO}},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Entitlement e = entitlement_over(&rows[i].above, &rows[i].below);
        char why[ENTITLEMENT_WHY_MAX] = "";

        assert_entitlement(&e, &rows[i].both, rows[i].what);
        ck_assert_msg(entitlement_check(&e, 0, why) == 0, "%s: %s", rows[i].what, why);
    }
}
END_TEST

/* Merging any two consistent entitlements yields a consistent one, and nothing that the upper one sets is
 * lost. */
START_TEST(merging_never_brings_a_contradiction)
{
    static const uint64_t sizes[] = {0, GIB, 2 * GIB, 3 * GIB};
    char why[ENTITLEMENT_WHY_MAX] = "";
    unsigned merged = 0;

    for (unsigned n = 0; n < 4 * 4 * 4 * 4 * 4 * 4; n++) {
        Entitlement a = {sizes[n & 3], sizes[n >> 2 & 3], sizes[n >> 4 & 3], 0, UNSAID}, e;
        Entitlement b = {sizes[n >> 6 & 3], sizes[n >> 8 & 3], sizes[n >> 10 & 3], 0, UNSAID};

        if (entitlement_check(&a, 0, why) < 0 || entitlement_check(&b, 0, why) < 0)
            continue;
        e = entitlement_over(&a, &b);
        ck_assert_msg(entitlement_check(&e, 0, why) == 0, "%s over %s: %s", show(&a), show(&b), why);
        ck_assert(a.min_bytes == 0 || e.min_bytes == a.min_bytes);
        ck_assert(a.full_bytes == 0 || e.full_bytes == a.full_bytes);
        ck_assert(a.growth_bytes == 0 || e.growth_bytes == a.growth_bytes);
        merged++;
    }
    ck_assert_uint_gt(merged, 500);
}
END_TEST

START_TEST(any_value_makes_a_difference)
{
    ck_assert(entitlement_is_none(&ENTITLEMENT_NONE));
    for (EntitlementKey k = 0; k < ENTITLEMENT_KEY_MAX_; k++) {
        char why[ENTITLEMENT_WHY_MAX] = "";
        Entitlement e = said;

        ck_assert(entitlement_equal(&e, &said));
        ck_assert_int_eq(entitlement_set(&e, k, "", why), 0);
        ck_assert(!entitlement_equal(&e, &said));
    }
}
END_TEST

/* A change touches what it names, and nothing else. */
START_TEST(a_change_is_of_what_it_names)
{
    const Entitlement other = {2 * GIB, 3 * GIB, 5 * GIB, 77, OFF};

    for (unsigned keys = 0; keys < 1U << ENTITLEMENT_KEY_MAX_; keys++) {
        Entitlement e = said;

        entitlement_change(&e, &(EntitlementChange){other, keys});
        ck_assert_uint_eq(e.min_bytes, keys & 1 ? other.min_bytes : said.min_bytes);
        ck_assert_uint_eq(e.full_bytes, keys & 2 ? other.full_bytes : said.full_bytes);
        ck_assert_uint_eq(e.growth_bytes, keys & 4 ? other.growth_bytes : said.growth_bytes);
        ck_assert(e.shares == (keys & 8 ? other.shares : said.shares));
        ck_assert_int_eq(e.mode, keys & 16 ? other.mode : said.mode);
    }
}
END_TEST

START_TEST(the_element_says_what_was_said)
{
    static const struct {
        Entitlement e;
        const char *xml;
    } rows[] = {
        {ENTITLEMENT_NONE, "<guest/>"},
        {{.mode = AUTO}, "<guest mode='auto'/>"},
        {{.shares = 1e6, .mode = UNSAID}, "<guest shares='1000000'/>"},
        {{GIB, 1536 * MIB, TIB, 2000, OBSERVE},
         "<guest min='1GiB' full='1536MiB' max='1TiB' shares='2000' mode='observe'/>"},
        {{GIB + KIB, GIB + 1, 4096 * TIB, 0, UNSAID},
         "<guest min='1048577KiB' full='1073741825B' max='4096TiB'/>"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *xml = entitlement_xml(&rows[i].e);

        ck_assert_ptr_nonnull(xml);
        ck_assert_str_eq(xml, rows[i].xml);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("entitlement");

    tcase_add_test(tc, texts_are_taken);
    tcase_add_test(tc, nonsense_is_refused_and_explained);
    tcase_add_test(tc, test_c7_a_size_needs_a_unit);
    tcase_add_test(tc, test_c7_what_is_written_is_read);
    tcase_add_test(tc, many_digits_are_too_many);
    tcase_add_test(tc, each_value_can_be_taken_back);
    tcase_add_test(tc, names_go_both_ways);
    tcase_add_test(tc, sizes_must_agree);
    tcase_add_test(tc, what_is_said_above_wins);
    tcase_add_test(tc, merging_never_brings_a_contradiction);
    tcase_add_test(tc, any_value_makes_a_difference);
    tcase_add_test(tc, a_change_is_of_what_it_names);
    tcase_add_test(tc, the_element_says_what_was_said);
    return run_tests(tc);
}
