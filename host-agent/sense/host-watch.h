/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host's memory as it is watched: read at the beginning of each cycle, and a trigger on its memory pressure
 * (PSI) that asks for a cycle at once. What is watched is the whole host, or one memory cgroup of it (the
 * scope). */

#include <systemd/sd-event.h>

#include "host-agent/decide/bytes.h"
#include "host-agent/sense/host.h"

typedef struct HostWatch {
    sd_event *event;
    const char *proc_root, *sys_root; /* "/proc", "/sys" */
    void (*pressure)(void *userdata); /* the trigger fired */
    void *userdata;

    Cgroup *scope; /* NULL: the whole host */
    HostSample sample;
    HostFields fields; /* as policies see it */
    uint64_t reserve_bytes;
    usec_t swapped_usec; /* when the host was last seen to swap out; 0: never */
    bool valid;          /* the last reading succeeded */
    bool failed;         /* that it didn't was logged */
    int ksm_error;       /* of reading KSM's state; logged */

    sd_event_source *psi_source;
    int psi_fd;
} HostWatch;

/* Watches the whole host. roots and event must outlive it; pressure may be NULL. */
void host_watch_init(HostWatch *w, sd_event *event, const char *proc_root, const char *sys_root,
                     void (*pressure)(void *userdata), void *userdata);
void host_watch_done(HostWatch *w);

/* Finds the cgroup that a configuration names ("system": *ret is NULL, the whole host). What is wrong is logged.
 * 0 or -errno. */
int host_watch_find_scope(const char *proc_root, const char *name, Cgroup **ret);
/* Watches another scope from now on, which it takes over (NULL: the whole host), with its trigger. */
void host_watch_set_scope(HostWatch *w, Cgroup *scope);

/* Reads the host: w->fields and all else. What can't be read is logged once; then 0 is not returned, w->valid is
 * false, and the fields are those of the last reading. reserve: kept from guests. */
int host_watch_read(HostWatch *w, SizeOrRatio reserve, usec_t now_usec);
/* Where the memory is read that guests share: the cgroup's folder, or "/proc". */
const char *host_watch_source(const HostWatch *w);
