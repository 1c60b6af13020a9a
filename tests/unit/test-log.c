/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the journal, a supervisor and a person at a terminal get to see of a message. */

#include <check.h>
#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "tests/unit/caught-log.h"
#include "tests/unit/run.h"

static void expect_text(int fd, const char *expected)
{
    char text[3 * LOG_MESSAGE_MAX];
    ssize_t n = read(fd, text, sizeof(text) - 1);

    text[n < 0 ? 0 : n] = '\0';
    ck_assert_str_eq(text, expected);
}

typedef struct Journal {
    int fd;
    char folder[TEMP_FOLDER_MAX];
    char path[64];
} Journal;

static void journal_init(Journal *j)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    run_make_folder(j->folder);
    snprintf(j->path, sizeof(j->path), "%s/socket", j->folder);
    strcpy(address.sun_path, j->path);

    j->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(j->fd, 0);
    ck_assert_int_eq(bind(j->fd, (struct sockaddr *) &address, sizeof(address)), 0);
}

static void journal_done(Journal *j)
{
    close(j->fd);
    unlink(j->path);
    rmdir(j->folder);
}

static void expect_datagram(Journal *j, const void *expected, size_t length)
{
    char datagram[16384];
    ssize_t n = recv(j->fd, datagram, sizeof(datagram), 0);

    ck_assert_msg(n == (ssize_t) length && memcmp(datagram, expected, length) == 0, "got %zd bytes: %.*s", n,
                  (int) MAX(n, 0), datagram);
}

START_TEST(plain_on_stderr)
{
    int fd = stderr_pipe();
    const LogField fields[] = {{"VM", "web1"}};

    log_open(LOG_INFO);
    log_info("Started with %d guests", 3);
    expect_text(fd, "Started with 3 guests\n");
    log_error("It failed");
    expect_text(fd, "It failed\n");
    log_fields(LOG_NOTICE, "0123456789abcdef0123456789abcdef", fields, 1, "web1: 2 GiB to 1 GiB");
    expect_text(fd, "web1: 2 GiB to 1 GiB\n");
}
END_TEST

START_TEST(levels)
{
    int fd = stderr_pipe();

    log_open(LOG_WARNING);
    ck_assert_int_eq(log_level(), LOG_WARNING);
    log_notice("unheard");
    log_debug("unheard");
    expect_text(fd, "");
    log_warning("heard");
    expect_text(fd, "heard\n");
    log_set_level(LOG_DEBUG);
    log_debug("now heard");
    expect_text(fd, "now heard\n");
}
END_TEST

START_TEST(errors_and_errno)
{
    int fd = stderr_pipe();

    log_open(LOG_INFO);
    errno = EBUSY;
    ck_assert_int_eq(log_error_errno(-ENOENT, "No port: %m"), -ENOENT);
    expect_text(fd, "No port: No such file or directory\n");
    ck_assert_int_eq(errno, EBUSY);
    ck_assert_int_eq(log_warning_errno(EACCES, "Refused: %m"), -EACCES);
    expect_text(fd, "Refused: Permission denied\n");
    ck_assert_int_eq(log_debug_errno(EACCES, "unheard"), -EACCES);
    expect_text(fd, "");
    errno = EBUSY;
    log_info("Still: %m");
    ck_assert_int_eq(errno, EBUSY);
    expect_text(fd, "Still: Device or resource busy\n");
    ck_assert_int_eq(log_oom(), -ENOMEM);
    expect_text(fd, "Out of memory\n");
}
END_TEST

START_TEST(priorities_for_a_supervisor)
{
    int fd = stderr_pipe();
    char pid[32];

    snprintf(pid, sizeof(pid), "%ld", (long) getpid());
    setenv("SYSTEMD_EXEC_PID", pid, 1);
    log_open(LOG_INFO);
    log_error("first\nsecond");
    expect_text(fd, "<3>first\n<3>second\n");
    log_set_priority_prefix(false);
    log_error("third");
    expect_text(fd, "third\n");

    /* inherited from somebody else who was started by systemd */
    setenv("SYSTEMD_EXEC_PID", "1", 1);
    log_open(LOG_INFO);
    log_error("fourth");
    expect_text(fd, "fourth\n");
    log_set_priority_prefix(true);
    log_error("fifth");
    expect_text(fd, "<3>fifth\n");
}
END_TEST

START_TEST(no_commands_to_a_terminal)
{
    int fd = stderr_pipe();

    log_open(LOG_INFO);
    log_info("%s", "name \033]0;title\a\r\177 tab\tend, \303\274");
    expect_text(fd, "name ?]0;title??? tab\tend, \303\274\n");
}
END_TEST

START_TEST(colours_on_a_terminal_only)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;

    ck_assert_int_ge(master, 0);
    ck_assert_int_eq(grantpt(master), 0);
    ck_assert_int_eq(unlockpt(master), 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(slave, 0);
    ck_assert_int_eq(dup2(slave, STDERR_FILENO), STDERR_FILENO);
    unsetenv("JOURNAL_STREAM");
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);

    log_open(LOG_INFO);
    log_error("red");
    expect_text(master, "\033[1;31mred\033[0m\r\n");
    log_info("as it is");
    expect_text(master, "as it is\r\n");

    setenv("NO_COLOR", "1", 1);
    log_open(LOG_INFO);
    log_error("plain");
    expect_text(master, "plain\r\n");

    setenv("NO_COLOR", "", 1); /* empty counts as not set */
    setenv("TERM", "dumb", 1);
    log_open(LOG_INFO);
    log_error("plain");
    expect_text(master, "plain\r\n");
}
END_TEST

