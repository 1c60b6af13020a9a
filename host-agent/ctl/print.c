/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints for people what the daemon answered. */

#include <inttypes.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/ctl/print.h"
#include "host-agent/ctl/table.h"
#include "host-agent/ctl/wrap.h"

#define TEXT_MAX  512U
#define LABEL_MAX 64U
#define INDENT    2U

/* Columns before the text of a line: the label, a colon and a blank. */
#define LINE_INDENT 12U

int print_line(const Screen *screen, const char *label, Style style, const char *text)
{
    _cleanup_free_ char *clean = text_clean(text);

    if (!clean)
        return -ENOMEM;
    fprintf(screen->file, "%10s: ", label);
    return wrap_put(screen, style, LINE_INDENT, clean);
}

/* The entitlement */

/* A cell of it: sizes, shares, or the mode. */
static const char *value_cell(char *buf, json_object *entitlement, const char *name, const char *suffix)
{
    char key[LABEL_MAX];

    snprintf(key, sizeof(key), "%s%s_bytes", name, suffix);
    if (json_find(entitlement, key))
        return format_size(buf, json_count(entitlement, key));
    snprintf(key, sizeof(key), "%s%s", name, suffix);
    return json_find(entitlement, key) ? json_object_get_string(json_find(entitlement, key)) : NULL;
}

int print_entitlement(const Screen *screen, json_object *entitlement)
{
    static const TableColumn columns[] = {
        {"VALUE", false}, {"SET", true}, {"FROM", false}, {"IN FORCE", false}};
    static const char *const names[] = {"min", "full", "max", "shares", "mode"};
    const char *problem = json_text(entitlement, "problem");
    _cleanup_(table_freep) Table *t = NULL;
    char key[LABEL_MAX], buf[UNITS_FORMAT_MAX];
    int r;

    r = table_new(columns, ELEMENTSOF(columns), 0, &t);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        const char *from;

        snprintf(key, sizeof(key), "%s_origin", names[i]);
        from = json_text(entitlement, key);
        table_add(t, STYLE_BOLD, names[i]);
        table_add(t, STYLE_PLAIN, value_cell(buf, entitlement, names[i], "_set"));
        table_add(t, from && strcmp(from, "default") == 0 ? STYLE_DIM : STYLE_PLAIN, from);
        table_add(t, STYLE_PLAIN, value_cell(buf, entitlement, names[i], ""));
    }
    r = table_print(t, screen);
    if (r >= 0 && problem)
        r = print_line(screen, "Problem", STYLE_RED, problem);
    if (r >= 0 && json_flag(entitlement, "shut_off"))
        r = print_line(screen, "State", STYLE_DIM, "shut off; these values come into force when it starts");
    return r;
}

/* The status */

static int put_mode(const Screen *screen, json_object *status)
{
    bool moves = strcmp(json_text(status, "mode") ?: "", "auto") == 0;
    char uptime[UNITS_FORMAT_MAX], text[TEXT_MAX];

    snprintf(
        text, sizeof(text), "%s; ballastd %s, up %s",
        moves
            ? "auto: moves balloons"
            : "observe: decides and logs, but moves nothing (to let it move balloons: ballastctl mode auto)",
        json_text(status, "version") ?: "of unknown version",
        format_duration(uptime, json_count(status, "uptime_usec")));
    return print_line(screen, "Mode", moves ? STYLE_GREEN : STYLE_YELLOW, text);
}

/* The scope, if it is not the whole host's memory. */
static int put_scope(const Screen *screen, json_object *status)
{
    const char *scope = json_text(status, "host.scope");

    return scope && strcmp(scope, "system") != 0 ? print_line(screen, "Scope", STYLE_PLAIN, scope) : 0;
}

