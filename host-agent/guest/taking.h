/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How fast a guest takes its own memory: by how much MemTotal - MemAvailable grows (MemFree where that is not
 * known). A balloon lowers both, so what it takes and gives back doesn't count; nor does page cache, which
 * fills every guest. A guest that got its full size back isn't shrunk for a while, unless it has let go of what it
 * took. */

#include "host-agent/guest/sample.h"

#define TAKING_WINDOW_USEC   (300 * USEC_PER_SEC) /* what a guest took at its fastest counts for this long */
#define TAKING_SLOTS         10U
#define TAKING_NOW_USEC      (10 * USEC_PER_SEC) /* what it took in this time shows that it grows */
/* A guest that got its full size back is not shrunk for this long after it last grew. If it then grows again
 * soon, twice as long. */
#define TAKING_HOLD_MIN_USEC (60 * USEC_PER_SEC)
#define TAKING_HOLD_MAX_USEC (1920 * USEC_PER_SEC)

typedef struct Taking {
    uint64_t fastest[TAKING_SLOTS]; /* in each part of the window */
    usec_t slot;                    /* the newest part, counted since the clock began */
    usec_t grew_usec;               /* when it was last seen to grow; 0: never */
    usec_t given_usec;   /* when it last got its full size back, or grew while it was not shrunk; 0: never */
    usec_t hold_usec;    /* how long it is not shrunk from then on */
    uint64_t peak_bytes; /* the most that it used since it began to grow */
    bool let_go;         /* it uses noticeably less than that now */
} Taking;

/* A sample was added to the history. since_usec: older ones don't count. full_bytes: a twelfth of this, but
 * at least 32 MiB, is noticeable growth. */
void taking_look(Taking *t, const History *h, uint64_t full_bytes, usec_t since_usec);
/* What a guest that says this uses; false: it doesn't say. */
bool taking_used(const Sample *s, uint64_t *ret);
/* It gets its full size back. */
void taking_given(Taking *t, usec_t now_usec);
/* The most that it took from one report to the next, or in two seconds where reports come faster. */
uint64_t taking_fastest(const Taking *t, usec_t now_usec);
/* Whether it grows now; and whether it got its full size back and must not be shrunk yet. */
bool taking_grows(const Taking *t, usec_t now_usec);
bool taking_holds(const Taking *t, usec_t now_usec);
