/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The running policy: reads it from files, and puts it in place of another. */

#include "host-agent/daemon/policies.h"

#include <dirent.h>
#include <string.h>

#include "base/fileio.h"
#include "base/log.h"
#include "base/nearest.h"
#include "host-agent/config/config-load.h"
#include "host-agent/decide/view.h"

#define BLANK     " \t"
#define SUFFIX    ".policy"
#define NAMED_MAX 256 /* the names of the files, as they are shown in a message */

/* Splits a text such as "balloon.policy /etc/ballast/my.policy" into paths; a name without a folder is one of
 * the installed policies. The caller frees all of ret, also on failure. */
static int split_files(const char *text, char *ret[static POLICY_FILES_MAX], size_t *ret_n)
{
    size_t n = 0;

    for (text += strspn(text, BLANK); *text; text += strspn(text, BLANK)) {
        int length = (int) strcspn(text, BLANK);

        if (n == POLICY_FILES_MAX)
            return -E2BIG;
        if (asprintf(&ret[n], "%s%.*s", *text == '/' ? "" : BALLAST_POLICY_DIR "/", length, text) < 0) {
            ret[n] = NULL;
            return -ENOMEM;
        }
        n++;
        text += length;
    }
    *ret_n = n;
    return 0;
}

static int is_policy(const struct dirent *e)
{
    size_t length = strlen(e->d_name), suffix = strlen(SUFFIX);

    return length > suffix && strcmp(e->d_name + length - suffix, SUFFIX) == 0;
}

