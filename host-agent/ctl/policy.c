/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ballastctl policy …: all commands but `show` and `load` work without a daemon. */

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/fileio.h"
#include "base/nearest.h"
#include "host-agent/ctl/ctl.h"
#include "host-agent/ctl/print-plan.h"
#include "host-agent/ctl/print.h"
#include "host-agent/ctl/snapshot.h"
#include "host-agent/ctl/table.h"
#include "host-agent/decide/evaluate.h"

/* ---- Reading policies ---- */

/* The result of reading files. */
typedef struct Reading {
    Policy *policy; /* NULL: they have mistakes */
    PolicyDiagnostics diagnostics;
    char problem[PATH_MAX + 128]; /* a problem other than the files' content; else empty */
} Reading;

static void reading_done(Reading *r)
{
    policy_free(r->policy);
    policy_diagnostics_done(&r->diagnostics);
}

#define IS_STDIN(path) (strcmp((path), "-") == 0)

static const char *shown_path(const char *path)
{
    return IS_STDIN(path) ? "standard input" : path;
}

/* Standard input, to its end. *ret is the caller's to free, also on failure. */
static int read_stdin(size_t max, char **ret, size_t *ret_length)
{
    size_t size = 0;
    ssize_t n = fileio_read(STDIN_FILENO, false, max, ret, &size);

    if (n < 0)
        return (int) n;
    *ret_length = (size_t) n;
    return 0;
}

/* As policy_load_files(), but "-" is standard input. */
static int load_files(char **paths, size_t n, Reading *ret, const char **ret_failed)
{
    PolicySource sources[POLICY_FILES_MAX] = {};
    char *texts[POLICY_FILES_MAX] = {};
    int r = 0;

    for (size_t i = 0; i < n && r >= 0; i++) {
        sources[i].origin = *ret_failed = shown_path(paths[i]);
        r = IS_STDIN(paths[i])
                ? read_stdin(POLICY_SIZE_MAX, &texts[i], &sources[i].length)
                : fileio_read_regular(paths[i], POLICY_SIZE_MAX, &texts[i], &sources[i].length);
        sources[i].text = texts[i];
    }
    if (r >= 0)
        r = policy_load_sources(sources, n, &ret->diagnostics, &ret->policy);
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    return r;
}

/* Files that run together. -ENOMEM, else 0. */
static int read_policy(char **paths, size_t n, Reading *ret)
{
    Reading reading = {};
    const char *failed = NULL;
    int r;

    r = load_files(paths, n, &reading, &failed);
    if (r == -EFBIG)
        snprintf(reading.problem, sizeof(reading.problem), "%s: too large: a policy has at most %u KiB",
                 failed, POLICY_SIZE_MAX / 1024);
    else if (r < 0 && (r != -EINVAL || !reading.diagnostics.text))
        snprintf(reading.problem, sizeof(reading.problem), "%s: cannot be read: %s", failed,
                 fileio_strerror(r));
    if (r == -ENOMEM) {
        reading_done(&reading);
        return r;
    }
    *ret = reading;
    return 0;
}

/* The mistakes, or the warnings if there are none. */
static const PolicyDiagnostics *diagnostics_of(const Reading *r)
{
    return r->policy ? policy_warnings(r->policy) : &r->diagnostics;
}

/* Prints mistakes and warnings. */
static CtlExit tell_reading(const Ctl *c, const Reading *r)
{
    const char *text = diagnostics_of(r)->text;

    if (r->policy) {
        if (text)
            (void) screen_diagnostics(&c->client.errors, text);
        return CTL_EXIT_OK;
    }
    if (text)
        return client_fail_lines(&c->client, CLIENT_ERROR_BAD_POLICY, r->problem[0] ? r->problem : NULL,
                                 text);
    return client_fail(&c->client, CLIENT_ERROR_BAD_POLICY, NULL, "%s", r->problem);
}

