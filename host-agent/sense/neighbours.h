/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the daemon does about neighbours (sense/neighbour.h): it tells them, and holds to mode observe from
 * the moment that one was found until an administrator says auto, by which those that are there then are
 * accepted. A neighbour that goes changes nothing: it may come back. */

#include <systemd/sd-event.h>

#include "host-agent/sense/neighbour-scan.h"

typedef struct Neighbours {
    sd_event *event;
    const char *proc_root;         /* "/proc" */
    void (*found)(void *userdata); /* one that isn't accepted: hold to mode observe */
    void *userdata;

    struct {
        bool present, accepted;
        pid_t pid; /* 0: not known */
    } of[NEIGHBOUR_MAX];
    bool held; /* AUTO only by the administrator's word */

    char lock_name[NEIGHBOUR_LOCK_MAX]; /* empty before libvirt's URI is known */
    NeighbourLock lock;
    sd_event_source *lock_source; /* the other's end */
    sd_event_source *timer;
    bool lock_refused, scan_failed; /* told */
} Neighbours;

/* event and proc_root must outlive it. */
void neighbours_init(Neighbours *n, sd_event *event, const char *proc_root, void (*found)(void *userdata),
                     void *userdata);
/* Looks for the first time, before the first cycle, and once a minute from then on. 0 or -errno. */
int neighbours_start(Neighbours *n);
void neighbours_done(Neighbours *n);
void neighbours_look(Neighbours *n);
/* Libvirt is there, and this is its URI as it says itself. */
void neighbours_connected(Neighbours *n, const char *uri);
/* The administrator said auto. */
void neighbours_accept(Neighbours *n);
/* "momd (process 12), another ballastd (process 345)"; empty where there is none. */
void neighbours_text(const Neighbours *n, char *buf, size_t size);
#define NEIGHBOURS_TEXT_MAX 512U /* enough for either text */
/* What to say where the mode is held to observe, and true; else false. */
bool neighbours_why(const Neighbours *n, char *buf, size_t size);
/* Whether libvirt was there, so that other ballastds on it are known. */
bool neighbours_known(const Neighbours *n);
/* Another ballastd manages the same guests, and isn't accepted. */
bool neighbours_has_ballastd(const Neighbours *n);
