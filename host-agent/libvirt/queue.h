/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What libvirt's threads have to tell the daemon's loop: VirtEvents in order, with an eventfd that is
 * readable while there are any. Not locked: all but queue_fd() is called with the owner's lock held.
 *
 * Bounded by nature: of each type at most one event of a domain waits, the newer replaces the older (its
 * place is at the end then), and data of a channel is appended to what waits, up to QUEUE_DATA_MAX. */

#include "base/macro.h"
#include "host-agent/libvirt/virt-event.h"
#include "proto/limits.h"

/* One frame more than a link's bucket holds: a guest whose data had to be cut off here was refused there. */
#define QUEUE_DATA_MAX (LINK_BYTES_BURST + FRAME_MAX)

typedef struct QueueItem QueueItem;
typedef struct Queue Queue;

/* Of each domain: its events that wait. All zero at first; mailbox_leave() before it is freed. */
typedef struct Mailbox {
    QueueItem *waiting[VIRT_EVENT_TYPE_MAX];
} Mailbox;

/* What waits in the queue; the receiver of queue_pop() owns it. */
struct QueueItem {
    VirtEvent event; /* points into the item */
    Mailbox *box;    /* NULL: none, or gone */
    QueueItem *prev, *next;
    char uuid[37];
    char *text;
    DomainInfo *info;
    VirtStats *stats;
    uint8_t *data;
    size_t allocated;
};

int queue_new(Queue **ret);
Queue *queue_free(Queue *q);
DEFINE_CLEANUP_FUNC(Queue, queue_free);

int queue_fd(const Queue *q);
/* Copies the event with all that it points to. box is NULL for the connection's own events. 0, -ENOMEM. */
int queue_push(Queue *q, Mailbox *box, const VirtEvent *event);
/* Appends data of a channel. -ENOBUFS where only a part of it fitted; -ENOMEM. */
int queue_push_data(Queue *q, Mailbox *box, const char *uuid, const uint8_t *data, size_t length);
/* Drops what waits of that type for that domain. */
void queue_drop(Queue *q, Mailbox *box, VirtEventType type);
/* What waits stays in the queue; the box may be freed. */
void mailbox_leave(Mailbox *box);
/* The next event, NULL where there is none (then the descriptor isn't readable any more). */
QueueItem *queue_pop(Queue *q);
QueueItem *queue_item_free(QueueItem *item);
DEFINE_CLEANUP_FUNC(QueueItem, queue_item_free);
/* Makes the descriptor readable: the loop has something to look at besides events. */
void queue_wake(Queue *q);
unsigned queue_peak(const Queue *q);
