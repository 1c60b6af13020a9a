/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon: its objects, how they are connected, and an administrator's requests. */

#include "host-agent/daemon/manager.h"

#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "host-agent/act/move.h"
#include "host-agent/config/config-load.h"
#include "host-agent/sense/virt-transport.h"

static GuestMode mode_in_force(const ManagerOptions *o, const Config *c)
{
    return o->mode == GUEST_MODE_INVALID ? c->mode : o->mode;
}

int manager_check(const ManagerOptions *options)
{
    _cleanup_(findings_done) Findings f = {};
    _cleanup_(loaded_done) Loaded l = {};
    int r = load_files(options, &f, &l);

    findings_log(&f);
    if (r < 0) {
        puts("not valid: ballastd does not start, or reload, with this configuration and policy");
        return r;
    }
    if (f.n > 0) {
        puts(
            "not as written: ballastd runs with this configuration and policy, but does not do all that they say");
        return -EINVAL;
    }
    printf("configuration %s: good\npolicy %s: good\n", l.config->path ? l.config->path : "(defaults)",
           policy_name(l.policy));
    return 0;
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    Actor by = actor_of_signal(si);
    _cleanup_(findings_done) Findings f = {};

    (void) manager_reload(userdata, &by, &f);
    return 0;
}

/* Makes the loop. Signals are blocked before any thread starts, so that all threads leave them to the
 * loop. */
static int open_loop(Manager *m)
{
    sigset_t mask;
    int r;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return -errno;
    r = sd_event_default(&m->event);
    if (r < 0)
        return r;
    (void) sd_event_set_watchdog(m->event, true);
    return sd_event_add_signal(m->event, NULL, SIGHUP, on_hangup, m);
}

static const char *default_uri(const Manager *m)
{
    if (m->options.connect)
        return m->options.connect;
    if (m->config->connect && m->config->connect[0])
        return m->config->connect;
    return m->options.session ? "qemu:///session" : "qemu:///system";
}

static void change_mode(Manager *m, GuestMode mode)
{
    Notice n;

    if (m->guest_host.mode == mode)
        return;
    m->guest_host.mode = mode;
    log_notice("Mode %s from now on: %s", guest_mode_to_string(mode),
               mode == GUEST_MODE_AUTO ? "balloons are moved"
                                       : "decisions are only logged, and nothing is moved");
    (void) sd_notifyf(0, "STATUS=mode %s", guest_mode_to_string(mode));
    n = notice_of_host(NOTICE_MODE, m->guest_host.fields);
    n.mode = mode;
    audience_tell(&m->audience, &n);
    cycle_wake(&m->cycle);
}

/* Handlers that are passed to objects in the rooms below. */

static void on_wake(void *userdata)
{
    Manager *m = userdata;

    cycle_wake(&m->cycle);
}

static void on_neighbour(void *userdata)
{
    change_mode(userdata, GUEST_MODE_OBSERVE);
}

static int replace_policy(Manager *m, Policy **policy, char **origin)
{
    int r;

    r = running_policy_replace(&m->policy, &m->guests, policy, origin);
    if (r < 0)
        return r;
    m->guest_host.policy = m->policy.policy;
    cycle_forget_words(&m->cycle);
    return 0;
}

/* Makes the objects, and connects them with each other. */
static int wire(Manager *m)
{
    const ManagerOptions *o = &m->options;
    int r;

    host_watch_init(&m->watch, m->event, o->proc_root, o->sys_root, on_wake, m);
    neighbours_init(&m->neighbours, m->event, o->proc_root, on_neighbour, m);
    m->guest_host = (GuestHost){.mode = mode_in_force(o, m->config),
                                .guard = &m->config->guard,
                                .rules = &m->config->guest_rules,
                                .fields = &m->watch.fields,
                                .audience = &m->audience,
                                .wake = on_wake,
                                .userdata = m};
    guests_init(&m->guests, &m->guest_host, &m->transport);
    looks_init(&m->looks, "/proc"); /* the guests are real also where the host is a test's */
    r = virt_link_init(&m->libvirt, default_uri(m), &m->guests, &m->guest_host, m->config, &m->neighbours);
    if (r >= 0)
        r = host_ksm_init(&m->ksm, o->sys_root, o->session, &m->watch.fields, &m->audience);
    if (r >= 0)
        r = cycle_init(&m->cycle, &(CycleParts){.event = m->event,
                                                .config = m->config,
                                                .watch = &m->watch,
                                                .guests = &m->guests,
                                                .looks = &m->looks,
                                                .guest_host = &m->guest_host,
                                                .policy = &m->policy,
                                                .hypervisor = &m->hypervisor,
                                                .ksm = &m->ksm,
                                                .neighbours = &m->neighbours,
                                                .connected = &m->libvirt.connected});
    return r < 0 ? r : stop_init(&m->stop, &m->cycle);
}

