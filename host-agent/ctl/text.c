/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for a terminal: makes it harmless, measures, cuts and colours it. */

#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include <wchar.h>
#include <wctype.h>

#include "host-agent/ctl/text.h"

#define ELLIPSIS "…"

void text_set_locale(void)
{
    /* Names and reasons are UTF-8 whatever LANG says, and so are terminals. */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        (void) setlocale(LC_CTYPE, "");
}

/* Characters that change the direction of text can make a line look like another. */
static bool is_direction(wchar_t c)
{
    return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

char *text_clean(const char *s)
{
    size_t left = strlen(s), fill = 0;
    mbstate_t state = {};
    char *clean;

    clean = malloc(left + 1);
    if (!clean)
        return NULL;
    while (left > 0) {
        wchar_t c;
        size_t n = mbrtowc(&c, s, left, &state);

        if (n == 0 || n > left) { /* broken: skip a byte */
            memset(&state, 0, sizeof(state));
            n = 1;
            clean[fill++] = '?';
        } else if (!iswprint((wint_t) c) || wcwidth(c) < 0 || is_direction(c))
            clean[fill++] = '?';
        else {
            memcpy(clean + fill, s, n);
            fill += n;
        }
        s += n;
        left -= n;
    }
    clean[fill] = '\0';
    return clean;
}

bool text_is_utf8(const char *s, size_t length)
{
    mbstate_t state = {};

    while (length > 0) {
        size_t n = mbrtowc(NULL, s, length, &state);

        if (n == 0 || n > length)
            return false;
        s += n;
        length -= n;
    }
    return true;
}

/* Bytes of s that take at most so many columns; *ret_width: how many they do. */
static size_t fitting(const char *s, size_t columns, size_t *ret_width)
{
    size_t left = strlen(s), bytes = 0, width = 0;
    mbstate_t state = {};

    while (left > 0) {
        wchar_t c;
        size_t n = mbrtowc(&c, s + bytes, left, &state);
        int w;

        if (n == 0 || n > left)
            break;
        w = wcwidth(c);
        if (w > 0 && width + (size_t) w > columns)
            break;
        width += w > 0 ? (size_t) w : 0;
        bytes += n;
        left -= n;
    }
    *ret_width = width;
    return bytes;
}

size_t text_width(const char *s)
{
    size_t width;

    (void) fitting(s, SIZE_MAX, &width);
    return width;
}

char *text_cut(char *s, size_t columns)
{
    size_t width, bytes, whole;
    char *longer;

    if (text_width(s) <= columns)
        return s;
    bytes = whole = fitting(s, columns > 0 ? columns - 1 : 0, &width);
    while (whole > 0 && s[whole] != ' ')
        whole--;
    if (whole > strspn(s, " "))
        bytes = whole;
    while (bytes > 0 && s[bytes - 1] == ' ')
        bytes--;
    longer = realloc(s, bytes + sizeof(ELLIPSIS));
    if (!longer) {
        free(s);
        return NULL;
    }
    memcpy(longer + bytes, ELLIPSIS, sizeof(ELLIPSIS));
    return longer;
}

void screen_measure(Screen *screen)
{
    const char *term = getenv("TERM");
    struct winsize size = {};

    screen->terminal = isatty(fileno(screen->file)) && (!term || strcmp(term, "dumb") != 0);
    (void) ioctl(fileno(screen->file), TIOCGWINSZ, &size); /* fails if there is no terminal */
    screen->width = size.ws_col;
    screen->height = size.ws_row;
}

const char *style_sequence(Style style)
{
    static const char *const sequences[STYLE_MAX] = {
        [STYLE_PLAIN] = NULL,       [STYLE_BOLD] = "\033[1m",    [STYLE_DIM] = "\033[2m",
        [STYLE_GREEN] = "\033[32m", [STYLE_YELLOW] = "\033[33m", [STYLE_RED] = "\033[1;31m",
        [STYLE_CYAN] = "\033[36m",
    };

    return sequences[style];
}

void screen_put(const Screen *screen, Style style, const char *text)
{
    if (screen->colour && style != STYLE_PLAIN)
        fprintf(screen->file, "%s%s\033[0m", style_sequence(style), text);
    else
        fputs(text, screen->file);
}

/* A mistake starts at the margin; the policy's line and the caret below it are indented. */
int screen_diagnostics(const Screen *screen, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        _cleanup_free_ char *line = strndup(text, length), *clean = line ? text_clean(line) : NULL;
        bool caret = clean && clean[strspn(clean, " ")] == '^';

        if (!clean)
            return -ENOMEM;
        screen_put(screen, clean[0] != ' ' ? STYLE_BOLD : caret ? STYLE_RED : STYLE_PLAIN, clean);
        fputc('\n', screen->file);
        text += length + (text[length] == '\n');
    }
    return 0;
}
