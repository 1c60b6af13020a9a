/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon: owns the loop and every object, wires them to each other, and carries out what an administrator
 * asks. */

#include "host-agent/daemon/cycle.h"
#include "host-agent/daemon/stop.h"
#include "host-agent/daemon/virt-link.h"

typedef struct ManagerOptions {
    const char *config_path; /* NULL: the default one, which may be missing */
    const char *policy_paths[POLICY_FILES_MAX];
    size_t n_policy_paths; /* 0: as the configuration says */
    const char *connect;   /* NULL: as the configuration says */
    const char *proc_root; /* "/proc" */
    const char *sys_root;  /* "/sys" */
    int log_level;         /* -1: as the configuration says */
    GuestMode mode;        /* GUEST_MODE_INVALID: as the configuration says */
    bool session;          /* the session bus and qemu:///session */
} ManagerOptions;

typedef struct Manager {
    ManagerOptions options;
    sd_event *event;
    usec_t started_usec;
    Audience audience;    /* main.c adds who listens */
    Config *config;       /* always the same one: a reload changes what is in it */
    char *config_path;    /* that it came from; NULL: defaults */
    GuestHost guest_host; /* the mode in force is there */
    RunningPolicy policy;
    HostWatch watch;
    Neighbours neighbours;
    VirtLink libvirt;
    Transport transport;
    Hypervisor hypervisor;
    Guests guests;
    HostKsm ksm;
    Cycle cycle;
    Stop stop;
} Manager;

/* Reads configuration and policy, and makes all objects; nothing is touched and nobody is heard yet. What is wrong
 * is logged. 0 or -errno. */
int manager_new(const ManagerOptions *options, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP_FUNC(Manager, manager_free);
/* Looks for other memory managers, and connects to libvirt. What is wrong is logged. 0 or -errno. */
int manager_start(Manager *m);
/* Runs until SIGTERM or SIGINT. Returns the exit status, or -errno. */
int manager_run(Manager *m);
/* Reads and checks configuration and policy, logs what is wrong, and does nothing else. 0 or -errno. */
int manager_check(const ManagerOptions *options);

/* Reads configuration and policy again. 0, or -errno when either was refused: then nothing changed. */
int manager_reload(Manager *m);
/* AUTO or OBSERVE, from now on, as an administrator says; a cycle follows at once. 0 or -EINVAL. */
int manager_set_mode(Manager *m, GuestMode mode);
/* Checks texts and lets them run until the next reload. by: who wants it, for people ("user 0, over the bus").
 * 0; -EINVAL with diagnostics; -EFBIG, -ENOMEM; then nothing changed. */
int manager_load_policy(Manager *m, const PolicySource *sources, size_t n, const char *by,
                        PolicyDiagnostics *diagnostics);
/* How much guests may grow just now; and gives one its full size back, as move_release() does. */
uint64_t manager_room(Manager *m);
int manager_release(Manager *m, Guest *g, uint64_t *room);
/* Why nothing moves, or what does: one sentence. */
void manager_why(const Manager *m, char *buf, size_t size);
