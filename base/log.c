/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Writes log messages to the journal or to stderr. */

#include "base/log.h"

#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Where messages go. Set when the program starts, before it has threads; only the level may change later. */
static struct {
    _Atomic int level;
    bool priority_prefix;
    bool colour;
    int journal_fd; /* -EBADF: stderr */
    struct sockaddr_un journal;
} target = {.level = LOG_INFO, .journal_fd = -EBADF};

/* JOURNAL_STREAM is "<device>:<inode>" of the stream that the service manager connected to stderr. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char own[64];
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st) < 0)
        return false;

    snprintf(own, sizeof(own), "%" PRIu64 ":%" PRIu64, (uint64_t) st.st_dev, (uint64_t) st.st_ino);
    return strcmp(stream, own) == 0;
}

/* Whether the service manager started this very process: its child processes inherit the variable. */
static bool started_by_systemd(void)
{
    const char *pid = getenv("SYSTEMD_EXEC_PID");
    char own[32];

    snprintf(own, sizeof(own), "%ld", (long) getpid());
    return pid && strcmp(pid, own) == 0;
}

static bool wants_colour(void)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDERR_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

void log_set_journal(const char *socket_path)
{
    closep(&target.journal_fd);
    target.journal_fd = -EBADF;

    if (!socket_path || strlen(socket_path) >= sizeof(target.journal.sun_path))
        return;

    target.journal = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(target.journal.sun_path, socket_path, strlen(socket_path));
    /* Not connected, so that it still works after the journal was restarted. */
    target.journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

void log_open(int level)
{
    bool journal = stderr_is_journal(), terminal = isatty(STDERR_FILENO);

    log_set_level(level);
    log_set_priority_prefix(journal || (started_by_systemd() && !terminal));
    target.colour = wants_colour();
    log_set_journal(journal ? JOURNAL_SOCKET : NULL);
}

void log_set_level(int level)
{
    target.level = level;
}

int log_level(void)
{
    return target.level;
}

void log_set_priority_prefix(bool on)
{
    target.priority_prefix = on;
}

/* The datagram under construction. Its pieces are borrowed; the lengths of long values are kept here. */
typedef struct Datagram {
    struct iovec piece[5 * (LOG_FIELDS_MAX + 4)];
    size_t n_pieces;
    uint64_t length[LOG_FIELDS_MAX + 4];
    size_t n_lengths;
} Datagram;

static void add_piece(Datagram *d, const void *data, size_t length)
{
    assert(d->n_pieces < ELEMENTSOF(d->piece));
    d->piece[d->n_pieces++] = (struct iovec){.iov_base = (void *) data, .iov_len = length};
}

/* The journal's native protocol: "KEY=value\n", or for a value with line breaks, "KEY\n", its length as 64
 * bits little-endian, the value, "\n". */
static void add_field(Datagram *d, const char *key, const char *value)
{
    size_t length;

    if (!value)
        return;

    length = strlen(value);
    add_piece(d, key, strlen(key));
    if (strchr(value, '\n')) {
        assert(d->n_lengths < ELEMENTSOF(d->length));
        d->length[d->n_lengths] = htole64(length);
        add_piece(d, "\n", 1);
        add_piece(d, &d->length[d->n_lengths++], sizeof(uint64_t));
    } else
        add_piece(d, "=", 1);
    add_piece(d, value, length);
    add_piece(d, "\n", 1);
}

static bool send_to_journal(int level, const char *message_id, const LogField *fields, size_t n,
                            const char *message)
{
    const char priority[] = {(char) ('0' + level), '\0'};
    Datagram d;
    struct msghdr h;

    if (target.journal_fd < 0)
        return false;

    d.n_pieces = d.n_lengths = 0;
    add_field(&d, "PRIORITY", priority);
    add_field(&d, "SYSLOG_IDENTIFIER", program_invocation_short_name);
    add_field(&d, "MESSAGE", message);
    add_field(&d, "MESSAGE_ID", message_id);
    for (size_t i = 0; i < n; i++)
        add_field(&d, fields[i].key, fields[i].value);

    h = (struct msghdr){
        .msg_name = &target.journal,
        .msg_namelen = sizeof(target.journal),
        .msg_iov = d.piece,
        .msg_iovlen = d.n_pieces,
    };
    return sendmsg(target.journal_fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static const char *colour_of(int level)
{
    if (!target.colour)
        return "";
    if (level <= LOG_ERR)
        return "\033[1;31m";
    if (level == LOG_WARNING)
        return "\033[1;33m";
    if (level == LOG_NOTICE)
        return "\033[1m";
    return level == LOG_DEBUG ? "\033[2m" : "";
}

/* Writes the whole line at once, so that lines of several threads don't mix. A pipe that is writable by
 * poll() takes PIPE_BUF bytes without blocking. A socket gets MSG_DONTWAIT, as O_NONBLOCK would hold for all
 * processes that share it. */
static void write_line(const char *line, size_t length)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t n;

    if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLOUT))
        return;

    n = send(STDERR_FILENO, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == ENOTSOCK)
        n = write(STDERR_FILENO, line, length);
    (void) n; /* nothing more can be done */
}

