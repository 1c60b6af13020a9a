/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints a plan, and the policy that runs. */

#include "host-agent/ctl/print-plan.h"
#include "host-agent/ctl/table.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/ctl/print.h"

#define TEXT_MAX 640U

/* ---- As JSON ---- */

/* Writes into one object; the first failure sticks. */
typedef struct Object {
    json_object *object;
    int error;
} Object;

static void put(Object *o, const char *key, json_object *value)
{
    if (o->error < 0 || !value) {
        o->error = -ENOMEM;
        json_putp(&value);
        return;
    }
    o->error = json_add(o->object, key, value);
}

static void put_text(Object *o, const char *key, const char *text)
{
    if (text)
        put(o, key, json_object_new_string(text));
}

static void put_count(Object *o, const char *key, uint64_t count)
{
    put(o, key, json_object_new_uint64(count));
}

static void put_signed(Object *o, const char *key, double value)
{
    if (isfinite(value))
        put(o, key, json_object_new_int64(llround(CLAMP(value, -0x1p62, 0x1p62))));
}

/* A value in its unit, which ends the key. */
static void put_value(Object *o, const char *name, FieldUnit unit, double value)
{
    char key[SNAPSHOT_KEY_MAX];

    snapshot_field_key(key, &(FieldInfo){.name = name, .unit = unit});
    if (unit == FIELD_UNIT_BYTES || unit == FIELD_UNIT_DURATION)
        put_signed(o, key, value);
    else if (unit == FIELD_UNIT_BOOLEAN)
        put(o, key, json_object_new_boolean(value != 0));
    else if (isfinite(value))
        put(o, key, json_new_real(value));
}

static Object object_begin(void)
{
    Object o = {.object = json_object_new_object()};

    o.error = o.object ? 0 : -ENOMEM;
    return o;
}

/* part becomes a part of o. */
static void put_object(Object *o, const char *key, Object *part)
{
    if (part->error < 0)
        json_putp(&part->object);
    put(o, key, TAKE_PTR(part->object));
}

static void append(Object *o, json_object *array, Object *part)
{
    if (o->error >= 0)
        o->error = part->error;
    if (o->error >= 0 && json_object_array_add(array, part->object) >= 0)
        return;
    json_putp(&part->object);
    o->error = -ENOMEM;
}

static json_object *put_array(Object *o, const char *key)
{
    json_object *array = json_object_new_array();

    put(o, key, array);
    return o->error < 0 ? NULL : array;
}

static void put_reads(Object *o, const PolicyRead *reads, size_t n)
{
    Object part = object_begin();

    for (size_t i = 0; i < n; i++) {
        char name[SNAPSHOT_KEY_MAX];

        snprintf(name, sizeof(name), "%s%s%s", reads[i].object ?: "", reads[i].object ? "." : "",
                 reads[i].name);
        put_value(&part, name, reads[i].unit, reads[i].value);
    }
    put_object(o, "reads", &part);
}

/* The line of the policy that decided, and what it read. */
static void put_line_of(Object *o, const char *file, unsigned line, const char *because,
                        const PolicyRead *reads, size_t n_reads)
{
    if (line == 0)
        return;
    put_text(o, "file", file);
    put_count(o, "line", line);
    put_text(o, "because", because);
    put_reads(o, reads, n_reads);
}

static void put_state(Object *o, const Policy *policy, bool host, const double *values)
{
    const PolicyState *states;
    char key[SNAPSHOT_STATE_KEY_MAX];
    Object part;
    size_t n;

    states = policy_states(policy, host, &n);
    if (n == 0 || !values)
        return;
    part = object_begin();
    for (size_t i = 0; i < n; i++) {
        snapshot_state_key(key, states[i].file, states[i].name);
        if (states[i].unit == FIELD_UNIT_BOOLEAN)
            put(&part, key, json_object_new_boolean(values[i] != 0));
        else if (isfinite(values[i]))
            put(&part, key, json_new_real(values[i]));
    }
    put_object(o, "state", &part);
}

