/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A PSI trigger: the kernel raises EPOLLPRI on the descriptor when tasks stalled for stall_usec within
 * window_usec, at most once a window. */

#include "base/time-util.h"

/* Opens path ("/proc/pressure/memory", or a cgroup's memory.pressure) and registers "some"/"full" with the
 * given stall within the window (0.5 s … 10 s). Without CAP_SYS_RESOURCE kernels refuse windows that are not
 * a multiple of 2 s: then the window is rounded up to one, and the stall grows in proportion. Returns a
 * descriptor that the caller owns and watches for EPOLLPRI (EPOLLERR: the trigger is gone), or -errno:
 * -ENOENT or -EOPNOTSUPP (no PSI), -EINVAL (bad window), -EPERM/-EACCES. *ret_window_usec (may be NULL): the
 * window registered. */
int psi_trigger_open(const char *path, const char *level, usec_t stall_usec, usec_t window_usec,
                     usec_t *ret_window_usec);
