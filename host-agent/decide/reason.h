/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The words for what was decided. Internal to decide/. */

#include "host-agent/decide/plan.h"

/* What a decision came from. */
typedef struct Wish {
    uint64_t bytes;    /* what was asked for, within the bounds; before room and dead-band */
    GuardRule asked;   /* the guard asks for it: distress, reboot, floor; else NONE */
    GuardRule clipped; /* changed what the policy asked for; else NONE */
    GuardRule limited; /* granted less than bytes: room or dead-band; else NONE */
    bool no_number;    /* the policy's target is NaN */
} Wish;

/* How the host stands beside the marks. */
typedef enum Situation {
    SITUATION_UNKNOWN,   /* nothing is known of the host */
    SITUATION_NO_POLICY, /* none is loaded */
    SITUATION_FAILED,    /* the policy failed */
    SITUATION_PRESSED,   /* below the pressure mark */
    SITUATION_COMING,    /* below it, but what is on its way will do */
    SITUATION_BETWEEN,   /* between the pressure and the relax mark */
    SITUATION_RELAXED,   /* above the relax mark */
} Situation;

typedef struct ReasonContext {
    const Snapshot *snapshot;
    const GuardConfig *config;
    Situation situation;
    bool own_marks;   /* the marks are the policy's, not the usual ones */
    const char *file; /* the policy's, without folders; NULL: none */
} ReasonContext;

/* Sets d->reason; the rest of d is complete. note: what undid the guest's turn, or NULL. */
void reason_decision(const ReasonContext *x, const SnapshotGuest *g, const Wish *w, const PolicyNote *note,
                     Decision *d);
/* Sets p->summary; the rest of p is complete. */
void reason_summary(const ReasonContext *x, Plan *p);