static void put_reclaim(Object *o, const Decision *d)
{
    const Reclaim *r = &d->reclaim;
    Object part = object_begin();

    put_count(&part, "wanted_bytes", r->wanted_bytes);
    put_count(&part, "reclaimable_bytes", d->bounds.reclaim_bytes);
    put_count(&part, "reclaim_bytes", r->bytes);
    put(&part, "anon", json_object_new_boolean(r->anon));
    put(&part, "send", json_object_new_boolean(r->send));
    put_text(&part, "rule", guard_rule_to_string(r->rule));
    put_text(&part, "reason", r->reason);
    put_line_of(&part, r->file, r->line, r->because, r->reads, r->n_reads);
    put_object(o, "reclaim", &part);
}

static void put_guest(Object *o, const SnapshotGuest *g, const Decision *d)
{
    put_text(o, "name", g->name);
    put_text(o, "uuid", g->uuid);
    put_text(o, "mode", guest_mode_to_string(g->mode));
    put_count(o, "current_bytes", g->sizes.current_bytes);
    put_count(o, "standing_bytes", g->sizes.standing_bytes);
    put_count(o, "wanted_bytes", d->wanted_bytes);
    put_count(o, "target_bytes", d->target_bytes);
    put_count(o, "least_bytes", d->bounds.least_bytes);
    put_count(o, "most_bytes", d->bounds.most_bytes);
    put(o, "send", json_object_new_boolean(d->send));
    put_text(o, "rule", guard_rule_to_string(d->rule));
    put_text(o, "reason", d->reason);
    put_line_of(o, d->file, d->line, d->because, d->reads, d->n_reads);
    if (d->reclaim.line > 0)
        put_reclaim(o, d);
}

static void put_control(Object *o, const Snapshot *s, const HostDecision *d)
{
    const FieldInfo *info = host_field_info(d->control);

    put_text(o, "control", info->name);
    if (host_fields_has(&s->host, d->control))
        put_value(o, "standing", info->unit, host_fields_get(&s->host, d->control));
    put_value(o, "wanted", info->unit, d->wanted);
    put_value(o, "value", info->unit, d->value);
    put(o, "send", json_object_new_boolean(d->send));
    put_text(o, "reason", d->reason);
    put_line_of(o, d->file, d->line, d->because, d->reads, d->n_reads);
}

static void put_place(Object *o, const Snapshot *s, const Policy *policy, unsigned file, unsigned line,
                      size_t guest, const char *text)
{
    put_text(o, "file", policy_file(policy, file).name);
    put_count(o, "line", line);
    if (guest < s->n_guests)
        put_text(o, "guest", s->guests[guest].name);
    put_text(o, "text", text);
}

static void put_told(Object *o, const Plan *p, const Snapshot *s, const Policy *policy)
{
    json_object *notes = put_array(o, "notes"), *logs;

    for (size_t i = 0; notes && i < p->n_notes; i++) {
        const PolicyNote *n = &p->notes[i];
        Object part = object_begin();

        put_place(&part, s, policy, n->file, n->line, n->guest, n->text);
        put_count(&part, "column", n->column);
        append(o, notes, &part);
    }
    put_count(o, "notes_total", p->notes_total);
    logs = put_array(o, "logs");
    for (size_t i = 0; logs && i < p->n_logs; i++) {
        const PolicyLog *l = &p->logs[i];
        Object part = object_begin();

        put_place(&part, s, policy, l->file, l->line, l->guest, l->text);
        append(o, logs, &part);
    }
    put_count(o, "logs_total", p->logs_total);
}

