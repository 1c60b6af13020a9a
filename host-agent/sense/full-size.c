/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/sense/full-size.h"

void full_size_define(FullSize *f, const DomainInfo *info)
{
    bool first = f->defined_bytes == 0;
    uint64_t remembered =
        info->remembered_full_bytes <= info->maximum_bytes ? info->remembered_full_bytes : 0;
    uint64_t defined = f->defined_bytes;

    if (info->persistent && info->configured_current_bytes > 0)
        defined = MIN(info->configured_current_bytes, info->maximum_bytes);
    else if (first)
        defined = remembered > 0 ? remembered : info->current_bytes;

    if (first && remembered > 0) {
        f->bytes = remembered;
        f->foreign = remembered != defined;
    } else if (defined != f->defined_bytes) {
        f->bytes = defined;
        f->foreign = false;
    }
    f->defined_bytes = defined;
}

bool full_size_learn(FullSize *f, uint64_t sent_bytes, uint64_t actual_bytes, uint64_t tolerance_bytes)
{
    uint64_t low = sent_bytes == 0 ? f->bytes : MIN(sent_bytes, f->bytes);

    if (actual_bytes + tolerance_bytes < low) {
        full_size_set_foreign(f, actual_bytes);
        return false;
    }
    return sent_bytes > 0 && actual_bytes > sent_bytes + tolerance_bytes && actual_bytes <= f->bytes;
}

void full_size_set_foreign(FullSize *f, uint64_t bytes)
{
    f->bytes = bytes;
    f->foreign = bytes != f->defined_bytes;
}

void full_size_clear_foreign(FullSize *f)
{
    f->bytes = f->defined_bytes;
    f->foreign = false;
}
