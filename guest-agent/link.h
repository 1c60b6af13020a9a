/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The guest's end of the channel: an open port, and where the talk with the host stands. Free of loop and
 * clock; the agent waits for link_events() and link_due_usec() and calls in.
 *
 * A virtio-serial port without a host on the other side is readable (end of file), not writable, and hung
 * up, at once and for ever, so that it may only be waited for with EPOLLET. When a host opens its side the
 * hang-up is gone, and the guest says Hello. While none has answered it repeats that; until then nothing else
 * is said. A host side that was closed and opened again faster than we could look goes unnoticed, and the new
 * host drops what bears the old nonce: so a host that is silent for too long (a welcomed guest hears from it
 * at least each 30 s) is greeted anew, while reports go on with the nonce that stands. */

#include "guest-agent/outbox.h"
#include "proto/frame.h"

#define LINK_SILENCE_USEC (90 * USEC_PER_SEC)

typedef struct Link {
    int fd;               /* -EBADF: no port */
    bool present;         /* a host is on the other side, as far as the port says */
    bool greeting;        /* Hello is said until a Welcome comes */
    bool welcomed;        /* nonce stands */
    uint32_t nonce;       /* of the last Welcome */
    usec_t hello_usec;    /* when the next Hello is due, while greeting */
    usec_t heard_usec;    /* when the host was last heard of, while welcomed */
    usec_t interval_usec; /* of the last Configure; 0: none yet */
    Message hello;
    FrameReader reader;
    Outbox outbox;
} Link;

/* What link_io() tells, as bits. */
enum { LINK_WELCOMED = 1, LINK_CONFIGURED = 2 };

/* Opens a port by its path, for link_attach(). Returns a descriptor or -errno. */
int link_open_port(const char *path);

/* hello: what is to be said at first, boot_usec left open. */
void link_init(Link *l, const Message *hello);
/* Takes the descriptor of a port just opened, and says Hello. 0, or -errno: the port is broken. */
int link_attach(Link *l, int fd, usec_t now_usec);
/* Closes the port. */
void link_detach(Link *l);

/* The port has something to tell: reads, answers and writes as far as it goes. Returns LINK_ bits, or -errno:
 * the port is broken or gone, is to be detached, and opened again. */
int link_io(Link *l, uint32_t events, usec_t now_usec);
/* Says Hello if it is due. 0 or -errno as link_io(). */
int link_tick(Link *l, usec_t now_usec);
/* When link_tick() has something to do; USEC_INFINITY: never. */
usec_t link_due_usec(const Link *l);
/* What to wait for, to be used with EPOLLET. */
uint32_t link_events(const Link *l);

/* Whether there is anyone to report to. */
bool link_ready(const Link *l);
/* Each sends what it can at once and leaves the rest to link_io(); dropped unless link_ready(). 0 or -errno
 * as link_io(). */
int link_report(Link *l, const Report *r);
int link_distress(Link *l, DistressCause cause, const Report *r);
/* Says Goodbye in place of anything else that waits, and gives the host a limited time to take it. */
int link_goodbye(Link *l, const char *reason, usec_t limit_usec);
