/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks who calls, and keeps users whose requests are refused from filling the log. */

#include "host-agent/show/callers.h"

#include <string.h>

#include "base/log.h"

void callers_init(Callers *c, sd_event *event, const Audience *audience)
{
    *c = (Callers){.event = event, .audience = audience};
}

void callers_done(Callers *c)
{
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

/* Only root and the daemon's own user may change anything. Without SD_BUS_VTABLE_UNPRIVILEGED sd-bus would
 * check for CAP_SYS_ADMIN or the same user. That lets in more callers than it should, and its refusal doesn't
 * say what to do. So every method is marked unprivileged, and those that change something call this. */
int callers_check(Callers *c, sd_bus_message *message, sd_bus_error *error, Actor *ret)
{
    _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL, *login = NULL;
    Actor by = ACTOR_UNKNOWN;
    int r;

    r = sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID | SD_BUS_CREDS_PID, &creds);
    if (r >= 0)
        r = sd_bus_creds_get_euid(creds, &by.uid);
    if (r >= 0)
        (void) sd_bus_creds_get_pid(creds, &by.pid);
    if (r < 0 || (by.uid != 0 && by.uid != geteuid()))
        callers_refuse(c, &by, sd_bus_message_get_member(message), now_usec(CLOCK_MONOTONIC));
    if (r < 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "Cannot find out which user is asking (%s), so nothing was changed",
                                 strerror(-r));
    if (by.uid != 0 && by.uid != geteuid())
        return sd_bus_error_setf(
            error, SD_BUS_ERROR_ACCESS_DENIED,
            "Only root and the user that ballastd runs as may change anything; try sudo");
    /* Who is behind a sudo. This reads /proc/PID/loginuid, which waits for nothing. It is only logged. */
    if (by.pid > 0 && sd_bus_creds_new_from_pid(&login, by.pid, SD_BUS_CREDS_AUDIT_LOGIN_UID) >= 0)
        (void) sd_bus_creds_get_audit_login_uid(login, &by.login_uid);
    *ret = by;
    return 0;
}
