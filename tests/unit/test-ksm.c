/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* KSM's controls, in a folder like the kernel's that is really read and written. */

#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fileio.h"
#include "base/units.h"
#include "host-agent/act/ksm.h"
#include "host-agent/sense/ksm.h"
#include "tests/unit/run.h"

static char root[PATH_MAX / 4], remembered[PATH_MAX / 2];

static const char *file_path(char *buf, const char *name)
{
    snprintf(buf, PATH_MAX, "%s/kernel/mm/ksm/%s", root, name);
    return buf;
}

static void put(const char *name, const char *text)
{
    char path[PATH_MAX];
    FILE *f = fopen(file_path(path, name), "we");

    ck_assert_ptr_nonnull(f);
    fprintf(f, "%s\n", text);
    ck_assert_int_eq(fclose(f), 0);
}

static int64_t get(const char *name)
{
    char path[PATH_MAX], text[64];
    FILE *f = fopen(file_path(path, name), "re");

    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
    fclose(f);
    return atoll(text);
}

static void take_away(const char *name)
{
    char path[PATH_MAX];

    ck_assert_int_eq(unlink(file_path(path, name)), 0);
}

/* As a kernel of 6.18 with NUMA has them. */
static void setup(void)
{
    static const struct {
        const char *name, *text;
    } files[] = {
        {"run", "0"},
        {"pages_to_scan", "100"},
        {"sleep_millisecs", "20"},
        {"pages_shared", "0"},
        {"merge_across_nodes", "1"},
        {"pages_sharing", "0"},
        {"pages_unshared", "0"},
        {"pages_volatile", "0"},
        {"pages_scanned", "0"},
        {"full_scans", "0"},
        {"general_profit", "0"},
        {"advisor_mode", "[none] scan-time"},
    };
    static const char *const folders[] = {"", "/kernel", "/kernel/mm", "/kernel/mm/ksm"};
    char folder[PATH_MAX];

    run_make_folder(root);
    ck_assert_int_eq(chmod(root, 0777), 0);
    for (size_t i = 1; i < ELEMENTSOF(folders); i++) {
        snprintf(folder, sizeof(folder), "%s%s", root, folders[i]);
        ck_assert_int_eq(mkdir(folder, 0755), 0);
    }
    snprintf(remembered, sizeof(remembered), "%s/run/ksm", root);
    for (size_t i = 0; i < ELEMENTSOF(files); i++)
        put(files[i].name, files[i].text);
}

static void teardown(void)
{
    ck_assert_int_eq(nftw(root, run_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Reading */

START_TEST(test_fields)
{
    double page = (double) sysconf(_SC_PAGESIZE);
    HostFields h = {};
    KsmState s;

    put("run", "1");
    put("pages_shared", "1000");
    put("pages_sharing", "25000");
    put("pages_unshared", "7");
    put("pages_volatile", "8");
    put("pages_scanned", "900000000000");
    put("full_scans", "12");
    put("general_profit", "-4096");
    ck_assert_int_eq(ksm_read(root, &s), 0);
    ksm_fields(&s, &h);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_KSM_SHARED), 1000 * page);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_KSM_SHARING), 25000 * page);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_KSM_UNSHARED), 7 * page);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_KSM_VOLATILE), 8 * page);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_KSM_SCANNED), 9e11 * page);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_KSM_FULL_SCANS), 12);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_KSM_PROFIT), -4096); /* bytes already */
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_KSM_RUN), 1);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_KSM_PAGES_TO_SCAN), 100);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_KSM_SLEEP), 20 * (double) USEC_PER_MSEC);
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_KSM_MERGE_ACROSS_NODES), 1);

    /* KSM that only unmerges pages isn't running. */
    put("run", "2");
    ck_assert_int_eq(ksm_read(root, &s), 0);
    ksm_fields(&s, &h);
    ck_assert(host_fields_has(&h, HOST_FIELD_KSM_RUN));
    ck_assert_double_eq(host_fields_get(&h, HOST_FIELD_KSM_RUN), 0);
}
END_TEST

