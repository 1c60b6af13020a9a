/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and writes a domain's channel, which is a libvirt stream. A worker opens the stream. After that only
 * the loop's thread uses it, until a worker ends it (which waits for an answer from libvirtd). The loop's
 * thread never ends or frees a stream inside the stream's own callback.
 *
 * The flow control of libvirt's streams protects nobody:
 * - Received: libvirt's client reads all that a guest sends as fast as it arrives, and keeps it without a
 *   limit until the program takes it. So not reading doesn't slow a guest down. This file always reads, and
 *   closes the channel of a guest that sends more than the daemon can process.
 * - Sent: once the socket to QEMU is full, messages that the guest doesn't read stay in libvirtd, and each
 *   one holds one of the connection's five requests. With all five held, nothing can be sent to any guest on
 *   this connection, and the stream can't even be ended. libvirt gives no warning before that. But each
 *   opening of the channel creates a new socket, and libvirtd writes to it as long as the data in it take up
 *   less than a quarter of its buffer (net.core.wmem_default, 208 KiB). So this file counts all bytes sent on
 *   a stream as if the guest had read none of them, and closes the channel before the count reaches that
 *   quarter; the channel is then opened again. (Measured: stuck after 74 messages of 60 bytes, 24 of 1000, 11
 *   of 4000; closed here after 64, 21, 5.) */

#include <string.h>

#include "host-agent/libvirt/virt-internal.h"

#define CHANNEL_OUT_MAX ((size_t) 16 * 1024)
#define UNREAD_MAX      ((size_t) 48 * 1024)
#define READ_SIZE       ((size_t) 16 * 1024)
#define WATCHED         (VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_HANGUP | VIR_STREAM_EVENT_ERROR)

static void end_run(Job *job)
{
    Channel *ch = (Channel *) ((char *) job - offsetof(Channel, job));

    (void) virStreamAbort(ch->stream);
    virStreamFree(ch->stream);
}

static void end_done(Job *job)
{
    Channel *ch = (Channel *) ((char *) job - offsetof(Channel, job));
    Domain *d = ch->domain;

    if (d) {
        DomainChannel *channel = &d->channel;

        channel->ending = NULL;
        workers_block(ch->virt->workers, &d->caller, 0);
    }
    conn_unuse(ch->conn);
    free(ch->out);
    free(ch);
}

int channel_open(Virt *v, Conn *conn, virDomainPtr domain, const char *uuid, Channel **ret, char **ret_text)
{
    Channel *ch = calloc(1, sizeof(*ch));
    int r;

    if (!ch)
        return -ENOMEM;
    ch->stream = virStreamNew(conn->ptr, VIR_STREAM_NONBLOCK);
    /* Not by force: that would disconnect another daemon that uses this channel. A channel that an earlier
     * ballastd had open isn't in the way: libvirtd closed it together with that ballastd's connection. */
    if (!ch->stream || virDomainOpenChannel(domain, CHANNEL_NAME, ch->stream, 0) < 0) {
        r = virt_last_error(ret_text);
        if (ch->stream)
            virStreamFree(ch->stream);
        free(ch);
        return r;
    }
    ch->virt = v;
    ch->conn = conn;
    ch->job = (Job){.run = end_run, .done = end_done};
    snprintf(ch->uuid, sizeof(ch->uuid), "%s", uuid);
    *ret = ch;
    return 0;
}

static void needs_loop(Channel *ch)
{
    Virt *v = ch->virt;
    Channels *channels = &v->channels;

    if (ch->queued)
        return;
    ch->queued = true;
    ch->next = channels->work;
    channels->work = ch;
    loop_wake(v->loop);
}

void channel_adopt(Channel *ch, Domain *d, bool wanted)
{
    DomainChannel *channel = &d->channel;

    conn_use(ch->conn);
    ch->domain = d;
    if (!wanted) {
        channel_end(ch);
        return;
    }
    channel->open = ch;
    virt_push(ch->virt, d, &(VirtEvent){.type = VIRT_CHANNEL_OPENED});
    needs_loop(ch);
}

void channel_end(Channel *ch)
{
    Domain *d = ch->domain;
    DomainChannel *channel = &d->channel;

    ch->dead = true;
    channel->open = NULL;
    /* libvirt refuses to open the channel again before this stream has ended. */
    channel->ending = ch;
    workers_block(ch->virt->workers, &d->caller, 1U << CALL_CHANNEL);
    needs_loop(ch);
}

void channel_forget(Domain *d)
{
    if (d->channel.ending)
        d->channel.ending->domain = NULL;
}

void channel_fail(Channel *ch, int error, const char *text)
{
    virt_push(ch->virt, ch->domain, &(VirtEvent){.type = VIRT_CHANNEL_CLOSED, .error = error, .text = text});
    channel_end(ch);
}

/* Returns the bytes that a message takes up in a socket: the message and 320 bytes of overhead, rounded up to
 * a power of two of at least 512, plus 256. */
static size_t message_cost(size_t length)
{
    size_t cost = 512;

    while (cost < length + 320)
        cost *= 2;
    return cost + 256;
}

