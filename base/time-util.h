/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one time type: microseconds, of CLOCK_MONOTONIC unless a name says otherwise. */

#include <inttypes.h>
#include <stdint.h>
#include <time.h>

typedef uint64_t usec_t;

#define USEC_INFINITY UINT64_MAX
#define USEC_PER_SEC  ((usec_t) 1000000)
#define USEC_PER_MSEC ((usec_t) 1000)
#define NSEC_PER_USEC ((usec_t) 1000)

/* Microseconds of the given clock. Cannot fail with the clocks used here. */
usec_t now_usec(clockid_t clock);
/* now − then; 0 if then is in the future; USEC_INFINITY if then is USEC_INFINITY ("never"). */
usec_t usec_since(usec_t then_usec, usec_t now_usec);
