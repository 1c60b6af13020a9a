/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The guest's end of the channel: the handshake with the host, and messages over the port. */

#include "guest-agent/link.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "base/macro.h"

int link_open_port(const char *path)
{
    int fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

void link_init(Link *l, const Message *hello)
{
    *l = (Link){.fd = -EBADF, .hello = *hello};
    l->hello.type = MESSAGE_HELLO;
    frame_reader_init(&l->reader);
}

static int flush(Link *l)
{
    int dropped = 0, r;

    r = outbox_write(&l->outbox, l->fd, l->nonce, &dropped);
    if (dropped < 0)
        log_warning_errno(-dropped, "Dropped a message of the agent's own that is not valid: %m");
    return r;
}

static int say_hello(Link *l, usec_t now)
{
    l->hello.boot_usec = now;
    outbox_put(&l->outbox, &l->hello);
    l->hello_usec = now + HELLO_INTERVAL_USEC;
    return flush(l);
}

/* A host seems to have opened its side. Messages for another host, or half of one, are of no use to it. */
static int greet(Link *l, usec_t now)
{
    l->present = l->greeting = true;
    l->welcomed = false;
    l->lever_id = 0;
    outbox_reset(&l->outbox);
    frame_reader_init(&l->reader);
    return say_hello(l, now);
}

static void host_left(Link *l)
{
    if (l->welcomed)
        log_info("The host has closed its side of the channel");
    l->present = l->greeting = l->welcomed = false;
    l->lever_id = 0;
    outbox_reset(&l->outbox);
}

int link_attach(Link *l, int fd, usec_t now)
{
    assert(l->fd < 0);
    l->fd = fd;
    return greet(l, now);
}

void link_detach(Link *l)
{
    closep(&l->fd);
    l->fd = -EBADF;
    l->present = l->greeting = l->welcomed = false;
    l->lever_id = 0;
    outbox_reset(&l->outbox);
}

static int on_welcome(Link *l, const Message *m)
{
    /* A Welcome that no Hello asked for: the host checks that its messages are read. */
    bool renewed = l->welcomed && !l->greeting;

    if (!m->has_nonce)
        return 0;
    if (!renewed)
        l->lever_id = 0;
    if (!l->welcomed)
        log_info("Welcomed by the host%s%s", m->version[0] ? ", version " : "", m->version);
    l->nonce = m->nonce;
    l->welcomed = true;
    l->greeting = false;
    return renewed ? LINK_CONFIGURED : LINK_WELCOMED;
}

static int on_configure(Link *l, const Message *m)
{
    if (l->interval_usec != m->interval_usec)
        log_debug("The host asks for a report every %" PRIu64 " ms", m->interval_usec / USEC_PER_MSEC);
    l->interval_usec = m->interval_usec;
    return LINK_CONFIGURED;
}

/* A host asks for one thing at a time, unless it has given up waiting for the answer. */
static int on_lever(Link *l, const Message *m)
{
    if (l->lever_id != 0) {
        outbox_put(&l->outbox, &(Message){.type = MESSAGE_RECLAIMED, .id = m->id, .why = LEVER_END_BUSY});
        return 0;
    }
    l->lever = *m;
    l->lever_id = m->id;
    return LINK_LEVER;
}

/* Returns LINK_ bits. Ignores anything that is not a message, not for a guest, or too early. */
static int on_frame(Link *l, const uint8_t *payload, size_t length, usec_t now)
{
    const char *what = NULL;
    Message m;
    int r;

    r = message_unpack(payload, length, &m, &what);
    if (r < 0) {
        log_debug_errno(-r, "Ignored a message from the host (%s): %m", what ? what : "?");
        return 0;
    }

    if (m.type == MESSAGE_WELCOME)
        r = on_welcome(l, &m);
    else if (m.type == MESSAGE_CONFIGURE && l->welcomed)
        r = on_configure(l, &m);
    else if ((m.type == MESSAGE_RECLAIM || m.type == MESSAGE_COMPACT) && l->welcomed)
        r = on_lever(l, &m);
    if (r > 0)
        l->heard_usec = now;
    return r;
}

/* Reads until the port is empty: with EPOLLET, bytes left now would raise no further event. */
static int read_port(Link *l, usec_t now)
{
    uint8_t buf[1024];
    int news = 0;

    for (;;) {
        ssize_t n = read(l->fd, buf, sizeof(buf));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return -errno;
        if (n <= 0) /* 0: no host on the other side */
            return news;

        for (size_t done = 0; done < (size_t) n;) {
            const uint8_t *payload;
            size_t taken, length;

            if (frame_reader_feed(&l->reader, buf + done, (size_t) n - done, &taken, &payload, &length) > 0)
                news |= on_frame(l, payload, length, now);
            done += taken;
        }
    }
}

int link_io(Link *l, uint32_t events, usec_t now)
{
    int news, r;

    if (l->fd < 0)
        return 0;
    /* A virtio port never has this. A terminal has it for good once its other end is gone. */
    if (events & EPOLLERR)
        return -EIO;

    news = read_port(l, now);
    if (news < 0)
        return news;

    if (events & EPOLLHUP) {
        host_left(l);
        return 0;
    }
    if (!l->present) {
        /* The bytes read above may have been meant for a guest before this one. */
        r = greet(l, now);
        return r < 0 ? r : 0;
    }
    r = flush(l);
    return r < 0 ? r : news;
}

int link_tick(Link *l, usec_t now)
{
    if (l->welcomed && !l->greeting && usec_since(l->heard_usec, now) >= LINK_SILENCE_USEC) {
        log_info("No message from the host for %u s; sending Hello again",
                 (unsigned) (LINK_SILENCE_USEC / USEC_PER_SEC));
        l->greeting = true;
        l->hello_usec = now;
    }
    if (l->greeting && l->hello_usec <= now)
        return say_hello(l, now);
    return 0;
}

usec_t link_due_usec(const Link *l)
{
    if (l->greeting)
        return l->hello_usec;
    if (l->welcomed)
        return l->heard_usec + LINK_SILENCE_USEC;
    return USEC_INFINITY;
}

uint32_t link_events(const Link *l)
{
    /* EPOLLOUT is needed when messages wait, and while no host is present, as it shows that one has come.
     * Otherwise it would wake the agent each time the host has read a report. */
    return EPOLLIN | EPOLLET | (!l->present || !outbox_empty(&l->outbox) ? EPOLLOUT : 0);
}

bool link_ready(const Link *l)
{
    return l->welcomed;
}

static int send_message(Link *l, const Message *m)
{
    if (!l->welcomed)
        return 0;
    outbox_put(&l->outbox, m);
    return flush(l);
}

int link_report(Link *l, const Report *r)
{
    return send_message(l, &(Message){.type = MESSAGE_REPORT, .report = *r});
}

int link_distress(Link *l, DistressCause cause, const Report *r)
{
    return send_message(l, &(Message){.type = MESSAGE_DISTRESS, .cause = cause, .report = *r});
}

const Message *link_lever(const Link *l)
{
    return &l->lever;
}

int link_reclaimed(Link *l, const Message *m)
{
    if (m->id != l->lever_id)
        return 0;
    l->lever_id = 0;
    return send_message(l, m);
}

void link_set_levers(Link *l, uint32_t levers, const char *missing, usec_t now)
{
    uint32_t features = (l->hello.features & ~(uint32_t) HELLO_FEATURE_LEVERS) | levers;
    char text[sizeof(l->hello.levers_missing)];

    snprintf(text, sizeof(text), "%s", missing);
    for (char *p = text; *p; p++)
        if (*p < ' ' || *p > '~') /* the host would refuse the whole Hello */
            *p = '?';
    if (features == l->hello.features && strcmp(text, l->hello.levers_missing) == 0)
        return;
    l->hello.features = features;
    memcpy(l->hello.levers_missing, text, sizeof(text));
    if (l->present) {
        l->greeting = true;
        l->hello_usec = now;
    }
}

int link_goodbye(Link *l, const char *reason, usec_t limit)
{
    usec_t end = now_usec(CLOCK_MONOTONIC) + limit;
    Message m = {.type = MESSAGE_GOODBYE};
    int r;

    snprintf(m.text, sizeof(m.text), "%s", reason);
    outbox_clear(&l->outbox);
    for (r = send_message(l, &m); r >= 0 && l->welcomed && !outbox_empty(&l->outbox); r = flush(l)) {
        struct pollfd p = {.fd = l->fd, .events = POLLOUT};
        usec_t now = now_usec(CLOCK_MONOTONIC);

        if (now >= end || poll(&p, 1, (int) ((end - now) / USEC_PER_MSEC) + 1) <= 0 ||
            p.revents & (POLLHUP | POLLERR))
            return -ETIMEDOUT;
    }
    return r;
}
