/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads the state of KSM (kernel samepage merging), below <root>/kernel/mm/ksm. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/fields.h"

typedef enum KsmValue {
    KSM_RUN, /* 0: off, 1: on, 2: off, and merged pages are separated again */
    KSM_PAGES_TO_SCAN,
    KSM_SLEEP_MILLISECS,
    KSM_MERGE_ACROSS_NODES, /* with NUMA only */
    KSM_PAGES_SHARED,
    KSM_PAGES_SHARING,
    KSM_PAGES_UNSHARED,
    KSM_PAGES_VOLATILE,
    KSM_PAGES_SCANNED, /* since 6.6 */
    KSM_FULL_SCANS,
    KSM_GENERAL_PROFIT, /* bytes, may be negative; since 6.4 */
    KSM_VALUE_MAX
} KsmValue;

/* value[v] is valid if has has the bit 1 << v. */
typedef struct KsmState {
    uint32_t has;
    int64_t value[KSM_VALUE_MAX];
} KsmState;

/* root: "/sys". Values that this kernel doesn't have are left out. -ENOENT: it has no KSM; -EBADMSG: a file
 * doesn't hold a number. */
int ksm_read(const char *root, KsmState *ret);
/* Sets the stats that a policy sees of KSM in h, and no others. */
void ksm_fields(const KsmState *s, HostFields *h);
