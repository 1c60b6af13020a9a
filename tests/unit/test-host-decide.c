/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a policy's assignments to KSM's controls lead to. */

#include <math.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/decide/host.h"
#include "tests/unit/run.h"

#define MSEC ((double) USEC_PER_MSEC)

static const char *const files[] = {"balloon.policy", "ksm.policy"};

static HostFields host(void)
{
    HostFields h = {};

    host_fields_set(&h, HOST_FIELD_KSM_RUN, 0);
    host_fields_set(&h, HOST_FIELD_KSM_PAGES_TO_SCAN, 100);
    host_fields_set(&h, HOST_FIELD_KSM_SLEEP, 20 * MSEC);
    return h;
}

static void assign(PolicyOutput *o, HostField control, double value, unsigned line, const char *because)
{
    o->host[control] = (PolicyAssignment){.value = value, .file = 1, .line = line, .because = because};
}

START_TEST(test_reasons)
{
    static const struct {
        HostField control;
        double wanted;
        const char *because;
        GuestMode mode;
        double value;
        bool send;
        const char *reason;
    } cases[] = {
        {HOST_FIELD_KSM_PAGES_TO_SCAN, 400, "more is shared while the host is short", GUEST_MODE_AUTO, 400,
         true, "pages_to_scan 100 → 400: more is shared while the host is short (ksm.policy:31)"},
        {HOST_FIELD_KSM_PAGES_TO_SCAN, 400, NULL, GUEST_MODE_OBSERVE, 400, false,
         "would set pages_to_scan 100 → 400: set by the policy (ksm.policy:31) (observe)"},
        {HOST_FIELD_KSM_PAGES_TO_SCAN, 1e6, "all", GUEST_MODE_AUTO, 10000, true,
         "pages_to_scan 100 → 10000: all (ksm.policy:31), clipped to 10000 (bounds)"},
        {HOST_FIELD_KSM_PAGES_TO_SCAN, INFINITY, "all", GUEST_MODE_AUTO, 10000, true,
         "pages_to_scan 100 → 10000: all (ksm.policy:31), clipped to 10000 (bounds)"},
        {HOST_FIELD_KSM_PAGES_TO_SCAN, 0, "none", GUEST_MODE_AUTO, 1, true,
         "pages_to_scan 100 → 1: none (ksm.policy:31), clipped to 1 (bounds)"},
        {HOST_FIELD_KSM_PAGES_TO_SCAN, -INFINITY, "none", GUEST_MODE_AUTO, 1, true,
         "pages_to_scan 100 → 1: none (ksm.policy:31), clipped to 1 (bounds)"},
        {HOST_FIELD_KSM_PAGES_TO_SCAN, 100.4, "as it is", GUEST_MODE_AUTO, 100, false,
         "pages_to_scan stays at 100 (ksm.policy:31)"},
        {HOST_FIELD_KSM_PAGES_TO_SCAN, NAN, "x", GUEST_MODE_AUTO, 100, false,
         "pages_to_scan is not changed: the policy's value is not a number (ksm.policy:31)"},
        {HOST_FIELD_KSM_RUN, 1, "the host is short", GUEST_MODE_AUTO, 1, true,
         "run false → true: the host is short (ksm.policy:31)"},
        {HOST_FIELD_KSM_RUN, 0, "enough", GUEST_MODE_AUTO, 0, false, "run stays at false (ksm.policy:31)"},
        {HOST_FIELD_KSM_SLEEP, 5 * MSEC, "a large host", GUEST_MODE_AUTO, 5 * MSEC, true,
         "sleep 20ms → 5ms: a large host (ksm.policy:31)"},
        {HOST_FIELD_KSM_SLEEP, 0, "a large host", GUEST_MODE_AUTO, MSEC, true,
         "sleep 20ms → 1ms: a large host (ksm.policy:31), clipped to 1ms (bounds)"},
        {HOST_FIELD_KSM_SLEEP, 0.3 * MSEC, "a large host", GUEST_MODE_AUTO, MSEC, true,
         "sleep 20ms → 1ms: a large host (ksm.policy:31)"},
        {HOST_FIELD_KSM_SLEEP, 60000 * MSEC, "idle", GUEST_MODE_AUTO, 10000 * MSEC, true,
         "sleep 20ms → 10s: idle (ksm.policy:31), clipped to 10s (bounds)"},
        {HOST_FIELD_KSM_MERGE_ACROSS_NODES, 0, "x", GUEST_MODE_AUTO, 0, false,
         "merge_across_nodes is not changed: this kernel does not have this setting (ksm.policy:31)"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        HostDecision d[PLAN_HOST_MAX];
        HostFields h = host();
        PolicyOutput o = {};

        assign(&o, cases[i].control, cases[i].wanted, 31, cases[i].because);
        ck_assert_uint_eq(host_decide(&h, &o, files, cases[i].mode, d), 1);
        ck_assert_int_eq(d[0].control, cases[i].control);
        ck_assert_str_eq(d[0].reason, cases[i].reason);
        ck_assert_double_eq(d[0].value, cases[i].value);
        ck_assert_int_eq(d[0].send, cases[i].send);
        ck_assert_uint_eq(d[0].line, 31);
        ck_assert_str_eq(d[0].file, "ksm.policy");
    }
}
END_TEST

START_TEST(test_nothing_is_decided_of_what_nobody_assigned)
{
    HostDecision d[PLAN_HOST_MAX];
    HostFields h = host();
    PolicyOutput o = {};

    ck_assert_uint_eq(host_decide(&h, &o, files, GUEST_MODE_AUTO, d), 0);
}
END_TEST

START_TEST(test_without_ksm)
{
    HostDecision d[PLAN_HOST_MAX];
    HostFields h = {};
    PolicyOutput o = {};

    assign(&o, HOST_FIELD_KSM_RUN, 1, 7, "x");
    ck_assert_uint_eq(host_decide(&h, &o, NULL, GUEST_MODE_AUTO, d), 1);
    ck_assert(!d[0].send);
    ck_assert_str_eq(d[0].reason, "run is not changed: this kernel has no KSM (policy:7)");
}
END_TEST

/* However the two are chosen, ksmd sleeps for 2 µs for each page that it looks at. */
START_TEST(test_both_together)
{
    static const struct {
        double pages, sleep_msec, want_pages, want_msec;
    } cases[] = {
        {10000, 1, 10000, 20}, {1e9, 0, 10000, 20}, {2500, 1, 2500, 5}, {2500, 50, 2500, 50},
        {100, 1, 100, 1},      {NAN, 1, 100, 1},    {1, 1e9, 1, 10000}, {9999, 9.6, 9999, 20},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        HostDecision d[PLAN_HOST_MAX];
        HostFields h = host();
        PolicyOutput o = {};

        assign(&o, HOST_FIELD_KSM_PAGES_TO_SCAN, cases[i].pages, 1, NULL);
        assign(&o, HOST_FIELD_KSM_SLEEP, cases[i].sleep_msec * MSEC, 2, NULL);
        ck_assert_uint_eq(host_decide(&h, &o, files, GUEST_MODE_AUTO, d), 2);
        ck_assert_double_eq(d[0].value, cases[i].want_pages);
        ck_assert_double_eq(d[1].value, cases[i].want_msec * MSEC);
    }
}
END_TEST

/* A policy that sets the sleep alone: by the pages that stand, which somebody else may have set to
 * anything. */
START_TEST(test_sleep_alone)
{
    HostDecision d[PLAN_HOST_MAX];
    HostFields h = host();
    PolicyOutput o = {};

    host_fields_set(&h, HOST_FIELD_KSM_PAGES_TO_SCAN, 1e9);
    assign(&o, HOST_FIELD_KSM_SLEEP, MSEC, 2, NULL);
    ck_assert_uint_eq(host_decide(&h, &o, files, GUEST_MODE_AUTO, d), 1);
    ck_assert_double_eq(d[0].value, 20 * MSEC);
}
END_TEST

START_TEST(test_long_words_are_cut)
{
    HostDecision d[PLAN_HOST_MAX];
    HostFields h = host();
    PolicyOutput o = {};
    char words[400];

    memset(words, 'w', sizeof(words));
    words[sizeof(words) - 1] = '\0';
    assign(&o, HOST_FIELD_KSM_PAGES_TO_SCAN, 1e9, 31, words);
    ck_assert_uint_eq(host_decide(&h, &o, files, GUEST_MODE_OBSERVE, d), 1);
    ck_assert_ptr_nonnull(strstr(d[0].reason, "(ksm.policy:31), clipped to 10000 (bounds) (observe)"));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("host-decide");

    tcase_add_test(t, test_reasons);
    tcase_add_test(t, test_nothing_is_decided_of_what_nobody_assigned);
    tcase_add_test(t, test_without_ksm);
    tcase_add_test(t, test_both_together);
    tcase_add_test(t, test_sleep_alone);
    tcase_add_test(t, test_long_words_are_cut);
    return run_tests(t);
}
