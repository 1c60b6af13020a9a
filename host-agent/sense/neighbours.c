/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other memory managers on this host: noticed, logged, and a reason to stay in mode observe. */

#include "host-agent/sense/neighbours.h"

#include <limits.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/fileio.h"
#include "base/log.h"
#include "base/time-util.h"

#define LOOK_USEC (60 * USEC_PER_SEC)
#define TEXT_MAX  128U

static void put_name(const Neighbours *n, Neighbour which, char *buf, size_t size)
{
    if (n->of[which].pid > 0)
        snprintf(buf, size, "%s (process %d)", neighbour_to_string(which), (int) n->of[which].pid);
    else
        snprintf(buf, size, "%s", neighbour_to_string(which));
}

static void appeared(Neighbours *n, Neighbour which, pid_t pid)
{
    bool known = n->of[which].present;
    char name[TEXT_MAX];

    n->of[which].present = true;
    n->of[which].pid = pid;
    if (known)
        return;
    put_name(n, which, name, sizeof(name));
    if (n->of[which].accepted) {
        log_notice("%s is running again; nothing changes, because an administrator accepted it before", name);
        return;
    }
    log_warning(
        "%s manages memory on this host, too, and each would undo what the other does: no balloon is moved. Stop it, then run 'ballastctl mode auto'",
        name);
    n->held = true;
    n->hold(n->userdata);
}

static void vanished(Neighbours *n, Neighbour which)
{
    char name[TEXT_MAX];

    if (!n->of[which].present)
        return;
    put_name(n, which, name, sizeof(name));
    n->of[which].present = false;
    log_notice("%s has ended%s", name, n->held ? "; no balloon is moved until 'ballastctl mode auto'" : "");
}

static void look_at_processes(Neighbours *n)
{
    usec_t now = now_usec(CLOCK_MONOTONIC);
    char lasted[UNITS_FORMAT_MAX];
    pid_t pids[NEIGHBOUR_MAX];
    int r = neighbour_scan(n->proc_root, geteuid(), pids);

    if (r < 0) {
        if (outage_failed(&n->scan_failed, now))
            log_warning_errno(-r, "Cannot look for momd and ksmtuned in %s: %m", n->proc_root);
        return;
    }
    if (outage_over(&n->scan_failed, now, lasted))
        log_notice("ballastd can look for momd and ksmtuned again, after %s", lasted);
    for (Neighbour which = 0; which < NEIGHBOUR_MAX; which++)
        if (which != NEIGHBOUR_BALLASTD) {
            if (pids[which] > 0)
                appeared(n, which, pids[which]);
            else
                vanished(n, which);
        }
}

static void look_at_lock(Neighbours *n);

static int on_lock(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    Neighbours *n = userdata;

    vanished(n, NEIGHBOUR_BALLASTD);
    look_at_lock(n);
    return 0;
}

/* The lock can't be checked: another ballastd may have it. */
static void suspect(Neighbours *n, const char *uri, int r)
{
    char path[PATH_MAX] = "its lock";

    (void) neighbour_lock_path(uri, path, sizeof(path));
    if (!outage_failed(&n->lock_refused, now_usec(CLOCK_MONOTONIC)))
        return;
    log_warning(
        "Cannot check whether another ballastd manages the same guests: %s: %s%s", path, fileio_strerror(r),
        n->lock_accepted
            ? "; nothing changes, because an administrator accepted it before"
            : "; no balloon is moved. Let ballastd's user open it, or, if no other ballastd runs, use 'ballastctl mode auto'");
    if (n->lock_accepted)
        return;
    n->held = true;
    n->hold(n->userdata);
}

