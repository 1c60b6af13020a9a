/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an administrator grants a guest: as text, as XML, and one grant over another. */

#include "host-agent/decide/entitlement.h"

#include <inttypes.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/decide/text.h"

#define SHOWN_MAX 40U /* of a value in a message */

static const char *const key_names[ENTITLEMENT_KEY_MAX_] = {
    [ENTITLEMENT_KEY_MIN] = "min",       [ENTITLEMENT_KEY_FULL] = "full", [ENTITLEMENT_KEY_GROWTH] = "max",
    [ENTITLEMENT_KEY_SHARES] = "shares", [ENTITLEMENT_KEY_MODE] = "mode",
};

const char *entitlement_key_to_string(EntitlementKey k)
{
    return k >= 0 && k < ENTITLEMENT_KEY_MAX_ ? key_names[k] : NULL;
}

EntitlementKey entitlement_key_from_string(const char *s)
{
    for (int k = 0; k < ENTITLEMENT_KEY_MAX_; k++)
        if (s && strcmp(s, key_names[k]) == 0)
            return k;
    return ENTITLEMENT_KEY_INVALID;
}

/* The sizes in ascending order: each may be no more than the next. */
#define SIZES 3

static uint64_t size_of(const Entitlement *e, unsigned i)
{
    const uint64_t sizes[SIZES] = {e->min_bytes, e->full_bytes, e->growth_bytes};

    return sizes[i];
}

static uint64_t *size_ref(Entitlement *e, unsigned i)
{
    uint64_t *const sizes[SIZES] = {&e->min_bytes, &e->full_bytes, &e->growth_bytes};

    return sizes[i];
}

/* Writes the size exactly, in the largest unit that divides it, as parse_size() reads it. */
static char *write_size(char buf[static UNITS_FORMAT_MAX], uint64_t bytes)
{
    static const struct {
        uint64_t bytes;
        const char *name;
    } units[] = {{TIB, "TiB"}, {GIB, "GiB"}, {MIB, "MiB"}, {KIB, "KiB"}, {1, "B"}};
    size_t i = 0;

    while (bytes % units[i].bytes != 0)
        i++;
    snprintf(buf, UNITS_FORMAT_MAX, "%" PRIu64 "%s", bytes / units[i].bytes, units[i].name);
    return buf;
}

static int parse_entitled_size(const char *text, uint64_t *ret_bytes)
{
    uint64_t bytes;
    int r = parse_size(text, &bytes);

    if (r < 0)
        return r;
    if (bytes < ENTITLEMENT_BYTES_MIN || bytes > ENTITLEMENT_BYTES_MAX)
        return -ERANGE;
    *ret_bytes = bytes;
    return 0;
}

static int parse_shares(const char *text, double *ret_shares)
{
    double shares = 0;

    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        /* However many digits the number has. */
        shares = MIN(10 * shares + (*text - '0'), 2 * ENTITLEMENT_SHARES_MAX);
    }
    if (shares < ENTITLEMENT_SHARES_MIN || shares > ENTITLEMENT_SHARES_MAX)
        return -ERANGE;
    *ret_shares = shares;
    return 0;
}

static void tell_bad_value(EntitlementKey key, const char *text, int error,
                           char why[static ENTITLEMENT_WHY_MAX])
{
    Text t = text_init(why, ENTITLEMENT_WHY_MAX);
    char low[UNITS_FORMAT_MAX], high[UNITS_FORMAT_MAX], meant[UNITS_MEANT_MAX];

    text_addf(&t, "%s=", entitlement_key_to_string(key));
    text_add_foreign(&t, text, SHOWN_MAX);
    if (error == -ENOTUNIQ) {
        text_addf(&t, " has no unit: %s?", units_meant(meant, text, true, false));
        return;
    }
    text_add(&t, error == -ERANGE ? " is out of range: " : " is not valid: ");
    switch (key) {
    case ENTITLEMENT_KEY_MIN:
    case ENTITLEMENT_KEY_FULL:
    case ENTITLEMENT_KEY_GROWTH:
        text_addf(&t, "it takes a size from %s to %s, such as 1GiB", write_size(low, ENTITLEMENT_BYTES_MIN),
                  write_size(high, ENTITLEMENT_BYTES_MAX));
        break;
    case ENTITLEMENT_KEY_SHARES:
        text_addf(&t, "it takes a whole number from %.0f to %.0f; others have %.0f", ENTITLEMENT_SHARES_MIN,
                  ENTITLEMENT_SHARES_MAX, ENTITLEMENT_SHARES);
        break;
    case ENTITLEMENT_KEY_MODE:
        text_add(&t, "it takes auto, observe or off");
        break;
    case ENTITLEMENT_KEY_MAX_:
    case ENTITLEMENT_KEY_INVALID:
        break;
    }
}

static int parse_mode(const char *text, GuestMode *ret_mode)
{
    GuestMode mode = guest_mode_from_string(text);

    if (mode < 0)
        return -EINVAL;
    *ret_mode = mode;
    return 0;
}