int channel_send(Channel *ch, const uint8_t *data, size_t length)
{
    if (length > CHANNEL_OUT_MAX - ch->out_length)
        return -ENOBUFS;
    if (ch->unread + message_cost(length) > UNREAD_MAX) {
        channel_fail(ch, 0, "closed to open it again, because the guest may not have read what was sent");
        return -ENOBUFS;
    }
    if (!ch->out) {
        ch->out = malloc(CHANNEL_OUT_MAX);
        if (!ch->out)
            return -ENOMEM;
    }
    memcpy(ch->out + ch->out_length, data, length);
    ch->out_length += length;
    ch->unread += message_cost(length);
    needs_loop(ch);
    return 0;
}

void channel_was_read(Channel *ch)
{
    ch->unread = 0;
}

/* The functions below run in the loop's thread, without the lock. */

/* libvirt's last error belongs to the thread: read it before taking the lock, and pass it here. */
static void fail(Channel *ch, int error, const char *text)
{
    pthread_mutex_lock(&ch->virt->lock);
    if (!ch->dead)
        channel_fail(ch, error, text);
    pthread_mutex_unlock(&ch->virt->lock);
}

static void fail_as_libvirt_says(Channel *ch)
{
    _cleanup_free_ char *text = NULL;
    int error = virt_last_error(&text);

    fail(ch, error, text);
}

static void read_channel(Channel *ch)
{
    uint8_t buf[READ_SIZE];
    int n = virStreamRecv(ch->stream, (char *) buf, sizeof(buf)), r;

    if (n == -2)
        return;
    if (n < 0) {
        fail_as_libvirt_says(ch);
        return;
    }
    if (n == 0) {
        fail(ch, 0, "closed by QEMU");
        return;
    }
    pthread_mutex_lock(&ch->virt->lock);
    if (!ch->dead) {
        r = queue_push_data(ch->virt->queue, &ch->domain->box, ch->uuid, buf, (size_t) n);
        if (r < 0)
            channel_fail(ch, r,
                         r == -ENOBUFS ? "the guest sends more than ballastd can process" : strerror(-r));
    }
    pthread_mutex_unlock(&ch->virt->lock);
}

static void write_channel(Channel *ch)
{
    uint8_t buf[CHANNEL_OUT_MAX];
    size_t length = 0;
    int n = 0;

    pthread_mutex_lock(&ch->virt->lock);
    if (!ch->dead && ch->out_length > 0) {
        length = ch->out_length;
        memcpy(buf, ch->out, length);
    }
    pthread_mutex_unlock(&ch->virt->lock);
    if (length > 0) {
        n = virStreamSend(ch->stream, (const char *) buf, length);
        if (n == -1) {
            fail_as_libvirt_says(ch);
            return;
        }
        n = MAX(n, 0); /* -2: would block */
    }
    pthread_mutex_lock(&ch->virt->lock);
    ch->out_length -= (size_t) n;
    if (n > 0 && ch->out_length > 0)
        memmove(ch->out, ch->out + n, ch->out_length);
    length = ch->out_length;
    pthread_mutex_unlock(&ch->virt->lock);
    (void) virStreamEventUpdateCallback(ch->stream, WATCHED | (length > 0 ? VIR_STREAM_EVENT_WRITABLE : 0));
}

static void on_stream(virStreamPtr stream, int events, void *userdata)
{
    Channel *ch = userdata;

    /* This may be called for a dead channel, until the callback is removed. */
    if (events & VIR_STREAM_EVENT_WRITABLE)
        write_channel(ch);
    if (events & VIR_STREAM_EVENT_READABLE)
        read_channel(ch);
    else if (events & (VIR_STREAM_EVENT_HANGUP | VIR_STREAM_EVENT_ERROR))
        fail(ch, events & VIR_STREAM_EVENT_ERROR ? -EIO : 0, "closed by libvirt");
}

static void tend(Channel *ch, bool dead)
{
    Virt *v = ch->virt;

    if (dead) {
        if (ch->attached)
            (void) virStreamEventRemoveCallback(ch->stream);
        pthread_mutex_lock(&v->lock);
        workers_add_job(v->workers, &ch->job);
        pthread_mutex_unlock(&v->lock);
        return;
    }
    if (!ch->attached) {
        if (virStreamEventAddCallback(ch->stream, WATCHED, on_stream, ch, NULL) < 0) {
            fail_as_libvirt_says(ch);
            return;
        }
        ch->attached = true;
    }
    write_channel(ch);
}

void channels_woken(void *userdata)
{
    Virt *v = userdata;
    Channels *channels = &v->channels;
    Channel *ch;

    do {
        bool dead = false;

        pthread_mutex_lock(&v->lock);
        ch = channels->work;
        if (ch) {
            channels->work = ch->next;
            ch->queued = false;
            dead = ch->dead;
        }
        pthread_mutex_unlock(&v->lock);
        if (ch)
            tend(ch, dead);
    } while (ch);
}
