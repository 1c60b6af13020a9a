/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One running domain as the manager knows it. Owned by the manager. */

#include "host-agent/act/balloon.h"
#include "host-agent/decide/plan.h"
#include "host-agent/libvirt/virt.h"
#include "host-agent/sense/link.h"
#include "host-agent/sense/sample.h"

typedef struct Manager Manager;

typedef struct Guest {
    Manager *manager;
    DomainInfo info;

    usec_t seen_usec; /* when this daemon first saw it */
    usec_t boot_usec; /* CLOCK_MONOTONIC of the host when it booted, or seen_usec where that isn't known */
    bool lost;        /* libvirt is away: what is known is kept and ages */
    char busy[32];    /* why it must be left alone; empty: nothing */

    /* Full size. What an administrator set live (a setmem that isn't ours) wins until the domain stops or is
     * released. */
    uint64_t full_bytes;
    bool full_foreign;

    /* The channel. */
    Link *link;
    bool channel_open, channel_wanted;
    usec_t channel_retry_usec, channel_backoff_usec;

    /* Stats. */
    History history;
    VirtStats stats;                     /* the last from libvirt */
    usec_t stats_usec, stats_asked_usec; /* when they came, and were last asked for; 0: never */
    usec_t stats_update_seen_usec;       /* when last_update last changed */
    uint64_t stats_update_sec;
    usec_t report_interval_usec; /* what the agent was asked for */

    /* Distress and promises. */
    usec_t distress_usec; /* when it was last told; 0: never */
    DistressCause distress_cause;
    uint64_t promised_bytes; /* given, not yet seen to be used */
    usec_t promised_usec;

    Balloon balloon;
    bool setting; /* a setMemory is outstanding */
    uint64_t setting_bytes;
    bool reboot;          /* gets its full size first */
    usec_t released_usec; /* when the administrator asked for its memory back; 0: never */

    Decision decision;              /* of the last cycle */
    char told[DECISION_REASON_MAX]; /* what was last logged of it */
} Guest;

int guest_new(Manager *m, const DomainInfo *info, usec_t now_usec, Guest **ret);
Guest *guest_free(Guest *g);
DEFINE_CLEANUP_FUNC(Guest, guest_free);

/* A definition that came again: names, sizes, devices. */
void guest_update_info(Guest *g, const DomainInfo *info, usec_t now_usec);
/* The newest sample of the best source that isn't stale, else the newest of all; NULL: none. */
const Sample *guest_sample(const Guest *g);
/* Where the stats in use come from, and their age (USEC_INFINITY: none). */
GuestSource guest_source(const Guest *g, usec_t now_usec);
usec_t guest_age(const Guest *g, usec_t now_usec);
/* The balloon's size: as last seen, else as the definition says. */
uint64_t guest_current(const Guest *g);
bool guest_in_distress(const Guest *g, usec_t now_usec);
/* The guest as a decision sees it. */
void guest_snapshot(const Guest *g, usec_t now_usec, SnapshotGuest *ret);
