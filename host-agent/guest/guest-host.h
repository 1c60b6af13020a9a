/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a guest knows of the daemon that it belongs to: the rules, the host as it was last read, and two ways to
 * be heard. The daemon owns and fills it, and all its guests share it; a guest calls nothing else above it. */

#include "host-agent/guest/strain.h"
#include "host-agent/notice.h"
#include "policy/policy.h"

/* The settings that are about one guest. */
typedef struct GuestRules {
    double floor_ratio;        /* of full: what a guest keeps where nothing else is set */
    usec_t distress_hold_usec; /* how long distress counts */
    StrainConfig strain;
} GuestRules;

typedef struct GuestHost {
    GuestMode mode; /* of the daemon: AUTO or OBSERVE */
    const GuardConfig *guard;
    const GuestRules *rules;
    const Policy *policy;     /* that runs; NULL: none */
    const HostFields *fields; /* of the host, as last read */
    usec_t swapped_usec;      /* when the host was last seen to swap out; 0: never */
    const Audience *audience;
    void (*wake)(void *userdata); /* asks for a cycle now; several in a row are one */
    void *userdata;
} GuestHost;

/* Whether the host is below its critical threshold. */
bool guest_host_is_critical(const GuestHost *h);
/* The host swapped out lately: then the resident memory of a QEMU proves nothing. */
bool guest_host_swaps(const GuestHost *h, usec_t now_usec);
void guest_host_wake(const GuestHost *h);
