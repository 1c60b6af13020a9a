/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All guests, each with its channel and its QEMU process, sorted by UUID. */

#include "host-agent/config/config.h"
#include "host-agent/daemon/findings.h"
#include "host-agent/sense/guest-channel.h"
#include "host-agent/sense/qemu.h"

typedef struct GuestEntry {
    Guest *guest;
    GuestChannel *channel;
    QemuProcess qemu;
    usec_t looked_usec; /* when its process was last read (looks.c) */
} GuestEntry;

typedef struct Guests {
    GuestEntry *entries;
    size_t n;
    const GuestHost *host; /* shared by all of them */
    const Transport *transport;
    bool changed; /* guests came or went since the last cycle, so places in its plan are no longer valid */
    bool refused; /* there are more than SNAPSHOT_GUESTS_MAX domains, and that was logged */
} Guests;

/* host and transport must outlive it. */
void guests_init(Guests *guests, const GuestHost *host, const Transport *transport);
void guests_done(Guests *guests);

/* Adds a domain that isn't known yet, and logs it, or why it can't be managed. configured: what the
 * configuration grants guests of its name. */
void guests_add(Guests *guests, const DomainInfo *info, const Entitlement *configured);
/* Removes a guest that no longer runs. */
void guests_remove(Guests *guests, const char *uuid);
/* The guest with this UUID; NULL: there is none. */
GuestEntry *guests_by_uuid(const Guests *guests, const char *uuid);
/* Finds a guest by its exact name or UUID, or by a prefix of either that only one guest has. 0, -ENOENT or
 * -ENOTUNIQ. */
int guests_find(const Guests *guests, const char *pattern, GuestEntry **ret);

/* All guests as a decision sees them now, in order; guest_settle() is called for each first. The caller frees
 * *ret. 0 or -ENOMEM. */
int guests_snapshot(const Guests *guests, usec_t now_usec, SnapshotGuest **ret);
/* Adds to f which patterns of the configuration match no guest. */
void guests_tell_unmatched(const Guests *guests, const Config *c, Findings *f);
/* A cycle has decided about all guests, so places in its plan are valid. */
void guests_seen(Guests *guests);
