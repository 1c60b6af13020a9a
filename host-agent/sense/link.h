/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host's end of one guest's channel: bytes come in, events go out. It knows neither the loop nor libvirt.
 * All input may be hostile: it is limited, validated, and charged to the guest. A guest that breaks the rules
 * is dropped: the caller closes the channel, and opens it again after link_retry_usec(). */

#include "base/macro.h"
#include "proto/codec.h"

typedef struct Link Link;

#define LINK_KEEPALIVE_USEC (30 * USEC_PER_SEC)

typedef struct LinkHandlers {
    /* The agent said Hello and was welcomed; for the first time, or again after it restarted. rebooted: its
     * boot id differs from the last one. */
    void (*hello)(void *userdata, const Message *m, bool rebooted);
    void (*report)(void *userdata, const Report *r);
    void (*distress)(void *userdata, DistressCause cause, const Report *r);
    void (*goodbye)(void *userdata, const char *reason);
    /* The answer to link_reclaim() or link_compact(). */
    void (*reclaimed)(void *userdata, const Message *m);
    /* The guest has read everything that was sent to it until lately. May be NULL. */
    void (*read)(void *userdata);
    /* Bytes for the guest. The handler sends or drops them, and keeps no reference to them. */
    void (*send)(void *userdata, const uint8_t *data, size_t length);
} LinkHandlers;

/* Counters that `ballastctl dump` shows; cumulative over the link's life. */
typedef struct LinkStats {
    uint64_t messages, bytes, invalid_bytes, bad_frames, refused, hellos, drops;
} LinkStats;

int link_new(const LinkHandlers *handlers, void *userdata, Link **ret);
Link *link_free(Link *l);
DEFINE_CLEANUP_FUNC(Link, link_free);

/* The most memory that the guest can have, in bytes; 0, as at first: not known. A MemTotal above it is
 * refused. */
void link_set_maximum(Link *l, uint64_t maximum_bytes);

/* The channel was opened, or closed. Both forget the nonce, an unfinished frame, and the last report: a guest
 * that was reverted to a snapshot is believed again after its channel was opened again. The boot id and the
 * wait are kept. */
void link_opened(Link *l, usec_t now_usec);
void link_closed(Link *l);

/* Takes bytes from the channel and calls the handlers, which may call any link_ function except link_feed()
 * and link_free(). Bytes that come while the channel is closed, or before link_retry_usec(), are ignored.
 * Returns 0, or
 *
 *   -EPROTO   too many bad messages (impossible values, wrong checksum), or too many bytes that aren't a
 *   message -ENOBUFS  more messages or bytes than the guest may send
 *
 * if the guest was dropped: *ret_why (may be NULL; valid until the next call) says why, and link_retry_usec()
 * is set. A single bad message is refused and counted, and costs ten tokens of the guest's bucket; so does a
 * report that can't follow the one before it. Messages before Hello, or with a wrong nonce, are refused and
 * counted, too, but cost only one token like any message: they may be left from an earlier conversation.
 *
 * A guest that was sent nothing for LINK_KEEPALIVE_USEC is sent Configure again when it reports. So it knows
 * that its host is still alive. */
int link_feed(Link *l, const uint8_t *data, size_t length, usec_t now_usec, const char **ret_why);

/* When a dropped guest may be heard again, by the clock of link_feed(); 0: it was never dropped. */
usec_t link_retry_usec(const Link *l);
/* Whether a Welcome was sent since the channel was opened, and no Goodbye came since. */
bool link_welcomed(const Link *l);
/* Asks for another interval of reports. Configure is sent at once if the guest is welcomed and the interval
 * has changed, and after each Welcome. */
void link_configure(Link *l, usec_t interval_usec);
/* Asks the guest to hand back memory that it doesn't use; anon: also anonymous memory. id, which isn't 0, comes back
 * with the answer. At most one of these is outstanding: a Reclaimed that wasn't asked for, a second one, one with another
 * id, or one that got more than the guest can have is refused and charged like any bad message.
 *
 * Returns 0, or -errno: -ENOTCONN while the guest isn't welcomed, -EOPNOTSUPP if its agent lacks the lever (which it
 * names in Hello), -EBUSY while an answer is outstanding. */
int link_reclaim(Link *l, uint32_t id, uint64_t bytes, bool anon);
/* The same: asks the guest to compact its free memory. */
int link_compact(Link *l, uint32_t id);
/* Gives up waiting for the answer; if it comes all the same, it is refused, and not charged. A closed channel and a
 * Hello give up, too. */
void link_forget_lever(Link *l);
/* The agent's version ("0.1.0"), and its boot id; empty before the first Hello. */
const char *link_agent_version(const Link *l);
const char *link_boot_id(const Link *l);
const LinkStats *link_stats(const Link *l);
