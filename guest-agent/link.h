/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The guest's end of the channel: an open port, and the state of the handshake with the host. It has no loop
 * and no clock of its own: the agent waits for link_events() and link_due_usec(), then calls in.
 *
 * While no host has opened the other side, a virtio-serial port is permanently readable (end of file), hung
 * up and not writable, so it can only be watched with EPOLLET. When a host opens its side, the hang-up goes
 * away and the guest sends Hello. It repeats that until the host answers with Welcome, and sends nothing else
 * before. A host that closes and reopens its side very fast goes unnoticed, and the new host drops messages
 * with the old nonce. So the guest sends Hello again to a host that was silent for LINK_SILENCE_USEC (a
 * welcomed guest hears from it at least every 30 s); meanwhile its reports go on with the current nonce. */

#include "guest-agent/outbox.h"
#include "proto/frame.h"

#define LINK_SILENCE_USEC (90 * USEC_PER_SEC)

typedef struct Link {
    int fd;               /* -EBADF: no port */
    bool present;         /* by the port's events, a host is on the other side */
    bool greeting;        /* Hello is repeated until a Welcome comes */
    bool welcomed;        /* nonce is valid */
    uint32_t nonce;       /* of the last Welcome */
    usec_t hello_usec;    /* when the next Hello is due, while greeting */
    usec_t heard_usec;    /* when the host last sent something, while welcomed */
    usec_t interval_usec; /* of the last Configure; 0: none yet */
    Message lever;        /* the last Reclaim or Compact */
    uint32_t lever_id;    /* its id until it is answered, else 0 */
    Message hello;
    FrameReader reader;
    Outbox outbox;
} Link;

/* Bits that link_io() returns: a Welcome or a Configure came; link_lever() has a request. */
enum { LINK_WELCOMED = 1, LINK_CONFIGURED = 2, LINK_LEVER = 4 };

/* Opens a port by its path, for link_attach(). Returns a descriptor or -errno. */
int link_open_port(const char *path);

/* hello: the first message; its boot_usec is filled in when it is sent. */
void link_init(Link *l, const Message *hello);
/* Takes over fd, a port just opened, and sends Hello. Returns 0, or -errno: the port is broken. */
int link_attach(Link *l, int fd, usec_t now_usec);
/* Closes the port. */
void link_detach(Link *l);

/* Handles events of the port: reads, answers, and writes as much as the port takes. Returns LINK_ bits, or
 * -errno if the port is broken or gone: then detach it and open it again. */
int link_io(Link *l, uint32_t events, usec_t now_usec);
/* Sends Hello if it is due. Returns 0, or -errno as link_io(). */
int link_tick(Link *l, usec_t now_usec);
/* When to call link_tick() next; USEC_INFINITY: never. */
usec_t link_due_usec(const Link *l);
/* Events to wait for, EPOLLET included. */
uint32_t link_events(const Link *l);

/* Whether a host has welcomed this guest and takes reports. */
bool link_ready(const Link *l);
/* Sends as much as the port takes now; link_io() sends the rest. Without link_ready() the message is dropped.
 * Returns 0, or -errno as link_io(). */
int link_report(Link *l, const Report *r);
int link_distress(Link *l, DistressCause cause, const Report *r);
/* The Reclaim or Compact that LINK_LEVER announced. It is to be answered by one link_reclaimed() with its id. The link
 * itself answers a request that comes before that: BUSY. */
const Message *link_lever(const Link *l);
/* Answers a request: m is a Reclaimed. Dropped if it isn't the one that waits for an answer: then the host has
 * forgotten it, as it does when the agent says Hello. */
int link_reclaimed(Link *l, const Message *m);
/* The levers that this guest has from now on (HELLO_FEATURE_ bits), and why others are missing (at most GUEST_TEXT_MAX
 * bytes of it are sent). If the host does not know that yet, link_tick() sends another Hello. */
void link_set_levers(Link *l, uint32_t levers, const char *missing, usec_t now_usec);
/* Sends Goodbye instead of all waiting messages, and waits at most limit_usec for the host to read it. */
int link_goodbye(Link *l, const char *reason, usec_t limit_usec);