START_TEST(test_older_kernel)
{
    HostFields h = {};
    KsmState s;

    take_away("general_profit");
    take_away("pages_scanned");
    take_away("merge_across_nodes");
    take_away("advisor_mode");
    ck_assert_int_eq(ksm_read(root, &s), 0);
    ksm_fields(&s, &h);
    ck_assert(!host_fields_has(&h, HOST_FIELD_KSM_PROFIT));
    ck_assert(!host_fields_has(&h, HOST_FIELD_KSM_SCANNED));
    ck_assert(!host_fields_has(&h, HOST_FIELD_KSM_MERGE_ACROSS_NODES));
    ck_assert(host_fields_has(&h, HOST_FIELD_KSM_RUN));
}
END_TEST

START_TEST(test_unreadable)
{
    static const char *const bad[] = {"", "many", "1x", "99999999999999999999", "9223372036854775808", "--1"};
    KsmState s = {.has = 77};

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        put("pages_shared", bad[i]);
        ck_assert_int_eq(ksm_read(root, &s), -EBADMSG);
    }
    put("pages_shared", "0");
    take_away("run");
    ck_assert_int_eq(ksm_read(root, &s), -ENOENT);
    ck_assert_int_eq(ksm_read("/nowhere", &s), -ENOENT);
    ck_assert_uint_eq(s.has, 77); /* untouched */
}
END_TEST

/* Changing */

static Ksm *fresh(int want_error)
{
    Ksm *k = NULL;
    int error;

    ck_assert_int_eq(ksm_new(root, remembered, &error, &k), 0);
    ck_assert_int_eq(error, want_error);
    return k;
}

static HostDecision decision(HostField control, double value)
{
    return (HostDecision){
        .control = control, .wanted = value, .value = value, .send = true, .reason = "because"};
}

static size_t apply_one(Ksm *k, HostField control, double value, KsmChange *ret)
{
    HostDecision d = decision(control, value);
    size_t n = ksm_apply(k, &d, 1, ret);

    for (size_t i = 0; i < n; i++)
        ret[i].decision = NULL;
    return n;
}

static void check_change(const KsmChange *c, KsmOutcome outcome, const char *name, int64_t from, int64_t to)
{
    ck_assert_int_eq(c->outcome, outcome);
    ck_assert_str_eq(c->name, name);
    ck_assert_int_eq(c->from, from);
    ck_assert_int_eq(c->to, to);
}

static bool is_remembered(void)
{
    return access(remembered, F_OK) == 0;
}

#define MSEC ((double) USEC_PER_MSEC)

START_TEST(test_all_that_is_changed_is_put_back)
{
    const HostDecision d[] = {
        decision(HOST_FIELD_KSM_RUN, 1),
        decision(HOST_FIELD_KSM_PAGES_TO_SCAN, 400),
        decision(HOST_FIELD_KSM_SLEEP, 5 * MSEC),
        decision(HOST_FIELD_KSM_MERGE_ACROSS_NODES, 0),
    };
    _cleanup_(ksm_freep) Ksm *k = fresh(0);
    KsmChange c[KSM_CHANGES_MAX];
    int64_t before;

    ck_assert_uint_eq(ksm_apply(k, d, ELEMENTSOF(d), c), 4);
    /* KSM starts when all else is as it should be. */
    check_change(&c[0], KSM_CHANGED, "merge_across_nodes", 1, 0);
    check_change(&c[1], KSM_CHANGED, "pages_to_scan", 100, 400);
    check_change(&c[2], KSM_CHANGED, "sleep_millisecs", 20, 5);
    check_change(&c[3], KSM_CHANGED, "run", 0, 1);
    ck_assert_ptr_eq(c[3].decision, &d[0]);
    ck_assert_int_eq(get("run"), 1);
    ck_assert_int_eq(get("pages_to_scan"), 400);
    ck_assert_int_eq(get("sleep_millisecs"), 5);
    ck_assert_int_eq(get("merge_across_nodes"), 0);
    ck_assert(is_remembered());
    ck_assert(ksm_changed(k, HOST_FIELD_KSM_SLEEP, &before));
    ck_assert_int_eq(before, 20);

    /* The same again is nothing. */
    ck_assert_uint_eq(ksm_apply(k, d, ELEMENTSOF(d), c), 0);

    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 4);
    check_change(&c[0], KSM_RESTORED, "run", 1, 0);
    check_change(&c[1], KSM_RESTORED, "sleep_millisecs", 5, 20);
    check_change(&c[2], KSM_RESTORED, "pages_to_scan", 400, 100);
    check_change(&c[3], KSM_RESTORED, "merge_across_nodes", 0, 1);
    ck_assert_int_eq(get("run"), 0);
    ck_assert_int_eq(get("pages_to_scan"), 100);
    ck_assert_int_eq(get("sleep_millisecs"), 20);
    ck_assert_int_eq(get("merge_across_nodes"), 1);
    ck_assert(!is_remembered());
    ck_assert(!ksm_changed(k, HOST_FIELD_KSM_SLEEP, &before));
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 0);
}
END_TEST

