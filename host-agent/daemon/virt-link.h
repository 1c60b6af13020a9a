/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's side of libvirt: the connection, and what comes of it for the guests. */

#include "host-agent/config/config.h"
#include "host-agent/daemon/guests.h"
#include "host-agent/sense/neighbours.h"

typedef struct VirtLink {
    Virt *virt; /* NULL before virt_link_start() */
    char *uri;
    bool connected;
    char *lost_why; /* why it isn't, for people; NULL while it is */

    Guests *guests;
    const GuestHost *guest_host;
    const Config *config;
    Neighbours *neighbours;
} VirtLink;

/* uri is copied; all else must outlive it. 0 or -ENOMEM. */
int virt_link_init(VirtLink *l, const char *uri, Guests *guests, const GuestHost *guest_host,
                   const Config *config, Neighbours *neighbours);
/* Starts libvirt's threads and the first attempt to connect. 0 or -errno. */
int virt_link_start(VirtLink *l, sd_event *event);
void virt_link_done(VirtLink *l);
/* Asks libvirt to write an entitlement for a guest, which will be e then: NOTICE_ENTITLED says what came of it.
 * 0, -EBUSY while the change before is still being written, -ENOENT, -ENOTCONN, or another -errno. */
int virt_link_entitle(VirtLink *l, Guest *g, const EntitlementChange *change, const Entitlement *e);
