/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon does about other memory managers, on a /proc of the test's own. */

#include "base/log.h"
#include "base/time-util.h"
#include "host-agent/sense/neighbours.h"
#include "tests/unit/caught-log.h"
#include "tests/unit/other-ballastd.h"
#include "tests/unit/run.h"
#include "tests/unit/temp-folder.h"

typedef struct Scene {
    char folder[TEMP_FOLDER_MAX];
    sd_event *event;
    Neighbours n;
    unsigned found;
    int log;
} Scene;

static void on_found(void *userdata)
{
    ((Scene *) userdata)->found++;
}

static void scene_init(Scene *x)
{
    *x = (Scene){.log = stderr_pipe()};
    log_open(LOG_INFO);
    temp_folder_init(x->folder);
    ck_assert_int_eq(setenv("RUNTIME_DIRECTORY", x->folder, 1), 0);
    ck_assert_int_ge(sd_event_new(&x->event), 0);
    neighbours_init(&x->n, x->event, x->folder, on_found, x);
}

static void scene_done(Scene *x)
{
    neighbours_done(&x->n);
    sd_event_unref(x->event);
    temp_folder_done(x->folder);
}

static void process_begins(const Scene *x, const char *pid, const char *name)
{
    char file[64], text[128];

    (void) snprintf(file, sizeof(file), "%s/comm", pid);
    (void) snprintf(text, sizeof(text), "%s\n", name);
    temp_file(x->folder, file, text);
    (void) snprintf(file, sizeof(file), "%s/cmdline", pid);
    temp_file(x->folder, file, name);
    (void) snprintf(file, sizeof(file), "%s/status", pid);
    (void) snprintf(text, sizeof(text), "Name:\t%s\nUid:\t%u\t%u\t%u\t%u\nNSpid:\t%s\n", name, geteuid(),
                    geteuid(), geteuid(), geteuid(), pid);
    temp_file(x->folder, file, text);
}

static void process_ends(const Scene *x, const char *pid)
{
    char path[64];

    (void) snprintf(path, sizeof(path), "%s/%s", x->folder, pid);
    temp_folder_done(path);
}

static void expect_text(const Scene *x, const char *expected)
{
    char text[NEIGHBOURS_TEXT_MAX];

    neighbours_text(&x->n, text, sizeof(text));
    ck_assert_str_eq(text, expected);
}

/* NULL: the mode isn't held. */
static void expect_why(const Scene *x, const char *expected)
{
    char why[NEIGHBOURS_TEXT_MAX];

    ck_assert_int_eq(neighbours_why(&x->n, why, sizeof(why)), expected != NULL);
    ck_assert_int_eq(x->n.held, expected != NULL);
    if (expected)
        ck_assert_str_eq(why, expected);
}

START_TEST(test_alone)
{
    Scene x;

    scene_init(&x);
    process_begins(&x, "12", "sshd");
    neighbours_look(&x.n);
    expect_text(&x, "");
    expect_why(&x, NULL);
    ck_assert_uint_eq(x.found, 0);
    ck_assert(!neighbours_known(&x.n));
    ck_assert(!neighbours_has_ballastd(&x.n));
    ck_assert_uint_eq(caught_lines(x.log, ""), 0);
    scene_done(&x);
}
END_TEST

START_TEST(test_found)
{
    Scene x;

    scene_init(&x);
    process_begins(&x, "345", "momd");
    for (unsigned i = 0; i < 3; i++)
        neighbours_look(&x.n);
    ck_assert_uint_eq(x.found, 1);
    expect_text(&x, "momd (process 345)");
    expect_why(
        &x,
        "momd (process 345) manages memory on this host, too, so no balloon is moved; stop it, then run 'ballastctl "
        "mode auto'");
    ck_assert_uint_eq(caught_lines(x.log, "momd (process 345) manages memory on this host, too"), 1);

    process_begins(&x, "12", "ksmtuned");
    neighbours_look(&x.n);
    ck_assert_uint_eq(x.found, 2);
    expect_text(&x, "momd (process 345), ksmtuned (process 12)");

    /* Both go: that changes nothing, for they may come back. */
    process_ends(&x, "345");
    process_ends(&x, "12");
    neighbours_look(&x.n);
    ck_assert_uint_eq(caught_lines(x.log, "has ended; no balloon is moved until 'ballastctl mode auto'"), 2);
    expect_text(&x, "");
    expect_why(
        &x,
        "another memory manager was found earlier and has ended; no balloon is moved until 'ballastctl mode "
        "auto'");
    neighbours_accept(&x.n);
    expect_why(&x, NULL);
    scene_done(&x);
}
END_TEST

