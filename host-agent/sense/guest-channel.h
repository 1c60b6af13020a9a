/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A guest's channel: the only place that knows it. It opens the channel over a transport and opens it again with
 * back-off, feeds what comes to the link, hands what the link hears to the guest, and asks the agent for the pace
 * of its reports. */

#include "host-agent/guest/guest.h"
#include "host-agent/sense/link.h"
#include "host-agent/sense/transport.h"

typedef struct GuestChannel {
    Guest *guest;
    const Transport *transport;
    Link *link;
    bool open, wanted;
    usec_t opened_usec, retry_usec, backoff_usec;
    uint64_t refused;    /* messages that the link refused before the channel was opened */
    usec_t fast_usec;    /* until when the agent reports fast */
    usec_t greeted_usec; /* when a Hello was last logged; 0: never */
} GuestChannel;

/* guest and transport must outlive it. 0 or -ENOMEM. */
int guest_channel_new(Guest *guest, const Transport *transport, GuestChannel **ret);
GuestChannel *guest_channel_free(GuestChannel *c);
DEFINE_CLEANUP_FUNC(GuestChannel, guest_channel_free);

/* The guest's definition came, first or again: what it can have at most. */
void guest_channel_update(GuestChannel *c);
/* Opens the channel where that is due. */
void guest_channel_tend(GuestChannel *c, usec_t now_usec);
/* Asks the agent for a pace: fast while its balloon moves and shortly after, slow where calm (the host is at ease
 * and the guest has its full size), never so slow that stats are stale (stale_usec) before the next come. */
void guest_channel_pace(GuestChannel *c, bool calm, usec_t stale_usec, usec_t now_usec);

/* What the transport says. text: why, or NULL. */
void guest_channel_opened(GuestChannel *c, usec_t now_usec);
void guest_channel_data(GuestChannel *c, const uint8_t *data, size_t length, usec_t now_usec);
void guest_channel_closed(GuestChannel *c, const char *text);
/* The transport is away, with all its channels. */
void guest_channel_lost(GuestChannel *c);
