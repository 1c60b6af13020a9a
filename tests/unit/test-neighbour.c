/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which processes count as neighbours. */

#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/time-util.h"
#include "host-agent/sense/neighbour-scan.h"
#include "tests/unit/run.h"

#define STRANGER 65533U /* no system user */

static char folder[TEMP_FOLDER_MAX];

static void write_file(const char *pid, const char *name, const char *data, size_t length)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/%s/%s", folder, pid, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, length), (ssize_t) length);
    close(fd);
}

static void add_process(const char *pid, const char *comm, const char *command, size_t length)
{
    char path[64], status[128];
    uid_t uid = geteuid();

    snprintf(path, sizeof(path), "%s/%s", folder, pid);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    write_file(pid, "comm", comm, strlen(comm));
    write_file(pid, "cmdline", command, length);
    snprintf(status, sizeof(status), "Name:\t%.4s\nUid:\t%u\t%u\t%u\t%u\nNSpid:\t%s\n", comm, uid, uid, uid,
             uid, pid);
    write_file(pid, "status", status, strlen(status));
}

static void remove_process(const char *pid)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s/comm", folder, pid);
    unlink(path);
    snprintf(path, sizeof(path), "%s/%s/cmdline", folder, pid);
    unlink(path);
    snprintf(path, sizeof(path), "%s/%s/status", folder, pid);
    unlink(path);
    snprintf(path, sizeof(path), "%s/%s", folder, pid);
    ck_assert_int_eq(rmdir(path), 0);
}

static void setup(void)
{
    run_make_folder(folder);
}

static void teardown(void)
{
    ck_assert_int_eq(rmdir(folder), 0);
}

#define COMMAND(text) text, sizeof(text) /* with its last NUL */

START_TEST(processes)
{
    static const struct {
        const char *comm, *command;
        size_t length;
        Neighbour found; /* INVALID: none */
    } cases[] = {
        {"momd\n", COMMAND("/usr/bin/python3\0/usr/sbin/momd\0-c\0/etc/vdsm/mom.conf"), NEIGHBOUR_MOMD},
        {"momd\n", COMMAND(""), NEIGHBOUR_MOMD},
        {"python3\n", COMMAND("python3\0/usr/sbin/momd\0-c\0/etc/mom.conf"), NEIGHBOUR_MOMD},
        {"python3.11\n", COMMAND("/usr/bin/python3.11\0-u\0-B\0momd"), NEIGHBOUR_MOMD},
        {"ksmtuned\n", COMMAND("/bin/bash\0/usr/sbin/ksmtuned"), NEIGHBOUR_KSMTUNED},
        {"bash\n", COMMAND("bash\0/usr/sbin/ksmtuned"), NEIGHBOUR_KSMTUNED},
        {"sh\n", COMMAND("/bin/sh\0-x\0/usr/sbin/ksmtuned"), NEIGHBOUR_KSMTUNED},
        /* They speak of them, and aren't them. */
        {"vi\n", COMMAND("vi\0/usr/sbin/momd"), NEIGHBOUR_INVALID},
        {"bash\n", COMMAND("bash\0-c\0grep momd /var/log/syslog"), NEIGHBOUR_INVALID},
        {"python3\n", COMMAND("python3\0/usr/bin/other\0momd"), NEIGHBOUR_INVALID},
        {"python3\n", COMMAND("python3"), NEIGHBOUR_INVALID},
        {"python3\n", "", 0, NEIGHBOUR_INVALID},
        {"python3\n", "python3\0/usr/sbin/momd", 10, NEIGHBOUR_INVALID}, /* cut off */
        {"momd2\n", COMMAND("momd2"), NEIGHBOUR_INVALID},
        {"kworker/0:1-mom\n", "", 0, NEIGHBOUR_INVALID},
        {"", "", 0, NEIGHBOUR_INVALID},
        {"ballastd\n", COMMAND("/usr/sbin/ballastd\0--system"), NEIGHBOUR_INVALID}, /* known by its lock */
    };
    pid_t pids[NEIGHBOUR_MAX];

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        add_process("4711", cases[i].comm, cases[i].command, cases[i].length);
        memset(pids, 0x55, sizeof(pids));
        ck_assert_int_eq(neighbour_scan(folder, geteuid(), pids), 0);
        for (Neighbour n = 0; n < NEIGHBOUR_MAX; n++)
            ck_assert_msg(pids[n] == (n == cases[i].found ? 4711 : 0), "%s %s", cases[i].comm,
                          cases[i].command);
        remove_process("4711");
    }
}
END_TEST

