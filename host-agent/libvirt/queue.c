/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The event queue from libvirt's threads to the daemon's loop. */
#include "host-agent/libvirt/queue.h"

#include <assert.h>
#include <string.h>
#include <sys/eventfd.h>

struct Queue {
    int fd;
    QueueItem *head, *tail;
    unsigned n, peak;
};

int queue_new(Queue **ret)
{
    _cleanup_(queue_freep) Queue *q = NULL;

    q = calloc(1, sizeof(*q));
    if (!q)
        return -ENOMEM;
    q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->fd < 0)
        return -errno;
    *ret = TAKE_PTR(q);
    return 0;
}

Queue *queue_free(Queue *q)
{
    if (!q)
        return NULL;
    for (QueueItem *item = q->head, *next; item; item = next) {
        next = item->next;
        queue_item_free(item);
    }
    closep(&q->fd);
    free(q);
    return NULL;
}

QueueItem *queue_item_free(QueueItem *item)
{
    if (!item)
        return NULL;
    free(item->text);
    free(item->info);
    free(item->stats);
    free(item->data);
    free(item);
    return NULL;
}

int queue_fd(const Queue *q)
{
    return q->fd;
}

unsigned queue_peak(const Queue *q)
{
    return q->peak;
}

void queue_wake(Queue *q)
{
    /* The only error is EAGAIN: the counter is full, so the descriptor is readable. */
    (void) eventfd_write(q->fd, 1);
}

static void append(Queue *q, Mailbox *box, QueueItem *item)
{
    item->box = box;
    if (box)
        box->waiting[item->event.type] = item;
    item->prev = q->tail;
    *(q->tail ? &q->tail->next : &q->head) = item;
    q->tail = item;
    q->n++;
    q->peak = MAX(q->peak, q->n);
    if (q->n == 1)
        queue_wake(q);
}

static void take_out(Queue *q, QueueItem *item)
{
    *(item->prev ? &item->prev->next : &q->head) = item->next;
    *(item->next ? &item->next->prev : &q->tail) = item->prev;
    item->prev = item->next = NULL;
    if (item->box)
        item->box->waiting[item->event.type] = NULL;
    item->box = NULL;
    q->n--;
}

static int item_new(const VirtEvent *event, QueueItem **ret)
{
    _cleanup_(queue_item_freep) QueueItem *item = calloc(1, sizeof(*item));

    if (!item)
        return -ENOMEM;
    item->event = (VirtEvent){.type = event->type, .error = event->error, .bytes = event->bytes};
    if (event->uuid) {
        snprintf(item->uuid, sizeof(item->uuid), "%s", event->uuid);
        item->event.uuid = item->uuid;
    }
    if (event->text) {
        item->event.text = item->text = strdup(event->text);
        if (!item->text)
            return -ENOMEM;
    }
    if (event->info) {
        item->event.info = item->info = malloc(sizeof(*item->info));
        if (!item->info)
            return -ENOMEM;
        *item->info = *event->info;
    }
    if (event->stats) {
        item->event.stats = item->stats = malloc(sizeof(*item->stats));
        if (!item->stats)
            return -ENOMEM;
        *item->stats = *event->stats;
    }
    *ret = TAKE_PTR(item);
    return 0;
}

int queue_push(Queue *q, Mailbox *box, const VirtEvent *event)
{
    QueueItem *item;
    int r;

    assert(event->type != VIRT_CHANNEL_DATA);
    r = item_new(event, &item);
    if (r < 0)
        return r;
    if (box)
        queue_drop(q, box, event->type);
    append(q, box, item);
    return 0;
}

/* Makes room for n more bytes. */
static int item_grow(QueueItem *item, size_t n)
{
    size_t allocated;
    uint8_t *grown;

    if (item->event.length + n <= item->allocated)
        return 0;
    allocated = MIN(MAX(item->event.length + n, 2 * item->allocated), (size_t) QUEUE_DATA_MAX);
    grown = realloc(item->data, allocated);
    if (!grown)
        return -ENOMEM;
    item->event.data = item->data = grown;
    item->allocated = allocated;
    return 0;
}

int queue_push_data(Queue *q, Mailbox *box, const char *uuid, const uint8_t *data, size_t length)
{
    _cleanup_(queue_item_freep) QueueItem *fresh = NULL;
    QueueItem *item = box->waiting[VIRT_CHANNEL_DATA];
    size_t taken;
    int r;

    if (!item) {
        r = item_new(&(VirtEvent){.type = VIRT_CHANNEL_DATA, .uuid = uuid}, &fresh);
        if (r < 0)
            return r;
        item = fresh;
    }
    taken = MIN(length, QUEUE_DATA_MAX - item->event.length);
    r = item_grow(item, taken);
    if (r < 0)
        return r;
    memcpy(item->data + item->event.length, data, taken);
    item->event.length += taken;
    if (fresh)
        append(q, box, TAKE_PTR(fresh));
    return taken < length ? -ENOBUFS : 0;
}

void queue_drop(Queue *q, Mailbox *box, VirtEventType type)
{
    QueueItem *item = box->waiting[type];

    if (!item)
        return;
    take_out(q, item);
    queue_item_free(item);
}

void mailbox_leave(Mailbox *box)
{
    for (size_t i = 0; i < ELEMENTSOF(box->waiting); i++)
        if (box->waiting[i]) {
            box->waiting[i]->box = NULL;
            box->waiting[i] = NULL;
        }
}

QueueItem *queue_pop(Queue *q)
{
    QueueItem *item = q->head;
    eventfd_t value;

    if (!item) {
        (void) eventfd_read(q->fd, &value);
        return NULL;
    }
    take_out(q, item);
    return item;
}
