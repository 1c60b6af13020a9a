/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds out when a guest is in distress: when its tasks stand still because memory is short.
 *
 * The kernel reports that with a PSI trigger. For a privileged process it checks ten times in each window,
 * once anything stalls. For an unprivileged one (kernels since about 2023; older ones refuse it) it checks
 * only every 2 s, with the averages. If the trigger is not prompt in this sense, or missing, the agent
 * compares two reports about a second apart: by the same share of stalled time if the kernel has PSI, else by
 * swap-in and allocation stalls. OOM kills always count. */

#include "proto/codec.h"

typedef struct Trigger {
    int fd;      /* watch it for EPOLLPRI; -EBADF: none */
    bool prompt; /* the counters need no check every second */
} Trigger;

#define TRIGGER_INIT ((Trigger){.fd = -EBADF})

/* How often to compare reports if the trigger is not prompt. */
#define DISTRESS_LOOK_USEC USEC_PER_SEC

/* Returns 0, or -errno of psi_trigger_open(). Then *t has no descriptor, and the agent works without it. */
int trigger_open(Trigger *t, const char *root);
void trigger_done(Trigger *t);

/* Compares two reports, the older one first. Returns a DistressCause, or 0 for none. prompt: a prompt trigger
 * watches for stalls, so only OOM kills are judged. Returns -EAGAIN if the reports are too close together to
 * judge; the caller then keeps previous. */
int distress_judge(const Report *previous, const Report *next, bool prompt);
