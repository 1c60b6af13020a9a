/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes D-Bus dictionaries. */

#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "host-agent/show/dict.h"

char *text_make_utf8(char *buf, size_t size, const char *text)
{
    size_t fill = 0;

    while (*text) {
        size_t n = utf8_length(text);

        if (fill + MAX(n, (size_t) 1) >= size)
            break;
        if (n > 0)
            memcpy(buf + fill, text, n);
        else
            buf[fill] = '?';
        fill += MAX(n, (size_t) 1);
        text += MAX(n, (size_t) 1);
    }
    buf[fill] = '\0';
    return buf;
}

static void note(Dict *d, int r)
{
    if (d->error >= 0 && r < 0)
        d->error = r;
}

static void container_open(Dict *d, char type, const char *contents)
{
    if (d->error >= 0)
        note(d, sd_bus_message_open_container(d->message, type, contents));
}

static void container_close(Dict *d)
{
    if (d->error >= 0)
        note(d, sd_bus_message_close_container(d->message));
}

void dict_begin(Dict *d)
{
    container_open(d, 'a', "{sv}");
}

void dict_end(Dict *d)
{
    container_close(d);
}

void dict_text(Dict *d, const char *key, const char *value)
{
    char buf[DICT_TEXT_MAX];

    if (value && d->error >= 0)
        note(d, sd_bus_message_append(d->message, "{sv}", key, "s", text_make_utf8(buf, sizeof(buf), value)));
}

void dict_long_text(Dict *d, const char *key, const char *text)
{
    size_t size = strlen(text) + 1;
    _cleanup_free_ char *buf = malloc(size);

    if (!buf)
        note(d, -ENOMEM);
    else if (d->error >= 0)
        note(d, sd_bus_message_append(d->message, "{sv}", key, "s", text_make_utf8(buf, size, text)));
}

void dict_known(Dict *d, const char *key, const char *text)
{
    if (text && text[0])
        dict_text(d, key, text);
}

void dict_count(Dict *d, const char *key, uint64_t value)
{
    if (d->error >= 0)
        note(d, sd_bus_message_append(d->message, "{sv}", key, "t", value));
}

void dict_real(Dict *d, const char *key, double value)
{
    if (isfinite(value) && d->error >= 0)
        note(d, sd_bus_message_append(d->message, "{sv}", key, "d", value));
}

void dict_bool(Dict *d, const char *key, bool value)
{
    if (d->error >= 0)
        note(d, sd_bus_message_append(d->message, "{sv}", key, "b", (int) value));
}

void dict_bytes(Dict *d, const char *key, double value)
{
    if (isfinite(value))
        dict_count(d, key, value <= 0 ? 0 : value >= 0x1p64 ? UINT64_MAX : (uint64_t) round(value));
}

void dict_signed(Dict *d, const char *key, double value)
{
    if (isfinite(value) && d->error >= 0)
        note(d, sd_bus_message_append(d->message, "{sv}", key, "x",
                                      (int64_t) llround(CLAMP(value, -0x1p63, 0x1p62))));
}

void dict_age(Dict *d, const char *key, usec_t then_usec, usec_t now_usec)
{
    if (then_usec > 0 && then_usec != USEC_INFINITY)
        dict_count(d, key, usec_since(then_usec, now_usec));
}

static void entry_open(Dict *d, const char *key, const char *type)
{
    container_open(d, 'e', "sv");
    if (d->error >= 0)
        note(d, sd_bus_message_append_basic(d->message, 's', key));
    container_open(d, 'v', type);
    container_open(d, 'a', type + 1); /* every value that has parts is an array */
}

static void entry_close(Dict *d)
{
    container_close(d);
    container_close(d);
    container_close(d);
}

void dict_open(Dict *d, const char *key)
{
    entry_open(d, key, "a{sv}");
}

void dict_close(Dict *d)
{
    entry_close(d);
}

void dict_list_open(Dict *d, const char *key, const char *type)
{
    entry_open(d, key, type);
}

void dict_item(Dict *d, const char *text)
{
    char buf[DICT_TEXT_MAX];

    if (d->error >= 0)
        note(d, sd_bus_message_append(d->message, "s", text_make_utf8(buf, sizeof(buf), text)));
}

void dict_reals(Dict *d, const double *values, size_t n)
{
    if (d->error >= 0)
        note(d, sd_bus_message_append_array(d->message, 'd', values, n * sizeof(*values)));
}

void dict_list_close(Dict *d)
{
    entry_close(d);
}
