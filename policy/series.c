/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The history of a few stats. */

#include "policy/series.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Two values closer together than this give no rate. */
#define RATE_MIN_USEC (100 * USEC_PER_MSEC)

/* Of the values, the last RECENT are kept as they come, unless they come so fast that this would be less than
 * two steps; the others one a step, so that they leave room. */
#define STEPS  64U
#define RECENT 32U

_Static_assert(STEPS + RECENT + 16 <= SERIES_POINTS_MAX, "making room must make some");

void series_set_done(SeriesSet *s)
{
    free(s->series);
    *s = (SeriesSet){};
}

const Series *series_set_find(const SeriesSet *s, int field)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->series[i].need.field == field)
            return &s->series[i];
    return NULL;
}

int series_set_copy(SeriesSet *ret, const SeriesSet *from, const SeriesNeed *needs, size_t n, bool host)
{
    SeriesSet copy = {};

    for (size_t i = 0; i < n; i++)
        copy.n += needs[i].host == host;
    if (copy.n > 0) {
        copy.series = calloc(copy.n, sizeof(*copy.series));
        if (!copy.series)
            return -ENOMEM;
        copy.n = 0;
        for (size_t i = 0; i < n; i++) {
            const Series *kept = series_set_find(from, needs[i].field);

            if (needs[i].host != host)
                continue;
            if (kept)
                copy.series[copy.n] = *kept;
            copy.series[copy.n++].need = needs[i];
        }
    }
    *ret = copy;
    return 0;
}

void series_set_clear(SeriesSet *s)
{
    for (size_t i = 0; i < s->n; i++)
        s->series[i].n = 0;
}

/* Drops values older than any window, and thins out the rest except for the last ones. */
static void make_room(Series *s, usec_t now, usec_t step)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->n; i++) {
        const Point *p = &s->points[i];

        if (i + RECENT >= s->n || (now - p->at_usec <= s->need.usec + step &&
                                   (n == 0 || p->at_usec - s->points[n - 1].at_usec >= step)))
            s->points[n++] = *p;
    }
    s->n = n;
}

static void add(Series *s, usec_t now, double value)
{
    usec_t step = s->need.usec / STEPS;

    if (!isfinite(value))
        return;
    if (s->n > 0) {
        usec_t last = s->points[s->n - 1].at_usec;

        if (now < last)
            s->n = 0;
        else if (now - last < MAX(2 * step / RECENT, (usec_t) 1))
            return;
    }
    if (s->n == SERIES_POINTS_MAX)
        make_room(s, now, step);
    s->points[s->n++] = (Point){.at_usec = now, .value = value};
}

void series_set_add_host(SeriesSet *s, usec_t now_usec, const HostFields *h)
{
    for (size_t i = 0; i < s->n; i++) {
        HostField f = (HostField) s->series[i].need.field;

        if (host_fields_has(h, f))
            add(&s->series[i], now_usec, h->value[f]);
    }
}

void series_set_add_guest(SeriesSet *s, usec_t now_usec, const GuestFields *g)
{
    for (size_t i = 0; i < s->n; i++) {
        GuestField f = (GuestField) s->series[i].need.field;

        if (guest_fields_has(g, f))
            add(&s->series[i], now_usec, g->value[f]);
    }
}

/* How many values are as old as at, or older. */
static unsigned count_until(const Series *s, usec_t at, bool or_as_old)
{
    unsigned low = 0, high = s ? s->n : 0;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (s->points[middle].at_usec < at || (or_as_old && s->points[middle].at_usec == at))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static double usec_between(const Point *older, const Point *newer)
{
    return (double) (int64_t) (newer->at_usec - older->at_usec);
}

/* Each value stands for half of the time to the one before and half of that to the one after it; the first
 * and the last for as much on their other side. Summed as differences to the last, so that the average of
 * equal values is that value to the last bit. */
static double average(const Point *first, const Point *end, const Point *last)
{
    double sum = 0, time = 0, gap = 0, before = 0;

    for (const Point *p = first; p < end && p != last; p++) {
        gap = usec_between(p, p + 1 < end ? p + 1 : last);
        if (p == first)
            before = gap;
        sum += (before + gap) / 2 * (p->value - last->value);
        time += (before + gap) / 2;
        before = gap;
    }
    time += gap;
    return time > 0 ? last->value + sum / time : last->value;
}

static double extreme(const Point *first, const Point *end, const Point *last, bool most)
{
    double found = last->value;

    for (const Point *p = first; p < end; p++)
        if (most ? p->value > found : p->value < found)
            found = p->value;
    return found;
}

static double rate(const Point *first, const Point *end, const Point *last, bool counter)
{
    const Point *from = first < end ? first : last;

    if (counter) {
        from = last;
        for (const Point *p = end; p > first && p[-1].value <= from->value; p--)
            from = p - 1;
    }
    if (last->at_usec - from->at_usec < RATE_MIN_USEC)
        return NAN;
    return (last->value - from->value) / usec_between(from, last) * (double) USEC_PER_SEC;
}

double series_function(const Series *s, SeriesFunction f, usec_t now_usec, usec_t window_usec, double present,
                       bool counter)
{
    const Point now = {.at_usec = now_usec, .value = present};
    bool known = isfinite(present);
    unsigned first = count_until(s, LESS_BY(now_usec, window_usec), false),
             end = count_until(s, now_usec, !known);
    const Point *points = s ? s->points : &now, *last = known ? &now : points + end - 1;

    if (!known && first >= end)
        return NAN;
    switch (f) {
    case SERIES_AVG:
        return average(points + first, points + end, last);
    case SERIES_MIN:
    case SERIES_MAX:
        return extreme(points + first, points + end, last, f == SERIES_MAX);
    case SERIES_RATE: {
        const Point *from = first < end ? points + first : last;

        if (first > 0 && now_usec - from->at_usec < window_usec / 2 &&
            now_usec - points[first - 1].at_usec <= SERIES_REACH_USEC)
            first--;
        return rate(points + first, points + end, last, counter);
    }
    }
    assert(false);
    return NAN;
}
