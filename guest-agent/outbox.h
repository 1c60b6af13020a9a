/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is still to be said to the host. There is one place for each kind of message, so the outbox can't
 * grow: the newest report takes the place of one that the host hasn't had time for. A message becomes bytes
 * only when its turn comes, so a host that doesn't read costs nothing, and each message bears the nonce of
 * that moment. A frame of which a part was written is always finished, or the host would lose step. */

#include "proto/codec.h"

/* In the order in which they are sent. */
typedef enum OutboxSlot {
    OUTBOX_HELLO,
    OUTBOX_DISTRESS,
    OUTBOX_REPORT,
    OUTBOX_GOODBYE,
    OUTBOX_SLOT_MAX,
} OutboxSlot;

typedef struct Outbox {
    uint32_t pending; /* bits 1 << OutboxSlot */
    Message slot[OUTBOX_SLOT_MAX];
    uint8_t frame[FRAME_MAX]; /* the one being written, */
    size_t length, sent;      /* length 0: none */
} Outbox;

/* Takes a Hello, Distress, Report or Goodbye in place of one of the same type that isn't begun. */
void outbox_put(Outbox *o, const Message *m);
/* Forgets what isn't begun. */
void outbox_clear(Outbox *o);
/* Forgets everything: for a peer that is gone, and the rest of a frame with it. */
void outbox_reset(Outbox *o);
bool outbox_empty(const Outbox *o);
/* Writes what fd takes without blocking. All but Hello get the nonce. Returns 0, or -errno where the port is
 * broken; a message that can't be packed is dropped and *ret_dropped (may be NULL) tells why. */
int outbox_write(Outbox *o, int fd, uint32_t nonce, int *ret_dropped);
