/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KSM in the cycle: sets it as the plan says, and restores it. */

#include "host-agent/act/host-ksm.h"

#include <limits.h>
#include <string.h>

#include "base/fileio.h"
#include "base/log.h"

/* The file with KSM's original settings. It must not survive a reboot of the host, because the settings don't
 * either. False: there is no folder for it. */
static bool remembered_path(const HostKsm *k, char *buf, size_t size)
{
    const char *folder = getenv("RUNTIME_DIRECTORY"), *user = getenv("XDG_RUNTIME_DIR");

    if (folder)
        return (size_t) snprintf(buf, size, "%s/ksm", folder) < size;
    if (!k->session)
        return (size_t) snprintf(buf, size, "/run/ballast/ksm") < size;
    return user && (size_t) snprintf(buf, size, "%s/ballast/ksm", user) < size;
}

/* Reads the file of original settings again, and forgets what was known. */
static int start(HostKsm *k)
{
    char path[PATH_MAX];
    bool known = remembered_path(k, path, sizeof(path));
    Ksm *old = k->ksm;
    int r, error;

    r = ksm_new(k->sys_root, known ? path : NULL, &error, &k->ksm);
    if (r < 0)
        return r;
    ksm_free(old);
    if (error < 0)
        log_warning(
            "Cannot read the saved KSM settings from %s: %s; treating the current settings as the originals, although an earlier ballastd may have changed them",
            path, fileio_strerror(error));
    return 0;
}

int host_ksm_init(HostKsm *k, const char *sys_root, bool session, const HostFields *fields,
                  const Audience *audience)
{
    *k = (HostKsm){.sys_root = sys_root, .session = session, .fields = fields, .audience = audience};
    return start(k);
}

void host_ksm_done(HostKsm *k)
{
    ksm_free(k->ksm);
}

/* Whether to leave KSM and the file to another ballastd. That daemon goes on writing the file, so it is read
 * again after the daemon has ended. */
static bool yields_to_other(HostKsm *k, bool yields)
{
    if (!yields && k->yielded && start(k) < 0)
        return true;
    k->yielded = yields;
    return yields;
}

static void tell(const HostKsm *k, const KsmChange *changes, size_t n_changes)
{
    for (size_t i = 0; i < n_changes; i++) {
        const KsmChange *c = &changes[i];
        Notice n = notice_of_host(NOTICE_KSM, k->fields);

        n.ksm = (NoticeKsm){.outcome = c->outcome, .from = c->from, .to = c->to, .error = c->error};
        (void) snprintf(n.ksm.name, sizeof(n.ksm.name), "%s", c->name ? c->name : "");
        (void) snprintf(n.ksm.hint, sizeof(n.ksm.hint), "%s", c->hint ? c->hint : "");
        notice_set_text(&n, c->decision ? c->decision->reason : NULL);
        audience_tell(k->audience, &n);
    }
}

/* As with guests: reports a decision once, and again when it changes. */
static void tell_observed(HostKsm *k, const Plan *plan)
{
    for (size_t i = 0; i < plan->n_host; i++) {
        const HostDecision *d = &plan->host[i];
        double stands = host_fields_get(k->fields, d->control);
        unsigned key = d->send || d->value == stands ? 0 : d->line << 2 | (d->value > stands ? 2 : 1);

        if (key != 0 && k->observed[d->control] != key)
            log_info("KSM: %s", d->reason);
        k->observed[d->control] = key;
    }
}

void host_ksm_apply(HostKsm *k, const Plan *plan, FieldSet assigned, const HostKsmState *state)
{
    KsmChange changes[KSM_CHANGES_MAX];

    tell_observed(k, plan);
    if (!state->known || yields_to_other(k, state->yields))
        return;
    tell(k, changes, ksm_restore(k->ksm, state->acts ? &assigned : &(FieldSet){}, changes));
    if (state->acts && state->connected)
        tell(k, changes, ksm_apply(k->ksm, plan->host, plan->n_host, changes));
}

void host_ksm_stop(HostKsm *k, bool yields)
{
    KsmChange changes[KSM_CHANGES_MAX];

    if (!yields_to_other(k, yields))
        tell(k, changes, ksm_restore(k->ksm, &(FieldSet){}, changes));
}
