/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a guest in distress may cost others. A grant is opened when memory is taken from other guests for it,
 * and judged when nothing more came for a while: the host looks whether the guest uses what it was given, by
 * the RSS of its QEMU, which no guest can feign but by touching the memory. A grant is
 *
 *   true      where RSS rose, at any time since it was opened, by at least half of what was given: the guest
 *             never waits for that.
 *   unproven  where nothing can be said: RSS isn't known, the host swapped meanwhile, so little was given
 *             that it drowns in RSS's noise, or RSS rose by less than half yet by at least an eighth. The
 *             last is a guest that needed memory and was given more than it can use; that it was is no fault
 *             of its own (how much it gets is the plan's choice), and what it doesn't use it will lose again.
 *             It is taken for true, but GRANT_WAIT_UNPROVEN_USEC must pass.
 *   false     else: it waits, twice as long each time.
 *
 * What a hostile guest may try, and why it gains nothing:
 * - To end its distress and begin another: the grant stays open, and the wait stays, until they are over by
 *   the clock. A reboot changes neither (don't reset a grant for less than a new QEMU).
 * - To ask for ever so that it is never judged: after GRANT_PROOF_USEC an open grant goes on only as far as
 *   what was given so far proves to be used; so the last gift, and with it the judgement, comes.
 * - To make itself small before (give memory back, free page reporting) and touch its own again: it counts
 *   what RSS rises above where it was when the grant was opened. Memory that it had and didn't touch may pass
 *   for a proof; then the host holds that much more of it, which it was entitled to without any grant.
 * - To touch what it gets, and free it: it is used then, if for a moment, and RSS shows how much it costs.
 *   It gets no more than its full size by that.
 * - To tell the truth in small and lie in large: a true grant ends no wait, and the next false one still
 *   waits twice as long, unless the last wait has been over for GRANT_FORGET_USEC. */

#include <stdbool.h>
#include <stdint.h>

#include "base/time-util.h"

#define GRANT_PROOF_USEC         (20 * USEC_PER_SEC) /* after it was last given something the grant is judged */
#define GRANT_WAIT_MIN_USEC      (60 * USEC_PER_SEC)
#define GRANT_WAIT_MAX_USEC      (3600 * USEC_PER_SEC)
#define GRANT_WAIT_UNPROVEN_USEC (GRANT_WAIT_MIN_USEC / 4)
#define GRANT_FORGET_USEC        (3600 * USEC_PER_SEC)
#define GRANT_LOOK_BYTES         (UINT64_C(16) << 20) /* RSS says nothing about less */

typedef struct Grant {
    bool open;
    bool swapped;                   /* the host swapped since it was opened */
    uint64_t given_bytes;           /* since it was opened */
    uint64_t rss_bytes;             /* when it was opened, 0: not known */
    uint64_t peak_bytes;            /* the largest RSS since */
    usec_t opened_usec;             /* when something was first given */
    usec_t given_usec;              /* when something was last given */
    usec_t next_usec;               /* no grant before this; 0: any time */
    usec_t wait_usec;               /* the last wait for a false grant; 0: none yet */
    unsigned grants, unused_grants; /* cumulative */
} Grant;

/* Whether a guest in distress may have memory taken from others for it: its wait is over, or its grant is
 * open and what it was given so far is used, as far as there was time for that. */
bool grant_allowed(const Grant *c, usec_t now_usec);
/* Memory was given on account of the grant (opens it). rss_bytes: of its QEMU now; 0: not known. */
void grant_given(Grant *c, uint64_t bytes, uint64_t rss_bytes, usec_t now_usec);
/* Looks at an open grant, and judges it when its time has come: called in each cycle. swapping: the host
 * swaps, so a small RSS proves nothing. Returns whether it just proved false. */
bool grant_judge(Grant *c, uint64_t rss_bytes, bool swapping, usec_t now_usec);
