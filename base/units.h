/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sizes, ratios and durations as people write them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time-util.h"

#define KIB ((uint64_t) 1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

#define UNITS_FORMAT_MAX 32  /* enough for every format_ function, with the NUL */
#define UNITS_MEANT_MAX  128 /* the same for units_meant() */

/* Every parser takes the whole string (spaces around and between number and unit allowed), sets *ret only on
 * success, and returns -EINVAL for text of another form and -ERANGE for a value that does not fit.
 * Independent of the locale. */

/* "0", "512B", "64MiB", "1.5GiB", "2TiB"; K, M, G, T alone mean the binary units; kB, MB, GB, TB the decimal
 * ones. Fractions are rounded to the nearest byte. A number without a unit is -ENOTUNIQ, except for 0: people
 * who forget the unit mean GiB, and those who copy from elsewhere KiB or bytes. */
int parse_size(const char *s, uint64_t *ret_bytes);
/* "20%" → 0.2; 0 ≤ ratio ≤ 1. A number without % is -ENOTUNIQ, except for 0. */
int parse_ratio(const char *s, double *ret_ratio);
/* "1.5s", "250ms", "10us", "5min", "1h", "2d"; a number without a unit is seconds, as in systemd's files.
 * "infinity" → USEC_INFINITY. */
int parse_duration(const char *s, usec_t *ret_usec);
/* "0", "12": digits only. */
int parse_count(const char *s, uint64_t *ret);

/* After -ENOTUNIQ: what s may mean as a size, as a share, or as either: "10GiB, 10MiB or 10%". Writes into buf (at
 * least UNITS_MEANT_MAX) and returns buf. */
char *units_meant(char *buf, const char *s, bool size, bool share);

/* Each writes into buf (at least UNITS_FORMAT_MAX) and returns buf. */
/* Three significant digits in the largest binary unit that leaves at least 1: "512 MiB", "1.46 GiB",
 * "1.00 TiB", "0 B"; four from 1000 to 1023. */
char *format_size(char *buf, uint64_t bytes);
/* "19.3%" */
char *format_ratio(char *buf, double ratio);
/* Two significant parts at most: "350ms", "1.5s", "2min 5s", "3h 20min", "infinity". */
char *format_duration(char *buf, usec_t usec);
