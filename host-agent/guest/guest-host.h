/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a guest knows of its daemon: the rules, the host as last read, and two ways to be heard (notices, and
 * asking for a cycle). The daemon owns and fills it, and all guests share it. A guest calls nothing else
 * above it. */

#include "host-agent/guest/strain.h"
#include "host-agent/notice.h"
#include "policy/policy.h"

/* The settings that apply to each guest. */
typedef struct GuestRules {
    double floor_ratio;        /* of the full size: the floor of a guest without a minimum of its own */
    usec_t distress_hold_usec; /* how long distress lasts after its last sign */
    StrainConfig strain;
} GuestRules;

typedef struct GuestHost {
    GuestMode mode; /* of the daemon: AUTO or OBSERVE */
    const GuardConfig *guard;
    const GuestRules *rules;
    const Policy *policy;     /* the running one; NULL: none */
    const HostFields *fields; /* of the host, as last read */
    usec_t swapped_usec;      /* when the host was last seen to swap out; 0: never */
    const Audience *audience;
    void (*wake)(void *userdata); /* asks for a cycle now; several in a row are one */
    void *userdata;
} GuestHost;

/* Whether the host is below its critical threshold. */
bool guest_host_is_critical(const GuestHost *h);
/* Whether the host swapped out lately: then QEMU's resident memory proves nothing. */
bool guest_host_swaps(const GuestHost *h, usec_t now_usec);
/* Asks for a cycle now. */
void guest_host_wake(const GuestHost *h);
