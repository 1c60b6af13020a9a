/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The words for what was decided. Internal to decide/. */

#include "host-agent/decide/decision.h"
#include "host-agent/decide/text.h"

/* Of what others say, in bytes: so that the rules' names, which come last, always fit into a reason. */
#define REASON_WORDS_MAX 100

/* What a decision came from. */
typedef struct Wish {
    uint64_t bytes;    /* what was asked for, within the bounds; before room and dead-band */
    GuardRule asked;   /* the guard asks for it: distress, hurting, reboot, floor, ceiling; else NONE */
    GuardRule clipped; /* changed what the policy asked for; else NONE */
    GuardRule limited; /* granted less than bytes: room or dead-band; else NONE */
    bool no_number;    /* the policy's target is NaN */
    uint64_t gives_free_bytes, gives_cache_bytes; /* besides, to those in distress */
} Wish;

/* What guests in distress may take from others. */
typedef struct Requests {
    size_t guests, donors;     /* who want it; who give now */
    const char *guest, *donor; /* the first of each; NULL: none */
    uint64_t shortfall_bytes;  /* what they want and aren't granted in this cycle */
    uint64_t coming_bytes;     /* of that, what others give: on its way, or decided now */
    uint64_t given_bytes;      /* by which those who give now are shrunk for it */
} Requests;

/* How the host stands beside the thresholds. */
typedef enum Situation {
    SITUATION_UNKNOWN,   /* nothing is known of the host */
    SITUATION_NO_POLICY, /* none is loaded */
    SITUATION_FAILED,    /* the policy failed */
    SITUATION_PRESSED,   /* below the pressure threshold */
    SITUATION_COMING,    /* below it, but what is on its way will do */
    SITUATION_BETWEEN,   /* between the pressure and the relax threshold */
    SITUATION_RELAXED,   /* above the relax threshold */
} Situation;

typedef struct ReasonContext {
    const Snapshot *snapshot;
    const GuardConfig *config;
    Situation situation;
    Requests requests;
    bool own_thresholds;      /* the thresholds are the policy's, not the usual ones */
    const char *const *files; /* the policy's, without folders; NULL: not known */
} ReasonContext;

/* Sets d->reason; the rest of d is complete. note: what undid the guest's turn, or NULL. */
void reason_decision(const ReasonContext *x, const SnapshotGuest *g, const Wish *w, const PolicyNote *note,
                     Decision *d);
/* " (balloon.policy:41)" */
void reason_add_line(Text *t, const char *file, unsigned line);
/* Sets p->summary; the rest of p is complete. */
void reason_summary(const ReasonContext *x, Plan *p);
