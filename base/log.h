/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Logging of the two agents. base, proto, policy and decide never log.
 *
 * If stderr is the journal's stream (JOURNAL_STREAM names it), messages go to the journal's native socket
 * with their fields. Otherwise they go to stderr: with "<N>" in front for a supervisor that reads priorities
 * (SYSTEMD_EXEC_PID or --log-priority), plain on a terminal or in a file. Logging never blocks: a message
 * that a full journal socket refuses goes to stderr, and one that stderr does not take is dropped.
 *
 * Logging never allocates and does not change errno. Any thread may log. */

#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

#include "base/macro.h"

/* Call once at start. Level: LOG_ERR … LOG_DEBUG; messages above it are dropped. */
void log_open(int level);
void log_set_level(int level);
int log_level(void);
/* --log-priority: writes "<N>" in front of lines on stderr or not, whatever log_open() decided. */
void log_set_priority_prefix(bool on);
/* Sends messages to this socket by the journal's native protocol, whatever stderr is (NULL: to stderr). */
void log_set_journal(const char *socket_path);

/* A field of a structured message: "KEY=value" in the journal, left out on stderr. */
typedef struct LogField {
    const char *key;   /* upper case, [A-Z0-9_] */
    const char *value; /* borrowed for the call; NULL: the field is left out */
} LogField;

#define LOG_FIELDS_MAX 24 /* of one message; more are a bug */
#define LOG_MESSAGE_MAX \
    4096 /* bytes of a message's text, with the NUL; a longer one is cut and ends in "..." */

void log_full(int level, const char *format, ...) _printf_(2, 3);
/* As log_full with errno set to |error| for %m; returns -|error|. */
int log_full_errno(int level, int error, const char *format, ...) _printf_(3, 4);
/* As log_full, and in the journal MESSAGE_ID (32 hex digits, or NULL) and n fields. */
void log_fields(int level, const char *message_id, const LogField *fields, size_t n, const char *format, ...)
    _printf_(5, 6);

#define log_error(...)   log_full(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_full(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_full(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_full(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_full(LOG_DEBUG, __VA_ARGS__)

#define log_error_errno(error, ...)   log_full_errno(LOG_ERR, error, __VA_ARGS__)
#define log_warning_errno(error, ...) log_full_errno(LOG_WARNING, error, __VA_ARGS__)
#define log_debug_errno(error, ...)   log_full_errno(LOG_DEBUG, error, __VA_ARGS__)
#define log_oom()                     log_error_errno(ENOMEM, "Out of memory")