static CtlExit too_many(const Ctl *c, int n)
{
    return n <= (int) POLICY_FILES_MAX ? CTL_EXIT_OK
                                       : client_fail(&c->client, CLIENT_ERROR_USAGE, NULL,
                                                     "at most %u files can run together", POLICY_FILES_MAX);
}

/* ---- check ---- */

/* A text of a file, which can have any bytes. NULL: out of memory, or there is none. */
static json_object *text_to_json(const char *text)
{
    _cleanup_free_ char *clean = text ? text_clean(text) : NULL;

    return clean ? json_object_new_string(clean) : NULL;
}

static int add_diagnostic(json_object *array, const PolicyDiagnostic *d)
{
    const struct {
        const char *key;
        json_object *value;
    } members[] = {{"file", text_to_json(d->file)},
                   {"line", json_object_new_int64(d->line)},
                   {"column", json_object_new_int64(d->column)},
                   {"severity", json_object_new_string(d->warning ? "warning" : "error")},
                   {"message", text_to_json(d->message)},
                   {"hint", text_to_json(d->hint)},
                   {"source", text_to_json(d->source)}};
    json_object *o = json_object_new_object();
    int r = o ? 0 : -ENOMEM;

    for (size_t i = 0; i < ELEMENTSOF(members); i++)
        if (r >= 0)
            r = json_add(o, members[i].key, members[i].value);
        else
            json_object_put(members[i].value);
    if (r >= 0 && json_object_array_add(array, o) >= 0)
        return 0;
    json_putp(&o);
    return -ENOMEM;
}

static int diagnostics_to_json(const PolicyDiagnostics *d, json_object **ret)
{
    _cleanup_(json_putp) json_object *array = json_object_new_array();
    int r = array ? 0 : -ENOMEM;

    for (unsigned i = 0; i < d->count && r >= 0; i++)
        r = add_diagnostic(array, &d->list[i]);
    if (r >= 0)
        *ret = TAKE_PTR(array);
    return r;
}

/* One entry of the answer: {"files": […], "good": …, "problem": …, "diagnostics": …}. */
static int add_check(json_object *array, char **paths, size_t n, const Reading *r)
{
    json_object *o = json_object_new_object(), *files = json_object_new_array(), *diagnostics = NULL;
    int e = o && files ? json_add(o, "files", files) : -ENOMEM;

    for (size_t i = 0; i < n && e >= 0; i++)
        e = json_object_array_add(files, json_object_new_string(paths[i]));
    if (e >= 0)
        e = json_add(o, "good", json_object_new_boolean(r->policy != NULL));
    if (e >= 0)
        e = json_add(o, "problem", r->problem[0] ? json_object_new_string(r->problem) : NULL);
    if (e >= 0)
        e = diagnostics_to_json(diagnostics_of(r), &diagnostics);
    if (e >= 0)
        e = json_add(o, "diagnostics", diagnostics);
    if (e >= 0 && json_object_array_add(array, o) >= 0)
        return 0;
    json_putp(&o);
    return -ENOMEM;
}

static bool has_warning(const Policy *p, const char *file)
{
    const PolicyDiagnostics *d = policy_warnings(p);

    for (unsigned i = 0; i < d->count; i++)
        if (strcmp(d->list[i].file, file) == 0)
            return true;
    return false;
}

/* Some files as one policy. Returns whether they are good, or -ENOMEM. */
static int check_files(Ctl *c, char **paths, size_t n, json_object *array)
{
    _cleanup_(reading_done) Reading r = {};

    if (read_policy(paths, n, &r) < 0)
        return -ENOMEM;
    if (c->client.json)
        return add_check(array, paths, n, &r) < 0 ? -ENOMEM : r.policy != NULL;
    if (tell_reading(c, &r) != CTL_EXIT_OK)
        return false;
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *clean = text_clean(shown_path(paths[i]));

        if (!clean)
            return -ENOMEM;
        printf("%s: %s\n", clean,
               has_warning(r.policy, shown_path(paths[i])) ? "can be used, but see the warning" : "good");
    }
    return true;
}

