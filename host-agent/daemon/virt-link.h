/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's side of libvirt: the connection, and its events for the guests. */

#include "host-agent/config/config.h"
#include "host-agent/daemon/guests.h"
#include "host-agent/sense/neighbours.h"

typedef struct VirtLink {
    Virt *virt; /* NULL before virt_link_start() */
    char *uri;
    bool connected;
    bool listed;       /* the guests that ran when ballastd first connected are known */
    ShutOff *shut_off; /* the answer that NOTICE_SHUT_OFF is about, while that is reported; else NULL */
    Outage away;       /* from when the connection was lost, or refused */
    char *lost_why;    /* why it isn't connected, for people; NULL while it is */

    Guests *guests;
    const GuestHost *guest_host;
    const Config *config;
    Neighbours *neighbours;
} VirtLink;

/* uri is copied; the other objects must outlive it. 0 or -ENOMEM. */
int virt_link_init(VirtLink *l, const char *uri, Guests *guests, const GuestHost *guest_host,
                   const Config *config, Neighbours *neighbours);
/* Starts libvirt's threads and the first attempt to connect. 0 or -errno. */
int virt_link_start(VirtLink *l, sd_event *event);
void virt_link_done(VirtLink *l);
/* Once it is known which guests run: adds to f which patterns of the configuration match none. */
void virt_link_tell_unmatched(const VirtLink *l, Findings *f);
/* Asks libvirt to write the entitlement of a guest, or of a domain that is shut off (guest_new_shut_off()), which
 * becomes e by that change. NOTICE_ENTITLED reports the result. 0; -EBUSY while the last change is still being written; -ENOENT, -ENOTCONN or another -errno. */
int virt_link_entitle(VirtLink *l, Guest *g, const EntitlementChange *change, const Entitlement *e);
