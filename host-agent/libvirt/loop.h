/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* libvirt's own event loop, in a thread of its own. libvirt has one loop for the whole process, so there is
 * one Loop at a time. It isn't glued onto the daemon's: libvirt changes its handles and timers from whatever
 * thread happens to be inside of one of its calls, and sd-event belongs to one thread. */

#include "base/macro.h"
#include "base/time-util.h"

typedef struct Loop Loop;

/* Registers libvirt's loop and starts the thread. woken is called in it after each loop_wake() (several may
 * become one). */
int loop_new(void (*woken)(void *userdata), void *userdata, Loop **ret);
/* From any thread. */
void loop_wake(Loop *l);
/* Ends the thread, or gives up waiting for it at that time (CLOCK_MONOTONIC) and returns false: then the loop
 * is left to the thread for ever. */
bool loop_stop(Loop *l, usec_t until_usec);
