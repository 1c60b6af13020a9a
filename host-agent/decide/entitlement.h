/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an administrator entitles a guest to. The values are in the domain's metadata (ENTITLEMENT_URI), so
 * that they go where the domain goes; the configuration has values for guests by name, which count where the
 * metadata has none. Pure. */

#include "host-agent/decide/snapshot.h"

#define ENTITLEMENT_URI        "urn:ballast:guest:1"
#define ENTITLEMENT_KEY        "ballast" /* the prefix that libvirt gives the element */
#define ENTITLEMENT_SHARES     1000.0    /* without a value */
#define ENTITLEMENT_SHARES_MIN 1.0
#define ENTITLEMENT_SHARES_MAX 1e6
/* A smaller size is a forgotten unit, or libvirt's KiB: no guest works in it. No machine has a larger one. */
#define ENTITLEMENT_BYTES_MIN  (UINT64_C(16) << 20)
#define ENTITLEMENT_BYTES_MAX  (UINT64_C(1) << 52)

/* 0 (mode: GUEST_MODE_INVALID) is a value that is not set. */
typedef struct Entitlement {
    uint64_t min_bytes;    /* its floor */
    uint64_t full_bytes;   /* its size when nothing is taken from it */
    uint64_t growth_bytes; /* up to this it may grow above full in distress; never above its maximum */
    double shares;         /* its weight against other guests: a count, ENTITLEMENT_SHARES_MIN … _MAX */
    GuestMode mode;
} Entitlement;

#define ENTITLEMENT_NONE ((Entitlement){.mode = GUEST_MODE_INVALID})

typedef enum EntitlementKey {
    ENTITLEMENT_KEY_MIN,    /* "min" */
    ENTITLEMENT_KEY_FULL,   /* "full" */
    ENTITLEMENT_KEY_GROWTH, /* "max" */
    ENTITLEMENT_KEY_SHARES, /* "shares" */
    ENTITLEMENT_KEY_MODE,   /* "mode" */
    ENTITLEMENT_KEY_MAX_,
    ENTITLEMENT_KEY_INVALID = -EINVAL,
} EntitlementKey;

const char *entitlement_key_to_string(EntitlementKey k);
EntitlementKey entitlement_key_from_string(const char *s);

#define ENTITLEMENT_WHY_MAX 256

/* Sets one value from text: sizes as base/units.h reads them ("1GiB"), shares a whole number, mode auto, observe
 * or off. "" removes the value. On -EINVAL, -ENOTUNIQ (a size without a unit) or -ERANGE nothing changed, and why,
 * which begins with the key's name, says what is wrong and which values are valid. */
int entitlement_set(Entitlement *e, EntitlementKey key, const char *text,
                    char why[static ENTITLEMENT_WHY_MAX]);
/* Checks that the values that are set agree with each other and with the domain's maximum (0: not known): min
 * ≤ full ≤ max ≤ maximum. Returns 0, or -ERANGE and why. */
int entitlement_check(const Entitlement *e, uint64_t maximum_bytes, char why[static ENTITLEMENT_WHY_MAX]);
/* Each value of above that is set, else below's. A value of below that contradicts one of above is
 * dropped. */
Entitlement entitlement_over(const Entitlement *above, const Entitlement *below);
/* A change by an administrator: sets those of values whose bit, 1 << EntitlementKey, is in keys; the others
 * stay. */
typedef struct EntitlementChange {
    Entitlement values;
    unsigned keys;
} EntitlementChange;

void entitlement_change(Entitlement *e, const EntitlementChange *change);
static inline bool entitlement_is_none(const Entitlement *e)
{
    return e->min_bytes == 0 && e->full_bytes == 0 && e->growth_bytes == 0 && e->shares == 0 &&
           e->mode == GUEST_MODE_INVALID;
}
/* The metadata element, e.g. <guest min='1GiB' shares='2000'/>; the caller frees it. NULL without memory. */
char *entitlement_xml(const Entitlement *e);