static int parse_value(Entitlement *e, EntitlementKey key, const char *text)
{
    switch (key) {
    case ENTITLEMENT_KEY_MIN:
        return parse_entitled_size(text, &e->min_bytes);
    case ENTITLEMENT_KEY_FULL:
        return parse_entitled_size(text, &e->full_bytes);
    case ENTITLEMENT_KEY_GROWTH:
        return parse_entitled_size(text, &e->growth_bytes);
    case ENTITLEMENT_KEY_SHARES:
        return parse_shares(text, &e->shares);
    case ENTITLEMENT_KEY_MODE:
        return parse_mode(text, &e->mode);
    case ENTITLEMENT_KEY_MAX_:
    case ENTITLEMENT_KEY_INVALID:
        break;
    }
    return -EINVAL;
}

static void take_back(Entitlement *e, EntitlementKey key)
{
    switch (key) {
    case ENTITLEMENT_KEY_MIN:
        e->min_bytes = 0;
        break;
    case ENTITLEMENT_KEY_FULL:
        e->full_bytes = 0;
        break;
    case ENTITLEMENT_KEY_GROWTH:
        e->growth_bytes = 0;
        break;
    case ENTITLEMENT_KEY_SHARES:
        e->shares = 0;
        break;
    case ENTITLEMENT_KEY_MODE:
        e->mode = GUEST_MODE_INVALID;
        break;
    case ENTITLEMENT_KEY_MAX_:
    case ENTITLEMENT_KEY_INVALID:
        break;
    }
}

int entitlement_set(Entitlement *e, EntitlementKey key, const char *text,
                    char why[static ENTITLEMENT_WHY_MAX])
{
    int r;

    if (!*text) {
        take_back(e, key);
        return 0;
    }
    r = parse_value(e, key, text);
    if (r < 0)
        tell_bad_value(key, text, r, why);
    return r;
}

int entitlement_check(const Entitlement *e, uint64_t maximum_bytes, char why[static ENTITLEMENT_WHY_MAX])
{
    char size[UNITS_FORMAT_MAX], limit[UNITS_FORMAT_MAX];

    for (unsigned i = 0; i < SIZES; i++) {
        for (unsigned k = i + 1; k < SIZES; k++)
            if (size_of(e, k) > 0 && size_of(e, i) > size_of(e, k)) {
                snprintf(why, ENTITLEMENT_WHY_MAX, "%s=%s is more than %s=%s", key_names[i],
                         write_size(size, size_of(e, i)), key_names[k], write_size(limit, size_of(e, k)));
                return -ERANGE;
            }
        if (maximum_bytes > 0 && size_of(e, i) > maximum_bytes) {
            snprintf(why, ENTITLEMENT_WHY_MAX, "%s=%s is more than the domain's maximum memory, %s",
                     key_names[i], write_size(size, size_of(e, i)), write_size(limit, maximum_bytes));
            return -ERANGE;
        }
    }
    return 0;
}

/* Whether size number i of one contradicts a size of the other. */
static bool contradicts(uint64_t bytes, unsigned i, const Entitlement *other)
{
    for (unsigned k = 0; k < SIZES; k++)
        if (size_of(other, k) > 0 &&
            ((k < i && bytes < size_of(other, k)) || (k > i && bytes > size_of(other, k))))
            return true;
    return false;
}

Entitlement entitlement_over(const Entitlement *above, const Entitlement *below)
{
    Entitlement e = *above;

    for (unsigned i = 0; i < SIZES; i++)
        if (size_of(above, i) == 0 && !contradicts(size_of(below, i), i, above))
            *size_ref(&e, i) = size_of(below, i);
    if (e.shares == 0)
        e.shares = below->shares;
    if (e.mode == GUEST_MODE_INVALID)
        e.mode = below->mode;
    return e;
}

void entitlement_change(Entitlement *e, const EntitlementChange *change)
{
    for (unsigned i = 0; i < SIZES; i++)
        if (change->keys & 1U << i)
            *size_ref(e, i) = size_of(&change->values, i);
    if (change->keys & 1U << ENTITLEMENT_KEY_SHARES)
        e->shares = change->values.shares;
    if (change->keys & 1U << ENTITLEMENT_KEY_MODE)
        e->mode = change->values.mode;
}

#define XML_MAX 256 /* three sizes, shares and mode, with their names */

char *entitlement_xml(const Entitlement *e)
{
    char xml[XML_MAX], size[UNITS_FORMAT_MAX];
    Text t = text_init(xml, sizeof(xml));

    text_add(&t, "<guest");
    for (unsigned i = 0; i < SIZES; i++)
        if (size_of(e, i) > 0)
            text_addf(&t, " %s='%s'", key_names[i], write_size(size, size_of(e, i)));
    if (e->shares > 0)
        text_addf(&t, " %s='%.0f'", key_names[ENTITLEMENT_KEY_SHARES], e->shares);
    if (e->mode != GUEST_MODE_INVALID)
        text_addf(&t, " %s='%s'", key_names[ENTITLEMENT_KEY_MODE], guest_mode_to_string(e->mode));
    text_add(&t, "/>");
    return strdup(xml);
}
