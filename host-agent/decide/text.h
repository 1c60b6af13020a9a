/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text put together piece by piece into a buffer of fixed size. What doesn't fit is cut off between two UTF-8
 * characters, for D-Bus and JSON refuse half ones; what is added after that is dropped. */

#include "base/macro.h"

typedef struct Text {
    char *buf;
    size_t size, length; /* size: at least 1 */
    bool full;
} Text;

Text text_init(char *buf, size_t size);
void text_add(Text *t, const char *s);
/* Adds no more than max bytes of s. */
void text_add_some(Text *t, const char *s, size_t max);
/* The same of what anybody may have written: '?' for each byte that isn't printable ASCII, and "..." for what
 * is left out. */
void text_add_foreign(Text *t, const char *s, size_t max);
void text_addf(Text *t, const char *format, ...) _printf_(2, 3);
