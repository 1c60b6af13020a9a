/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* KSM in the cycle: set as the plan says, and put back when that ends. */

#include "host-agent/act/ksm.h"

typedef struct HostKsm {
    const char *sys_root;
    bool session;             /* of an unprivileged user: remembers in that user's folder */
    const HostFields *fields; /* of the host, as last read */
    const Audience *audience;
    Ksm *ksm;
    unsigned observed[HOST_FIELD_MAX]; /* in mode observe: which decision was reported last, as a key */
    bool anothers;                     /* in the last cycle it was another ballastd's */
} HostKsm;

/* What is pointed to must outlive it. 0 or -ENOMEM. */
int host_ksm_init(HostKsm *k, const char *sys_root, bool session, const HostFields *fields,
                  const Audience *audience);
void host_ksm_done(HostKsm *k);

/* How things stand when a plan is carried out. */
typedef struct HostKsmState {
    bool acts;      /* the mode is auto */
    bool known;     /* libvirt was there, so that other ballastds are known */
    bool connected; /* libvirt is there, and so the guests are known */
    bool anothers;  /* another ballastd, which isn't accepted, has KSM */
} HostKsmState;

/* Carries out the plan while libvirt is there, or reports it in mode observe. assigned: the controls that the
 * policy in force may change (bits 1 << HostField); what it doesn't, or the mode doesn't let it, is put back. So a
 * reload, a change of mode and the leftovers of a killed daemon need no code of their own. Nothing of either while
 * KSM is another ballastd's. */
void host_ksm_apply(HostKsm *k, const Plan *plan, uint64_t assigned, const HostKsmState *state);
/* Puts all back, unless KSM is another ballastd's. */
void host_ksm_stop(HostKsm *k, bool anothers);
