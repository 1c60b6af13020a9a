/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Looks at the guests' QEMU processes, at a pace of its own: each second while memory matters, else each 5 s. */

#include "base/outage.h"
#include "host-agent/daemon/guests.h"
#include "host-agent/sense/qemu-search.h"

typedef struct Looks {
    QemuReader reader;
    QemuSearch *search; /* under way; NULL: none is */
    Outage hangs;       /* it doesn't end */
    usec_t search_usec; /* when the last search began … */
    usec_t wait_usec;   /* … and how long after that again, unless there is a new guest */
    bool missing;       /* a guest's process wasn't found, and that was logged */
    double faults;      /* bytes per second that major faults of all QEMUs read; NAN: not known */
} Looks;

/* proc_root must outlive it. */
void looks_init(Looks *l, const char *proc_root);
void looks_done(Looks *l);
/* Looks at each guest whose time has come, and at those that a search has found since the last time. often: the host has no memory to spare. merged: KSM runs. */
void looks_run(Looks *l, Guests *guests, bool often, bool merged, usec_t now_usec);
