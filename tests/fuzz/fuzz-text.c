/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Foreign text on its way to a person: on D-Bus it is UTF-8, on a terminal it is harmless and fits. The first byte is
 * how many bytes or columns it may take. */

#include <string.h>

#include "base/macro.h"
#include "base/utf8.h"
#include "host-agent/ctl/wrap.h"
#include "host-agent/decide/text.h"
#include "host-agent/show/dict.h"
#include "tests/fuzz/fuzz.h"

static bool is_utf8(const char *text)
{
    for (size_t n; *text; text += n) {
        n = utf8_length(text);
        if (n == 0)
            return false;
    }
    return true;
}

static void check_make_utf8(const char *text, size_t size)
{
    _cleanup_free_ char *buf = malloc(size);

    if (!buf)
        return;
    assert(text_make_utf8(buf, size, text) == buf);
    assert(strnlen(buf, size) < size && is_utf8(buf));
    assert(!is_utf8(text) || strncmp(buf, text, strlen(buf)) == 0);
    assert(!is_utf8(text) || strlen(text) >= size || strcmp(buf, text) == 0);
}

static void check_builder(const char *text, size_t size)
{
    _cleanup_free_ char *buf = malloc(size);
    Text t;

    if (!buf)
        return;
    t = text_init(buf, size);
    text_add_some(&t, text, size / 2);
    text_addf(&t, "%s", text);
    assert(strnlen(buf, size) == t.length);
    assert(!is_utf8(text) || is_utf8(buf));
    t = text_init(buf, size);
    text_add_foreign(&t, text, size / 2);
    text_add(&t, text);
    assert(strnlen(buf, size) == t.length);
    t = text_init(buf, size);
    text_add_foreign(&t, text, size);
    for (const char *s = buf; *s; s++)
        assert(*s >= ' ' && *s <= '~');
}

static void check_harmless(const char *text)
{
    _cleanup_free_ char *again = text_clean(text);

    assert(!again || strcmp(again, text) == 0);
    assert(is_utf8(text) && text_is_utf8(text, strlen(text)));
    for (const char *s = text; *s; s++)
        assert((unsigned char) *s >= ' ' && *s != 0x7f);
}

static void check_terminal(const char *text, size_t columns)
{
    _cleanup_free_ char *clean = text_clean(text), *cut = clean ? strdup(clean) : NULL, *page = NULL;
    _cleanup_fclose_ FILE *f = NULL;
    size_t length = 0;

    if (!cut)
        return;
    check_harmless(clean);
    cut = text_cut(cut, columns);
    assert(!cut || (text_width(cut) <= columns && is_utf8(cut)));
    f = open_memstream(&page, &length);
    if (!f)
        return;
    assert(wrap_put(&(Screen){.file = f, .width = (unsigned) columns}, STYLE_PLAIN, 4, clean) == 0);
    assert(screen_diagnostics(&(Screen){.file = f}, text) == 0);
    assert(fflush(f) == 0 && length >= strlen(clean));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = NULL;

    if (size == 0)
        return 0;
    text_set_locale();
    text = strndup((const char *) data + 1, size - 1);
    if (!text)
        return 0;
    check_make_utf8(text, data[0] + 1U);
    check_builder(text, data[0] + 1U);
    check_terminal(text, MAX(data[0], 1U));
    return 0;
}
