/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/act/host-ksm.h"

#include <inttypes.h>
#include <limits.h>

#include "base/log.h"
#include "host-agent/daemon/manager.h"
#include "host-agent/sense/ksm.h"
#include "host-agent/show/journal.h"

/* Gone with the host's boot, as are the controls' values. false: there is none. */
static bool remembered_path(const Manager *m, char *buf, size_t size)
{
    const char *folder = getenv("RUNTIME_DIRECTORY"), *user = getenv("XDG_RUNTIME_DIR");

    if (folder)
        return (size_t) snprintf(buf, size, "%s/ksm", folder) < size;
    if (!m->options.session)
        return (size_t) snprintf(buf, size, "/run/ballast/ksm") < size;
    return user && (size_t) snprintf(buf, size, "%s/ballast/ksm", user) < size;
}

int host_ksm_start(Manager *m)
{
    char path[PATH_MAX];
    bool known = remembered_path(m, path, sizeof(path));
    int r, error;

    r = ksm_new(m->options.sys_root, known ? path : NULL, &error, &m->ksm);
    if (r < 0)
        return r;
    if (error < 0)
        log_warning_errno(
            -error,
            "Cannot take from %s what KSM's controls were before Ballast: %m; what a ballastd that ended before set them to is taken for that",
            path);
    return 0;
}

void host_ksm_sense(Manager *m)
{
    KsmState s;
    int r = ksm_read(m->options.sys_root, &s);

    if (r >= 0)
        ksm_fields(&s, &m->host);
    if (r < 0 && r != -ENOENT && m->ksm_error != r)
        log_warning_errno(-r, "Cannot read KSM's state below %s: %m; it is taken for a kernel without KSM",
                          m->options.sys_root);
    m->ksm_error = r;
}

/* Those that the policy in force may change. */
static uint64_t assigned(const Manager *m)
{
    uint64_t controls = 0;

    for (size_t i = 0; i < policy_n_files(m->policy); i++)
        controls |= policy_file(m->policy, i).host_controls;
    return controls;
}

/* KSM and what is remembered of it are another ballastd's, beside which this one isn't meant to act. What is
 * remembered is read anew once that one has gone: it went on writing. */
static bool is_anothers(Manager *m)
{
    bool now = m->neighbours.of[NEIGHBOUR_BALLASTD].present && !m->neighbours.of[NEIGHBOUR_BALLASTD].accepted;

    if (!now && m->ksm_anothers) {
        Ksm *old = m->ksm;

        if (host_ksm_start(m) < 0)
            return true;
        ksm_free(old);
    }
    m->ksm_anothers = now;
    return now;
}

static void tell(Manager *m, const KsmChange *changes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        journal_ksm(m, &changes[i]);
}

/* As with guests: told once, and again when it is another decision. */
static void tell_observed(Manager *m)
{
    for (size_t i = 0; i < m->plan.n_host; i++) {
        const HostDecision *d = &m->plan.host[i];
        double stands = host_fields_get(&m->host, d->control);
        unsigned key = d->send || d->value == stands ? 0 : d->line << 2 | (d->value > stands ? 2 : 1);

        if (key != 0 && m->ksm_told[d->control] != key)
            log_info("KSM: %s", d->reason);
        m->ksm_told[d->control] = key;
    }
}

void host_ksm_apply(Manager *m)
{
    bool acts = m->mode == GUEST_MODE_AUTO;
    KsmChange changes[KSM_CHANGES_MAX];

    tell_observed(m);
    /* Before libvirt was there, other ballastds aren't known, nor are guests while it isn't. */
    if (!m->neighbours.lock_name[0] || is_anothers(m))
        return;
    tell(m, changes, ksm_restore(m->ksm, acts ? assigned(m) : 0, changes));
    if (acts && m->connected)
        tell(m, changes, ksm_apply(m->ksm, m->plan.host, m->plan.n_host, changes));
}

void host_ksm_stop(Manager *m)
{
    KsmChange changes[KSM_CHANGES_MAX];

    if (!is_anothers(m))
        tell(m, changes, ksm_restore(m->ksm, 0, changes));
}