static CtlExit verb_check(Ctl *c, int n, char **arguments)
{
    bool together = c->given & CTL_OPTION_TOGETHER, good = true;
    _cleanup_(json_putp) json_object *array = json_object_new_array();
    CtlExit e = CTL_EXIT_OK;

    if (!array)
        return ctl_out_of_memory(c);
    if (together)
        e = too_many(c, n);
    if (e != CTL_EXIT_OK)
        return e;
    for (int i = 0; i < (together ? 1 : n); i++) {
        int r = check_files(c, arguments + i, together ? (size_t) n : 1, array);

        if (r < 0)
            return ctl_out_of_memory(c);
        good = good && r;
    }
    if (c->client.json)
        e = ctl_print_json(c, array);
    return e == CTL_EXIT_OK && !good ? CTL_EXIT_FAILED : e;
}

/* ---- fields ---- */

/* Whether a pattern asks for a field: "free", "guest.free", "g.free", "host.ksm", "swap": a name or the
 * beginning of one. */
static bool is_asked(bool host, const char *name, const char *pattern)
{
    static const char *const objects[2][3] = {{"guest.", "g."}, {"host."}};
    size_t length = strlen(pattern);

    for (size_t i = 0; objects[host][i]; i++) {
        const char *object = objects[host][i];
        size_t n = strlen(object);

        if (strncmp(pattern, object, MIN(n, length)) == 0 &&
            (length <= n ? length + 1 >= n : strncmp(name, pattern + n, length - n) == 0))
            return true;
    }
    return strncmp(name, pattern, length) == 0;
}

static const FieldInfo *info_of(bool host, int f)
{
    return host ? host_field_info((HostField) f) : guest_field_info((GuestField) f);
}

static int n_fields(bool host)
{
    return host ? (int) HOST_FIELD_MAX : (int) GUEST_FIELD_MAX;
}

static const char *kind_to_string(FieldKind k)
{
    return k == FIELD_KIND_CONTROL ? "control" : k == FIELD_KIND_COUNTER ? "counter" : "gauge";
}

static int add_field(json_object *array, bool host, const FieldInfo *info)
{
    const struct {
        const char *key, *text;
    } parts[] = {{"object", host ? "host" : "guest"},
                 {"name", info->name},
                 {"unit", field_unit_to_string(info->unit)},
                 {"kind", kind_to_string(info->kind)},
                 {"help", info->help}};
    json_object *o = json_object_new_object();
    int r = o ? 0 : -ENOMEM;

    for (size_t i = 0; i < ELEMENTSOF(parts) && r >= 0; i++)
        r = json_add(o, parts[i].key, json_object_new_string(parts[i].text));
    if (r >= 0 && json_object_array_add(array, o) >= 0)
        return 0;
    json_putp(&o);
    return -ENOMEM;
}

/* Adds the fields of a pattern, or all without one; a field is added only once. */
static int add_fields(json_object *array, const char *pattern, FieldSet added[static 2])
{
    for (int host = 1; host >= 0; host--)
        for (int f = 0; f < n_fields(host); f++) {
            const FieldInfo *info = info_of(host, f);

            if ((pattern && !is_asked(host, info->name, pattern)) || field_set_has(&added[host], f))
                continue;
            field_set_add(&added[host], f);
            if (add_field(array, host, info) < 0)
                return -ENOMEM;
        }
    return 0;
}

