/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The running policy: reads it from files, and puts it in place of another. */

#include "host-agent/daemon/policies.h"

#include <string.h>

#include "base/fileio.h"
#include "base/log.h"
#include "host-agent/decide/view.h"

#define BLANK " \t"

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

int policies_read(const char *const *named, size_t n_named, const Config *c, const char *config_path,
                  Policy **ret, char **ret_origin)
{
    _cleanup_(policy_freep) Policy *p = NULL;
    char *paths[POLICY_FILES_MAX] = {};
    const char *where;
    size_t n = 0;
    int r;

    if (n_named > 0) {
        where = "the command line";
        r = read_files(named, n_named, &p);
    } else {
        where = config_path ? config_path : "the default configuration";
        r = split_files(c->policy_files, paths, &n);
        if (r == -E2BIG)
            log_error("[Policy] Files= names more than %u files", POLICY_FILES_MAX);
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

void running_policy_done(RunningPolicy *p)
{
    policy_free(p->policy);
    free(p->origin);
    policy_keep_done(&p->keep);
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
    int r;

    r = fit_keeps(p, guests, *policy, &keeps);
    if (r < 0)
        return log_oom();
    for (size_t i = 0; i < guests->n; i++) {
        guest_replace_keep(guests->entries[i].guest, &keeps[i]);
        guest_forget_words(guests->entries[i].guest);
    }
    policy_keep_done(&p->keep);
    p->keep = keeps[guests->n];
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
    view_host_fields(s, &host);
    series_set_add_host(&p->keep.history, s->now_usec, &host);
}

FieldSet running_policy_controls(const RunningPolicy *p)
{
    return policy_controls(p->policy, true);
}
