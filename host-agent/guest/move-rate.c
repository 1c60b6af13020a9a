/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How fast a balloon moves. */

#include "host-agent/guest/move-rate.h"

#include <math.h>
#include <stdlib.h>

#include "base/macro.h"

/* Each two moves, and each move by itself. */
#define PACES_MAX (MOVE_RATE_MOVES * (MOVE_RATE_MOVES + 1) / 2)

void move_rate_reset(MoveRate *r)
{
    *r = (MoveRate){};
}

void move_rate_begin(MoveRate *r)
{
    r->first = r->last = (RateLook){};
}

void move_rate_progress(MoveRate *r, uint64_t at_bytes, usec_t now_usec)
{
    r->last = (RateLook){at_bytes, now_usec};
    if (r->first.usec == 0)
        r->first = r->last;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Seconds per byte between two looks; 0 if they are too near for that. */
static double pace_between(const RateLook *from, const RateLook *to)
{
    uint64_t way = distance(from->bytes, to->bytes);
    usec_t took = usec_since(from->usec, to->usec);

    if (from->usec == 0 || took == 0 || way < MOVE_RATE_SPAN_BYTES)
        return 0;
    return (double) took / (double) USEC_PER_SEC / (double) way;
}

/* The end of a move is seen late, so looks on the way count more, if they are far enough apart. */
static double pace_of(const MoveRate *r, const RateLook *end)
{
    double pace = pace_between(&r->first, &r->last);

    return pace > 0 ? pace : pace_between(&r->first, end);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

/* Bytes per second; 0: these moves don't show it. A larger move that took no longer than a smaller one shows
 * nothing: one of the two was held up. */
static double fitted(const RateMoves *m)
{
    double paces[PACES_MAX], middle;
    unsigned n = 0;

    for (unsigned i = 0; i < m->count; i++) {
        if (m->moves[i].pace > 0)
            paces[n++] = m->moves[i].pace;
        for (unsigned j = 0; j < i; j++) {
            double bytes = (double) m->moves[i].bytes - (double) m->moves[j].bytes;
            double usec = (double) m->moves[i].usec - (double) m->moves[j].usec;

            if (fabs(bytes) >= (double) MOVE_RATE_SPAN_BYTES && usec / bytes > 0)
                paces[n++] = usec / bytes / (double) USEC_PER_SEC;
        }
    }
    if (n == 0)
        return 0;
    qsort(paces, n, sizeof *paces, compare);
    middle = (paces[(n - 1) / 2] + paces[n / 2]) / 2;
    return 1 / middle;
}

/* With its latency: the rate is no lower. */
static double average(const RateMove *m)
{
    return (double) m->bytes * (double) USEC_PER_SEC / (double) m->usec;
}

static double fastest(const RateMoves *m)
{
    double most = 0;

    for (unsigned i = 0; i < m->count; i++)
        most = fmax(most, average(m->moves + i));
    return most;
}

/* The rate after a move, from the rate before it. */
static double updated(const RateMoves *m, const RateMove *newest, double before)
{
    double rate = fitted(m), limit = fastest(m);

    if (before > 0 && newest->bytes < MOVE_RATE_SPAN_BYTES)
        return fmax(before, average(newest));
    if (rate > 0)
        return fmax(rate, average(newest));
    return before > 0 || limit >= MOVE_RATE_LEAST_KNOWN ? fmax(before, limit) : 0;
}

void move_rate_arrive(MoveRate *r, uint64_t sent_from_bytes, usec_t sent_usec, uint64_t at_bytes, bool grew,
                      usec_t now_usec)
{
    double *rate = grew ? &r->grow : &r->shrink;
    RateMoves *moves = grew ? &r->growths : &r->shrinks;
    RateMove move = {.bytes = distance(sent_from_bytes, at_bytes),
                     .usec = usec_since(sent_usec, now_usec),
                     .pace = pace_of(r, &(RateLook){at_bytes, now_usec})};

    if (move.bytes < MOVE_RATE_MIN_BYTES || move.usec == 0)
        return;
    moves->moves[moves->next] = move;
    moves->next = (moves->next + 1) % MOVE_RATE_MOVES;
    moves->count = MIN(moves->count + 1, MOVE_RATE_MOVES);
    *rate = updated(moves, &move, *rate);
}
