/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One running domain as the daemon knows it: the record, and what can be read off it. What happens to it is in
 * guest-events.h, what a shrink does to it in guest-judge.h, how a decision sees it in guest-snapshot.h.
 * Each of its parts is written by the file that is named beside it, and by no other. */

#include "host-agent/decide/decision.h"
#include "host-agent/guest/balloon.h"
#include "host-agent/guest/full-size.h"
#include "host-agent/guest/gain.h"
#include "host-agent/guest/grant.h"
#include "host-agent/guest/guest-host.h"
#include "host-agent/guest/need.h"
#include "host-agent/guest/sources.h"
#include "policy/keep.h"

/* Stats that came less than this after a move ended may have been collected before. */
#define GUEST_SETTLE_USEC (50 * USEC_PER_MSEC)

/* How it suffers, and what a shrink has to do with it. Written by guest-judge.c. */
typedef struct Judgement {
    usec_t distress_usec; /* when it was last seen in distress; 0: never */
    DistressCause distress_cause;
    usec_t distress_logged_usec;  /* 0: never */
    Strain strain, strain_before; /* now, and before it was shrunk */
    usec_t shrunk_usec;           /* when a shrink was last sent; 0: never … */
    uint64_t shrunk_from_bytes;   /* … and from what size */
    usec_t reclaimed_usec;        /* when its balloon was last seen to take memory; 0: never */
    usec_t hurting_usec;          /* since when it suffers from a shrink; 0: it doesn't … */
    uint64_t restore_bytes;       /* … and the size that it goes back to */
    usec_t ineffective_usec;      /* since when its balloon is known to free nothing; 0: it isn't */
    Need need;
    Grant grant;
    Gain gain;
} Judgement;

/* The last target: what is outstanding of it, and what it was for. Written by guest-events.c. */
typedef struct Sending {
    bool setting;         /* libvirt hasn't answered yet … */
    uint64_t grows_bytes; /* … to a target that is this much above the one before */
    bool put_off;         /* a move is wanted that had to wait for that answer */
    bool cancel;          /* a stalled shrink is to be taken back to what was reached */
    bool retried;         /* a growth that had stalled was tried again before its wait was over */
    bool grown;           /* the target was above its full size */
    bool took_cache;      /* the shrink took more than free memory */
    uint64_t given_bytes; /* given, and not yet seen to be used */
    usec_t given_usec;
} Sending;

/* A reboot on its way to the full size. Written by guest-events.c. */
typedef struct Reboot {
    bool pending; /* it gets its full size first */
    bool asked;   /* its driver was made to say what it has */
    bool look;    /* its balloon was seen since it was last looked whether that needs a move */
} Reboot;

/* What was decided of it in the last cycle. Written by guest.c. */
typedef struct Verdict {
    Decision decision;
    bool decided;
    uint64_t observed; /* what mode observe last reported of it, as a key; 0: nothing */
} Verdict;

typedef struct Guest {
    const GuestHost *host;

    /* Written by guest.c. */
    DomainInfo info;
    usec_t seen_usec; /* when this daemon first saw it */
    usec_t boot_usec; /* CLOCK_MONOTONIC of the host when it booted, or seen_usec where that isn't known */
    usec_t stats_asked_usec; /* when libvirt was last asked for stats; 0: never */
    usec_t released_usec;    /* when the administrator asked for its memory back; 0: never */
    bool lost;               /* libvirt is away: what is known is kept and ages */
    char busy[32];           /* why it must be left alone; empty: nothing */
    Entitlement configured;  /* by the configuration */
    Entitlement entitlement; /* in force: the domain's own, beneath it the configuration's */
    Entitlement entitling;   /* the domain's own, once libvirt has written it */
    PolicyKeep keep;         /* for the policy */
    Verdict verdict;

    /* Written by their own files' functions. */
    FullSize full;
    Sources sources;
    Balloon balloon;
    bool balloon_in_total; /* its MemTotal counts what the balloon holds, as last seen at rest (guest.c) */

    Judgement judgement;
    Sending sending;
    Reboot reboot;
} Guest;

/* configured: what the configuration grants guests of its name. host must outlive it. 0 or -ENOMEM. */
int guest_new(const GuestHost *host, const DomainInfo *info, const Entitlement *configured, usec_t now_usec,
              Guest **ret);
Guest *guest_free(Guest *g);
DEFINE_CLEANUP_FUNC(Guest, guest_free);

/* A definition that came first, or again: names, sizes, devices. */
void guest_update_info(Guest *g, const DomainInfo *info);
/* The configuration is another: what it grants guests of that name may be, too. */
void guest_configure(Guest *g, const Entitlement *configured);
/* What of that counts. why: the sizes of it don't count, and so are left out; "": they do. */
Entitlement guest_configured(const Guest *g, char why[static ENTITLEMENT_WHY_MAX]);
/* An entitlement was handed to libvirt; and libvirt wrote it: it is in force from now on. (The definition, which
 * says the same, is read again a little later.) */
void guest_entitling(Guest *g, const Entitlement *e);
void guest_entitled(Guest *g);
/* libvirt is away, or back. */
void guest_set_lost(Guest *g, bool lost);
/* Why it must be left alone ("paused"); NULL: nothing any more. */
void guest_set_busy(Guest *g, const char *why);
/* It booted at that time of the host's CLOCK_MONOTONIC. */
void guest_set_boot(Guest *g, usec_t boot_usec);
void guest_set_stats_asked(Guest *g, usec_t now_usec);
void guest_set_released(Guest *g, usec_t now_usec);
void guest_set_balloon_in_total(Guest *g, bool in_total);
/* After a cycle: what was decided; and what mode observe reported of it. */
void guest_decide(Guest *g, const Decision *d);
void guest_set_observed(Guest *g, uint64_t key);
/* The policy that made the last decision goes: what the decision borrowed from it is forgotten. */
void guest_forget_words(Guest *g);
/* Takes over another keep, in place of its own. */
void guest_replace_keep(Guest *g, PolicyKeep *keep);
/* What it remembers for the policy begins again: it rebooted. */
void guest_reset_keep(Guest *g);
/* After a cycle, in whose snapshot it was the i-th: keeps for the policy what that needs in the next. */
void guest_keep(Guest *g, const Policy *policy, const Snapshot *s, size_t i, const Plan *p);

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

/* A notice about it, with what is known of it and of the host now. */
Notice guest_notice(const Guest *g, NoticeKind kind);
void guest_tell(const Guest *g, const Notice *n);
