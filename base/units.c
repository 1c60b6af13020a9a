/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Parses and formats sizes, durations, ratios and booleans. */

#include "base/units.h"

#include <string.h>

#include "base/macro.h"

/* An exact decimal number: whole + fraction / scale. Digits of the fraction beyond the 18th are dropped. */
typedef struct Decimal {
    uint64_t whole, fraction, scale;
} Decimal;

#define FRACTION_DIGITS_MAX 18

/* A unit's name and its size in base units. */
typedef struct Unit {
    const char *name;
    uint64_t factor;
} Unit;

static const Unit size_units[] = {
    {"B", 1},
    {"K", KIB},
    {"M", MIB},
    {"G", GIB},
    {"T", TIB},
    {"KiB", KIB},
    {"MiB", MIB},
    {"GiB", GIB},
    {"TiB", TIB},
    {"kB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
};

static const Unit duration_units[] = {
    {"", USEC_PER_SEC},          {"us", 1},
    {"ms", USEC_PER_MSEC},       {"s", USEC_PER_SEC},
    {"min", 60 * USEC_PER_SEC},  {"h", 3600 * USEC_PER_SEC},
    {"d", 86400 * USEC_PER_SEC},
};

/* Unlike ctype.h, independent of the locale. */
static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_spaces(const char *s)
{
    while (is_space(*s))
        s++;

    return s;
}

static size_t length_without_trailing_spaces(const char *s)
{
    size_t n = strlen(s);

    while (n > 0 && is_space(s[n - 1]))
        n--;

    return n;
}

static bool equals(const char *s, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(s, word, length) == 0;
}

/* Parses digits, and perhaps a point and more digits. *ret_rest: the text after them, without spaces. The
 * whole form is checked before -ERANGE is returned, so that text that is no number is -EINVAL however long it
 * is. */
static int parse_decimal(const char *s, Decimal *ret, const char **ret_rest)
{
    Decimal d = {.scale = 1};
    bool overflow = false;

    s = skip_spaces(s);
    if (!is_digit(*s))
        return -EINVAL;

    for (; is_digit(*s); s++)
        if (__builtin_mul_overflow(d.whole, 10, &d.whole) ||
            __builtin_add_overflow(d.whole, (uint64_t) (*s - '0'), &d.whole))
            overflow = true;

    if (*s == '.') {
        int digits = 0;

        if (!is_digit(*++s))
            return -EINVAL;
        for (; is_digit(*s); s++)
            if (digits++ < FRACTION_DIGITS_MAX) {
                d.fraction = d.fraction * 10 + (uint64_t) (*s - '0');
                d.scale *= 10;
            }
    }

    *ret_rest = skip_spaces(s);
    *ret = d;
    return overflow ? -ERANGE : 0;
}

static int parse_with_units(const char *s, const Unit *units, size_t n, uint64_t *ret)
{
    unsigned __int128 value;
    const char *rest;
    size_t length;
    Decimal d;
    int r;

    r = parse_decimal(s, &d, &rest);
    if (r < 0 && r != -ERANGE)
        return r;

    length = length_without_trailing_spaces(rest);
    for (size_t i = 0; i < n; i++) {
        if (!equals(rest, length, units[i].name))
            continue;
        if (r < 0)
            return r;

        value = (unsigned __int128) d.whole * units[i].factor +
                ((unsigned __int128) d.fraction * units[i].factor + d.scale / 2) / d.scale;
        if (value > UINT64_MAX)
            return -ERANGE;

        *ret = (uint64_t) value;
        return 0;
    }

    return -EINVAL;
}

int parse_size(const char *s, uint64_t *ret_bytes)
{
    const char *rest;
    Decimal d;
    int r = parse_decimal(s, &d, &rest);

    if (r < 0 && r != -ERANGE)
        return r;
    if (*rest)
        return parse_with_units(s, size_units, ELEMENTSOF(size_units), ret_bytes);
    if (r < 0)
        return r;
    if (d.whole > 0 || d.fraction > 0)
        return -ENOTUNIQ;
    *ret_bytes = 0;
    return 0;
}

int parse_duration(const char *s, usec_t *ret_usec)
{
    const char *word = skip_spaces(s);
    usec_t usec;
    int r;

    if (equals(word, length_without_trailing_spaces(word), "infinity")) {
        *ret_usec = USEC_INFINITY;
        return 0;
    }

    r = parse_with_units(s, duration_units, ELEMENTSOF(duration_units), &usec);
    if (r < 0)
        return r;
    if (usec == USEC_INFINITY)
        return -ERANGE;

    *ret_usec = usec;
    return 0;
}

int parse_ratio(const char *s, double *ret_ratio)
{
    const char *rest;
    size_t length;
    Decimal d;
    int r;

    r = parse_decimal(s, &d, &rest);
    if (r < 0 && r != -ERANGE)
        return r;

    length = length_without_trailing_spaces(rest);
    if (length > 0 && !equals(rest, length, "%"))
        return -EINVAL;
    if (r >= 0 && length == 0 && (d.whole > 0 || d.fraction > 0))
        return -ENOTUNIQ;
    if (r < 0 || d.whole > 100 || (d.whole == 100 && d.fraction > 0))
        return -ERANGE;

    /* One division, so that "20%" is the same double as 0.2 in C. */
    *ret_ratio = (double) ((unsigned __int128) d.whole * d.scale + d.fraction) / ((double) d.scale * 100);
    return 0;
}

int parse_count(const char *s, uint64_t *ret)
{
    const char *rest;
    Decimal d;
    int r;

    if (strspn(s, "0123456789") != strlen(s))
        return -EINVAL;
    r = parse_decimal(s, &d, &rest);
    if (r < 0)
        return r;
    *ret = d.whole;
    return 0;
}

/* bytes / 2^shift × scale, rounded to the nearest. */
static uint64_t scaled(uint64_t bytes, unsigned shift, unsigned scale)
{
    return (uint64_t) (((unsigned __int128) bytes * scale + (UINT64_C(1) << (shift - 1))) >> shift);
}

char *format_size(char *buf, uint64_t bytes)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned shift = 10;
    size_t i = 0;
    uint64_t n;

    if (bytes < KIB) {
        snprintf(buf, UNITS_FORMAT_MAX, "%" PRIu64 " B", bytes);
        return buf;
    }

    /* A value that would be printed as 1024 is 1.00 of the next unit. */
    while (scaled(bytes, shift, 1) >= 1024 && i + 1 < ELEMENTSOF(names)) {
        shift += 10;
        i++;
    }

    if ((n = scaled(bytes, shift, 100)) < 1000)
        snprintf(buf, UNITS_FORMAT_MAX, "%" PRIu64 ".%02" PRIu64 " %s", n / 100, n % 100, names[i]);
    else if ((n = scaled(bytes, shift, 10)) < 1000)
        snprintf(buf, UNITS_FORMAT_MAX, "%" PRIu64 ".%" PRIu64 " %s", n / 10, n % 10, names[i]);
    else
        snprintf(buf, UNITS_FORMAT_MAX, "%" PRIu64 " %s", scaled(bytes, shift, 1), names[i]);

    return buf;
}

