/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Remembers the size that a guest had before the shrinks of the last minute. */

#include "host-agent/guest/owed.h"

#include "base/macro.h"

/* Periods that ended since the one that the record calls the present. */
static usec_t periods_since(const Owed *o, usec_t now_usec)
{
    return usec_since(o->began_usec, now_usec) / OWED_PERIOD_USEC;
}

void owed_shrunk(Owed *o, uint64_t from_bytes, usec_t now_usec)
{
    usec_t ended = periods_since(o, now_usec);

    if (ended > 0)
        *o = (Owed){.bytes = {0, ended == 1 ? o->bytes[0] : 0}, .began_usec = now_usec};
    o->bytes[0] = MAX(o->bytes[0], from_bytes);
}

uint64_t owed_bytes(const Owed *o, usec_t now_usec)
{
    usec_t ended = periods_since(o, now_usec);

    return ended == 0 ? MAX(o->bytes[0], o->bytes[1]) : ended == 1 ? o->bytes[0] : 0;
}
