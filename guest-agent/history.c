/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Writes down what the hypervisor did to this guest. */

#include "guest-agent/history.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fileio.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/units.h"

/* Requests of one kind share a line for so long, and so long it is from one message in the journal to the
 * next: a host that is short of memory may ask every second. */
#define SHARE_USEC (60 * USEC_PER_SEC)

/* A smaller change of MemTotal than this is no news, and one smaller than that between two reports means that
 * the balloon has stopped. */
#define SIZE_NEWS_BYTES    (16 * MIB)
#define SIZE_SETTLED_BYTES (4 * MIB)

static uint64_t difference(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static void read_lines(History *h)
{
    char *text = NULL, *rest, *line;
    size_t size = 0;

    if (fileio_read(h->fd, true, HISTORY_LINES * HISTORY_LINE_MAX, &text, &size) >= 0)
        for (rest = text; h->n < HISTORY_LINES && (line = strsep(&rest, "\n"));)
            if (line[0] && strlen(line) < HISTORY_LINE_MAX)
                strcpy(h->line[h->n++], line);
    free(text);
}

void history_init(History *h, const char *run_folder)
{
    *h = HISTORY_INIT;
    h->run_folder = run_folder;
}

static void open_file(History *h)
{
    char path[PATH_MAX];

    if (h->opened)
        return;
    h->opened = true;
    snprintf(path, sizeof(path), "%s/" HISTORY_FILE_NAME, h->run_folder);
    /* The folder is made by tmpfiles or the lever helper, but there may be no helper. */
    (void) mkdir(h->run_folder, 0755);
    h->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0644);
    if (h->fd < 0) {
        log_debug_errno(errno, "Cannot open %s, so the history is only in the journal: %m", path);
        h->fd = -EBADF;
        return;
    }
    read_lines(h);
}

void history_done(History *h)
{
    closep(&h->fd);
    h->fd = -EBADF;
}

static void write_lines(const History *h)
{
    char text[HISTORY_LINES * (HISTORY_LINE_MAX + 1)];
    int n = 0;

    if (h->fd < 0)
        return;
    for (unsigned i = 0; i < h->n; i++)
        n += snprintf(text + n, sizeof(text) - (size_t) n, "%s\n", h->line[i]);
    if (pwrite(h->fd, text, (size_t) n, 0) == n)
        (void) !ftruncate(h->fd, n);
}

static const char *why_text(LeverEnd why)
{
    switch (why) {
    case LEVER_END_DONE:
        return "";
    case LEVER_END_REFAULTS:
        return "; stopped, as it was read again";
    case LEVER_END_STALLS:
        return "; stopped, as tasks waited for memory";
    case LEVER_END_NO_MORE:
        return "; there was no more";
    case LEVER_END_STOPPED:
        return "; stopped, as this guest is short of memory";
    case LEVER_END_FAILED:
    case LEVER_END_BUSY:
    case LEVER_END_MAX:
        break;
    }
    return "; failed";
}

static void describe_reclaim(const HistoryEntry *e, char *buf, size_t size)
{
    char got[UNITS_FORMAT_MAX], wanted[UNITS_FORMAT_MAX], again[UNITS_FORMAT_MAX];

    snprintf(buf, size, "%s reclaimed for the hypervisor: %s of %s asked for, %s read again%s%s%s",
             e->anon ? "Memory" : "Page cache", format_size(got, e->got_bytes),
             format_size(wanted, e->wanted_bytes), format_size(again, e->refaulted_bytes), why_text(e->why),
             e->error > 0 ? ": " : "", e->error > 0 ? strerror(e->error) : "");
}

static void describe_compact(const HistoryEntry *e, char *buf, size_t size)
{
    char got[UNITS_FORMAT_MAX];

    snprintf(buf, size, "Memory compacted for the hypervisor: %s more free in large blocks%s%s%s",
             format_size(got, e->got_bytes), why_text(e->why), e->error > 0 ? ": " : "",
             e->error > 0 ? strerror(e->error) : "");
}

static void describe_balloon(const HistoryEntry *e, char *buf, size_t size)
{
    char change[UNITS_FORMAT_MAX], now[UNITS_FORMAT_MAX];

    snprintf(buf, size, "The hypervisor's balloon %s %s: this guest has %s",
             e->got_bytes < e->wanted_bytes ? "took" : "gave back",
             format_size(change, difference(e->got_bytes, e->wanted_bytes)), format_size(now, e->got_bytes));
}

static void describe(const HistoryEntry *e, char *buf, size_t size)
{
    size_t n;

    if (e->kind == HISTORY_RECLAIM)
        describe_reclaim(e, buf, size);
    else if (e->kind == HISTORY_COMPACT)
        describe_compact(e, buf, size);
    else
        describe_balloon(e, buf, size);
    n = strlen(buf);
    if (e->requests > 1)
        snprintf(buf + n, size - n, " (%u requests)", e->requests);
}

static void log_entry(History *h, const char *text, usec_t now)
{
    if (usec_since(h->logged_usec, now) < SHARE_USEC) {
        h->unlogged++;
        return;
    }
    if (h->unlogged > 0)
        log_info("%s; %u requests since the last message", text, h->unlogged + 1);
    else
        log_info("%s", text);
    h->logged_usec = now;
    h->unlogged = 0;
}

/* Writes e as the last line: as a new one, or in place of what it goes on with. */
static void put(History *h, const HistoryEntry *e, bool is_new, usec_t now)
{
    char text[HISTORY_LINE_MAX - 32];
    struct tm tm;
    size_t n;

    open_file(h);
    describe(e, text, sizeof(text));
    if (is_new && h->n == HISTORY_LINES) {
        memmove(h->line[0], h->line[1], sizeof(h->line) - sizeof(h->line[0]));
        h->n--;
    }
    if (is_new)
        h->n++;
    n = strftime(h->line[h->n - 1], HISTORY_LINE_MAX, "%FT%TZ ", gmtime_r(&e->at, &tm));
    snprintf(h->line[h->n - 1] + n, HISTORY_LINE_MAX - n, "%s", text);
    h->last = *e;
    write_lines(h);
    log_entry(h, text, now);
}

void history_add_request(History *h, const Message *request, const Message *result, usec_t now)
{
    HistoryKind kind = request->type == MESSAGE_RECLAIM ? HISTORY_RECLAIM : HISTORY_COMPACT;
    HistoryEntry e = {.kind = kind, .began_usec = now, .at = time(NULL), .anon = request->anon};
    bool goes_on = h->last.kind == kind && h->last.anon == request->anon &&
                   usec_since(h->last.began_usec, now) < SHARE_USEC;

    if (goes_on)
        e = h->last;
    e.requests++;
    e.wanted_bytes += request->bytes;
    e.got_bytes += result->bytes;
    e.refaulted_bytes += result->refaulted_bytes;
    e.why = result->why;
    e.error = result->error;
    put(h, &e, !goes_on, now);
}

void history_see_size(History *h, uint64_t bytes, usec_t now)
{
    if (h->size_bytes == 0)
        h->size_bytes = bytes;
    else if (difference(bytes, h->size_bytes) >= SIZE_NEWS_BYTES &&
             difference(bytes, h->seen_bytes) < SIZE_SETTLED_BYTES) {
        put(h,
            &(HistoryEntry){.kind = HISTORY_BALLOON,
                            .began_usec = now,
                            .at = time(NULL),
                            .requests = 1,
                            .wanted_bytes = h->size_bytes,
                            .got_bytes = bytes},
            true, now);
        h->size_bytes = bytes;
    }
    h->seen_bytes = bytes;
}
