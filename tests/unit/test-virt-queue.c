/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The queue from libvirt's threads into the loop. */

#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "host-agent/libvirt/queue.h"
#include "tests/unit/run.h"

#define A "aaaaaaaa-0000-0000-0000-000000000000"
#define B "bbbbbbbb-0000-0000-0000-000000000000"

static Queue *q;
static Mailbox a, b;

static void setup(void)
{
    ck_assert_int_eq(queue_new(&q), 0);
}

static void teardown(void)
{
    q = queue_free(q);
}

static bool is_readable(void)
{
    return poll(&(struct pollfd){.fd = queue_fd(q), .events = POLLIN}, 1, 0) == 1;
}

static void push(Mailbox *box, VirtEventType type, uint64_t bytes)
{
    const char *uuid = box == &a ? A : box == &b ? B : NULL;

    ck_assert_int_eq(queue_push(q, box, &(VirtEvent){.type = type, .uuid = uuid, .bytes = bytes}), 0);
}

static void expect(const char *uuid, VirtEventType type, uint64_t bytes)
{
    QueueItem *item = queue_pop(q);

    ck_assert_ptr_nonnull(item);
    ck_assert_int_eq(item->event.type, type);
    ck_assert_uint_eq(item->event.bytes, bytes);
    if (uuid)
        ck_assert_str_eq(item->event.uuid, uuid);
    else
        ck_assert_ptr_null(item->event.uuid);
    queue_item_free(item);
}

START_TEST(events_come_in_order)
{
    ck_assert(!is_readable());
    push(NULL, VIRT_CONNECTED, 0);
    push(&a, VIRT_DOMAIN_ADDED, 1);
    push(&b, VIRT_DOMAIN_ADDED, 2);
    ck_assert(is_readable());
    expect(NULL, VIRT_CONNECTED, 0);
    expect(A, VIRT_DOMAIN_ADDED, 1);
    ck_assert(is_readable());
    expect(B, VIRT_DOMAIN_ADDED, 2);
    ck_assert_ptr_null(queue_pop(q));
    ck_assert(!is_readable());
    push(&a, VIRT_DOMAIN_GONE, 0);
    ck_assert(is_readable());
    ck_assert_uint_eq(queue_peak(q), 3);
}
END_TEST

START_TEST(the_newer_of_a_kind_replaces_the_older)
{
    push(&a, VIRT_BALLOON, 1);
    push(&b, VIRT_BALLOON, 2);
    push(&a, VIRT_STATS, 3);
    for (uint64_t i = 4; i < 1000; i++)
        push(&a, VIRT_BALLOON, i);
    expect(B, VIRT_BALLOON, 2);
    expect(A, VIRT_STATS, 3);
    expect(A, VIRT_BALLOON, 999);
    ck_assert_ptr_null(queue_pop(q));
    ck_assert_uint_le(queue_peak(q), 4);
}
END_TEST

START_TEST(what_an_event_points_to_is_copied)
{
    char text[] = "why", uuid[] = A;
    DomainInfo info = {.maximum_bytes = 5};
    VirtStats stats = {.rss_bytes = 6};
    _cleanup_(queue_item_freep) QueueItem *item = NULL;

    ck_assert_int_eq(queue_push(q, &a,
                                &(VirtEvent){.type = VIRT_STATS,
                                             .uuid = uuid,
                                             .text = text,
                                             .info = &info,
                                             .stats = &stats,
                                             .error = -EIO}),
                     0);
    memset(text, 'x', 3);
    memset(uuid, 'x', 8);
    info.maximum_bytes = stats.rss_bytes = 0;
    item = queue_pop(q);
    ck_assert_str_eq(item->event.text, "why");
    ck_assert_str_eq(item->event.uuid, A);
    ck_assert_uint_eq(item->event.info->maximum_bytes, 5);
    ck_assert_uint_eq(item->event.stats->rss_bytes, 6);
    ck_assert_int_eq(item->event.error, -EIO);
}
END_TEST

START_TEST(data_of_a_channel_is_put_together)
{
    QueueItem *item;

    push(&a, VIRT_CHANNEL_OPENED, 0);
    ck_assert_int_eq(queue_push_data(q, &a, A, (const uint8_t *) "one ", 4), 0);
    ck_assert_int_eq(queue_push_data(q, &b, B, (const uint8_t *) "other", 5), 0);
    ck_assert_int_eq(queue_push_data(q, &a, A, (const uint8_t *) "two", 3), 0);
    push(&a, VIRT_CHANNEL_CLOSED, 0);
    expect(A, VIRT_CHANNEL_OPENED, 0);
    item = queue_pop(q);
    ck_assert_uint_eq(item->event.length, 7);
    ck_assert_mem_eq(item->event.data, "one two", 7);
    queue_item_free(item);
    item = queue_pop(q);
    ck_assert_str_eq(item->event.uuid, B);
    ck_assert_mem_eq(item->event.data, "other", 5);
    queue_item_free(item);
    expect(A, VIRT_CHANNEL_CLOSED, 0);
}
END_TEST

