/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One running domain as the daemon knows it: the record, and what follows from it. guest-events.h has what
 * happens to a guest, guest-judge.h what a shrink does to it, guest-snapshot.h how a decision sees it. Each
 * part of the record names the file that writes it; no other file does. */

#include "base/log-limit.h"
#include "host-agent/decide/decision.h"
#include "host-agent/guest/balloon.h"
#include "host-agent/guest/full-size.h"
#include "host-agent/guest/gain.h"
#include "host-agent/guest/grant.h"
#include "host-agent/guest/guest-host.h"
#include "host-agent/guest/held.h"
#include "host-agent/guest/lever.h"
#include "host-agent/guest/need.h"
#include "host-agent/guest/owed.h"
#include "host-agent/guest/sources.h"
#include "host-agent/guest/taking.h"
#include "policy/keep.h"

/* Stats that came less than this after the end of a move may have been collected before it. */
#define GUEST_SETTLE_USEC (50 * USEC_PER_MSEC)

/* How the guest suffers, and whether a shrink is the reason. Written by guest-judge.c. */
typedef struct Judgement {
    usec_t distress_usec; /* when it was last in distress; 0: never */
    DistressCause distress_cause;
    usec_t distress_logged_usec;  /* 0: never */
    Strain strain, strain_before; /* now, and before it was shrunk */
    usec_t shrunk_usec;           /* when a shrink was last sent; 0: never … */
    uint64_t shrunk_from_bytes;   /* … and from what size */
    usec_t reclaimed_usec;        /* when its balloon was last seen to take memory; 0: never */
    usec_t hurting_usec;          /* since when a shrink hurts it; 0: none does … */
    uint64_t restore_bytes;       /* … and the size that it gets back */
    usec_t ineffective_usec;      /* since when its balloon is ineffective; 0: it isn't … */
    usec_t
        ineffective_wait_usec; /* … and how long it isn't shrunk then, or wasn't the last time; 0: never was */
    Need need;
    Owed owed;
    Grant grant;
    Gain gain;
    Taking taking;
} Judgement;

/* The last target that was sent, and what is still outstanding. Written by guest-events.c. */
typedef struct Sending {
    bool setting;         /* libvirt hasn't answered yet … */
    uint64_t grows_bytes; /* … to a target that is this much above the one before */
    bool put_off;         /* another move is wanted and waits for that answer */
    bool cancel;          /* the target of a stalled shrink must be set to the size that was reached */
    bool retried;         /* a stalled growth was tried again before its wait was over */
    bool grown;           /* the target was above the full size */
    bool took_cache;      /* the shrink took more than free memory */
    uint64_t given_bytes; /* outstanding: given to the guest and not used yet */
    usec_t given_usec;
} Sending;

/* A guest that rebooted gets its full size first. Written by guest-events.c. */
typedef struct Reboot {
    bool pending; /* it doesn't have its full size yet */
    bool asked;   /* a small move was sent, which makes its driver report its size */
    bool look;    /* its balloon was seen since guest_reboot_due() was last asked */
} Reboot;

/* The decision of the last cycle about the guest. Written by guest.c. */
typedef struct Verdict {
    Decision decision;
    bool decided;
    uint64_t observed; /* the decision that mode observe reported last, as a key; 0: none */
} Verdict;

/* Log lines about it that are limited together: guest-log.h. */
typedef enum GuestLine {
    GUEST_LINE_CHANNEL, /* the agent's channel is opened, closed, or dropped */
    GUEST_LINE_BALLOON, /* the balloon has a size that nobody asked for, or does not move */
    GUEST_LINE_STATE,   /* the guest is paused, reboots */
    GUEST_LINE_MOVE,    /* a move that the guest asked for by how it fares */
    GUEST_LINE_POLICY,  /* the policy leaves it out in a cycle */
    GUEST_LINE_MAX,
} GuestLine;

typedef struct Guest {
    const GuestHost *host;

    /* Written by guest.c. */
    DomainInfo info;
    usec_t seen_usec; /* when this daemon first saw it */
    usec_t boot_usec; /* when it booted, by the host's CLOCK_MONOTONIC; seen_usec if that isn't known */
    bool boot_known;
    usec_t stats_asked_usec;      /* when libvirt was last asked for stats; 0: never … */
    usec_t definition_asked_usec; /* … and for its definition because of its balloon */
    usec_t released_usec;         /* when an administrator released it; 0: never */
    bool lost;                    /* libvirt is away: all that is known of the guest stays, and ages */
    char busy[32];                /* why it must be left alone; empty: it needn't be */
    Entitlement configured;       /* from the configuration */
    Entitlement entitlement; /* in force: the domain's own values, and the configuration's for the rest */
    Entitlement entitling;   /* what the domain's own will be once libvirt has written it */
    PolicyKeep keep;         /* for the policy */
    Verdict verdict;

    /* Written by their own files' functions. */
    FullSize full;
    Sources sources;
    Balloon balloon;
    Held held;
    /* As last seen at rest (guest.c): its MemTotal includes what the balloon holds; and by how much MemTotal without that
     * is less than its size, because its kernel keeps so much for itself. */
    bool balloon_in_total, has_reserved;
    uint64_t reserved_bytes;

    Judgement judgement;
    Sending sending;
    Levers levers;
    Reboot reboot;
    LogLimit lines[GUEST_LINE_MAX]; /* guest-log.c */
} Guest;

