/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who calls a method, and whether they may change anything. The bus is asked who it is, and the loop doesn't wait for
 * its answer. Requests that are refused are reported: of each user a few a minute, and how many more there were. */

#include <systemd/sd-bus.h>

#include "base/log-limit.h"
#include "host-agent/notice.h"

/* Users that are counted each by itself. Further ones within a minute are counted together. */
#define CALLERS_USERS_MAX     16U
/* Requests that wait for the bus's answer: all, those of one sender, and how much they hold together. A policy's files,
 * the largest request, have 4 MiB. */
#define CALLERS_WAITING_MAX   64U
#define CALLERS_OF_SENDER_MAX 4U
#define CALLERS_BYTES_MAX     (16U * 1024U * 1024U)

/* Carries out a request of a caller who may make it. Like the handler of a method it answers, or returns -errno, with
 * or without an error. */
typedef int (*CallersRun)(sd_bus_message *message, void *userdata, const Actor *by, sd_bus_error *error);

typedef struct Request Request;

typedef struct Callers {
    const Audience *audience;
    sd_event *event;
    sd_event_source *timer; /* reports what was left out; NULL: nothing was */
    struct {
        uid_t uid;
        LogLimit limit;
    } users[CALLERS_USERS_MAX];
    LogLimit others;
    Request *first; /* those that wait for the bus's answer */
} Callers;

/* Both must outlive it. */
void callers_init(Callers *c, sd_event *event, const Audience *audience);
void callers_done(Callers *c);
/* Asks the bus who sent a message, and then runs the request or refuses it. The method's handler returns the
 * result. */
int callers_ask(Callers *c, sd_bus_message *message, CallersRun run, void *userdata, sd_bus_error *error);
/* The connection is about to be closed: requests that wait get no answer. */
void callers_drop(Callers *c);
/* Reports that a request was refused. what: what was asked for. */
void callers_refuse(Callers *c, const Actor *by, const char *what, usec_t now_usec);
/* Logs what was left out in a minute that is over. */
void callers_tend(Callers *c, usec_t now_usec);
