/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The log lines that have a MESSAGE_ID and fields. */

#include "host-agent/daemon/manager.h"

/* "web1: 1.5 GiB → 1.2 GiB: gives free memory (balloon.policy:41); host available 18.2%". further: only more
 * of what was told just before; logged at debug. */
void journal_move(const Manager *m, const Guest *g, uint64_t from_bytes, uint64_t to_bytes,
                  const char *reason, bool further);
/* In mode observe, once for each change of mind: "web1: would be 1.5 GiB → 1.2 GiB: would give …". */
void journal_would_move(const Manager *m, const Guest *g, uint64_t from_bytes, uint64_t to_bytes,
                        const char *reason);
void journal_stalled(const Manager *m, const Guest *g);
void journal_distress(const Manager *m, const Guest *g);
/* retry_usec: when it may be heard again (CLOCK_MONOTONIC). */
void journal_dropped(const Manager *m, const Guest *g, const char *why, usec_t retry_usec);
/* It was shrunk and now hurts; its restore_bytes and its need are known. */
void journal_hurting(const Manager *m, const Guest *g, DistressCause cause);
/* The first that a guest in distress gets on the account of others (a grant opens). */
void journal_grant(const Manager *m, const Guest *g, uint64_t from_bytes, uint64_t to_bytes);
/* Of one of KSM's controls: "KSM: pages_to_scan 100 → 400: more is … (ksm.policy:31)". */
void journal_ksm(const Manager *m, const KsmChange *c);
/* Its grant was just judged. */
void journal_unused_grant(const Manager *m, const Guest *g);
