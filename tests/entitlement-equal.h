/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host-agent/decide/entitlement.h"

static inline bool entitlement_equal(const Entitlement *a, const Entitlement *b)
{
    return a->min_bytes == b->min_bytes && a->full_bytes == b->full_bytes &&
           a->growth_bytes == b->growth_bytes && a->shares == b->shares && a->mode == b->mode;
}