int plan_to_json(const Plan *p, const Snapshot *s, const Policy *policy, json_object **ret)
{
    Object o = object_begin();
    json_object *array;
    size_t n_states;

    (void) policy_states(policy, false, &n_states);
    put_text(&o, "policy", policy_name(policy));
    put(&o, "failed", json_object_new_boolean(p->policy_error < 0));
    put_text(&o, "summary", p->summary);
    put_text(&o, "pressure", host_pressure_to_string(p->pressure));
    put_signed(&o, "pending_bytes", p->pending_bytes);
    put_count(&o, "shortfall_bytes", p->shortfall_bytes);
    put_signed(&o, "pressure_threshold_bytes", p->pressure_threshold_bytes);
    put_signed(&o, "critical_threshold_bytes", p->critical_threshold_bytes);
    put_signed(&o, "relax_threshold_bytes", p->relax_threshold_bytes);
    array = put_array(&o, "guests");
    for (size_t i = 0; array && i < p->n_decisions; i++) {
        Object part = object_begin();

        put_guest(&part, &s->guests[i], &p->decisions[i]);
        put_state(&part, policy, false, p->guest_state ? p->guest_state + i * n_states : NULL);
        append(&o, array, &part);
    }
    array = put_array(&o, "host");
    for (size_t i = 0; array && i < p->n_host; i++) {
        Object part = object_begin();

        put_control(&part, s, &p->host[i]);
        append(&o, array, &part);
    }
    put_state(&o, policy, true, p->state);
    put_told(&o, p, s, policy);
    if (o.error < 0) {
        json_putp(&o.object);
        return -ENOMEM;
    }
    *ret = o.object;
    return 0;
}

/* ---- For people ---- */

/* "-512 MiB"; NULL without a change. */
static const char *change_cell(char *buf, json_object *guest)
{
    uint64_t standing = json_count(guest, "standing_bytes"), target = json_count(guest, "target_bytes");

    if (target == standing)
        return NULL;
    buf[0] = target > standing ? '+' : '-';
    format_size(buf + 1, target > standing ? target - standing : standing - target);
    return buf;
}

/* Why its size is what it is, and what it hands back. A guest that keeps its size says both in one. */
static const char *reason_cell(char *buf, size_t size, json_object *guest, json_object *reclaim)
{
    const char *reason = json_text(guest, "reason"), *back = reclaim ? json_text(reclaim, "reason") : NULL;

    if (!reason || !back || json_count(reclaim, "reclaim_bytes") == 0 || strstr(reason, back))
        return reason;
    snprintf(buf, size, "%s; %s", reason, back);
    return buf;
}

static int print_guests(const Screen *screen, json_object *guests)
{
    static const TableColumn columns[] = {{"GUEST", false},
                                          {"BEFORE", true},
                                          {"TARGET", true},
                                          {"CHANGE", true},
                                          {"RECLAIM", true, .optional = true},
                                          {"RULE", false},
                                          {"REASON", false, .cut = true}};
    _cleanup_(table_freep) Table *t = NULL;
    char buf[UNITS_FORMAT_MAX + 1], text[TEXT_MAX];
    int r;

    if (json_object_array_length(guests) == 0) {
        fputs("The snapshot has no guests.\n", screen->file);
        return 0;
    }
    r = table_new(columns, ELEMENTSOF(columns), 0, &t);
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_object_array_length(guests); i++) {
        json_object *g = json_object_array_get_idx(guests, i), *reclaim = json_find(g, "reclaim");
        uint64_t back = reclaim ? json_count(reclaim, "reclaim_bytes") : 0;
        const char *rule = json_text(g, "rule");
        bool moves = json_count(g, "standing_bytes") != json_count(g, "target_bytes");

        table_add(t, STYLE_BOLD, json_text(g, "name"));
        table_add(t, STYLE_PLAIN, format_size(buf, json_count(g, "standing_bytes")));
        table_add(t, moves ? STYLE_CYAN : STYLE_PLAIN, format_size(buf, json_count(g, "target_bytes")));
        table_add(t, moves ? STYLE_CYAN : STYLE_PLAIN, change_cell(buf, g));
        table_add(t, back > 0 ? STYLE_CYAN : STYLE_PLAIN, back > 0 ? format_size(buf, back) : NULL);
        table_add(t, STYLE_PLAIN, rule && strcmp(rule, "none") != 0 ? rule : NULL);
        table_add(t, STYLE_PLAIN, reason_cell(text, sizeof(text), g, reclaim));
    }
    return table_print(t, screen);
}

