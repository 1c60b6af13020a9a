/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was taken from a guest within about the last minute. It is owed to a guest that can't do without it: the
 * host had to manage without that memory a moment ago, too. */

#include <stdint.h>

#include "base/time-util.h"

/* What a shrink took is owed for at least one of these periods, and at most for two. */
#define OWED_PERIOD_USEC (30 * USEC_PER_SEC)

typedef struct Owed {
    uint64_t
        bytes[2]; /* the largest size before a shrink: in this period, and in the one before; 0: no shrink */
    usec_t began_usec; /* when this period began */
} Owed;

/* A shrink from this size was sent. */
void owed_shrunk(Owed *o, uint64_t from_bytes, usec_t now_usec);
/* The size that the guest had; 0: nothing was taken lately. */
uint64_t owed_bytes(const Owed *o, usec_t now_usec);