START_TEST(test_nothing_is_touched_that_was_not_decided)
{
    _cleanup_(ksm_freep) Ksm *k = fresh(0);
    HostDecision d = decision(HOST_FIELD_KSM_RUN, 1);
    KsmChange c[KSM_CHANGES_MAX];

    d.send = false;
    ck_assert_uint_eq(ksm_apply(k, &d, 1, c), 0);
    ck_assert_uint_eq(ksm_apply(k, NULL, 0, c), 0);
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 0);
    ck_assert_int_eq(get("run"), 0);
    ck_assert(!is_remembered());

    /* Nor are the others when one is. */
    put("pages_to_scan", "123");
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_RUN, 1, c), 1);
    put("pages_to_scan", "456");
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 1);
    ck_assert_int_eq(get("pages_to_scan"), 456);
}
END_TEST

/* The first value that was found counts, however often it is changed. */
START_TEST(test_many_changes)
{
    _cleanup_(ksm_freep) Ksm *k = fresh(0);
    KsmChange c[KSM_CHANGES_MAX];

    for (int i = 1; i <= 50; i++)
        ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 100 + 10 * i, c), 1);
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 1);
    check_change(&c[0], KSM_RESTORED, "pages_to_scan", 600, 100);
}
END_TEST

/* A policy that assigns to less than the one before. */
START_TEST(test_some_are_kept)
{
    _cleanup_(ksm_freep) Ksm *k = fresh(0);
    KsmChange c[KSM_CHANGES_MAX];
    FieldSet keep = {};

    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 1);
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_RUN, 1, c), 1);
    field_set_add(&keep, HOST_FIELD_KSM_RUN);
    ck_assert_uint_eq(ksm_restore(k, &keep, c), 1);
    check_change(&c[0], KSM_RESTORED, "pages_to_scan", 400, 100);
    ck_assert_int_eq(get("run"), 1);
    ck_assert(is_remembered());
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 1);
    ck_assert_int_eq(get("run"), 0);
    ck_assert(!is_remembered());
}
END_TEST

START_TEST(test_a_killed_daemon_is_cleared_up_after)
{
    Ksm *k = fresh(0);
    KsmChange c[KSM_CHANGES_MAX];

    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 1);
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_RUN, 1, c), 1);
    ksm_free(k);

    /* The next goes on where that one was, and is killed, too. */
    k = fresh(0);
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 500, c), 1);
    ksm_free(k);

    k = fresh(0);
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 2);
    check_change(&c[0], KSM_RESTORED, "run", 1, 0);
    check_change(&c[1], KSM_RESTORED, "pages_to_scan", 500, 100);
    ck_assert(!is_remembered());
    ksm_free(k);
}
END_TEST

/* Killed after it wrote down what it was about to do, and before it did: the control is as it was before. */
START_TEST(test_killed_between)
{
    Ksm *k = fresh(0);
    KsmChange c[KSM_CHANGES_MAX];

    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 1);
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 500, c), 1);
    ksm_free(k);
    put("pages_to_scan", "400");
    k = fresh(0);
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 1);
    check_change(&c[0], KSM_RESTORED, "pages_to_scan", 400, 100);
    ksm_free(k);

    k = fresh(0);
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 1);
    ksm_free(k);
    put("pages_to_scan", "100");
    k = fresh(0);
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 0);
    ck_assert_int_eq(get("pages_to_scan"), 100);
    ck_assert(!is_remembered());
    ksm_free(k);
}
END_TEST