/* A control's value, whichever its unit is. */
static const char *control_cell(char *buf, json_object *control, const char *name)
{
    char key[SNAPSHOT_KEY_MAX];
    json_object *value;

    snprintf(key, sizeof(key), "%s_bytes", name);
    if (json_find(control, key))
        return format_size(buf, json_count(control, key));
    snprintf(key, sizeof(key), "%s_usec", name);
    if (json_find(control, key))
        return format_duration(buf, json_count(control, key));
    value = json_find(control, name);
    if (!value)
        return NULL;
    return json_object_is_type(value, json_type_boolean) ? (json_object_get_boolean(value) ? "true" : "false")
                                                         : json_object_get_string(value);
}

static int print_controls(const Screen *screen, json_object *controls)
{
    static const TableColumn columns[] = {
        {"CONTROL", false}, {"BEFORE", true}, {"VALUE", true}, {"REASON", false, .cut = true}};
    _cleanup_(table_freep) Table *t = NULL;
    char buf[UNITS_FORMAT_MAX], name[SNAPSHOT_KEY_MAX + 8];
    int r;

    if (json_object_array_length(controls) == 0)
        return 0;
    r = table_new(columns, ELEMENTSOF(columns), 0, &t);
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_object_array_length(controls); i++) {
        json_object *c = json_object_array_get_idx(controls, i);

        snprintf(name, sizeof(name), "host.%s", json_text(c, "control"));
        table_add(t, STYLE_BOLD, name);
        table_add(t, STYLE_PLAIN, control_cell(buf, c, "standing"));
        table_add(t, json_flag(c, "send") ? STYLE_CYAN : STYLE_PLAIN, control_cell(buf, c, "value"));
        table_add(t, STYLE_PLAIN, json_text(c, "reason"));
    }
    fputc('\n', screen->file);
    return table_print(t, screen);
}

/* Says how many entries of a list beyond n were left out. */
static int print_more(const Screen *screen, json_object *told, const char *key, size_t n, const char *label,
                      Style style)
{
    char text[TEXT_MAX], total[SNAPSHOT_KEY_MAX];
    uint64_t all;

    snprintf(total, sizeof(total), "%s_total", key);
    all = json_count(told, total);
    if (all <= n)
        return 0;
    snprintf(text, sizeof(text), "%" PRIu64 " more", all - n);
    return print_line(screen, label, style, text);
}

/* Notes or log lines: "balloon.policy:41: web1: …". */
static int print_told(const Screen *screen, json_object *plan, const char *key, const char *label,
                      Style style)
{
    json_object *list = json_find(plan, key);
    size_t n = json_object_array_length(list);
    char text[TEXT_MAX];
    int r = 0;

    for (size_t i = 0; i < n && r >= 0; i++) {
        json_object *told = json_object_array_get_idx(list, i);
        const char *guest = json_text(told, "guest");

        snprintf(text, sizeof(text), "%s:%" PRIu64 ": %s%s%s", json_text(told, "file"),
                 json_count(told, "line"), guest ?: "", guest ? ": " : "", json_text(told, "text"));
        r = print_line(screen, label, style, text);
    }
    return r < 0 ? r : print_more(screen, plan, key, n, label, style);
}

