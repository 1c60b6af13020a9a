/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Carries out what the host asks for, through the lever helper. */

#include "guest-agent/levers.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/macro.h"

/* How often to look whether a missing helper has come. */
#define RETRY_USEC (30 * USEC_PER_SEC)

/* After a helper ended in the middle: so long its supervisor has to start the next one, which puts back what
 * was changed. */
#define RESTART_USEC (2 * USEC_PER_SEC)

/* Far above what any request takes: compaction of a large guest takes the longest. */
#define HANG_USEC (5 * 60 * USEC_PER_SEC)

/* Reading the ages means a walk over all page tables. */
#define AGES_INTERVAL_USEC (5 * 60 * USEC_PER_SEC)
#define AGES_VALID_USEC    (2 * AGES_INTERVAL_USEC)

/* The helper's bits are Hello's. */
_Static_assert((int) LEVER_CAN_COMPACT == (int) HELLO_FEATURE_COMPACT, "");
_Static_assert((int) LEVER_CAN_RECLAIM_FILE == (int) HELLO_FEATURE_RECLAIM_FILE, "");
_Static_assert((int) LEVER_CAN_RECLAIM_ANON == (int) HELLO_FEATURE_RECLAIM_ANON, "");

static bool is_running(const Levers *l)
{
    return l->request.type != MESSAGE_TYPE_INVALID;
}

static void disconnect(Levers *l)
{
    closep(&l->fd);
    l->fd = -EBADF;
    l->state = LEVERS_IDLE;
}

/* What the kernel can do from now on. */
static void set_levers(Levers *l, uint32_t can, const char *missing)
{
    bool news = can != l->can || strncmp(missing, l->missing, sizeof(l->missing)) != 0 || !l->probed;

    l->can = can;
    snprintf(l->missing, sizeof(l->missing), "%s", missing);
    if (!news)
        return;
    if (can & HELLO_FEATURE_LEVERS)
        log_info("The hypervisor may have this guest%s%s%s%s%s",
                 can & LEVER_CAN_COMPACT ? " compact memory" : "",
                 can & LEVER_CAN_COMPACT && can & LEVER_CAN_RECLAIM_FILE ? " and" : "",
                 can & LEVER_CAN_RECLAIM_FILE ? " reclaim page cache" : "", missing[0] ? "; missing: " : "",
                 missing);
    else
        log_info("The hypervisor cannot have this guest compact or reclaim memory: %s", missing);
}

/* Ends the host's request. */
static void finish(Levers *l, LeverEnd why, int error, usec_t now)
{
    disconnect(l);
    l->result = (Message){.type = MESSAGE_RECLAIMED,
                          .id = l->request.id,
                          .bytes = l->pace.got_bytes,
                          .refaulted_bytes = l->pace.refaulted_bytes,
                          .stalled_usec = l->pace.stalled_usec,
                          .cpu_usec = l->pace.cpu_usec,
                          .why = why,
                          .error = error};
    /* There is less cold cache now. */
    l->ages_usec = now;
}

static const char *lost_text(int error)
{
    switch (error) {
    case ENOENT:
    case ECONNREFUSED:
        return "no lever helper";
    case EACCES:
        return "lever helper: access denied";
    default:
        return "lever helper: failed";
    }
}

/* The helper can't be reached, or ended in the middle, or hangs. */
static void lost(Levers *l, int error, usec_t now)
{
    bool is_request = l->asked != LEVER_PROBE && l->asked != LEVER_AGES;
    bool ended = error == ECONNRESET || error == EPIPE;

    disconnect(l);
    log_debug_errno(error, "The lever helper doesn't answer: %m");
    if (is_request)
        finish(l, LEVER_END_FAILED, error, now);
    if (ended && l->asked != LEVER_PROBE) {
        l->probe_usec = now + RESTART_USEC;
        return;
    }
    if (error == EAGAIN && l->asked != LEVER_PROBE) /* it has too many clients */
        return;
    set_levers(l, 0, lost_text(error));
    l->probed = true;
    l->probe_usec = now + RETRY_USEC;
}

