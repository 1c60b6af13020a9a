/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs libvirt's own event loop in a thread. libvirt has one event loop per process, so there can be only one
 * Loop at a time. It can't be part of the daemon's loop: libvirt changes its handles and timers from whatever
 * thread is inside one of its calls, and an sd-event loop may be used by one thread only. */

#include "base/macro.h"
#include "base/time-util.h"

typedef struct Loop Loop;

/* Registers libvirt's loop and starts the thread. The thread calls woken after each loop_wake(); several
 * wake-ups may result in one call. */
int loop_new(void (*woken)(void *userdata), void *userdata, Loop **ret);
/* From any thread. */
void loop_wake(Loop *l);
/* Ends the thread, frees the loop and returns true. If the thread hasn't ended by until_usec
 * (CLOCK_MONOTONIC), returns false and never frees the loop, since the thread still uses it. */
bool loop_stop(Loop *l, usec_t until_usec);