/* A process goes between two looks at it; what is no process is passed over; a script's very long name. */
START_TEST(odd_folders)
{
    char command[4096], path[64];
    pid_t pids[NEIGHBOUR_MAX];

    add_process("1", "init\n", "init", 5);
    add_process("22", "python3\n", "", 0);
    memset(command, 'x', sizeof(command));
    write_file("22", "cmdline", command, sizeof(command));
    add_process("333", "momd\n", "momd", 5);
    add_process("self", "ksmtuned\n", "ksmtuned", 9);
    add_process("12x", "ksmtuned\n", "ksmtuned", 9);
    add_process("99999999999", "ksmtuned\n", "ksmtuned", 9);
    snprintf(path, sizeof(path), "%s/44", folder);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ck_assert_int_eq(neighbour_scan(folder, geteuid(), pids), 0);
    ck_assert_int_eq(pids[NEIGHBOUR_MOMD], 333);
    ck_assert_int_eq(pids[NEIGHBOUR_KSMTUNED], 0);
    for (size_t i = 0; i < 6; i++)
        remove_process((const char *[]){"1", "22", "333", "self", "12x", "99999999999"}[i]);
    rmdir(path);
    ck_assert_int_eq(neighbour_scan("/nowhere", 0, pids), -ENOENT);
}
END_TEST

#define HERE "NSpid:\t7\n"

/* Anybody may call a process momd, also one of a set-user-ID program: an ordinary user's isn't one. */
START_TEST(whose_processes_count)
{
    static const struct {
        const char *status;
        uid_t own_uid;
        bool counts;
    } cases[] = {
        {"Name:\tmomd\nUmask:\t0022\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n" HERE, 5, true},
        {"Name:\tmomd\nUid:\t107\t107\t107\t107\n" HERE, 5, true}, /* a system user */
        {"Name:\tmomd\nUid:\t65533\t65533\t65533\t65533\n" HERE, 5, false},
        {"Name:\tmomd\nUid:\t65533\t65533\t65533\t65533\n" HERE, 65533, true}, /* our own */
        {"Name:\tmomd\nUid:\t65533\t0\t0\t0\n" HERE, 5, false},                /* su, called momd */
        {"Name:\tmomd\nUid:\t0\t65533\t0\t65533\n" HERE, 5, false},
        {"Name:\tmomd\nUid:\t0\t0\t65533\t0\n" HERE, 5, false},
        {"Name:\tmomd\nUid:\t0\t0\n" HERE, 5, false},
        {"Name:\tmomd\\nUid:\t0\t0\t0\t0\nUid:\t65533\t65533\t65533\t65533\n" HERE, 5, false},
        {"", 5, false},
        /* In a container, and where it isn't known. */
        {"Name:\tmomd\nUid:\t0\t0\t0\t0\nNSpid:\t7\t1\n", 5, false},
        {"Name:\tmomd\nUid:\t65533\t65533\t65533\t65533\nNSpid:\t7\t1\n", 65533, false},
        {"Name:\tmomd\nUid:\t0\t0\t0\t0\n", 5, false},
    };
    pid_t pids[NEIGHBOUR_MAX];

    add_process("7", "momd\n", "momd", 5);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        write_file("7", "status", cases[i].status, strlen(cases[i].status));
        ck_assert_int_eq(neighbour_scan(folder, cases[i].own_uid, pids), 0);
        ck_assert_msg(pids[NEIGHBOUR_MOMD] == (cases[i].counts ? 7 : 0), "%s", cases[i].status);
    }
    remove_process("7");
}
END_TEST