char *format_ratio(char *buf, double ratio)
{
    int64_t tenths;

    if (!__builtin_isfinite(ratio)) {
        snprintf(buf, UNITS_FORMAT_MAX, "n/a");
        return buf;
    }

    tenths = (int64_t) (CLAMP(ratio, -1e9, 1e9) * 1000 + (ratio < 0 ? -0.5 : 0.5));
    snprintf(buf, UNITS_FORMAT_MAX, "%s%" PRIi64 ".%" PRIi64 "%%", tenths < 0 ? "-" : "",
             (tenths < 0 ? -tenths : tenths) / 10, (tenths < 0 ? -tenths : tenths) % 10);
    return buf;
}

char *format_duration(char *buf, usec_t usec)
{
    /* A tier is used for a time that, rounded to its second part, is less than one of the next tier. */
    static const struct {
        usec_t part, second_part;
        const char *name, *second_name; /* no second name: a decimal */
    } tiers[] = {
        {1, 1, "us", NULL},
        {USEC_PER_MSEC, USEC_PER_MSEC / 10, "ms", NULL},
        {USEC_PER_SEC, USEC_PER_SEC / 10, "s", NULL},
        {60 * USEC_PER_SEC, USEC_PER_SEC, "min", "s"},
        {3600 * USEC_PER_SEC, 60 * USEC_PER_SEC, "h", "min"},
        {86400 * USEC_PER_SEC, 3600 * USEC_PER_SEC, "d", "h"},
    };
    usec_t rounded = 0, whole;
    uint8_t rest; /* below 60, which the compiler needs to know to see that it fits into buf */
    size_t i;

    if (usec == USEC_INFINITY || usec == 0) {
        snprintf(buf, UNITS_FORMAT_MAX, "%s", usec == 0 ? "0s" : "infinity");
        return buf;
    }

    for (i = 0; i < ELEMENTSOF(tiers); i++) {
        usec_t unit = tiers[i].second_part;

        rounded = usec / unit * unit;
        if (usec - rounded >= unit - unit / 2 && rounded <= USEC_INFINITY - unit)
            rounded += unit;
        if (i + 1 == ELEMENTSOF(tiers) || rounded < tiers[i + 1].part)
            break;
    }

    whole = rounded / tiers[i].part;
    rest = (uint8_t) (rounded % tiers[i].part / tiers[i].second_part);
    if (rest == 0)
        snprintf(buf, UNITS_FORMAT_MAX, "%" PRIu64 "%s", whole, tiers[i].name);
    else if (tiers[i].second_name)
        snprintf(buf, UNITS_FORMAT_MAX, "%" PRIu64 "%s %u%s", whole, tiers[i].name, rest,
                 tiers[i].second_name);
    else
        snprintf(buf, UNITS_FORMAT_MAX, "%" PRIu64 ".%u%s", whole, rest, tiers[i].name);

    return buf;
}

#define NUMBER_SHOWN_MAX 20     /* digits */
#define LARGE_NUMBER     100000 /* larger ones were copied from elsewhere, and count KiB or bytes */

char *units_meant(char *buf, const char *s, bool size, bool share)
{
    const char *number = skip_spaces(s), *rest, *units[4];
    int length = (int) MIN(length_without_trailing_spaces(number), (size_t) NUMBER_SHOWN_MAX);
    bool large, part;
    size_t fill = 0, n = 0;
    Decimal d = {};

    (void) parse_decimal(s, &d, &rest);
    large = d.whole >= LARGE_NUMBER;
    part = share && d.whole == 0; /* 0.25 is 25% to many */
    if (size && large)
        units[n++] = "KiB";
    else if (size) {
        units[n++] = "GiB";
        units[n++] = "MiB";
    }
    if (size && (large || !share))
        units[n++] = "B";
    if (share && (d.whole <= 100 || !size))
        units[n++] = "%";

    buf[0] = '\0';
    if (part)
        fill = (size_t) snprintf(buf, UNITS_MEANT_MAX, "%g%%", 100 * (double) d.fraction / (double) d.scale);
    for (size_t i = 0; i < n; i++)
        fill += (size_t) snprintf(buf + fill, UNITS_MEANT_MAX - fill, "%s%.*s%s",
                                  fill == 0    ? ""
                                  : i + 1 == n ? " or "
                                               : ", ",
                                  length, number, units[i]);
    return buf;
}