/* configured: what the configuration grants guests of this name. host must outlive the guest. 0 or
 * -ENOMEM. */
int guest_new(const GuestHost *host, const DomainInfo *info, const Entitlement *configured, usec_t now_usec,
              Guest **ret);
/* A domain that is shut off, as a guest: only its definition, its sizes, its entitlement and its mode are known, all as
 * they will be at its start. Logs nothing. 0 or -ENOMEM. */
int guest_new_shut_off(const GuestHost *host, const DomainInfo *info, const Entitlement *configured,
                       Guest **ret);
Guest *guest_free(Guest *g);
DEFINE_CLEANUP_FUNC(Guest, guest_free);

/* Takes over a new definition: names, sizes, devices. */
void guest_update_info(Guest *g, const DomainInfo *info);
/* Takes over what a new configuration grants guests of this name. */
void guest_configure(Guest *g, const Entitlement *configured);
/* What the configuration grants this guest. Sizes that don't fit the guest are left out; why then says so,
 * and is "" otherwise. */
Entitlement guest_configured(const Guest *g, char why[static ENTITLEMENT_WHY_MAX]);
/* Checks e's min and max against the full size that the guest would have with e over its configuration: a
 * min above it or a max below it has no effect. Returns 0 and why "", or -ERANGE and why, with the way out. */
int guest_check_full(const Guest *g, const Entitlement *e, char why[static ENTITLEMENT_WHY_MAX]);
/* An entitlement was handed to libvirt; and libvirt wrote it, so it is in force from now on. (The definition,
 * which says the same, is read again a little later.) */
void guest_entitling(Guest *g, const Entitlement *e);
void guest_entitled(Guest *g);
/* libvirt is away, or back. */
void guest_set_lost(Guest *g, bool lost);
/* why: why the guest must be left alone ("paused"); NULL: it needn't be any longer. */
void guest_set_busy(Guest *g, const char *why);
/* boot_usec: when the guest booted, by the host's CLOCK_MONOTONIC. */
void guest_set_boot(Guest *g, usec_t boot_usec);
void guest_set_stats_asked(Guest *g, usec_t now_usec);
void guest_set_definition_asked(Guest *g, usec_t now_usec);
void guest_set_released(Guest *g, usec_t now_usec);
void guest_set_accounting(Guest *g, bool balloon_in_total, uint64_t reserved_bytes);
/* After a cycle: stores the decision; and the key of the decision that mode observe reported. */
void guest_decide(Guest *g, const Decision *d);
void guest_set_observed(Guest *g, uint64_t key);
/* To be called before the policy of the last decision is freed: forgets the texts that the decision borrows
 * from it. */
void guest_forget_words(Guest *g);
/* Replaces what the guest keeps for the policy; takes over keep. */
void guest_replace_keep(Guest *g, PolicyKeep *keep);
/* The guest rebooted: what it keeps for the policy begins again. */
void guest_reset_keep(Guest *g);
/* After a cycle: keeps what the policy needs in the next one. i: the guest's place in the snapshot. */
void guest_keep(Guest *g, const Policy *policy, const Snapshot *s, size_t i, const Plan *p);

/* The sample in use: the agent's, unless the agent is silent and libvirt's is newer; NULL: none. */
const Sample *guest_sample(const Guest *g, usec_t now_usec);
/* The source of the sample in use, and its age (USEC_INFINITY: there is none). */
GuestSource guest_source(const Guest *g, usec_t now_usec);
usec_t guest_age(const Guest *g, usec_t now_usec);
/* The balloon's size as last seen; if it wasn't seen yet, the size in the definition. */
uint64_t guest_current(const Guest *g);
/* The same, but no more and no less than our own moves explain: a guest says itself how large its balloon is. */
uint64_t guest_believed(const Guest *g);
/* The size below which the guest is never shrunk: its entitlement's minimum, else FloorRatio of its full
 * size. */
uint64_t guest_floor(const Guest *g);
/* What it says of its memory. Returns false if it says nothing. */
bool guest_memory(const Guest *g, usec_t now_usec, HeldGuest *ret);
/* What its QEMU holds of the host; 0: not known. */
uint64_t guest_resident(const Guest *g, usec_t now_usec);
/* Whether that proves nothing now, because the host swaps and what it swapped out isn't known. */
bool guest_is_swap_hidden(const Guest *g, usec_t now_usec);
/* Whether it was in distress within the configured hold time. */
bool guest_in_distress(const Guest *g, usec_t now_usec);
/* Whether its balloon is on its way, or has arrived and no stats came since. */
bool guest_is_moving(const Guest *g, usec_t now_usec);
/* The guest's own mode or the daemon's, whichever does less. */
GuestMode guest_mode(const Guest *g);

/* A notice about the guest, with the guest's and the host's values of now; and hands a notice to the
 * audience. */
Notice guest_notice(const Guest *g, NoticeKind kind);
void guest_tell(const Guest *g, const Notice *n);
