/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages that wait to be sent to the host. Each kind has one slot, so the outbox cannot grow: a newer
 * report replaces one that the host has not read in time. A message is packed only when its turn comes, so a
 * host that does not read costs nothing, and each message carries the nonce of that moment. A frame that is
 * partly written is always finished; otherwise the host would lose the frame boundary. */

#include "proto/codec.h"

/* In the order in which they are sent. */
typedef enum OutboxSlot {
    OUTBOX_HELLO,
    OUTBOX_DISTRESS,
    OUTBOX_RECLAIMED,
    OUTBOX_REPORT,
    OUTBOX_GOODBYE,
    OUTBOX_SLOT_MAX,
} OutboxSlot;

typedef struct Outbox {
    uint32_t pending; /* bits 1 << OutboxSlot */
    Message slot[OUTBOX_SLOT_MAX];
    uint8_t frame[FRAME_MAX]; /* the frame being written */
    size_t length, sent;      /* of the frame; length 0: none */
} Outbox;

/* Queues a Hello, Distress, Reclaimed, Report or Goodbye. It replaces a queued one of the same type. */
void outbox_put(Outbox *o, const Message *m);
/* Drops all queued messages, but not a frame that is partly written. */
void outbox_clear(Outbox *o);
/* Drops everything, also the rest of a frame: for a host that is gone. */
void outbox_reset(Outbox *o);
bool outbox_empty(const Outbox *o);
/* Writes as much as fd takes without blocking. All messages but Hello get the nonce. Returns 0, or -errno if
 * the port is broken. A message that can't be packed is dropped; *ret_dropped (may be NULL) is then its
 * -errno. */
int outbox_write(Outbox *o, int fd, uint32_t nonce, int *ret_dropped);
