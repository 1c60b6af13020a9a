/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the parts of a snapshot that a policy looks back at and keeps: history and state. */

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/nearest.h"
#include "host-agent/ctl/snapshot-reader.h"
#include "host-agent/ctl/snapshot.h"

#define FIELDS_MAX FIELD_SET_MAX

static const FieldSet all_fields = {.words = {UINT64_MAX, UINT64_MAX}};

static const FieldInfo *info_of(bool host, int f)
{
    return host ? host_field_info((HostField) f) : guest_field_info((GuestField) f);
}

static int n_fields(bool host)
{
    return host ? (int) HOST_FIELD_MAX : (int) GUEST_FIELD_MAX;
}

FieldUnit reader_field_unit(bool host, int f)
{
    return info_of(host, f)->unit;
}

int reader_find_field(bool host, const char *key)
{
    char buf[SNAPSHOT_KEY_MAX];

    for (int f = 0; f < n_fields(host); f++)
        if (info_of(host, f)->unit != FIELD_UNIT_TEXT &&
            strcmp(snapshot_field_key(buf, info_of(host, f)), key) == 0)
            return f;
    return -1;
}

static int read_in_unit(Reader *r, const JsonPath *path, json_object *value, FieldUnit unit, double low,
                        double high, const char *range, double *ret)
{
    static const char *const wanted[FIELD_UNIT_MAX] = {
        [FIELD_UNIT_NUMBER] = "a number",
        [FIELD_UNIT_BYTES] = "a number of bytes",
        [FIELD_UNIT_RATE] = "a number of bytes per second",
        [FIELD_UNIT_DURATION] = "a number of microseconds",
    };
    char text[64];
    bool flag = false;
    int e;

    if (unit == FIELD_UNIT_BOOLEAN) {
        e = json_read_flag(r->error, path, value, &flag);
        if (e >= 0)
            *ret = flag;
        return e;
    }
    snprintf(text, sizeof(text), "%s%s", wanted[unit] ?: "a number", range);
    return json_read_number(r->error, path, value, low, high, text, ret);
}

int reader_stat(Reader *r, const JsonPath *path, json_object *value, FieldUnit unit, bool signed_,
                double *ret)
{
    if (unit == FIELD_UNIT_BYTES || unit == FIELD_UNIT_DURATION)
        return read_in_unit(r, path, value, unit, signed_ ? -JSON_COUNT_MAX : 0, JSON_COUNT_MAX,
                            signed_ ? " from -2^64 to 2^64" : " from 0 to 2^64", ret);
    return read_in_unit(r, path, value, unit, 0, DBL_MAX, ", 0 or more", ret);
}

int reader_refuse_key(Reader *r, const JsonPath *path, const char *key, bool host, FieldSet fields,
                      const char *const *keys, size_t n)
{
    char names[FIELDS_MAX][SNAPSHOT_KEY_MAX];
    Nearest near;

    nearest_init(&near, key, strlen(key));
    for (size_t i = 0; i < n; i++)
        nearest_offer(&near, keys[i]);
    for (int f = 0; f < n_fields(host); f++)
        if (field_set_has(&fields, f) && info_of(host, f)->unit != FIELD_UNIT_TEXT)
            nearest_offer(&near, snapshot_field_key(names[f], info_of(host, f)));
    if (near.best)
        return json_refuse(r->error, path, "unknown key \"%.48s\"; did you mean \"%s\"?", key, near.best);
    return json_refuse(r->error, path, "unknown key \"%.48s\"; ballast-snapshot(5) lists all", key);
}

static void add_value(SeriesSet *set, bool host, int field, usec_t at_usec, double value)
{
    GuestFields g = {};
    HostFields h = {};

    if (host) {
        host_fields_set(&h, (HostField) field, value);
        series_set_add_host(set, at_usec, &h);
    } else {
        guest_fields_set(&g, (GuestField) field, value);
        series_set_add_guest(set, at_usec, &g);
    }
}