/* Writes each line of the message as a line with the priority in front, as a supervisor reads it. Control
 * characters that a terminal could take for a command are replaced. */
static void write_to_stderr(int level, const char *message)
{
    char line[LOG_MESSAGE_MAX];
    const char *colour = colour_of(level), *end_colour = *colour ? "\033[0m" : "";
    const size_t room = sizeof(line) - 16; /* without the end of the line and the NUL */

    for (const char *p = message, *end; p; p = *end ? end + 1 : NULL) {
        size_t n = 0;

        end = strchrnul(p, '\n');
        if (target.priority_prefix) {
            line[n++] = '<';
            line[n++] = (char) ('0' + level);
            line[n++] = '>';
        }
        n += (size_t) snprintf(line + n, sizeof(line) - n, "%s", colour);
        for (; p < end && n < room; p++)
            line[n++] = ((unsigned char) *p < ' ' && *p != '\t') || *p == '\177' ? '?' : *p;
        n += (size_t) snprintf(line + n, sizeof(line) - n, "%s\n", end_colour);

        write_line(line, n);
    }
}

_printf_(6, 0) static void log_v(int level, int error, const char *message_id, const LogField *fields,
                                 size_t n, const char *format, va_list ap)
{
    char message[LOG_MESSAGE_MAX];
    int length;

    assert(level >= LOG_EMERG && level <= LOG_DEBUG);
    assert(n <= LOG_FIELDS_MAX);

    errno = error;
    length = vsnprintf(message, sizeof(message), format, ap);
    if (length < 0)
        snprintf(message, sizeof(message), "(a message that could not be formatted: %s)", format);
    else if ((size_t) length >= sizeof(message))
        memcpy(message + sizeof(message) - 4, "...", 4);

    if (!send_to_journal(level, message_id, fields, n, message))
        write_to_stderr(level, message);
}

void log_full(int level, const char *format, ...)
{
    int saved_errno = errno;
    va_list ap;

    if (level > log_level())
        return;

    va_start(ap, format);
    log_v(level, saved_errno, NULL, NULL, 0, format, ap);
    va_end(ap);
    errno = saved_errno;
}

int log_full_errno(int level, int error, const char *format, ...)
{
    int saved_errno = errno;
    va_list ap;

    error = error < 0 ? -error : error;
    if (level > log_level())
        return -error;

    va_start(ap, format);
    log_v(level, error, NULL, NULL, 0, format, ap);
    va_end(ap);
    errno = saved_errno;
    return -error;
}

void log_fields(int level, const char *message_id, const LogField *fields, size_t n, const char *format, ...)
{
    int saved_errno = errno;
    va_list ap;

    if (level > log_level())
        return;

    va_start(ap, format);
    log_v(level, saved_errno, message_id, fields, n, format, ap);
    va_end(ap);
    errno = saved_errno;
}