static int put_host(const Screen *screen, json_object *status)
{
    double total = json_real(status, "host.total_bytes"),
           available = json_real(status, "host.available_bytes");
    char a[UNITS_FORMAT_MAX], b[UNITS_FORMAT_MAX], c[UNITS_FORMAT_MAX], d[UNITS_FORMAT_MAX],
        e[UNITS_FORMAT_MAX], f[UNITS_FORMAT_MAX], text[TEXT_MAX];
    size_t fill;

    if (total <= 0)
        return print_line(screen, "Host", STYLE_RED, "its memory can't be read, so nothing moves");
    fill = (size_t) snprintf(text, sizeof(text), "%s, %s available (%s)", format_size(a, (uint64_t) total),
                             format_size(b, (uint64_t) available), format_ratio(c, available / total));
    if (json_count(status, "host.reserve_bytes") > 0)
        fill += (size_t) snprintf(text + fill, sizeof(text) - fill, " in addition to a reserve of %s",
                                  format_size(d, json_count(status, "host.reserve_bytes")));
    if (json_count(status, "host.swap_total_bytes") > 0)
        fill += (size_t) snprintf(text + fill, sizeof(text) - fill, "; swap %s, %s free",
                                  format_size(e, json_count(status, "host.swap_total_bytes")),
                                  format_size(f, json_count(status, "host.swap_free_bytes")));
    else
        fill += (size_t) snprintf(text + fill, sizeof(text) - fill, "; no swap");
    if (json_count(status, "host.swap_memory_bytes") > 0)
        snprintf(text + fill, sizeof(text) - fill, " on disks, and %s in memory (zram), which is no room",
                 format_size(a, json_count(status, "host.swap_memory_bytes")));
    return print_line(screen, "Host", STYLE_PLAIN, text);
}

/* "node 0: 64 GiB, 2.1 GiB available (3.3%)", a line each. */
static int put_nodes(const Screen *screen, json_object *status)
{
    json_object *nodes = json_find(status, "host.nodes");
    char a[UNITS_FORMAT_MAX], b[UNITS_FORMAT_MAX], c[UNITS_FORMAT_MAX], text[TEXT_MAX];
    int r = 0;

    for (size_t i = 0; nodes && r >= 0 && i < json_object_array_length(nodes); i++) {
        json_object *node = json_object_array_get_idx(nodes, i);
        uint64_t total = json_count(node, "total_bytes"), available = json_count(node, "available_bytes");

        snprintf(text, sizeof(text), "node %" PRIu64 ": %s, %s available (%s)", json_count(node, "node"),
                 format_size(a, total), format_size(b, available),
                 format_ratio(c, total > 0 ? (double) available / (double) total : 0));
        r = print_line(screen, i == 0 ? "Nodes" : "", STYLE_PLAIN, text);
    }
    return r;
}

/* Only those that the policy has. */
static int put_thresholds(const Screen *screen, json_object *status)
{
    static const struct {
        const char *key, *text;
    } parts[] = {
        {"host.pressure_threshold_bytes", "give below"},
        {"host.critical_threshold_bytes", "give harder below"},
        {"host.relax_threshold_bytes", "get back above"},
    };
    const char *pressure = json_text(status, "host.pressure") ?: "none";
    bool severe = strcmp(pressure, "severe") == 0, moderate = strcmp(pressure, "moderate") == 0;
    char size[UNITS_FORMAT_MAX], text[TEXT_MAX];
    size_t fill, level;

    fill = level = (size_t) snprintf(text, sizeof(text), "%s",
                                     severe     ? "critically short of memory"
                                     : moderate ? "short of memory"
                                                : "not short of memory");
    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        if (json_find(status, parts[i].key))
            fill += (size_t) snprintf(text + fill, sizeof(text) - fill, "%s%s %s%s",
                                      fill == level ? "; guests " : ", ", parts[i].text,
                                      format_size(size, json_count(status, parts[i].key)),
                                      fill == level ? " available" : "");
    if (fill == level)
        return 0;
    return print_line(screen, "Thresholds", severe ? STYLE_RED : moderate ? STYLE_YELLOW : STYLE_GREEN, text);
}