void policies_hint(const char *folder, const char *name, bool whole, char hint[static POLICIES_HINT_MAX])
{
    struct dirent **list = NULL;
    int n = scandir(folder, &list, is_policy, alphasort);
    Nearest near;

    nearest_init(&near, name, strlen(name));
    for (int i = 0; i < n; i++)
        nearest_offer(&near, list[i]->d_name);
    if (n <= 0)
        snprintf(
            hint, POLICIES_HINT_MAX,
            "; no policy is installed in %s: install Ballast, or name a file with --policy FILE or in Files=",
            folder);
    else if (near.best)
        snprintf(hint, POLICIES_HINT_MAX, "; did you mean %s%s%s?", whole ? folder : "", whole ? "/" : "",
                 near.best);
    else
        snprintf(hint, POLICIES_HINT_MAX, "; the installed policies are in %s", folder);
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

/* What is read: the files, and where they are named, for messages. */
typedef struct Reading {
    Findings *findings;
    const char *path; /* the configuration, or NULL */
    unsigned line;
    const char *named; /* "Files=balloon.policy: " */
} Reading;

static void tell_unreadable(const Reading *x, const char *path, int error)
{
    static const char folder[] = BALLAST_POLICY_DIR "/";
    const char *name = strncmp(path, folder, strlen(folder)) == 0 ? path + strlen(folder) : path;
    char hint[POLICIES_HINT_MAX] = "";

    if (error == -ENOENT && !strchr(name, '/'))
        policies_hint(BALLAST_POLICY_DIR, name, name == path, hint);
    if (error == -EFBIG)
        findings_add(x->findings, LOG_ERR, x->path, x->line,
                     "%scannot load the policy %s: it has more than %u KiB", x->named, path,
                     POLICY_SIZE_MAX / 1024);
    else
        findings_add(x->findings, LOG_ERR, x->path, x->line, "%scannot load the policy %s: %s%s", x->named,
                     path, fileio_strerror(error), hint);
}

static void tell_diagnostics(Findings *f, int level, const PolicyDiagnostics *d)
{
    for (const char *line = d->text; line && *line;) {
        int length = (int) strcspn(line, "\n");

        findings_add(f, level, NULL, 0, "%.*s", length, line);
        line += length + (line[length] == '\n');
    }
}

static int read_files(const Reading *x, const char *const *paths, size_t n, FileMark *marks, Policy **ret)
{
    PolicyDiagnostics d = {};
    const char *failed = NULL;
    int r = 0;

    for (size_t i = 0; i < n && r >= 0; i++)
        r = file_mark_set(&marks[i], paths[i]);
    if (r >= 0)
        r = policy_load_files(paths, n, &d, ret, &failed);
    if (r == -EINVAL && d.text)
        tell_diagnostics(x->findings, LOG_ERR, &d);
    else if (r < 0)
        tell_unreadable(x, failed ? failed : paths[0], r);
    if (r >= 0)
        tell_diagnostics(x->findings, LOG_WARNING, policy_warnings(*ret));
    policy_diagnostics_done(&d);
    return r;
}

static int read_named(const ManagerOptions *o, Findings *f, FileMark *marks, Policy **ret)
{
    return read_files(&(Reading){.findings = f, .named = "--policy: "}, o->policy_paths, o->n_policy_paths,
                      marks, ret);
}

static int read_configured(const Config *c, Findings *f, FileMark *marks, Policy **ret)
{
    unsigned line = config_line(c, &c->policy_files);
    char named[NAMED_MAX], *paths[POLICY_FILES_MAX] = {};
    Reading x = {.findings = f, .named = ""};
    size_t n = 0;
    int r;

    if (line > 0) {
        snprintf(named, sizeof(named), "Files=%s: ", c->policy_files);
        x = (Reading){.findings = f, .path = c->path, .line = line, .named = named};
    }
    r = split_files(c->policy_files, paths, &n);
    if (r == -E2BIG)
        findings_add(f, LOG_ERR, x.path, line, "Files= names more than %u files", POLICY_FILES_MAX);
    else if (r < 0)
        log_oom();
    else
        r = read_files(&x, (const char *const *) paths, n, marks, ret);
    for (size_t i = 0; i < POLICY_FILES_MAX; i++)
        free(paths[i]);
    return r;
}

int policies_read(const ManagerOptions *o, const Config *c, Findings *f,
                  FileMark marks[static POLICY_FILES_MAX], Policy **ret, char **ret_origin)
{
    _cleanup_(policy_freep) Policy *p = NULL;
    const char *where = o->n_policy_paths > 0 ? "the command line"
                        : c->path             ? c->path
                                              : "the default configuration";
    char *origin;
    int r;

    r = o->n_policy_paths > 0 ? read_named(o, f, marks, &p) : read_configured(c, f, marks, &p);
    if (r < 0)
        return r;
    origin = strdup(where);
    if (!origin)
        return log_oom();
    *ret_origin = origin;
    *ret = TAKE_PTR(p);
    return 0;
}

void running_policy_done(RunningPolicy *p)
{
    policy_free(p->policy);
    free(p->origin);
    policy_keep_done(&p->keep);
    node_keep_done(&p->nodes);
    *p = (RunningPolicy){};
}

/* Makes copies that fit the new policy, for the guests in order and then for the host. The originals stay
 * valid in case this fails half-way. */
static int fit_keeps(const RunningPolicy *p, const Guests *guests, const Policy *policy, PolicyKeep **ret)
{
    _cleanup_free_ PolicyKeep *keeps = calloc(guests->n + 1, sizeof(*keeps));
    int r = keeps ? 0 : -ENOMEM;

    for (size_t i = 0; i <= guests->n && r >= 0; i++) {
        const PolicyKeep *now = i < guests->n ? &guests->entries[i].guest->keep : &p->keep;

        r = policy_keep_copy(&keeps[i], i == guests->n, now, policy, p->policy);
    }
    if (r >= 0) {
        *ret = TAKE_PTR(keeps);
        return 0;
    }
    for (size_t i = 0; keeps && i <= guests->n; i++)
        policy_keep_done(&keeps[i]);
    return r;
}

int running_policy_replace(RunningPolicy *p, Guests *guests, Policy **policy, char **origin)
{
    _cleanup_free_ PolicyKeep *keeps = NULL;
    NodeKeep nodes = {};
    int r;

    r = node_keep_copy(&nodes, &p->nodes, *policy, p->policy);
    if (r >= 0)
        r = fit_keeps(p, guests, *policy, &keeps);
    if (r < 0) {
        node_keep_done(&nodes);
        return log_oom();
    }
    for (size_t i = 0; i < guests->n; i++) {
        guest_replace_keep(guests->entries[i].guest, &keeps[i]);
        guest_forget_words(guests->entries[i].guest);
    }
    policy_keep_done(&p->keep);
    p->keep = keeps[guests->n];
    node_keep_done(&p->nodes);
    p->nodes = nodes;
    policy_free(p->policy);
    p->policy = TAKE_PTR(*policy);
    free(p->origin);
    p->origin = TAKE_PTR(*origin);
    p->usec = now_usec(CLOCK_MONOTONIC);
    return 0;
}

void running_policy_forget_history(RunningPolicy *p)
{
    series_set_clear(&p->keep.history);
}

void running_policy_keep(RunningPolicy *p, const Snapshot *s, const Plan *plan)
{
    HostFields host;

    policy_keep_state(&p->keep, true, p->policy, plan->state);
    node_keep_update(&p->nodes, p->policy, plan);
    view_host_fields(s, &host);
    series_set_add_host(&p->keep.history, s->now_usec, &host);
}

FieldSet running_policy_controls(const RunningPolicy *p)
{
    return policy_controls(p->policy, true);
}
