/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The calls to the hypervisor about a guest. Both return at once, with 0 or -errno; the result comes as an
 * event (libvirt/virt.h). */

#include "host-agent/libvirt/virt.h"

typedef struct Hypervisor {
    /* Sets the balloon's target to state->sent_bytes, and stores state with the domain. -EBUSY while the last
     * call hasn't returned. */
    int (*set_memory)(void *userdata, const char *uuid, const DomainState *state);
    /* Asks for the balloon's stats; period_sec as for virt_request_stats(). */
    int (*request_stats)(void *userdata, const char *uuid, unsigned period_sec);
    void *userdata;
} Hypervisor;

/* libvirt as the hypervisor. v must outlive it. */
Hypervisor hypervisor_of_virt(Virt *v);
