/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is logged, caught from stderr. Each test is a process of its own. */

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* stderr goes into the pipe whose other end is returned. */
static inline int stderr_pipe(void)
{
    int fds[2];

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    ck_assert_int_eq(fcntl(fds[1], F_SETFL, 0), 0);
    ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    close(fds[1]);
    unsetenv("JOURNAL_STREAM");
    unsetenv("SYSTEMD_EXEC_PID");
    return fds[0];
}

/* How many lines with this text were logged since the last look; "" counts all. */
static inline unsigned caught_lines(int fd, const char *text)
{
    static char log[65536];
    ssize_t length = read(fd, log, sizeof(log) - 1);
    unsigned n = 0;
    char *rest = log;

    log[length < 0 ? 0 : length] = '\0';
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        n += *line && strstr(line, text);
    return n;
}
