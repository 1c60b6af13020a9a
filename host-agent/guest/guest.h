/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One running domain as the manager knows it. Owned by the manager. */

#include "host-agent/decide/decision.h"
#include "host-agent/guest/balloon.h"
#include "host-agent/guest/full-size.h"
#include "host-agent/guest/gain.h"
#include "host-agent/guest/grant.h"
#include "host-agent/guest/need.h"
#include "host-agent/guest/sample.h"
#include "host-agent/guest/strain.h"
#include "host-agent/libvirt/virt.h"
#include "host-agent/sense/link.h"
#include "policy/keep.h"

typedef struct Manager Manager;

/* An agent that hasn't reported for three of its intervals, and no less than this, is taken for silent: what
 * libvirt says is used then, if it is newer. */
#define GUEST_AGENT_SILENT_USEC (3 * USEC_PER_SEC)
/* Memory given and not seen to be used counts against the host's room for this long. */
#define GUEST_OUTSTANDING_USEC  (30 * USEC_PER_SEC)
/* A guest that rebooted into a shrunken size, and wasn't given its full size by then (the host had no room),
 * is one like any other. */
#define GUEST_REBOOT_USEC       (60 * USEC_PER_SEC)
/* A balloon that is seen for the first time may be on its way to what somebody else set: it is looked at for
 * this long before it is moved. */
#define GUEST_FIRST_LOOK_USEC   (2 * USEC_PER_SEC)
/* After page cache was taken nothing more is for this long: the kernel works out PSI's averages every 2 s,
 * and refaults come when the guest reads again. */
#define GUEST_CACHE_PAUSE_USEC  (2500 * USEC_PER_MSEC)
/* Stats that came less than this after a move ended may have been collected before. */
#define GUEST_SETTLE_USEC       (50 * USEC_PER_MSEC)
/* Those of a slow guest even then; what is remembered of them waits for so long. */
#define GUEST_LATE_REPORT_USEC  (2 * USEC_PER_SEC)

/* For this long after a shrink it is looked whether it hurts: page cache that was taken is missed when it is
 * read again. */
#define GUEST_WATCH_USEC         (15 * USEC_PER_SEC)
/* A shrink longer ago than this isn't what a guest is in distress for; then it is taken to need a tenth more
 * than it has. */
#define GUEST_BLAME_USEC         (60 * USEC_PER_SEC)
/* What a guest's agent tells of the last second includes what its balloon did then. */
#define GUEST_TOLD_LATE_USEC     (1200 * USEC_PER_MSEC)
/* A guest with less than this share of its size available has nothing more to give. */
#define GUEST_LEFT_RATIO         0.05
/* A guest that began to hurt is given this long to get back what was taken. */
#define GUEST_HURTING_USEC       (10 * USEC_PER_SEC)
/* A guest that is in distress time and again is told this often at the most. */
#define GUEST_DISTRESS_TOLD_USEC (60 * USEC_PER_SEC)
/* A guest whose agent says goodbye ever again isn't left alone for that more often than this. */
#define GUEST_GOODBYE_USEC       (600 * USEC_PER_SEC)
/* After the host swapped out RSS proves nothing for this long. */
#define GUEST_SWAPPED_USEC       (30 * USEC_PER_SEC)
/* One whose balloon frees nothing is tried again after this long. */
#define GUEST_INEFFECTIVE_USEC   (3600 * USEC_PER_SEC)
/* The host sees it use less than this share of its size: then it isn't short of memory, whatever it says. */
#define GUEST_USED_RATIO         0.75

typedef struct Guest {
    Manager *manager;
    DomainInfo info;

    usec_t seen_usec; /* when this daemon first saw it */
    usec_t boot_usec; /* CLOCK_MONOTONIC of the host when it booted, or seen_usec where that isn't known */
    bool lost;        /* libvirt is away: what is known is kept and ages */
    char busy[32];    /* why it must be left alone; empty: nothing */

    FullSize full;
    Entitlement entitlement; /* in force: the domain's own, beneath it the configuration's */

    /* The channel. */
    Link *link;
    bool channel_open, channel_wanted;
    usec_t channel_opened_usec, channel_retry_usec, channel_backoff_usec;
    uint64_t channel_refused;    /* messages refused before it was opened */
    usec_t fast_usec;            /* until when it reports fast */
    usec_t report_interval_usec; /* what the agent was asked for */

    /* Stats: the newest from each source, and the last of the one in use. */
    Sample newest[GUEST_SOURCE_MAX];
    History history;
    VirtStats stats;                     /* the last from libvirt */
    usec_t stats_usec, stats_asked_usec; /* when they came, and were last asked for; 0: never */

    usec_t distress_usec; /* when it was last told; 0: never */
    DistressCause distress_cause;
    usec_t distress_told_usec; /* when it was last logged; 0: never */
    usec_t goodbye_usec;       /* when its agent said goodbye in a way that counts; 0: never */
    bool leaving;              /* nothing was heard of it since */

    /* What a shrink does to it. */
    Strain strain, strain_before; /* now, and before it was shrunk */
    usec_t shrunk_usec;           /* when a shrink was last sent; 0: never … */
    uint64_t shrunk_from;         /* … and from what size */
    usec_t reclaimed_usec;        /* when its balloon was last seen to take memory; 0: never */
    usec_t hurting_usec;          /* since when it hurts and is to go back to restore_bytes; 0: doesn't */
    uint64_t restore_bytes;
    Need need;
    Grant grant;
    Gain gain;
    usec_t ineffective_usec;    /* since when its balloon is known to free nothing; 0: it isn't */
    bool balloon_in_total;      /* its MemTotal counts what the balloon holds, as last seen at rest */
    uint64_t outstanding_bytes; /* given, not yet seen to be used */
    usec_t outstanding_usec;

    Balloon balloon;
    bool grown;             /* the last target was above its full size */
    bool setting;           /* a setMemory is outstanding … */
    uint64_t setting_grows; /* … which gives this much more than stood before */
    bool retried;           /* its growth stalled, and was tried again before its wait is over */
    bool put_off;           /* a move is wanted that had to wait for the setMemory before it */
    bool cancel;            /* a stalled target is to be taken back */
    bool took_cache;        /* the last shrink took more than free memory */
    usec_t greeted_usec;    /* when a Hello was last logged; 0: never */
    bool reboot;            /* gets its full size first */
    bool reboot_asked;      /* its driver was made to say what it has */
    usec_t released_usec;   /* when the administrator asked for its memory back; 0: never */

    struct Entitling
        *entitling; /* a call on the bus that sets its entitlement (show/entitle.h); NULL: none */

    PolicyKeep keep;   /* for the policy */
    Decision decision; /* of the last cycle */
    bool decided;      /* there was one */
    uint64_t told;     /* what was last logged of it, as a key */
} Guest;