static CtlExit find_field(const Ctl *c, const char *pattern)
{
    char hint[NEAREST_NAME_MAX + 32] = "ballastctl policy fields lists all";
    Nearest near;

    for (int host = 0; host < 2; host++)
        for (int f = 0; f < n_fields(host); f++)
            if (is_asked(host, info_of(host, f)->name, pattern))
                return CTL_EXIT_OK;
    nearest_init(&near, pattern, strlen(pattern));
    for (int host = 0; host < 2; host++)
        for (int f = 0; f < n_fields(host); f++)
            nearest_offer(&near, info_of(host, f)->name);
    if (near.best)
        snprintf(hint, sizeof(hint), "did you mean '%s'?", near.best);
    return client_fail(&c->client, CLIENT_ERROR_NO_SUCH_FIELD, hint, "no stat or control has the name '%s'",
                       pattern);
}

static int print_fields(const Screen *screen, json_object *fields)
{
    static const TableColumn columns[] = {
        {"OBJECT", false}, {"NAME", false}, {"UNIT", false}, {"KIND", false}, {"HELP", false, .cut = true}};
    static const char *const keys[] = {"object", "name", "unit", "kind", "help"};
    _cleanup_(table_freep) Table *t = NULL;
    int r;

    r = table_new(columns, ELEMENTSOF(columns), 0, &t);
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_object_array_length(fields); i++) {
        json_object *field = json_object_array_get_idx(fields, i);
        bool control = strcmp(json_text(field, "kind"), "control") == 0;

        for (size_t k = 0; k < ELEMENTSOF(keys); k++)
            table_add(t,
                      k == 1              ? STYLE_BOLD
                      : k == 3 && control ? STYLE_CYAN
                                          : STYLE_PLAIN,
                      json_text(field, keys[k]));
    }
    return table_print(t, screen);
}

static CtlExit verb_fields(Ctl *c, int n, char **arguments)
{
    _cleanup_(json_putp) json_object *array = json_object_new_array();
    FieldSet added[2] = {};
    int r = array ? 0 : -ENOMEM;

    for (int i = 0; i < n; i++) {
        CtlExit e = find_field(c, arguments[i]);

        if (e != CTL_EXIT_OK)
            return e;
    }
    for (int i = 0; i < MAX(n, 1) && r >= 0; i++)
        r = add_fields(array, n > 0 ? arguments[i] : NULL, added);
    if (r < 0)
        return ctl_out_of_memory(c);
    if (n > 0)
        c->screen.width = 0; /* a request for one field shows its whole help */
    return ctl_show(c, array, print_fields);
}

/* ---- show and load ---- */

static CtlExit verb_show(Ctl *c, int n, char **arguments)
{
    _cleanup_(json_putp) json_object *policy = NULL;
    json_object *files;
    CtlExit e;

    e = client_call(&c->client, "GetPolicy", NULL, &policy);
    if (e != CTL_EXIT_OK)
        return e;
    files = json_find(policy, "files");
    for (size_t i = 0; files && !(c->given & CTL_OPTION_TEXT) && i < json_object_array_length(files); i++)
        json_object_object_del(json_object_array_get_idx(files, i), "text");
    return ctl_show(c, policy, print_policy);
}

/* D-Bus can't carry anything else. */
static CtlExit check_text(const Ctl *c, const Policy *p)
{
    for (size_t i = 0; i < policy_n_files(p); i++) {
        PolicyFile f = policy_file(p, i);

        if (text_is_utf8(f.origin, strlen(f.origin)) && text_is_utf8(f.text, f.length))
            continue;
        return client_fail(&c->client, CLIENT_ERROR_BAD_POLICY, NULL,
                           "%s: cannot be sent to ballastd: its name and its content must be UTF-8 text",
                           f.origin);
    }
    return CTL_EXIT_OK;
}

