/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A guest's channel to its agent; no other file knows it. It opens the channel over a transport, and opens it
 * again with growing waits; it feeds the bytes to the link and hands the link's messages to the guest; and it
 * asks the agent for an interval of reports. */

#include "host-agent/guest/guest.h"
#include "host-agent/sense/link.h"
#include "host-agent/sense/transport.h"

typedef struct GuestChannel {
    Guest *guest;
    const Transport *transport;
    Link *link;
    bool open, wanted; /* wanted: the transport was asked to open it */
    usec_t opened_usec, retry_usec, backoff_usec;
    uint64_t refused;    /* how many messages the link had refused when the channel was opened */
    usec_t fast_usec;    /* until when the agent reports at the fast pace */
    usec_t greeted_usec; /* when a Hello was last logged; 0: never */
} GuestChannel;

/* guest and transport must outlive it. 0 or -ENOMEM. */
int guest_channel_new(Guest *guest, const Transport *transport, GuestChannel **ret);
GuestChannel *guest_channel_free(GuestChannel *c);
DEFINE_CLEANUP_FUNC(GuestChannel, guest_channel_free);

/* The guest has a new definition: takes over its maximum. */
void guest_channel_update(GuestChannel *c);
/* Opens the channel if that is due; closes it if the guest's mode is off. */
void guest_channel_tend(GuestChannel *c, usec_t now_usec);
/* Asks the agent for a pace of reports: fast while the balloon moves and shortly after, slow if calm (no
 * pressure on the host, and the guest has its full size), and never so slow that stats become stale
 * (stale_usec) between two reports. */
void guest_channel_pace(GuestChannel *c, bool calm, usec_t stale_usec, usec_t now_usec);

/* Ask the agent to hand back memory, or to compact it, or stop waiting for its answer, which goes to guest_reclaimed();
 * see link.h. */
int guest_channel_reclaim(GuestChannel *c, uint32_t id, uint64_t bytes, bool anon);
int guest_channel_compact(GuestChannel *c, uint32_t id);
void guest_channel_forget_lever(GuestChannel *c);

/* To be called by the transport. text: why, or NULL. */
void guest_channel_opened(GuestChannel *c, usec_t now_usec);
void guest_channel_data(GuestChannel *c, const uint8_t *data, size_t length, usec_t now_usec);
void guest_channel_closed(GuestChannel *c, const char *text);
/* The transport was lost, with all its channels. */
void guest_channel_lost(GuestChannel *c);
