/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When the guests' processes are searched for and looked at, in a /proc of the test's own. */

#include "base/log.h"
#include "tests/unit/caught-log.h"
#include "tests/unit/cycle-scene.h"
#include "tests/unit/qemu-process.h"
#include "tests/unit/run.h"

/* The process of a guest, with so much resident. */
static void add_process(const Scene *x, unsigned i, unsigned long rss_mib)
{
    DomainInfo info = stage_domain(i, GIB);
    char arguments[64];
    FakeProcess p = {.pid = 100 + (int) i,
                     .arguments = arguments,
                     .users = {geteuid(), geteuid(), geteuid()},
                     .rss_kib = rss_mib * 1024,
                     .start = 1000};

    (void) snprintf(arguments, sizeof(arguments), "qemu|-uuid|%s|", info.uuid);
    fake_process(x->folder, &p);
}

static void end_process(const Scene *x, unsigned i)
{
    char name[32];

    (void) snprintf(name, sizeof(name), "%u/stat", 100 + i);
    temp_file(x->folder, name, NULL);
    (void) snprintf(name, sizeof(name), "%u/cmdline", 100 + i);
    temp_file(x->folder, name, NULL);
}

static uint64_t resident(const Scene *x, unsigned i)
{
    return guest_resident(guest(x, i), clock_usec) / MIB;
}

/* Until the search under way has ended. */
static void wait_for_search(const Scene *x)
{
    const QemuWanted *wanted;
    size_t n;

    while (x->looks.search && qemu_search_result(x->looks.search, &wanted, &n) == -EAGAIN)
        usleep(1000);
}

static void look_once(Scene *x)
{
    looks_run(&x->looks, &x->guests, true, false, clock_usec);
}

/* With what a search that begins now finds. */
static void look(Scene *x, bool often)
{
    looks_run(&x->looks, &x->guests, often, false, clock_usec);
    wait_for_search(x);
    looks_run(&x->looks, &x->guests, often, false, clock_usec);
}

/* So many seconds pass, with a look in each. Returns the age of what is known of guest 0 at its oldest. */
static usec_t pass(Scene *x, unsigned seconds, bool often)
{
    usec_t oldest = 0;

    for (unsigned i = 0; i < seconds; i++) {
        clock_usec += SEC;
        report_all(x);
        look(x, often);
        oldest = MAX(oldest, clock_usec - guest(x, 0)->held.look_usec);
    }
    return oldest;
}

START_TEST(test_found_and_looked_at)
{
    Scene x;

    three_guests(&x);
    add_process(&x, 0, 1000);
    add_process(&x, 1, 2000);
    look(&x, false);
    ck_assert_uint_eq(resident(&x, 0), 1000);
    ck_assert_uint_eq(resident(&x, 1), 2000);
    ck_assert_uint_eq(resident(&x, 2), 0);
    ck_assert_int_eq(guests_by_uuid(&x.guests, guest(&x, 1)->info.uuid)->qemu.pid, 101);
    scene_done(&x);
}
END_TEST

/* Each 5 s; each second where memory is short, or where a guest moves. */
START_TEST(test_pace)
{
    Scene x;

    three_guests(&x);
    add_process(&x, 0, 1000);
    look(&x, false);
    ck_assert_uint_eq(pass(&x, 20, false), 4 * SEC);
    ck_assert_uint_eq(pass(&x, 20, true), 0);
    ck_assert_uint_eq(pass(&x, 20, false), 4 * SEC);
    guest_sent(guest(&x, 0), 3 * GIB, clock_usec);
    ck_assert_uint_eq(pass(&x, 5, false), 0);
    /* Twenty cycles in a second are one look. */
    clock_usec += 100 * MSEC;
    look(&x, true);
    ck_assert_uint_eq(clock_usec - guest(&x, 0)->held.look_usec, 100 * MSEC);
    scene_done(&x);
}
END_TEST

/* While processes are missing they are searched for less and less often, but for a new guest's at once. */
START_TEST(test_search)
{
    unsigned searches = 0;
    Scene x;

    three_guests(&x);
    for (unsigned i = 0; i < 120; i++) {
        usec_t before = x.looks.search_usec;

        look(&x, true);
        searches += x.looks.search_usec != before;
        clock_usec += SEC;
    }
    ck_assert_uint_ge(searches, 5);
    ck_assert_uint_le(searches, 9);
    add_process(&x, 0, 1000);
    look(&x, true);
    ck_assert_uint_eq(resident(&x, 0), 0);
    add_guest(&x, 7, 4 * GIB);
    add_process(&x, 7, 700);
    look(&x, true);
    ck_assert_uint_eq(resident(&x, 7), 700);
    ck_assert_uint_eq(resident(&x, 0), 1000);
    scene_done(&x);
}
END_TEST

/* A guest's QEMU ends, and another begins, as in a migration within the host. */
START_TEST(test_ends_and_begins)
{
    Scene x;

    three_guests(&x);
    add_process(&x, 0, 1000);
    look(&x, true);
    end_process(&x, 0);
    clock_usec += SEC;
    look(&x, true);
    ck_assert_int_eq(guests_by_uuid(&x.guests, guest(&x, 0)->info.uuid)->qemu.pid, 0);
    ck_assert_uint_eq(resident(&x, 0), 1000); /* as last seen */
    add_process(&x, 0, 500);
    (void) pass(&x, 3, true);
    ck_assert_uint_eq(resident(&x, 0), 500);
    end_process(&x, 0);
    clock_usec += SEC;
    look(&x, true);
    clock_usec += 20 * SEC;
    ck_assert_uint_eq(resident(&x, 0), 0);
    scene_done(&x);
}
END_TEST

