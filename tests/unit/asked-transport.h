/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A transport that counts what it is asked for, and keeps what the host last said to an agent. */

#include "base/macro.h"
#include "host-agent/sense/transport.h"
#include "tests/unit/agent-messages.h"

typedef struct AskedTransport {
    Transport t;
    unsigned opened, closed, was_read, sent;
    unsigned welcomes, configures, levers;
    uint32_t nonce;             /* of the last Welcome */
    usec_t interval_usec;       /* of the last Configure */
    uint32_t lever_id;          /* of the last Reclaim or Compact */
    int open_error, send_error; /* what it returns */
    char uuid[37];              /* whose channel was last asked for */
} AskedTransport;

static inline int asked_open(void *userdata, const char *uuid)
{
    AskedTransport *a = userdata;

    a->opened++;
    strcpy(a->uuid, uuid);
    return a->open_error;
}

static inline int asked_send(void *userdata, const char *uuid, const uint8_t *data, size_t length)
{
    AskedTransport *a = userdata;
    Message m = agent_read(data, length);

    if (a->send_error < 0)
        return a->send_error;
    a->sent++;
    if (m.type == MESSAGE_WELCOME) {
        a->welcomes++;
        a->nonce = m.nonce;
    } else if (m.type == MESSAGE_RECLAIM || m.type == MESSAGE_COMPACT) {
        a->levers++;
        a->lever_id = m.id;
    } else {
        ck_assert_int_eq(m.type, MESSAGE_CONFIGURE);
        a->configures++;
        a->interval_usec = m.interval_usec;
    }
    return 0;
}

static inline void asked_was_read(void *userdata, const char *uuid)
{
    ((AskedTransport *) userdata)->was_read++;
}

static inline void asked_close(void *userdata, const char *uuid)
{
    ((AskedTransport *) userdata)->closed++;
}

static inline void asked_transport_init(AskedTransport *a)
{
    *a = (AskedTransport){.t = {.open = asked_open,
                                .send = asked_send,
                                .was_read = asked_was_read,
                                .close = asked_close,
                                .userdata = a}};
}
