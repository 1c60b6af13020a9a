/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon: owns the loop and every object, and runs the cycle sense → decide → act → show. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "host-agent/act/ksm.h"
#include "host-agent/config/config.h"
#include "host-agent/daemon/policies.h"
#include "host-agent/guest/guest.h"
#include "host-agent/sense/host.h"
#include "host-agent/sense/neighbours.h"

struct ManagerOptions {
    const char *config_path; /* NULL: the default one, which may be missing */
    const char *policy_paths[POLICY_FILES_MAX];
    size_t n_policy_paths; /* 0: as the configuration says */
    const char *connect;   /* NULL: as the configuration says */
    const char *proc_root; /* "/proc" */
    const char *sys_root;  /* "/sys" */
    int log_level;         /* -1: as the configuration says */
    GuestMode mode;        /* GUEST_MODE_INVALID: as the configuration says */
    bool session;          /* the session bus and qemu:///session */
};

struct Manager {
    ManagerOptions options;
    sd_event *event;
    sd_bus *bus;                  /* NULL while there is none */
    sd_event_source *cycle_timer; /* the next cycle: regular, or brought forward by manager_wake() */
    sd_event_source *tick_timer;  /* looks at balloons that are on their way; off while none is */
    sd_event_source *psi_source;
    int psi_fd;
    bool stopping;
    usec_t stop_usec; /* until when a stop waits for OnStop=release */

    Config *config;
    char *config_path; /* that config came from; NULL: defaults */
    Policy *policy;
    char *policy_origin; /* for people: where it comes from */
    usec_t policy_usec;  /* since when it runs */
    PolicyKeep keep;     /* of the host */
    GuestMode mode;      /* in force: AUTO or OBSERVE */
    char *uri;           /* of libvirt */

    Virt *virt;
    bool connected;
    char *disconnected_why;
    Guest **guests; /* sorted by UUID */
    size_t n_guests;

    Cgroup *scope; /* NULL: the whole host */
    HostSample host_sample;
    HostFields host;
    uint64_t reserve_bytes;
    usec_t swapped_usec; /* when the host was last seen to have swapped out; 0: never */
    bool host_valid;

    Ksm *ksm;
    int ksm_error;                     /* of reading its state; told */
    unsigned ksm_told[HOST_FIELD_MAX]; /* in mode observe: which decision */
    bool ksm_anothers;                 /* in the last cycle */

    Neighbours neighbours;

    Plan plan;           /* of the last cycle; its decisions are in the guests */
    bool guests_changed; /* some came or went since: the plan's places aren't theirs any more */
    usec_t started_usec, cycle_usec, cycle_took_usec;
    uint64_t cycles;
    uint64_t notes_told;             /* which the last cycle had: see tell_notes() */
    usec_t logs_usec;                /* begin of the second in which … */
    size_t logs_told, logs_left_out; /* … that many lines of log() were told, and weren't */
    bool refused_guests;             /* more than SNAPSHOT_GUESTS_MAX: told */
};

int manager_new(const ManagerOptions *options, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP_FUNC(Manager, manager_free);
/* Reads and checks configuration and policy, tells what is wrong, and does nothing else. 0 or -errno. */
int manager_check(const ManagerOptions *options);
/* Runs until SIGTERM, SIGINT or manager_stop(). Returns the exit status, or -errno. */
int manager_run(Manager *m);

/* Reads configuration and policy again. 0, or -errno when either was refused: then nothing changed. */
int manager_reload(Manager *m);
/* AUTO or OBSERVE, from now on, as an administrator says; a cycle follows at once. */
int manager_set_mode(Manager *m, GuestMode mode);
/* The same by the daemon itself. */
void manager_change_mode(Manager *m, GuestMode mode);
/* Gives a guest its full size back now, as far as *room goes (manager_room(); what is given is taken off it),
 * and leaves it alone for the grace time; a live size that an administrator set is forgotten. Also in mode
 * observe: it was asked for. 0; -EAGAIN while it is busy or libvirt is away, -ENOSPC where the host has no
 * room, -EBUSY while it is just being set. */
int manager_release(Manager *m, Guest *g, uint64_t *room);
/* By exact name, UUID, or a prefix of either that only one guest has. 0; -ENOENT; -ENOTUNIQ. */
int manager_find_guest(Manager *m, const char *pattern, Guest **ret);
Guest *manager_guest_by_uuid(const Manager *m, const char *uuid);
/* Where the memory is read that guests share: the cgroup's folder, or "/proc". */
const char *manager_memory_source(const Manager *m);
/* Why nothing moves, or what does: one sentence. */
void manager_why(const Manager *m, char *buf, size_t size);
/* Asks for a cycle now, or that long after the last one began; several in a row are one. */
void manager_wake(Manager *m);
void manager_wake_in(Manager *m, usec_t wait_usec);

/* cycle.c: one cycle: snapshot → policy → guard → plan → act. */
void manager_cycle(Manager *m);
/* cycle.c: sends a guest a target, tells it, and watches it get there. 0 or -errno. */
int manager_move(Manager *m, Guest *g, uint64_t target_bytes, const char *reason);
/* cycle.c: how much guests may grow just now, all together, in bytes. */
uint64_t manager_room(Manager *m);
/* virt-events.c: what libvirt has to tell. */
void manager_on_virt(void *userdata, const VirtEvent *event);
