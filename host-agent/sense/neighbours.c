/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/sense/neighbours.h"

#include <string.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "host-agent/daemon/manager.h"

#define LOOK_USEC (60 * USEC_PER_SEC)
#define TEXT_MAX  128U

static void put_name(const Neighbours *n, Neighbour which, char *buf, size_t size)
{
    if (n->of[which].pid > 0)
        snprintf(buf, size, "%s (process %d)", neighbour_to_string(which), (int) n->of[which].pid);
    else
        snprintf(buf, size, "%s", neighbour_to_string(which));
}

static void found(Manager *m, Neighbour which, pid_t pid)
{
    Neighbours *n = &m->neighbours;
    bool known = n->of[which].present;
    char name[TEXT_MAX];

    n->of[which].present = true;
    n->of[which].pid = pid;
    if (known)
        return;
    put_name(n, which, name, sizeof(name));
    if (n->of[which].accepted) {
        log_notice("%s is there again; accepted by the administrator before", name);
        return;
    }
    log_warning(
        "%s manages memory here, too, and each would undo what the other does: nothing is moved; end it, then say 'ballastctl mode auto'",
        name);
    n->held = true;
    manager_change_mode(m, GUEST_MODE_OBSERVE);
}

static void gone(Manager *m, Neighbour which)
{
    Neighbours *n = &m->neighbours;
    char name[TEXT_MAX];

    if (!n->of[which].present)
        return;
    put_name(n, which, name, sizeof(name));
    n->of[which].present = false;
    log_notice("%s has gone%s", name, n->held ? "; nothing is moved until 'ballastctl mode auto'" : "");
}

static void look_at_processes(Manager *m)
{
    Neighbours *n = &m->neighbours;
    pid_t pids[NEIGHBOUR_MAX];
    int r = neighbour_scan(m->options.proc_root, geteuid(), pids);

    if (r < 0) {
        if (!n->scan_failed)
            log_warning_errno(-r, "Cannot look for momd and ksmtuned in %s: %m", m->options.proc_root);
        n->scan_failed = true;
        return;
    }
    n->scan_failed = false;
    for (Neighbour which = 0; which < NEIGHBOUR_MAX; which++)
        if (which != NEIGHBOUR_BALLASTD) {
            if (pids[which] > 0)
                found(m, which, pids[which]);
            else
                gone(m, which);
        }
}

static void look_at_lock(Manager *m);

static int on_lock(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    Manager *m = userdata;

    m->neighbours.lock_source = sd_event_source_disable_unref(m->neighbours.lock_source);
    neighbour_lock_done(&m->neighbours.lock);
    gone(m, NEIGHBOUR_BALLASTD);
    look_at_lock(m);
    return 0;
}

static void tell_lock_refused(Manager *m, int r)
{
    Neighbours *n = &m->neighbours;

    if (n->lock_refused)
        return;
    n->lock_refused = true;
    if (r == -EPERM)
        log_warning(
            "User %u, who is no system user, holds the socket @%s by which ballastds know each other; another ballastd would not be noticed",
            n->lock.uid, n->lock_name);
    else
        log_warning_errno(-r, "Cannot tell whether another ballastd moves the same guests' memory: %m");
}

/* Takes the lock, or watches the daemon that has it. */
static void look_at_lock(Manager *m)
{
    Neighbours *n = &m->neighbours;
    int r;

    if (n->lock.fd >= 0 || !n->lock_name[0])
        return;
    r = neighbour_lock(n->lock_name, geteuid(), &n->lock);
    if (r < 0) {
        tell_lock_refused(m, r);
        return;
    }
    n->lock_refused = false;
    if (n->lock.ours)
        return;
    found(m, NEIGHBOUR_BALLASTD, n->lock.pid);
    /* Only its end is waited for, which needs no asking. */
    r = sd_event_add_io(m->event, &n->lock_source, n->lock.fd, 0, on_lock, m);
    if (r < 0)
        log_warning_errno(-r, "Cannot watch the other ballastd: %m");
}

void neighbours_look(Manager *m)
{
    look_at_processes(m);
    look_at_lock(m);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void) sd_event_source_set_time_relative(s, LOOK_USEC);
    (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    neighbours_look(userdata);
    return 0;
}

int neighbours_start(Manager *m)
{
    neighbours_look(m);
    return sd_event_add_time_relative(m->event, &m->neighbours.timer, CLOCK_MONOTONIC, LOOK_USEC,
                                      USEC_PER_SEC, on_timer, m);
}

void neighbours_done(Neighbours *n)
{
    sd_event_source_disable_unref(n->timer);
    sd_event_source_disable_unref(n->lock_source);
    neighbour_lock_done(&n->lock);
}

void neighbours_connected(Manager *m, const char *uri)
{
    Neighbours *n = &m->neighbours;
    char name[NEIGHBOUR_LOCK_MAX];

    if (strcmp(neighbour_lock_name(uri, name), n->lock_name) != 0) {
        n->lock_source = sd_event_source_disable_unref(n->lock_source);
        neighbour_lock_done(&n->lock);
        gone(m, NEIGHBOUR_BALLASTD);
        memcpy(n->lock_name, name, sizeof(name));
    }
    look_at_lock(m);
}

void neighbours_accept(Manager *m)
{
    Neighbours *n = &m->neighbours;

    for (Neighbour which = 0; which < NEIGHBOUR_MAX; which++)
        n->of[which].accepted = n->of[which].accepted || n->of[which].present;
    n->held = false;
}

void neighbours_text(const Manager *m, char *buf, size_t size)
{
    const Neighbours *n = &m->neighbours;
    char name[TEXT_MAX];
    size_t fill = 0;

    buf[0] = '\0';
    for (Neighbour which = 0; which < NEIGHBOUR_MAX && fill < size; which++)
        if (n->of[which].present) {
            put_name(n, which, name, sizeof(name));
            fill += (size_t) snprintf(buf + fill, size - fill, "%s%s", fill > 0 ? ", " : "", name);
        }
}

bool neighbours_why(const Manager *m, char *buf, size_t size)
{
    char names[NEIGHBOUR_MAX * TEXT_MAX];

    if (!m->neighbours.held)
        return false;
    neighbours_text(m, names, sizeof(names));
    if (names[0])
        snprintf(buf, size,
                 "%s manages memory here, too, so nothing is moved; end it, then say 'ballastctl mode auto'",
                 names);
    else
        snprintf(
            buf, size,
            "another that manages memory was here, and has gone; nothing is moved until 'ballastctl mode auto'");
    return true;
}
