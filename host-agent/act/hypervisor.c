/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt as the hypervisor. */

#include "host-agent/act/hypervisor.h"

static int set_memory(void *userdata, const char *uuid, const DomainState *state)
{
    return virt_set_memory(userdata, uuid, state);
}

static int request_stats(void *userdata, const char *uuid, unsigned period_sec)
{
    return virt_request_stats(userdata, uuid, period_sec);
}

static int remember(void *userdata, const char *uuid, uint64_t overhead_bytes)
{
    return virt_remember(userdata, uuid, overhead_bytes);
}

static int read_definition(void *userdata, const char *uuid)
{
    return virt_read_definition(userdata, uuid);
}

Hypervisor hypervisor_of_virt(Virt *v)
{
    return (Hypervisor){.set_memory = set_memory,
                        .request_stats = request_stats,
                        .remember = remember,
                        .read_definition = read_definition,
                        .userdata = v};
}
