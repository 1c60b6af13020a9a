/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watches the host's memory, and sets the trigger on its pressure. */

#include "host-agent/sense/host-watch.h"

#include <linux/magic.h>
#include <math.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/vfs.h>

#include "base/log.h"
#include "base/psi-trigger.h"
#include "base/units.h"
#include "host-agent/sense/ksm.h"

/* The trigger fires when tasks waited for memory during 5 % of a second. */
#define PSI_STALL_USEC  (50 * USEC_PER_MSEC)
#define PSI_WINDOW_USEC (USEC_PER_SEC)
/* What is swapped in is counted for at least this long: cycles can follow each other by 50 ms. */
#define SWAPPING_USEC   (900 * USEC_PER_MSEC)

const char *host_trigger_to_string(HostTrigger t)
{
    static const char *const names[HOST_TRIGGER_MAX] = {
        [HOST_TRIGGER_NONE] = "none",
        [HOST_TRIGGER_HOST] = "host",
        [HOST_TRIGGER_SCOPE] = "scope",
    };

    return names[t];
}

static int on_psi(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    HostWatch *w = userdata;

    if (revents & EPOLLERR) {
        log_warning(
            "The kernel removed the trigger on memory pressure; from now on pressure is noticed only once a cycle");
        w->psi_source = sd_event_source_disable_unref(w->psi_source);
        w->trigger = HOST_TRIGGER_NONE;
        return 0;
    }
    w->pressure(w->userdata);
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
    /* A trigger is set by writing to a file: don't do that to a file that isn't the kernel's. */
    if (statfs(path, &fs) < 0)
        return -errno;
    if (fs.f_type != PROC_SUPER_MAGIC && fs.f_type != CGROUP2_SUPER_MAGIC)
        return -EOPNOTSUPP;
    return psi_trigger_open(path, "some", PSI_STALL_USEC, PSI_WINDOW_USEC, &window);
}

/* Opens the scope's own trigger, else the host's: a cgroup's pressure shows there, too, and a cycle more does no
 * harm. */
static HostTrigger open_trigger(HostWatch *w)
{
    HostTrigger t = w->scope ? HOST_TRIGGER_SCOPE : HOST_TRIGGER_HOST;
    int scope_error = 0;

    if (t == HOST_TRIGGER_SCOPE) {
        w->psi_fd = open_psi(w->scope->path, "memory.pressure");
        if (w->psi_fd >= 0)
            return t;
        scope_error = -w->psi_fd;
    }
    w->psi_fd = open_psi(w->proc_root, "pressure/memory");
    if (w->psi_fd < 0) {
        log_info(
            "Cannot set a trigger on the host's memory pressure (%s); pressure is noticed only once a cycle",
            strerror(-w->psi_fd));
        return HOST_TRIGGER_NONE;
    }
    if (scope_error > 0)
        log_info(
            "Cannot set a trigger on the scope's memory pressure (%s/memory.pressure: %s); it is set on the whole host's, which may fire later, and also fires for other programs: see \"Which memory\" in ballastd(8)",
            w->scope->path, strerror(scope_error));
    return HOST_TRIGGER_HOST;
}

static void watch_psi(HostWatch *w)
{
    int r;

    w->psi_source = sd_event_source_disable_unref(w->psi_source);
    closep(&w->psi_fd);
    w->trigger = w->pressure ? open_trigger(w) : HOST_TRIGGER_NONE;
    if (w->trigger == HOST_TRIGGER_NONE)
        return;
    r = sd_event_add_io(w->event, &w->psi_source, w->psi_fd, EPOLLPRI, on_psi, w);
    if (r >= 0)
        return;
    w->trigger = HOST_TRIGGER_NONE;
    log_warning_errno(-r, "Cannot watch the host's memory pressure: %m");
}

