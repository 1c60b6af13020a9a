/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The stats and controls of fields.def as C. Values are doubles: bytes are exact up to 2^53 (8 PiB),
 * durations are microseconds, booleans 0 or 1. Only guests have texts, which are borrowed. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/field-set.h"

typedef enum FieldUnit {
    FIELD_UNIT_NUMBER,
    FIELD_UNIT_BYTES,
    FIELD_UNIT_RATE, /* bytes per second: of the host only, and a rate() of bytes */
    FIELD_UNIT_DURATION,
    FIELD_UNIT_BOOLEAN,
    FIELD_UNIT_TEXT,
    FIELD_UNIT_MAX,
    FIELD_UNIT_INVALID = -EINVAL,
} FieldUnit;

typedef enum FieldKind { FIELD_KIND_GAUGE, FIELD_KIND_COUNTER, FIELD_KIND_CONTROL } FieldKind;

typedef enum HostField {
#define HOST(ID, name, unit, kind, help) HOST_FIELD_##ID,
#define GUEST(ID, name, unit, kind, help)
#include "policy/fields.def"
#undef HOST
#undef GUEST
    HOST_FIELD_MAX,
    HOST_FIELD_INVALID = -EINVAL,
} HostField;

typedef enum GuestField {
#define HOST(ID, name, unit, kind, help)
#define GUEST(ID, name, unit, kind, help) GUEST_FIELD_##ID,
#include "policy/fields.def"
#undef HOST
#undef GUEST
    GUEST_FIELD_MAX,
    GUEST_FIELD_INVALID = -EINVAL,
} GuestField;

/* Text fields; they come first in fields.def. */
enum {
#define HOST(ID, name, unit, kind, help)
#define GUEST(ID, name, unit, kind, help) _GUEST_TEXTS_##ID = FIELD_UNIT_##unit == FIELD_UNIT_TEXT,
#include "policy/fields.def"
#undef HOST
#undef GUEST
    GUEST_TEXTS_MAX = 0
#define HOST(ID, name, unit, kind, help)
#define GUEST(ID, name, unit, kind, help) +_GUEST_TEXTS_##ID
#include "policy/fields.def"
#undef HOST
#undef GUEST
};

/* Guests' controls, in the order of fields.def. */
typedef enum GuestControl {
#define GUEST_CONTROL_OF_GAUGE(ID)
#define GUEST_CONTROL_OF_COUNTER(ID)
#define GUEST_CONTROL_OF_CONTROL(ID) GUEST_CONTROL_##ID,
#define HOST(ID, name, unit, kind, help)
#define GUEST(ID, name, unit, kind, help) GUEST_CONTROL_OF_##kind(ID)
#include "policy/fields.def"
#undef HOST
#undef GUEST
#undef GUEST_CONTROL_OF_GAUGE
#undef GUEST_CONTROL_OF_COUNTER
#undef GUEST_CONTROL_OF_CONTROL
    GUEST_CONTROL_MAX,
    GUEST_CONTROL_INVALID = -EINVAL,
} GuestControl;

/* The control that a field is. Controls come right after the texts, without a gap. */
static inline GuestControl guest_control_of(int field)
{
    return (GuestControl) (field - (int) GUEST_TEXTS_MAX);
}

/* The values of the fields that are present. */
typedef struct HostFields {
    FieldSet present;
    double value[HOST_FIELD_MAX];
} HostFields;

typedef struct GuestFields {
    FieldSet present;
    double value[GUEST_FIELD_MAX];
    const char *text[GUEST_TEXTS_MAX]; /* of the text fields, which come first and have no value */
} GuestFields;

_Static_assert((int) HOST_FIELD_MAX <= FIELD_SET_MAX && (int) GUEST_FIELD_MAX <= FIELD_SET_MAX,
               "a set holds all fields");

typedef struct FieldInfo {
    const char *name;
    FieldUnit unit;
    FieldKind kind;
    const char *help;
} FieldInfo;

const FieldInfo *host_field_info(HostField f);
const FieldInfo *guest_field_info(GuestField f);
const char *field_unit_to_string(FieldUnit u);

static inline bool host_fields_has(const HostFields *h, HostField f)
{
    return field_set_has(&h->present, f);
}

static inline void host_fields_set(HostFields *h, HostField f, double value)
{
    field_set_add(&h->present, f);
    h->value[f] = value;
}

/* The value, or 0 if it is missing. */
static inline double host_fields_get(const HostFields *h, HostField f)
{
    return host_fields_has(h, f) ? h->value[f] : 0;
}

static inline bool guest_fields_has(const GuestFields *g, GuestField f)
{
    return field_set_has(&g->present, f);
}

static inline void guest_fields_set(GuestFields *g, GuestField f, double value)
{
    field_set_add(&g->present, f);
    g->value[f] = value;
}

static inline double guest_fields_get(const GuestFields *g, GuestField f)
{
    return guest_fields_has(g, f) ? g->value[f] : 0;
}

/* text is borrowed; NULL: it is missing. */
static inline void guest_fields_set_text(GuestFields *g, GuestField f, const char *text)
{
    if (!text || (int) f >= (int) GUEST_TEXTS_MAX)
        return;
    field_set_add(&g->present, f);
    g->text[f] = text;
}

static inline const char *guest_fields_text(const GuestFields *g, GuestField f)
{
    return (int) f < (int) GUEST_TEXTS_MAX && guest_fields_has(g, f) ? g->text[f] : NULL;
}
