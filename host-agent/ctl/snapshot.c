/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads a snapshot from JSON. */

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/ctl/snapshot-reader.h"
#include "host-agent/ctl/snapshot.h"
#include "host-agent/decide/bytes.h"
#include "host-agent/decide/view.h"

/* Default uptimes: host and guests have been up for long. */
#define UPTIME_DEFAULT_USEC (24 * 3600 * USEC_PER_SEC)
#define FLOOR_DEFAULT_RATIO 0.25 /* as [Guard] Floor= */

typedef enum ValueType {
    TYPE_TEXT,
    TYPE_MODE,
    TYPE_SOURCE,
    TYPE_NODES,
    TYPE_FLAG,
    TYPE_BYTES,
    TYPE_USEC,
    TYPE_RATIO,
    TYPE_REAL,
} ValueType;

typedef struct Member {
    const char *key;
    ValueType type;
    size_t offset;
} Member;

static const Member guest_members[] = {
#define SNAPSHOT_GUEST(key, type, member) {key, TYPE_##type, offsetof(SnapshotGuest, member)},
#define SNAPSHOT_GUARD(key, type, member)
#include "host-agent/decide/snapshot.def"
#undef SNAPSHOT_GUEST
#undef SNAPSHOT_GUARD
};

static const Member guard_members[] = {
#define SNAPSHOT_GUEST(key, type, member)
#define SNAPSHOT_GUARD(key, type, member) {key, TYPE_##type, offsetof(GuardConfig, member)},
#include "host-agent/decide/snapshot.def"
#undef SNAPSHOT_GUEST
#undef SNAPSHOT_GUARD
};

static const char *const top_keys[] = {"mode",  "host",        "guests",          "guard",
                                       "nodes", "node_states", "guests_left_out", "history_left_out"};
static const char *const host_keys[] = {"uptime_usec", "history", "state"};
static const char *const guest_keys[] = {
    "name",
    "uuid",
    "history",
    "state",
#define SNAPSHOT_GUEST(key, type, member) key,
#define SNAPSHOT_GUARD(key, type, member)
#include "host-agent/decide/snapshot.def"
#undef SNAPSHOT_GUEST
#undef SNAPSHOT_GUARD
};
static const char *const guard_keys[] = {
#define SNAPSHOT_GUEST(key, type, member)
#define SNAPSHOT_GUARD(key, type, member) key,
#include "host-agent/decide/snapshot.def"
#undef SNAPSHOT_GUEST
#undef SNAPSHOT_GUARD
};

static const char *const bytes_wanted = "a number of bytes from 0 to 2^64",
                         *const usec_wanted = "a number of microseconds from 0 to 2^64",
                         *const number_wanted = "a number, 0 or more";

/* ---- Values ---- */

static int read_mode(Reader *r, const JsonPath *path, json_object *value, GuestMode *ret)
{
    GuestMode mode = json_object_is_type(value, json_type_string)
                         ? guest_mode_from_string(json_object_get_string(value))
                         : GUEST_MODE_INVALID;

    if (mode == GUEST_MODE_INVALID)
        return json_mismatch(r->error, path, "\"auto\", \"observe\" or \"off\"", value);
    *ret = mode;
    return 0;
}

static int read_source(Reader *r, const JsonPath *path, json_object *value, GuestSource *ret)
{
    GuestSource source = json_object_is_type(value, json_type_string)
                             ? guest_source_from_string(json_object_get_string(value))
                             : GUEST_SOURCE_INVALID;

    if (source == GUEST_SOURCE_INVALID)
        return json_mismatch(r->error, path, "\"agent\", \"libvirt\" or \"none\"", value);
    *ret = source;
    return 0;
}