int guest_new(Manager *m, const DomainInfo *info, usec_t now_usec, Guest **ret);
Guest *guest_free(Guest *g);
DEFINE_CLEANUP_FUNC(Guest, guest_free);

/* A definition that came first, or again: names, sizes, devices. */
void guest_update_info(Guest *g, const DomainInfo *info);
/* What the configuration grants it; why: the sizes of that don't count, and so are left out; "": they do. */
Entitlement guest_configured(const Guest *g, char why[static ENTITLEMENT_WHY_MAX]);
/* The configuration is another: what it grants guests of that name may be, too. */
void guest_update_entitlement(Guest *g);
/* The guest booted again: uptime, balloon and history start anew, and its full size is due. */
void guest_rebooted(Guest *g, usec_t now_usec);
/* The balloon's size was seen, in stats or an event. */
void guest_balloon_seen(Guest *g, uint64_t actual_bytes, usec_t now_usec);
/* Stats came from libvirt. */
void guest_stats(Guest *g, const VirtStats *stats, usec_t now_usec);
/* A report came from the agent. */
void guest_report(Guest *g, const Report *r, usec_t now_usec);
/* Its agent said goodbye: it may be shutting down. Returns whether that counts: not where it did so
 * lately. */
bool guest_leaves(Guest *g, usec_t now_usec);
/* A move was handed to libvirt. */
void guest_sent(Guest *g, uint64_t target_bytes, usec_t now_usec);
/* libvirt took it (error 0), or refused it; -EBUSY: for it is being migrated or saved; -ENOTCONN: nobody
 * knows. */
void guest_set_done(Guest *g, int error, usec_t now_usec);
/* The administrator wants its memory back. */
void guest_released(Guest *g, usec_t now_usec);
/* What of the promises still stands, and whether a grant on others proved false. */
void guest_settle(Guest *g, usec_t now_usec);
/* A sample came, and is the newest in use: does it hurt? (guest-strain.c, as are the following.) */
void guest_judge(Guest *g, usec_t now_usec);
/* Its agent says that it is in distress. */
void guest_told_distress(Guest *g, DistressCause cause, usec_t now_usec);
/* It is in distress. told: it said so itself, rather than that it is seen in what it reports. */
void guest_distressed(Guest *g, DistressCause cause, bool told, usec_t now_usec);
/* A shrink, or a growth, was sent: what it does is looked at. */
void guest_watch(Guest *g, bool shrinks, usec_t now_usec);
/* Memory was given to it on the account of others: by donors, or while the host is short of it, so that the
 * policy asks them for it. */
void guest_charge(Guest *g, const SnapshotGuest *s, uint64_t target_bytes, usec_t now_usec);
/* Stats came after a shrink was over: what did it bring? */
void guest_look_at_gain(Guest *g, usec_t now_usec);
bool guest_is_ineffective(const Guest *g, usec_t now_usec);
bool guest_is_hurting(const Guest *g, usec_t now_usec);
/* Why nothing is taken from others for it, a static text; NULL: it may be. */
const char *guest_grant_refused(const Guest *g, usec_t now_usec);

/* The sample in use: the agent's unless it is silent and libvirt's is newer; NULL: none. */
const Sample *guest_sample(const Guest *g, usec_t now_usec);
/* Where the stats in use come from, and their age (USEC_INFINITY: none). */
GuestSource guest_source(const Guest *g, usec_t now_usec);
usec_t guest_age(const Guest *g, usec_t now_usec);
/* The balloon's size: as last seen, else as the definition says. */
uint64_t guest_current(const Guest *g);
uint64_t guest_floor(const Guest *g);
bool guest_in_distress(const Guest *g, usec_t now_usec);
/* Whether its balloon is on its way, or no stats came since it got there. */
bool guest_is_moving(const Guest *g, usec_t now_usec);
GuestMode guest_mode(const Guest *g);
/* The guest as a decision sees it. */
void guest_snapshot(const Guest *g, usec_t now_usec, SnapshotGuest *ret);
/* After a cycle, in whose snapshot it was the i-th: keeps for the policy what that needs in the next. */
void guest_keep(Guest *g, const Policy *policy, const Snapshot *s, size_t i, const Plan *p);
