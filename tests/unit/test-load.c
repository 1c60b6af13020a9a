/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is found wrong with the configuration and the policy before they are put in force, and whether their files
 * changed since. */

#include <check.h>
#include <string.h>
#include <syslog.h>

#include "host-agent/daemon/load.h"
#include "host-agent/daemon/policies.h"
#include "tests/unit/run.h"
#include "tests/unit/temp-folder.h"

typedef struct Scene {
    char folder[TEMP_FOLDER_MAX], config[64], policy[64];
    ManagerOptions options;
    Findings findings;
    Loaded loaded;
} Scene;

/* A host of 16 GiB with swap, a policy that leaves all as it is, and this configuration. */
static void scene_init(Scene *x, const char *config)
{
    *x = (Scene){};
    temp_folder_init(x->folder);
    temp_meminfo(x->folder, 16 * GIB, 8 * GIB, GIB, GIB);
    temp_file(x->folder, "ballastd.conf", config);
    temp_file(x->folder, "my.policy", "for g in guests { g.target = g.current }\n");
    snprintf(x->config, sizeof(x->config), "%s/ballastd.conf", x->folder);
    snprintf(x->policy, sizeof(x->policy), "%s/my.policy", x->folder);
    x->options = (ManagerOptions){.config_path = x->config,
                                  .policy_paths = {x->policy},
                                  .n_policy_paths = 1,
                                  .proc_root = x->folder,
                                  .log_level = -1,
                                  .mode = GUEST_MODE_INVALID};
}

static void scene_done(Scene *x)
{
    findings_done(&x->findings);
    loaded_done(&x->loaded);
    temp_folder_done(x->folder);
}

static int load(Scene *x)
{
    findings_done(&x->findings);
    loaded_done(&x->loaded);
    return load_files(&x->options, &x->findings, &x->loaded);
}

/* That this is what was found, with the configuration's path and line in front, and nothing else. */
static void expect(const Scene *x, int level, unsigned line, const char *what)
{
    char text[512];

    snprintf(text, sizeof(text), "%s:%u: %s", x->config, line, what);
    ck_assert_uint_eq(x->findings.n, 1);
    ck_assert_str_eq(x->findings.list[0].text, text);
    ck_assert_int_eq(x->findings.list[0].level, level);
}

START_TEST(good_files)
{
    Scene x;

    scene_init(&x, "[Host]\nReserve=1GiB\n");
    ck_assert_int_eq(load(&x), 0);
    ck_assert_uint_eq(x.findings.n, 0);
    ck_assert_str_eq(x.loaded.origin, "the command line");
    ck_assert_str_eq(policy_name(x.loaded.policy), "my.policy");
    scene_done(&x);
}
END_TEST

START_TEST(test_a6_a_reserve_above_the_host)
{
    Scene x;

    scene_init(&x, "[Host]\n\nReserve=16GiB\n");
    ck_assert_int_eq(load(&x), -ERANGE);
    expect(
        &x, LOG_ERR, 3,
        "Reserve=: this leaves guests nothing: the host has 16.0 GiB, and its critical threshold is 819 MiB; set "
        "less than 15564MiB, or a lower Critical= in [Guard]");
    temp_file(x.folder, "ballastd.conf", "[Host]\nReserve=100%\n");
    ck_assert_int_eq(load(&x), -ERANGE);
    scene_done(&x);
}
END_TEST

START_TEST(all_that_is_wrong_is_found)
{
    Scene x;

    scene_init(&x, "[Host]\nScope=nowhere.slice\n[Policy]\nFiles=/nonexistent/x.policy\n");
    temp_file(x.folder, "mounts", "");
    x.options.n_policy_paths = 0;
    ck_assert_int_eq(load(&x), -ENOENT);
    ck_assert_uint_eq(x.findings.n, 2);
    ck_assert_ptr_nonnull(
        strstr(x.findings.list[0].text, "ballastd.conf:2: Scope=nowhere.slice: there is no such"));
    ck_assert_ptr_nonnull(strstr(x.findings.list[1].text,
                                 "ballastd.conf:4: Files=/nonexistent/x.policy: cannot load the policy "
                                 "/nonexistent/x.policy: No such file or directory"));
    scene_done(&x);
}
END_TEST

START_TEST(test_c7_what_the_command_line_overrides)
{
    Scene x;

    scene_init(&x, "[Policy]\nFiles=balloon.policy\n");
    ck_assert_int_eq(load(&x), 0);
    expect(&x, LOG_NOTICE, 2, "Files= is ignored, because the command line has --policy");
    temp_file(x.folder, "ballastd.conf", "[Daemon]\nMode=auto\n");
    x.options.mode = GUEST_MODE_OBSERVE;
    ck_assert_int_eq(load(&x), 0);
    expect(&x, LOG_NOTICE, 2, "Mode= is ignored, because the command line has --mode");
    x.options.mode = GUEST_MODE_AUTO; /* as the file says */
    ck_assert_int_eq(load(&x), 0);
    ck_assert_uint_eq(x.findings.n, 0);
    scene_done(&x);
}
END_TEST