int print_plan(const Screen *screen, json_object *plan)
{
    int r = print_guests(screen, json_find(plan, "guests"));

    if (r >= 0)
        r = print_controls(screen, json_find(plan, "host"));
    fputc('\n', screen->file);
    if (r >= 0)
        r = print_told(screen, plan, "notes", "Undone", STYLE_YELLOW);
    if (r >= 0)
        r = print_told(screen, plan, "logs", "Log", STYLE_PLAIN);
    if (r >= 0 && json_flag(plan, "failed"))
        r = print_line(screen, "Failed", STYLE_RED,
                       "no file of the policy could be evaluated: only the guard's own moves are left");
    if (r >= 0)
        r = print_line(screen, "Plan", STYLE_BOLD, json_text(plan, "summary"));
    return r;
}

/* ---- What runs ---- */

/* "host.ksm_run, host.ksm_sleep" */
static void list_texts(char *text, size_t size, json_object *list)
{
    size_t n = list ? json_object_array_length(list) : 0, fill = 0;

    snprintf(text, size, "nothing");
    for (size_t i = 0; i < n && fill < size; i++)
        fill += (size_t) snprintf(text + fill, size - fill, "%s%s", i > 0 ? ", " : "",
                                  json_object_get_string(json_object_array_get_idx(list, i)));
}

/* Text of a policy keeps its lines. */
static int print_text(const Screen *screen, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        _cleanup_free_ char *line = strndup(text, length), *clean = NULL;

        for (char *p = line; p && *p; p++)
            if (*p == '\t')
                *p = ' ';
        clean = line ? text_clean(line) : NULL;
        if (!clean)
            return -ENOMEM;
        fprintf(screen->file, "%s\n", clean);
        text += length + (text[length] == '\n');
    }
    return 0;
}

/* Only the policy's text, so that it can be saved to a file. */
static int print_files(const Screen *screen, json_object *files)
{
    size_t n = json_object_array_length(files);
    char name[TEXT_MAX];
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++) {
        json_object *file = json_object_array_get_idx(files, i);

        if (n > 1) {
            snprintf(name, sizeof(name), "# ---- %s ----", json_text(file, "file") ?: "-");
            r = print_text(screen, name);
        }
        if (r >= 0)
            r = print_text(screen, json_text(file, "text") ?: "");
    }
    return r;
}

static int put_lines(const Screen *screen, json_object *policy, const char *key, const char *label,
                     Style style)
{
    json_object *list = json_find(policy, key);
    size_t n = list ? json_object_array_length(list) : 0;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = print_line(screen, label, style, json_object_get_string(json_object_array_get_idx(list, i)));
    return r < 0 ? r : print_more(screen, policy, key, n, label, style);
}

int print_policy(const Screen *screen, json_object *policy)
{
    json_object *files = json_find(policy, "files");
    size_t n = files ? json_object_array_length(files) : 0;
    const char *error = json_text(policy, "error");
    char text[2 * TEXT_MAX], controls[TEXT_MAX], age[UNITS_FORMAT_MAX];
    int r = 0;

    if (n > 0 && json_text(json_object_array_get_idx(files, 0), "text"))
        return print_files(screen, files);
    for (size_t i = 0; r >= 0 && i < n; i++) {
        json_object *file = json_object_array_get_idx(files, i);

        list_texts(controls, sizeof(controls), json_find(file, "controls"));
        snprintf(text, sizeof(text), "%s, assigns to %s", json_text(file, "file") ?: "-", controls);
        r = print_line(screen, "File", STYLE_BOLD, text);
    }
    snprintf(text, sizeof(text), "%s, %s ago", json_text(policy, "origin") ?: "not known",
             format_duration(age, json_count(policy, "age_usec")));
    if (r >= 0)
        r = print_line(screen, "From", STYLE_PLAIN, text);
    if (r >= 0 && error)
        r = print_line(screen, "Failed", STYLE_RED, error);
    if (r >= 0)
        r = put_lines(screen, policy, "notes", "Undone", STYLE_YELLOW);
    if (r >= 0)
        r = put_lines(screen, policy, "logs", "Log", STYLE_PLAIN);
    return r;
}
