/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All guests, each with its channel, sorted by UUID. */

#include "host-agent/sense/guest-channel.h"

typedef struct GuestEntry {
    Guest *guest;
    GuestChannel *channel;
} GuestEntry;

typedef struct Guests {
    GuestEntry *entries;
    size_t n;
    const GuestHost *host; /* what all of them share */
    const Transport *transport;
    bool changed; /* some came or went since the last cycle: the places in its plan aren't theirs any more */
    bool refused; /* that there are more than SNAPSHOT_GUESTS_MAX was logged */
} Guests;

/* host and transport must outlive it. */
void guests_init(Guests *guests, const GuestHost *host, const Transport *transport);
void guests_done(Guests *guests);

/* A domain that wasn't known. configured: what the configuration grants guests of its name. It is logged, and that
 * it can't be taken care of, too. */
void guests_add(Guests *guests, const DomainInfo *info, const Entitlement *configured);
/* It is gone. */
void guests_remove(Guests *guests, const char *uuid);
/* NULL where there is none. */
GuestEntry *guests_by_uuid(const Guests *guests, const char *uuid);
/* By exact name, UUID, or a prefix of either that only one guest has. 0; -ENOENT; -ENOTUNIQ. */
int guests_find(const Guests *guests, const char *pattern, GuestEntry **ret);

/* All guests as a decision sees them now, in order. What was given to a guest and what of it is used is settled
 * first. *ret is the caller's to free. 0 or -ENOMEM. */
int guests_snapshot(const Guests *guests, usec_t now_usec, SnapshotGuest **ret);
/* A cycle has seen them all. */
void guests_seen(Guests *guests);
