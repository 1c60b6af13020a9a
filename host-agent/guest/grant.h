/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a guest in distress may cost other guests.
 *
 * A grant opens when memory is taken from other guests for this one. It is judged GRANT_PROOF_USEC after the
 * last memory was given: the host checks whether the guest uses what it got, by what its QEMU holds
 * (resident, see held.h). A guest can raise that only by touching memory. A grant is
 *
 *   used      if that rose, at any time since the grant opened, by at least half of what was given. The guest
 *             never waits after such a grant.
 *   unproven  if nothing can be said: it isn't known, the host swapped meanwhile, so little was given that
 *             it drowns in noise, or it rose by less than half but by at least an eighth. The last is
 *             a guest that needed memory and got more than it could use. That isn't its fault, because the
 *             plan chooses the amount, and it will lose again what it doesn't use. An unproven grant isn't
 *             held against the guest, but the next one must wait GRANT_WAIT_UNPROVEN_USEC.
 *   unused    otherwise. The guest waits before the next grant, twice as long each time.
 *
 * What a hostile guest may try, and why it gains nothing:
 * - It ends its distress and begins another. The grant stays open, and the wait goes on, until the clock ends
 *   them. A reboot changes neither (don't reset a grant unless the QEMU is a new one).
 * - It asks without end, so that the grant is never judged. After GRANT_PROOF_USEC an open grant goes on only
 *   while what was given so far proves to be used. So the last gift comes, and with it the judgement.
 * - It makes itself small beforehand (it gives memory back by free page reporting) and touches its own memory
 *   again. Only the rise above its value when the grant opened counts. Memory that it had and didn't
 *   touch may pass as proof; the host then holds that much more of it, to which it was entitled without any
 *   grant.
 * - It touches what it gets and frees it. Then it did use it, if only for a moment, and what its QEMU holds shows the cost.
 *   It never gets more than its full size this way.
 * - It uses small grants and wastes large ones. A used grant ends no wait, and the next unused one still
 *   waits twice as long, unless the last wait ended more than GRANT_FORGET_USEC ago. */

#include <stdbool.h>
#include <stdint.h>

#include "base/time-util.h"

#define GRANT_PROOF_USEC         (20 * USEC_PER_SEC) /* from the last gift to the judgement */
#define GRANT_WAIT_MIN_USEC      (60 * USEC_PER_SEC)
#define GRANT_WAIT_MAX_USEC      (3600 * USEC_PER_SEC)
#define GRANT_WAIT_UNPROVEN_USEC (GRANT_WAIT_MIN_USEC / 4)
#define GRANT_FORGET_USEC        (3600 * USEC_PER_SEC)
#define GRANT_LOOK_BYTES         (UINT64_C(16) << 20) /* less drowns in noise */

typedef struct Grant {
    bool open;
    bool swapped;                   /* the host swapped since the grant opened */
    uint64_t given_bytes;           /* since it opened */
    uint64_t resident_bytes;        /* when it opened; 0: not known */
    uint64_t peak_bytes;            /* the largest since */
    usec_t opened_usec;             /* when memory was first given */
    usec_t given_usec;              /* when memory was last given */
    usec_t next_usec;               /* no grant before this; 0: any time */
    usec_t wait_usec;               /* the last wait after an unused grant; 0: none yet */
    unsigned grants, unused_grants; /* cumulative */
} Grant;

/* Whether memory may be taken from other guests for this one. No: while it waits, or while a grant is open
 * and the guest had the time to use what it got but didn't. */
bool grant_allowed(const Grant *g, usec_t now_usec);
/* Memory was given as part of the grant, which opens it. resident_bytes: what the guest's QEMU holds now; 0: not known. */
void grant_given(Grant *g, uint64_t bytes, uint64_t resident_bytes, usec_t now_usec);
/* Follows an open grant and judges it when its time has come; to be called in each cycle. swapping: the host
 * swaps, and what it swapped out isn't known, so a small figure proves nothing. Returns whether the grant was judged unused just now. */
bool grant_judge(Grant *g, uint64_t resident_bytes, bool swapping, usec_t now_usec);
