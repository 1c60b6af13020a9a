/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Decides what a guest is to hand back while it keeps its size. Internal to decide/. Pure. */

#include "host-agent/decide/reason.h"

/* Sets d->reclaim; bounds and target of d are set. a: the policy's assignment to g.reclaim; NULL: none. A guest
 * that grows in this cycle hands back nothing, and one that is shrunk no more than what the shrink leaves. Less
 * than dead_band_bytes is not asked for. critical: guard_is_critical() of the host; only then more than idle memory
 * and page cache is asked for. */
void reclaim_decide(const ReasonContext *x, const SnapshotGuest *g, const PolicyAssignment *a, bool critical,
                    Decision *d);
