/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The small host's own swap: what it swaps out, and what it costs a guest to touch that. */

#include <math.h>

#include "base/macro.h"
#include "tests/sim/small.h"

/* What was touched within that isn't old. */
#define YOUNG_USEC (USEC_PER_SEC)
/* Less isn't worth a round. */
#define ROUNDING   1.0

static double held(const SimRegion *r)
{
    return r->bytes - r->out;
}

static double over(const SimWorld *w)
{
    double sum = w->overhead - w->total;

    for (size_t i = 0; i < w->n; i++)
        for (int p = 0; p < SIM_PART_MAX; p++)
            sum += held(&w->small->guests[i].parts[p]);
    return sum;
}

/* Swaps out the same share of all that isn't in use just now. */
static void swap_out_blindly(SimWorld *w, double bytes)
{
    double all = 0, share;

    for (int round = 0; round < 2; round++) {
        share = round == 1 && all > 0 ? fmin(1, bytes / all) : 0;
        for (size_t i = 0; i < w->n; i++)
            for (int p = 0; p < SIM_PART_MAX; p++) {
                SimRegion *r = &w->small->guests[i].parts[p];

                if (usec_since(r->touched_usec, w->now_usec) < YOUNG_USEC)
                    continue;
                all += held(r);
                r->out += share * held(r);
            }
    }
}

static SimRegion *oldest(SimWorld *w)
{
    SimRegion *found = NULL;

    for (size_t i = 0; i < w->n; i++)
        for (int p = 0; p < SIM_PART_MAX; p++) {
            SimRegion *r = &w->small->guests[i].parts[p];

            if (held(r) > ROUNDING && (!found || r->touched_usec < found->touched_usec))
                found = r;
        }
    return found;
}

void swap_out(SimWorld *w)
{
    double bytes = over(w);

    if (bytes <= ROUNDING)
        return;
    w->swapped_out += bytes;
    swap_out_blindly(w, w->small->costs->blind * bytes);
    for (bytes = over(w); bytes > ROUNDING; bytes = over(w)) {
        SimRegion *r = oldest(w);

        if (!r)
            return;
        r->out += fmin(bytes, held(r));
    }
}

double swap_touch(SmallGuest *k, SimPart part, double bytes, double pages_per_read, usec_t now_usec)
{
    SimRegion *r = &k->parts[part];
    double in = r->bytes > 0 ? r->out * fmin(1, bytes / r->bytes) : 0;

    r->out -= in;
    r->touched_usec = now_usec;
    k->swapped_in += in;
    return in / SMALL_PAGE / pages_per_read;
}

double swap_take(SimRegion *r, double bytes, bool out_first, double *ret_out)
{
    double n = fmin(bytes, r->bytes), out = out_first ? fmin(n, r->out) : fmax(0, n - held(r));

    r->bytes -= n;
    r->out -= out;
    *ret_out = out;
    return n;
}

void swap_put(SimRegion *r, double bytes, double out, usec_t touched_usec)
{
    double before = held(r), added = bytes - out;

    /* Between the ages of both. */
    if (before + added > ROUNDING)
        r->touched_usec =
            (usec_t) ((before * (double) r->touched_usec + added * (double) touched_usec) / (before + added));
    r->bytes += bytes;
    r->out += out;
}
