/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Everything that a decision can depend on, taken at one moment and unchanged while the cycle runs. The
 * daemon fills it; decide/ reads nothing else, so a decision can be replayed from it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/node-set.h"
#include "base/time-util.h"
#include "policy/fields.h"
#include "policy/series.h"

typedef enum GuestMode {
    GUEST_MODE_AUTO,    /* decided and moved */
    GUEST_MODE_OBSERVE, /* decided and logged, not moved */
    GUEST_MODE_OFF,     /* left alone */
    GUEST_MODE_MAX,
    GUEST_MODE_INVALID = -EINVAL,
} GuestMode;

const char *guest_mode_to_string(GuestMode m);
GuestMode guest_mode_from_string(const char *s);

typedef enum GuestSource {
    GUEST_SOURCE_NONE,    /* no stats from inside: only the balloon's size and RSS */
    GUEST_SOURCE_LIBVIRT, /* the balloon driver's stats */
    GUEST_SOURCE_AGENT,   /* ballast-guestd */
    GUEST_SOURCE_MAX,
    GUEST_SOURCE_INVALID = -EINVAL,
} GuestSource;

const char *guest_source_to_string(GuestSource s);
GuestSource guest_source_from_string(const char *s);

#define SNAPSHOT_GUESTS_MAX 10000U /* domains that one daemon manages */

/* A guest's sizes. */
typedef struct SnapshotSizes {
    uint64_t maximum_bytes; /* the domain's maximum memory */
    uint64_t full_bytes, floor_bytes;
    uint64_t growth_bytes; /* above full, up to this, while it is in distress; 0: nothing above full */
    uint64_t current_bytes;
    uint64_t standing_bytes; /* the target of the current move, else current_bytes */
    uint64_t from_bytes;     /* the size at which that move began, else current_bytes; 0: not known */
    /* Given lately, growth that is on its way included, and not yet seen to be used: may be touched at any
     * moment. */
    uint64_t outstanding_bytes;
    bool entitled_full; /* full was set by an administrator: a guest above it comes down to it */
} SnapshotSizes;

/* What a guest's balloon does. */
typedef struct SnapshotBalloon {
    bool moving;  /* or no stats have come since it arrived */
    bool late;    /* its move takes longer than any step should; the rest of the move does not count */
    bool stalled; /* it made no progress; waiting before the next try */
    bool stalled_growing; /* the stalled move was growth: the guest gets no memory either */
    bool
        squeezed; /* it takes memory and lets go of it at once, or does so just now; no other move is decided */
    double shrink_rate; /* bytes per second measured on this guest's balloon; 0: not yet */
} SnapshotBalloon;

/* How fast a guest takes its own memory: its use grows and its free memory falls, whatever the balloon
 * does. */
typedef struct SnapshotGrowth {
    uint64_t fastest_bytes; /* the most that it took between two reports of the last minutes; 0: nothing */
    bool growing;           /* it took a noticeable part in the last seconds */
    bool given_back;        /* it got its full size back while it grew, and still grew lately */
} SnapshotGrowth;

/* How a guest fares. */
typedef struct SnapshotJudgement {
    bool distress;
    /* In distress: why other guests do not give for it (a static text), neither now nor later for the host's
     * memory below its pressure threshold. NULL: they may. */
    const char *grant_refused;
    bool hurting;           /* after a shrink that hurt: it goes back to restore_bytes */
    uint64_t restore_bytes; /* the size before that shrink */
    bool protected;         /* a shrink hurt it, so it is not shrunk for a while */
    uint64_t needed_bytes;  /* what it was found to need, which fades with time; 0: nothing */
    uint64_t owed_bytes;    /* its size before the shrinks of the last minute; 0: there were none */
    /* The reason if its balloon was seen to free nothing, so that it is not shrunk; or NULL. */
    const char *ineffective;
} SnapshotJudgement;

/* One guest. Texts are borrowed for the snapshot's life. fields holds every stat that is known, except LEAST,
 * MOST, RECLAIMABLE, the controls and those in the members below, which view_guest_fields() sets in a copy. */
typedef struct SnapshotGuest {
    const char *uuid;
    const char *name;
    GuestMode mode; /* the stricter of the guest's own and the daemon's */
    double shares;  /* 0: ENTITLEMENT_SHARES */
    uint64_t nodes; /* NUMA nodes that its definition binds its memory to; 0: none */

    GuestFields fields;
    GuestSource source;
    usec_t age_usec;    /* of the stats in fields; USEC_INFINITY: none came yet */
    usec_t uptime_usec; /* since boot or reboot, or since the guest was first seen */

    SnapshotSizes sizes;
    SnapshotBalloon balloon;
    SnapshotGrowth growth;
    SnapshotJudgement judgement;

    const char *busy;      /* why it must be left alone now ("paused", "migrating", "saving"), or NULL */
    const char *unmovable; /* why a balloon would free nothing ("hostdev", "hugepages", …), or NULL */
    bool released;         /* an administrator released it; it is not shrunk for the grace time */
    bool reboot;           /* booted into a shrunken size: gets its full size first */

    /* For the policy: the guest's history, and the policy's state of it (policy_states()); NULL: none yet. */
    const SeriesSet *history;
    const double *state;
} SnapshotGuest;

/* The memory of a NUMA node, as host.total, host.free and host.available. */
typedef struct SnapshotNode {
    uint64_t total_bytes, free_bytes, available_bytes; /* total 0: no memory, or no such node */
} SnapshotNode;

/* What the policy keeps of the host, as it decides about guests that are bound to these nodes. */
typedef struct SnapshotNodeState {
    uint64_t nodes;
    double *state; /* as of the host */
} SnapshotNodeState;

/* In a part of a snapshot (group.h): guests that are decided apart, and use the same memory. */
typedef struct SnapshotApart {
    double pending_bytes;   /* as view_pending_bytes() */
    uint64_t leaving_bytes; /* what shrinks on their way release */
    uint64_t spoken_bytes;  /* as in guard_spoken_for() */
} SnapshotApart;

typedef struct Snapshot {
    usec_t now_usec;          /* CLOCK_MONOTONIC */
    GuestMode mode;           /* the daemon's, which counts for the host's controls: AUTO or OBSERVE */
    HostFields host;          /* all but PENDING and UPTIME: view_host_fields() calculates them */
    const SeriesSet *history; /* as of a guest */
    const double *state;
    SnapshotGuest *guests;
    size_t n_guests;

    const SnapshotNode *nodes; /* NODE_SET_MAX of them, by their numbers; NULL: one node, or not known */
    const SnapshotNodeState *node_states;
    size_t n_node_states;
    uint64_t part_nodes; /* of a part: the nodes that its guests are judged by; 0: the host, or its part */
    SnapshotApart apart; /* of a part */
} Snapshot;

/* The nodes by which a guest can be judged: those that it is bound to and that have memory. 0: it can use all of
 * the host's memory, or the nodes aren't known. */
uint64_t snapshot_bound_to(const Snapshot *s, const SnapshotGuest *g);
/* The memory of several nodes together. */
SnapshotNode snapshot_memory_of(const Snapshot *s, uint64_t nodes);

/* A stat's key in JSON (snapshot.def), its name with its unit: "free_bytes". In buf. */
#define SNAPSHOT_KEY_MAX 64U
const char *snapshot_field_key(char *buf, const FieldInfo *info);
/* "balloon.policy:name": a state variable's key. */
#define SNAPSHOT_STATE_KEY_MAX 320U
const char *snapshot_state_key(char *buf, const char *file, const char *name);
