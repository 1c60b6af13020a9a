/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/sense/need.h"

#include <limits.h>

#include "base/macro.h"

uint64_t need_bytes(const Need *n, usec_t now_usec)
{
    usec_t fade = NEED_FADE * n->hold_usec, faded;

    faded = LESS_BY(usec_since(n->found_usec, now_usec), n->hold_usec);
    if (faded == 0)
        return n->bytes;
    return (uint64_t) ((unsigned __int128) n->bytes * LESS_BY(fade, faded) / MAX(fade, (usec_t) 1));
}

bool need_spares(const Need *n, usec_t now_usec)
{
    return n->bytes > 0 && usec_since(n->found_usec, now_usec) < n->hold_usec;
}

void need_found(Need *n, uint64_t bytes, usec_t now_usec)
{
    uint64_t left = need_bytes(n, now_usec);

    if (bytes == 0)
        return;
    if (!need_spares(n, now_usec)) {
        n->hold_usec = left > 0 ? MIN(2 * n->hold_usec, NEED_HOLD_MAX_USEC) : NEED_HOLD_MIN_USEC;
        n->times += n->times < UINT_MAX;
    }
    n->bytes = MAX(left, bytes);
    n->found_usec = now_usec;
}
