/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an administrator grants a guest: in the domain's metadata (ENTITLEMENT_URI), so that it goes where the
 * domain goes, with what the configuration says for guests of that name beneath it. Pure. */

#include "host-agent/decide/snapshot.h"

#define ENTITLEMENT_URI        "urn:ballast:guest:1"
#define ENTITLEMENT_KEY        "ballast" /* the prefix that libvirt gives the element */
#define ENTITLEMENT_SHARES     1000.0    /* where nothing is said */
#define ENTITLEMENT_SHARES_MIN 1.0
#define ENTITLEMENT_SHARES_MAX 1e6
/* Less is no size that a guest works in but a unit left out, or libvirt's KiB; more is no size of memory. */
#define ENTITLEMENT_BYTES_MIN  (UINT64_C(16) << 20)
#define ENTITLEMENT_BYTES_MAX  (UINT64_C(1) << 52)

/* 0 (mode: GUEST_MODE_INVALID) where nothing is said. */
typedef struct Entitlement {
    uint64_t min_bytes;    /* its floor */
    uint64_t full_bytes;   /* what it has when nothing is taken from it */
    uint64_t growth_bytes; /* up to where it may grow above full while it needs it; never above its maximum */
    double shares;         /* beside those of others: a count, ENTITLEMENT_SHARES_MIN … _MAX */
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

/* Takes one value as text: sizes as base/units.h reads them ("1GiB"; plain numbers are bytes), shares a whole
 * number, mode auto, observe or off. "" takes the key back. -EINVAL or -ERANGE: why, which begins with the
 * key's name, says what is wrong with it and what it takes; then nothing changed. */
int entitlement_set(Entitlement *e, EntitlementKey key, const char *text,
                    char why[static ENTITLEMENT_WHY_MAX]);
/* Whether what is said agrees with itself and with the domain's maximum (0: not known): min ≤ full ≤ max ≤
 * maximum, as far as they are said. 0, or -ERANGE and why. */
int entitlement_check(const Entitlement *e, uint64_t maximum_bytes, char why[static ENTITLEMENT_WHY_MAX]);
/* Each of above's values that is said, else below's. Where the two together don't agree, above's win and what
 * contradicts them of below's is dropped. */
Entitlement entitlement_over(const Entitlement *above, const Entitlement *below);
/* What an administrator changes: to those of values whose bit, 1 << EntitlementKey, is in keys; the others
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
/* The metadata element, e.g. <guest min='1GiB' shares='2000'/>; the caller frees it. NULL on no memory. */
char *entitlement_xml(const Entitlement *e);