static CtlExit verb_load(Ctl *c, int n, char **arguments)
{
    _cleanup_(reading_done) Reading r = {};
    _cleanup_(json_putp) json_object *answer = NULL;
    char *paths[POLICY_FILES_MAX] = {};
    json_object *warnings = NULL;
    CtlExit e;
    int error;

    e = too_many(c, n);
    if (e != CTL_EXIT_OK)
        return e;
    /* Absolute paths: the daemon shows them to users in other folders. */
    for (int i = 0; i < n; i++)
        paths[i] = (IS_STDIN(arguments[i]) ? NULL : realpath(arguments[i], NULL)) ?: strdup(arguments[i]);
    error = read_policy(paths, (size_t) n, &r);
    for (int i = 0; i < n; i++)
        free(paths[i]);
    if (error < 0)
        return ctl_out_of_memory(c);
    e = tell_reading(c, &r);
    if (e == CTL_EXIT_OK)
        e = check_text(c, r.policy);
    if (e == CTL_EXIT_OK)
        e = client_load_policy(&c->client, r.policy, &answer);
    if (e != CTL_EXIT_OK)
        return e;
    if (json_object_is_type(answer, json_type_object) &&
        (diagnostics_to_json(policy_warnings(r.policy), &warnings) < 0 ||
         json_add(answer, "warnings", warnings) < 0))
        return ctl_out_of_memory(c);
    return ctl_show_done(c, answer);
}

/* ---- run ---- */

/* "-": standard input. *ret is the caller's to free, also on failure. */
static int read_snapshot_file(const char *path, char **ret, size_t *ret_length)
{
    _cleanup_close_ int opened = -EBADF;
    size_t size = 0;
    ssize_t n;

    if (IS_STDIN(path))
        return read_stdin(SNAPSHOT_FILE_MAX, ret, ret_length);
    opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (opened < 0)
        return -errno;
    n = fileio_read(opened, false, SNAPSHOT_FILE_MAX, ret, &size);
    if (n < 0)
        return (int) n;
    *ret_length = (size_t) n;
    return 0;
}

static void warn(const Ctl *c, const char *path, const char *warnings)
{
    for (const char *line = warnings; line && *line;) {
        int length = (int) strcspn(line, "\n");

        client_warn(&c->client, "%s: %.*s", path, length, line);
        line += length + (line[length] == '\n');
    }
}

static CtlExit load_snapshot(const Ctl *c, const char *path, const Policy *policy, SnapshotFile *ret)
{
    const char *shown = shown_path(path);
    _cleanup_free_ char *text = NULL;
    char error[JSON_ERROR_MAX];
    size_t length = 0;
    int r;

    r = read_snapshot_file(path, &text, &length);
    if (r >= 0) {
        r = snapshot_parse(text, length, policy, ret, error);
        if (r == -EINVAL)
            return client_fail(&c->client, CLIENT_ERROR_BAD_SNAPSHOT, NULL, "%s: %s", shown, error);
    }
    if (r == -EFBIG)
        return client_fail(&c->client, CLIENT_ERROR_BAD_SNAPSHOT, NULL,
                           "%s: too large: a snapshot has at most %u MiB", shown,
                           SNAPSHOT_FILE_MAX / 1024 / 1024);
    if (r < 0)
        return client_fail(&c->client, CLIENT_ERROR_BAD_SNAPSHOT, NULL, "%s: cannot be read: %s", shown,
                           strerror(-r));
    warn(c, shown, ret->warnings);
    return CTL_EXIT_OK;
}

static CtlExit show_plan(Ctl *c, const SnapshotFile *f, const Policy *policy)
{
    _cleanup_(json_putp) json_object *o = NULL;
    _cleanup_(plan_done) Plan plan = {};
    CtlExit e;

    if (plan_make(&f->snapshot, policy, &f->guard, &plan) < 0 ||
        plan_to_json(&plan, &f->snapshot, policy, &o) < 0)
        return ctl_out_of_memory(c);
    e = ctl_show(c, o, print_plan);
    return e == CTL_EXIT_OK && plan.policy_error < 0 ? CTL_EXIT_FAILED : e;
}