START_TEST(test_c7_a_misspelt_policy)
{
    char hint[POLICIES_HINT_MAX], want[POLICIES_HINT_MAX];
    Scene x;

    scene_init(&x, "");
    policies_hint(x.folder, "balloon", false, hint);
    snprintf(want, sizeof(want), "; the installed policies are in %s", x.folder);
    ck_assert_str_eq(hint, want);
    temp_file(x.folder, "balloon.policy", "");
    temp_file(x.folder, "ballon.txt", "");
    policies_hint(x.folder, "balloon", false, hint);
    ck_assert_str_eq(hint, "; did you mean balloon.policy?");
    policies_hint(x.folder, "my.polcy", true, hint);
    snprintf(want, sizeof(want), "; did you mean %s/my.policy?", x.folder);
    ck_assert_str_eq(hint, want);
    scene_done(&x);
}
END_TEST

START_TEST(test_c12_no_policy_is_installed)
{
    char hint[POLICIES_HINT_MAX];

    policies_hint("/nonexistent", "balloon.policy", false, hint);
    ck_assert_str_eq(
        hint, "; no policy is installed in /nonexistent: install Ballast, or name a file with --policy "
              "FILE or in Files=");
}
END_TEST

START_TEST(test_c5_a_file_that_changed)
{
    Scene x;

    scene_init(&x, "");
    ck_assert_int_eq(load(&x), 0);
    ck_assert(!file_mark_changed(&x.loaded.marks.config));
    ck_assert(!file_mark_changed(&x.loaded.marks.policies[0]));
    ck_assert(!file_mark_changed(&x.loaded.marks.policies[1]));
    temp_file(x.folder, "my.policy", "# other\n");
    ck_assert(file_mark_changed(&x.loaded.marks.policies[0]));
    ck_assert(!file_mark_changed(&x.loaded.marks.config));
    temp_file(x.folder, "ballastd.conf", NULL);
    ck_assert(file_mark_changed(&x.loaded.marks.config));
    ck_assert_int_eq(load(&x), -ENOENT);
    ck_assert(!file_mark_changed(&x.loaded.marks.config));
    temp_file(x.folder, "ballastd.conf", "");
    ck_assert(file_mark_changed(&x.loaded.marks.config));
    scene_done(&x);
}
END_TEST

START_TEST(test_c10a_a_finding_has_file_and_line)
{
    Findings f = {};

    findings_add(&f, LOG_ERR, "/a", 3, "%s", "one: two");
    ck_assert_str_eq(f.list[0].file, "/a");
    ck_assert_uint_eq(f.list[0].line, 3);
    ck_assert_str_eq(f.list[0].message, "one: two");
    findings_add(&f, LOG_ERR, "/a", 0, "three");
    ck_assert_uint_eq(f.list[1].line, 0);
    ck_assert_str_eq(f.list[1].message, "three");
    findings_add(&f, LOG_ERR, NULL, 5, "four");
    ck_assert_ptr_null(f.list[2].file);
    ck_assert_uint_eq(f.list[2].line, 0);
    ck_assert_str_eq(f.list[2].message, "four");
    findings_done(&f);
}
END_TEST

START_TEST(test_c5_findings_as_text)
{
    Findings f = {};
    char buf[128];

    findings_text(&f, buf, sizeof(buf));
    ck_assert_str_eq(buf, "");
    ck_assert_ptr_null(findings_first(&f));
    findings_add(&f, LOG_WARNING, "/a", 0, "two");
    ck_assert_str_eq(findings_first(&f), "/a: two");
    findings_add(&f, LOG_NOTICE, NULL, 0, "three");
    findings_add(&f, LOG_ERR, "/a", 3, "%s", "one");
    ck_assert_str_eq(findings_first(&f), "/a:3: one");
    findings_text(&f, buf, sizeof(buf));
    ck_assert_str_eq(buf, "/a:3: one\n/a: two\nthree");
    /* What doesn't fit is counted; a long first line is cut off. */
    for (unsigned i = 0; i < 20; i++)
        findings_add(&f, LOG_WARNING, NULL, 0, "line %u of many", i);
    findings_text(&f, buf, sizeof(buf));
    ck_assert_str_eq(buf,
                     "/a:3: one\n/a: two\nthree\nline 0 of many\nline 1 of many\n18 more in ballastd's log");
    findings_done(&f);
    findings_add(&f, LOG_ERR, NULL, 0, "%0200d", 0);
    findings_text(&f, buf, sizeof(buf));
    ck_assert_uint_eq(strlen(buf), sizeof(buf) - 1);
    findings_done(&f);
    for (unsigned i = 0; i < FINDINGS_MAX + 5; i++)
        findings_add(&f, LOG_ERR, NULL, 0, "x");
    ck_assert_uint_eq(f.n, FINDINGS_MAX);
    ck_assert_uint_eq(f.left_out, 5);
    findings_done(&f);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("load");

    tcase_add_test(t, good_files);
    tcase_add_test(t, test_a6_a_reserve_above_the_host);
    tcase_add_test(t, all_that_is_wrong_is_found);
    tcase_add_test(t, test_c7_what_the_command_line_overrides);
    tcase_add_test(t, test_c7_a_misspelt_policy);
    tcase_add_test(t, test_c12_no_policy_is_installed);
    tcase_add_test(t, test_c5_a_file_that_changed);
    tcase_add_test(t, test_c5_findings_as_text);
    tcase_add_test(t, test_c10a_a_finding_has_file_and_line);
    return run_tests(t);
}
