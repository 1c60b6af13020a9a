/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Long texts on a terminal. */

#include "host-agent/ctl/text.h"

/* Prints a clean text (text_clean()) and ends its line. The cursor is in column indent (0: the first). On a screen with
 * a width, the text continues at blanks on further lines, which begin in that column, too. A word that is longer than a
 * line is left whole. 0 or -ENOMEM. */
int wrap_put(const Screen *screen, Style style, size_t indent, const char *text);
