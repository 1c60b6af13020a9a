/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the host sees of a guest's QEMU comes in here, and is set beside what the guest says of itself. */

#include "host-agent/guest/guest.h"

/* A look at the guest's QEMU process. */
void guest_process(Guest *g, const ProcessLook *look, usec_t now_usec);
/* libvirt reported the QEMU's resident size, which is used as long as the process can't be read. */
void guest_see_rss(Guest *g, usec_t now_usec);
