/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Watches the host's memory: reads it at the beginning of each cycle, and sets a trigger on its memory
 * pressure (PSI) that asks for a cycle at once. It watches the whole host, or one memory cgroup of it (the
 * scope). */

#include <systemd/sd-event.h>

#include "base/outage.h"
#include "host-agent/decide/bytes.h"
#include "host-agent/decide/guard.h"
#include "host-agent/sense/host.h"
#include "host-agent/sense/nodes.h"

/* Whose memory pressure asks for a cycle at once. */
typedef enum HostTrigger {
    HOST_TRIGGER_NONE, /* nobody's: it is noticed once a cycle */
    HOST_TRIGGER_HOST,
    HOST_TRIGGER_SCOPE,
    HOST_TRIGGER_MAX,
} HostTrigger;

const char *host_trigger_to_string(HostTrigger t);

/* Processes that the kernel killed because memory ran out. Those of before the first reading don't count. */
typedef struct HostOom {
    uint64_t counter;   /* the kernel's, as last read; VMSTAT_MISSING: not known */
    uint64_t kills;     /* seen since the daemon began */
    usec_t killed_usec; /* when the last was seen; 0: none was */
} HostOom;

typedef struct HostWatch {
    sd_event *event;
    const char *proc_root, *sys_root; /* "/proc", "/sys" */
    void (*pressure)(void *userdata); /* the trigger fired */
    void *userdata;

    Cgroup *scope; /* NULL: the whole host */
    HostSample sample;
    HostFields fields; /* as policies see it */
    Nodes nodes;       /* of the whole host; a scope has none */
    uint64_t reserve_bytes;
    usec_t swapped_usec; /* when the host was last seen to swap out; 0: never */
    bool valid;          /* the last reading succeeded */
    /* Of the host's memory, ZFS's cache, KSM's state, the nodes' memory. */
    Outage unreadable, arc_unreadable, ksm_unreadable, nodes_unreadable;
    /* Memory that is swapped in: the counter that the next rate begins at (pages; VMSTAT_MISSING: none). */
    uint64_t swap_in;
    usec_t swap_in_usec; /* 0: never */
    double swapping;     /* bytes per second; NAN: not known */
    double faults;       /* what host_watch_set_faults() was last told */
    HostOom oom;

    HostTrigger trigger;
    sd_event_source *psi_source;
    int psi_fd;
} HostWatch;

/* Watches the whole host. The roots and event must outlive it; pressure may be NULL. */
void host_watch_init(HostWatch *w, sd_event *event, const char *proc_root, const char *sys_root,
                     void (*pressure)(void *userdata), void *userdata);
void host_watch_done(HostWatch *w);

#define HOST_WATCH_WHY_MAX 256

/* Finds the cgroup that a configuration names; "system" is the whole host, for which *ret is NULL. 0, or -errno and
 * why: what is wrong with the name, and the way out. */
int host_watch_find_scope(const char *proc_root, const char *name, Cgroup **ret,
                          char why[static HOST_WATCH_WHY_MAX]);
/* Checks that a reserve leaves guests memory above the critical threshold. 0, also if the memory can't be read;
 * -ERANGE and why, with the way out. */
int host_watch_check_reserve(const char *proc_root, const Cgroup *scope, SizeOrRatio reserve,
                             const GuardConfig *guard, char why[static HOST_WATCH_WHY_MAX]);
/* Watches another scope from now on, and sets the trigger on its pressure, or else on the whole host's; logs which, if
 * not the scope's own. Takes over scope (NULL: the whole host). */
void host_watch_set_scope(HostWatch *w, Cgroup *scope);

/* Reads the host, and fills w->fields and the rest. reserve: memory that guests can't have. 0 or -errno; a
 * failure is logged once, as is its end; w->valid is false meanwhile, and the fields are those of the last reading. */
int host_watch_read(HostWatch *w, SizeOrRatio reserve, usec_t now_usec);
/* What the guests' QEMUs read by major faults, in bytes per second (NAN: not known). It stands in for what is swapped
 * in where the kernel doesn't count that: in a cgroup, before Linux 6.13. */
void host_watch_set_faults(HostWatch *w, double bytes_per_sec);
/* The folder that the memory is read from: the cgroup's, or "/proc". */
const char *host_watch_source(const HostWatch *w);