START_TEST(test_accepted)
{
    Scene x;

    scene_init(&x);
    process_begins(&x, "345", "momd");
    neighbours_look(&x.n);
    neighbours_accept(&x.n);
    expect_why(&x, NULL);
    expect_text(&x, "momd (process 345)");
    neighbours_look(&x.n);
    expect_why(&x, NULL);

    /* Gone and back: it was accepted once. */
    (void) caught_lines(x.log, "");
    process_ends(&x, "345");
    neighbours_look(&x.n);
    ck_assert_uint_eq(caught_lines(x.log, "momd (process 345) has ended"), 1);
    process_begins(&x, "346", "momd");
    neighbours_look(&x.n);
    ck_assert_uint_eq(x.found, 1);
    expect_why(&x, NULL);
    ck_assert_uint_eq(caught_lines(x.log, "momd (process 346) is running again"), 1);

    /* Another kind wasn't. */
    process_begins(&x, "400", "ksmtuned");
    neighbours_look(&x.n);
    ck_assert_uint_eq(x.found, 2);
    ck_assert(x.n.held);
    scene_done(&x);
}
END_TEST

/* One that started after the first ended, before mode auto was set, holds the mode again. */
START_TEST(test_back_before_accepted)
{
    Scene x;

    scene_init(&x);
    process_begins(&x, "345", "momd");
    neighbours_look(&x.n);
    process_ends(&x, "345");
    neighbours_look(&x.n);
    neighbours_accept(&x.n); /* of nothing: it isn't there */
    process_begins(&x, "346", "momd");
    neighbours_look(&x.n);
    ck_assert_uint_eq(x.found, 2);
    ck_assert(x.n.held);
    scene_done(&x);
}
END_TEST

START_TEST(test_proc_cannot_be_read)
{
    Scene x;

    scene_init(&x);
    x.n.proc_root = "/nowhere";
    for (unsigned i = 0; i < 3; i++)
        neighbours_look(&x.n);
    ck_assert_uint_eq(caught_lines(x.log, "Cannot look for momd and ksmtuned in /nowhere"), 1);
    x.n.proc_root = x.folder;
    process_begins(&x, "345", "momd");
    neighbours_look(&x.n);
    ck_assert_uint_eq(x.found, 1);
    ck_assert_uint_eq(caught_lines(x.log, "ballastd can look for momd and ksmtuned again, after"), 1);

    /* One that can't be seen hasn't ended. */
    x.n.proc_root = "/nowhere";
    neighbours_look(&x.n);
    expect_text(&x, "momd (process 345)");
    scene_done(&x);
}
END_TEST

/* The first look is at once, and one each minute. */
START_TEST(test_started)
{
    uint64_t due;
    Scene x;

    scene_init(&x);
    process_begins(&x, "345", "momd");
    ck_assert_int_ge(neighbours_start(&x.n), 0);
    ck_assert_uint_eq(x.found, 1);
    process_begins(&x, "346", "ksmtuned");
    ck_assert_int_ge(sd_event_source_set_time_accuracy(x.n.timer, 1), 0);
    ck_assert_int_ge(sd_event_source_set_time_relative(x.n.timer, 0), 0);
    ck_assert_int_gt(sd_event_run(x.event, 3 * USEC_PER_SEC), 0);
    ck_assert_uint_eq(x.found, 2);
    ck_assert_int_ge(sd_event_source_get_time(x.n.timer, &due), 0);
    ck_assert_uint_gt(due, now_usec(CLOCK_MONOTONIC) + 50 * USEC_PER_SEC);
    ck_assert_uint_le(due, now_usec(CLOCK_MONOTONIC) + 60 * USEC_PER_SEC);
    scene_done(&x);
}
END_TEST

/* Runs the loop until no other ballastd is known. */
static void wait_alone(Scene *x)
{
    usec_t end = now_usec(CLOCK_MONOTONIC) + 3 * USEC_PER_SEC;

    while (neighbours_has_ballastd(&x->n) && now_usec(CLOCK_MONOTONIC) < end)
        ck_assert_int_ge(sd_event_run(x->event, 100 * USEC_PER_MSEC), 0);
    ck_assert(!neighbours_has_ballastd(&x->n));
}

