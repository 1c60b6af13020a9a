/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Parses the kernel's tables of keys and values. */

#include "base/proc-table.h"

#include <string.h>

const char *proc_skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;

    return p;
}

const char *proc_parse_number(const char *p, uint64_t *ret)
{
    uint64_t value = 0;

    if (*p < '0' || *p > '9')
        return NULL;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t) (*p - '0'), &value))
            return NULL;

    *ret = value;
    return p;
}

int proc_parse_value(const char *p, const char *unit, uint64_t factor, uint64_t *ret)
{
    size_t length = strlen(unit);
    uint64_t value;

    p = proc_parse_number(proc_skip_blanks(p), &value);
    if (!p)
        return -EBADMSG;

    p = proc_skip_blanks(p);
    if (strncmp(p, unit, length) != 0 || p[length] != '\n')
        return -EBADMSG;
    if (__builtin_mul_overflow(value, factor, ret))
        return -EBADMSG;

    return 0;
}

static bool is_zone(const char *p, size_t length)
{
    static const char *const zones[] = {"dma", "dma32", "normal", "high", "movable", "device"};

    for (size_t i = 0; i < ELEMENTSOF(zones); i++)
        if (strlen(zones[i]) == length && memcmp(zones[i], p, length) == 0)
            return true;

    return false;
}

static bool key_matches(const ProcKey *k, const char *p, size_t length)
{
    /* Most keys that begin alike differ in the last letter. */
    if (length < k->length || k->name[k->length - 1] != p[k->length - 1] ||
        memcmp(k->name, p, k->length) != 0)
        return false;
    if (length == k->length)
        return true;

    return k->zones && p[k->length] == '_' && is_zone(p + k->length + 1, length - k->length - 1);
}

/* Sets or adds up the value of a key. */
static int take_value(const ProcKey *k, bool again, const char *p, const char *unit, uint64_t factor,
                      void *base)
{
    uint64_t value, *target = (uint64_t *) ((char *) base + k->offset);
    int r;

    r = proc_parse_value(p, unit, factor, &value);
    if (r < 0)
        return r;
    if (k->zones && again && __builtin_add_overflow(*target, value, &value))
        return -EBADMSG;

    *target = value;
    return 0;
}

/* The search starts after the key found last: the kernel mostly prints the keys in the same order. */
int proc_parse_table(const char *text, char separator, const char *unit, uint64_t factor, const ProcKey *keys,
                     size_t n, void *base, uint32_t *ret_found)
{
    bool begins_key[UINT8_MAX + 1] = {};
    uint32_t found = 0;
    size_t next = 0;
    int r;

    for (size_t k = 0; k < n; k++)
        begins_key[(uint8_t) keys[k].name[0]] = true;

    for (const char *p = text, *end; *p; p = *end ? end + 1 : end) {
        if (!begins_key[(uint8_t) *p]) {
            end = strchrnul(p, '\n');
            continue;
        }

        for (end = p; *end != separator && *end != '\n' && *end; end++)
            ;

        for (size_t i = 0; i < n && *end == separator; i++) {
            size_t k = next + i < n ? next + i : next + i - n;

            if (!key_matches(&keys[k], p, (size_t) (end - p)))
                continue;

            r = take_value(&keys[k], found & UINT32_C(1) << k, end + 1, unit, factor, base);
            if (r < 0)
                return r;

            found |= UINT32_C(1) << k;
            next = k;
            break;
        }

        end = strchrnul(end, '\n');
    }

    for (size_t k = 0; k < n; k++)
        if (keys[k].required && !(found & UINT32_C(1) << k))
            return -EBADMSG;

    *ret_found = found;
    return 0;
}