int manager_new(const ManagerOptions *options, Manager **ret)
{
    _cleanup_(manager_freep) Manager *m = calloc(1, sizeof(Manager));
    _cleanup_(findings_done) Findings f = {};
    _cleanup_(loaded_done) Loaded l = {};
    int r;

    if (!m)
        return log_oom();
    m->options = *options;
    m->watch.psi_fd = m->looks.reader.proc_fd = -EBADF;
    m->neighbours.lock = NEIGHBOUR_LOCK_INIT;
    m->started_usec = now_usec(CLOCK_MONOTONIC);

    r = load_files(options, &f, &l);
    if (l.config)
        log_set_level(options->log_level >= 0 ? options->log_level : l.config->log_level);
    findings_log(&f);
    if (r < 0)
        return r;
    m->config = TAKE_PTR(l.config);
    m->marks = l.marks;
    l.marks = (FileMarks){};
    r = open_loop(m);
    if (r >= 0)
        r = wire(m);
    if (r < 0)
        return log_error_errno(-r, "Cannot set up the event loop: %m");
    r = replace_policy(m, &l.policy, &l.origin);
    if (r < 0)
        return r;
    host_watch_set_scope(&m->watch, TAKE_PTR(l.scope));
    *ret = TAKE_PTR(m);
    return 0;
}

Manager *manager_free(Manager *m)
{
    if (!m)
        return NULL;
    virt_link_done(&m->libvirt);
    guests_done(&m->guests);
    looks_done(&m->looks);
    stop_done(&m->stop);
    cycle_done(&m->cycle);
    host_ksm_done(&m->ksm);
    neighbours_done(&m->neighbours);
    host_watch_done(&m->watch);
    running_policy_done(&m->policy);
    config_free(m->config);
    file_marks_done(&m->marks);
    free(m->refused);
    sd_event_unref(m->event);
    free(m);
    return NULL;
}

int manager_start(Manager *m)
{
    int r;

    r = neighbours_start(&m->neighbours);
    if (r < 0)
        return log_error_errno(-r, "Cannot look for other memory managers: %m");
    r = virt_link_start(&m->libvirt, m->event);
    if (r < 0)
        return log_error_errno(-r, "Cannot start libvirt's threads: %m");
    m->transport = virt_transport(m->libvirt.virt);
    m->hypervisor = hypervisor_of_virt(m->libvirt.virt);
    return 0;
}

int manager_run(Manager *m)
{
    const char *mode = guest_mode_to_string(m->guest_host.mode);

    log_info("ballastd %s, mode %s, libvirt %s, policy %s", BALLAST_VERSION, mode, m->libvirt.uri,
             policy_name(m->policy.policy));
    (void) sd_notifyf(0, "READY=1\nSTATUS=mode %s", mode);
    return sd_event_loop(m->event);
}

static void reload_mode(Manager *m, const Config *c, Findings *f)
{
    char why[NEIGHBOURS_TEXT_MAX];

    if (c->mode == GUEST_MODE_AUTO && neighbours_why(&m->neighbours, why, sizeof(why)))
        findings_add(f, LOG_WARNING, c->path, config_line(c, &c->mode), "Mode=auto is ignored: %s", why);
    else
        change_mode(m, c->mode);
}

/* Puts a configuration that was read again in force, and adds to f what of it isn't. */
static void take_config(Manager *m, Config *c, Cgroup **scope, Findings *f)
{
    if (!m->options.connect && strcmp(c->connect, m->config->connect) != 0)
        findings_add(f, LOG_WARNING, c->path, config_line(c, &c->connect),
                     "the new Connect= takes effect when ballastd is restarted");
    /* A mode that an administrator set stays in force until Mode= in the file changes. The mode of the
     * command line always does. */
    if (m->options.mode == GUEST_MODE_INVALID && c->mode != m->config->mode)
        reload_mode(m, c, f);
    if (strcmp(c->scope, m->config->scope) != 0) {
        host_watch_set_scope(&m->watch, TAKE_PTR(*scope));
        running_policy_forget_history(&m->policy);
    }
    config_replace(m->config, c);
    for (size_t i = 0; i < m->guests.n; i++) {
        Guest *g = m->guests.entries[i].guest;
        Entitlement configured = config_entitlement(m->config, g->info.name);

        guest_configure(g, &configured);
    }
    virt_link_tell_unmatched(&m->libvirt, f);
    if (m->options.log_level < 0)
        log_set_level(m->config->log_level);
}

