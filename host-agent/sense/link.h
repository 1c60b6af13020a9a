/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host's end of one guest's channel: bytes in, events out. Free of loop and libvirt. Everything that
 * comes in is hostile: bounded, validated, charged to the guest. A guest that breaks the rules is dropped:
 * the caller closes the channel and opens it again when link_retry_usec() has come. */

#include "base/macro.h"
#include "proto/codec.h"

typedef struct Link Link;

#define LINK_KEEPALIVE_USEC (30 * USEC_PER_SEC)

typedef struct LinkHandlers {
    /* A welcomed guest said Hello (first, or again: its agent restarted). rebooted: its boot id isn't the
     * last one's. */
    void (*hello)(void *userdata, const Message *m, bool rebooted);
    void (*report)(void *userdata, const Report *r);
    void (*distress)(void *userdata, DistressCause cause, const Report *r);
    void (*goodbye)(void *userdata, const char *reason);
    /* The guest was seen to have read what was sent to it until lately. May be NULL. */
    void (*read)(void *userdata);
    /* Bytes for the guest; taken or dropped by the callee, never kept by reference. */
    void (*send)(void *userdata, const uint8_t *data, size_t length);
} LinkHandlers;

/* The counters that dump and metrics show; cumulative over the link's life. */
typedef struct LinkStats {
    uint64_t messages, bytes, rubbish_bytes, bad_frames, refused, hellos, drops;
} LinkStats;

int link_new(const LinkHandlers *handlers, void *userdata, Link **ret);
Link *link_free(Link *l);
DEFINE_CLEANUP_FUNC(Link, link_free);

/* What the guest can have at most, in bytes; 0 (at first): not known. A MemTotal above it is a lie. */
void link_set_maximum(Link *l, uint64_t maximum_bytes);

/* The channel was opened, or closed. Both forget the nonce, what of a frame was there, and the last report: a
 * guest that goes back to a snapshot is believed again once its channel was opened anew. The boot id and the
 * back-off are kept. */
void link_opened(Link *l, usec_t now_usec);
void link_closed(Link *l);

/* Takes bytes from the channel and calls the handlers, which may call any link_ function but link_feed() and
 * link_free(). Bytes that come while the channel is closed, or before link_retry_usec(), are ignored. Returns
 * 0, or
 *   -EPROTO   too many messages or bytes that are no message (impossible values, wrong checksum, rubbish), or
 *             lies
 *   -ENOBUFS  more messages or bytes than its bucket holds
 * then the guest is dropped, *ret_why (may be NULL; valid until the next call) says why, and
 * link_retry_usec() is set. A single bad message is refused and counted, and costs ten tokens of the bucket;
 * so does a report that can't follow the one before it. Messages before Hello, or with a nonce that isn't the
 * one that was given, are refused and counted too, but cost one token as any message does: they may be the
 * remains of an earlier conversation.
 *
 * A guest that hasn't been sent anything for LINK_KEEPALIVE_USEC is sent Configure again when it reports, so
 * that it knows that its host is there. */
int link_feed(Link *l, const uint8_t *data, size_t length, usec_t now_usec, const char **ret_why);

/* When a dropped guest may be heard again, of the clock that link_feed() is given; 0: it never was
 * dropped. */
usec_t link_retry_usec(const Link *l);
/* Whether a Welcome was sent since the channel was opened and no Goodbye came. */
bool link_welcomed(const Link *l);
/* Asks for another interval; sent at once when welcomed and different from what was asked last, and after
 * each Welcome. */
void link_configure(Link *l, usec_t interval_usec);
/* "0.1.0"; empty until Hello. boot_id likewise. */
const char *link_agent_version(const Link *l);
const char *link_boot_id(const Link *l);
const LinkStats *link_stats(const Link *l);
