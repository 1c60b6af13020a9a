/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of what a policy can read: each stat in it comes from somewhere, and a policy can name it. */

#include <check.h>
#include <ctype.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/config/config-load.h"
#include "host-agent/decide/view.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-held.h"
#include "host-agent/guest/guest-snapshot.h"
#include "host-agent/sense/host-watch.h"
#include "tests/policy-load.h"
#include "tests/unit/run.h"

#define NOW (1000 * USEC_PER_SEC)

static const char *fixture(char *buf, const char *name)
{
    snprintf(buf, PATH_MAX, "%s/tests/fixtures/%s", getenv("BALLAST_SOURCE"), name);
    return buf;
}

static void on_wake(void *userdata)
{
}

/* A guest with every stat of agent and libvirt, as a policy sees it. */
START_TEST(test_every_guest_stat_has_a_source)
{
    const Entitlement nothing = ENTITLEMENT_NONE;
    HostFields fields = {};
    Audience audience = {};
    Config *config;
    GuestHost host = {
        .mode = GUEST_MODE_AUTO, .fields = &fields, .audience = &audience, .wake = on_wake, .userdata = NULL};
    DomainInfo info = {.has_balloon = true,
                       .maximum_bytes = 4 * GIB,
                       .current_bytes = 4 * GIB,
                       .entitlement = ENTITLEMENT_NONE};
    VirtStats stats;
    GuestBounds bounds = {};
    SnapshotGuest s;
    GuestFields g;
    Guest *guest;

    strcpy(info.uuid, "00000000-0000-4000-8000-000000000000");
    strcpy(info.name, "guest");
    ck_assert_int_eq(config_new(&config), 0);
    host.guard = &config->guard;
    host.rules = &config->guest_rules;
    ck_assert_int_eq(guest_new(&host, &info, &nothing, NOW, &guest), 0);
    memset(&stats, 1, sizeof(stats)); /* has all */
    stats.actual_bytes = 4 * GIB;
    stats.last_update_sec = 1;
    guest_stats(guest, &stats, NOW + 1);
    for (unsigned i = 1; i <= 3; i++) {
        Report r = {.at_usec = i * USEC_PER_SEC};

        for (ReportField f = 0; f < REPORT_FIELD_MAX; f++)
            report_set(&r, f, 1);
        guest_report(guest, &r, NOW + i * USEC_PER_SEC);
        guest_process(guest, &(ProcessLook){.rss_bytes = GIB}, NOW + i * USEC_PER_SEC);
    }

    guest_snapshot(guest, NOW + 3 * USEC_PER_SEC, &s);
    view_guest_fields(&s, &bounds, &g);
    for (GuestField f = 0; f < GUEST_FIELD_MAX; f++)
        ck_assert_msg(guest_fields_has(&g, f), "nothing says what g.%s is", guest_field_info(f)->name);
    ck_assert_str_eq(guest_fields_text(&g, GUEST_FIELD_NAME), "guest");
    ck_assert_str_eq(guest_fields_text(&g, GUEST_FIELD_UUID), info.uuid);
    ck_assert_str_eq(guest_fields_text(&g, GUEST_FIELD_MODE), "auto");
    ck_assert_str_eq(guest_fields_text(&g, GUEST_FIELD_SOURCE), "agent");
    guest_free(guest);
    config_free(config);
}
END_TEST

START_TEST(test_every_host_stat_has_a_source)
{
    char proc[PATH_MAX], sys[PATH_MAX];
    Snapshot s = {.now_usec = NOW};
    HostWatch watch;
    HostFields h;

    host_watch_init(&watch, NULL, fixture(proc, "host/hugepages"), fixture(sys, "sys"), NULL, NULL);
    ck_assert_int_eq(host_watch_read(&watch, (SizeOrRatio){}, NOW - USEC_PER_SEC), 0);
    ck_assert_int_eq(host_watch_read(&watch, (SizeOrRatio){}, NOW), 0); /* swapping is a rate */
    s.host = watch.fields;
    host_watch_done(&watch);
    view_host_fields(&s, &h);
    for (HostField f = 0; f < HOST_FIELD_MAX; f++)
        ck_assert_msg(host_fields_has(&h, f), "nothing says what host.%s is", host_field_info(f)->name);
}
END_TEST

