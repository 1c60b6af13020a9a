/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A link, its guest's side, and what the link passed on and sent. */

#include <string.h>

#include "base/units.h"
#include "host-agent/sense/link.h"
#include "tests/unit/agent-messages.h"
#include "tests/unit/run.h"

/* A link with what it passed on and sent, and its guest's side. */
typedef struct Rig {
    Link *link;
    usec_t now;
    unsigned hellos, reboots, reports, distresses, goodbyes, welcomes, configures, reads;
    uint32_t nonce; /* of the last Welcome */
    usec_t interval;
    Report report;
    DistressCause cause;
    unsigned levers, reclaimed;
    Message lever; /* the last Reclaimed passed on, or Reclaim or Compact sent */
    char reason[GUEST_TEXT_MAX + 1];
    const char *why;
    bool close_on_report;
    usec_t configure_on_hello;
} Rig;

static inline void on_hello(void *userdata, const Message *m, bool rebooted)
{
    Rig *r = userdata;

    ck_assert(link_welcomed(r->link));
    r->hellos++;
    r->reboots += rebooted;
    if (r->configure_on_hello)
        link_configure(r->link, r->configure_on_hello);
}

static inline void on_report(void *userdata, const Report *report)
{
    Rig *r = userdata;

    r->reports++;
    r->report = *report;
    if (r->close_on_report)
        link_closed(r->link);
}

static inline void on_distress(void *userdata, DistressCause cause, const Report *report)
{
    Rig *r = userdata;

    r->distresses++;
    r->cause = cause;
    r->report = *report;
}

static inline void on_goodbye(void *userdata, const char *reason)
{
    Rig *r = userdata;

    r->goodbyes++;
    snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static inline void on_reclaimed(void *userdata, const Message *m)
{
    Rig *r = userdata;

    r->reclaimed++;
    r->lever = *m;
}

static inline void on_read(void *userdata)
{
    Rig *r = userdata;

    r->reads++;
}

static inline void on_send(void *userdata, const uint8_t *data, size_t length)
{
    Rig *r = userdata;
    Message m = agent_read(data, length);

    if (m.type == MESSAGE_WELCOME) {
        ck_assert(m.has_nonce);
        ck_assert_uint_eq(m.protocol, PROTOCOL_VERSION);
        r->nonce = m.nonce;
        r->welcomes++;
    } else if (m.type == MESSAGE_RECLAIM || m.type == MESSAGE_COMPACT) {
        r->lever = m;
        r->levers++;
    } else {
        ck_assert_int_eq(m.type, MESSAGE_CONFIGURE);
        r->interval = m.interval_usec;
        r->configures++;
    }
}

static inline void rig_init(Rig *r)
{
    static const LinkHandlers handlers = {on_hello,     on_report, on_distress, on_goodbye,
                                          on_reclaimed, on_read,   on_send};

    *r = (Rig){.now = 1000 * USEC_PER_SEC};
    ck_assert_int_eq(link_new(&handlers, r, &r->link), 0);
    link_opened(r->link, r->now);
}

static inline int feed(Rig *r, const uint8_t *data, size_t length)
{
    r->why = NULL;
    return link_feed(r->link, data, length, r->now, &r->why);
}

static inline int send_message(Rig *r, const Message *m)
{
    uint8_t buf[FRAME_MAX];

    return feed(r, buf, agent_pack(m, buf));
}

/* An unchanged payload in a valid frame. */
static inline int send_payload(Rig *r, const void *payload, size_t length)
{
    uint8_t buf[FRAME_MAX];

    memcpy(buf + FRAME_HEADER_SIZE, payload, length);
    return feed(r, buf, (size_t) frame_finish(buf, length));
}

/* Sends a message that message_pack() would refuse: packs a valid one, then replaces the bytes of one varint
 * by those of another of the same length. */
static inline int send_forged(Rig *r, const Message *m, const uint8_t *from, const uint8_t *to, size_t length)
{
    uint8_t buf[FRAME_MAX], *at;
    size_t n = agent_pack(m, buf) - FRAME_HEADER_SIZE;

    at = memmem(buf + FRAME_HEADER_SIZE, n, from, length);
    ck_assert_ptr_nonnull(at);
    memcpy(at, to, length);
    return feed(r, buf, (size_t) frame_finish(buf, n));
}

static inline int say_hello(Rig *r, const char *boot_id)
{
    Message m = agent_hello(boot_id);

    return send_message(r, &m);
}

static inline Message report(const Rig *r)
{
    return agent_report(r->nonce, r->now);
}

static inline int send_report(Rig *r)
{
    Message m = report(r);

    return send_message(r, &m);
}

/* An impossible report: more memory than an x86 can address. */
static inline int send_lie(Rig *r)
{
    Message m = report(r);

    link_set_maximum(r->link, GIB - 1);
    return send_message(r, &m);
}

static inline void rig_welcome(Rig *r)
{
    rig_init(r);
    ck_assert_int_eq(say_hello(r, BOOT_A), 0);
    ck_assert(link_welcomed(r->link));
}
