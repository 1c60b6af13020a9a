/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's answers as json-c objects. Tables are printed from these too, so that people and programs see
 * the same. */

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "base/macro.h"

/* Reads the one value of a message: a{sv} becomes an object, every other array an array. Returns 0, -ENODATA
 * without a value, or -errno. The caller puts *ret. */
int json_from_message(sd_bus_message *m, json_object **ret);

/* Gives each of n keys that is missing null. 0 or -ENOMEM. */
int json_complete(json_object *o, const char *const *keys, size_t n);
/* The daemon leaves out unknown values. Here each known key without a value gets null, so that programs find
 * it; known keys come first, in their order. */
int json_complete_guest(json_object **guest);
int json_complete_status(json_object *status);
/* What SetGuest changed: "old" and "new" of each value, null where it wasn't set or isn't any more. */
int json_complete_change(json_object *answer);
/* A guest's name, UUID and shut_off, and its complete entitlement, from GetGuest's answer. The caller puts *ret. */
int json_entitlement(json_object *guest, json_object **ret);

/* A number in just enough digits to be exact. */
json_object *json_new_real(double value);
/* Prints it on standard output. 0 or -ENOMEM. */
int json_print(json_object *o);
/* Adds a value, whose reference is taken in any case. 0 or -ENOMEM. */
int json_add(json_object *dict, const char *key, json_object *value);

/* Look up a key; a dot leads into an object. A missing key and null give NULL, 0 or false. */
json_object *json_find(json_object *o, const char *path);
const char *json_text(json_object *o, const char *path);
uint64_t json_count(json_object *o, const char *path);
double json_real(json_object *o, const char *path);
bool json_flag(json_object *o, const char *path);

static inline void json_putp(json_object **o)
{
    if (*o)
        json_object_put(*o);
}
