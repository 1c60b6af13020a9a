/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks who calls, and keeps users whose requests are refused from filling the log. A bus that hangs must not hold up
 * the loop, so a request waits here for the bus's answer about its sender. */

#include "host-agent/show/callers.h"

#include <string.h>

#include "base/log.h"
#include "host-agent/show/api.h"

void callers_init(Callers *c, sd_event *event, const Audience *audience)
{
    *c = (Callers){.event = event, .audience = audience};
}

/* A request whose sender isn't known yet. */
struct Request {
    Request *next;
    Callers *callers;
    sd_bus_message *message;
    sd_bus_slot *slot; /* of the question to the bus */
    size_t bytes;      /* that the message holds */
    CallersRun run;
    void *userdata;
};

static Request *request_free(Request *q)
{
    if (!q)
        return NULL;
    sd_bus_slot_unref(q->slot);
    sd_bus_message_unref(q->message);
    free(q);
    return NULL;
}
DEFINE_CLEANUP_FUNC(Request, request_free);

void callers_drop(Callers *c)
{
    while (c->first) {
        Request *q = c->first;

        c->first = q->next;
        request_free(q);
    }
}

void callers_done(Callers *c)
{
    callers_drop(c);
    c->timer = sd_event_source_disable_unref(c->timer);
}

/* The limit of a user: its own, or one that nobody else uses now, or that of all others. */
static LogLimit *limit_of(Callers *c, uid_t uid, usec_t now_usec)
{
    size_t idle = CALLERS_USERS_MAX;

    for (size_t i = 0; i < CALLERS_USERS_MAX; i++) {
        if (c->users[i].uid == uid && c->users[i].limit.since_usec > 0)
            return &c->users[i].limit;
        if (idle == CALLERS_USERS_MAX && log_limit_is_idle(&c->users[i].limit, now_usec))
            idle = i;
    }
    if (idle == CALLERS_USERS_MAX)
        return &c->others;
    c->users[idle].uid = uid;
    c->users[idle].limit = (LogLimit){};
    return &c->users[idle].limit;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    Callers *c = userdata;

    c->timer = sd_event_source_disable_unref(c->timer);
    callers_tend(c, now_usec(CLOCK_MONOTONIC));
    return 0;
}

void callers_tend(Callers *c, usec_t now_usec)
{
    unsigned n;

    for (size_t i = 0; i < CALLERS_USERS_MAX; i++) {
        n = log_limit_left_out(&c->users[i].limit, now_usec);
        if (n > 0)
            log_notice("%u more refused request%s of user %u left out of the log in the last minute", n,
                       n == 1 ? "" : "s", (unsigned) c->users[i].uid);
    }
    n = log_limit_left_out(&c->others, now_usec);
    if (n > 0)
        log_notice("%u more refused request%s of other users left out of the log in the last minute", n,
                   n == 1 ? "" : "s");
}

void callers_refuse(Callers *c, const Actor *by, const char *what, usec_t now_usec)
{
    Notice n = notice_of_change(by, what, NULL, NULL);

    n.error = -EACCES;
    callers_tend(c, now_usec);
    if (log_limit_take(limit_of(c, by->uid, now_usec), now_usec))
        audience_tell(c->audience, &n);
    else if (!c->timer)
        /* Two minutes: then each minute that has begun by now is over. */
        (void) sd_event_add_time_relative(c->event, &c->timer, CLOCK_MONOTONIC, 2 * LOG_LIMIT_USEC,
                                          USEC_PER_SEC, on_timer, c);
}

/* How much a message holds: all arguments of requests are texts, some of them in arrays. D-Bus bounds the depth. */
static int measure(sd_bus_message *message, size_t *bytes)
{
    const char *contents, *text;
    char type;
    int r;

    while ((r = sd_bus_message_peek_type(message, &type, &contents)) > 0) {
        if (type == 's') {
            r = sd_bus_message_read_basic(message, 's', &text);
            if (r >= 0)
                *bytes += strlen(text);
        } else {
            r = sd_bus_message_enter_container(message, type, contents);
            if (r >= 0)
                r = measure(message, bytes);
            if (r >= 0)
                r = sd_bus_message_exit_container(message);
        }
        if (r < 0)
            return r;
        *bytes += sizeof(uint64_t); /* its length, and what aligns it */
    }
    return r;
}