static int read_member(Reader *r, const JsonPath *path, json_object *value, const Member *m, void *object)
{
    void *to = (char *) object + m->offset;

    switch (m->type) {
    case TYPE_TEXT:
        return json_read_text(r->error, path, value, to);
    case TYPE_MODE:
        return read_mode(r, path, value, to);
    case TYPE_SOURCE:
        return read_source(r, path, value, to);
    case TYPE_NODES:
        return reader_node_set(r, path, value, to);
    case TYPE_FLAG:
        return json_read_flag(r->error, path, value, to);
    case TYPE_BYTES:
        return json_read_count(r->error, path, value, bytes_wanted, to);
    case TYPE_USEC:
        return json_read_count(r->error, path, value, usec_wanted, to);
    case TYPE_RATIO:
        return json_read_number(r->error, path, value, 0, 1, "a number from 0 to 1", to);
    case TYPE_REAL:
        return json_read_number(r->error, path, value, 0, DBL_MAX, number_wanted, to);
    }
    return -EINVAL;
}

static const Member *find_member(const Member *members, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(members[i].key, key) == 0)
            return &members[i];
    return NULL;
}

static bool is_given(bool host, int f)
{
    FieldSet held = view_snapshot_fields(host);

    return field_set_has(&held, f);
}

/* ---- The host ---- */

static const JsonPath host_path = {.key = "host"};

static int read_host_key(Reader *r, const char *key, json_object *value)
{
    const JsonPath path = {.up = &host_path, .key = key};
    Snapshot *s = &r->file->snapshot;
    double number;
    int f, e;

    if (strcmp(key, "history") == 0)
        return reader_history(r, &host_path, value, true, &r->file->host_keep->history);
    if (strcmp(key, "state") == 0)
        return reader_state(r, &host_path, value, true, r->file->host_keep->state);
    if (strcmp(key, "uptime_usec") == 0)
        return 0; /* read before */
    f = reader_find_field(true, key);
    if (f < 0 || !is_given(true, f))
        return reader_refuse_key(r, &host_path, key, true, view_snapshot_fields(true), host_keys,
                                 ELEMENTSOF(host_keys));
    e = reader_stat(r, &path, value, reader_field_unit(true, f), f == HOST_FIELD_KSM_PROFIT, &number);
    if (e >= 0)
        host_fields_set(&s->host, (HostField) f, number);
    return e;
}

/* More available than there is: a mistyped value. name: of a guest; NULL for the host. */
static int refuse_available(Reader *r, const JsonPath *path, const char *name, double available, double total)
{
    if (available <= total)
        return 0;
    return json_refuse(r->error, path, "%s%savailable_bytes (%.0f) is more than total_bytes (%.0f)",
                       name ? name : "", name ? ": " : "", available, total);
}

/* Fills in values that follow from the others. A snapshot by the daemon has all of them already. */
static void complete_host(HostFields *h)
{
    if (!host_fields_has(h, HOST_FIELD_SWAP_USED) && host_fields_has(h, HOST_FIELD_SWAP_TOTAL) &&
        host_fields_has(h, HOST_FIELD_SWAP_FREE))
        host_fields_set(
            h, HOST_FIELD_SWAP_USED,
            fmax(0, host_fields_get(h, HOST_FIELD_SWAP_TOTAL) - host_fields_get(h, HOST_FIELD_SWAP_FREE)));
}

static int read_host(Reader *r, json_object *host)
{
    const JsonPath uptime_path = {.up = &host_path, .key = "uptime_usec"};
    Snapshot *s = &r->file->snapshot;
    json_object *uptime;
    double usec = 0;
    int e;

    if (!host)
        return json_refuse(r->error, &host_path, "is missing; it needs total_bytes and available_bytes");
    e = json_read_object(r->error, &host_path, host);
    /* Must come before the history, whose entries are given by age. */
    if (e >= 0 && json_object_object_get_ex(host, "uptime_usec", &uptime)) {
        e = json_read_number(r->error, &uptime_path, uptime, 0, JSON_NUMBER_MAX,
                             "a number of microseconds from 0 to 2^53", &usec);
        s->now_usec = (usec_t) llround(usec);
    }
    if (e < 0)
        return e;
    json_object_object_foreach(host, key, value)
    {
        e = read_host_key(r, key, value);
        if (e < 0)
            return e;
    }
    if (!host_fields_has(&s->host, HOST_FIELD_TOTAL) || !host_fields_has(&s->host, HOST_FIELD_AVAILABLE))
        return json_refuse(r->error, &host_path, "%s is missing",
                           host_fields_has(&s->host, HOST_FIELD_TOTAL) ? "available_bytes" : "total_bytes");
    complete_host(&s->host);
    return refuse_available(r, &host_path, NULL, host_fields_get(&s->host, HOST_FIELD_AVAILABLE),
                            host_fields_get(&s->host, HOST_FIELD_TOTAL));
}

