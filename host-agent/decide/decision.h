/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What one cycle decided, as plain values. */

#include "host-agent/decide/guard.h"
#include "policy/policy.h"

#define DECISION_REASON_MAX 256
#define DECISION_READS_MAX  16U

typedef enum HostPressure {
    HOST_PRESSURE_NONE,
    HOST_PRESSURE_MODERATE,
    HOST_PRESSURE_SEVERE,
    HOST_PRESSURE_MAX,
    HOST_PRESSURE_INVALID = -EINVAL,
} HostPressure;

const char *host_pressure_to_string(HostPressure p);

/* What a guest is to hand back while it keeps its size: the decision about g.reclaim. */
typedef struct Reclaim {
    uint64_t wanted_bytes; /* what the policy assigned */
    uint64_t bytes;        /* after the guard; 0: nothing */
    uint64_t way_bytes;    /* free memory that a balloon takes with it, and the host doesn't hold */
    bool anon;      /* for a critical host: more than idle memory and page cache, so anonymous memory, too */
    bool send;      /* bytes is not 0, and the guest's mode is auto */
    GuardRule rule; /* that changed or stopped it; else NONE */
    unsigned line;  /* of the policy's assignment; 0: none, and all else is empty */
    const char *file, *because; /* as with the target */
    size_t n_reads;
    PolicyRead reads[DECISION_READS_MAX]; /* from here on not cleared by decision_init() */
    /* "hands back 120 MiB: cold page cache (dense.policy:88)", "hands back nothing: stats are 12s old (stale)",
     * "would hand back 120 MiB: … (observe)" */
    char reason[DECISION_REASON_MAX];
} Reclaim;

typedef struct Decision {
    uint64_t wanted_bytes; /* what the policy assigned; standing_bytes if it assigned nothing */
    uint64_t target_bytes; /* after the guard; standing_bytes if nothing changes */
    GuestBounds bounds;
    /* The rule that changed or stopped the move, or that asked for it (distress, hurting, reboot, floor,
     * ceiling, donor). Below the pressure threshold also the rule that keeps a guest from giving more. Else
     * NONE. */
    GuardRule rule;
    bool send;           /* the target differs from standing_bytes and may be sent */
    unsigned line;       /* of the policy's assignment; 0: none */
    const char *file;    /* … in this file of the policy, without folders, borrowed from it; or NULL */
    const char *because; /* the policy's text for it, borrowed from the policy; or NULL */
    Reclaim reclaim;     /* from here on cleared member by member */
    size_t n_reads;
    PolicyRead reads[DECISION_READS_MAX]; /* the values that led to the assignment; names borrowed as above */
    /* One sentence for people: why this target, or why nothing moves; the name of a rule in parentheses.
     * "gives free memory (balloon.policy:41)", "nothing to do: the host has enough available", "not shrunk:
     * stats are 12s old (stale)", "would give 120 MiB: gives free memory (balloon.policy:41) (observe)".
     * UTF-8 as far as the policy's and domain's texts are. */
    char reason[DECISION_REASON_MAX];
} Decision;

/* Empties it. Reads and texts get no length and are not cleared: they are most of a decision, and clearing them
 * for each guest in each cycle takes a tenth of the time of deciding. */
void decision_init(Decision *d);

/* The decision about one of the host's controls, if the policy assigned to it. */
typedef struct HostDecision {
    HostField control;
    double wanted; /* what the policy assigned */
    double value;  /* within the bounds */
    bool send;     /* differs from the current value and may be changed */
    unsigned line; /* as with guests */
    const char *file, *because;
    PolicyRead reads[DECISION_READS_MAX];
    size_t n_reads;
    char reason[DECISION_REASON_MAX];
} HostDecision;

#define PLAN_HOST_MAX 8U /* controls of the host */

/* What was decided about the guests that are bound to some NUMA nodes (group.h). */
typedef struct PlanGroup {
    uint64_t nodes;
    SnapshotNode memory;
    bool own; /* the guests are judged by that; else by the part that the host has available */
    HostPressure pressure;
    double in_force_bytes[POLICY_THRESHOLD_MAX]; /* as of the plan, and so are the others */
    double pending_bytes;
    double *state;
    char summary[DECISION_REASON_MAX]; /* empty: as the plan's */
} PlanGroup;

typedef struct Plan {
    Decision *decisions; /* one for each guest of the snapshot, in its order */
    size_t n_decisions;
    HostPressure pressure;
    /* The policy's thresholds; NaN: it has none. */
    double pressure_threshold_bytes, critical_threshold_bytes, relax_threshold_bytes;
    /* What pressure, the guard and the daemon go by: these, else 20 %, 5 %, 25 % of the host, × guard_caution(). */
    double in_force_bytes[POLICY_THRESHOLD_MAX];
    double pending_bytes;
    /* What guests in distress want and do not get yet, because others are just giving it or the host has no
     * room. While it is not 0 the next cycle should come soon, to pass on what the others release. Guests
     * whose grant is refused, or that are only observed, do not count. */
    uint64_t shortfall_bytes;
    char summary[DECISION_REASON_MAX]; /* for all guests together: what moves, or why nothing does */
    HostDecision host[PLAN_HOST_MAX];
    size_t n_host;
    PolicyNote notes[POLICY_NOTES_MAX];
    size_t n_notes, notes_total;
    PolicyLog logs[POLICY_LOGS_MAX];
    size_t n_logs, logs_total;
    double *state,
        *guest_state; /* after this cycle, as in PolicyOutput; owned; NULL: no policy, or no state */
    int policy_error; /* 0, or what policy_run() returned: then only the guard's own moves are planned */
    /* Where guests are bound to nodes. What is above is about the other guests then, but for decisions, shortfall, notes,
     * logs and guest_state, which are of all. */
    PlanGroup *groups;
    size_t n_groups;
} Plan;

/* Whether the host, or nodes by which guests are judged, are below their pressure threshold. */
bool plan_is_pressed(const Plan *p);

void plan_done(Plan *p);
