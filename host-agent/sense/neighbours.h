/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the daemon does about neighbours (neighbour-scan.h): it logs them, and stays in mode observe from the
 * moment that it finds one until an administrator sets mode auto. That accepts all neighbours that run at
 * that time. A neighbour that ends changes nothing, because it may come back. A daemon that can't check the lock
 * takes it that another one has it. */

#include <systemd/sd-event.h>

#include "base/outage.h"
#include "host-agent/sense/neighbour-lock.h"
#include "host-agent/sense/neighbour-scan.h"

typedef struct Neighbours {
    sd_event *event;
    const char *proc_root;        /* "/proc" */
    void (*hold)(void *userdata); /* a neighbour was found that isn't accepted: the mode must be observe */
    void *userdata;

    struct {
        bool present, accepted;
        pid_t pid; /* 0: not known */
    } of[NEIGHBOUR_MAX];
    bool held; /* only an administrator may set mode auto */

    char *uri; /* of libvirt; NULL: not known yet */
    NeighbourLock lock;
    sd_event_source *lock_source; /* fires when the other ballastd ends */
    sd_event_source *timer;
    Outage lock_refused, scan_failed;
    bool lock_accepted; /* an administrator accepted that the lock can't be checked */
} Neighbours;

/* event and proc_root must outlive it. */
void neighbours_init(Neighbours *n, sd_event *event, const char *proc_root, void (*hold)(void *userdata),
                     void *userdata);
/* Looks for neighbours now, which must be before the first cycle, and once a minute from then on. 0 or
 * -errno. */
int neighbours_start(Neighbours *n);
void neighbours_done(Neighbours *n);
/* Looks for neighbours now. */
void neighbours_look(Neighbours *n);
/* libvirt is connected. uri: as libvirt itself reports it. */
void neighbours_connected(Neighbours *n, const char *uri);
/* The administrator set mode auto: accepts all neighbours that run now. */
void neighbours_accept(Neighbours *n);
/* "momd (process 12), another ballastd (process 345)"; empty if there are none. */
void neighbours_text(const Neighbours *n, char *buf, size_t size);
#define NEIGHBOURS_TEXT_MAX 512U /* enough for either text */
/* If neighbours hold the mode to observe: true, and why in buf. Otherwise false. */
bool neighbours_why(const Neighbours *n, char *buf, size_t size);
/* Whether libvirt was connected once, so that other ballastds on it are known. */
bool neighbours_known(const Neighbours *n);
/* Whether another ballastd manages the same guests, or may do so, and that isn't accepted. */
bool neighbours_has_ballastd(const Neighbours *n);