START_TEST(test_what_somebody_else_set_is_left)
{
    _cleanup_(ksm_freep) Ksm *k = fresh(0);
    KsmChange c[KSM_CHANGES_MAX];

    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 1);
    put("pages_to_scan", "250");
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 1);
    check_change(&c[0], KSM_FOREIGN, "pages_to_scan", 250, 100);
    ck_assert_int_eq(get("pages_to_scan"), 250);
    ck_assert(!is_remembered());
    /* Told once. */
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 0);
}
END_TEST

/* "2" takes apart what was merged: for whom there may be no memory. */
START_TEST(test_run_2_becomes_0)
{
    _cleanup_(ksm_freep) Ksm *k = fresh(0);
    KsmChange c[KSM_CHANGES_MAX];

    put("run", "2");
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_RUN, 1, c), 1);
    check_change(&c[0], KSM_CHANGED, "run", 2, 1);
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 1);
    check_change(&c[0], KSM_RESTORED, "run", 1, 0);
}
END_TEST

START_TEST(test_a_file_that_is_not_ours)
{
    static const char *const texts[] = {
        "garbage\n",
        "pages_to_scan 100 400\n",
        "pages_to_scan 100 400 400 5\n",
        "pages_to_scan 100 400 x\n",
        "reboot 1 1 1\n",
        "pages_to_scan 100 400 400\nrun",
    };
    char folder[PATH_MAX];

    snprintf(folder, sizeof(folder), "%s/run", root);
    ck_assert_int_eq(mkdir(folder, 0755), 0);
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        FILE *f = fopen(remembered, "we");
        KsmChange c[KSM_CHANGES_MAX];
        Ksm *k;

        ck_assert_ptr_nonnull(f);
        fputs(texts[i], f);
        fclose(f);
        k = fresh(-EBADMSG);
        ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 0);
        ck_assert_int_eq(get("pages_to_scan"), 100);
        ksm_free(k);
    }
}
END_TEST

/* Put there by whoever may write to the folder, where a ballastd of root's comes next. */
START_TEST(test_a16_what_stands_in_the_place_of_the_file)
{
    char folder[PATH_MAX], temporary[PATH_MAX], other[PATH_MAX];

    snprintf(folder, sizeof(folder), "%s/run", root);
    snprintf(temporary, sizeof(temporary), "%s/run/ksm.new", root);
    snprintf(other, sizeof(other), "%s/other", root);
    ck_assert_int_eq(mkdir(folder, 0755), 0);
    ck_assert_int_eq(fileio_save(other, "pages_to_scan 300 100 100\n"), 0);
    for (unsigned i = 0; i < 4; i++) {
        const char *place = i % 2 ? remembered : temporary;
        _cleanup_free_ char *text = NULL;
        KsmChange c[KSM_CHANGES_MAX];
        size_t length;
        Ksm *k;

        ck_assert_int_eq(i < 2 ? symlink(other, place) : mkfifo(place, 0600), 0);
        k = fresh(place == remembered ? -EMEDIUMTYPE : 0);
        ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 0);
        ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 1);
        ck_assert_int_eq(fileio_read_saved(remembered, 100, &text, &length), 0);
        ck_assert_str_eq(text, "pages_to_scan 100 100 400\n");
        ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 1);
        ck_assert_int_eq(access(remembered, F_OK), -1);
        ksm_free(k);
        free(TAKE_PTR(text));
        ck_assert_int_eq(fileio_read_saved(other, 100, &text, &length), 0);
        ck_assert_str_eq(text, "pages_to_scan 300 100 100\n");
    }
}
END_TEST

