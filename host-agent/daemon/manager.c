/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/daemon/manager.h"

#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/vfs.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "base/psi-trigger.h"
#include "base/units.h"
#include "host-agent/act/host-ksm.h"
#include "host-agent/show/bus.h"

/* Cycles that are asked for are never nearer to each other than this, whatever guests and clients do. */
#define CYCLE_MIN_USEC    (50 * USEC_PER_MSEC)
/* The host's own PSI trigger: the cycle runs at once when tasks stalled for 5 % of a second. */
#define PSI_STALL_USEC    (50 * USEC_PER_MSEC)
#define PSI_WINDOW_USEC   (USEC_PER_SEC)
/* How long a stop waits for libvirt to take the targets of OnStop=release. */
#define RELEASE_WAIT_USEC (5 * USEC_PER_SEC)
#define RELEASE_LOOK_USEC (50 * USEC_PER_MSEC)

static void report_finding(void *userdata, int level, const char *path, unsigned line, const char *text)
{
    if (line > 0)
        log_full(level, "%s:%u: %s", path, line, text);
    else
        log_full(level, "%s: %s", path, text);
}

static int load_config(const ManagerOptions *o, Config **ret, char **ret_path)
{
    const char *path = o->config_path ? o->config_path : BALLAST_CONFIG_FILE;
    _cleanup_free_ char *copy = NULL;
    int r;

    r = config_load(path, report_finding, NULL, ret);
    if (r == -ENOENT && !o->config_path) {
        *ret_path = NULL;
        return config_new(ret);
    }
    if (r == -EINVAL)
        return r; /* told by report_finding() */
    if (r < 0)
        return log_error_errno(-r, "Cannot read the configuration %s: %m", path);
    copy = strdup(path);
    if (!copy) {
        *ret = config_free(*ret);
        return log_oom();
    }
    *ret_path = TAKE_PTR(copy);
    return 0;
}

/* *ret is NULL for the whole host. */
static int load_scope(const ManagerOptions *o, const Config *c, Cgroup **ret)
{
    int r;

    *ret = NULL;
    if (strcmp(c->scope, "system") == 0)
        return 0;
    r = cgroup_find(o->proc_root, c->scope, ret);
    if (r == -ENOENT)
        log_error(
            "[Host] Scope=%s: there is no such cgroup; start what makes it (systemctl start machine.slice, for that one), or set Scope=system",
            c->scope);
    else if (r == -ENODATA)
        log_error(
            "[Host] Scope=%s: this cgroup's memory can't be limited, as it is the root or the memory controller is off for it; take another, or set Scope=system",
            c->scope);
    else if (r < 0)
        log_error_errno(
            -r, "[Host] Scope=%s: cannot find this cgroup (%m); take another, or set Scope=system", c->scope);
    return r;
}

static GuestMode mode_in_force(const ManagerOptions *o, const Config *c)
{
    return o->mode == GUEST_MODE_INVALID ? c->mode : o->mode;
}

int manager_check(const ManagerOptions *options)
{
    _cleanup_(config_freep) Config *c = NULL;
    _cleanup_(policy_freep) Policy *p = NULL;
    _cleanup_(cgroup_freep) Cgroup *scope = NULL;
    _cleanup_free_ char *path = NULL, *origin = NULL;
    int r;

    r = load_config(options, &c, &path);
    if (r >= 0)
        r = load_scope(options, c, &scope);
    if (r < 0)
        return r;
    r = policies_read(options, c, path, &p, &origin);
    if (r < 0)
        return r;
    printf("configuration %s: good\npolicy %s: good\n", path ? path : "(defaults)", policy_name(p));
    return 0;
}

static int on_cycle(sd_event_source *s, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void) sd_event_source_set_time_relative(s, m->config->interval_usec);
    (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    manager_cycle(m);
    return 0;
}

void manager_wake_in(Manager *m, usec_t wait_usec)
{
    usec_t now = now_usec(CLOCK_MONOTONIC), earliest = m->cycle_usec + MAX(wait_usec, CYCLE_MIN_USEC);
    uint64_t due;

    if (!m->cycle_timer || sd_event_source_get_time(m->cycle_timer, &due) < 0)
        return;
    if (due > MAX(now, earliest))
        (void) sd_event_source_set_time(m->cycle_timer, MAX(now, earliest));
}

void manager_wake(Manager *m)
{
    manager_wake_in(m, 0);
}

static int on_psi(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    Manager *m = userdata;

    if (revents & EPOLLERR) {
        log_warning(
            "The kernel took back the trigger on memory pressure; pressure is noticed once a cycle from now on");
        m->psi_source = sd_event_source_disable_unref(m->psi_source);
        return 0;
    }
    manager_wake(m);
    return 0;
}

