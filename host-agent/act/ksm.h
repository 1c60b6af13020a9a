/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* KSM's controls, below <root>/kernel/mm/ksm: set as decided, and put back to what they were before.
 *
 * Before a control is changed for the first time its value is remembered, in memory and in a file, so that it
 * can be put back also after this daemon was killed: the next one takes what the file says. The file is
 * written anew before each change, and is gone when there is nothing to put back. Nothing is touched, nor
 * remembered, that wasn't decided.
 *
 * Use: each cycle ksm_restore() with the controls that may still be changed (none unless the mode is auto:
 * then those that the policy in force assigns to), and in mode auto ksm_apply(). On a clean stop
 * ksm_restore() with none. After a reload ksm_retry(). What they say in ret is to be logged, as it comes:
 * each is said once. */

#include "host-agent/decide/decision.h"
#include "host-agent/notice.h"

typedef struct KsmChange {
    KsmOutcome outcome;
    HostField control;            /* which; of no meaning for UNREMEMBERED */
    const char *name;             /* of its file in sysfs */
    int64_t from, to;             /* as its file has them; to of FOREIGN: what it was before Ballast */
    int error;                    /* positive errno */
    const char *hint;             /* what to do about error; NULL: nothing is known */
    const HostDecision *decision; /* of CHANGED and REFUSED: of those given */
} KsmChange;

#define KSM_CHANGES_MAX 8U /* of one call: for each control one, and one of the file */

typedef struct Ksm Ksm;

/* path: where what was found is remembered (its folder is made when needed); NULL: nowhere. A file that is
 * there already is read; where it can't be understood *ret_error (may be NULL) is -EBADMSG, or another
 * -errno, and it counts for nothing. 0 or -ENOMEM. */
int ksm_new(const char *root, const char *path, int *ret_error, Ksm **ret);
Ksm *ksm_free(Ksm *k);
DEFINE_CLEANUP_FUNC(Ksm, ksm_free);

/* Writes what the decisions that say "send" want and isn't so yet: KSM is set up before it is started.
 * Returns how many of ret (KSM_CHANGES_MAX) were filled. */
size_t ksm_apply(Ksm *k, const HostDecision *decisions, size_t n, KsmChange *ret);
/* Puts back every control that was changed but those of keep (bits 1 << HostField), KSM being stopped
 * first. One that somebody else changed since is left so. Where "run" was 2 it becomes 0: to take apart
 * what was merged may need more memory than the host has left, and is for the administrator to begin. As
 * ksm_apply(). */
size_t ksm_restore(Ksm *k, uint64_t keep, KsmChange *ret);
/* What was refused may be tried again. */
void ksm_retry(Ksm *k);

/* Whether a control was changed, and what it was before. */
bool ksm_changed(const Ksm *k, HostField control, int64_t *ret_before);
/* Why the kernel doesn't take it, a positive errno; 0: it does, or wasn't asked. */
int ksm_refused(const Ksm *k, HostField control);
