/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is asked of the hypervisor for a guest. Both return at once: 0 or -errno, and what comes of it is an event
 * (libvirt/virt.h). */

#include "host-agent/libvirt/virt.h"

typedef struct Hypervisor {
    /* Sets the balloon's target to state->sent_bytes, and remembers state with the domain. -EBUSY where the one
     * before is still outstanding. */
    int (*set_memory)(void *userdata, const char *uuid, const DomainState *state);
    /* Asks for the balloon's stats; period_sec as for virt_request_stats(). */
    int (*request_stats)(void *userdata, const char *uuid, unsigned period_sec);
    void *userdata;
} Hypervisor;

/* That which libvirt is. v must outlive it. */
Hypervisor hypervisor_of_virt(Virt *v);