static int open_psi(const char *folder, const char *name)
{
    _cleanup_free_ char *path = NULL;
    struct statfs fs;
    usec_t window;

    if (asprintf(&path, "%s/%s", folder, name) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    /* A trigger is asked for by writing to a file, which only the kernel's own may be put to. */
    if (statfs(path, &fs) < 0)
        return -errno;
    if (fs.f_type != PROC_SUPER_MAGIC && fs.f_type != CGROUP2_SUPER_MAGIC)
        return -EOPNOTSUPP;
    return psi_trigger_open(path, "some", PSI_STALL_USEC, PSI_WINDOW_USEC, &window);
}

/* The scope's own trigger; else the host's: a cgroup under pressure shows there, too, and a cycle that was
 * woken for others does no harm. */
static void watch_psi(Manager *m)
{
    int r;

    m->psi_source = sd_event_source_disable_unref(m->psi_source);
    closep(&m->psi_fd);
    m->psi_fd = m->scope && m->scope->v2 ? open_psi(m->scope->path, "memory.pressure") : -ENOENT;
    if (m->psi_fd < 0)
        m->psi_fd = open_psi(m->options.proc_root, "pressure/memory");
    if (m->psi_fd < 0) {
        log_info("No trigger on the host's memory pressure (%s); pressure is noticed once a cycle",
                 strerror(-m->psi_fd));
        return;
    }
    r = sd_event_add_io(m->event, &m->psi_source, m->psi_fd, EPOLLPRI, on_psi, m);
    if (r < 0)
        log_warning_errno(-r, "Cannot watch the host's memory pressure: %m");
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    (void) manager_reload(userdata);
    return 0;
}

static void release_all(Manager *m)
{
    uint64_t room = manager_room(m);

    for (size_t i = 0; i < m->n_guests; i++) {
        int r = manager_release(m, m->guests[i], &room);

        if (r < 0)
            log_warning_errno(-r, "%s: its memory isn't given back: %m", m->guests[i]->info.name);
    }
}

/* Whether a guest is on its way to what it was given. */
static bool release_outstanding(const Manager *m)
{
    for (size_t i = 0; i < m->n_guests; i++)
        if (m->guests[i]->setting || m->guests[i]->balloon.moving)
            return true;
    return false;
}

static int on_release_look(sd_event_source *s, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    if (!release_outstanding(m))
        return sd_event_exit(m->event, 0);
    if (now_usec(CLOCK_MONOTONIC) >= m->stop_usec) {
        log_warning("Not every guest has its memory back yet; QEMU goes on giving it");
        return sd_event_exit(m->event, 0);
    }
    (void) sd_event_source_set_time_relative(s, RELEASE_LOOK_USEC);
    (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

static int on_stop(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    Manager *m = userdata;

    if (m->stopping)
        return sd_event_exit(m->event, 0);
    m->stopping = true;
    (void) sd_notify(0, "STOPPING=1");
    m->cycle_timer = sd_event_source_disable_unref(m->cycle_timer);
    host_ksm_stop(m);
    if (m->config->on_stop == ON_STOP_KEEP) {
        log_info("Stopping; balloons stay as they are");
        return sd_event_exit(m->event, 0);
    }
    log_info("Stopping; giving all memory back");
    release_all(m);
    m->stop_usec = now_usec(CLOCK_MONOTONIC) + RELEASE_WAIT_USEC;
    return sd_event_add_time_relative(m->event, &m->cycle_timer, CLOCK_MONOTONIC, RELEASE_LOOK_USEC, 0,
                                      on_release_look, m);
}

static int add_sources(Manager *m)
{
    sigset_t mask;
    int r;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    /* Before any thread starts, so that all of them leave signals to the loop. */
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return -errno;
    r = sd_event_default(&m->event);
    if (r < 0)
        return r;
    (void) sd_event_set_watchdog(m->event, true);
    r = sd_event_add_signal(m->event, NULL, SIGTERM, on_stop, m);
    if (r >= 0)
        r = sd_event_add_signal(m->event, NULL, SIGINT, on_stop, m);
    if (r >= 0)
        r = sd_event_add_signal(m->event, NULL, SIGHUP, on_hangup, m);
    if (r >= 0)
        r = sd_event_add_time_relative(m->event, &m->cycle_timer, CLOCK_MONOTONIC, 0, 5 * USEC_PER_MSEC,
                                       on_cycle, m);
    return r;
}

static const char *default_uri(const Manager *m)
{
    if (m->options.connect)
        return m->options.connect;
    if (m->config->connect && m->config->connect[0])
        return m->config->connect;
    return m->options.session ? "qemu:///session" : "qemu:///system";
}

int manager_new(const ManagerOptions *options, Manager **ret)
{
    _cleanup_(manager_freep) Manager *m = calloc(1, sizeof(Manager));
    _cleanup_(policy_freep) Policy *policy = NULL;
    _cleanup_free_ char *origin = NULL;
    int r;

    if (!m)
        return log_oom();
    m->options = *options;
    m->psi_fd = -EBADF;
    m->neighbours.lock = NEIGHBOUR_LOCK_INIT;
    m->started_usec = now_usec(CLOCK_MONOTONIC);

    r = load_config(options, &m->config, &m->config_path);
    if (r < 0)
        return r;
    log_set_level(options->log_level >= 0 ? options->log_level : m->config->log_level);
    r = load_scope(options, m->config, &m->scope);
    if (r >= 0)
        r = policies_read(options, m->config, m->config_path, &policy, &origin);
    if (r >= 0)
        r = policies_replace(m, &policy, &origin);
    if (r < 0)
        return r;
    m->mode = mode_in_force(options, m->config);
    m->uri = strdup(default_uri(m));
    if (!m->uri)
        return log_oom();
    m->disconnected_why = strdup("not connected yet");

    if (host_ksm_start(m) < 0)
        return log_oom();
    r = add_sources(m);
    if (r < 0)
        return log_error_errno(-r, "Cannot set up the event loop: %m");
    watch_psi(m);
    r = bus_open(m);
    if (r < 0)
        return r;
    r = neighbours_start(m);
    if (r < 0)
        return log_error_errno(-r, "Cannot look for neighbours: %m");
    r = virt_new(m->event, m->uri, manager_on_virt, m, &m->virt);
    if (r < 0)
        return log_error_errno(-r, "Cannot start libvirt's threads: %m");
    *ret = TAKE_PTR(m);
    return 0;
}

Manager *manager_free(Manager *m)
{
    if (!m)
        return NULL;
    virt_free(m->virt);
    bus_close(m);
    for (size_t i = 0; i < m->n_guests; i++)
        guest_free(m->guests[i]);
    free(m->guests);
    plan_done(&m->plan);
    sd_event_source_disable_unref(m->cycle_timer);
    sd_event_source_disable_unref(m->tick_timer);
    sd_event_source_disable_unref(m->psi_source);
    closep(&m->psi_fd);
    neighbours_done(&m->neighbours);
    ksm_free(m->ksm);
    cgroup_free(m->scope);
    policy_free(m->policy);
    free(m->policy_origin);
    policy_keep_done(&m->keep);
    config_free(m->config);
    free(m->config_path);
    free(m->disconnected_why);
    free(m->uri);
    sd_event_unref(m->event);
    free(m);
    return NULL;
}

int manager_run(Manager *m)
{
    log_info("ballastd %s, mode %s, libvirt %s, policy %s", BALLAST_VERSION, guest_mode_to_string(m->mode),
             m->uri, policy_name(m->policy));
    (void) sd_notifyf(0, "READY=1\nSTATUS=mode %s", guest_mode_to_string(m->mode));
    return sd_event_loop(m->event);
}

static void reload_mode(Manager *m, GuestMode mode)
{
    char why[NEIGHBOURS_TEXT_MAX];

    if (mode == GUEST_MODE_AUTO && neighbours_why(m, why, sizeof(why)))
        log_warning("Mode=auto isn't taken: %s", why);
    else
        manager_change_mode(m, mode);
}

int manager_reload(Manager *m)
{
    _cleanup_(config_freep) Config *c = NULL;
    _cleanup_(policy_freep) Policy *p = NULL;
    _cleanup_(cgroup_freep) Cgroup *scope = NULL;
    _cleanup_free_ char *path = NULL, *origin = NULL;
    int r;

    (void) sd_notify(0, "RELOADING=1");
    r = load_config(&m->options, &c, &path);
    if (r >= 0)
        r = load_scope(&m->options, c, &scope);
    if (r >= 0)
        r = policies_read(&m->options, c, path, &p, &origin);
    if (r >= 0)
        r = policies_replace(m, &p, &origin);
    (void) sd_notify(0, "READY=1");
    if (r < 0) {
        log_error("Reload refused; configuration and policy as they were run on");
        return r;
    }
    if (!m->options.connect &&
        strcmp(c->connect ? c->connect : "", m->config->connect ? m->config->connect : "") != 0)
        log_warning("Connect= takes effect when ballastd is started again");

    /* A mode set by hand stands until the file says another than it said before; one of the command line
     * always does. */
    if (m->options.mode == GUEST_MODE_INVALID && c->mode != m->config->mode)
        reload_mode(m, c->mode);
    if (strcmp(c->scope, m->config->scope) != 0) {
        cgroup_free(m->scope);
        m->scope = TAKE_PTR(scope);
        series_set_clear(&m->keep.history);
        watch_psi(m);
    }
    config_free(m->config);
    m->config = TAKE_PTR(c);
    free(m->config_path);
    m->config_path = TAKE_PTR(path);
    for (size_t i = 0; i < m->n_guests; i++)
        guest_update_entitlement(m->guests[i]);
    if (m->options.log_level < 0)
        log_set_level(m->config->log_level);
    log_info("Reloaded: configuration %s, policy %s", m->config_path ? m->config_path : "(defaults)",
             policy_name(m->policy));
    neighbours_look(m);
    ksm_retry(m->ksm);
    manager_wake(m);
    return 0;
}

int manager_set_mode(Manager *m, GuestMode mode)
{
    if (mode != GUEST_MODE_AUTO && mode != GUEST_MODE_OBSERVE)
        return -EINVAL;
    if (mode == GUEST_MODE_AUTO)
        neighbours_accept(m);
    manager_change_mode(m, mode);
    return 0;
}

void manager_change_mode(Manager *m, GuestMode mode)
{
    if (m->mode == mode)
        return;
    m->mode = mode;
    log_notice("Mode %s from now on: %s", guest_mode_to_string(mode),
               mode == GUEST_MODE_AUTO ? "balloons are moved" : "decisions are told, nothing is moved");
    (void) sd_notifyf(0, "STATUS=mode %s", guest_mode_to_string(mode));
    bus_mode_changed(m);
    manager_wake(m);
}

int manager_release(Manager *m, Guest *g, uint64_t *room)
{
    uint64_t standing = balloon_standing(&g->balloon), base = MAX(guest_current(g), standing), target;
    bool whole;
    int r;

    guest_released(g, now_usec(CLOCK_MONOTONIC));
    if (standing >= g->full.bytes && g->balloon.known)
        return 0;
    if (g->lost || g->busy[0] || !g->balloon.known)
        return -EAGAIN;
    /* A shrink that is on its way is taken back in any case: that costs nothing. */
    whole = *room >= LESS_BY(g->full.bytes, base);
    target = whole ? g->full.bytes : (base + *room) / KIB * KIB;
    if (target <= standing)
        return -ENOSPC;
    r = manager_move(m, g, target, whole ? "released" : "released, as far as the host has room");
    if (r < 0)
        return r;
    *room -= LESS_BY(target, base);
    return 0;
}

Guest *manager_guest_by_uuid(const Manager *m, const char *uuid)
{
    size_t low = 0, high = m->n_guests;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = strcmp(uuid, m->guests[middle]->info.uuid);

        if (c == 0)
            return m->guests[middle];
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

int manager_find_guest(Manager *m, const char *pattern, Guest **ret)
{
    size_t length = strlen(pattern);
    Guest *found = NULL;
    bool several = false;

    if (length == 0)
        return -ENOENT;
    for (size_t i = 0; i < m->n_guests; i++) {
        Guest *g = m->guests[i];

        if (strcmp(g->info.name, pattern) == 0 || strcasecmp(g->info.uuid, pattern) == 0) {
            *ret = g;
            return 0;
        }
        if (strncmp(g->info.name, pattern, length) == 0 || strncasecmp(g->info.uuid, pattern, length) == 0) {
            several = several || found != NULL;
            found = g;
        }
    }
    if (several)
        return -ENOTUNIQ;
    if (!found)
        return -ENOENT;
    *ret = found;
    return 0;
}

const char *manager_memory_source(const Manager *m)
{
    return m->scope ? m->scope->path : m->options.proc_root;
}

void manager_why(const Manager *m, char *buf, size_t size)
{
    if (!m->connected)
        snprintf(buf, size, "libvirt (%s) is not there: %s", m->uri,
                 m->disconnected_why ? m->disconnected_why : "");
    else if (!m->host_valid)
        snprintf(buf, size, "the host's memory can't be read from %s", manager_memory_source(m));
    else if (neighbours_why(m, buf, size))
        return;
    else if (m->n_guests == 0)
        snprintf(buf, size, "no guest is running");
    else
        snprintf(buf, size, "%s", m->plan.summary);
}
