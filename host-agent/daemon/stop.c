/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A clean stop: ends the cycles, gives squeezed guests their sizes back, restores KSM, and releases the guests if
 * configured. */

#include "host-agent/daemon/stop.h"

#include <signal.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "host-agent/act/move.h"

/* How long a stop waits for balloons that give memory back, and how often it looks. */
#define RELEASE_WAIT_USEC (5 * USEC_PER_SEC)
#define RELEASE_LOOK_USEC (50 * USEC_PER_MSEC)

static void release_all(const Stop *s)
{
    const CycleParts *p = &s->cycle->parts;
    uint64_t room = cycle_room(s->cycle);

    for (size_t i = 0; i < p->guests->n; i++) {
        Guest *g = p->guests->entries[i].guest;
        int r = move_release(p->hypervisor, g, &room);

        if (r < 0)
            log_warning_errno(-r, "%s: cannot give its memory back: %m", g->info.name);
    }
    cycle_watch(s->cycle);
}

/* Whether a guest hasn't reached its size yet: one that was squeezed, or with OnStop=release any. */
static bool is_outstanding(const Stop *s)
{
    const CycleParts *p = &s->cycle->parts;
    const Guests *guests = p->guests;

    /* While libvirt is still setting the last target, it takes no other. */
    if (cycle_end_squeezes(s->cycle))
        return true;
    if (p->config->on_stop == ON_STOP_KEEP)
        return false;
    for (size_t i = 0; i < guests->n; i++) {
        const Guest *g = guests->entries[i].guest;

        if (g->sending.setting || g->balloon.moving)
            return true;
    }
    return false;
}

static int on_release_look(sd_event_source *source, uint64_t usec, void *userdata)
{
    Stop *s = userdata;
    sd_event *event = s->cycle->parts.event;

    if (!is_outstanding(s))
        return sd_event_exit(event, 0);
    if (now_usec(CLOCK_MONOTONIC) >= s->until_usec) {
        log_warning(
            "Some guests don't have all their memory back yet; QEMU goes on deflating their balloons");
        return sd_event_exit(event, 0);
    }
    (void) sd_event_source_set_time_relative(source, RELEASE_LOOK_USEC);
    (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

Actor actor_of_signal(const struct signalfd_siginfo *si)
{
    Actor by = ACTOR_UNKNOWN;

    /* One that the kernel sends, such as for ctrl-c, has no sender. */
    if (si->ssi_code == SI_USER || si->ssi_code == SI_TKILL || si->ssi_code == SI_QUEUE) {
        by.uid = si->ssi_uid;
        by.pid = (pid_t) si->ssi_pid;
    }
    return by;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
    Stop *s = userdata;
    const CycleParts *p = &s->cycle->parts;
    Actor by = actor_of_signal(si);
    Notice n = notice_of_change(&by, "stop", NULL, NULL);

    audience_tell(p->guest_host->audience, &n);
    if (s->stopping)
        return sd_event_exit(p->event, 0);
    s->stopping = true;
    (void) sd_notify(0, "STOPPING=1");
    cycle_stop(s->cycle);
    host_ksm_stop(p->ksm, neighbours_has_ballastd(p->neighbours));
    if (p->config->on_stop == ON_STOP_KEEP) {
        log_info("Stopping; balloons stay as they are");
        if (!cycle_end_squeezes(s->cycle))
            return sd_event_exit(p->event, 0);
        cycle_watch(s->cycle);
    } else {
        log_info("Stopping; giving all guests their memory back");
        release_all(s);
    }
    s->until_usec = now_usec(CLOCK_MONOTONIC) + RELEASE_WAIT_USEC;
    return sd_event_add_time_relative(p->event, &s->timer, CLOCK_MONOTONIC, RELEASE_LOOK_USEC, 0,
                                      on_release_look, s);
}

int stop_init(Stop *s, Cycle *cycle)
{
    int r;

    *s = (Stop){.cycle = cycle};
    r = sd_event_add_signal(cycle->parts.event, NULL, SIGTERM, on_stop, s);
    return r < 0 ? r : sd_event_add_signal(cycle->parts.event, NULL, SIGINT, on_stop, s);
}

void stop_done(Stop *s)
{
    s->timer = sd_event_source_disable_unref(s->timer);
}