/* What is to be said of the trigger on the host's pressure; "": it is as it should be. */
static const char *about_trigger(json_object *status)
{
    const char *trigger = json_text(status, "host.psi_trigger"), *scope = json_text(status, "host.scope");

    if (trigger && strcmp(trigger, "none") == 0)
        return "; noticed only once a cycle, because no trigger could be set (see the log)";
    if (trigger && strcmp(trigger, "host") == 0 && scope && strcmp(scope, "system") != 0)
        return "; the trigger is set on the whole host's (see the log)";
    return "";
}

static int put_psi(const Screen *screen, json_object *status)
{
    char some[UNITS_FORMAT_MAX], full[UNITS_FORMAT_MAX], text[TEXT_MAX];
    size_t fill;

    if (!json_find(status, "host.psi_memory_some"))
        return 0;
    fill = (size_t) snprintf(text, sizeof(text), "tasks waited for memory in %s of the last 10 s",
                             format_ratio(some, json_real(status, "host.psi_memory_some")));
    if (json_real(status, "host.psi_memory_full") > 0)
        fill += (size_t) snprintf(text + fill, sizeof(text) - fill, ", all of them in %s",
                                  format_ratio(full, json_real(status, "host.psi_memory_full")));
    snprintf(text + fill, sizeof(text) - fill, "%s", about_trigger(status));
    return print_line(screen, "PSI", STYLE_PLAIN, text);
}

static int put_oom(const Screen *screen, json_object *status)
{
    uint64_t kills = json_count(status, "host.oom_kills_seen");
    char age[UNITS_FORMAT_MAX], text[TEXT_MAX];

    if (kills == 0)
        return 0;
    snprintf(text, sizeof(text),
             "the kernel killed %" PRIu64 " process%s because memory ran out, last %s ago (see the log)",
             kills, kills == 1 ? "" : "es",
             format_duration(age, json_count(status, "host.oom_kill_age_usec")));
    return print_line(screen, "OOM", STYLE_RED, text);
}

static int put_pending(const Screen *screen, json_object *status)
{
    int64_t bytes = json_object_get_int64(json_find(status, "host.pending_bytes"));
    char size[UNITS_FORMAT_MAX], text[TEXT_MAX];

    if (bytes == 0)
        return 0;
    format_size(size, (uint64_t) (bytes > 0 ? bytes : -bytes));
    if (bytes > 0)
        snprintf(text, sizeof(text), "moving balloons still bring the host %s", size);
    else
        snprintf(text, sizeof(text), "guests may soon use %s more, which they got lately or will get", size);
    return print_line(screen, "Pending", STYLE_CYAN, text);
}

static int put_shortfall(const Screen *screen, json_object *status)
{
    uint64_t bytes = json_count(status, "host.shortfall_bytes");
    char size[UNITS_FORMAT_MAX], text[TEXT_MAX];

    if (bytes == 0)
        return 0;
    snprintf(text, sizeof(text), "guests in distress want %s more than the host has for them now",
             format_size(size, bytes));
    return print_line(screen, "Shortfall", STYLE_YELLOW, text);
}

/* "run, sleep" */
static void add_names(char *text, size_t size, const char *before, json_object *names)
{
    size_t n = names ? json_object_array_length(names) : 0;

    for (size_t i = 0; i < n; i++) {
        size_t fill = strlen(text);

        snprintf(text + fill, size - fill, "%s%s", i == 0 ? before : ", ",
                 json_object_get_string(json_object_array_get_idx(names, i)));
    }
}

