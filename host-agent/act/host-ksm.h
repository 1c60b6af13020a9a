/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* KSM in the cycle: sets it as the plan says, and restores it when the plan no longer does. */

#include "host-agent/act/ksm.h"

typedef struct HostKsm {
    const char *sys_root;
    bool session;             /* an unprivileged user's daemon: its file is in that user's folder */
    const HostFields *fields; /* of the host, as last read */
    const Audience *audience;
    Ksm *ksm;
    unsigned observed[HOST_FIELD_MAX]; /* the decision that mode observe reported last, as a key */
    bool yielded;                      /* in the last cycle another ballastd controlled KSM */
} HostKsm;

/* All pointers must outlive it. 0 or -ENOMEM. */
int host_ksm_init(HostKsm *k, const char *sys_root, bool session, const HostFields *fields,
                  const Audience *audience);
void host_ksm_done(HostKsm *k);

/* The circumstances in which a plan is carried out. */
typedef struct HostKsmState {
    bool acts;      /* the mode is auto */
    bool known;     /* libvirt was connected once, so other ballastds are known */
    bool connected; /* libvirt is connected, so the guests are known */
    bool yields;    /* another ballastd, which isn't accepted, controls KSM */
} HostKsmState;

/* Carries out the plan while libvirt is connected, or reports it in mode observe. assigned: the controls that
 * the policy in force may change (bits 1 << HostField). All others are restored, and all of them unless the
 * mode is auto. Does neither while another ballastd controls KSM. */
void host_ksm_apply(HostKsm *k, const Plan *plan, FieldSet assigned, const HostKsmState *state);
/* Restores all controls. yields: another ballastd controls KSM, so nothing is restored. */
void host_ksm_stop(HostKsm *k, bool yields);
