/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest needs, learnt from shrinks that hurt it. */

#include "host-agent/guest/need.h"

#include <limits.h>

#include "base/macro.h"

uint64_t need_bytes(const Need *n, usec_t now_usec)
{
    usec_t fade = MAX(NEED_FADE * n->hold_usec, (usec_t) 1);
    usec_t left = LESS_BY(fade, LESS_BY(usec_since(n->found_usec, now_usec), n->hold_usec));
    usec_t steps = (left * NEED_STEPS + fade - 1) / fade;

    return n->bytes / NEED_STEPS * steps + n->bytes % NEED_STEPS * steps / NEED_STEPS;
}

bool need_protects(const Need *n, usec_t now_usec)
{
    return n->bytes > 0 && usec_since(n->found_usec, now_usec) < n->hold_usec;
}

void need_found(Need *n, uint64_t bytes, usec_t now_usec)
{
    uint64_t left = need_bytes(n, now_usec);

    if (bytes == 0)
        return;
    if (!need_protects(n, now_usec)) {
        n->hold_usec = left > 0 ? MIN(2 * n->hold_usec, NEED_HOLD_MAX_USEC) : NEED_HOLD_MIN_USEC;
        n->times += n->times < UINT_MAX;
    }
    n->bytes = MAX(left, bytes);
    n->found_usec = now_usec;
}