/* Only if KSM runs, was changed, or the kernel refused a change. */
static int put_ksm(const Screen *screen, json_object *status)
{
    json_object *changed = json_find(status, "ksm.changed"), *refused = json_find(status, "ksm.refused");
    bool runs = json_flag(status, "host.ksm_run"),
         any_refused = refused && json_object_array_length(refused) > 0;
    char sleep[UNITS_FORMAT_MAX], saved[UNITS_FORMAT_MAX], text[TEXT_MAX];
    size_t fill;

    if (!runs && !any_refused && (!changed || json_object_array_length(changed) == 0))
        return 0;
    if (runs)
        fill = (size_t) snprintf(text, sizeof(text), "on, %.0f pages every %s",
                                 json_real(status, "host.ksm_pages_to_scan"),
                                 format_duration(sleep, json_count(status, "host.ksm_sleep_usec")));
    else
        fill = (size_t) snprintf(text, sizeof(text), "off");
    snprintf(text + fill, sizeof(text) - fill, "; saves %s",
             format_size(saved, json_count(status, "host.ksm_sharing_bytes")));
    add_names(text, sizeof(text), "; set by the policy: ", changed);
    add_names(text, sizeof(text), "; refused by the kernel (see the log): ", refused);
    return print_line(screen, "KSM", any_refused ? STYLE_YELLOW : STYLE_PLAIN, text);
}

static int put_policy(const Screen *screen, json_object *status)
{
    json_object *notes = json_find(status, "policy.notes");
    const char *error = json_text(status, "policy.error");
    int r;

    r = print_line(screen, "Policy", STYLE_PLAIN,
                   json_text(status, "policy.file") ?: "none: only the guard moves balloons");
    if (r >= 0 && error)
        r = print_line(screen, "", STYLE_RED, error);
    for (size_t i = 0; r >= 0 && notes && i < json_object_array_length(notes); i++)
        r = print_line(screen, "", STYLE_YELLOW, json_object_get_string(json_object_array_get_idx(notes, i)));
    return r;
}

/* Where the files on disk are not what runs. */
static int put_files(const Screen *screen, json_object *status)
{
    const char *refused = json_text(status, "config.refused");
    char age[UNITS_FORMAT_MAX], text[2 * TEXT_MAX];

    if (refused)
        snprintf(text, sizeof(text), "the last reload was refused %s ago; what ran before still runs: %s",
                 format_duration(age, json_count(status, "config.refused_age_usec")), refused);
    else if (json_flag(status, "config.changed") || json_flag(status, "policy.changed"))
        snprintf(text, sizeof(text), "the %s changed on disk after ballastd read it; run ballastctl reload",
                 json_flag(status, "config.changed") ? "configuration" : "policy");
    else
        return 0;
    return print_line(screen, "Files", refused ? STYLE_RED : STYLE_YELLOW, text);
}

static int put_libvirt(const Screen *screen, json_object *status)
{
    bool connected = json_flag(status, "libvirt.connected");
    const char *why = json_text(status, "libvirt.why");
    char text[TEXT_MAX];

    snprintf(text, sizeof(text), "%s, %s%s%s", json_text(status, "libvirt.uri") ?: "no URI",
             connected ? "connected" : "not connected", !connected && why ? ": " : "",
             !connected && why ? why : "");
    return print_line(screen, "libvirt", connected ? STYLE_PLAIN : STYLE_RED, text);
}

static int put_guests(const Screen *screen, json_object *status)
{
    static const struct {
        const char *key, *text;
    } parts[] = {
        {"guests_agent", "by agent"},       {"guests_libvirt", "by libvirt's stats"},
        {"guests_none", "without stats"},   {"guests_stale", "with stale stats"},
        {"guests_moving", "moving"},        {"guests_stalled", "stalled"},
        {"guests_distress", "in distress"}, {"guests_hurting", "hurting"},
    };
    char text[TEXT_MAX];
    size_t fill;

    fill = (size_t) snprintf(text, sizeof(text), "%" PRIu64, json_count(status, "guests"));
    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        if (json_count(status, parts[i].key) > 0)
            fill += (size_t) snprintf(text + fill, sizeof(text) - fill, "; %" PRIu64 " %s",
                                      json_count(status, parts[i].key), parts[i].text);
    return print_line(screen, "Guests", STYLE_PLAIN, text);
}

