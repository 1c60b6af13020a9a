/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Grants: memory taken from other guests for one in distress, and whether it uses it. */

#include "host-agent/guest/grant.h"

#include "base/macro.h"

/* How much of what was given the guest has used, as far as resident shows. */
static uint64_t used_bytes(const Grant *g)
{
    return g->resident_bytes > 0 ? LESS_BY(g->peak_bytes, g->resident_bytes) : 0;
}

static bool is_used(const Grant *g)
{
    return used_bytes(g) >= g->given_bytes - g->given_bytes / 2;
}

static bool is_unproven(const Grant *g)
{
    return g->resident_bytes == 0 || g->swapped || g->given_bytes < GRANT_LOOK_BYTES ||
           used_bytes(g) >= g->given_bytes / 8;
}

bool grant_allowed(const Grant *g, usec_t now_usec)
{
    /* A grant that opened during the wait (with memory that cost nobody anything) doesn't end the wait. */
    if (now_usec < g->next_usec)
        return false;
    return !g->open || usec_since(g->opened_usec, now_usec) < GRANT_PROOF_USEC || is_used(g);
}

void grant_given(Grant *g, uint64_t bytes, uint64_t resident_bytes, usec_t now_usec)
{
    if (bytes == 0)
        return;
    if (!g->open) {
        g->open = true;
        g->swapped = false;
        g->given_bytes = 0;
        g->resident_bytes = resident_bytes;
        g->peak_bytes = 0;
        g->opened_usec = now_usec;
        g->grants++;
    }
    if (__builtin_add_overflow(g->given_bytes, bytes, &g->given_bytes))
        g->given_bytes = UINT64_MAX;
    g->given_usec = now_usec;
}

bool grant_judge(Grant *g, uint64_t resident_bytes, bool swapping, usec_t now_usec)
{
    if (!g->open)
        return false;
    g->peak_bytes = MAX(g->peak_bytes, resident_bytes);
    g->swapped |= swapping;
    if (usec_since(g->given_usec, now_usec) < GRANT_PROOF_USEC)
        return false;

    g->open = false;
    if (is_used(g))
        return false;
    if (resident_bytes == 0 || is_unproven(g)) {
        g->next_usec = now_usec + GRANT_WAIT_UNPROVEN_USEC;
        return false;
    }
    if (g->wait_usec == 0 || usec_since(g->next_usec, now_usec) >= GRANT_FORGET_USEC)
        g->wait_usec = GRANT_WAIT_MIN_USEC;
    else
        g->wait_usec = MIN(2 * g->wait_usec, GRANT_WAIT_MAX_USEC);
    g->next_usec = now_usec + g->wait_usec;
    g->unused_grants++;
    return true;
}
