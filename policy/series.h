/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The history of stats for a policy's windows, such as avg(g.free, 30s). It is kept only for stats that the
 * current policy needs. Pure: time is an argument. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"
#include "base/time-util.h"
#include "policy/fields.h"

/* A stat of which a policy needs history, and for how long. */
typedef struct SeriesNeed {
    bool host;   /* else of each guest */
    int field;   /* HostField or GuestField */
    usec_t usec; /* the longest window */
} SeriesNeed;

/* The values kept of one stat: all recent ones, and of older ones about one for each 64th of the longest
 * window. With 10 min that is the last half minute at one value a second, and one every 10 s before it; with
 * 30 s all values. So a window of 2 s and one of 10 min both work. */
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

/* The series of one guest, or of the host. */
typedef struct SeriesSet {
    Series *series;
    size_t n;
} SeriesSet;

void series_set_done(SeriesSet *s);
/* Makes the series that are needed, with the values that from has of them. Of needs only those of the host
 * count (or not). *ret is set on success only. Returns 0 or -ENOMEM. */
int series_set_copy(SeriesSet *ret, const SeriesSet *from, const SeriesNeed *needs, size_t n, bool host);
/* The guest booted: counters start again. */
void series_set_clear(SeriesSet *s);
/* Adds the current values; a missing stat adds nothing. If the clock goes back, all series start again. */
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
