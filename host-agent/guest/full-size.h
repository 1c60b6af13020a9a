/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A guest's full size: what it has when nothing is taken from it.
 *
 * Where its entitlement says one, that is it. Else a currentMemory below the maximum is an administrator's
 * decision: the full size is the persistent definition's currentMemory, and for a transient domain what it
 * had when first seen. A live size that isn't ours ("foreign") wins until the domain stops, the definition or
 * the entitlement changes, or the guest is released. */

#include <stdbool.h>
#include <stdint.h>

#include "host-agent/libvirt/domain-info.h"

typedef struct FullSize {
    uint64_t bytes;
    uint64_t defined_bytes; /* what it is again when the foreign size is cleared */
    uint64_t own_bytes;     /* what it is without an entitlement */
    bool foreign;
} FullSize;

/* From the definition and the entitlement (0: it says none), first or changed; and first also from what the
 * last daemon remembered with the domain, unless they say another size than they did then. */
void full_size_define(FullSize *f, const DomainInfo *info, uint64_t entitled_bytes);

/* The first look at the balloon: between which sizes it may be although nobody set it. With nothing of ours
 * remembered, that is the full size, and what is above it where the guest's driver hasn't inflated the balloon yet.
 * With a move of ours remembered, what lies between its ends and full is ours. A size below that is an
 * administrator's decision if the balloon rests there. Returns whether our move is still on its way. */
bool full_size_expect(const FullSize *f, const DomainState *remembered, uint64_t actual_bytes,
                      uint64_t tolerance_bytes, uint64_t *ret_low, uint64_t *ret_high);

/* Somebody else set the balloon. */
void full_size_set_foreign(FullSize *f, uint64_t bytes);
void full_size_clear_foreign(FullSize *f);