START_TEST(long_messages_are_cut)
{
    char text[2 * LOG_MESSAGE_MAX], expected[LOG_MESSAGE_MAX + 1];
    Journal j;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memset(expected, 'x', sizeof(expected));
    strcpy(expected + LOG_MESSAGE_MAX - 4, "...");

    journal_init(&j);
    log_open(LOG_INFO);
    log_set_journal(j.path);
    log_info("%s", text);
    {
        char datagram[3 * LOG_MESSAGE_MAX];
        ssize_t n = recv(j.fd, datagram, sizeof(datagram) - 1, 0);

        ck_assert_int_gt(n, 0);
        datagram[n] = '\0';
        ck_assert_ptr_nonnull(strstr(datagram, expected));
        ck_assert_uint_eq(strspn(strstr(datagram, "MESSAGE=") + 8, "x"), LOG_MESSAGE_MAX - 4);
    }
    journal_done(&j);
}
END_TEST

START_TEST(fields_in_the_journal)
{
    const LogField fields[] = {
        {"VM", "web1"}, {"BALLAST_FROM", "2147483648"}, {"NOTHING", NULL}, {"EMPTY", ""}};
    static const char expected[] = "PRIORITY=5\nSYSLOG_IDENTIFIER=test-log\nMESSAGE=web1: 2 GiB to 1 GiB\n"
                                   "MESSAGE_ID=0123456789abcdef0123456789abcdef\nVM=web1\n"
                                   "BALLAST_FROM=2147483648\nEMPTY=\n";
    int fd = stderr_pipe();
    Journal j;

    journal_init(&j);
    log_open(LOG_INFO);
    log_set_journal(j.path);
    log_fields(LOG_NOTICE, "0123456789abcdef0123456789abcdef", fields, ELEMENTSOF(fields),
               "web1: %d GiB to 1 GiB", 2);
    expect_datagram(&j, expected, sizeof(expected) - 1);
    expect_text(fd, "");
    journal_done(&j);
}
END_TEST

START_TEST(lines_in_the_journal)
{
    const LogField fields[] = {{"WHY", "one\ntwo"}};
    /* A value with a line break has its length in front, so that no value can pass for a field. */
    static const char expected[] =
        "PRIORITY=3\nSYSLOG_IDENTIFIER=test-log\n"
        "MESSAGE\n\x0c\0\0\0\0\0\0\0bad\nPRIORITY\nWHY\n\x07\0\0\0\0\0\0\0one\ntwo\n";
    Journal j;

    journal_init(&j);
    log_open(LOG_INFO);
    log_set_journal(j.path);
    log_fields(LOG_ERR, NULL, fields, 1, "bad\nPRIORITY");
    expect_datagram(&j, expected, sizeof(expected) - 1);
    journal_done(&j);
}
END_TEST

START_TEST(a_journal_that_is_gone_or_full)
{
    int fd = stderr_pipe(), small = 1;
    Journal j;
    char text[64];
    bool refused = false;

    journal_init(&j);
    ck_assert_int_eq(setsockopt(j.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    log_open(LOG_INFO);
    log_set_journal(j.path);

    /* the queue isn't read: sooner or later the queue is full, and the message comes to stderr at once */
    for (int i = 0; i < 10000 && !refused; i++) {
        log_info("message %d", i);
        refused = read(fd, text, sizeof(text)) > 0;
    }
    ck_assert(refused);

    /* it reads again: messages go there again */
    while (recv(j.fd, text, sizeof(text), 0) > 0)
        ;
    log_info("back");
    expect_text(fd, "");
    ck_assert_int_gt(recv(j.fd, text, sizeof(text), 0), 0);

    journal_done(&j);
    log_info("gone");
    expect_text(fd, "gone\n");

    log_set_journal(NULL);
    log_info("given up");
    expect_text(fd, "given up\n");
}
END_TEST

START_TEST(the_journal_stream_is_known_by_its_inode)
{
    int fd = stderr_pipe();
    char stream[64];
    struct stat st;

    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);

    /* Another's: stays plain. */
    snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long) st.st_dev, (unsigned long) st.st_ino + 1);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open(LOG_INFO);
    log_info("one");
    expect_text(fd, "one\n");

    /* Ours: the journal's socket; where there is none, its stream, with the priority that it reads. */
    snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long) st.st_dev, (unsigned long) st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open(LOG_INFO);
    if (access("/run/systemd/journal/socket", F_OK) == 0) {
        printf("skipped: this machine has a journal, which would get the test's message\n");
        return;
    }
    log_info("two");
    expect_text(fd, "<6>two\n");
}
END_TEST

START_TEST(a_full_stderr_holds_nobody_up)
{
    int fd = stderr_pipe();
    char text[64];

    ck_assert_int_ge(fcntl(fd, F_SETPIPE_SZ, 4096), 4096);
    log_open(LOG_INFO);
    /* The pipe takes 4096 bytes. If this blocks, the test times out. */
    for (int i = 0; i < 1000; i++)
        log_info("a line of a good length that nobody reads, number %d", i);
    ck_assert_int_gt(read(fd, text, sizeof(text)), 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("log");

    tcase_add_test(tc, plain_on_stderr);
    tcase_add_test(tc, levels);
    tcase_add_test(tc, errors_and_errno);
    tcase_add_test(tc, priorities_for_a_supervisor);
    tcase_add_test(tc, no_commands_to_a_terminal);
    tcase_add_test(tc, colours_on_a_terminal_only);
    tcase_add_test(tc, long_messages_are_cut);
    tcase_add_test(tc, fields_in_the_journal);
    tcase_add_test(tc, lines_in_the_journal);
    tcase_add_test(tc, a_journal_that_is_gone_or_full);
    tcase_add_test(tc, the_journal_stream_is_known_by_its_inode);
    tcase_add_test(tc, a_full_stderr_holds_nobody_up);
    return run_tests(tc);
}
