/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a guest is in distress, that is, when its tasks stand still for want of memory.
 *
 * The kernel's own word is a PSI trigger. A privileged one looks ten times a window, as soon as anything
 * stalls; that of an unprivileged process (kernels since about 2023; older ones refuse it) is looked at only
 * each 2 s along with the averages. Where the trigger isn't prompt in this sense, or isn't there, the agent
 * compares two reports about a second apart and decides itself: by the same share of stalled time where the
 * kernel has PSI, by swap-in and allocation stalls where it hasn't. OOM kills count in any case. */

#include "proto/codec.h"

typedef struct Trigger {
    int fd;      /* to be watched for EPOLLPRI; -EBADF: none */
    bool prompt; /* it makes looking at each second needless */
} Trigger;

#define TRIGGER_INIT ((Trigger){.fd = -EBADF})

/* How often to look where the trigger isn't prompt. */
#define DISTRESS_LOOK_USEC USEC_PER_SEC

/* 0, or -errno of psi_trigger_open(): then *t has no descriptor, which the agent can live with. */
int trigger_open(Trigger *t, const char *root);
void trigger_done(Trigger *t);

/* What happened between the two looks, in order of time: a DistressCause, or 0. prompt: a prompt trigger
 * watches for stalls, so that only OOM kills are looked for. Looks too close together say nothing: then
 * -EAGAIN, and previous is to be kept. */
int distress_judge(const Report *previous, const Report *next, bool prompt);
