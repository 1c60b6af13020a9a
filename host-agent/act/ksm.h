/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* KSM's controls, below <root>/kernel/mm/ksm: sets them as decided, and restores their original values.
 *
 * Before a control is changed for the first time, its value is saved in memory and in a file. So it can be
 * restored even if this daemon is killed: the next daemon reads the file. The file has a line for each
 * changed control, with its original value, the value that was written last, and the one that is being
 * written. It is written again before each change, and removed when nothing is left to restore. Controls that
 * no decision changes are neither touched nor saved.
 *
 * Each cycle restores every control that the policy in force doesn't assign, or that the mode doesn't allow
 * to be changed. So reloads, mode changes and the leftovers of a killed daemon need no code of their own.
 *
 * If the kernel refuses a value, it is tried again only when something has changed on which that depends: the
 * file's owner and mode, the kernel's own advisor, or whether pages are merged.
 *
 * Use: each cycle ksm_restore() with the controls that may stay changed (none unless the mode is auto;
 * otherwise those that the policy in force assigns), and in mode auto ksm_apply(). On a clean stop
 * ksm_restore() with none. After a reload ksm_retry(). The caller logs all changes that they return: each is
 * returned once. */

#include "host-agent/decide/decision.h"
#include "host-agent/notice.h"

typedef struct KsmChange {
    KsmOutcome outcome;
    HostField control;            /* which; not used for UNREMEMBERED */
    const char *name;             /* of its file in sysfs */
    int64_t from, to;             /* in the file's unit; to of FOREIGN: the value before Ballast */
    int error;                    /* positive errno */
    const char *hint;             /* what to do about error; NULL: no advice */
    const HostDecision *decision; /* of CHANGED and REFUSED: one of those passed in */
} KsmChange;

#define KSM_CHANGES_MAX 8U /* of one call */

typedef struct Ksm Ksm;

/* path: the file for the original values (its folder is made when needed); NULL: don't save them. An existing
 * file is read. If that fails, the file is ignored, and *ret_error (may be NULL) is -errno (-EBADMSG: the
 * file is damaged; -EMEDIUMTYPE: it isn't a regular file). 0 or -ENOMEM. */
int ksm_new(const char *root, const char *path, int *ret_error, Ksm **ret);
Ksm *ksm_free(Ksm *k);
DEFINE_CLEANUP_FUNC(Ksm, ksm_free);

/* Carries out the decisions that say "send", in an order that sets KSM up before it starts; values that are
 * right already are not written. Returns how many of ret (KSM_CHANGES_MAX) were filled. */
size_t ksm_apply(Ksm *k, const HostDecision *decisions, size_t n, KsmChange *ret);
/* Restores every changed control except those in keep; stops KSM first. A control that
 * somebody else has changed since keeps that value. If "run" was 2, it becomes 0: separating merged pages may
 * need more memory than the host has left, so only an administrator should start that. Returns the same as
 * ksm_apply(). */
size_t ksm_restore(Ksm *k, const FieldSet *keep, KsmChange *ret);
/* Lets refused values be tried again. */
void ksm_retry(Ksm *k);

/* Whether a control was changed, and its original value. */
bool ksm_changed(const Ksm *k, HostField control, int64_t *ret_before);
/* Why the kernel refused the control's value, a positive errno; 0: it didn't. */
int ksm_refused(const Ksm *k, HostField control);
