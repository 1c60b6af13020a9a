/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns the daemon's answers into json-c objects. */

#include <errno.h>
#include <string.h>

#include "host-agent/ctl/json.h"

#define KEY_MAX 64U

/* In the order in which they are printed. */
static const char *const guest_keys[] = {
    "name",
    "uuid",
    "shut_off",
    "mode",
    "source",
    "age_usec",
    "maximum_bytes",
    "full_bytes",
    "current_bytes",
    "target_bytes",
    "floor_bytes",
    "reclaim_bytes",
    "available_bytes",
    "free_bytes",
    "cache_bytes",
    "swap_in_bytes",
    "swap_out_bytes",
    "rss_bytes",
    "resident_bytes",
    "idle_bytes",
    "cold_bytes",
    "lever",
    "lever_age_usec",
    "agent_version",
    "nodes",
    "busy",
    "unmovable",
    "distress",
    "hurting",
    "protected",
    "moving",
    "stalled",
    "rule",
    "reason",
};

#define SUFFIX_BYTES    "_bytes"
#define SUFFIX_RATE     "_bytes_per_sec"
#define SUFFIX_DURATION "_usec"
#define SUFFIX_NUMBER   ""
#define SUFFIX_BOOLEAN  ""

/* The host as a policy sees it, and values calculated from that. */
static const char *const host_keys[] = {
#define HOST(ID, name, unit, kind, help) #name SUFFIX_##unit,
#define GUEST(ID, name, unit, kind, help)
#include "policy/fields.def"
#undef HOST
#undef GUEST
    "pressure",
    "shortfall_bytes",
    "pressure_threshold_bytes",
    "critical_threshold_bytes",
    "relax_threshold_bytes",
};

static const char *const entitlement_keys[] = {
    "min_bytes", "min_set_bytes", "min_origin",  "full_bytes", "full_set_bytes", "full_origin",
    "max_bytes", "max_set_bytes", "max_origin",  "shares",     "shares_set",     "shares_origin",
    "mode",      "mode_set",      "mode_origin", "problem",
};

static int read_value(sd_bus_message *m, json_object **ret);

