/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of stats and controls, from fields.def. */

#include "policy/fields.h"

#include <assert.h>
#include <stddef.h>

#define FIELD(ID, name, unit, kind, help) {#name, FIELD_UNIT_##unit, FIELD_KIND_##kind, help},

static const FieldInfo host_fields[HOST_FIELD_MAX] = {
#define HOST(...) FIELD(__VA_ARGS__)
#define GUEST(...)
#include "policy/fields.def"
#undef HOST
#undef GUEST
};

static const FieldInfo guest_fields[GUEST_FIELD_MAX] = {
#define HOST(...)
#define GUEST(...) FIELD(__VA_ARGS__)
#include "policy/fields.def"
#undef HOST
#undef GUEST
};

/* guest_control_of() finds each. */
#define PLACE_OF_GAUGE(ID)
#define PLACE_OF_COUNTER(ID)
#define PLACE_OF_CONTROL(ID)                                                       \
    _Static_assert((int) GUEST_FIELD_##ID == GUEST_TEXTS_MAX + GUEST_CONTROL_##ID, \
                   "guests' controls come right after the texts");
#define HOST(...)
#define GUEST(ID, name, unit, kind, help) PLACE_OF_##kind(ID)
#include "policy/fields.def"
#undef HOST
#undef GUEST

const FieldInfo *host_field_info(HostField f)
{
    assert(f >= 0 && f < HOST_FIELD_MAX);
    return &host_fields[f];
}

const FieldInfo *guest_field_info(GuestField f)
{
    assert(f >= 0 && f < GUEST_FIELD_MAX);
    return &guest_fields[f];
}

const char *field_unit_to_string(FieldUnit u)
{
    static const char *const names[FIELD_UNIT_MAX] = {
        [FIELD_UNIT_NUMBER] = "number",         [FIELD_UNIT_BYTES] = "bytes",
        [FIELD_UNIT_RATE] = "bytes per second", [FIELD_UNIT_DURATION] = "duration",
        [FIELD_UNIT_BOOLEAN] = "boolean",       [FIELD_UNIT_TEXT] = "text",
    };

    return u >= 0 && u < FIELD_UNIT_MAX ? names[u] : NULL;
}
