/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's full size: what defines it, and who may change it. */

#include "base/units.h"
#include "host-agent/guest/full-size.h"
#include "tests/unit/run.h"

/* What a daemon that starts while a guest runs takes for the guest's full size. */
static const struct {
    const char *what;
    bool persistent;
    unsigned maximum, configured, current; /* MiB, of the definition */
    unsigned remembered_full, remembered_defined, remembered_from, remembered_sent;
    unsigned actual;
    unsigned low, high; /* expected: where it may be although no one set it */
    unsigned full;      /* expected, if it rests there */
    bool foreign, moving;
} table[] = {
    {"at its maximum", true, 512, 512, 512, 0, 0, 0, 0, 512, 512, 512, 512, false, false},
    {"defined below its maximum", true, 1024, 512, 512, 0, 0, 0, 0, 512, 512, 512, 512, false, false},
    {"defined below its maximum, driver not up", true, 1024, 512, 512, 0, 0, 0, 0, 1024, 512, 1024, 512,
     false, false},
    {"on its way to its definition's size", true, 512, 320, 354, 0, 0, 0, 0, 354, 320, 354, 320, false,
     false},
    {"set live below its definition", true, 512, 512, 400, 0, 0, 0, 0, 400, 512, 512, 400, true, false},
    {"transient: what it has", false, 1024, 0, 700, 0, 0, 0, 0, 700, 700, 700, 700, false, false},
    {"our target reached", true, 512, 512, 300, 512, 512, 512, 300, 300, 300, 300, 512, false, false},
    {"our target on its way", true, 512, 512, 300, 512, 512, 512, 300, 400, 300, 512, 512, false, true},
    {"our target on its way, not begun", true, 512, 512, 512, 512, 512, 512, 300, 512, 300, 512, 512, false,
     true},
    {"set live below our target meanwhile", true, 512, 512, 200, 512, 512, 512, 300, 200, 300, 512, 200, true,
     false},
    {"our growth on its way", true, 512, 512, 400, 512, 512, 300, 512, 400, 300, 512, 512, false, true},
    {"our growth on its way, not begun", true, 512, 512, 300, 512, 512, 300, 512, 300, 300, 512, 512, false,
     true},
    {"set live below where our growth began", true, 512, 512, 200, 512, 512, 300, 512, 200, 300, 512, 200,
     true, false},
    {"transient, ours", false, 512, 0, 300, 512, 512, 512, 300, 300, 300, 300, 512, false, false},
    {"transient, a foreign full remembered", false, 512, 0, 300, 400, 512, 400, 300, 300, 300, 300, 400, true,
     false},
    {"a foreign full remembered", true, 512, 512, 300, 400, 512, 400, 300, 300, 300, 300, 400, true, false},
    {"redefined meanwhile", true, 1024, 600, 300, 512, 512, 512, 300, 300, 300, 300, 600, false, false},
    {"a remembered full that can't be", true, 512, 512, 512, 9999, 512, 512, 512, 512, 512, 512, 512, false,
     false},
};

START_TEST(test_start)
{
    DomainInfo info = {
        .persistent = table[_i].persistent,
        .maximum_bytes = table[_i].maximum * MIB,
        .configured_current_bytes = table[_i].configured * MIB,
        .current_bytes = table[_i].current * MIB,
        .remembered = {table[_i].remembered_full * MIB, table[_i].remembered_defined * MIB,
                       table[_i].remembered_from * MIB, table[_i].remembered_sent * MIB},
    };
    FullSize f = {};
    uint64_t low, high, actual = table[_i].actual * MIB;
    bool moving;

    full_size_define(&f, &info, 0);
    moving = full_size_expect(&f, &info.remembered, actual, MIB, &low, &high);
    ck_assert_msg(low == table[_i].low * MIB, "%s: low is %llu MiB", table[_i].what,
                  (unsigned long long) (low / MIB));
    ck_assert_msg(high == table[_i].high * MIB, "%s: high is %llu MiB", table[_i].what,
                  (unsigned long long) (high / MIB));
    if (actual < low || actual > high)
        full_size_set_foreign(&f, actual);
    ck_assert_msg(f.bytes == table[_i].full * MIB, "%s: full is %llu MiB", table[_i].what,
                  (unsigned long long) (f.bytes / MIB));
    ck_assert_msg(f.foreign == table[_i].foreign, "%s: foreign", table[_i].what);
    ck_assert_msg(moving == table[_i].moving, "%s: moving", table[_i].what);
}
END_TEST