/* Takes the lock, or watches the daemon that has it. */
static void look_at_lock(Neighbours *n)
{
    char lasted[UNITS_FORMAT_MAX];
    int r;

    if (n->lock.ours || !n->uri)
        return;
    n->lock_source = sd_event_source_disable_unref(n->lock_source);
    neighbour_lock_done(&n->lock);
    r = neighbour_lock(n->uri, &n->lock);
    if (r < 0) {
        suspect(n, n->uri, r);
        return;
    }
    if (outage_over(&n->lock_refused, now_usec(CLOCK_MONOTONIC), lasted))
        log_notice("ballastd can check for another ballastd again, after %s", lasted);
    if (n->lock.ours) {
        vanished(n, NEIGHBOUR_BALLASTD);
        return;
    }
    appeared(n, NEIGHBOUR_BALLASTD, n->lock.pid);
    if (n->lock.fd < 0) /* its end is noticed within a minute */
        return;
    r = sd_event_add_io(n->event, &n->lock_source, n->lock.fd, EPOLLIN, on_lock, n);
    if (r < 0)
        log_warning_errno(-r, "Cannot watch for the end of the other ballastd: %m");
}

void neighbours_look(Neighbours *n)
{
    look_at_processes(n);
    look_at_lock(n);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void) sd_event_source_set_time_relative(s, LOOK_USEC);
    (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    neighbours_look(userdata);
    return 0;
}

void neighbours_init(Neighbours *n, sd_event *event, const char *proc_root, void (*hold)(void *userdata),
                     void *userdata)
{
    *n = (Neighbours){.event = event,
                      .proc_root = proc_root,
                      .hold = hold,
                      .userdata = userdata,
                      .lock = NEIGHBOUR_LOCK_INIT};
}

int neighbours_start(Neighbours *n)
{
    neighbours_look(n);
    return sd_event_add_time_relative(n->event, &n->timer, CLOCK_MONOTONIC, LOOK_USEC, USEC_PER_SEC, on_timer,
                                      n);
}

void neighbours_done(Neighbours *n)
{
    sd_event_source_disable_unref(n->timer);
    sd_event_source_disable_unref(n->lock_source);
    neighbour_lock_done(&n->lock);
    free(n->uri);
    n->uri = NULL;
}

void neighbours_connected(Neighbours *n, const char *uri)
{
    if (!n->uri || strcmp(uri, n->uri) != 0) {
        n->lock_source = sd_event_source_disable_unref(n->lock_source);
        neighbour_lock_done(&n->lock);
        vanished(n, NEIGHBOUR_BALLASTD);
        free(n->uri);
        n->uri = strdup(uri);
        if (!n->uri) {
            suspect(n, uri, -ENOMEM);
            return;
        }
    }
    look_at_lock(n);
}

void neighbours_accept(Neighbours *n)
{
    for (Neighbour which = 0; which < NEIGHBOUR_MAX; which++)
        n->of[which].accepted = n->of[which].accepted || n->of[which].present;
    n->lock_accepted = n->lock_accepted || n->lock_refused.open;
    n->held = false;
}

void neighbours_text(const Neighbours *n, char *buf, size_t size)
{
    char name[TEXT_MAX];
    size_t fill = 0;

    buf[0] = '\0';
    for (Neighbour which = 0; which < NEIGHBOUR_MAX && fill < size; which++)
        if (n->of[which].present) {
            put_name(n, which, name, sizeof(name));
            fill += (size_t) snprintf(buf + fill, size - fill, "%s%s", fill > 0 ? ", " : "", name);
        }
}

bool neighbours_why(const Neighbours *n, char *buf, size_t size)
{
    char names[NEIGHBOUR_MAX * TEXT_MAX];

    if (!n->held)
        return false;
    neighbours_text(n, names, sizeof(names));
    if (names[0])
        snprintf(
            buf, size,
            "%s manages memory on this host, too, so no balloon is moved; stop it, then run 'ballastctl mode auto'",
            names);
    else if (n->lock_refused.open)
        snprintf(
            buf, size,
            "ballastd can't check whether another one manages the same guests (its log says why), so no balloon is moved; if none does, run 'ballastctl mode auto'");
    else
        snprintf(
            buf, size,
            "another memory manager was found earlier and has ended; no balloon is moved until 'ballastctl mode auto'");
    return true;
}

bool neighbours_known(const Neighbours *n)
{
    return n->uri;
}

bool neighbours_has_ballastd(const Neighbours *n)
{
    return (n->of[NEIGHBOUR_BALLASTD].present && !n->of[NEIGHBOUR_BALLASTD].accepted) ||
           (n->lock_refused.open && !n->lock_accepted);
}
