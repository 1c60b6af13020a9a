/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Breaks text at blanks, so that it fits a terminal. */

#include <string.h>

#include "host-agent/ctl/wrap.h"

/* So many columns a line gets behind its indent, however narrow the screen is. */
#define ROOM_MIN 20U

/* Ends the first line of text where its words no longer fit, and returns what is left; NULL: nothing. */
static char *break_line(char *text, size_t room)
{
    for (char *word = text + strspn(text, " "), *last = NULL; *word; word += strspn(word, " ")) {
        char *end = word + strcspn(word, " "), saved = *end;
        size_t width;

        *end = '\0';
        width = text_width(text);
        *end = saved;
        if (width > room && last) {
            *last = '\0';
            return word;
        }
        word = last = end;
    }
    return NULL;
}

int wrap_put(const Screen *screen, Style style, size_t indent, const char *text)
{
    size_t room = MAX(LESS_BY((size_t) screen->width, indent), (size_t) ROOM_MIN);
    _cleanup_free_ char *copy = strdup(text);

    if (!copy)
        return -ENOMEM;
    for (char *line = copy, *rest; line; line = rest) {
        rest = screen->width > 0 ? break_line(line, room) : NULL;
        screen_put(screen, style, line);
        fputc('\n', screen->file);
        if (rest)
            fprintf(screen->file, "%*s", (int) indent, "");
    }
    return 0;
}
