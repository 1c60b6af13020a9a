/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a decision sees a guest. */

#include "host-agent/guest/guest.h"

/* ret's texts and history are the guest's. */
void guest_snapshot(const Guest *g, usec_t now_usec, SnapshotGuest *ret);
