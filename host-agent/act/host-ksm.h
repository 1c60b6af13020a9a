/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* KSM in the cycle: looked at with the host, set as the plan says, put back when that ends. */

typedef struct Manager Manager;

/* 0 or -ENOMEM. */
int host_ksm_start(Manager *m);
/* Adds KSM's state to m->host. */
void host_ksm_sense(Manager *m);
/* Carries out the plan while libvirt is there, or tells it in mode observe. What the policy in force assigns
 * nothing to, or the mode doesn't let it, is put back. Nothing of either beside another ballastd. */
void host_ksm_apply(Manager *m);
/* Puts all back, but beside another ballastd. */
void host_ksm_stop(Manager *m);
