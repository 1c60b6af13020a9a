/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Builds text piece by piece in a buffer of fixed size. Text that does not fit is cut off between two UTF-8
 * characters, as D-Bus and JSON refuse half ones; later additions are dropped. */

#include "base/macro.h"
#include "base/units.h"

typedef struct Text {
    char *buf;
    size_t size, length; /* size: at least 1 */
    bool full;
} Text;

Text text_init(char *buf, size_t size);
void text_add(Text *t, const char *s);
/* Adds no more than max bytes of s. */
void text_add_some(Text *t, const char *s, size_t max);
/* The same for untrusted text: each byte that is not printable ASCII becomes '?', and "..." shows a cut. */
void text_add_foreign(Text *t, const char *s, size_t max);
void text_addf(Text *t, const char *format, ...) _printf_(2, 3);

/* As arguments of text_addf(). */
#define TEXT_SIZE(bytes) format_size((char[UNITS_FORMAT_MAX]){}, bytes)
#define TEXT_RATIO(r)    format_ratio((char[UNITS_FORMAT_MAX]){}, r)