static int put_cycle(const Screen *screen, json_object *status)
{
    char age[UNITS_FORMAT_MAX], took[UNITS_FORMAT_MAX], interval[UNITS_FORMAT_MAX], text[TEXT_MAX];

    if (json_count(status, "cycle.count") == 0)
        return print_line(screen, "Cycle", STYLE_PLAIN, "none yet");
    snprintf(text, sizeof(text), "%" PRIu64 " so far, the last %s ago, took %s; every %s",
             json_count(status, "cycle.count"), format_duration(age, json_count(status, "cycle.age_usec")),
             format_duration(took, json_count(status, "cycle.took_usec")),
             format_duration(interval, json_count(status, "cycle.interval_usec")));
    return print_line(screen, "Cycle", STYLE_PLAIN, text);
}

static int put_why(const Screen *screen, json_object *status)
{
    return print_line(screen, "Now", STYLE_BOLD, json_text(status, "why") ?: "not known");
}

static int put_neighbours(const Screen *screen, json_object *status)
{
    const char *neighbours = json_text(status, "neighbours");

    return neighbours && neighbours[0] ? print_line(screen, "Neighbours", STYLE_YELLOW, neighbours) : 0;
}

int print_status(const Screen *screen, json_object *status)
{
    static int (*const parts[])(const Screen *, json_object *) = {
        put_mode,       put_why,     put_neighbours, put_scope,   put_host,      put_nodes,
        put_thresholds, put_psi,     put_oom,        put_pending, put_shortfall, put_ksm,
        put_guests,     put_libvirt, put_policy,     put_files,   put_cycle,
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(parts); i++)
        r = parts[i](screen, status);
    return r;
}

/* Any object */

static bool strip(char *label, const char *suffix)
{
    size_t length = strlen(label), n = strlen(suffix);

    if (length < n || strcmp(label + length - n, suffix) != 0)
        return false;
    label[length - n] = '\0';
    return true;
}

static void format_signed_size(char *buf, json_object *value)
{
    int64_t bytes = json_object_get_int64(value);

    if (bytes < 0)
        *buf++ = '-';
    format_size(buf, bytes < 0 ? (uint64_t) -bytes : json_object_get_uint64(value));
}

typedef enum Kind {
    KIND_PLAIN,
    KIND_BYTES,
    KIND_BYTES_RATE,
    KIND_RATE,
    KIND_TIME,
    KIND_AGO,
    KIND_SHARE
} Kind;

/* Turns a key into a label, "sent_age_usec" → "sent", and its suffix into the kind of its value. */
static Kind label_of(const char *key, char *label)
{
    static const struct {
        const char *suffix;
        Kind kind;
    } suffixes[] = {
        {"_bytes_per_sec", KIND_BYTES_RATE},
        {"_per_sec", KIND_RATE},
        {"_bytes", KIND_BYTES},
        {"_age_usec", KIND_AGO},
        {"_usec", KIND_TIME},
        {"_share", KIND_SHARE},
    };
    Kind kind = strncmp(key, "psi_", 4) == 0 ? KIND_SHARE : KIND_PLAIN;

    snprintf(label, LABEL_MAX, "%s", key);
    for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
        if (strip(label, suffixes[i].suffix)) {
            kind = suffixes[i].kind;
            break;
        }
    for (char *p = label; *p; p++)
        if (*p == '_')
            *p = ' ';
    return kind;
}

