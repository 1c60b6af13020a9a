/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/daemon/policies.h"

#include <string.h>

#include "base/fileio.h"
#include "base/log.h"
#include "host-agent/daemon/manager.h"

#define BLANK " \t"

/* The paths of "balloon.policy /etc/ballast/my.policy": a bare name is of the folder of those installed. All
 * of *ret are the caller's to free, also on failure. */
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

static void log_diagnostics(const PolicyDiagnostics *d)
{
    for (const char *line = d->text; line && *line;) {
        int length = (int) strcspn(line, "\n");

        log_error("%.*s", length, line);
        line += length + (line[length] == '\n');
    }
}

static int read_files(const char *const *paths, size_t n, Policy **ret)
{
    PolicyDiagnostics d = {};
    const char *failed = NULL;
    int r = policy_load_files(paths, n, &d, ret, &failed);

    if (r == -EINVAL && d.text)
        log_diagnostics(&d);
    else if (r == -EFBIG)
        log_error("Cannot load the policy %s: it has more than %u KiB", failed ? failed : paths[0],
                  POLICY_SIZE_MAX / 1024);
    else if (r < 0)
        log_error_errno(-r, "Cannot load the policy %s: %s", failed ? failed : paths[0], fileio_strerror(r));
    policy_diagnostics_done(&d);
    return r;
}

int policies_read(const ManagerOptions *o, const Config *c, const char *config_path, Policy **ret,
                  char **ret_origin)
{
    _cleanup_(policy_freep) Policy *p = NULL;
    char *paths[POLICY_FILES_MAX] = {};
    const char *where;
    size_t n = 0;
    int r;

    if (o->n_policy_paths > 0) {
        where = "the command line";
        r = read_files(o->policy_paths, o->n_policy_paths, &p);
    } else {
        where = config_path ? config_path : "the default configuration";
        r = split_files(c->policy_files, paths, &n);
        if (r == -E2BIG)
            log_error("[Policy] Files= has more than %u files", POLICY_FILES_MAX);
        else if (r < 0)
            log_oom();
        else
            r = read_files((const char *const *) paths, n, &p);
        for (size_t i = 0; i < POLICY_FILES_MAX; i++)
            free(paths[i]);
    }
    if (r < 0)
        return r;
    *ret_origin = strdup(where);
    if (!*ret_origin)
        return log_oom();
    *ret = TAKE_PTR(p);
    return 0;
}

/* Decisions and plan borrow their words from the policy that made them; what was told of it says nothing of
 * the next. */
static void forget_words(Manager *m)
{
    for (size_t i = 0; i < m->n_guests; i++) {
        Decision *d = &m->guests[i]->decision;

        d->because = d->file = NULL;
        d->n_reads = 0;
    }
    m->notes_told = 0;
    m->plan.n_host = m->plan.n_notes = m->plan.notes_total = m->plan.n_logs = m->plan.logs_total = 0;
}

int policies_replace(Manager *m, Policy **policy, char **origin)
{
    _cleanup_free_ PolicyKeep *keeps = calloc(m->n_guests + 1, sizeof(*keeps));
    int r = keeps ? 0 : -ENOMEM;

    /* All are fitted as copies first, for it may fail half-way. */
    for (size_t i = 0; i <= m->n_guests && r >= 0; i++) {
        const PolicyKeep *now = i < m->n_guests ? &m->guests[i]->keep : &m->keep;

        r = policy_keep_copy(&keeps[i], i == m->n_guests, now, *policy, m->policy);
    }
    if (r < 0) {
        for (size_t i = 0; keeps && i <= m->n_guests; i++)
            policy_keep_done(&keeps[i]);
        return log_oom();
    }
    for (size_t i = 0; i <= m->n_guests; i++) {
        PolicyKeep *k = i < m->n_guests ? &m->guests[i]->keep : &m->keep;

        policy_keep_done(k);
        *k = keeps[i];
    }
    forget_words(m);
    policy_free(m->policy);
    m->policy = TAKE_PTR(*policy);
    free(m->policy_origin);
    m->policy_origin = TAKE_PTR(*origin);
    m->policy_usec = now_usec(CLOCK_MONOTONIC);
    return 0;
}

int manager_load_policy(Manager *m, const PolicySource *sources, size_t n, const char *by,
                        PolicyDiagnostics *diagnostics)
{
    _cleanup_(policy_freep) Policy *p = NULL;
    _cleanup_free_ char *origin = NULL;
    int r = policy_load_sources(sources, n, diagnostics, &p);

    if (r < 0)
        return r;
    if (asprintf(&origin, "loaded by %s", by) < 0) {
        origin = NULL;
        return -ENOMEM;
    }
    r = policies_replace(m, &p, &origin);
    if (r < 0)
        return r;
    log_notice("Policy %s from now on, %s; the next reload goes back to the configured one",
               policy_name(m->policy), m->policy_origin);
    manager_wake(m);
    return 0;
}
