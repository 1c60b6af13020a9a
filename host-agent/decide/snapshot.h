/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Everything that a decision may look at, taken at one moment and never changed while the cycle runs. The
 * manager fills it; decide/ reads it and nothing else, so a decision can be replayed from it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time-util.h"
#include "policy/fields.h"
#include "policy/series.h"

typedef enum GuestMode {
    GUEST_MODE_AUTO,    /* decided and moved */
    GUEST_MODE_OBSERVE, /* decided and told, not moved */
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

#define SNAPSHOT_GUESTS_MAX 10000U /* domains that one daemon takes care of */

/* One guest. Texts are borrowed for the snapshot's life. fields holds every stat that is known, except LEAST,
 * MOST, TARGET and what the members below say, which view_guest_fields() sets in a copy. */
typedef struct SnapshotGuest {
    const char *uuid;
    const char *name;
    GuestFields fields;

    GuestMode mode; /* the stricter of the guest's own and the daemon's */
    GuestSource source;
    usec_t age_usec;    /* of the stats that fields come from; USEC_INFINITY: none ever came */
    usec_t uptime_usec; /* since boot or reboot, or since the guest was first seen */
    const char *busy;   /* why it must be left alone just now ("paused", "migrating", "saving"), or NULL */
    const char
        *unmovable; /* why a balloon would free nothing ("hostdev", "hugepages", "locked memory"), or NULL */
    const char
        *ineffective; /* its balloon was seen to free nothing, so it isn't shrunk; in what words; or NULL */
    bool distress;
    bool released; /* the administrator asked for its memory back; it isn't shrunk for the grace time */
    bool reboot;   /* booted into a shrunken size: gets its full size first */
    bool stalled_growing; /* the move that made no progress was to give it memory: not given any either */
    bool stalled;         /* its balloon made no progress; not tried again yet */
    bool moving;          /* its balloon is on its way, or no stats have come since it got there */
    bool late; /* it has been on its way for longer than any step takes: what it still would bring isn't
                  counted on */

    uint64_t maximum_bytes, full_bytes, floor_bytes, current_bytes;
    uint64_t standing_bytes; /* the target of the move that is on its way, else current_bytes */
    /* Given lately, growth that is on its way included, and not yet seen to be used: may be touched at any
     * moment. */
    uint64_t outstanding_bytes;
    double shrink_rate; /* bytes per second measured on this guest's balloon; 0: not yet */

    /* After a shrink that hurt: it goes back to restore_bytes, the size before. */
    bool hurting;
    uint64_t restore_bytes;
    bool protected;        /* hurt when it was shrunk, and isn't shrunk again for a while */
    uint64_t needed_bytes; /* what it was found to need, as far as that hasn't faded; 0: nothing was */
    /* In distress: why what it lacks isn't taken from other guests for it (a static text), nor from what they
     * would be asked for afterwards: the host's memory below its pressure threshold. NULL: it may be. */
    const char *grant_refused;
    uint64_t growth_bytes; /* above full, up to this, while it is in distress; 0: nothing above full */
    bool entitled_full;    /* full was said in so many words: a guest above it is brought down to it */
    double shares;         /* 0: as ENTITLEMENT_SHARES */

    /* For the policy: what it looks back at, and what it keeps of this guest (policy_states()); NULL: none
     * yet. */
    const SeriesSet *history;
    const double *state;
} SnapshotGuest;

typedef struct Snapshot {
    usec_t now_usec;          /* CLOCK_MONOTONIC */
    GuestMode mode;           /* the daemon's, for what is the host's: AUTO or OBSERVE */
    HostFields host;          /* all but PENDING and UPTIME: view_host_fields() works them out */
    const SeriesSet *history; /* as of a guest */
    const double *state;
    SnapshotGuest *guests;
    size_t n_guests;
} Snapshot;

/* As JSON (snapshot.def). A stat's name with its unit behind it, "free_bytes", in buf. */
#define SNAPSHOT_KEY_MAX 64U
const char *snapshot_field_key(char *buf, const FieldInfo *info);
/* "balloon.policy:name": a state variable's key. */
#define SNAPSHOT_STATE_KEY_MAX 320U
const char *snapshot_state_key(char *buf, const char *file, const char *name);
