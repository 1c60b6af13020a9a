/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The queue of VirtEvents from libvirt's threads to the daemon's loop, in order, with an eventfd that is
 * readable while the queue holds any. It has no lock of its own: all functions but queue_fd() are called with
 * the owner's lock held.
 *
 * Its length is bounded: a domain has at most one event of each type in it. A new one replaces the old one
 * and goes to the end. Channel data is appended to the queued data instead, up to QUEUE_DATA_MAX bytes. */

#include "base/macro.h"
#include "host-agent/libvirt/virt-event.h"
#include "proto/limits.h"

/* One frame more than a link's bucket holds: if a guest's data has to be cut off here, the link would have
 * refused that guest anyway. */
#define QUEUE_DATA_MAX (LINK_BYTES_BURST + FRAME_MAX)

typedef struct QueueItem QueueItem;
typedef struct Queue Queue;

/* One per domain: its queued events. Starts zeroed; call mailbox_leave() before freeing it. */
typedef struct Mailbox {
    QueueItem *waiting[VIRT_EVENT_TYPE_MAX];
} Mailbox;

/* A queued event. The caller of queue_pop() owns the item that it returns. */
struct QueueItem {
    VirtEvent event; /* points into the item */
    Mailbox *box;    /* NULL: an event of the connection, or the domain was freed */
    QueueItem *prev, *next;
    char uuid[37];
    char *text;
    DomainInfo *info;
    VirtStats *stats;
    uint8_t *data;
    size_t allocated; /* bytes of data */
};

int queue_new(Queue **ret);
Queue *queue_free(Queue *q);
DEFINE_CLEANUP_FUNC(Queue, queue_free);

int queue_fd(const Queue *q);
/* Queues a copy of the event and of everything that it points to, but channel data (queue_push_data()). box
 * is NULL for events of the connection. 0 or -ENOMEM. */
int queue_push(Queue *q, Mailbox *box, const VirtEvent *event);
/* Appends channel data. 0, -ENOBUFS (only a part fitted and was appended) or -ENOMEM. */
int queue_push_data(Queue *q, Mailbox *box, const char *uuid, const uint8_t *data, size_t length);
/* Drops the domain's queued event of that type, if any. */
void queue_drop(Queue *q, Mailbox *box, VirtEventType type);
/* Detaches the box from its queued events, which stay in the queue. After that the box may be freed. */
void mailbox_leave(Mailbox *box);
/* Returns the next event, or NULL if the queue is empty (after that the descriptor isn't readable any
 * more). */
QueueItem *queue_pop(Queue *q);
QueueItem *queue_item_free(QueueItem *item);
DEFINE_CLEANUP_FUNC(QueueItem, queue_item_free);
/* Makes the descriptor readable even without an event, so that the daemon's loop runs. */
void queue_wake(Queue *q);
/* The most events ever queued at once. */
unsigned queue_peak(const Queue *q);
