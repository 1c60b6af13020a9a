/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Conversions between the doubles of policies and stats and sizes in bytes. */

#include <stdint.h>

#include "base/macro.h"

/* Bytes from any double: 0 for NaN and negative numbers, INT64_MAX for numbers that do not fit (every reader
 * can still take that as a number). */
static inline uint64_t bytes_from_double(double v)
{
    if (!(v > 0))
        return 0;
    return v >= 0x1p63 ? INT64_MAX : (uint64_t) v;
}

/* a + b, or UINT64_MAX if that does not fit. */
static inline uint64_t bytes_add(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* Libvirt counts in KiB. */
static inline uint64_t bytes_down_to_kib(uint64_t bytes)
{
    return bytes & ~UINT64_C(1023);
}

static inline uint64_t bytes_up_to_kib(uint64_t bytes)
{
    return bytes_down_to_kib(bytes_add(bytes, 1023));
}

/* A size, or a share of some total where ratio is above 0. */
typedef struct SizeOrRatio {
    uint64_t bytes;
    double ratio;
} SizeOrRatio;

static inline uint64_t bytes_of_total(SizeOrRatio s, uint64_t total_bytes)
{
    return s.ratio > 0 ? (uint64_t) (s.ratio * (double) total_bytes) : s.bytes;
}