/* ---- Guests ---- */

static int read_guest_key(Reader *r, const JsonPath *parent, const char *key, json_object *value,
                          size_t guest)
{
    SnapshotGuest *g = &r->file->snapshot.guests[guest];
    const Member *m = find_member(guest_members, ELEMENTSOF(guest_members), key);
    const JsonPath path = {.up = parent, .key = key};
    PolicyKeep *keep = &r->file->keeps[guest];
    double number;
    int f, e;

    if (m)
        return read_member(r, &path, value, m, g);
    if (strcmp(key, "name") == 0)
        return json_read_text(r->error, &path, value, &g->name);
    if (strcmp(key, "uuid") == 0)
        return json_read_text(r->error, &path, value, &g->uuid);
    if (strcmp(key, "history") == 0)
        return reader_history(r, parent, value, false, &keep->history);
    if (strcmp(key, "state") == 0)
        return reader_state(r, parent, value, false, keep->state);
    f = reader_find_field(false, key);
    if (f < 0 || !is_given(false, f))
        return reader_refuse_key(r, parent, key, false, view_snapshot_fields(false), guest_keys,
                                 ELEMENTSOF(guest_keys));
    e = reader_stat(r, &path, value, reader_field_unit(false, f), false, &number);
    if (e >= 0)
        guest_fields_set(&g->fields, (GuestField) f, number);
    return e;
}

static bool has(json_object *object, const char *key)
{
    return json_object_object_get_ex(object, key, NULL);
}

static void default_field(SnapshotGuest *g, GuestField f, GuestField from)
{
    if (!guest_fields_has(&g->fields, f) && guest_fields_has(&g->fields, from))
        guest_fields_set(&g->fields, f, guest_fields_get(&g->fields, from));
}

/* As complete_host(). */
static void complete_guest(SnapshotGuest *g, json_object *object)
{
    double available;

    if (!has(object, "current_bytes"))
        g->sizes.current_bytes = g->sizes.full_bytes;
    if (!has(object, "standing_bytes"))
        g->sizes.standing_bytes = g->sizes.current_bytes;
    if (!has(object, "maximum_bytes"))
        g->sizes.maximum_bytes = MAX(MAX(g->sizes.full_bytes, g->sizes.growth_bytes),
                                     MAX(g->sizes.current_bytes, g->sizes.standing_bytes));
    if (!has(object, "floor_bytes"))
        g->sizes.floor_bytes = guard_floor(g->sizes.full_bytes, FLOOR_DEFAULT_RATIO);
    if (!has(object, "age_usec") && g->source == GUEST_SOURCE_NONE)
        g->age_usec = USEC_INFINITY;

    if (!guest_fields_has(&g->fields, GUEST_FIELD_LOW_WATERMARK))
        guest_fields_set(&g->fields, GUEST_FIELD_LOW_WATERMARK, 0);
    default_field(g, GUEST_FIELD_AVAILABLE, GUEST_FIELD_FREE);
    default_field(g, GUEST_FIELD_IDLE, GUEST_FIELD_FREE);
    if (!guest_fields_has(&g->fields, GUEST_FIELD_SWAP_USED) &&
        guest_fields_has(&g->fields, GUEST_FIELD_SWAP_TOTAL) &&
        guest_fields_has(&g->fields, GUEST_FIELD_SWAP_FREE))
        guest_fields_set(&g->fields, GUEST_FIELD_SWAP_USED,
                         fmax(0, guest_fields_get(&g->fields, GUEST_FIELD_SWAP_TOTAL) -
                                     guest_fields_get(&g->fields, GUEST_FIELD_SWAP_FREE)));
    if (!guest_fields_has(&g->fields, GUEST_FIELD_USED) &&
        guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE)) {
        available = guest_fields_get(&g->fields, GUEST_FIELD_AVAILABLE);
        guest_fields_set(&g->fields, GUEST_FIELD_USED, fmax(0, (double) g->sizes.current_bytes - available));
    }
}

