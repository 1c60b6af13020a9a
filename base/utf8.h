/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Length of the valid UTF-8 sequence that text begins with (Unicode 15, table 3-7), or 0. */
size_t utf8_length(const char *text);
