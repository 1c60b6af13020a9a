/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon: owns the loop and every object, connects the objects with each other, and carries out an
 * administrator's requests. */

#include "host-agent/daemon/cycle.h"
#include "host-agent/daemon/load.h"
#include "host-agent/daemon/stop.h"
#include "host-agent/daemon/virt-link.h"

typedef struct Manager {
    ManagerOptions options;
    sd_event *event;
    usec_t started_usec;
    Audience audience; /* main.c adds the listeners */
    Config *config;    /* the pointer never changes: a reload changes the contents */
    FileMarks marks;   /* of the files that run; none of a policy that was loaded over D-Bus */
    char *refused;     /* why the last reload was refused: the first finding; NULL: it wasn't */
    usec_t refused_usec;
    GuestHost guest_host; /* has the mode in force */
    RunningPolicy policy;
    HostWatch watch;
    Neighbours neighbours;
    VirtLink libvirt;
    Transport transport;
    Hypervisor hypervisor;
    Guests guests;
    Looks looks;
    HostKsm ksm;
    Cycle cycle;
    Stop stop;
} Manager;

/* Reads configuration and policy, and makes all objects. Changes nothing on the system, and listens to nobody
 * yet. Logs what is wrong. 0 or -errno. */
int manager_new(const ManagerOptions *options, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP_FUNC(Manager, manager_free);
/* Looks for other memory managers, and connects to libvirt. Logs what is wrong. 0 or -errno. */
int manager_start(Manager *m);
/* Runs until SIGTERM or SIGINT. Returns the exit status, or -errno. */
int manager_run(Manager *m);
/* Checks configuration and policy, logs what is wrong, prints the result, and does nothing else. 0, or -errno if the
 * daemon would not run with them, or not do all that they say. */
int manager_check(const ManagerOptions *options);

/* Reads configuration and policy again, logs what is wrong, and adds it to f. by: who asked. 0, or -errno if either was
 * refused: then nothing has changed, and f has at least one line. */
int manager_reload(Manager *m, const Actor *by, Findings *f);
/* Sets the mode (AUTO or OBSERVE) for an administrator; a cycle follows at once. 0 or -EINVAL. */
int manager_set_mode(Manager *m, GuestMode mode);
/* Checks policy files, and runs them until the next reload. by: who asked over D-Bus. 0;
 * -EINVAL with diagnostics, -EFBIG or -ENOMEM: then nothing has changed. */
int manager_load_policy(Manager *m, const PolicySource *sources, size_t n, const Actor *by,
                        PolicyDiagnostics *diagnostics);
/* How much all guests together may grow now, in bytes. */
uint64_t manager_room(Manager *m);
/* Gives a guest its full size back: see move_release(). */
int manager_release(Manager *m, Guest *g, uint64_t *room);
/* What the daemon does now, or why it does nothing: one sentence, in buf. */
void manager_why(const Manager *m, char *buf, size_t size);