void host_watch_init(HostWatch *w, sd_event *event, const char *proc_root, const char *sys_root,
                     void (*pressure)(void *userdata), void *userdata)
{
    *w = (HostWatch){.event = event,
                     .proc_root = proc_root,
                     .sys_root = sys_root,
                     .pressure = pressure,
                     .userdata = userdata,
                     .swap_in = VMSTAT_MISSING,
                     .swapping = NAN,
                     .faults = NAN,
                     .oom.counter = VMSTAT_MISSING,
                     .psi_fd = -EBADF};
}

void host_watch_done(HostWatch *w)
{
    sd_event_source_disable_unref(w->psi_source);
    closep(&w->psi_fd);
    cgroup_free(w->scope);
}

int host_watch_find_scope(const char *proc_root, const char *name, Cgroup **ret,
                          char why[static HOST_WATCH_WHY_MAX])
{
    int r;

    *ret = NULL;
    if (strcmp(name, "system") == 0)
        return 0;
    r = cgroup_find(proc_root, name, ret);
    if (r == -ENOENT)
        snprintf(
            why, HOST_WATCH_WHY_MAX,
            "there is no such cgroup; start the unit that creates it (such as systemctl start machine.slice), or set Scope=system");
    else if (r == -ENODATA)
        snprintf(
            why, HOST_WATCH_WHY_MAX,
            "this cgroup's memory can't be limited, because it is the root or its memory controller is off; name another cgroup, or set Scope=system");
    else if (r < 0)
        snprintf(why, HOST_WATCH_WHY_MAX,
                 "cannot find this cgroup (%s); name another one, or set Scope=system", strerror(-r));
    return r;
}

int host_watch_check_reserve(const char *proc_root, const Cgroup *scope, SizeOrRatio reserve,
                             const GuardConfig *guard, char why[static HOST_WATCH_WHY_MAX])
{
    char total_text[UNITS_FORMAT_MAX], critical_text[UNITS_FORMAT_MAX];
    uint64_t total, bytes, critical;
    HostSample sample;
    HostFields fields;

    if (host_sample_read(proc_root, scope, 0, &sample) < 0)
        return 0;
    total = host_sample_total(&sample);
    bytes = bytes_of_total(reserve, total);
    host_sample_fields(&sample, bytes, &fields);
    /* Whether a file is good does not depend on how much swap is left when it is read. */
    field_set_remove(&fields.present, HOST_FIELD_SWAP_TOTAL);
    field_set_remove(&fields.present, HOST_FIELD_SWAP_FREE);
    critical = guard_critical(guard, &fields);
    if (bytes == 0 || bytes_add(bytes, critical) < total)
        return 0;
    snprintf(
        why, HOST_WATCH_WHY_MAX,
        "this leaves guests nothing: the %s has %s, and its critical threshold is %s; set less than %" PRIu64
        "MiB, or a lower Critical= in [Guard]",
        scope ? "cgroup" : "host", format_size(total_text, total), format_size(critical_text, critical),
        LESS_BY(total, critical) / MIB);
    return -ERANGE;
}

void host_watch_set_scope(HostWatch *w, Cgroup *scope)
{
    cgroup_free(w->scope);
    w->scope = scope;
    w->swap_in = VMSTAT_MISSING;
    w->oom.counter = VMSTAT_MISSING;
    nodes_forget(&w->nodes);
    watch_psi(w);
}

/* KSM belongs to the whole host, even if the scope is a cgroup. */
static void read_ksm(HostWatch *w, usec_t now_usec)
{
    char lasted[UNITS_FORMAT_MAX];
    KsmState s;
    int r = ksm_read(w->sys_root, &s);

    if (r >= 0)
        ksm_fields(&s, &w->fields);
    if (r >= 0 || r == -ENOENT) {
        if (outage_over(&w->ksm_unreadable, now_usec, lasted))
            log_notice("KSM's state can be read again, after %s", lasted);
    } else if (outage_failed(&w->ksm_unreadable, now_usec))
        log_warning_errno(-r, "Cannot read KSM's state below %s: %m; continuing as on a kernel without KSM",
                          w->sys_root);
}

