/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writes the reason of each decision. Internal to decide/. */

#include "host-agent/decide/decision.h"
#include "host-agent/decide/text.h"

/* Bytes of foreign text in a reason, so that the rules' names, which come last, always fit. */
#define REASON_WORDS_MAX 100
/* The same for a file's or a guest's name. */
#define REASON_FILE_MAX  40
#define REASON_NAME_MAX  40

/* What a decision follows from. */
typedef struct Wish {
    uint64_t bytes; /* the size asked for, within the bounds; before room and dead band */
    GuardRule
        asked; /* the guard's rule that asks for it: distress, hurting, reboot, floor, ahead, ceiling; else NONE */
    GuardRule clipped; /* the rule that changed the policy's wish; else NONE */
    GuardRule limited; /* the rule that granted less: room or dead band; else NONE */
    bool no_number;    /* the policy's target is NaN */
    uint64_t gives_free_bytes, gives_cache_bytes; /* given to guests in distress */
} Wish;

/* What guests in distress ask of others. */
typedef struct Requests {
    size_t guests, donors;     /* that want memory; that give now */
    const char *guest, *donor; /* the first of each; NULL: none */
    uint64_t shortfall_bytes;  /* what they want and do not get in this cycle */
    uint64_t coming_bytes;     /* the part of that which others give: on its way, or decided now */
    uint64_t given_bytes;      /* by which donors are shrunk now */
    bool
        others_give; /* a guest that isn't in distress gives, now or on its way, by whatever means; also to the
                       * host */
} Requests;

/* The host's memory compared with the thresholds. */
typedef enum Situation {
    SITUATION_UNKNOWN,       /* the host's memory is not known */
    SITUATION_NO_POLICY,     /* no policy is loaded */
    SITUATION_FAILED,        /* the policy failed */
    SITUATION_PRESSED,       /* below the pressure threshold */
    SITUATION_COMING,        /* below it, but moving balloons will bring enough */
    SITUATION_BETWEEN,       /* between the pressure and the relax threshold */
    SITUATION_RELAXED,       /* above the relax threshold */
    SITUATION_NO_THRESHOLDS, /* the policy has no thresholds that tell */
} Situation;

typedef struct ReasonContext {
    const Snapshot *snapshot;
    const GuardConfig *config;
    Situation situation;
    Requests requests;
    const char *const *files; /* the policy's, without folders; NULL: not known */
} ReasonContext;

/* "node 0: " or "nodes 0-1: " where guests are judged by their nodes; else nothing. */
void reason_add_nodes(Text *t, const Snapshot *s);
/* Sets d->reason; the rest of d, d->reclaim included, is complete. note: why the guest's turn was undone, or
 * NULL. */
void reason_decision(const ReasonContext *x, const SnapshotGuest *g, const Wish *w, const PolicyNote *note,
                     Decision *d);
/* "web1, which is in distress", "3 guests in distress" */
void reason_add_requesters(Text *t, const Requests *c);
/* " (stale)" */
void reason_add_rule(Text *t, GuardRule rule);
/* Why a rule keeps a guest as it is: a clause, and the rule's name. */
void reason_add_rule_clause(Text *t, const ReasonContext *x, const SnapshotGuest *g, const Decision *d,
                            GuardRule rule);
/* " (balloon.policy:41)" */
void reason_add_line(Text *t, const char *file, unsigned line);