START_TEST(test_missing_is_logged_once)
{
    int log = stderr_pipe();
    Scene x;

    log_open(LOG_INFO);
    scene_init(&x, 1000 * SEC);
    add_guest(&x, 0, 4 * GIB);
    add_guest(&x, 1, 4 * GIB);
    (void) caught_lines(log, "");
    (void) pass(&x, 20, true);
    ck_assert_uint_eq(caught_lines(log, ""), 0); /* it may be found yet */
    (void) pass(&x, 300, true);
    ck_assert_uint_eq(caught_lines(log, "guest0 and others: cannot find the QEMU process in"), 1);
    /* libvirt's figure is used. */
    guest_stats(guest(&x, 0), &(VirtStats){.has_rss = true, .rss_bytes = 900 * MIB}, clock_usec);
    ck_assert_uint_eq(resident(&x, 0), 900);
    ck_assert_int_eq(guest(&x, 0)->held.source, HELD_SOURCE_LIBVIRT);
    /* Found, and missing again. */
    add_process(&x, 0, 1000);
    add_process(&x, 1, 1000);
    (void) pass(&x, 70, true);
    ck_assert_int_eq(guest(&x, 0)->held.source, HELD_SOURCE_PROCESS);
    ck_assert_uint_eq(caught_lines(log, "cannot find"), 0);
    end_process(&x, 0);
    (void) pass(&x, 70, true);
    ck_assert_uint_eq(caught_lines(log, "guest0: cannot find the QEMU process in"), 1);
    scene_done(&x);
}
END_TEST

/* What all QEMUs read by major faults, as far as it is known. */
START_TEST(test_faults)
{
    Scene x;

    three_guests(&x);
    look(&x, true);
    ck_assert(isnan(x.looks.faults));
    add_process(&x, 0, 1000);
    x.looks.wait_usec = 0;
    look(&x, true);
    ck_assert(isnan(x.looks.faults));
    (void) pass(&x, 3, true);
    ck_assert_double_eq(x.looks.faults, 0);
    scene_done(&x);
}
END_TEST

/* A cycle looks, and says what is swapped in. */
START_TEST(test_cycle_looks)
{
    Scene x;

    three_guests(&x);
    add_process(&x, 0, 1000);
    cycle_run(&x.cycle);
    wait_for_search(&x);
    next_cycle(&x);
    ck_assert_uint_eq(resident(&x, 0), 1000);
    ck_assert(isnan(x.watch.faults));
    for (unsigned i = 0; i < 10; i++)
        next_cycle(&x);
    ck_assert_double_eq(x.watch.faults, 0);
    scene_done(&x);
}
END_TEST

/* The process of a guest that has broken out of its QEMU: whoever reads its arguments waits. */
static void add_process_that_hangs(const Scene *x, unsigned i)
{
    char path[128];

    add_process(x, i, 1);
    (void) snprintf(path, sizeof(path), "%s/%u/cmdline", x->folder, 100 + i);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
}

/* Lets go whoever waits. */
static void let_go(const Scene *x, unsigned i)
{
    char path[128];
    int fd = -1;

    (void) snprintf(path, sizeof(path), "%s/%u/cmdline", x->folder, 100 + i);
    while (fd < 0) { /* until the search has come so far */
        fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        ck_assert(fd >= 0 || errno == ENXIO);
        usleep(1000);
    }
    close(fd);
}

START_TEST(test_a2_a_process_that_cannot_be_read_holds_up_nothing)
{
    int log = stderr_pipe();
    Scene x;

    log_open(LOG_INFO);
    three_guests(&x);
    add_process(&x, 0, 1000);
    look(&x, true);
    ck_assert_uint_eq(resident(&x, 0), 1000);
    (void) caught_lines(log, "");

    add_process_that_hangs(&x, 9);
    add_process(&x, 0, 1500);
    for (unsigned i = 0; i < 60; i++) {
        clock_usec += SEC;
        report_all(&x);
        look_once(&x);
        while (qemu_search_process(x.looks.search) != 109) /* it has come so far */
            usleep(1000);
    }
    ck_assert_uint_eq(resident(&x, 0), 1500);
    ck_assert_uint_eq(resident(&x, 1), 0);
    ck_assert_uint_eq(caught_lines(log, "Process 109 has kept its arguments from being read for 20"), 1);
    look_once(&x);
    ck_assert_uint_eq(caught_lines(log, ""), 0);

    /* That process ends, and guest 1's is found. */
    let_go(&x, 9);
    end_process(&x, 9);
    add_process(&x, 1, 2000);
    wait_for_search(&x);
    (void) pass(&x, 130, true);
    ck_assert_uint_eq(caught_lines(log, "ballastd can search for QEMU processes again"), 1);
    ck_assert_uint_eq(resident(&x, 1), 2000);
    scene_done(&x);
}
END_TEST

/* The daemon may end before such a search does. */
START_TEST(test_a2_a_search_is_left_behind)
{
    Scene x;

    three_guests(&x);
    add_process_that_hangs(&x, 9);
    look_once(&x);
    ck_assert_ptr_nonnull(x.looks.search);
    looks_done(&x.looks);
    let_go(&x, 9);
    looks_init(&x.looks, x.folder);
    scene_done(&x);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("looks");

    tcase_add_test(tc, test_found_and_looked_at);
    tcase_add_test(tc, test_pace);
    tcase_add_test(tc, test_search);
    tcase_add_test(tc, test_ends_and_begins);
    tcase_add_test(tc, test_missing_is_logged_once);
    tcase_add_test(tc, test_faults);
    tcase_add_test(tc, test_cycle_looks);
    tcase_add_test(tc, test_a2_a_process_that_cannot_be_read_holds_up_nothing);
    tcase_add_test(tc, test_a2_a_search_is_left_behind);
    return run_tests(tc);
}
