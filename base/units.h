/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sizes, ratios and durations as people write them. */

#include <stddef.h>
#include <stdint.h>

#include "base/time-util.h"

#define KIB ((uint64_t) 1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

#define UNITS_FORMAT_MAX 32 /* enough for every format_ function, with the NUL */

/* Every parser takes the whole string (spaces around and between number and unit allowed), sets *ret only on
 * success, and returns -EINVAL for text of another form and -ERANGE for a value that does not fit.
 * Independent of the locale. */

/* "0", "512B", "64MiB", "1.5GiB", "2TiB"; K, M, G, T alone mean the binary units; kB, MB, GB, TB the decimal
 * ones. A number without a unit is bytes. Fractions are rounded to the nearest byte. */
int parse_size(const char *s, uint64_t *ret_bytes);
/* "20%" or "0.2" → 0.2; 0 ≤ ratio ≤ 1. */
int parse_ratio(const char *s, double *ret_ratio);
/* "1.5s", "250ms", "10us", "5min", "1h", "2d"; a number without a unit is seconds. "infinity" →
 * USEC_INFINITY. */
int parse_duration(const char *s, usec_t *ret_usec);

/* Each writes into buf (at least UNITS_FORMAT_MAX) and returns buf. */
/* Three significant digits in the largest binary unit that leaves at least 1: "512 MiB", "1.46 GiB",
 * "1.00 TiB", "0 B"; four from 1000 to 1023. */
char *format_size(char *buf, uint64_t bytes);
/* "19.3%" */
char *format_ratio(char *buf, double ratio);
/* Two significant parts at most: "350ms", "1.5s", "2min 5s", "3h 20min", "infinity". */
char *format_duration(char *buf, usec_t usec);