static int read_guest(Reader *r, const JsonPath *path, json_object *object, size_t guest)
{
    SnapshotFile *f = r->file;
    SnapshotGuest *g = &f->snapshot.guests[guest];
    char size[UNITS_FORMAT_MAX];
    int e;

    e = json_read_object(r->error, path, object);
    if (e < 0)
        return e;
    snprintf(f->uuids[guest], sizeof(f->uuids[guest]), "00000000-0000-0000-0000-%012x", (unsigned) guest + 1);
    *g = (SnapshotGuest){.uuid = f->uuids[guest],
                         .mode = GUEST_MODE_AUTO,
                         .source = GUEST_SOURCE_AGENT,
                         .uptime_usec = UPTIME_DEFAULT_USEC,
                         .history = &f->keeps[guest].history,
                         .state = f->keeps[guest].state};
    json_object_object_foreach(object, key, value)
    {
        e = read_guest_key(r, path, key, value, guest);
        if (e < 0)
            return e;
    }
    if (!g->name || !has(object, "full_bytes"))
        return json_refuse(r->error, path, "%s is missing", g->name ? "full_bytes" : "name");
    if (guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE) &&
        guest_fields_has(&g->fields, GUEST_FIELD_TOTAL)) {
        e = refuse_available(r, path, g->name, guest_fields_get(&g->fields, GUEST_FIELD_AVAILABLE),
                             guest_fields_get(&g->fields, GUEST_FIELD_TOTAL));
        if (e < 0)
            return e;
    }
    complete_guest(g, object);
    if (g->judgement.distress && guard_contradicts_distress(g)) {
        g->judgement.distress = false;
        fprintf(r->warnings, "%s isn't in distress: it has %s free\n", g->name,
                format_size(size, bytes_from_double(guest_fields_get(&g->fields, GUEST_FIELD_FREE))));
    }
    return 0;
}

/* ---- The whole ---- */

/* Allocates n guests and what the policy keeps. */
static int make_room(Reader *r, size_t n)
{
    SnapshotFile *f = r->file;
    int e = 0;

    f->snapshot.guests = calloc(n + 1, sizeof(*f->snapshot.guests));
    f->uuids = calloc(n + 1, sizeof(*f->uuids));
    f->keeps = calloc(n + 1, sizeof(*f->keeps));
    if (!f->snapshot.guests || !f->uuids || !f->keeps)
        return -ENOMEM;
    f->snapshot.n_guests = n;
    f->host_keep = &f->keeps[n];
    for (size_t i = 0; i <= n && e >= 0; i++)
        e = policy_keep_copy(&f->keeps[i], i == n, &(PolicyKeep){}, r->policy, NULL);
    f->snapshot.now_usec = UPTIME_DEFAULT_USEC;
    f->snapshot.history = &f->host_keep->history;
    f->snapshot.state = f->host_keep->state;
    return e;
}

static int read_guests(Reader *r, json_object *list)
{
    const JsonPath path = {.key = "guests"};
    int e;

    for (size_t i = 0; i < r->file->snapshot.n_guests; i++) {
        const JsonPath at = {.up = &path, .index = i};

        e = read_guest(r, &at, json_object_array_get_idx(list, i), i);
        if (e < 0)
            return e;
    }
    return 0;
}

static int read_guard(Reader *r, json_object *guard)
{
    const JsonPath path = {.key = "guard"};
    int e = json_read_object(r->error, &path, guard);

    if (e < 0)
        return e;
    json_object_object_foreach(guard, key, value)
    {
        const Member *m = find_member(guard_members, ELEMENTSOF(guard_members), key);
        const JsonPath at = {.up = &path, .key = key};

        if (!m)
            return reader_refuse_key(r, &path, key, false, (FieldSet){}, guard_keys, ELEMENTSOF(guard_keys));
        e = read_member(r, &at, value, m, &r->file->guard);
        if (e < 0)
            return e;
    }
    return 0;
}

