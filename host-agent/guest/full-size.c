/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Works out a guest's full size. */

#include "host-agent/guest/full-size.h"

#include "base/macro.h"

void full_size_define(FullSize *f, const DomainInfo *info, uint64_t entitled_bytes)
{
    bool first = f->own_bytes == 0;
    uint64_t remembered =
        info->remembered.full_bytes <= info->maximum_bytes ? info->remembered.full_bytes : 0;
    uint64_t defined;

    if (info->persistent && info->configured_current_bytes > 0)
        f->own_bytes = MIN(info->configured_current_bytes, info->maximum_bytes);
    else if (first && remembered > 0)
        f->own_bytes = info->remembered.defined_bytes;
    else if (first)
        f->own_bytes = info->current_bytes;
    defined = entitled_bytes > 0 ? MIN(entitled_bytes, info->maximum_bytes) : f->own_bytes;

    if (first && remembered > 0 && defined == info->remembered.defined_bytes) {
        f->bytes = remembered;
        f->foreign = remembered != defined;
    } else if (defined != f->defined_bytes) {
        f->bytes = defined;
        f->foreign = false;
    }
    f->defined_bytes = defined;
}

bool full_size_expect(const FullSize *f, const DomainState *remembered, uint64_t actual_bytes,
                      uint64_t tolerance_bytes, uint64_t *ret_low, uint64_t *ret_high)
{
    uint64_t sent = remembered->sent_bytes, low = f->bytes, high = f->bytes;
    bool is_ours,
        has_arrived = actual_bytes <= sent + tolerance_bytes && actual_bytes + tolerance_bytes >= sent;

    if (sent > 0) {
        low = MIN(low, MIN(sent, remembered->from_bytes));
        high = MAX(high, MAX(sent, remembered->from_bytes));
    }
    is_ours = sent > 0 && actual_bytes + tolerance_bytes >= low && actual_bytes <= high + tolerance_bytes;
    if (is_ours && has_arrived)
        low = high = sent;
    *ret_low = low;
    *ret_high = MAX(high, actual_bytes);
    return is_ours && !has_arrived;
}

uint64_t full_size_most(const FullSize *f)
{
    return MAX(f->bytes, f->defined_bytes);
}

void full_size_set_foreign(FullSize *f, uint64_t bytes)
{
    f->bytes = MIN(bytes, full_size_most(f));
    f->foreign = f->bytes != f->defined_bytes;
    f->refused_bytes = 0;
}

bool full_size_refuse(FullSize *f, uint64_t bytes, uint64_t tolerance_bytes)
{
    uint64_t last = f->refused_bytes;

    if (last > 0 && (bytes > last ? bytes - last : last - bytes) <= tolerance_bytes)
        return false;
    f->refused_bytes = bytes;
    return true;
}

void full_size_clear_foreign(FullSize *f)
{
    f->bytes = f->defined_bytes;
    f->foreign = false;
    f->refused_bytes = 0;
}
