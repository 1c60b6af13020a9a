/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the configuration and the policy, and finds out what the daemon can't do, or would not do, as written. */

#include "host-agent/daemon/load.h"

#include <string.h>
#include <syslog.h>

#include "base/fileio.h"
#include "host-agent/config/config-load.h"
#include "host-agent/daemon/policies.h"
#include "host-agent/sense/host-watch.h"

void file_marks_done(FileMarks *m)
{
    file_mark_done(&m->config);
    for (size_t i = 0; i < POLICY_FILES_MAX; i++)
        file_mark_done(&m->policies[i]);
}

void loaded_done(Loaded *l)
{
    config_free(l->config);
    cgroup_free(l->scope);
    policy_free(l->policy);
    free(l->origin);
    file_marks_done(&l->marks);
    *l = (Loaded){};
}

static void on_finding(void *userdata, int level, const char *path, unsigned line, const char *text)
{
    findings_add(userdata, level, path, line, "%s", text);
}

static int load_config(const ManagerOptions *o, Findings *f, Loaded *l)
{
    const char *path = o->config_path ? o->config_path : BALLAST_CONFIG_FILE;
    int r = file_mark_set(&l->marks.config, path);

    if (r >= 0)
        r = config_load(path, on_finding, f, &l->config);
    if (r == -ENOENT && !o->config_path)
        r = config_new(&l->config);
    if (r < 0 && r != -EINVAL) /* that was reported */
        findings_add(f, LOG_ERR, path, 0, "cannot be read: %s", fileio_strerror(r));
    return r;
}

/* Settings in whose place the command line counts. */
static void tell_overridden(const ManagerOptions *o, const Config *c, Findings *f)
{
    const struct {
        const char *key, *option;
        const void *member;
        bool overridden;
    } rows[] = {
        {"Mode", "--mode", &c->mode, o->mode != GUEST_MODE_INVALID && o->mode != c->mode},
        {"Connect", "--connect", &c->connect, o->connect && strcmp(o->connect, c->connect) != 0},
        {"LogLevel", "--log-level", &c->log_level, o->log_level >= 0 && o->log_level != c->log_level},
        {"Files", "--policy", &c->policy_files, o->n_policy_paths > 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        unsigned line = config_line(c, rows[i].member);

        if (rows[i].overridden && line > 0)
            findings_add(f, LOG_NOTICE, c->path, line, "%s= is ignored, because the command line has %s",
                         rows[i].key, rows[i].option);
    }
}

static int check_host(const ManagerOptions *o, Findings *f, Loaded *l)
{
    const Config *c = l->config;
    char why[HOST_WATCH_WHY_MAX];
    int r;

    r = host_watch_find_scope(o->proc_root, c->scope, &l->scope, why);
    if (r < 0) {
        findings_add(f, LOG_ERR, c->path, config_line(c, &c->scope), "Scope=%s: %s", c->scope, why);
        return r;
    }
    r = host_watch_check_reserve(o->proc_root, l->scope, c->reserve, &c->guard, why);
    if (r < 0)
        findings_add(f, LOG_ERR, c->path, config_line(c, &c->reserve), "Reserve=: %s", why);
    return r;
}

int load_files(const ManagerOptions *o, Findings *f, Loaded *ret)
{
    int r, host;

    r = load_config(o, f, ret);
    if (r < 0)
        return r;
    tell_overridden(o, ret->config, f);
    host = check_host(o, f, ret);
    r = policies_read(o, ret->config, f, ret->marks.policies, &ret->policy, &ret->origin);
    return host < 0 ? host : r;
}