/* Warns about what the daemon left out. */
static int read_left_out(Reader *r, const JsonPath *path, json_object *value)
{
    uint64_t count = 0;
    bool flag = false;
    int e;

    if (strcmp(path->key, "guests_left_out") == 0) {
        e = json_read_count(r->error, path, value, number_wanted, &count);
        if (e >= 0)
            fprintf(r->warnings,
                    "%" PRIu64 " guests were left out of the snapshot, so ballastd may decide otherwise\n",
                    count);
        return e;
    }
    e = json_read_flag(r->error, path, value, &flag);
    if (e >= 0 && flag)
        fputs("the snapshot has no history, so windows of time hold only the present value\n", r->warnings);
    return e;
}

static int read_top_key(Reader *r, const char *key, json_object *value)
{
    const JsonPath path = {.key = key};

    if (strcmp(key, "host") == 0 || strcmp(key, "guests") == 0)
        return 0; /* read in their order, after everything else */
    if (strcmp(key, "mode") == 0)
        return read_mode(r, &path, value, &r->file->snapshot.mode);
    if (strcmp(key, "guard") == 0)
        return read_guard(r, value);
    if (strcmp(key, "nodes") == 0)
        return reader_nodes(r, value);
    if (strcmp(key, "node_states") == 0)
        return reader_node_states(r, value);
    if (strcmp(key, "guests_left_out") == 0 || strcmp(key, "history_left_out") == 0)
        return read_left_out(r, &path, value);
    return reader_refuse_key(r, NULL, key, false, (FieldSet){}, top_keys, ELEMENTSOF(top_keys));
}

static int read_snapshot(Reader *r, json_object *o)
{
    const JsonPath guests_path = {.key = "guests"};
    json_object *guests = NULL;
    int e;

    if (json_object_is_type(o, json_type_object) && has(o, "status") &&
        !json_object_object_get_ex(o, "snapshot", &o))
        return json_refuse(
            r->error, NULL,
            "this dump has no \"snapshot\": its ballastd is older, or couldn't read the host's memory");
    e = json_read_object(r->error, NULL, o);
    if (e >= 0 && json_object_object_get_ex(o, "guests", &guests))
        e = json_read_list(r->error, &guests_path, guests, "a list");
    if (e < 0)
        return e;
    if (guests && json_object_array_length(guests) > SNAPSHOT_GUESTS_MAX)
        return json_refuse(r->error, &guests_path, "must be at most %u", SNAPSHOT_GUESTS_MAX);
    e = make_room(r, guests ? json_object_array_length(guests) : 0);
    if (e < 0)
        return e;
    json_object_object_foreach(o, key, value)
    {
        e = read_top_key(r, key, value);
        if (e < 0)
            return e;
    }
    e = read_host(r, json_object_object_get(o, "host"));
    return e < 0 ? e : read_guests(r, guests);
}

void snapshot_file_done(SnapshotFile *f)
{
    for (size_t i = 0; f->keeps && i <= f->snapshot.n_guests; i++)
        policy_keep_done(&f->keeps[i]);
    free(f->keeps);
    for (size_t i = 0; i < f->snapshot.n_node_states; i++)
        free(f->node_states[i].state);
    free(f->node_states);
    free(f->nodes);
    free(f->snapshot.guests);
    free(f->uuids);
    free(f->warnings);
    json_putp(&f->root);
    *f = (SnapshotFile){};
}

int snapshot_parse(const char *text, size_t length, const Policy *policy, SnapshotFile *ret, char *error)
{
    SnapshotFile f = {.guard = GUARD_CONFIG_DEFAULT};
    Reader r = {.file = &f, .policy = policy, .error = error};
    size_t warned = 0;
    int e;

    if (length > SNAPSHOT_FILE_MAX)
        return -EFBIG;
    r.warnings = open_memstream(&f.warnings, &warned);
    if (!r.warnings)
        return -ENOMEM;
    e = json_parse(error, text, length, &f.root);
    if (e >= 0)
        e = read_snapshot(&r, f.root);
    if (fclose(r.warnings) != 0 && e >= 0)
        e = -ENOMEM;
    if (warned == 0) {
        free(f.warnings);
        f.warnings = NULL;
    }
    if (e < 0) {
        snapshot_file_done(&f);
        return e;
    }
    *ret = f;
    return 0;
}
