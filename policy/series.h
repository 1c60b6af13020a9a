/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The history of a few stats, as a policy looks at it: avg(g.free, 30s). Kept only of the stats that the
 * policy in force needs. Pure: time is an argument. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"
#include "base/time-util.h"
#include "policy/fields.h"

/* A stat of which a policy needs history, and how much. */
typedef struct SeriesNeed {
    bool host;   /* else of each guest */
    int field;   /* HostField or GuestField */
    usec_t usec; /* the longest window */
} SeriesNeed;

/* Values kept of one stat: the last ones as they come, and of older ones about one for each 64th of the
 * longest window. Of 10 min that is the last half minute at one value a second, and one each 10 s before it;
 * of 30 s all. So a window of 2 s works beside one of 10 min. */
#define SERIES_POINTS_MAX 128U

typedef struct Point {
    usec_t at_usec;
    double value;
} Point;

typedef struct Series {
    SeriesNeed need;
    unsigned n;
    Point points[SERIES_POINTS_MAX]; /* the oldest first */
} Series;

/* Those of one guest, or of the host. */
typedef struct SeriesSet {
    Series *series;
    size_t n;
} SeriesSet;

void series_set_done(SeriesSet *s);
/* The series that are needed, with what is known of them in from. needs: of any kind, those of host (or not)
 * count. *ret is set on success only. 0 or -ENOMEM. */
int series_set_copy(SeriesSet *ret, const SeriesSet *from, const SeriesNeed *needs, size_t n, bool host);
/* The guest booted: counters begin anew. */
void series_set_clear(SeriesSet *s);
/* Adds the present values: a stat that is missing adds nothing. A clock that goes back begins anew. */
void series_set_add_host(SeriesSet *s, usec_t now_usec, const HostFields *h);
void series_set_add_guest(SeriesSet *s, usec_t now_usec, const GuestFields *g);
/* The series of a stat; NULL: none is kept. */
const Series *series_set_find(const SeriesSet *s, int field);

typedef enum SeriesFunction { SERIES_AVG, SERIES_MIN, SERIES_MAX, SERIES_RATE } SeriesFunction;

/* A function over the values at now − window … now, where a window that is longer than what is known works
 * with what is. s may be NULL; present: the value now, NAN where the stat is missing, counts as one at now.
 *   AVG   the mean of the values, each weighed by the time around it: values that come in a burst don't count
 *         for more than those that come slowly
 *   RATE  (last − first) / seconds between; of a counter that went back, from where it last did so. Where the
 *         values span less than half of the window, for it is no longer than it takes to the next, the newest
 *         one before it counts, too, if that is no older than SERIES_REACH_USEC.
 * Returns NAN where there is no value; RATE also where there are not two that are 0.1 s apart. */
#define SERIES_REACH_USEC (120 * USEC_PER_SEC) /* two cycles at the longest interval */

double series_function(const Series *s, SeriesFunction f, usec_t now_usec, usec_t window_usec, double present,
                       bool counter);