/* A cgroup's limit belongs to no node. */
static void read_nodes(HostWatch *w, usec_t now_usec)
{
    char lasted[UNITS_FORMAT_MAX];
    int r = w->scope ? 0 : nodes_read(&w->nodes, w->sys_root, &w->fields);

    if (r >= 0) {
        if (outage_over(&w->nodes_unreadable, now_usec, lasted))
            log_notice("The memory of the NUMA nodes can be read again, after %s", lasted);
    } else if (outage_failed(&w->nodes_unreadable, now_usec))
        log_warning_errno(
            -r,
            "Cannot read the memory of the NUMA nodes below %s/devices/system/node: %m; guests that are bound to nodes are judged by the whole host's memory meanwhile",
            w->sys_root);
}

/* Works out how much is swapped in per second. */
static void see_swapping(HostWatch *w, usec_t now_usec)
{
    usec_t passed = usec_since(w->swap_in_usec, now_usec);
    uint64_t now = w->sample.swap_in_pages, before = w->swap_in;

    if (now == VMSTAT_MISSING || before == VMSTAT_MISSING || now < before)
        w->swapping = NAN;
    else if (passed < SWAPPING_USEC)
        return;
    else
        w->swapping = (double) (now - before) * (double) sysconf(_SC_PAGESIZE) * (double) USEC_PER_SEC /
                      (double) passed;
    w->swap_in = now;
    w->swap_in_usec = now_usec;
}

static void see_oom_kills(HostWatch *w, usec_t now_usec)
{
    uint64_t now = w->sample.has_vmstat ? w->sample.vmstat.oom_kill : VMSTAT_MISSING, before = w->oom.counter;

    w->oom.counter = now;
    if (now == VMSTAT_MISSING || before == VMSTAT_MISSING || now <= before)
        return;
    w->oom.kills += now - before;
    w->oom.killed_usec = now_usec;
}

/* Of all swap, in memory or on disks: what is swapped out is no longer resident. */
static uint64_t all_swap_free(const HostWatch *w)
{
    return MIN(w->sample.meminfo.swap_free, w->sample.cgroup.swap_free_bytes);
}

static void set_swapping(HostWatch *w)
{
    double swapping = w->sample.swap_in_pages == VMSTAT_MISSING ? w->faults : w->swapping;

    if (!isnan(swapping))
        host_fields_set(&w->fields, HOST_FIELD_SWAPPING, swapping);
}

int host_watch_read(HostWatch *w, SizeOrRatio reserve, usec_t now_usec)
{
    uint64_t swap_free = all_swap_free(w);
    char lasted[UNITS_FORMAT_MAX];
    int r;

    r = host_sample_read(w->proc_root, w->scope, now_usec, &w->sample);
    if (r < 0) {
        if (outage_failed(&w->unreadable, now_usec))
            log_error_errno(-r, "Cannot read the host's memory from %s: %m; no balloon is moved",
                            host_watch_source(w));
        w->valid = false;
        return r;
    }
    if (outage_over(&w->unreadable, now_usec, lasted))
        log_notice("The host's memory can be read again, after %s", lasted);
    if (w->sample.arc_error >= 0) {
        if (outage_over(&w->arc_unreadable, now_usec, lasted))
            log_notice("The size of ZFS's cache can be read again, after %s", lasted);
    } else if (outage_failed(&w->arc_unreadable, now_usec))
        log_warning_errno(-w->sample.arc_error,
                          "Cannot read the size of ZFS's cache: %m; none of it counts as available");
    w->reserve_bytes = bytes_of_total(reserve, host_sample_total(&w->sample));
    host_sample_fields(&w->sample, w->reserve_bytes, &w->fields);
    read_ksm(w, now_usec);
    read_nodes(w, now_usec);
    see_swapping(w, now_usec);
    set_swapping(w);
    see_oom_kills(w, now_usec);
    if (w->valid && all_swap_free(w) < swap_free)
        w->swapped_usec = now_usec;
    w->valid = true;
    return 0;
}

void host_watch_set_faults(HostWatch *w, double bytes_per_sec)
{
    w->faults = bytes_per_sec;
}

const char *host_watch_source(const HostWatch *w)
{
    return w->scope ? w->scope->path : w->proc_root;
}