/* before: the name of the policy that ran until then. */
static void tell_policy(const Manager *m, const Actor *by, const char *what, const char *before, int r,
                        const char *why)
{
    Notice n = notice_of_change(by, what, before, r < 0 ? NULL : policy_name(m->policy.policy));

    n.error = MIN(r, 0);
    notice_set_text(&n, r < 0 ? why : NULL);
    audience_tell(&m->audience, &n);
}

static void refuse(Manager *m, Findings *f, int error)
{
    if (f->n == 0)
        findings_add(f, LOG_ERR, NULL, 0, "%s", strerror(-error));
    findings_log(f);
    log_error("Reload refused; still running with the previous configuration and policy");
    free(m->refused);
    m->refused = findings_first(f) ? strdup(findings_first(f)) : NULL;
    m->refused_usec = now_usec(CLOCK_MONOTONIC);
}

static int reload(Manager *m, Findings *f)
{
    _cleanup_(loaded_done) Loaded l = {};
    int r;

    (void) sd_notify(0, "RELOADING=1");
    r = load_files(&m->options, f, &l);
    if (r >= 0)
        r = replace_policy(m, &l.policy, &l.origin);
    (void) sd_notify(0, "READY=1");
    if (r < 0) {
        refuse(m, f, r);
        return r;
    }
    take_config(m, TAKE_PTR(l.config), &l.scope, f);
    file_marks_done(&m->marks);
    m->marks = l.marks;
    l.marks = (FileMarks){};
    free(m->refused);
    m->refused = NULL;
    findings_log(f);
    log_info("Reloaded: configuration %s, policy %s", m->config->path ? m->config->path : "(defaults)",
             policy_name(m->policy.policy));
    neighbours_look(&m->neighbours);
    ksm_retry(m->ksm.ksm);
    cycle_wake(&m->cycle);
    return 0;
}

int manager_reload(Manager *m, const Actor *by, Findings *f)
{
    char before[NOTICE_VALUE_MAX];
    int r;

    (void) snprintf(before, sizeof(before), "%s", policy_name(m->policy.policy));
    r = reload(m, f);
    tell_policy(m, by, "reload: policy", before, r, findings_first(f));
    return r;
}

int manager_set_mode(Manager *m, GuestMode mode)
{
    if (mode != GUEST_MODE_AUTO && mode != GUEST_MODE_OBSERVE)
        return -EINVAL;
    if (mode == GUEST_MODE_AUTO)
        neighbours_accept(&m->neighbours);
    change_mode(m, mode);
    return 0;
}

int manager_load_policy(Manager *m, const PolicySource *sources, size_t n, const Actor *by,
                        PolicyDiagnostics *diagnostics)
{
    _cleanup_(policy_freep) Policy *p = NULL;
    _cleanup_free_ char *origin = NULL;
    char before[NOTICE_VALUE_MAX];
    int r = policy_load_sources(sources, n, diagnostics, &p);

    (void) snprintf(before, sizeof(before), "%s", policy_name(m->policy.policy));
    if (r >= 0 &&
        asprintf(&origin, by->uid == 0 ? "loaded by root over D-Bus" : "loaded by user %u over D-Bus",
                 (unsigned) by->uid) < 0) {
        origin = NULL;
        r = -ENOMEM;
    }
    if (r >= 0)
        r = replace_policy(m, &p, &origin);
    tell_policy(m, by, "policy", before, r,
                r == -EINVAL ? "it has mistakes, as the answer to the caller says" : NULL);
    if (r < 0)
        return r;
    for (size_t i = 0; i < POLICY_FILES_MAX; i++)
        file_mark_done(&m->marks.policies[i]);
    log_notice("Policy %s from now on, %s; the next reload returns to the configured policy",
               policy_name(m->policy.policy), m->policy.origin);
    cycle_wake(&m->cycle);
    return 0;
}

uint64_t manager_room(Manager *m)
{
    return cycle_room(&m->cycle);
}

int manager_release(Manager *m, Guest *g, uint64_t *room)
{
    int r = move_release(&m->hypervisor, g, room);

    if (r >= 0)
        cycle_watch(&m->cycle);
    return r;
}

void manager_why(const Manager *m, char *buf, size_t size)
{
    const VirtLink *l = &m->libvirt;

    if (!l->connected)
        snprintf(buf, size, "libvirt (%s) can't be reached: %s", l->uri, l->lost_why ? l->lost_why : "");
    else if (!m->watch.valid)
        snprintf(buf, size, "the host's memory can't be read from %s", host_watch_source(&m->watch));
    else if (neighbours_why(&m->neighbours, buf, size))
        return;
    else if (m->guests.n == 0)
        snprintf(buf, size, "no guest is running");
    else
        snprintf(buf, size, "%s", m->cycle.plan.summary);
}