static int connect_helper(Levers *l)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = l->source};
    _cleanup_close_ int fd = -EBADF;

    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", l->socket_path) >=
        (int) sizeof(address.sun_path))
        return -ENAMETOOLONG;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ||
        epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
        return -errno;
    l->fd = TAKE_FD(fd);
    return 0;
}

static void ask(Levers *l, LeverVerb verb, uint64_t bytes, usec_t now)
{
    LeverRequest q = {.verb = verb, .bytes = bytes};
    int r;

    l->asked = verb;
    r = l->fd < 0 ? connect_helper(l) : 0;
    if (r >= 0 && send(l->fd, &q, sizeof(q), MSG_NOSIGNAL) != (ssize_t) sizeof(q))
        r = -errno;
    if (r < 0) {
        lost(l, -r, now);
        return;
    }
    l->state = LEVERS_ASKED;
    l->due_usec = now + HANG_USEC;
}

static void ask_step(Levers *l, usec_t now)
{
    ask(l, l->request.anon ? LEVER_RECLAIM_ANON : LEVER_RECLAIM_FILE, pace_step(&l->pace), now);
}

/* What the request is paced or judged by. */
static int read_figures(const Levers *l, Report *ret)
{
    if (l->request.type == MESSAGE_COMPACT)
        return collector_read(l->collector, ret);
    collector_read_counters(l->collector, ret);
    return 0;
}

static void start_request(Levers *l, usec_t now)
{
    const Message *q = &l->request;
    Report before;
    int r;

    r = read_figures(l, &before);
    if (r < 0) {
        finish(l, LEVER_END_FAILED, -r, now);
        return;
    }
    pace_start(&l->pace, q->bytes, q->anon, &before);
    if (q->type == MESSAGE_COMPACT) {
        l->free_blocks = report_get(&before, REPORT_FREE_BLOCKS);
        ask(l, LEVER_COMPACT, 0, now);
    } else
        ask_step(l, now);
}

/* Looks at what the last step did, and takes the next one or ends. */
static void look(Levers *l, usec_t now)
{
    Report report;
    int r;

    r = read_figures(l, &report);
    if (r < 0) {
        finish(l, LEVER_END_FAILED, -r, now);
        return;
    }
    r = pace_look(&l->pace, &report);
    if (l->request.type == MESSAGE_COMPACT) {
        l->pace.got_bytes = LESS_BY(report_get(&report, REPORT_FREE_BLOCKS), l->free_blocks);
        r = LEVER_END_DONE;
    } else if (r == 0 && l->stopping)
        r = LEVER_END_STOPPED;
    if (r != 0)
        finish(l, (LeverEnd) r, 0, now);
    else
        ask_step(l, now);
}

static void answered(Levers *l, const LeverAnswer *a, usec_t now)
{
    set_levers(l, a->levers, a->missing);
    if (l->asked == LEVER_PROBE) {
        l->probed = true;
        l->probe_usec = USEC_INFINITY;
        disconnect(l);
    } else if (l->asked == LEVER_AGES) {
        if (a->error == 0) {
            collector_set_cold(l->collector, a->cold_bytes);
            l->cold_usec = now;
        }
        disconnect(l);
    } else if (a->error < 0)
        finish(l, LEVER_END_FAILED, -a->error, now);
    else {
        pace_stepped(&l->pace, a->got_bytes, a->cpu_usec);
        l->state = LEVERS_WAITING;
        l->due_usec = l->stopping ? now : now + PACE_WAIT_USEC;
    }
    /* One that came while the helper did something else. */
    if (l->state == LEVERS_IDLE && is_running(l) && l->result.type == MESSAGE_TYPE_INVALID)
        start_request(l, now);
}

