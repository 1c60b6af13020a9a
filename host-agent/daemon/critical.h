/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reports when the host becomes critical (less available than the critical threshold in force), when no guest gives
 * more, and when it is over, with what was done meanwhile. The same of NUMA nodes that guests are judged by. */

#include "host-agent/daemon/guests.h"

/* What is known of a guest since the host is critical. */
typedef struct CriticalGuest {
    char uuid[NOTICE_UUID_MAX];
    uint64_t current_bytes;
    uint64_t got_bytes; /* what its kernel has handed back, since it booted */
    bool moving;        /* a move of ours was on its way: another size that its balloon says took nothing */
    bool concerned;     /* something was taken from it, or handed back */
} CriticalGuest;

typedef struct Critical {
    const Audience *audience;
    uint64_t nodes; /* 0: the whole host */
    bool open;
    bool stuck; /* that no guest gives more was reported */
    usec_t began_usec;
    usec_t above_usec;     /* since when the host is above the threshold; 0: it is below */
    usec_t stuck_usec;     /* since when no guest gives more; 0: some do */
    NoticeCritical done;   /* until now */
    CriticalGuest *guests; /* of the last cycle, in its order */
    size_t n_guests;
} Critical;

typedef struct Criticals {
    Critical host;
    Critical *nodes; /* those that are critical now; no more than the groups of a plan */
    size_t n_nodes;
} Criticals;

void criticals_init(Criticals *c, const Audience *audience);
void criticals_done(Criticals *c);
/* After each cycle's decisions were carried out. guests: those of the snapshot, in its order. */
void criticals_see(Criticals *c, const Snapshot *s, const Plan *p, const Guests *guests);
