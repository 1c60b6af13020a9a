/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest knows of its daemon. */

#include "host-agent/guest/guest-host.h"

/* After the host swapped out, QEMU's resident memory proves nothing for this long. */
#define SWAPPED_USEC (30 * USEC_PER_SEC)

bool guest_host_is_critical(const GuestHost *h)
{
    return guard_is_critical(&(Snapshot){.host = *h->fields}, h->guard);
}

bool guest_host_swaps(const GuestHost *h, usec_t now_usec)
{
    return h->swapped_usec > 0 && usec_since(h->swapped_usec, now_usec) < SWAPPED_USEC;
}

void guest_host_wake(const GuestHost *h)
{
    h->wake(h->userdata);
}