/* The kernel's files are root's: what an unprivileged daemon meets. */
START_TEST(test_refused)
{
    static const uid_t nobody = 65534;
    bool root_user = geteuid() == 0;
    _cleanup_(ksm_freep) Ksm *k = fresh(0);
    KsmChange c[KSM_CHANGES_MAX];
    char path[PATH_MAX];

    file_path(path, "pages_to_scan");
    ck_assert_int_eq(chmod(path, 0444), 0);
    if (root_user)
        ck_assert_int_eq(seteuid(nobody), 0);

    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 1);
    check_change(&c[0], KSM_REFUSED, "pages_to_scan", 100, 400);
    ck_assert_int_eq(c[0].error, EACCES);
    ck_assert_ptr_nonnull(c[0].hint);
    ck_assert_int_eq(ksm_refused(k, HOST_FIELD_KSM_PAGES_TO_SCAN), EACCES);
    ck_assert(!is_remembered());
    /* Told once, whatever is wanted then. */
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 0);
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 500, c), 0);

    /* An administrator follows the hint. */
    if (root_user)
        ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(chmod(path, 0666), 0);
    if (root_user)
        ck_assert_int_eq(seteuid(nobody), 0);
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 500, c), 1);
    check_change(&c[0], KSM_CHANGED, "pages_to_scan", 100, 500);
    ck_assert_int_eq(ksm_refused(k, HOST_FIELD_KSM_PAGES_TO_SCAN), 0);

    /* And takes it back: what can't be put back is remembered further. */
    if (root_user)
        ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(chmod(path, 0444), 0);
    if (root_user)
        ck_assert_int_eq(seteuid(nobody), 0);
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 1);
    check_change(&c[0], KSM_STUCK, "pages_to_scan", 500, 100);
    ck_assert_int_eq(c[0].error, EACCES);
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 0);
    ck_assert(is_remembered());
    if (root_user)
        ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 1);
    check_change(&c[0], KSM_RESTORED, "pages_to_scan", 500, 100);
    ck_assert(!is_remembered());
}
END_TEST

/* A reload is a reason to try again, though nothing is seen to have changed. */
START_TEST(test_retry)
{
    _cleanup_(ksm_freep) Ksm *k = fresh(0);
    KsmChange c[KSM_CHANGES_MAX];

    take_away("pages_to_scan");
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 1);
    ck_assert_int_eq(c[0].outcome, KSM_REFUSED);
    ck_assert_int_eq(c[0].error, ENOENT);
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 0);
    ksm_retry(k);
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 1);
}
END_TEST

/* If the settings can't be saved they are changed nevertheless, and this daemon restores them. */
START_TEST(test_unremembered)
{
    _cleanup_(ksm_freep) Ksm *k = NULL;
    KsmChange c[KSM_CHANGES_MAX];
    int error;

    ck_assert_int_eq(ksm_new(root, "/proc/nowhere/ksm", &error, &k), 0);
    ck_assert_int_eq(error, 0);
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 2);
    ck_assert_int_eq(c[0].outcome, KSM_UNREMEMBERED);
    ck_assert_int_ne(c[0].error, 0);
    check_change(&c[1], KSM_CHANGED, "pages_to_scan", 100, 400);
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 500, c), 1);
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 1);
    ck_assert_int_eq(get("pages_to_scan"), 100);

    /* Nowhere to write it to: nothing to tell. */
    k = ksm_free(k);
    ck_assert_int_eq(ksm_new(root, NULL, NULL, &k), 0);
    ck_assert_uint_eq(apply_one(k, HOST_FIELD_KSM_PAGES_TO_SCAN, 400, c), 1);
    ck_assert_uint_eq(ksm_restore(k, &(FieldSet){}, c), 1);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("ksm");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_fields);
    tcase_add_test(t, test_older_kernel);
    tcase_add_test(t, test_unreadable);
    tcase_add_test(t, test_all_that_is_changed_is_put_back);
    tcase_add_test(t, test_nothing_is_touched_that_was_not_decided);
    tcase_add_test(t, test_many_changes);
    tcase_add_test(t, test_some_are_kept);
    tcase_add_test(t, test_a_killed_daemon_is_cleared_up_after);
    tcase_add_test(t, test_killed_between);
    tcase_add_test(t, test_what_somebody_else_set_is_left);
    tcase_add_test(t, test_run_2_becomes_0);
    tcase_add_test(t, test_a_file_that_is_not_ours);
    tcase_add_test(t, test_a16_what_stands_in_the_place_of_the_file);
    tcase_add_test(t, test_refused);
    tcase_add_test(t, test_retry);
    tcase_add_test(t, test_unremembered);
    return run_tests(t);
}