/* A value for people. */
static void text_of(Kind kind, json_object *value, char *text)
{
    char buf[UNITS_FORMAT_MAX + 1];

    if (!value) {
        snprintf(text, TEXT_MAX, "-");
        return;
    }
    if (json_object_is_type(value, json_type_boolean)) {
        snprintf(text, TEXT_MAX, "%s", json_object_get_boolean(value) ? "yes" : "no");
        return;
    }
    if (json_object_is_type(value, json_type_string)) {
        snprintf(text, TEXT_MAX, "%s", json_object_get_string(value));
        return;
    }
    switch (kind) {
    case KIND_PLAIN:
        snprintf(text, TEXT_MAX, "%s", json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
        break;
    case KIND_BYTES:
        format_signed_size(buf, value);
        snprintf(text, TEXT_MAX, "%s", buf);
        break;
    case KIND_BYTES_RATE:
        snprintf(text, TEXT_MAX, "%s/s", format_size(buf, json_object_get_uint64(value)));
        break;
    case KIND_RATE:
        snprintf(text, TEXT_MAX, "%.1f/s", json_object_get_double(value));
        break;
    case KIND_TIME:
        snprintf(text, TEXT_MAX, "%s", format_duration(buf, json_object_get_uint64(value)));
        break;
    case KIND_AGO:
        snprintf(text, TEXT_MAX, "%s ago", format_duration(buf, json_object_get_uint64(value)));
        break;
    case KIND_SHARE:
        snprintf(text, TEXT_MAX, "%s", format_ratio(buf, json_object_get_double(value)));
        break;
    }
}

static int put_entry(const Screen *screen, unsigned depth, const char *label, size_t width, const char *text)
{
    _cleanup_free_ char *clean_label = text_clean(label), *clean = text_clean(text);

    if (!clean_label || !clean)
        return -ENOMEM;
    fprintf(screen->file, "%*s%-*s  ", (int) (depth * INDENT), "", (int) width, clean_label);
    return wrap_put(screen, STYLE_PLAIN, depth * INDENT + width + 2, clean);
}

static int put_heading(const Screen *screen, unsigned depth, const char *key)
{
    _cleanup_free_ char *clean = text_clean(key);

    if (!clean)
        return -ENOMEM;
    fprintf(screen->file, "%s%*s", depth == 0 ? "\n" : "", (int) (depth * INDENT), "");
    screen_put(screen, STYLE_BOLD, clean);
    fputc('\n', screen->file);
    return 0;
}

static bool has_parts(json_object *value)
{
    return json_object_is_type(value, json_type_object) || json_object_is_type(value, json_type_array);
}

/* Prints plain entries first, then each part under its heading. The recursion is as deep as the data from the
 * bus. */
static int put_object(const Screen *screen, unsigned depth, json_object *object);

static int put_array(const Screen *screen, unsigned depth, json_object *array)
{
    char text[TEXT_MAX];
    int r = 0;

    for (size_t i = 0; r >= 0 && i < json_object_array_length(array); i++) {
        json_object *value = json_object_array_get_idx(array, i);

        if (json_object_is_type(value, json_type_object)) {
            r = put_heading(screen, depth, json_text(value, "name") ?: "-");
            if (r >= 0)
                r = put_object(screen, depth + 1, value);
        } else {
            text_of(KIND_PLAIN, value, text);
            r = put_entry(screen, depth, "-", 0, text);
        }
    }
    return r;
}

static int put_object(const Screen *screen, unsigned depth, json_object *object)
{
    char label[LABEL_MAX], text[TEXT_MAX];
    size_t width = 0;
    int r = 0;

    json_object_object_foreach(object, key, value)
    {
        if (has_parts(value))
            continue;
        (void) label_of(key, label);
        width = MAX(width, strlen(label));
    }
    json_object_object_foreach(object, entry_key, entry)
    {
        if (r < 0 || has_parts(entry))
            continue;
        text_of(label_of(entry_key, label), entry, text);
        r = put_entry(screen, depth, label, width, text);
    }
    json_object_object_foreach(object, part_key, part)
    {
        if (r < 0 || !has_parts(part))
            continue;
        if (json_object_is_type(part, json_type_array) ? json_object_array_length(part) == 0
                                                       : json_object_object_length(part) == 0)
            continue;
        r = put_heading(screen, depth, part_key);
        if (r >= 0)
            r = json_object_is_type(part, json_type_array) ? put_array(screen, depth + 1, part)
                                                           : put_object(screen, depth + 1, part);
    }
    return r;
}

int print_tree(const Screen *screen, json_object *object)
{
    return put_object(screen, 0, object);
}
