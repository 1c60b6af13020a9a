/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts text together in a buffer of fixed size. */

#include "host-agent/decide/text.h"

#include <stdarg.h>
#include <string.h>

Text text_init(char *buf, size_t size)
{
    buf[0] = '\0';
    return (Text){.buf = buf, .size = size};
}

/* How many of the first n bytes of s to keep when the rest is cut off: a character that is cut is left out
 * whole. */
static size_t boundary(const char *s, size_t n)
{
    while (n > 0 && ((unsigned char) s[n - 1] & 0xC0) == 0x80)
        n--;
    return n > 0 && ((unsigned char) s[n - 1] & 0xC0) == 0xC0 ? n - 1 : n;
}

static void cut(Text *t)
{
    t->full = true;
    t->length = boundary(t->buf, t->size - 1);
    t->buf[t->length] = '\0';
}

void text_add_some(Text *t, const char *s, size_t max)
{
    size_t n = strlen(s), room = t->size - t->length;

    if (t->full)
        return;
    if (n > max)
        n = boundary(s, max);
    memcpy(t->buf + t->length, s, MIN(n, room - 1));
    t->length += MIN(n, room - 1);
    t->buf[t->length] = '\0';
    if (n >= room)
        cut(t);
}

void text_add(Text *t, const char *s)
{
    text_add_some(t, s, t->size);
}

void text_add_foreign(Text *t, const char *s, size_t max)
{
    for (size_t n = 0; s[n] && n < max; n++) {
        char c[] = {s[n] >= ' ' && s[n] <= '~' ? s[n] : '?', '\0'};

        text_add(t, c);
    }
    if (strnlen(s, max + 1) > max)
        text_add(t, "...");
}

void text_addf(Text *t, const char *format, ...)
{
    va_list ap;
    int n;

    if (t->full)
        return;
    va_start(ap, format);
    n = vsnprintf(t->buf + t->length, t->size - t->length, format, ap);
    va_end(ap);
    if (n < 0)
        t->buf[t->length] = '\0';
    else if ((size_t) n >= t->size - t->length)
        cut(t);
    else
        t->length += (size_t) n;
}