static CtlExit verb_run(Ctl *c, int n, char **arguments)
{
    _cleanup_(reading_done) Reading r = {};
    SnapshotFile f = {};
    CtlExit e;

    if (!c->snapshot)
        return client_fail(
            &c->client, CLIENT_ERROR_USAGE,
            "FILE is the output of ballastctl dump --json, or as in ballast-snapshot(5); - is standard input",
            "policy run needs --snapshot=FILE");
    for (int i = 0; i < n; i++)
        if (IS_STDIN(arguments[i]) && IS_STDIN(c->snapshot))
            return client_fail(&c->client, CLIENT_ERROR_USAGE, NULL,
                               "standard input can be the policy or the snapshot, not both");
    e = too_many(c, n);
    if (e != CTL_EXIT_OK)
        return e;
    if (read_policy(arguments, (size_t) n, &r) < 0)
        return ctl_out_of_memory(c);
    e = tell_reading(c, &r);
    if (e == CTL_EXIT_OK)
        e = load_snapshot(c, c->snapshot, r.policy, &f);
    if (e == CTL_EXIT_OK)
        e = show_plan(c, &f, r.policy);
    snapshot_file_done(&f);
    return e;
}

#define ANY 1000000 /* arguments */

const Verb ctl_policy_verbs[CTL_N_POLICY_VERBS] = {
    {"check", "FILE… [--together]", "check policy files for mistakes, without a daemon", 1, ANY, verb_check,
     "Prints all mistakes on standard error, each with its file, line and column. Each file is checked by "
     "itself, or with --together all of them as one policy: then two files that assign to the same control are "
     "refused, as by ballastd. FILE - is standard input. Exit status: 0 all are good, also with warnings, 1 at "
     "least one is not.\n\n"
     "  ballastctl policy check my.policy\n"
     "  ballastctl policy check --together my.policy ksm.policy\n",
     .options = CTL_OPTION_TOGETHER},
    {"fields", "[NAME…]", "list what a policy can read and assign to", 0, ANY, verb_fields,
     "Prints all stats and controls, or those whose name begins with NAME, with or without their object. KIND is "
     "gauge (the current value), counter (since boot: use its rate()), or control (can be assigned to).\n\n"
     "  ballastctl policy fields\n"
     "  ballastctl policy fields host.ksm free\n"
     "  ballastctl policy fields --json | jq '.[] | select(.kind == \"control\")'\n"},
    {"show", "[--text]", "print the policy that ballastd runs, its origin and its messages", 0, 0, verb_show,
     "Prints its files, the controls that each assigns to, and from the last cycle what was undone and logged. "
     "With --text it prints the files themselves, as ballastd read them.\n\n"
     "  ballastctl policy show\n"
     "  ballastctl policy show --text > in-force.policy\n",
     .options = CTL_OPTION_TEXT},
    {"load", "FILE…", "make ballastd run other policy files for now", 1, ANY, verb_load,
     "Sends the files to ballastd, where they replace all running ones at once; if one of them has a mistake, "
     "nothing changes. They run until ballastd restarts or is reloaded (ballastctl reload). To keep them, name "
     "them in Files= under [Policy] in ballastd.conf. FILE - is standard input. Only root may do this.\n\n"
     "  sudo ballastctl policy load my.policy\n"
     "  sudo ballastctl policy load my.policy /usr/share/ballast/policy/ksm.policy\n"
     "  sudo ballastctl reload\n"},
    {"run", "FILE… --snapshot=FILE", "print what a policy would do, without a daemon", 1, ANY, verb_run,
     "Runs the policy once on a snapshot of a host and its guests, and prints the plan with its reasons; with "
     "--json also the line that decided and what it read. A snapshot is the output of ballastctl dump --json, or "
     "a few lines written by hand: ballast-snapshot(5). FILE - is standard input. Exit status: 1 if the policy "
     "has a mistake or fails as a whole, or if the snapshot can't be read.\n\n"
     "  ballastctl dump --json | ballastctl policy run my.policy --snapshot=-\n"
     "  ballastctl policy run my.policy --snapshot=short-host.json --json\n",
     .options = CTL_OPTION_SNAPSHOT},
};
