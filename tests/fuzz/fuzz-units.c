/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sizes, ratios and durations as texts, and as the numbers that the input's bytes are. */

#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "tests/fuzz/fuzz.h"

static void check_size(uint64_t bytes)
{
    char buf[UNITS_FORMAT_MAX];
    uint64_t again;
    int r;

    memset(buf, 'x', sizeof(buf));
    assert(format_size(buf, bytes) == buf && memchr(buf, '\0', sizeof(buf)));

    /* A formatted size can be parsed, and is the same to three digits. Larger units are never read. */
    if (bytes < 1000 * TIB) {
        r = parse_size(buf, &again);
        assert(r == 0);
        assert((again > bytes ? again - bytes : bytes - again) <= bytes / 200 + 1);
    }
}

static void check_duration(usec_t usec)
{
    char buf[UNITS_FORMAT_MAX];

    memset(buf, 'x', sizeof(buf));
    assert(format_duration(buf, usec) == buf && memchr(buf, '\0', sizeof(buf)));
}

static void check_ratio(double ratio)
{
    char buf[UNITS_FORMAT_MAX];

    memset(buf, 'x', sizeof(buf));
    assert(format_ratio(buf, ratio) == buf && memchr(buf, '\0', sizeof(buf)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = malloc(size + 1);
    uint64_t number;
    double ratio;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';

    if (parse_size(text, &number) >= 0)
        check_size(number);
    if (parse_duration(text, &number) >= 0)
        check_duration(number);
    if (parse_ratio(text, &ratio) >= 0) {
        assert(ratio >= 0 && ratio <= 1);
        check_ratio(ratio);
    }

    if (size >= sizeof(number)) {
        memcpy(&number, data, sizeof(number));
        memcpy(&ratio, data, sizeof(ratio));
        check_size(number);
        check_duration(number);
        check_ratio(ratio);
    }

    return 0;
}