/* Two daemons on one libvirt: the second holds its mode; it notices at once when the first ends, and takes the
 * lock. */
START_TEST(test_two_ballastds)
{
    char expected[64];
    Scene x;
    Other o;

    scene_init(&x);
    o = other_takes("qemu:///system");
    neighbours_connected(&x.n, "qemu:///system");
    ck_assert(neighbours_known(&x.n));
    ck_assert(neighbours_has_ballastd(&x.n));
    ck_assert_uint_eq(x.found, 1);
    ck_assert(x.n.held);
    (void) snprintf(expected, sizeof(expected), "another ballastd (process %d)", (int) o.pid);
    expect_text(&x, expected);
    neighbours_look(&x.n);
    neighbours_look(&x.n);
    ck_assert_uint_eq(x.found, 1);

    other_ends(&o);
    wait_alone(&x);
    ck_assert(x.n.held); /* until an administrator says auto */
    ck_assert(x.n.lock.ours);
    neighbours_look(&x.n);
    ck_assert(x.n.lock.ours);
    scene_done(&x);
}
END_TEST

START_TEST(test_accepted_ballastd)
{
    Scene x;
    Other o;

    scene_init(&x);
    o = other_takes("qemu:///system");
    neighbours_connected(&x.n, "qemu:///system");
    neighbours_accept(&x.n);
    ck_assert(!neighbours_has_ballastd(&x.n));
    neighbours_look(&x.n);
    ck_assert_uint_eq(x.found, 1);

    /* A kernel without pidfds: its end is noticed by the next look. */
    x.n.lock_source = sd_event_source_disable_unref(x.n.lock_source);
    other_ends(&o);
    neighbours_look(&x.n);
    ck_assert(x.n.lock.ours);
    expect_text(&x, "");
    scene_done(&x);
}
END_TEST

/* On another libvirt there are other guests. */
START_TEST(test_another_libvirt)
{
    Scene x;
    Other o;

    scene_init(&x);
    o = other_takes("qemu:///system");
    neighbours_connected(&x.n, "qemu:///system");
    ck_assert(neighbours_has_ballastd(&x.n));
    neighbours_connected(&x.n, "test:///default");
    ck_assert(!neighbours_has_ballastd(&x.n));
    ck_assert(x.n.lock.ours);
    other_ends(&o);
    scene_done(&x);
}
END_TEST

/* Who can't ask takes it that there is another one. */
START_TEST(test_a9_a_lock_that_cannot_be_checked_holds_the_mode)
{
    static const char why[] =
        "ballastd can't check whether another one manages the same guests (its log says why), so no balloon is "
        "moved; if none does, run 'ballastctl mode auto'";
    Scene x;

    scene_init(&x);
    setenv("RUNTIME_DIRECTORY", "/nowhere/at-all", 1);
    neighbours_connected(&x.n, "qemu:///system");
    neighbours_look(&x.n);
    ck_assert_uint_eq(x.found, 1);
    ck_assert(neighbours_has_ballastd(&x.n));
    expect_why(&x, why);
    ck_assert_uint_eq(
        caught_lines(x.log, "manages the same guests: /nowhere/at-all/lock: No such file or directory; no"),
        1);

    /* An administrator accepts that, until ballastd is restarted. */
    neighbours_accept(&x.n);
    expect_why(&x, NULL);
    ck_assert(!neighbours_has_ballastd(&x.n));
    neighbours_look(&x.n);
    ck_assert_uint_eq(x.found, 1);

    setenv("RUNTIME_DIRECTORY", x.folder, 1);
    neighbours_look(&x.n);
    ck_assert(x.n.lock.ours);
    ck_assert_uint_eq(caught_lines(x.log, "ballastd can check for another ballastd again, after"), 1);
    scene_done(&x);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("neighbours");

    tcase_add_test(tc, test_alone);
    tcase_add_test(tc, test_found);
    tcase_add_test(tc, test_accepted);
    tcase_add_test(tc, test_back_before_accepted);
    tcase_add_test(tc, test_proc_cannot_be_read);
    tcase_add_test(tc, test_started);
    tcase_add_test(tc, test_two_ballastds);
    tcase_add_test(tc, test_accepted_ballastd);
    tcase_add_test(tc, test_another_libvirt);
    tcase_add_test(tc, test_a9_a_lock_that_cannot_be_checked_holds_the_mode);
    return run_tests(tc);
}
