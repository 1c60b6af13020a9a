/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/guest/grant.h"

#include "base/macro.h"

/* How much of what was given is seen to be used. */
static uint64_t used(const Grant *c)
{
    return c->rss_bytes > 0 ? LESS_BY(c->peak_bytes, c->rss_bytes) : 0;
}

static bool is_true(const Grant *c)
{
    return used(c) >= c->given_bytes - c->given_bytes / 2;
}

static bool is_unproven(const Grant *c)
{
    return c->rss_bytes == 0 || c->swapped || c->given_bytes < GRANT_LOOK_BYTES ||
           used(c) >= c->given_bytes / 8;
}

bool grant_allowed(const Grant *c, usec_t now_usec)
{
    /* One that was opened while it waits (memory that cost nobody anything) ends no wait. */
    if (now_usec < c->next_usec)
        return false;
    return !c->open || usec_since(c->opened_usec, now_usec) < GRANT_PROOF_USEC || is_true(c);
}

void grant_given(Grant *c, uint64_t bytes, uint64_t rss_bytes, usec_t now_usec)
{
    if (bytes == 0)
        return;
    if (!c->open) {
        c->open = true;
        c->swapped = false;
        c->given_bytes = 0;
        c->rss_bytes = rss_bytes;
        c->peak_bytes = 0;
        c->opened_usec = now_usec;
        c->grants++;
    }
    if (__builtin_add_overflow(c->given_bytes, bytes, &c->given_bytes))
        c->given_bytes = UINT64_MAX;
    c->given_usec = now_usec;
}

bool grant_judge(Grant *c, uint64_t rss_bytes, bool swapping, usec_t now_usec)
{
    if (!c->open)
        return false;
    c->peak_bytes = MAX(c->peak_bytes, rss_bytes);
    c->swapped |= swapping;
    if (usec_since(c->given_usec, now_usec) < GRANT_PROOF_USEC)
        return false;

    c->open = false;
    if (is_true(c))
        return false;
    if (rss_bytes == 0 || is_unproven(c)) {
        c->next_usec = now_usec + GRANT_WAIT_UNPROVEN_USEC;
        return false;
    }
    if (c->wait_usec == 0 || usec_since(c->next_usec, now_usec) >= GRANT_FORGET_USEC)
        c->wait_usec = GRANT_WAIT_MIN_USEC;
    else
        c->wait_usec = MIN(2 * c->wait_usec, GRANT_WAIT_MAX_USEC);
    c->next_usec = now_usec + c->wait_usec;
    c->unused_grants++;
    return true;
}
