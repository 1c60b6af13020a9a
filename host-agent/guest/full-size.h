/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A guest's full size: what it has when nothing is taken from it.
 *
 * The first of these that is known is the full size:
 *
 *   1. a smaller live size that somebody else set ("foreign"), until the domain stops, the definition or the
 *      entitlement changes, or the guest is released. Only the guest says how large its balloon is, so such a
 *      size never raises what the host's side grants, and the host must see that the guest's QEMU holds no
 *      more
 *   2. the entitlement's "full"
 *   3. the persistent definition's currentMemory: where it is below the maximum, an administrator chose it
 *   4. for a transient domain, the size that it had when it was first seen
 *
 * Our own targets must never be taken for a foreign size. So before each move ballastd writes into the
 * domain's live metadata (urn:ballast:state:1, DomainState) where the move begins, which target it sends, and
 * the full size in force. A daemon that starts later reads this: it then knows its target, and every size on
 * the way to it, as its own. The state ends with the domain. */

#include <stdbool.h>
#include <stdint.h>

#include "host-agent/libvirt/domain-info.h"

typedef struct FullSize {
    uint64_t bytes;
    uint64_t defined_bytes; /* the full size without a foreign one */
    uint64_t own_bytes;     /* the full size without an entitlement or a foreign one */
    bool foreign;
    uint64_t refused_bytes; /* the last size that wasn't taken for an administrator's; 0: none was */
} FullSize;

/* Works out the full size from the definition and the entitlement (0: it has none); to be called first, and
 * after each change of either. The first call also uses what an earlier daemon stored with the domain, unless
 * definition and entitlement have changed since. */
void full_size_define(FullSize *f, const DomainInfo *info, uint64_t entitled_bytes);

/* The first look at the balloon: the range of sizes that nobody else need have set. Without a stored move
 * that is the full size, and anything above it, because the guest's driver may not have inflated the balloon
 * yet. With a stored move it also covers everything between the ends of that move. A balloon that rests below
 * the range was set by an administrator. Returns whether the stored move is still on its way. */
bool full_size_expect(const FullSize *f, const DomainState *remembered, uint64_t actual_bytes,
                      uint64_t tolerance_bytes, uint64_t *ret_low, uint64_t *ret_high);

/* The largest size that somebody else may set live. */
uint64_t full_size_most(const FullSize *f);
/* Somebody else set the balloon to this size, at most full_size_most(). */
void full_size_set_foreign(FullSize *f, uint64_t bytes);
/* A size isn't taken for an administrator's. Returns whether it is another one than the last time. */
bool full_size_refuse(FullSize *f, uint64_t bytes, uint64_t tolerance_bytes);
void full_size_clear_foreign(FullSize *f);
