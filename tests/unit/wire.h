/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the daemon writes into a message, read as ballastctl does. */

#include <check.h>
#include <sys/socket.h>

#include "host-agent/ctl/json.h"
#include "host-agent/show/dict.h"

/* A connection without a peer: enough to build messages on. */
typedef struct Wire {
    sd_bus *bus;
    int other;
    sd_bus_message *message;
    Dict dict;
} Wire;

static inline void wire_open(Wire *w)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    ck_assert_int_ge(sd_bus_new(&w->bus), 0);
    ck_assert_int_ge(sd_bus_set_fd(w->bus, fds[0], fds[0]), 0);
    ck_assert_int_ge(sd_bus_start(w->bus), 0);
    w->other = fds[1];
    ck_assert_int_ge(sd_bus_message_new_signal(w->bus, &w->message, "/x", "x.y", "Z"), 0);
    w->dict = (Dict){.message = w->message};
}

static inline json_object *wire_read(Wire *w)
{
    json_object *o = NULL;

    ck_assert_int_eq(w->dict.error, 0);
    ck_assert_int_ge(sd_bus_message_seal(w->message, 1, 0), 0);
    ck_assert_int_eq(json_from_message(w->message, &o), 0);
    sd_bus_message_unref(w->message);
    sd_bus_close_unref(w->bus);
    close(w->other);
    return o;
}