/* [[age in seconds, value], …], the oldest first. */
static int read_series(Reader *r, const JsonPath *path, json_object *list, bool host, int field,
                       SeriesSet *set)
{
    usec_t now = r->file->snapshot.now_usec;
    double oldest = (double) now / USEC_PER_SEC;
    int e = json_read_list(r->error, path, list, "a list of [age in seconds, value]");

    for (size_t i = 0; e >= 0 && i < json_object_array_length(list); i++) {
        json_object *pair = json_object_array_get_idx(list, i);
        const JsonPath at = {.up = path, .index = i};
        double age = 0, value = 0;

        e = json_read_list(r->error, &at, pair, "[age in seconds, value]");
        if (e >= 0 && json_object_array_length(pair) != 2)
            return json_mismatch(r->error, &at, "[age in seconds, value]", pair);
        if (e >= 0)
            e = json_read_number(
                r->error, &at, json_object_array_get_idx(pair, 0), 0, oldest,
                "an age in seconds: from the oldest to the newest, none above the host's uptime", &age);
        if (e >= 0)
            e = json_read_number(r->error, &at, json_object_array_get_idx(pair, 1), -DBL_MAX, DBL_MAX,
                                 "a number", &value);
        if (e < 0)
            break;
        oldest = age;
        if (series_set_find(set, field))
            add_value(set, host, field, now - MIN((usec_t) llround(age * USEC_PER_SEC), now), value);
    }
    return e;
}

int reader_history(Reader *r, const JsonPath *parent, json_object *object, bool host, SeriesSet *set)
{
    const JsonPath path = {.up = parent, .key = "history"};
    int e = json_read_object(r->error, &path, object);

    if (e < 0)
        return e;
    json_object_object_foreach(object, key, list)
    {
        const JsonPath at = {.up = &path, .key = key};
        int f = reader_find_field(host, key);

        if (f < 0)
            return reader_refuse_key(r, &path, key, host, all_fields, NULL, 0);
        e = read_series(r, &at, list, host, f, set);
        if (e < 0)
            return e;
    }
    return 0;
}

/* Whether a state's key names a file of the policy. */
static bool names_file(const Policy *policy, const char *key)
{
    for (size_t i = 0; i < policy_n_files(policy); i++) {
        const char *name = policy_file(policy, i).name;

        if (strncmp(key, name, strlen(name)) == 0 && key[strlen(name)] == ':')
            return true;
    }
    return false;
}

/* A dump may be used with another policy, or a later version. Variables of other files are ignored
 * silently. */
static int warn_state(Reader *r, const char *key, const PolicyState *states, size_t n)
{
    _cleanup_free_ char(*keys)[SNAPSHOT_STATE_KEY_MAX] = NULL;
    Nearest near;

    if (!names_file(r->policy, key))
        return 0;
    keys = calloc(n + 1, sizeof(*keys));
    if (!keys)
        return -ENOMEM;
    nearest_init(&near, key, strlen(key));
    for (size_t i = 0; i < n; i++)
        nearest_offer(&near, snapshot_state_key(keys[i], states[i].file, states[i].name));
    fprintf(r->warnings, "the policy has no state variable \"%.*s\"%s%s%s; ignored\n", 64, key,
            near.best ? " (did you mean \"" : "", near.best ?: "", near.best ? "\"?)" : "");
    return 0;
}

int reader_state(Reader *r, const JsonPath *parent, json_object *object, bool host, double *values)
{
    const JsonPath path = {.up = parent, .key = "state"};
    char own[SNAPSHOT_STATE_KEY_MAX];
    const PolicyState *states;
    size_t n;
    int e;

    e = json_read_object(r->error, &path, object);
    if (e < 0)
        return e;
    states = policy_states(r->policy, host, &n);
    json_object_object_foreach(object, key, value)
    {
        const JsonPath at = {.up = &path, .key = key};
        size_t i = 0;

        while (i < n && strcmp(snapshot_state_key(own, states[i].file, states[i].name), key) != 0)
            i++;
        e = i < n ? read_in_unit(r, &at, value, states[i].unit, -DBL_MAX, DBL_MAX, "", &values[i])
                  : warn_state(r, key, states, n);
        if (e < 0)
            return e;
    }
    return 0;
}
