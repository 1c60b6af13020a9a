/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who calls a method, and whether they may change anything. Requests that are refused for that are reported: of each user
 * a few a minute, and how many more there were. */

#include <systemd/sd-bus.h>

#include "base/log-limit.h"
#include "host-agent/notice.h"

/* Users that are counted each by itself. Further ones within a minute are counted together. */
#define CALLERS_USERS_MAX 16U

typedef struct Callers {
    const Audience *audience;
    sd_event *event;
    sd_event_source *timer; /* reports what was left out; NULL: nothing was */
    struct {
        uid_t uid;
        LogLimit limit;
    } users[CALLERS_USERS_MAX];
    LogLimit others;
} Callers;

/* Both must outlive it. */
void callers_init(Callers *c, sd_event *event, const Audience *audience);
void callers_done(Callers *c);
/* Whether the sender of a message may change anything: 0 and who it is, or -errno with an error, which is reported. */
int callers_check(Callers *c, sd_bus_message *message, sd_bus_error *error, Actor *ret);
/* Reports that a request was refused. what: what was asked for. */
void callers_refuse(Callers *c, const Actor *by, const char *what, usec_t now_usec);
/* Logs what was left out in a minute that is over. */
void callers_tend(Callers *c, usec_t now_usec);