START_TEST(data_of_a_flood_is_bounded_and_charged_to_its_sender)
{
    uint8_t data[5000] = {0};
    size_t sent = 0;
    QueueItem *item;
    int r = 0;

    for (int i = 0; i < 1000 && r == 0; i++, sent += sizeof(data))
        r = queue_push_data(q, &a, A, data, sizeof(data));
    ck_assert_int_eq(r, -ENOBUFS);
    ck_assert_uint_gt(sent, QUEUE_DATA_MAX);
    ck_assert_int_eq(queue_push_data(q, &b, B, data, sizeof(data)), 0);
    item = queue_pop(q);
    /* More than a link takes at once, so that it drops this guest. */
    ck_assert_uint_eq(item->event.length, QUEUE_DATA_MAX);
    ck_assert_uint_gt(item->event.length, LINK_BYTES_BURST);
    queue_item_free(item);
    ck_assert_int_eq(queue_push_data(q, &a, A, data, sizeof(data)), 0);
}
END_TEST

START_TEST(what_is_dropped_doesnt_come)
{
    push(&a, VIRT_CHANNEL_CLOSED, 0);
    push(&a, VIRT_STATS, 1);
    push(&b, VIRT_CHANNEL_CLOSED, 2);
    queue_drop(q, &a, VIRT_CHANNEL_CLOSED);
    queue_drop(q, &a, VIRT_CHANNEL_DATA);
    expect(A, VIRT_STATS, 1);
    expect(B, VIRT_CHANNEL_CLOSED, 2);
    ck_assert_ptr_null(queue_pop(q));
}
END_TEST

START_TEST(events_outlive_their_domain)
{
    Mailbox *box = calloc(1, sizeof(*box));

    ck_assert_int_eq(queue_push(q, box, &(VirtEvent){.type = VIRT_DOMAIN_GONE, .uuid = B}), 0);
    mailbox_leave(box);
    free(box);
    expect(B, VIRT_DOMAIN_GONE, 0);
}
END_TEST

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *produce(void *box)
{
    for (uint64_t i = 1; i <= 20000; i++) {
        pthread_mutex_lock(&lock);
        if (i % 3 == 0)
            (void) queue_push_data(q, box, A, (const uint8_t *) "x", 1);
        else
            (void) queue_push(q, box, &(VirtEvent){.type = VIRT_BALLOON, .uuid = A, .bytes = i, .text = "t"});
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

START_TEST(threads_produce_while_the_loop_consumes)
{
    Mailbox boxes[4] = {0};
    pthread_t threads[4];
    uint64_t last[4] = {0};
    size_t done = 0, bytes = 0;

    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, produce, &boxes[i]), 0);
    while (done < 4 || bytes < 4 * 6666) {
        _cleanup_(queue_item_freep) QueueItem *item = NULL;
        Mailbox *from = NULL;

        ck_assert_msg(poll(&(struct pollfd){.fd = queue_fd(q), .events = POLLIN}, 1, 5000) == 1,
                      "the queue doesn't wake its owner");
        pthread_mutex_lock(&lock);
        if (is_readable())
            for (size_t i = 0; i < 4; i++)
                if (boxes[i].waiting[VIRT_BALLOON] && boxes[i].waiting[VIRT_BALLOON]->prev == NULL)
                    from = &boxes[i];
        item = queue_pop(q);
        pthread_mutex_unlock(&lock);
        if (!item)
            continue;
        bytes += item->event.length;
        if (item->event.type == VIRT_BALLOON) {
            ck_assert_ptr_nonnull(from);
            ck_assert_uint_gt(item->event.bytes, last[from - boxes]);
            last[from - boxes] = item->event.bytes;
            done += item->event.bytes == 20000;
        }
    }
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(bytes, 4 * 6666);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virt-queue");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, events_come_in_order);
    tcase_add_test(tc, the_newer_of_a_kind_replaces_the_older);
    tcase_add_test(tc, what_an_event_points_to_is_copied);
    tcase_add_test(tc, data_of_a_channel_is_put_together);
    tcase_add_test(tc, data_of_a_flood_is_bounded_and_charged_to_its_sender);
    tcase_add_test(tc, what_is_dropped_doesnt_come);
    tcase_add_test(tc, events_outlive_their_domain);
    tcase_add_test(tc, threads_produce_while_the_loop_consumes);

    return run_tests(tc);
}