/* Its groups come before its namespaces: 65,536 are the most that Linux gives a process. */
START_TEST(test_a5_a_process_with_many_groups)
{
    static char status[1024 * 1024];
    pid_t pids[NEIGHBOUR_MAX];
    int n = 0;

    add_process("7", "momd\n", "momd", 5);
    n = snprintf(status, sizeof(status), "Name:\tmomd\nUid:\t0\t0\t0\t0\nGroups:\t");
    for (unsigned i = 0; i < 65536; i++)
        n += snprintf(status + n, sizeof(status) - (size_t) n, "%u ", 4000000000U + i);
    n += snprintf(status + n, sizeof(status) - (size_t) n, "\n" HERE);
    write_file("7", "status", status, (size_t) n);
    ck_assert_int_eq(neighbour_scan(folder, geteuid(), pids), 0);
    ck_assert_int_eq(pids[NEIGHBOUR_MOMD], 7);
    remove_process("7");
}
END_TEST

/* The arguments of another user's process, and of a container's, may be ones that never come: here they are a pipe
 * without a writer. */
START_TEST(test_a2_arguments_of_strangers_are_not_read)
{
    static const char *const statuses[] = {
        "Name:\tsh\nUid:\t65533\t65533\t65533\t65533\n" HERE, "Name:\tsh\nUid:\t65533\t0\t0\t0\n" HERE,
        "Name:\tsh\nUid:\t107\t107\t107\t107\n" HERE, /* a guest that has broken out of a QEMU of qemu's */
        "Name:\tsh\nUid:\t0\t0\t0\t0\nNSpid:\t7\t1\n",        "",
    };
    static const char *const comms[] = {"sh\n", "python3.11\n"};
    pid_t pids[NEIGHBOUR_MAX];
    char path[64];

    snprintf(path, sizeof(path), "%s/7/cmdline", folder);
    for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
        for (size_t c = 0; c < ELEMENTSOF(comms); c++) {
            add_process("7", comms[c], "", 0);
            write_file("7", "status", statuses[i], strlen(statuses[i]));
            ck_assert_int_eq(unlink(path), 0);
            ck_assert_int_eq(mkfifo(path, 0600), 0);
            ck_assert_int_eq(neighbour_scan(folder, geteuid(), pids), 0);
            ck_assert_int_eq(pids[NEIGHBOUR_MOMD], 0);
            remove_process("7");
        }
}
END_TEST

/* The real thing: a set-user-ID root program under that name, started by an ordinary user. */
START_TEST(set_user_id)
{
    char name[64];
    pid_t pids[NEIGHBOUR_MAX], pid;
    int status, in[2];

    if (geteuid() != 0 || access("/bin/su", X_OK) < 0) {
        printf("skipped: becoming another user needs root and su\n");
        return;
    }
    ck_assert_int_eq(chmod(folder, 0755), 0);
    snprintf(name, sizeof(name), "%s/ksmtuned", folder);
    ck_assert_int_eq(symlink("/bin/su", name), 0);
    ck_assert_int_eq(pipe(in), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (dup2(in[0], STDIN_FILENO) < 0 || close(in[1]) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
            dup2(null, STDERR_FILENO) < 0 || setresgid(STRANGER, STRANGER, STRANGER) < 0 ||
            setresuid(STRANGER, STRANGER, STRANGER) < 0)
            _exit(1);
        execl(name, name, (char *) NULL); /* waits for the password of root */
        _exit(1);
    }
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_int_eq(neighbour_scan("/proc", geteuid(), pids), 0);
        ck_assert_int_ne(pids[NEIGHBOUR_KSMTUNED], pid);
        usleep(2000);
    }
    close(in[0]);
    close(in[1]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(unlink(name), 0);
}
END_TEST

/* The machine's own, and what that costs. */
START_TEST(this_machine)
{
    pid_t pids[NEIGHBOUR_MAX];
    usec_t begin = now_usec(CLOCK_MONOTONIC);

    ck_assert_int_eq(neighbour_scan("/proc", geteuid(), pids), 0);
    printf("a scan of /proc took %" PRIu64 " us\n", now_usec(CLOCK_MONOTONIC) - begin);
    ck_assert_int_eq(pids[NEIGHBOUR_BALLASTD], 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("neighbour");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, processes);
    tcase_add_test(tc, odd_folders);
    tcase_add_test(tc, whose_processes_count);
    tcase_add_test(tc, test_a5_a_process_with_many_groups);
    tcase_add_test(tc, test_a2_arguments_of_strangers_are_not_read);
    tcase_add_test(tc, set_user_id);
    tcase_add_test(tc, this_machine);
    return run_tests(tc);
}
