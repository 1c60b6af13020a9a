/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a guest in distress may cost others. A claim is open while the guest is in distress and gets memory
 * that was taken from others for it. After it, the host looks whether the guest really uses what it was given
 * (the RSS of its QEMU rose by at least half of it); a claim that proves false makes the guest wait before
 * its next one, twice as long each time. */

#include <stdbool.h>
#include <stdint.h>

#include "base/time-util.h"

#define CLAIM_PROOF_USEC    (20 * USEC_PER_SEC) /* after it was last given something the claim is judged */
#define CLAIM_WAIT_MIN_USEC (60 * USEC_PER_SEC)
#define CLAIM_WAIT_MAX_USEC (3600 * USEC_PER_SEC)

typedef struct Claim {
    bool open;
    uint64_t given_bytes;          /* since it was opened */
    uint64_t rss_bytes;            /* when it was opened, 0: not known */
    usec_t given_usec;             /* when something was last given */
    usec_t next_usec;              /* no claim before this; 0: any time */
    usec_t wait_usec;              /* the last wait; 0: none, the last claim was true */
    unsigned claims, false_claims; /* cumulative */
} Claim;

/* Whether a guest in distress may have memory taken from others for it: its wait is over. A claim that is
 * open goes on until it is judged. */
bool claim_allowed(const Claim *c, usec_t now_usec);
/* Memory was given on account of the claim (opens it). rss_bytes: of its QEMU now; 0: not known. */
void claim_given(Claim *c, uint64_t bytes, uint64_t rss_bytes, usec_t now_usec);
/* Judges an open claim when its time has come. swapping: the host swaps, so a small RSS proves nothing.
 * Returns whether it just proved false. */
bool claim_judge(Claim *c, uint64_t rss_bytes, bool swapping, usec_t now_usec);
