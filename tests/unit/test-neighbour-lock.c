/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lock by which ballastds find each other: where it is, who has it, and what stands in its way. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/time-util.h"
#include "tests/unit/other-ballastd.h"
#include "tests/unit/temp-folder.h"

#define STRANGER 65533U /* no system user */
#define URI      "qemu:///system"

static char folder[TEMP_FOLDER_MAX], path[TEMP_FOLDER_MAX + 8];

static void setup(void)
{
    temp_folder_init(folder);
    snprintf(path, sizeof(path), "%s/lock", folder);
    setenv("RUNTIME_DIRECTORY", folder, 1);
}

static void teardown(void)
{
    temp_folder_done(folder);
}

static void expect_path(const char *uri, const char *expected)
{
    char buf[256];

    ck_assert_int_eq(neighbour_lock_path(uri, buf, sizeof(buf)), 0);
    ck_assert_str_eq(buf, expected);
}

START_TEST(test_paths)
{
    char buf[256];

    expect_path(URI, path);
    unsetenv("RUNTIME_DIRECTORY");
    expect_path(URI, "/run/ballast/lock");
    expect_path("qemu:///sessions", "/run/ballast/lock");

    setenv("XDG_RUNTIME_DIR", "/a", 1);
    setenv("XDG_CACHE_HOME", "/b", 1);
    setenv("HOME", "/c", 1);
    expect_path("qemu:///session", "/a/ballast/lock");
    expect_path("qemu+unix:///session?socket=/x", "/a/ballast/lock");
    setenv("RUNTIME_DIRECTORY", folder, 1); /* a user's own libvirt isn't the service's */
    expect_path("qemu:///session", "/a/ballast/lock");
    unsetenv("XDG_RUNTIME_DIR");
    expect_path("qemu:///session", "/b/ballast/lock");
    setenv("XDG_CACHE_HOME", "", 1);
    expect_path("qemu:///session", "/c/.cache/ballast/lock");
    unsetenv("HOME");
    ck_assert_int_eq(neighbour_lock_path("qemu:///session", buf, sizeof(buf)), -ENOENT);
    ck_assert_int_eq(neighbour_lock_path(URI, buf, 5), -ENAMETOOLONG);
}
END_TEST

static bool has_ended(const NeighbourLock *l)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};

    ck_assert_int_ge(l->fd, 0);
    ck_assert_int_ge(poll(&p, 1, 0), 0);
    return p.revents & POLLIN;
}

START_TEST(test_of_another)
{
    Other o = other_takes(URI);
    NeighbourLock l, of_others;

    ck_assert_int_eq(neighbour_lock(URI, &l), 0);
    ck_assert(!l.ours);
    ck_assert_int_eq(l.pid, o.pid);
    ck_assert(!has_ended(&l));
    /* Another libvirt has other guests. */
    ck_assert_int_eq(neighbour_lock("qemu+tcp://host/system", &of_others), 0);
    ck_assert(of_others.ours);
    neighbour_lock_done(&of_others);

    /* One that is stopped keeps it. */
    ck_assert_int_eq(kill(o.pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(o.pid, NULL, WUNTRACED), o.pid);
    ck_assert_int_eq(neighbour_lock(URI, &of_others), 0);
    ck_assert(!of_others.ours);
    neighbour_lock_done(&of_others);
    ck_assert_int_eq(kill(o.pid, SIGCONT), 0);

    /* The end of the other is reported at once, and then the lock is free. */
    other_ends(&o);
    ck_assert(has_ended(&l));
    neighbour_lock_done(&l);
    ck_assert_int_eq(l.fd, -EBADF);
    ck_assert_int_eq(neighbour_lock(URI, &l), 0);
    ck_assert(l.ours);
    neighbour_lock_done(&l);
}
END_TEST

START_TEST(test_a9_a_stranger_can_neither_take_nor_fill_it)
{
    NeighbourLock l;
    struct stat st;
    int status;
    pid_t pid;
    Other o;

    if (geteuid() != 0) {
        printf("skipped: becoming another user needs root\n");
        return;
    }
    ck_assert_int_eq(chmod(folder, 0755), 0);
    o = other_takes(URI);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode, S_IFREG | 0600);
    pid = fork();
    if (pid == 0) {
        if (setresuid(STRANGER, STRANGER, STRANGER) < 0)
            _exit(1);
        for (unsigned i = 0; i < 100; i++)
            if (neighbour_lock(URI, &l) != -EACCES || open(path, O_RDONLY | O_CLOEXEC) >= 0)
                _exit(2);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(neighbour_lock(URI, &l), 0);
    ck_assert(!l.ours);
    ck_assert_int_eq(l.pid, o.pid);
    neighbour_lock_done(&l);
    other_ends(&o);
}
END_TEST

/* What root makes in the service's folder, the service's user can open. */
START_TEST(test_of_the_folders_owner)
{
    NeighbourLock l;
    struct stat st;

    if (geteuid() != 0) {
        printf("skipped: giving a folder away needs root\n");
        return;
    }
    ck_assert_int_eq(chown(folder, STRANGER, STRANGER), 0);
    ck_assert_int_eq(neighbour_lock(URI, &l), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_uid, STRANGER);
    neighbour_lock_done(&l);
}
END_TEST

START_TEST(test_in_its_way)
{
    char target[TEMP_FOLDER_MAX + 8];
    NeighbourLock l;

    snprintf(target, sizeof(target), "%s/other", folder);
    temp_file(folder, "other", "text");
    ck_assert_int_eq(symlink(target, path), 0);
    ck_assert_int_eq(neighbour_lock(URI, &l), -ELOOP);
    ck_assert_int_eq(l.fd, -EBADF);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(neighbour_lock(URI, &l), -EMEDIUMTYPE);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_lt(neighbour_lock(URI, &l), 0);
    ck_assert_int_eq(rmdir(path), 0);

    /* The folder is made, but not what it is in. */
    setenv("RUNTIME_DIRECTORY", target, 1);
    ck_assert_int_eq(neighbour_lock(URI, &l), -ENOTDIR);
    ck_assert_int_eq(unlink(target), 0);
    ck_assert_int_eq(neighbour_lock(URI, &l), 0);
    ck_assert(l.ours);
    neighbour_lock_done(&l);
    setenv("RUNTIME_DIRECTORY", "/nowhere/at-all", 1);
    ck_assert_int_eq(neighbour_lock(URI, &l), -ENOENT);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("neighbour-lock");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_paths);
    tcase_add_test(tc, test_of_another);
    tcase_add_test(tc, test_a9_a_stranger_can_neither_take_nor_fill_it);
    tcase_add_test(tc, test_of_the_folders_owner);
    tcase_add_test(tc, test_in_its_way);
    return run_tests(tc);
}
