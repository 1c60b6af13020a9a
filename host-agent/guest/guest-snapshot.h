/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a decision sees a guest. */

#include "host-agent/guest/guest.h"

/* Fills ret with the guest as it is now. ret borrows its texts and history from the guest. */
void guest_snapshot(const Guest *g, usec_t now_usec, SnapshotGuest *ret);
