/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages that wait to be written to the port, one slot for each kind. */

#include "guest-agent/outbox.h"

#include <assert.h>

#include "base/macro.h"

static OutboxSlot slot_of(MessageType type)
{
    switch (type) {
    case MESSAGE_HELLO:
        return OUTBOX_HELLO;
    case MESSAGE_DISTRESS:
        return OUTBOX_DISTRESS;
    case MESSAGE_REPORT:
        return OUTBOX_REPORT;
    case MESSAGE_GOODBYE:
        return OUTBOX_GOODBYE;
    case MESSAGE_RECLAIMED:
        return OUTBOX_RECLAIMED;
    case MESSAGE_WELCOME:
    case MESSAGE_CONFIGURE:
    case MESSAGE_RECLAIM:
    case MESSAGE_COMPACT:
    case MESSAGE_TYPE_MAX:
    case MESSAGE_TYPE_INVALID:
        break;
    }
    assert(!"a guest doesn't send this");
    return OUTBOX_SLOT_MAX;
}

void outbox_put(Outbox *o, const Message *m)
{
    OutboxSlot s = slot_of(m->type);

    o->slot[s] = *m;
    o->pending |= UINT32_C(1) << s;
}

void outbox_clear(Outbox *o)
{
    o->pending = 0;
}

void outbox_reset(Outbox *o)
{
    o->pending = 0;
    o->length = o->sent = 0;
}

bool outbox_empty(const Outbox *o)
{
    return o->pending == 0 && o->length == 0;
}

/* Packs the next message into the frame to be written. */
static int begin(Outbox *o, uint32_t nonce)
{
    OutboxSlot s = (OutboxSlot) __builtin_ctz(o->pending);
    Message *m = &o->slot[s];
    ssize_t n;

    o->pending &= ~(UINT32_C(1) << s);
    m->has_nonce = s != OUTBOX_HELLO;
    m->nonce = m->has_nonce ? nonce : 0;

    n = message_pack(m, o->frame);
    if (n < 0)
        return (int) n;
    o->length = (size_t) n;
    o->sent = 0;
    return 0;
}

int outbox_write(Outbox *o, int fd, uint32_t nonce, int *ret_dropped)
{
    while (!outbox_empty(o)) {
        ssize_t n;

        if (o->length == 0) {
            int r = begin(o, nonce);

            if (r < 0) {
                if (ret_dropped)
                    *ret_dropped = r;
                continue;
            }
        }

        n = write(fd, o->frame + o->sent, o->length - o->sent);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return -errno;
        /* A virtio port returns 0 if its ring is full and the driver has just found out. */
        if (n <= 0)
            return 0;

        o->sent += (size_t) n;
        if (o->sent == o->length)
            o->length = o->sent = 0;
    }
    return 0;
}