static bool has_room(const Callers *c, const char *sender, size_t bytes)
{
    unsigned all = 0, of_sender = 0;

    for (const Request *q = c->first; q; q = q->next) {
        all++;
        bytes += q->bytes;
        of_sender += strcmp(sd_bus_message_get_sender(q->message), sender) == 0;
    }
    return all < CALLERS_WAITING_MAX && of_sender < CALLERS_OF_SENDER_MAX && bytes <= CALLERS_BYTES_MAX;
}

/* The answer of GetConnectionCredentials: -ENODATA without a user. */
static int read_credentials(sd_bus_message *reply, Actor *by)
{
    int r;

    r = sd_bus_message_enter_container(reply, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
        uint32_t number = 0;
        const char *key;

        r = sd_bus_message_read_basic(reply, 's', &key);
        if (r < 0)
            break;
        if (strcmp(key, "UnixUserID") == 0) {
            r = sd_bus_message_read(reply, "v", "u", &number);
            by->uid = r < 0 ? by->uid : number;
        } else if (strcmp(key, "ProcessID") == 0) {
            r = sd_bus_message_read(reply, "v", "u", &number);
            by->pid = r < 0 ? by->pid : (pid_t) number;
        } else
            r = sd_bus_message_skip(reply, "v");
        if (r >= 0)
            r = sd_bus_message_exit_container(reply);
    }
    return r < 0 ? r : by->uid == (uid_t) -1 ? -ENODATA : 0;
}

/* Only root and the daemon's own user may change anything. Without SD_BUS_VTABLE_UNPRIVILEGED sd-bus would
 * check for CAP_SYS_ADMIN or the same user, and wait for the bus meanwhile. That lets in more callers than it should,
 * and its refusal doesn't say what to do. So every method is marked unprivileged, and those that change something come
 * here. r: whether the bus said who it is. */
static int check(Callers *c, const Request *q, int r, Actor *by, sd_bus_error *error)
{
    _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *login = NULL;

    if (r < 0 || (by->uid != 0 && by->uid != geteuid()))
        callers_refuse(c, by, sd_bus_message_get_member(q->message), now_usec(CLOCK_MONOTONIC));
    if (r < 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "Cannot find out which user is asking (%s), so nothing was changed",
                                 strerror(-r));
    if (by->uid != 0 && by->uid != geteuid())
        return sd_bus_error_setf(
            error, SD_BUS_ERROR_ACCESS_DENIED,
            "Only root and the user that ballastd runs as may change anything; try sudo");
    /* Who is behind a sudo. This reads /proc/PID/loginuid, which waits for nothing. It is only logged. */
    if (by->pid > 0 && sd_bus_creds_new_from_pid(&login, by->pid, SD_BUS_CREDS_AUDIT_LOGIN_UID) >= 0)
        (void) sd_bus_creds_get_audit_login_uid(login, &by->login_uid);
    return 0;
}

/* The bus says who sent a request, or that it can't, or nothing within the connection's time-out. */
static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ignored)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(request_freep) Request *q = userdata;
    Callers *c = q->callers;
    Actor by = ACTOR_UNKNOWN;
    Request **at = &c->first;
    int r;

    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    r = -sd_bus_message_get_errno(reply);
    if (r >= 0)
        r = read_credentials(reply, &by);
    r = check(c, q, r, &by, &error);
    if (r >= 0)
        r = q->run(q->message, q->userdata, &by, &error);
    if (r < 0)
        r = sd_bus_reply_method_errno(q->message, r, &error);
    if (r < 0)
        log_debug_errno(-r, "Cannot answer a request on the bus: %m");
    return 0;
}

int callers_ask(Callers *c, sd_bus_message *message, CallersRun run, void *userdata, sd_bus_error *error)
{
    _cleanup_(request_freep) Request *q = calloc(1, sizeof(Request));
    const char *sender = sd_bus_message_get_sender(message);
    int r;

    if (!q)
        return -ENOMEM;
    r = measure(message, &q->bytes);
    if (r >= 0)
        r = sd_bus_message_rewind(message, true);
    if (r < 0)
        return r;
    if (!has_room(c, sender, q->bytes))
        return sd_bus_error_set(error, BUS_ERROR_REFUSED,
                                "Too many requests wait to be checked, so nothing was changed; try again");
    q->callers = c;
    q->message = sd_bus_message_ref(message);
    q->run = run;
    q->userdata = userdata;
    r = sd_bus_call_method_async(sd_bus_message_get_bus(message), &q->slot, "org.freedesktop.DBus",
                                 "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionCredentials",
                                 on_answer, q, "s", sender);
    if (r < 0)
        return r;
    q->next = c->first;
    c->first = TAKE_PTR(q);
    return 1;
}
