/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The calls to the hypervisor about a guest. All return at once, with 0 or -errno; the result comes as an
 * event (libvirt/virt.h). */

#include "host-agent/libvirt/virt.h"

typedef struct Hypervisor {
    /* Sets the balloon's target to state->sent_bytes, and stores state with the domain. -EBUSY while the last
     * call hasn't returned. */
    int (*set_memory)(void *userdata, const char *uuid, const DomainState *state);
    /* Asks for the balloon's stats; period_sec as for virt_request_stats(). */
    int (*request_stats)(void *userdata, const char *uuid, unsigned period_sec);
    /* Stores QEMU's own memory with the domain, without a move. -EBUSY as above. */
    int (*remember)(void *userdata, const char *uuid, uint64_t overhead_bytes);
    /* Reads the domain's definition again, at most once a second. */
    int (*read_definition)(void *userdata, const char *uuid);
    void *userdata;
} Hypervisor;

/* libvirt as the hypervisor. v must outlive it. */
Hypervisor hypervisor_of_virt(Virt *v);
