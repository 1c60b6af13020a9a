/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/series.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Two values nearer to each other than this say nothing of a rate. */
#define RATE_MIN_USEC (100 * USEC_PER_MSEC)

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
        s->series[i].next = s->series[i].count = 0;
}

/* back: 0 is the newest. */
static const Point *point(const Series *s, unsigned back)
{
    return &s->points[(s->next + SERIES_POINTS_MAX - 1 - back) % SERIES_POINTS_MAX];
}

static void add(Series *s, usec_t now, double value)
{
    if (!isfinite(value))
        return;
    if (s->count > 0) {
        usec_t last = point(s, 0)->at_usec;

        if (now < last)
            s->count = s->next = 0;
        else if (now - last < s->need.usec / (SERIES_POINTS_MAX - 8))
            return;
    }
    s->points[s->next] = (Point){.at_usec = now, .value = value};
    s->next = (s->next + 1) % SERIES_POINTS_MAX;
    s->count = MIN(s->count + 1, SERIES_POINTS_MAX);
}

void series_set_add_host(SeriesSet *s, usec_t now_usec, const HostFields *h)
{
    for (size_t i = 0; i < s->n; i++) {
        HostField f = (HostField) s->series[i].need.field;

        if (host_has(h, f))
            add(&s->series[i], now_usec, h->value[f]);
    }
}

void series_set_add_guest(SeriesSet *s, usec_t now_usec, const GuestFields *g)
{
    for (size_t i = 0; i < s->n; i++) {
        GuestField f = (GuestField) s->series[i].need.field;

        if (guest_has(g, f))
            add(&s->series[i], now_usec, g->value[f]);
    }
}

double series_function(const Series *s, SeriesFunction f, usec_t now_usec, usec_t window_usec, double present,
                       bool counter)
{
    double least = present, most = present, sum = isfinite(present) ? present : 0;
    unsigned n = isfinite(present);
    Point first = {.at_usec = now_usec, .value = present}, last = first;

    if (!n)
        least = most = NAN;
    for (unsigned back = 0; s && back < s->count; back++) {
        const Point *p = point(s, back);

        if (p->at_usec > now_usec || (p->at_usec == now_usec && n > 0))
            continue;
        if (now_usec - p->at_usec > window_usec)
            break;
        if (f == SERIES_RATE && counter && n > 0 && p->value > first.value)
            break;
        if (n == 0)
            last = *p;
        first = *p;
        least = fmin(least, p->value);
        most = fmax(most, p->value);
        sum += p->value;
        n++;
    }
    if (n == 0)
        return NAN;
    switch (f) {
    case SERIES_AVG:
        return sum / n;
    case SERIES_MIN:
        return least;
    case SERIES_MAX:
        return most;
    case SERIES_RATE:
        if (n < 2 || last.at_usec - first.at_usec < RATE_MIN_USEC)
            return NAN;
        return (last.value - first.value) * (double) USEC_PER_SEC / (double) (last.at_usec - first.at_usec);
    }
    assert(false);
    return NAN;
}
