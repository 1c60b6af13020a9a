/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What other languages have in place of words of this one. All of it is looked up only
 * where something was wrong already, so none of these words is reserved. */

#include <stddef.h>

/* What to write instead of a word such as foreach or None. NULL: the word isn't known. */
const char *foreign_word(const char *text, size_t length);
/* The unit that was meant: 512M, 1gib. NULL: not known. */
const char *foreign_unit(const char *text, size_t length);