/* What the guard knows of a guest in addition to its stats. */
START_TEST(test_flags)
{
    static const struct {
        GuestField field;
        SnapshotGuest guest;
    } rows[] = {
        {GUEST_FIELD_BUSY, {.busy = "paused"}},
        {GUEST_FIELD_UNMOVABLE, {.unmovable = "hugepages"}},
        {GUEST_FIELD_UNMOVABLE, {.judgement.ineffective = "in words"}},
        {GUEST_FIELD_HURTING, {.judgement.hurting = true}},
        {GUEST_FIELD_STALLED, {.balloon.stalled = true}},
        {GUEST_FIELD_MOVING, {.balloon.moving = true}},
        {GUEST_FIELD_DISTRESS, {.judgement.distress = true}},
        {GUEST_FIELD_NEEDED, {.judgement.needed_bytes = 1}},
    };
    const SnapshotGuest nothing = {};
    const GuestBounds bounds = {};
    GuestFields g;

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        view_guest_fields(&nothing, &bounds, &g);
        ck_assert(guest_fields_has(&g, rows[i].field));
        ck_assert_double_eq(guest_fields_get(&g, rows[i].field), 0);
        view_guest_fields(&rows[i].guest, &bounds, &g);
        ck_assert_double_eq(guest_fields_get(&g, rows[i].field), 1);
        for (size_t k = 0; k < ELEMENTSOF(rows); k++)
            if (rows[k].field != rows[i].field)
                ck_assert_double_eq(guest_fields_get(&g, rows[k].field), 0);
    }
}
END_TEST

static void assert_loads(const char *text)
{
    PolicyDiagnostics d = {};
    Policy *p = NULL;

    ck_assert_msg(policy_load(text, strlen(text), "test", &d, &p) == 0, "%s\n%s", text, d.text);
    policy_diagnostics_done(&d);
    policy_free(p);
}

/* A name is none of the language's own words. */
START_TEST(test_names_can_be_read)
{
    char text[256];

    for (HostField f = 0; f < HOST_FIELD_MAX; f++) {
        snprintf(text, sizeof(text), "let x = host.%s\n", host_field_info(f)->name);
        assert_loads(text);
    }
    for (GuestField f = 0; f < GUEST_FIELD_MAX; f++) {
        snprintf(text, sizeof(text), "for g in guests {\n let x = g.%s\n}\n", guest_field_info(f)->name);
        assert_loads(text);
    }
}
END_TEST

static void assert_described(const FieldInfo *f)
{
    size_t length = strlen(f->help);

    ck_assert_msg(length >= 10 && f->help[length - 1] != '.', "%s: %s", f->name, f->help);
    ck_assert_msg(strstr(f->help, ". ") == NULL, "%s has more than one sentence: %s", f->name, f->help);
    for (const char *c = f->name; *c; c++)
        ck_assert_msg(islower(*c) || *c == '_', "%s", f->name);
}

/* One name is one thing, of the host and of guests. */
START_TEST(test_names_agree)
{
    for (HostField h = 0; h < HOST_FIELD_MAX; h++)
        assert_described(host_field_info(h));
    for (GuestField g = 0; g < GUEST_FIELD_MAX; g++) {
        const FieldInfo *of_guest = guest_field_info(g);

        assert_described(of_guest);
        for (HostField h = 0; h < HOST_FIELD_MAX; h++) {
            const FieldInfo *of_host = host_field_info(h);

            if (strcmp(of_guest->name, of_host->name) == 0)
                ck_assert_msg(of_guest->unit == of_host->unit && of_guest->kind == of_host->kind, "%s",
                              of_host->name);
        }
        for (GuestField other = 0; other < g; other++)
            ck_assert_str_ne(of_guest->name, guest_field_info(other)->name);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("fields");

    tcase_add_test(t, test_every_guest_stat_has_a_source);
    tcase_add_test(t, test_every_host_stat_has_a_source);
    tcase_add_test(t, test_flags);
    tcase_add_test(t, test_names_can_be_read);
    tcase_add_test(t, test_names_agree);
    return run_tests(t);
}