int json_add(json_object *dict, const char *key, json_object *value)
{
    if (json_object_object_add(dict, key, value) >= 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

int json_print(json_object *o)
{
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                             JSON_C_TO_STRING_NOSLASHESCAPE);

    if (!text)
        return -ENOMEM;
    puts(text);
    return 0;
}

static int read_dict(sd_bus_message *m, json_object **ret)
{
    _cleanup_(json_putp) json_object *dict = json_object_new_object();
    int r;

    if (!dict)
        return -ENOMEM;
    r = sd_bus_message_enter_container(m, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        json_object *value = NULL;
        const char *key;

        r = sd_bus_message_read_basic(m, 's', &key);
        if (r >= 0)
            r = read_value(m, &value);
        if (r >= 0)
            r = json_add(dict, key, value);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(dict);
    return 0;
}

static int read_array(sd_bus_message *m, const char *contents, json_object **ret)
{
    _cleanup_(json_putp) json_object *array = json_object_new_array();
    int r;

    if (!array)
        return -ENOMEM;
    r = sd_bus_message_enter_container(m, 'a', contents);
    while (r >= 0 && (r = sd_bus_message_at_end(m, 0)) == 0) {
        json_object *value = NULL;

        r = read_value(m, &value);
        if (r >= 0 && json_object_array_add(array, value) < 0) {
            json_object_put(value);
            r = -ENOMEM;
        }
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(array);
    return 0;
}

json_object *json_new_real(double value)
{
    char text[32];

    /* Just enough digits to read the same number back: 0.1, not 0.10000000000000001. */
    snprintf(text, sizeof(text), "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof(text), "%.17g", value);
    return json_object_new_double_s(value, text);
}

static int read_basic(sd_bus_message *m, char type, json_object **ret)
{
    union {
        const char *s;
        int b;
        uint32_t u;
        int32_t i;
        uint64_t t;
        int64_t x;
        double d;
    } v;
    int r;

    if (!strchr("sobuitxd", type))
        return -EBADMSG;
    r = sd_bus_message_read_basic(m, type, &v);
    if (r < 0)
        return r;
    *ret = type == 's' || type == 'o' ? json_object_new_string(v.s)
           : type == 'b'              ? json_object_new_boolean(v.b)
           : type == 'u'              ? json_object_new_uint64(v.u)
           : type == 'i'              ? json_object_new_int(v.i)
           : type == 't'              ? json_object_new_uint64(v.t)
           : type == 'x'              ? json_object_new_int64(v.x)
                                      : json_new_real(v.d);
    return *ret ? 0 : -ENOMEM;
}

/* D-Bus allows 64 levels, which bounds the recursion. */
static int read_value(sd_bus_message *m, json_object **ret)
{
    const char *contents;
    char type;
    int r;

    r = sd_bus_message_peek_type(m, &type, &contents);
    if (r < 0)
        return r;
    if (r == 0)
        return -ENODATA;
    if (type == 'v') {
        r = sd_bus_message_enter_container(m, 'v', contents);
        if (r >= 0)
            r = read_value(m, ret);
        return r < 0 ? r : sd_bus_message_exit_container(m);
    }
    if (type == 'a')
        return strcmp(contents, "{sv}") == 0 ? read_dict(m, ret) : read_array(m, contents, ret);
    return read_basic(m, type, ret);
}

int json_from_message(sd_bus_message *m, json_object **ret)
{
    return read_value(m, ret);
}

int json_complete(json_object *o, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!json_object_object_get_ex(o, keys[i], NULL) && json_add(o, keys[i], NULL) < 0)
            return -ENOMEM;
    return 0;
}

int json_complete_guest(json_object **guest)
{
    _cleanup_(json_putp) json_object *o = json_object_new_object();

    if (!o)
        return -ENOMEM;
    for (size_t i = 0; i < ELEMENTSOF(guest_keys); i++) {
        if (json_add(o, guest_keys[i], json_object_get(json_object_object_get(*guest, guest_keys[i]))) < 0)
            return -ENOMEM;
    }
    json_object_object_foreach(*guest, key, rest)
    {
        if (!json_object_object_get_ex(o, key, NULL) && json_add(o, key, json_object_get(rest)) < 0)
            return -ENOMEM;
    }
    json_object_put(*guest);
    *guest = TAKE_PTR(o);
    return 0;
}

int json_complete_change(json_object *answer)
{
    static const char *const keys[] = {"old", "new"};
    json_object *changed = json_find(answer, "changed");
    int r = 0;

    if (!changed)
        return 0;
    json_object_object_foreach(changed, key, values)
    {
        (void) key;
        if (r >= 0)
            r = json_complete(values, keys, ELEMENTSOF(keys));
    }
    return r;
}

int json_entitlement(json_object *guest, json_object **ret)
{
    _cleanup_(json_putp) json_object *o = json_object_new_object();
    json_object *e = json_find(guest, "entitlement");

    if (!o)
        return -ENOMEM;
    for (size_t i = 0; i < 3; i++) /* name, uuid, shut_off */
        if (json_add(o, guest_keys[i], json_object_get(json_find(guest, guest_keys[i]))) < 0)
            return -ENOMEM;
    for (size_t i = 0; i < ELEMENTSOF(entitlement_keys); i++)
        if (json_add(o, entitlement_keys[i], json_object_get(json_find(e, entitlement_keys[i]))) < 0)
            return -ENOMEM;
    *ret = TAKE_PTR(o);
    return 0;
}

int json_complete_status(json_object *status)
{
    static const char *const file = "file", *const config_keys[] = {"file", "refused", "refused_age_usec"};
    json_object *host = json_find(status, "host"), *config = json_find(status, "config"),
                *policy = json_find(status, "policy");
    int r = 0;

    if (host)
        r = json_complete(host, host_keys, ELEMENTSOF(host_keys));
    if (r >= 0 && config)
        r = json_complete(config, config_keys, ELEMENTSOF(config_keys));
    if (r >= 0 && policy)
        r = json_complete(policy, &file, 1);
    return r;
}

json_object *json_find(json_object *o, const char *path)
{
    char key[KEY_MAX];

    while (o && path[0]) {
        size_t length = strcspn(path, ".");

        if (length >= sizeof(key) || !json_object_is_type(o, json_type_object))
            return NULL;
        memcpy(key, path, length);
        key[length] = '\0';
        o = json_object_object_get(o, key);
        path += length + (path[length] == '.');
    }
    return o;
}

const char *json_text(json_object *o, const char *path)
{
    o = json_find(o, path);
    return json_object_is_type(o, json_type_string) ? json_object_get_string(o) : NULL;
}

uint64_t json_count(json_object *o, const char *path)
{
    return json_object_get_uint64(json_find(o, path));
}

double json_real(json_object *o, const char *path)
{
    return json_object_get_double(json_find(o, path));
}

bool json_flag(json_object *o, const char *path)
{
    return json_object_get_boolean(json_find(o, path));
}