START_TEST(test_foreign_until_cleared)
{
    DomainInfo info = {
        .persistent = true, .maximum_bytes = GIB, .configured_current_bytes = GIB, .current_bytes = GIB};
    FullSize f = {};

    full_size_define(&f, &info, 0);
    full_size_set_foreign(&f, 600 * MIB);
    ck_assert(f.foreign && f.bytes == 600 * MIB);
    /* The same definition again (another device, say) doesn't end it. */
    full_size_define(&f, &info, 0);
    ck_assert(f.foreign && f.bytes == 600 * MIB);
    full_size_clear_foreign(&f);
    ck_assert(!f.foreign && f.bytes == GIB);

    /* A definition with another currentMemory does. */
    full_size_set_foreign(&f, 600 * MIB);
    info.configured_current_bytes = 800 * MIB;
    full_size_define(&f, &info, 0);
    ck_assert(!f.foreign && f.bytes == 800 * MIB);

    /* Set live to what is defined: nothing foreign about it. */
    full_size_set_foreign(&f, 800 * MIB);
    ck_assert(!f.foreign);
}
END_TEST

/* A live size is what the guest says of its balloon. */
START_TEST(test_a3_a_live_size_never_raises_the_full_size)
{
    DomainInfo info = {
        .persistent = true, .maximum_bytes = 4 * GIB, .configured_current_bytes = GIB, .current_bytes = GIB};
    FullSize f = {};

    full_size_define(&f, &info, 0);
    full_size_set_foreign(&f, 3 * GIB);
    ck_assert(!f.foreign && f.bytes == GIB);
    /* What was lowered live may be raised again, up to the definition's size. */
    full_size_set_foreign(&f, 600 * MIB);
    full_size_set_foreign(&f, 800 * MIB);
    ck_assert(f.foreign && f.bytes == 800 * MIB);
    full_size_set_foreign(&f, 2 * GIB);
    ck_assert(!f.foreign && f.bytes == GIB);
    /* libvirt's side raises it: a definition, or an entitlement. */
    info.configured_current_bytes = 2 * GIB;
    full_size_define(&f, &info, 0);
    ck_assert(f.bytes == 2 * GIB);
    full_size_define(&f, &info, 3 * GIB);
    ck_assert(f.bytes == 3 * GIB);

    ck_assert(full_size_refuse(&f, 4 * GIB, MIB));
    ck_assert(!full_size_refuse(&f, 4 * GIB - MIB, MIB));
    ck_assert(full_size_refuse(&f, 4 * GIB - 3 * MIB, MIB));
}
END_TEST

START_TEST(test_transient_keeps_first)
{
    DomainInfo info = {.maximum_bytes = GIB, .current_bytes = 700 * MIB};
    FullSize f = {};

    full_size_define(&f, &info, 0);
    /* Told again after our own balloon shrank it. */
    info.current_bytes = 300 * MIB;
    full_size_define(&f, &info, 0);
    ck_assert(f.bytes == 700 * MIB && !f.foreign);
}
END_TEST

START_TEST(test_entitled)
{
    DomainInfo info = {
        .persistent = true, .maximum_bytes = 2 * GIB, .configured_current_bytes = GIB, .current_bytes = GIB};
    FullSize f = {};

    full_size_define(&f, &info, 1536 * MIB);
    ck_assert(!f.foreign && f.bytes == 1536 * MIB);
    /* Never above what the guest was started with. */
    full_size_define(&f, &info, 3 * GIB);
    ck_assert(f.bytes == 2 * GIB);
    /* The later word counts: a live size that was set after it, then an entitlement after that. */
    full_size_set_foreign(&f, 700 * MIB);
    full_size_define(&f, &info, 3 * GIB);
    ck_assert(f.foreign && f.bytes == 700 * MIB);
    full_size_define(&f, &info, 1200 * MIB);
    ck_assert(!f.foreign && f.bytes == 1200 * MIB);
    /* Taken back it is the definition's again. */
    full_size_define(&f, &info, 0);
    ck_assert(!f.foreign && f.bytes == GIB);
}
END_TEST

START_TEST(test_transient_has_its_own_again)
{
    DomainInfo info = {.maximum_bytes = GIB, .current_bytes = 700 * MIB};
    FullSize f = {};

    full_size_define(&f, &info, 900 * MIB);
    ck_assert(f.bytes == 900 * MIB);
    info.current_bytes = 300 * MIB; /* our own balloon's doing */
    full_size_define(&f, &info, 0);
    ck_assert(f.bytes == 700 * MIB);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("full-size");

    tcase_add_loop_test(t, test_start, 0, ELEMENTSOF(table));
    tcase_add_test(t, test_foreign_until_cleared);
    tcase_add_test(t, test_a3_a_live_size_never_raises_the_full_size);
    tcase_add_test(t, test_transient_keeps_first);
    tcase_add_test(t, test_entitled);
    tcase_add_test(t, test_transient_has_its_own_again);
    return run_tests(t);
}