void levers_init(Levers *l, const char *socket_path, Collector *collector, int epoll_fd, uint32_t source,
                 usec_t now)
{
    *l = (Levers){.socket_path = socket_path,
                  .collector = collector,
                  .epoll_fd = epoll_fd,
                  .source = source,
                  .fd = -EBADF,
                  .probe_usec = USEC_INFINITY,
                  .request = {.type = MESSAGE_TYPE_INVALID},
                  .result = {.type = MESSAGE_TYPE_INVALID},
                  .cold_usec = USEC_INFINITY};
    if (socket_path)
        ask(l, LEVER_PROBE, 0, now);
    else {
        snprintf(l->missing, sizeof(l->missing), "switched off in the guest");
        l->probed = true;
    }
}

void levers_done(Levers *l)
{
    disconnect(l);
}

int levers_begin(Levers *l, const Message *request, usec_t now)
{
    if (is_running(l))
        return -EBUSY;
    l->request = *request;
    l->pace = (Pace){};
    l->stopping = false;
    if (!l->socket_path)
        finish(l, LEVER_END_FAILED, EOPNOTSUPP, now);
    else if (l->state == LEVERS_IDLE)
        start_request(l, now);
    return 0;
}

void levers_stop(Levers *l)
{
    l->stopping = true;
    if (l->state == LEVERS_WAITING)
        l->due_usec = 0;
}

bool levers_take_result(Levers *l, Message *ret_request, Message *ret_result)
{
    if (l->result.type == MESSAGE_TYPE_INVALID)
        return false;
    *ret_request = l->request;
    *ret_result = l->result;
    l->request.type = l->result.type = MESSAGE_TYPE_INVALID;
    return true;
}

void levers_io(Levers *l, usec_t now)
{
    LeverAnswer a;
    ssize_t n;

    if (l->fd < 0)
        return;
    n = recv(l->fd, &a, sizeof(a), MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (l->state == LEVERS_WAITING) {
        /* It has ended; the next step finds out whether there is another one. */
        closep(&l->fd);
        l->fd = -EBADF;
    } else if (n == (ssize_t) sizeof(a) && a.error <= 0 && a.error >= -ERRNO_MAX) {
        a.missing[sizeof(a.missing) - 1] = '\0';
        answered(l, &a, now);
    } else
        lost(l, n < 0 ? errno : n == 0 ? ECONNRESET : EPROTO, now);
}

static bool wants_ages(const Levers *l, bool reporting)
{
    return reporting && l->can & LEVER_HAS_AGES;
}

/* Ages that grew old say nothing. */
static void drop_ages(Levers *l, usec_t now)
{
    if (l->cold_usec != USEC_INFINITY && usec_since(l->cold_usec, now) >= AGES_VALID_USEC) {
        collector_set_cold(l->collector, NULL);
        l->cold_usec = USEC_INFINITY;
    }
}

void levers_tick(Levers *l, bool reporting, usec_t now)
{
    drop_ages(l, now);
    if (l->state == LEVERS_ASKED && now >= l->due_usec)
        lost(l, ETIMEDOUT, now);
    if (l->state == LEVERS_WAITING && now >= l->due_usec)
        look(l, now);
    if (l->state == LEVERS_IDLE && now >= l->probe_usec)
        ask(l, LEVER_PROBE, 0, now);
    if (l->state == LEVERS_IDLE && wants_ages(l, reporting) && now >= l->ages_usec) {
        l->ages_usec = now + AGES_INTERVAL_USEC;
        ask(l, LEVER_AGES, 0, now);
    }
}

usec_t levers_due_usec(const Levers *l, bool reporting)
{
    if (l->state != LEVERS_IDLE)
        return l->due_usec;
    return wants_ages(l, reporting) ? MIN(l->probe_usec, l->ages_usec) : l->probe_usec;
}

uint32_t levers_features(const Levers *l)
{
    return l->can & HELLO_FEATURE_LEVERS;
}
